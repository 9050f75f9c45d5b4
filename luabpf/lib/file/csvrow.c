/* SPDX-License-Identifier: MIT */
/*
 * Rows of CSV. Leaves are found by name once, in the header. Fields in quotes are
 * decoded in place, in the row's text.
 */
#include "lib/file/csvrow.h"

#include "lib/file/rowtext.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A column of CSV, or a leaf that one may be of. */
struct lb_csv_column {
	const char *name;
	uint32_t name_len;
	bool of_value, used, padding;
	uint32_t cpu;		/* byte offset of one CPU's value, plus the leaf's own */
	uint32_t size;
	struct lb_member leaf;	/* offset: within the key or the CPU's value; of padding, its record */
};

/* ---- leaves and columns --------------------------------------------------------------- */

struct path {
	char *text;	/* malloc'd */
	size_t n, room;
};

static void add_leaf(struct lb_csv *c, const struct path *path, const struct lb_csv_column *like)
{
	struct lb_csv_column *leaf;
	char *name;

	if (c->nleaves == c->room) {
		uint32_t room = 2 * c->room + 64;

		leaf = realloc(c->leaves, room * sizeof(*leaf));
		if (!leaf) {
			c->failed = true;
			return;
		}
		c->leaves = leaf;
		c->room = room;
	}
	name = lb_layout_alloc(c->memory, path->n + 1);
	if (!name) {
		c->failed = true;
		return;
	}
	memcpy(name, path->text, path->n);
	leaf = &c->leaves[c->nleaves++];
	*leaf = *like;
	leaf->name = name;
	leaf->name_len = (uint32_t)path->n;
}

static void append(struct lb_csv *c, struct path *path, const char *dot, const char *name)
{
	size_t dots = strlen(dot), n = strlen(name);

	if (path->n + dots + n > path->room) {
		size_t room = 2 * (path->n + dots + n);
		char *text = realloc(path->text, room);

		c->failed = c->failed || !text;
		if (!text)
			return;
		path->text = text;
		path->room = room;
	}
	memcpy(path->text + path->n, dot, dots);
	memcpy(path->text + path->n + dots, name, n);
	path->n += dots + n;
}

static void append_index(struct lb_csv *c, struct path *path, uint32_t i)
{
	char text[16];

	snprintf(text, sizeof(text), "[%u]", i + 1);
	append(c, path, "", text);
}

/* Adds the leaves of a type, which lies at like->leaf.offset. */
static void add_leaves(struct lb_csv *c, struct path *path, const struct lb_csv_column *like)
{
	const struct lb_type *type = like->leaf.type;
	struct lb_csv_column inner = *like;
	size_t n = path->n;

	if (c->failed || c->nleaves > LB_CSV_COLUMNS)
		return;
	if (type && type->kind == LB_ARRAY) {
		for (uint32_t i = 0; i < type->n && c->nleaves <= LB_CSV_COLUMNS; i++) {
			append_index(c, path, i);
			inner.leaf = (struct lb_member){ .type = type->elem,
				.offset = like->leaf.offset + i * type->elem->size };
			inner.size = type->elem->size;
			add_leaves(c, path, &inner);
			path->n = n;
		}
		return;
	}
	if (!type || (type->kind != LB_STRUCT && type->kind != LB_UNION)) {
		add_leaf(c, path, like);
		return;
	}
	for (uint32_t i = 0; i < type->nmembers; i++) {
		append(c, path, ".", type->members[i].name);
		inner.leaf = type->members[i];
		inner.leaf.offset += like->leaf.offset;
		inner.size = inner.leaf.type->size;
		add_leaves(c, path, &inner);
		path->n = n;
	}
	if (type->ngaps) {
		inner = *like;
		inner.padding = true;
		append(c, path, ".", type->padding_name);
		add_leaf(c, path, &inner);
		path->n = n;
	}
}

static void add_shape(struct lb_csv *c, const struct lb_shape *shape, const char *name,
		      bool of_value)
{
	struct lb_csv_column like = { .of_value = of_value, .size = shape->size,
			       .leaf = { .type = shape->type } };
	struct path path = { .n = 0 };

	append(c, &path, "", name);
	if (!shape->ncpu)
		add_leaves(c, &path, &like);
	for (uint32_t cpu = 0; cpu < shape->ncpu; cpu++) {
		size_t n = path.n;

		append_index(c, &path, cpu);
		like.cpu = cpu * lb_cpu_stride(shape->size);
		add_leaves(c, &path, &like);
		path.n = n;
	}
	free(path.text);
}

static int compare_text(const char *a, size_t an, const char *b, size_t bn)
{
	int order = memcmp(a, b, an < bn ? an : bn);

	return order ? order : (an > bn) - (an < bn);
}

static int compare_leaves(const void *a, const void *b)
{
	const struct lb_csv_column *x = a, *y = b;

	return compare_text(x->name, x->name_len, y->name, y->name_len);
}

static struct lb_csv_column *find_leaf(struct lb_csv *c, const struct lb_token *name)
{
	uint32_t low = 0, high = c->nleaves;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		struct lb_csv_column *leaf = &c->leaves[mid];
		int order = compare_text(leaf->name, leaf->name_len, name->at, name->n);

		if (order == 0)
			return leaf;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- fields ----------------------------------------------------------------------------- */

/* The field in quotes at *p, decoded in place; *p is behind it afterwards. */
static bool quoted_field(char **p, char *end, struct lb_token *t)
{
	char *from = *p + 1, *to = from;

	t->at = from;
	for (; from < end; from++) {
		if (*from == '"') {
			if (from + 1 == end || from[1] != '"')
				break;
			from++;
		}
		*to++ = *from;
	}
	if (from == end)
		return false;
	t->n = (size_t)(to - t->at);
	*p = from + 1;
	return *p == end || **p == ',';
}

/* The field at *p, which is at the comma behind it afterwards, or at the end. */
static bool field(char **p, char *end, struct lb_token *t)
{
	char *comma;

	*t = (struct lb_token){ .quoted = true, .bare = true };
	if (*p < end && **p == '"')
		return quoted_field(p, end, t);
	comma = memchr(*p, ',', (size_t)(end - *p));
	t->at = *p;
	*p = comma ? comma : end;
	t->n = (size_t)(*p - t->at);
	return !memchr(t->at, '"', t->n);
}

static char *without_line_end(char *text, size_t n)
{
	if (n && text[n - 1] == '\n')
		n--;
	if (n && text[n - 1] == '\r')
		n--;
	return text + n;
}

static bool add_column(struct lb_csv *c, struct lb_row_target *t, const struct lb_token *name)
{
	const struct lb_spot spot = { NULL, name->at, name->n, 0 };
	struct lb_csv_column *leaf = find_leaf(c, name);

	if (!leaf)
		return lb_row_problem(&t->f, &spot, "the map has no such column");
	if (leaf->used)
		return lb_row_problem(&t->f, &spot, "a column that is there twice");
	leaf->used = true;
	c->columns[c->ncolumns++] = leaf;
	return true;
}

bool lb_csv_header(struct lb_csv *c, struct lb_row_target *t, char *text, size_t n)
{
	char *end = without_line_end(text, n), *p = text;
	bool has_key = false;
	struct lb_token name;

	c->columns = calloc(c->nleaves + 1, sizeof(struct lb_csv_column *));
	if (!c->columns)
		return lb_row_problem(&t->f, NULL, "out of memory");
	for (;; p++) {
		if (!field(&p, end, &name))
			return lb_row_problem(&t->f, NULL, "a quote within a field");
		if (!add_column(c, t, &name))
			return false;
		has_key = has_key || !c->columns[c->ncolumns - 1]->of_value;
		if (p == end)
			break;
	}
	return has_key || lb_row_problem(&t->f, NULL, "there is no column of the key");
}

static bool read_field(struct lb_row_target *t, const struct lb_csv_column *column, uint8_t *p,
		       struct lb_token *text, const struct lb_spot *spot)
{
	if (column->padding)
		return lb_padding_read(&t->f, column->leaf.type, p, text, spot);
	return lb_leaf_read(&t->f, &column->leaf, column->size, p, text, spot);
}

bool lb_csv_row(const struct lb_csv *c, struct lb_row_target *target, char *text, size_t n,
		uint8_t *key, uint8_t *value_bytes)
{
	char *end = without_line_end(text, n), *p = text;

	for (uint32_t i = 0; i < c->ncolumns; i++, p++) {
		const struct lb_csv_column *column = c->columns[i];
		const struct lb_spot spot = { NULL, column->name, column->name_len, 0 };
		uint8_t *base = (column->of_value ? value_bytes : key) + column->cpu;
		struct lb_token t;

		if (p > end)
			return lb_row_problem(&target->f, NULL, "%u fields, %u expected", i,
					      c->ncolumns);
		if (!field(&p, end, &t))
			return lb_row_problem(&target->f, &spot,
					      "a quote within a field, or one missing");
		if (!lb_is_utf8(t.at, t.n))
			return lb_row_problem(&target->f, &spot, "a field that is not UTF-8");
		lb_target_begin(target, column->of_value ? &target->value : &target->key, base,
		      (column->of_value ? target->key.stride : 0) + column->cpu);
		if (!read_field(target, column, base + column->leaf.offset, &t, &spot))
			return false;
	}
	return p > end || lb_row_problem(&target->f, NULL, "more than %u fields", c->ncolumns);
}

/* ---- the interface ------------------------------------------------------------------------ */

size_t lb_csv_length(const char *text, size_t n)
{
	const char *p = text, *end = text + n;
	bool quoted = false;

	while (p < end) {
		const char *line = memchr(p, '\n', (size_t)(end - p));
		const char *stop = line ? line : end;

		for (; (p = memchr(p, '"', (size_t)(stop - p))); p++)
			quoted = !quoted;
		if (!line)
			return 0;
		p = line + 1;
		if (!quoted)
			return (size_t)(p - text);
	}
	return 0;
}

bool lb_csv_open(struct lb_csv *c, const struct lb_row_target *t)
{
	c->memory = lb_layout_new();
	if (!c->memory)
		return false;
	add_shape(c, &t->key, "key", false);
	add_shape(c, &t->value, "value", true);
	if (c->nleaves)
		qsort(c->leaves, c->nleaves, sizeof(c->leaves[0]), compare_leaves);
	return !c->failed;
}

void lb_csv_close(struct lb_csv *c)
{
	lb_layout_free(c->memory);
	free(c->leaves);
	free(c->columns);
}
