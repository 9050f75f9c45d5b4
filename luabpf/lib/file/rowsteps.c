/* SPDX-License-Identifier: MIT */
/*
 * Layouts compiled to the steps of a row writer.
 *
 * Text that is the same in every row is put together while compiling
 * (literal), and becomes the text before the next step or the list's tail.
 */
#include "lib/file/rowsteps.h"

#include "lib/file/rowtext.h"
#include "lib/layout/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what grows while compiling ------------------------------------------- */

struct growing {
	char *at;
	size_t len, room;
};

struct compiler {
	struct lb_steps *w;
	struct growing literal;		/* text not yet part of a step */
	struct growing header;
	uint64_t longest;
	uint32_t leaves;		/* in the header */
	bool first;			/* CSV: nothing stands before in this list */
	bool failed;			/* out of memory */
};

static void add(struct compiler *c, struct growing *g, const char *text, size_t n)
{
	if (g->len + n > g->room) {
		size_t room = 2 * (g->len + n) + 64;
		char *at = realloc(g->at, room);

		if (!at) {
			c->failed = true;
			return;
		}
		g->at = at;
		g->room = room;
	}
	memcpy(g->at + g->len, text, n);
	g->len += n;
}

static void literal(struct compiler *c, const char *text)
{
	add(c, &c->literal, text, strlen(text));
}

/* The literal so far, which begins anew. */
static struct lb_step_text take_literal(struct compiler *c)
{
	size_t room = (c->literal.len + LB_STEP_CHUNK - 1) / LB_STEP_CHUNK * LB_STEP_CHUNK;
	char *copy = lb_layout_alloc(c->w->memory, room);
	struct lb_step_text t = { copy, (uint32_t)c->literal.len };

	if (copy && t.len)
		memcpy(copy, c->literal.at, t.len);
	c->failed |= !copy;
	c->longest += t.len;
	c->literal.len = 0;
	return t;
}

static void begin_list(struct lb_step_list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

/* A new step at the end of the list; NULL: out of memory. */
static struct lb_step *add_step(struct compiler *c, struct lb_step_list *l, enum lb_step_op op,
				uint64_t longest)
{
	struct lb_step *s = lb_layout_alloc(c->w->memory, sizeof(*s));

	if (!s) {
		c->failed = true;
		return NULL;
	}
	s->op = op;
	s->before = take_literal(c);
	c->longest += longest;
	*l->last = s;
	l->last = &s->next;
	return s;
}

/* ---- leaves --------------------------------------------------------------- */

/* Where a value lies. */
struct place {
	uint32_t base, offset, bit, bits;
};

static int compare_names(const void *a, const void *b)
{
	const struct lb_step_name *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static struct lb_step_name make_name(struct compiler *c, const struct lb_enumerator *e,
				     uint32_t order)
{
	bool json = c->w->format == LB_ROWS_JSON;
	size_t n = strlen(e->name);
	char *text = lb_layout_alloc(c->w->memory, n * LB_JSON_BYTE + 2), *end = text;

	c->failed |= !text;
	if (text && json) {
		*end++ = '"';
		end = lb_put_json_text(end, e->name, n);
		*end++ = '"';
	} else if (text) {
		end = lb_put_csv_text(text, e->name, n);
	}
	return (struct lb_step_name){ (uint64_t)e->value, order, (uint32_t)(end - text), text };
}

/* The first name of each value, sorted; adds the longest to *longest. */
static const struct lb_step_names *make_names(struct compiler *c, const struct lb_type *type,
				      uint64_t *longest)
{
	struct lb_step_names *names = lb_layout_alloc(c->w->memory, sizeof(*names) +
					      type->nvalues * sizeof(names->at[0]));

	if (!names) {
		c->failed = true;
		return NULL;
	}
	for (uint32_t i = 0; i < type->nvalues; i++) {
		names->at[i] = make_name(c, &type->values[i], i);
		if (names->at[i].len > *longest)
			*longest = names->at[i].len;
	}
	qsort(names->at, type->nvalues, sizeof(names->at[0]), compare_names);
	for (uint32_t i = 0; i < type->nvalues; i++)
		if (names->n == 0 || names->at[names->n - 1].value != names->at[i].value)
			names->at[names->n++] = names->at[i];
	return names;
}

static enum lb_step_op integer_op(const struct lb_type *type, uint32_t bits)
{
	if (bits || type->kind == LB_BOOL || type->is_signed)
		return LB_OP_INTEGER;
	if (type->big && type->size > 1)
		return type->size == 2 ? LB_OP_BE16 : LB_OP_INTEGER;
	switch (type->size) {
	case 1:
		return LB_OP_U8;
	case 2:
		return LB_OP_U16;
	case 4:
		return LB_OP_U32;
	case 8:
		return LB_OP_U64;
	default:
		return LB_OP_INTEGER;
	}
}

static enum lb_step_op leaf_op(const struct lb_type *type, uint32_t bits)
{
	switch (type->kind) {
	case LB_ENUM:
		return LB_OP_ENUM;
	case LB_FLOAT:
		return LB_OP_FLOAT;
	case LB_TEXT:
		return LB_OP_TEXT;
	case LB_BYTES:
		return LB_OP_BYTES;
	case LB_IPV4:
		return LB_OP_IPV4;
	case LB_IPV6:
	case LB_IP:
	case LB_MAC:
	case LB_PREFIX4:
	case LB_PREFIX6:
		return LB_OP_ADDRESS;
	default:
		return integer_op(type, bits);
	}
}

static uint64_t longest_of(const struct compiler *c, enum lb_step_op op, uint32_t size)
{
	bool json = c->w->format == LB_ROWS_JSON;

	switch (op) {
	case LB_OP_TEXT:
		return (uint64_t)size * (json ? LB_JSON_BYTE : LB_CSV_BYTE) + 2;
	case LB_OP_BYTES:
		return (uint64_t)size * 2;
	case LB_OP_IPV4:
	case LB_OP_ADDRESS:
		return LB_ADDRESS_TEXT;
	default:
		return LB_NUMBER_TEXT;
	}
}

/* What the kernel keeps to itself reads as zeros. */
static void zeros(struct compiler *c, uint32_t size)
{
	if (c->w->format == LB_ROWS_CSV && !c->first)
		literal(c, ",");
	c->first = false;
	if (c->w->format == LB_ROWS_JSON)
		literal(c, "\"");
	for (uint32_t i = 0; i < size; i++)
		literal(c, "00");
	if (c->w->format == LB_ROWS_JSON)
		literal(c, "\"");
}

/* Bytes without a layout have no type. */
static void leaf(struct compiler *c, struct lb_step_list *l, const struct lb_type *type,
		 uint32_t size, struct place at)
{
	enum lb_step_op op = type ? leaf_op(type, at.bits) : LB_OP_BYTES;
	uint64_t longest = longest_of(c, op, size);
	bool quoted = c->w->format == LB_ROWS_JSON && op >= LB_OP_TEXT;
	const struct lb_step_names *names = op == LB_OP_ENUM ? make_names(c, type, &longest) : NULL;
	struct lb_step *s;

	if (c->w->format == LB_ROWS_CSV && !c->first)
		literal(c, ",");
	c->first = false;
	if (quoted)
		literal(c, "\"");
	s = add_step(c, l, op, longest);
	if (s) {
		s->base = at.base;
		s->offset = at.offset;
		s->bit = at.bit;
		s->bits = at.bits;
		s->type = type;
		s->size = size;
		s->names = names;
	}
	if (quoted)
		literal(c, "\"");
}

/* ---- arrays and structs ---------------------------------------------------- */

static void compile_type(struct compiler *c, struct lb_step_list *l, const struct lb_type *type,
			 uint32_t size, struct place at);

/* Whether a value of that type is anything in a row of CSV. */
static bool has_leaves(const struct lb_type *type)
{
	if (!type)
		return true;
	if (type->kind == LB_ARRAY)
		return type->n > 0 && has_leaves(type->elem);
	if (type->kind != LB_STRUCT && type->kind != LB_UNION)
		return true;
	for (uint32_t i = 0; i < type->nmembers; i++)
		if (has_leaves(type->members[i].type))
			return true;
	return type->ngaps > 0;
}

static void loop(struct compiler *c, struct lb_step_list *l, const struct lb_type *elem,
		 uint32_t size, uint32_t n, uint32_t stride, struct place at)
{
	uint64_t before;
	struct lb_step *s;

	if (n == 0 || (c->w->format == LB_ROWS_CSV && !has_leaves(elem)))
		return;
	if (c->w->format == LB_ROWS_CSV && !c->first)
		literal(c, ",");
	s = add_step(c, l, LB_OP_LOOP, 0);
	if (!s)
		return;
	s->base = at.base;
	s->offset = at.offset;
	s->n = n;
	s->stride = stride;
	begin_list(&s->body);
	before = c->longest;
	c->first = true;
	compile_type(c, &s->body, elem, size, (struct place){ 0 });
	s->body.tail = take_literal(c);
	c->longest = before + n * (c->longest - before + 1);
	c->first = false;
}

static void array(struct compiler *c, struct lb_step_list *l, const struct lb_type *elem,
		  uint32_t size, uint32_t n, uint32_t stride, struct place at)
{
	bool json = c->w->format == LB_ROWS_JSON;

	if (json)
		literal(c, "[");
	loop(c, l, elem, size, n, stride, at);
	if (json)
		literal(c, "]");
}

static void json_name(struct compiler *c, const char *name, size_t n)
{
	char *text = malloc(n * LB_JSON_BYTE + 1);

	if (!text) {
		c->failed = true;
		return;
	}
	literal(c, "\"");
	add(c, &c->literal, text, (size_t)(lb_put_json_text(text, name, n) - text));
	literal(c, "\":");
	free(text);
}

/* In JSON a member that is mostly absent, in CSV a field that is mostly empty. */
static void padding(struct compiler *c, struct lb_step_list *l, const struct lb_type *type,
		    struct place at)
{
	uint64_t name = strlen(type->padding_name) + sizeof(",\"\":\"\"");
	struct lb_step *s;

	if (c->w->format == LB_ROWS_CSV && !c->first)
		literal(c, ",");
	c->first = false;
	s = add_step(c, l, LB_OP_PADDING, name + 2ULL * type->padding);
	if (s) {
		s->base = at.base;
		s->offset = at.offset;
		s->type = type;
	}
}

static void record(struct compiler *c, struct lb_step_list *l, const struct lb_type *type,
		   struct place at)
{
	bool json = c->w->format == LB_ROWS_JSON;

	if (json)
		literal(c, "{");
	for (uint32_t i = 0; i < type->nmembers; i++) {
		const struct lb_member *m = &type->members[i];

		if (json && i > 0)
			literal(c, ",");
		if (json)
			json_name(c, m->name, strlen(m->name));
		compile_type(c, l, m->type, m->type->size,
			     (struct place){ at.base, at.offset + m->offset, m->bit, m->bits });
	}
	if (type->ngaps)
		padding(c, l, type, at);
	if (json)
		literal(c, "}");
}

static void compile_type(struct compiler *c, struct lb_step_list *l, const struct lb_type *type,
			 uint32_t size, struct place at)
{
	if (type && type->kind == LB_ARRAY)
		array(c, l, type->elem, type->elem->size, type->n, type->elem->size, at);
	else if (type && (type->kind == LB_STRUCT || type->kind == LB_UNION))
		record(c, l, type, at);
	else if (type && type->kind == LB_SPECIAL)
		zeros(c, size);
	else
		leaf(c, l, type, size, at);
}

static void compile_column(struct compiler *c, const struct lb_row_column *column)
{
	const struct lb_shape *shape = &column->shape;
	struct lb_step_list *l = &c->w->row;
	struct place at = { column->base, column->offset, 0, 0 };

	if (shape->ncpu)
		array(c, l, shape->type, shape->size, shape->ncpu, lb_cpu_stride(shape->size), at);
	else
		compile_type(c, l, shape->type, shape->size, at);
}

static void compile_row(struct compiler *c, const struct lb_row_column *columns, uint32_t n)
{
	bool json = c->w->format == LB_ROWS_JSON;

	begin_list(&c->w->row);
	c->first = true;
	if (json)
		literal(c, "{");
	for (uint32_t i = 0; i < n; i++) {
		if (json && i > 0)
			literal(c, ",");
		if (json)
			json_name(c, columns[i].name, columns[i].name_len);
		compile_column(c, &columns[i]);
	}
	literal(c, json ? "}\n" : "\r\n");
	c->w->row.tail = take_literal(c);
	c->w->longest = c->longest + LB_STEP_CHUNK;
}

/* ---- the header of CSV ------------------------------------------------------- */

static void header_name(struct compiler *c, const struct growing *path)
{
	char *text = malloc(path->len * LB_CSV_BYTE + 2);

	if (!text) {
		c->failed = true;
		return;
	}
	if (c->leaves++ > 0)
		add(c, &c->header, ",", 1);
	add(c, &c->header, text, (size_t)(lb_put_csv_text(text, path->at, path->len) - text));
	free(text);
}

static void header_type(struct compiler *c, const struct lb_type *type, struct growing *path);

static void header_list(struct compiler *c, const struct lb_type *elem, uint32_t n,
			struct growing *path)
{
	size_t len = path->len;

	for (uint32_t i = 0; i < n && c->leaves <= LB_CSV_COLUMNS && has_leaves(elem); i++) {
		char index[16];

		add(c, path, index, (size_t)snprintf(index, sizeof(index), "[%u]", i + 1));
		header_type(c, elem, path);
		path->len = len;
	}
}

/* type NULL: a leaf. */
static void header_member(struct compiler *c, const char *name, const struct lb_type *type,
			  struct growing *path)
{
	size_t len = path->len;

	add(c, path, ".", 1);
	add(c, path, name, strlen(name));
	if (type)
		header_type(c, type, path);
	else
		header_name(c, path);
	path->len = len;
}

static void header_type(struct compiler *c, const struct lb_type *type, struct growing *path)
{

	if (c->failed || c->leaves > LB_CSV_COLUMNS)
		return;
	if (type && type->kind == LB_ARRAY) {
		header_list(c, type->elem, type->n, path);
		return;
	}
	if (!type || (type->kind != LB_STRUCT && type->kind != LB_UNION)) {
		header_name(c, path);
		return;
	}
	for (uint32_t i = 0; i < type->nmembers; i++)
		header_member(c, type->members[i].name, type->members[i].type, path);
	if (type->ngaps)
		header_member(c, type->padding_name, NULL, path);
}

/* The names of all leaves, as expressions write them. */
static void compile_header(struct compiler *c, const struct lb_row_column *columns, uint32_t n)
{
	struct growing path = { 0 };

	for (uint32_t i = 0; i < n && !c->failed; i++) {
		path.len = 0;
		add(c, &path, columns[i].name, columns[i].name_len);
		if (columns[i].shape.ncpu)
			header_list(c, columns[i].shape.type, columns[i].shape.ncpu, &path);
		else
			header_type(c, columns[i].shape.type, &path);
	}
	add(c, &c->header, "\r\n", 2);
	free(path.at);
}

const char *lb_steps_compile(struct lb_steps *w, const struct lb_row_column *columns,
			     uint32_t n)
{
	struct compiler c = { .w = w };

	compile_row(&c, columns, n);
	free(c.literal.at);
	if (w->format == LB_ROWS_CSV)
		compile_header(&c, columns, n);
	w->header = c.header.at;
	w->header_len = c.header.len;
	if (c.leaves > LB_CSV_COLUMNS)
		return "an entry has more than 65536 columns of CSV (JSON lines have no limit)";
	return c.failed || w->longest > SIZE_MAX / 4 ? "out of memory" : NULL;
}

const struct lb_type *lb_row_integer(bool is_signed)
{
	static const struct lb_type types[] = {
		{ .kind = LB_INT, .size = 8, .align = 8, .name = "u64" },
		{ .kind = LB_INT, .size = 8, .align = 8, .name = "s64", .is_signed = true },
	};

	return &types[is_signed];
}
