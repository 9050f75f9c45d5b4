/* SPDX-License-Identifier: MIT */
/*
 * Row writers: entries of a map, or columns of them, as JSON lines or CSV.
 * docs/export.md defines both. No Lua here.
 *
 *	w = lb_writer_new(LB_ROWS_JSON, columns, n, &why)
 *	s = lb_writer_row(w, bases, s)		a row; room for lb_writer_longest(w)
 *
 * HOW IT WORKS. A writer is made once, from the layouts: a list of steps, each a
 * piece of text that is the same in every row, then a value. Structs are nothing
 * but text; arrays and per-CPU values are a step with a list of its own. A row
 * allocates nothing and checks no room: its longest form is known beforehand.
 */
#ifndef LUABPF_LIB_FILE_ROWWRITER_H
#define LUABPF_LIB_FILE_ROWWRITER_H

#include "lib/file/rowformat.h"

struct lb_writer;

/* NULL with *why (static text) set: out of memory, or too many columns for CSV. */
struct lb_writer *lb_writer_new(enum lb_row_format format, const struct lb_row_column *columns,
				uint32_t n, const char **why);
void lb_writer_free(struct lb_writer *w);
/* Bytes that a row may need, with some that lb_writer_row writes behind its end. */
size_t lb_writer_longest(const struct lb_writer *w);
/* What stands before the first row: of CSV the names; NULL and 0 of JSON lines. */
const char *lb_writer_header(const struct lb_writer *w, size_t *n);
/* Writes a row with its line end; returns its end. The types must still exist. */
char *lb_writer_row(const struct lb_writer *w, const uint8_t *const bases[2], char *s);

#endif
