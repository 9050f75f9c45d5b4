/* SPDX-License-Identifier: MIT */
/*
 * What output.c has for other binding files: row writers, and where rows go.
 */
#ifndef LUABPF_BIND_FILE_OUTPUT_H
#define LUABPF_BIND_FILE_OUTPUT_H

#include "lib/file/outfile.h"
#include "lib/file/rowwriter.h"

#include <lua.h>

/* The class luabpf.row_writer. */
struct lb_row_writer {
	struct lb_writer *w;	/* NULL once it is closed and nobody uses it */
	bool closed;
	uint32_t users;		/* threads' crews that write by it */
	bool columns;		/* of rows with columns, else of batches */
	uint32_t nwords;
	uint32_t key_size, value_stride;
};

/* The open row writer at arg; raises otherwise. */
struct lb_row_writer *lb_check_row_writer(lua_State *L, int arg);
/* One of its users is done. */
void lb_row_writer_left(struct lb_row_writer *rw);
/* The output at arg; raises otherwise, and where its file was closed. */
struct lb_outfile *lb_check_output(lua_State *L, int arg);

#endif
