/* SPDX-License-Identifier: MIT */
/*
 * One value of a row, from its text to its bytes: what the readers of JSON lines
 * and CSV share. No Lua here.
 */
#ifndef LUABPF_LIB_FILE_ROWLEAF_H
#define LUABPF_LIB_FILE_ROWLEAF_H

#include "lib/layout/layout.h"

/* Where a value stands: "value.slots[2].x". */
struct lb_spot {
	const struct lb_spot *up;	/* NULL: this is the start */
	const char *name;		/* NULL: an index, from 1 */
	size_t name_len;
	uint32_t index;
};

/* Text of a value. Quoted text is a JSON string's inside, decoded; CSV has both kinds alike. */
struct lb_token {
	char *at;
	size_t n;
	bool quoted, bare;
};

/* What is being filled in. */
struct lb_filling {
	uint8_t *base;		/* the first byte of a key, or of a value of one CPU */
	uint8_t *written;	/* its bits written so far; NULL: its type has no union */
	char *problem;		/* what is wrong: "value.bytes: integer expected"; malloc'd */
};

/* What rows are read into. */
struct lb_row_target {
	struct lb_shape key, value;
	uint8_t *written;	/* malloc'd: bits of a key, of the values of all CPUs */
	struct lb_filling f;
};

/* False: out of memory. The types must stay. */
bool lb_target_open(struct lb_row_target *t, const struct lb_shape *key,
		    const struct lb_shape *value);
void lb_target_close(struct lb_row_target *t);
/* Zeroes the bytes of a key and of a value, for a row. */
void lb_target_clear(struct lb_row_target *t, uint8_t *key, uint8_t *value);
/* Begins a key, or the value of a CPU, at base; the bits written are those at offset. */
void lb_target_begin(struct lb_row_target *t, const struct lb_shape *shape, uint8_t *base,
		     size_t offset);

/* Sets f->problem, behind the spot's text; false. */
bool lb_row_problem(struct lb_filling *f, const struct lb_spot *spot, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Stores the text as a member of the struct at p: m has its type, bit offset and
 * width, not its byte offset. type NULL: bytes of that size. May write into the text.
 */
bool lb_leaf_read(struct lb_filling *f, const struct lb_member *m, uint32_t size, uint8_t *p,
		  struct lb_token *t, const struct lb_spot *spot);

/* The padding of the record at p, of that type: hexadecimal digits; no text means zeros. */
bool lb_padding_read(struct lb_filling *f, const struct lb_type *type, uint8_t *p,
		     const struct lb_token *t, const struct lb_spot *spot);

#endif
