/* SPDX-License-Identifier: MIT */
/* Rows of JSON lines, from their text to the bytes of a key and a value. No Lua here. */
#ifndef LUABPF_LIB_FILE_JSONROW_H
#define LUABPF_LIB_FILE_JSONROW_H

#include "lib/file/rowleaf.h"

/* Reads a row; false with t->f.problem set. Writes into the text. */
bool lb_json_row(struct lb_row_target *t, char *text, size_t n, uint8_t *key, uint8_t *value_bytes);

#endif
