/* SPDX-License-Identifier: MIT */
/*
 * Rows of JSON lines, read by the types of the layout, without a tree in
 * between: an object where a struct is, its members in any order, none twice, each
 * missing one zero.
 *
 * Strings are decoded in place, in the row's text: that never makes them longer.
 */
#include "lib/file/jsonrow.h"

#include "lib/file/rowtext.h"
#include "lib/layout/hex.h"

#include <string.h>

/* Structs of more members do not notice a name that is given twice. */
#define MOST_NOTICED 1024

struct json {
	struct lb_row_target *t;
	char *p, *end;
};

static bool fail(struct json *j, const struct lb_spot *spot, const char *what)
{
	return lb_row_problem(&j->t->f, spot, "%s", what);
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
		int digit = lb_hex_value(s[i]);

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

/* The padding of a record, given once. */
static bool padding(struct json *j, const struct lb_type *type, uint8_t *p, bool *given,
		    const struct lb_spot *spot)
{
	struct lb_token t;

	if (*given)
		return fail(j, spot, "given twice");
	*given = true;
	return token(j, &t, spot) && lb_padding_read(&j->t->f, type, p, &t, spot);
}

static bool object(struct json *j, const struct lb_type *type, uint8_t *p,
		   const struct lb_spot *spot)
{
	uint64_t seen[MOST_NOTICED / 64] = { 0 };
	bool first = true, bad, padded = false;
	struct lb_token name;
	uint32_t guess = 0;

	if (!next_is(j, '{'))
		return fail(j, spot, "an object expected");
	while (member_name(j, &first, &name, spot, &bad)) {
		const struct lb_spot here = { spot, name.at, name.n, 0 };
		const struct lb_member *m = find_member(type, &name, guess);

		if (!m && type->ngaps && is_name(&name, type->padding_name)) {
			if (!padding(j, type, p, &padded, &here))
				return false;
			continue;
		}
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
			return lb_row_problem(&j->t->f, spot, "more than %u elements", type->n);
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
	return token(j, &t, spot) && lb_leaf_read(&j->t->f, m, size, p, &t, spot);
}

/* A whole key or value: of per-CPU maps, a list. */
static bool shaped(struct json *j, const struct lb_shape *shape, uint8_t *p, size_t offset,
		   const struct lb_spot *spot)
{
	const struct lb_member m = { .type = shape->type };
	uint32_t stride = lb_cpu_stride(shape->size), cpu = 0;

	if (!shape->ncpu) {
		lb_target_begin(j->t, shape, p, offset);
		return value(j, &m, shape->size, p, spot);
	}
	if (!next_is(j, '['))
		return fail(j, spot, "a list of a value per CPU expected");
	do {
		const struct lb_spot here = { spot, NULL, 0, cpu + 1 };

		if (cpu == shape->ncpu)
			break;
		lb_target_begin(j->t, shape, p + (size_t)cpu * stride,
				offset + (size_t)cpu * stride);
		if (!value(j, &m, shape->size, p + (size_t)cpu * stride, &here))
			return false;
		cpu++;
	} while (next_is(j, ','));
	if (cpu != shape->ncpu || !next_is(j, ']'))
		return lb_row_problem(&j->t->f, spot,
				      "a list of %u values expected, one per possible CPU",
				      shape->ncpu);
	return true;
}

static bool row(struct json *j, uint8_t *key, uint8_t *value_bytes)
{
	static const struct lb_spot key_spot = { NULL, "key", 3, 0 };
	static const struct lb_spot value_spot = { NULL, "value", 5, 0 };
	bool first = true, bad, has_key = false, has_value = false;
	const struct lb_row_target *t = j->t;
	struct lb_token name;

	if (!next_is(j, '{'))
		return fail(j, NULL, "an object expected");
	while (member_name(j, &first, &name, NULL, &bad)) {
		const struct lb_spot here = { NULL, name.at, name.n, 0 };
		bool ok;

		if (is_name(&name, "key") && !has_key)
			ok = has_key = shaped(j, &t->key, key, 0, &key_spot);
		else if (is_name(&name, "value") && !has_value)
			ok = has_value = shaped(j, &t->value, value_bytes, t->key.stride,
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

bool lb_json_row(struct lb_row_target *t, char *text, size_t n, uint8_t *key, uint8_t *value_bytes)
{
	struct json j = { t, text, text + n };

	return row(&j, key, value_bytes);
}
