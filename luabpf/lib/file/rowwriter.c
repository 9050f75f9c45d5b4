/* SPDX-License-Identifier: MIT */
/*
 * Row writers: layouts compiled to steps, and steps run over an entry.
 *
 * Text that is the same in every row is put together while compiling
 * (literal), and becomes the text before the next step or the list's tail. It is
 * copied 16 bytes at a time, so it is padded, and rows may be written 16 bytes
 * past their end.
 */
#include "lib/file/rowwriter.h"

#include "lib/layout/address.h"
#include "lib/file/rowtext.h"

#include <stdio.h>
#include <stdlib.h>

#define CHUNK 16

enum op {
	OP_U8, OP_U16, OP_U32, OP_U64, OP_BE16,	/* the integers that tables are full of */
	OP_INTEGER,				/* integers, bools, bitfields */
	OP_ENUM, OP_FLOAT, OP_TEXT, OP_BYTES, OP_IPV4, OP_ADDRESS,
	OP_LOOP,				/* an array, or the values of all CPUs */
};

/* The names of an enum, by value; quoted in JSON. */
struct name {
	uint64_t value;
	uint32_t order;		/* which of several names of a value came first */
	uint32_t len;
	const char *text;
};

struct names {
	uint32_t n;
	struct name at[];
};

struct text {
	const char *at;		/* padded to a multiple of CHUNK */
	uint32_t len;
};

struct list {
	struct step *first, **last;
	struct text tail;	/* after the last step */
};

struct step {
	struct step *next;
	struct text before;
	enum op op;
	uint32_t base, offset;
	uint32_t bit, bits;
	const struct lb_type *type;
	uint32_t size;			/* OP_BYTES */
	const struct names *names;	/* OP_ENUM */
	struct list body;		/* OP_LOOP: one element */
	uint32_t n, stride;
};

struct lb_writer {
	enum lb_row_format format;
	struct lb_layout *memory;	/* an arena: of no layout */
	struct list row;
	uint64_t longest;
	char *header;			/* malloc'd */
	size_t header_len;
};

/* ---- what grows while compiling ------------------------------------------- */

struct growing {
	char *at;
	size_t len, room;
};

struct compiler {
	struct lb_writer *w;
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
static struct text take_literal(struct compiler *c)
{
	size_t room = (c->literal.len + CHUNK - 1) / CHUNK * CHUNK;
	char *copy = lb_layout_alloc(c->w->memory, room);
	struct text t = { copy, (uint32_t)c->literal.len };

	if (copy && t.len)
		memcpy(copy, c->literal.at, t.len);
	c->failed |= !copy;
	c->longest += t.len;
	c->literal.len = 0;
	return t;
}

static void begin_list(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

/* A new step at the end of the list; NULL: out of memory. */
static struct step *add_step(struct compiler *c, struct list *l, enum op op, uint64_t longest)
{
	struct step *s = lb_layout_alloc(c->w->memory, sizeof(*s));

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
	const struct name *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static struct name make_name(struct compiler *c, const struct lb_enumerator *e, uint32_t order)
{
	const char *quote = c->w->format == LB_ROWS_JSON ? "\"" : "";
	size_t room = strlen(e->name) + 3;
	char *text = lb_layout_alloc(c->w->memory, room);

	c->failed |= !text;
	return (struct name){ (uint64_t)e->value, order,
			      text ? (uint32_t)snprintf(text, room, "%s%s%s", quote, e->name, quote)
				   : 0, text };
}

/* The first name of each value, sorted; adds the longest to *longest. */
static const struct names *make_names(struct compiler *c, const struct lb_type *type,
				      uint64_t *longest)
{
	struct names *names = lb_layout_alloc(c->w->memory, sizeof(*names) +
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

static enum op integer_op(const struct lb_type *type, uint32_t bits)
{
	if (bits || type->kind == LB_BOOL || type->is_signed)
		return OP_INTEGER;
	if (type->big && type->size > 1)
		return type->size == 2 ? OP_BE16 : OP_INTEGER;
	switch (type->size) {
	case 1:
		return OP_U8;
	case 2:
		return OP_U16;
	case 4:
		return OP_U32;
	case 8:
		return OP_U64;
	default:
		return OP_INTEGER;
	}
}

static enum op leaf_op(const struct lb_type *type, uint32_t bits)
{
	switch (type->kind) {
	case LB_ENUM:
		return OP_ENUM;
	case LB_FLOAT:
		return OP_FLOAT;
	case LB_TEXT:
		return OP_TEXT;
	case LB_BYTES:
		return OP_BYTES;
	case LB_IPV4:
		return OP_IPV4;
	case LB_IPV6:
	case LB_IP:
	case LB_MAC:
	case LB_PREFIX4:
	case LB_PREFIX6:
		return OP_ADDRESS;
	default:
		return integer_op(type, bits);
	}
}

static uint64_t longest_of(const struct compiler *c, enum op op, uint32_t size)
{
	bool json = c->w->format == LB_ROWS_JSON;

	switch (op) {
	case OP_TEXT:
		return (uint64_t)size * (json ? LB_JSON_BYTE : LB_CSV_BYTE) + 2;
	case OP_BYTES:
		return (uint64_t)size * 2;
	case OP_IPV4:
	case OP_ADDRESS:
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
static void leaf(struct compiler *c, struct list *l, const struct lb_type *type, uint32_t size,
		 struct place at)
{
	enum op op = type ? leaf_op(type, at.bits) : OP_BYTES;
	uint64_t longest = longest_of(c, op, size);
	bool quoted = c->w->format == LB_ROWS_JSON && op >= OP_TEXT;
	const struct names *names = op == OP_ENUM ? make_names(c, type, &longest) : NULL;
	struct step *s;

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

static void compile_type(struct compiler *c, struct list *l, const struct lb_type *type,
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
	return false;
}

static void loop(struct compiler *c, struct list *l, const struct lb_type *elem, uint32_t size,
		 uint32_t n, uint32_t stride, struct place at)
{
	uint64_t before;
	struct step *s;

	if (n == 0 || (c->w->format == LB_ROWS_CSV && !has_leaves(elem)))
		return;
	if (c->w->format == LB_ROWS_CSV && !c->first)
		literal(c, ",");
	s = add_step(c, l, OP_LOOP, 0);
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

static void array(struct compiler *c, struct list *l, const struct lb_type *elem, uint32_t size,
		  uint32_t n, uint32_t stride, struct place at)
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

static void record(struct compiler *c, struct list *l, const struct lb_type *type, struct place at)
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
	if (json)
		literal(c, "}");
}

static void compile_type(struct compiler *c, struct list *l, const struct lb_type *type,
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
	struct list *l = &c->w->row;
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
	c->w->longest = c->longest + CHUNK;
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

static void header_type(struct compiler *c, const struct lb_type *type, struct growing *path)
{
	size_t len = path->len;

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
	for (uint32_t i = 0; i < type->nmembers; i++) {
		add(c, path, ".", 1);
		add(c, path, type->members[i].name, strlen(type->members[i].name));
		header_type(c, type->members[i].type, path);
		path->len = len;
	}
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

/* ---- the interface ------------------------------------------------------------ */

static const char *compile(struct lb_writer *w, const struct lb_row_column *columns, uint32_t n)
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

struct lb_writer *lb_writer_new(enum lb_row_format format, const struct lb_row_column *columns,
				uint32_t n, const char **why)
{
	struct lb_writer *w = calloc(1, sizeof(*w));

	*why = "out of memory";
	if (!w)
		return NULL;
	w->format = format;
	w->memory = lb_layout_new();
	if (w->memory)
		*why = compile(w, columns, n);
	if (!*why)
		return w;
	lb_writer_free(w);
	return NULL;
}

void lb_writer_free(struct lb_writer *w)
{
	if (!w)
		return;
	lb_layout_free(w->memory);
	free(w->header);
	free(w);
}

size_t lb_writer_longest(const struct lb_writer *w)
{
	return (size_t)w->longest;
}

const char *lb_writer_header(const struct lb_writer *w, size_t *n)
{
	*n = w->header_len;
	return w->header;
}

const struct lb_type *lb_row_integer(bool is_signed)
{
	static const struct lb_type types[] = {
		{ .kind = LB_INT, .size = 8, .align = 8, .name = "u64" },
		{ .kind = LB_INT, .size = 8, .align = 8, .name = "s64", .is_signed = true },
	};

	return &types[is_signed];
}

/* ---- running -------------------------------------------------------------------- */

static inline char *put_text(char *s, const struct text *t)
{
	for (uint32_t i = 0; i < t->len; i += CHUNK)
		memcpy(s + i, t->at + i, CHUNK);
	return s + t->len;
}

static uint64_t load(const struct step *s, const uint8_t *p)
{
	if (s->bits)
		return lb_load_bits(p, s->bit, s->bits, s->type->is_signed);
	return lb_load_int(p, s->type);
}

static char *put_number(char *out, const struct step *s, uint64_t v)
{
	return s->type->is_signed ? lb_put_s64(out, v) : lb_put_u64(out, v);
}

static char *put_integer(char *out, const struct step *s, const uint8_t *p)
{
	uint64_t v = load(s, p);

	if (s->type->kind != LB_BOOL || v > 1)
		return put_number(out, s, v);
	memcpy(out, v ? "true" : "false", 5);
	return out + (v ? 4 : 5);
}

static const struct name *find_name(const struct names *names, uint64_t v)
{
	uint32_t low = 0, high = names->n;

	/* Most enums count up from their first value. */
	if (high && v - names->at[0].value < high && names->at[v - names->at[0].value].value == v)
		return &names->at[v - names->at[0].value];
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (names->at[mid].value < v)
			low = mid + 1;
		else
			high = mid;
	}
	return low < names->n && names->at[low].value == v ? &names->at[low] : NULL;
}

static char *put_enum(char *out, const struct step *s, const uint8_t *p)
{
	uint64_t v = load(s, p);
	const struct name *name = find_name(s->names, v);

	if (!name)
		return put_number(out, s, v);
	memcpy(out, name->text, name->len);
	return out + name->len;
}

static char *put_ipv4(char *out, const uint8_t *p)
{
	for (int i = 0; i < 4; i++) {
		out = lb_put_u64(out, p[i]);
		*out++ = '.';
	}
	return out - 1;
}

static char *put_string(const struct lb_writer *w, char *out, const struct step *s,
			const uint8_t *p)
{
	const char *text = (const char *)p;
	size_t n = lb_text_length(text, s->size);

	return w->format == LB_ROWS_JSON ? lb_put_json_text(out, text, n)
					 : lb_put_csv_text(out, text, n);
}

static char *put_list(const struct lb_writer *w, const struct list *l,
		      const uint8_t *const bases[2], char *out);

static char *put_loop(const struct lb_writer *w, char *out, const struct step *s, const uint8_t *p)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *const bases[2] = { p + (size_t)i * s->stride };

		if (i > 0)
			*out++ = ',';
		out = put_list(w, &s->body, bases, out);
	}
	return out;
}

static char *put_value(const struct lb_writer *w, char *out, const struct step *s, const uint8_t *p)
{
	uint32_t u32;
	uint16_t u16;
	uint64_t u64;

	switch (s->op) {
	case OP_U8:
		return lb_put_u64(out, *p);
	case OP_U16:
		memcpy(&u16, p, sizeof(u16));
		return lb_put_u64(out, u16);
	case OP_BE16:
		memcpy(&u16, p, sizeof(u16));
		return lb_put_u64(out, be16toh(u16));
	case OP_U32:
		memcpy(&u32, p, sizeof(u32));
		return lb_put_u64(out, u32);
	case OP_U64:
		memcpy(&u64, p, sizeof(u64));
		return lb_put_u64(out, u64);
	case OP_INTEGER:
		return put_integer(out, s, p);
	case OP_ENUM:
		return put_enum(out, s, p);
	case OP_FLOAT:
		return lb_put_float(out, p, s->type->size, w->format == LB_ROWS_JSON);
	case OP_TEXT:
		return put_string(w, out, s, p);
	case OP_BYTES:
		return lb_put_hex(out, p, s->size);
	case OP_IPV4:
		return put_ipv4(out, p);
	case OP_ADDRESS:
		return out + lb_address_format(s->type->kind, p, out);
	case OP_LOOP:
		return put_loop(w, out, s, p);
	}
	return out;
}

static char *put_list(const struct lb_writer *w, const struct list *l,
		      const uint8_t *const bases[2], char *out)
{
	for (const struct step *s = l->first; s; s = s->next)
		out = put_value(w, put_text(out, &s->before), s, bases[s->base] + s->offset);
	return put_text(out, &l->tail);
}

char *lb_writer_row(const struct lb_writer *w, const uint8_t *const bases[2], char *s)
{
	return put_list(w, &w->row, bases, s);
}
