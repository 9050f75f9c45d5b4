/* SPDX-License-Identifier: MIT */
/*
 * Row readers: the reverse of row writers, from JSON lines or CSV to the bytes
 * of keys and values. docs/export.md defines both. No Lua here.
 *
 *	r = lb_row_reader_new(LB_ROWS_JSON, &key, &value)
 *	n = lb_row_reader_length(r, text, size, ended)	of the first row in text
 *	ok = lb_row_reader_read(r, text, n, key_bytes, value_bytes)
 *
 * The first row of CSV is its header, for lb_row_reader_header.
 */
#ifndef LUABPF_LIB_FILE_ROWREADER_H
#define LUABPF_LIB_FILE_ROWREADER_H

#include "lib/file/rowformat.h"

struct lb_row_reader;

/* The types must stay as long as the reader. NULL: out of memory. */
struct lb_row_reader *lb_row_reader_new(enum lb_row_format format, const struct lb_shape *key,
					const struct lb_shape *value);
void lb_row_reader_free(struct lb_row_reader *r);
/*
 * Bytes of the first row of text, with its line end; 0 if its end is not there
 * yet. ended: no more text comes.
 */
size_t lb_row_reader_length(const struct lb_row_reader *r, const char *text, size_t n, bool ended);
/* Whether a row is nothing but a line end, which is passed over. */
bool lb_row_reader_blank(const struct lb_row_reader *r, const char *text, size_t n);
/* The names of CSV: what its columns are. False: lb_row_reader_problem. Writes into the text. */
bool lb_row_reader_header(struct lb_row_reader *r, char *text, size_t n);
/*
 * Reads a row into the stride bytes of a key and of a value. False: see
 * lb_row_reader_problem. Writes into the text.
 */
bool lb_row_reader_read(struct lb_row_reader *r, char *text, size_t n, uint8_t *key,
			uint8_t *value);
/* What was wrong. */
const char *lb_row_reader_problem(const struct lb_row_reader *r);

#endif
