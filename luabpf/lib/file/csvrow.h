/* SPDX-License-Identifier: MIT */
/*
 * Rows of CSV, from their text to the bytes of a key and a value. The first row,
 * the header, says which leaves the columns are. No Lua here.
 */
#ifndef LUABPF_LIB_FILE_CSVROW_H
#define LUABPF_LIB_FILE_CSVROW_H

#include "lib/file/rowformat.h"
#include "lib/file/rowleaf.h"

struct lb_csv_column;

struct lb_csv {
	struct lb_layout *memory;	/* an arena: of no layout */
	struct lb_csv_column *leaves;	/* sorted by name; malloc'd */
	uint32_t nleaves, room;
	struct lb_csv_column **columns;	/* malloc'd */
	uint32_t ncolumns;
	bool failed;			/* out of memory */
};

/* Finds the leaves of the target's types, which must stay. False: out of memory. */
bool lb_csv_open(struct lb_csv *c, const struct lb_row_target *t);
void lb_csv_close(struct lb_csv *c);
/* Bytes of the first row of text, with its line end; 0 if its end is not there. */
size_t lb_csv_length(const char *text, size_t n);
/* Reads the header; false with t->f.problem set. Writes into the text. */
bool lb_csv_header(struct lb_csv *c, struct lb_row_target *t, char *text, size_t n);
/* Reads a row; false with target->f.problem set. Writes into the text. */
bool lb_csv_row(const struct lb_csv *c, struct lb_row_target *target, char *text, size_t n,
		uint8_t *key, uint8_t *value_bytes);

#endif
