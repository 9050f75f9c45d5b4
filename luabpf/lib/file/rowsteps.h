/* SPDX-License-Identifier: MIT */
/*
 * The steps of a row writer: the layouts of a row, compiled. Each step is a piece
 * of text that is the same in every row, then a value; arrays and per-CPU values
 * are a step with a list of its own, structs nothing but text.
 */
#ifndef LUABPF_LIB_FILE_ROWSTEPS_H
#define LUABPF_LIB_FILE_ROWSTEPS_H

#include "lib/file/rowformat.h"

/* Text is copied so many bytes at a time, and padded accordingly. */
#define LB_STEP_CHUNK 16

enum lb_step_op {
	/* The integers that tables are full of. */
	LB_OP_U8, LB_OP_U16, LB_OP_U32, LB_OP_U64, LB_OP_BE16,
	LB_OP_INTEGER,				/* integers, bools, bitfields */
	LB_OP_ENUM, LB_OP_FLOAT, LB_OP_TEXT, LB_OP_BYTES, LB_OP_IPV4, LB_OP_ADDRESS,
	LB_OP_PADDING,				/* of a struct, where it is not zero */
	LB_OP_LOOP,				/* an array, or the values of all CPUs */
};

/* The names of an enum, by value; quoted in JSON. */
struct lb_step_name {
	uint64_t value;
	uint32_t order;		/* which of several names of a value came first */
	uint32_t len;
	const char *text;
};

struct lb_step_names {
	uint32_t n;
	struct lb_step_name at[];
};

struct lb_step_text {
	const char *at;		/* padded to a multiple of LB_STEP_CHUNK */
	uint32_t len;
};

struct lb_step_list {
	struct lb_step *first, **last;
	struct lb_step_text tail;	/* after the last step */
};

struct lb_step {
	struct lb_step *next;
	struct lb_step_text before;
	enum lb_step_op op;
	uint32_t base, offset;
	uint32_t bit, bits;
	const struct lb_type *type;
	uint32_t size;			/* LB_OP_BYTES */
	const struct lb_step_names *names;	/* LB_OP_ENUM */
	struct lb_step_list body;		/* LB_OP_LOOP: one element */
	uint32_t n, stride;
};

struct lb_steps {
	enum lb_row_format format;
	struct lb_layout *memory;	/* an arena: of no layout */
	struct lb_step_list row;
	uint64_t longest;		/* bytes that a row may need */
	char *header;			/* malloc'd */
	size_t header_len;
};

/* Compiles a row of those columns; format and memory are set. NULL, or what is wrong. */
const char *lb_steps_compile(struct lb_steps *w, const struct lb_row_column *columns, uint32_t n);

#endif
