/* SPDX-License-Identifier: MIT */
/*
 * Row readers. JSON is read by the types of the layout, without a tree in
 * between: an object where a struct is, its members in any order, none twice, each
 * missing one zero. CSV has its leaves found by name once, in the header.
 *
 * Strings are decoded in place, in the row's text: that never makes them longer.
 */
#include "lib/file/rowreader.h"

#include "lib/file/rowleaf.h"
#include "lib/file/rowtext.h"

#include <stdio.h>
#include <stdlib.h>

/* Structs of more members do not notice a name that is given twice. */
#define MOST_NOTICED 1024

/* A column of CSV, or a leaf that one may be of. */
struct column {
	const char *name;
	uint32_t name_len;
	bool of_value, used;
	uint32_t cpu;		/* byte offset of one CPU's value, plus the leaf's own */
	uint32_t size;
	struct lb_member leaf;	/* offset: within the key or the CPU's value */
};

struct lb_reader {
	enum lb_row_format format;
	struct lb_shape key, value;
	uint8_t *written;		/* malloc'd: bits of a key, of the values of all CPUs */
	struct lb_filling f;
	struct lb_layout *memory;	/* an arena: of no layout */
	struct column *leaves;		/* CSV, sorted by name; malloc'd */
	uint32_t nleaves, room;
	struct column **columns;	/* malloc'd */
	uint32_t ncolumns;
	bool failed;			/* out of memory */
};

/* ---- values that are being filled in ------------------------------------------------ */

static bool has_union(const struct lb_shape *shape)
{
	return shape->type && shape->type->has_union;
}

/* Begins a key, or the value of a CPU, at base; the bits written are those at offset. */
static void begin(struct lb_reader *r, const struct lb_shape *shape, uint8_t *base, size_t offset)
{
	r->f.base = base;
	r->f.written = has_union(shape) ? r->written + offset : NULL;
}

/* ---- JSON ------------------------------------------------------------------------------ */

struct json {
	struct lb_reader *r;
	char *p, *end;
};

static bool fail(struct json *j, const struct lb_spot *spot, const char *what)
{
	return lb_row_problem(&j->r->f, spot, "%s", what);
}

static void skip_space(struct json *j)
{
	while (j->p < j->end && (*j->p == ' ' || *j->p == '\t' || *j->p == '\r' || *j->p == '\n'))
		j->p++;
}

static bool next_is(struct json *j, char c)
{
	skip_space(j);
	if (j->p == j->end || *j->p != c)
		return false;
	j->p++;
	return true;
}

static int hex4(const char *s)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int c = s[i] | 0x20, digit = c >= '0' && c <= '9' ? c - '0'
					   : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

static char *put_utf8(char *s, uint32_t c)
{
	if (c < 0x80) {
		*s++ = (char)c;
		return s;
	}
	if (c < 0x800) {
		*s++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*s++ = (char)(0xe0 | c >> 12);
		*s++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*s++ = (char)(0xf0 | c >> 18);
		*s++ = (char)(0x80 | (c >> 12 & 0x3f));
		*s++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*s++ = (char)(0x80 | (c & 0x3f));
	return s;
}

/* The character of \uXXXX at j->p, behind the u, or of two of them; -1 for none. */
static int32_t unicode_escape(struct json *j)
{
	int32_t c, low;

	if (j->end - j->p < 4 || (c = hex4(j->p)) < 0)
		return -1;
	j->p += 4;
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || j->end - j->p < 6 || j->p[0] != '\\' || j->p[1] != 'u')
		return -1;
	low = hex4(j->p + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return -1;
	j->p += 6;
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

/* Decodes the escape behind the backslash at j->p to *to; false for none. */
static bool escape(struct json *j, char **to)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *letter;
	int32_t c;

	if (++j->p == j->end)
		return false;
	if (*j->p != 'u') {
		letter = *j->p ? strchr(letters, *j->p++) : NULL;
		if (!letter)
			return false;
		*(*to)++ = values[letter - letters];
		return true;
	}
	j->p++;
	c = unicode_escape(j);
	if (c < 0)
		return false;
	*to = put_utf8(*to, (uint32_t)c);
	return true;
}

/* The string whose quote is at j->p, decoded in place. */
static bool string(struct json *j, struct lb_token *t, const struct lb_spot *spot)
{
	char *to = ++j->p;
	bool ascii = true;

	*t = (struct lb_token){ .at = to, .quoted = true };
	for (;;) {
		if (j->p == j->end || (uint8_t)*j->p < 0x20)
			return fail(j, spot, "a string without its end, or with a control character");
		if (*j->p == '"')
			break;
		if (*j->p == '\\') {
			if (!escape(j, &to))
				return fail(j, spot, "a wrong escape in a string");
			continue;
		}
		ascii = ascii && (uint8_t)*j->p < 0x80;
		*to++ = *j->p++;
	}
	j->p++;
	t->n = (size_t)(to - t->at);
	if (!ascii && !lb_is_utf8(t->at, t->n))
		return fail(j, spot, "a string that is not UTF-8");
	return true;
}

/* Whether a character ends a plain value. */
static bool is_end(char c)
{
	static const bool ends[256] = {
		['\0'] = true, ['\t'] = true, ['\n'] = true, ['\r'] = true, [' '] = true,
		['"'] = true, [','] = true, ['['] = true, [']'] = true, ['{'] = true, ['}'] = true,
	};

	return ends[(uint8_t)c];
}

/* A string, a number, true or false. */
static bool token(struct json *j, struct lb_token *t, const struct lb_spot *spot)
{
	skip_space(j);
	if (j->p < j->end && *j->p == '"')
		return string(j, t, spot);
	*t = (struct lb_token){ .at = j->p, .bare = true };
	while (j->p < j->end && !is_end(*j->p))
		j->p++;
	t->n = (size_t)(j->p - t->at);
	if (t->n == 0)
		return fail(j, spot, j->p == j->end ? "the row ends too early"
						    : "a plain value expected");
	return true;
}

static bool value(struct json *j, const struct lb_member *m, uint32_t size, uint8_t *p,
		  const struct lb_spot *spot);

/* Names are short: no call for them. */
static bool is_name(const struct lb_token *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!name[i] || name[i] != t->at[i])
			return false;
	return !name[t->n];
}

/* The member of that name; it is mostly the one at index guess. */
static const struct lb_member *find_member(const struct lb_type *type, const struct lb_token *name,
					   uint32_t guess)
{
	for (uint32_t i = 0; i < type->nmembers; i++) {
		const struct lb_member *m = &type->members[(guess + i) % type->nmembers];

		if (is_name(name, m->name))
			return m;
	}
	return NULL;
}

/* "name": within an object; *first is cleared. False at its end, or with *bad set. */
static bool member_name(struct json *j, bool *first, struct lb_token *name,
			const struct lb_spot *spot, bool *bad)
{
	*bad = true;
	if (next_is(j, '}')) {
		*bad = false;
		return false;
	}
	if (!*first && !next_is(j, ','))
		return fail(j, spot, "',' or '}' expected");
	*first = false;
	skip_space(j);
	if (j->p == j->end || *j->p != '"')
		return fail(j, spot, "the name of a field expected");
	if (!string(j, name, spot))
		return false;
	if (!next_is(j, ':'))
		return fail(j, spot, "':' expected");
	*bad = false;
	return true;
}

static bool object(struct json *j, const struct lb_type *type, uint8_t *p,
		   const struct lb_spot *spot)
{
	uint64_t seen[MOST_NOTICED / 64] = { 0 };
	bool first = true, bad;
	struct lb_token name;
	uint32_t guess = 0;

	if (!next_is(j, '{'))
		return fail(j, spot, "an object expected");
	while (member_name(j, &first, &name, spot, &bad)) {
		const struct lb_spot here = { spot, name.at, name.n, 0 };
		const struct lb_member *m = find_member(type, &name, guess);

		if (!m)
			return fail(j, &here, "unknown field");
		guess = (uint32_t)(m - type->members);
		if (guess < MOST_NOTICED) {
			if (seen[guess / 64] >> guess % 64 & 1)
				return fail(j, &here, "given twice");
			seen[guess / 64] |= UINT64_C(1) << guess % 64;
		}
		guess++;
		if (!value(j, m, m->type->size, p + m->offset, &here))
			return false;
	}
	return !bad;
}

static bool array(struct json *j, const struct lb_type *type, uint8_t *p,
		  const struct lb_spot *spot)
{
	const struct lb_member elem = { .type = type->elem };
	uint32_t i = 0;

	if (!next_is(j, '['))
		return fail(j, spot, "a list expected");
	if (next_is(j, ']'))
		return true;
	do {
		const struct lb_spot here = { spot, NULL, 0, i + 1 };

		if (i == type->n)
			return lb_row_problem(&j->r->f, spot, "more than %u elements", type->n);
		if (!value(j, &elem, elem.type->size, p + (size_t)i * elem.type->size, &here))
			return false;
		i++;
	} while (next_is(j, ','));
	return next_is(j, ']') || fail(j, spot, "',' or ']' expected");
}

static bool value(struct json *j, const struct lb_member *m, uint32_t size, uint8_t *p,
		  const struct lb_spot *spot)
{
	struct lb_token t;

	if (m->type && m->type->kind == LB_ARRAY)
		return array(j, m->type, p, spot);
	if (m->type && (m->type->kind == LB_STRUCT || m->type->kind == LB_UNION))
		return object(j, m->type, p, spot);
	return token(j, &t, spot) && lb_leaf_read(&j->r->f, m, size, p, &t, spot);
}

/* A whole key or value: of per-CPU maps, a list. */
static bool shaped(struct json *j, const struct lb_shape *shape, uint8_t *p, size_t offset,
		   const struct lb_spot *spot)
{
	const struct lb_member m = { .type = shape->type };
	uint32_t stride = lb_cpu_stride(shape->size), cpu = 0;

	if (!shape->ncpu) {
		begin(j->r, shape, p, offset);
		return value(j, &m, shape->size, p, spot);
	}
	if (!next_is(j, '['))
		return fail(j, spot, "a list of a value per CPU expected");
	do {
		const struct lb_spot here = { spot, NULL, 0, cpu + 1 };

		if (cpu == shape->ncpu)
			break;
		begin(j->r, shape, p + (size_t)cpu * stride, offset + (size_t)cpu * stride);
		if (!value(j, &m, shape->size, p + (size_t)cpu * stride, &here))
			return false;
		cpu++;
	} while (next_is(j, ','));
	if (cpu != shape->ncpu || !next_is(j, ']'))
		return lb_row_problem(&j->r->f, spot, "a list of %u values expected, one per possible CPU",
				      shape->ncpu);
	return true;
}

static bool json_row(struct json *j, uint8_t *key, uint8_t *value_bytes)
{
	static const struct lb_spot key_spot = { NULL, "key", 3, 0 };
	static const struct lb_spot value_spot = { NULL, "value", 5, 0 };
	bool first = true, bad, has_key = false, has_value = false;
	struct lb_reader *r = j->r;
	struct lb_token name;

	if (!next_is(j, '{'))
		return fail(j, NULL, "an object expected");
	while (member_name(j, &first, &name, NULL, &bad)) {
		const struct lb_spot here = { NULL, name.at, name.n, 0 };
		bool ok;

		if (is_name(&name, "key") && !has_key)
			ok = has_key = shaped(j, &r->key, key, 0, &key_spot);
		else if (is_name(&name, "value") && !has_value)
			ok = has_value = shaped(j, &r->value, value_bytes, r->key.stride,
						&value_spot);
		else
			ok = fail(j, &here, "unknown, or given twice");
		if (!ok)
			return false;
	}
	if (bad)
		return false;
	skip_space(j);
	if (j->p != j->end)
		return fail(j, NULL, "more than one object in a row");
	return (has_key && has_value) || fail(j, NULL, has_key ? "value is missing" : "key is missing");
}

/* ---- CSV: leaves and columns ---------------------------------------------------------- */

struct path {
	char text[1024];
	size_t n;
};

static void add_leaf(struct lb_reader *r, const struct path *path, const struct column *like)
{
	struct column *leaf;
	char *name;

	if (r->nleaves == r->room) {
		uint32_t room = 2 * r->room + 64;

		leaf = realloc(r->leaves, room * sizeof(*leaf));
		if (!leaf) {
			r->failed = true;
			return;
		}
		r->leaves = leaf;
		r->room = room;
	}
	name = lb_layout_alloc(r->memory, path->n + 1);
	if (!name) {
		r->failed = true;
		return;
	}
	memcpy(name, path->text, path->n);
	leaf = &r->leaves[r->nleaves++];
	*leaf = *like;
	leaf->name = name;
	leaf->name_len = (uint32_t)path->n;
}

static void append(struct path *path, const char *dot, const char *name)
{
	size_t room = sizeof(path->text) - path->n;
	int n = snprintf(path->text + path->n, room, "%s%s", dot, name);

	path->n += (size_t)n < room ? (size_t)n : room - 1;
}

static void append_index(struct path *path, uint32_t i)
{
	char text[16];

	snprintf(text, sizeof(text), "[%u]", i + 1);
	append(path, "", text);
}

/* Adds the leaves of a type, which lies at like->leaf.offset. */
static void add_leaves(struct lb_reader *r, struct path *path, const struct column *like)
{
	const struct lb_type *type = like->leaf.type;
	struct column inner = *like;
	size_t n = path->n;

	if (r->failed || r->nleaves > LB_CSV_COLUMNS)
		return;
	if (type && type->kind == LB_ARRAY) {
		for (uint32_t i = 0; i < type->n && r->nleaves <= LB_CSV_COLUMNS; i++) {
			append_index(path, i);
			inner.leaf = (struct lb_member){ .type = type->elem,
				.offset = like->leaf.offset + i * type->elem->size };
			inner.size = type->elem->size;
			add_leaves(r, path, &inner);
			path->n = n;
		}
		return;
	}
	if (!type || (type->kind != LB_STRUCT && type->kind != LB_UNION)) {
		add_leaf(r, path, like);
		return;
	}
	for (uint32_t i = 0; i < type->nmembers; i++) {
		append(path, ".", type->members[i].name);
		inner.leaf = type->members[i];
		inner.leaf.offset += like->leaf.offset;
		inner.size = inner.leaf.type->size;
		add_leaves(r, path, &inner);
		path->n = n;
	}
}

static void add_shape(struct lb_reader *r, const struct lb_shape *shape, const char *name,
		      bool of_value)
{
	struct column like = { .of_value = of_value, .size = shape->size,
			       .leaf = { .type = shape->type } };
	struct path path = { .n = 0 };

	append(&path, "", name);
	if (!shape->ncpu)
		add_leaves(r, &path, &like);
	for (uint32_t cpu = 0; cpu < shape->ncpu; cpu++) {
		size_t n = path.n;

		append_index(&path, cpu);
		like.cpu = cpu * lb_cpu_stride(shape->size);
		add_leaves(r, &path, &like);
		path.n = n;
	}
}

static int compare_text(const char *a, size_t an, const char *b, size_t bn)
{
	int order = memcmp(a, b, an < bn ? an : bn);

	return order ? order : (an > bn) - (an < bn);
}

static int compare_leaves(const void *a, const void *b)
{
	const struct column *x = a, *y = b;

	return compare_text(x->name, x->name_len, y->name, y->name_len);
}

static struct column *find_leaf(struct lb_reader *r, const struct lb_token *name)
{
	uint32_t low = 0, high = r->nleaves;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		struct column *c = &r->leaves[mid];
		int order = compare_text(c->name, c->name_len, name->at, name->n);

		if (order == 0)
			return c;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* ---- CSV: fields ------------------------------------------------------------------------ */

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

static bool add_column(struct lb_reader *r, const struct lb_token *name)
{
	const struct lb_spot spot = { NULL, name->at, name->n, 0 };
	struct column *leaf = find_leaf(r, name);

	if (!leaf)
		return lb_row_problem(&r->f, &spot, "the map has no such column");
	if (leaf->used)
		return lb_row_problem(&r->f, &spot, "a column that is there twice");
	leaf->used = true;
	r->columns[r->ncolumns++] = leaf;
	return true;
}

bool lb_reader_header(struct lb_reader *r, char *text, size_t n)
{
	char *end = without_line_end(text, n), *p = text;
	bool has_key = false;
	struct lb_token name;

	r->columns = calloc(r->nleaves + 1, sizeof(struct column *));
	if (!r->columns)
		return lb_row_problem(&r->f, NULL, "out of memory");
	for (;; p++) {
		if (!field(&p, end, &name))
			return lb_row_problem(&r->f, NULL, "a quote within a field");
		if (!add_column(r, &name))
			return false;
		has_key = has_key || !r->columns[r->ncolumns - 1]->of_value;
		if (p == end)
			break;
	}
	return has_key || lb_row_problem(&r->f, NULL, "there is no column of the key");
}

static bool csv_row(struct lb_reader *r, char *text, size_t n, uint8_t *key, uint8_t *value_bytes)
{
	char *end = without_line_end(text, n), *p = text;

	for (uint32_t i = 0; i < r->ncolumns; i++, p++) {
		const struct column *c = r->columns[i];
		const struct lb_spot spot = { NULL, c->name, c->name_len, 0 };
		uint8_t *base = (c->of_value ? value_bytes : key) + c->cpu;
		struct lb_token t;

		if (p > end)
			return lb_row_problem(&r->f, NULL, "%u fields, %u expected", i,
					      r->ncolumns);
		if (!field(&p, end, &t))
			return lb_row_problem(&r->f, &spot, "a quote within a field, or one missing");
		if (!lb_is_utf8(t.at, t.n))
			return lb_row_problem(&r->f, &spot, "a field that is not UTF-8");
		begin(r, c->of_value ? &r->value : &r->key, base,
		      (c->of_value ? r->key.stride : 0) + c->cpu);
		if (!lb_leaf_read(&r->f, &c->leaf, c->size, base + c->leaf.offset, &t, &spot))
			return false;
	}
	return p > end || lb_row_problem(&r->f, NULL, "more than %u fields", r->ncolumns);
}

/* ---- rows ----------------------------------------------------------------------------------- */

static size_t csv_length(const char *text, size_t n)
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

size_t lb_reader_length(const struct lb_reader *r, const char *text, size_t n, bool ended)
{
	const char *line;
	size_t len = 0;

	if (r->format == LB_ROWS_CSV) {
		len = csv_length(text, n);
	} else {
		line = memchr(text, '\n', n);
		len = line ? (size_t)(line - text) + 1 : 0;
	}
	return len == 0 && ended ? n : len;
}

bool lb_reader_blank(const struct lb_reader *r, const char *text, size_t n)
{
	if (r->format == LB_ROWS_CSV && r->ncolumns == 1)
		return false;
	for (size_t i = 0; i < n; i++)
		if (text[i] != '\r' && text[i] != '\n')
			return false;
	return true;
}

bool lb_reader_row(struct lb_reader *r, char *text, size_t n, uint8_t *key, uint8_t *value_bytes)
{
	struct json j = { r, text, text + n };

	memset(key, 0, r->key.stride);
	memset(value_bytes, 0, r->value.stride);
	if (has_union(&r->key) || has_union(&r->value))
		memset(r->written, 0, (size_t)r->key.stride + r->value.stride);
	if (r->format == LB_ROWS_CSV)
		return csv_row(r, text, n, key, value_bytes);
	return json_row(&j, key, value_bytes);
}

const char *lb_reader_problem(const struct lb_reader *r)
{
	return r->f.problem;
}

static bool prepare(struct lb_reader *r)
{
	r->memory = lb_layout_new();
	r->written = malloc((size_t)r->key.stride + r->value.stride + 1);
	if (!r->memory || !r->written)
		return false;
	if (r->format == LB_ROWS_CSV) {
		add_shape(r, &r->key, "key", false);
		add_shape(r, &r->value, "value", true);
		if (r->nleaves)
			qsort(r->leaves, r->nleaves, sizeof(r->leaves[0]), compare_leaves);
	}
	return !r->failed;
}

struct lb_reader *lb_reader_new(enum lb_row_format format, const struct lb_shape *key,
				const struct lb_shape *value_shape)
{
	struct lb_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->format = format;
	r->key = *key;
	r->value = *value_shape;
	if (prepare(r))
		return r;
	lb_reader_free(r);
	return NULL;
}

void lb_reader_free(struct lb_reader *r)
{
	if (!r)
		return;
	lb_layout_free(r->memory);
	free(r->written);
	free(r->leaves);
	free(r->columns);
	free(r);
}
