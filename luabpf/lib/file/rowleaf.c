/* SPDX-License-Identifier: MIT */
/*
 * One value of a row, from its text to its bytes. Strict: what a type cannot
 * hold is refused, and so is what is written in another way than rowwriter.c does,
 * except for letters of hexadecimal digits and numbers of named values.
 *
 * Unions: rows have every member, so several may be written on the same bytes.
 * Bits written twice must agree, as in keys and values of Lua.
 */
#include "lib/file/rowleaf.h"

#include "lib/layout/address.h"
#include "lib/layout/hex.h"
#include "lib/layout/merge.h"
#include "lib/layout/record.h"
#include "lib/file/rowtext.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is wrong, and where ------------------------------------------------ */

/* "value.slots[2].x", malloc'd; NULL: out of memory. */
static char *spot_text(const struct lb_spot *spot)
{
	char *up = spot->up ? spot_text(spot->up) : NULL, *text = NULL;
	const char *before = up ? up : "";
	int n = -1;

	if (spot->name)
		n = asprintf(&text, "%s%s%.*s", before, up ? "." : "", (int)spot->name_len,
			     spot->name);
	else
		n = asprintf(&text, "%s[%u]", before, spot->index);
	free(up);
	return n < 0 ? NULL : text;
}

bool lb_row_problem(struct lb_filling *f, const struct lb_spot *spot, const char *format, ...)
{
	char *where = spot ? spot_text(spot) : NULL, *what = NULL, *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&what, format, ap) < 0)
		what = NULL;
	va_end(ap);
	if (asprintf(&text, "%s%s%s", where ? where : "", where ? ": " : "",
		     what ? what : "out of memory") < 0)
		text = NULL;
	free(where);
	free(what);
	free(f->problem);
	f->problem = text;
	return false;
}

static bool wrong(struct lb_filling *f, const struct lb_spot *spot, const char *expected,
		  const struct lb_token *t)
{
	return lb_row_problem(f, spot, "%s expected, got '%.*s'", expected,
			      t->n > 80 ? 80 : (int)t->n, t->at);
}

/* ---- where bytes go -------------------------------------------------------------- */

/* Writes those bits of bytes that are set in bits, or all, at p, n bytes. */
static bool merge(struct lb_filling *f, uint8_t *p, const uint8_t *bytes, const uint8_t *bits,
		  size_t n, const struct lb_spot *spot)
{
	return lb_merge(p, f->written + (p - f->base), bytes, bits, n) ||
	       lb_row_problem(f, spot, "differs from another member of the same union");
}

static bool put(struct lb_filling *f, uint8_t *p, const void *bytes, size_t n,
		const struct lb_spot *spot)
{
	if (f->written)
		return merge(f, p, bytes, NULL, n, spot);
	memcpy(p, bytes, n);
	return true;
}

static bool put_bits(struct lb_filling *f, uint8_t *p, const struct lb_member *m, uint64_t v,
		     const struct lb_spot *spot)
{
	uint8_t bytes[9] = { 0 }, bits[9] = { 0 };

	if (!f->written) {
		lb_store_bits(p, m->bit, m->bits, v);
		return true;
	}
	lb_store_bits(bytes, m->bit, m->bits, v);
	lb_store_bits(bits, m->bit, m->bits, UINT64_MAX);
	return merge(f, p, bytes, bits, (m->bit + m->bits + 7) / 8, spot);
}

static bool put_integer(struct lb_filling *f, uint8_t *p, const struct lb_member *m, uint64_t v,
			const struct lb_spot *spot)
{
	uint8_t bytes[8];

	if (m->bits)
		return put_bits(f, p, m, v, spot);
	if (!f->written) {
		lb_store_int(p, m->type, v);
		return true;
	}
	lb_store_int(bytes, m->type, v);
	return put(f, p, bytes, m->type->size, spot);
}

/* ---- integers ---------------------------------------------------------------------- */

/* The magnitude of a whole number; false for anything else, and past 2^64. */
static bool digits(const char *s, size_t n, uint64_t *v)
{
	if (n == 0 || n > 20 || (n > 1 && s[0] == '0'))
		return false;
	*v = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned int digit = (unsigned int)(s[i] - '0');

		if (digit > 9 || (i == 19 && (*v > UINT64_MAX / 10 ||
					      *v * 10 > UINT64_MAX - digit)))
			return false;
		*v = *v * 10 + digit;
	}
	return true;
}

static bool out_of_range(struct lb_filling *f, const struct lb_spot *spot,
			 const struct lb_token *t, uint32_t bits, bool is_signed)
{
	uint64_t top = is_signed ? UINT64_C(1) << (bits - 1) : 0;
	uint64_t max = (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1) - top;

	return lb_row_problem(f, spot, "%.*s is not within %s%llu and %llu", (int)t->n, t->at,
			      is_signed ? "-" : "", (unsigned long long)top,
			      (unsigned long long)max);
}

static bool read_number(struct lb_filling *f, const struct lb_member *m,
			const struct lb_token *t, const struct lb_spot *spot, uint64_t *v)
{
	uint32_t bits = m->bits ? m->bits : 8 * m->type->size;
	bool is_signed = m->type->is_signed, negative = t->n && t->at[0] == '-';
	uint64_t top = is_signed ? UINT64_C(1) << (bits - 1) : 0, magnitude;
	uint64_t max = (bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1) - top;

	if (!t->bare || !digits(t->at + negative, t->n - negative, &magnitude))
		return wrong(f, spot, "integer", t);
	if (magnitude > (negative ? top : max))
		return out_of_range(f, spot, t, bits, is_signed);
	*v = negative ? 0 - magnitude : magnitude;
	return true;
}

static bool is_word(const struct lb_token *t, const char *word)
{
	return t->bare && t->n == strlen(word) && memcmp(t->at, word, t->n) == 0;
}

static bool read_bool(struct lb_filling *f, const struct lb_member *m, const struct lb_token *t,
		      const struct lb_spot *spot, uint64_t *v)
{
	*v = is_word(t, "true");
	if (*v || is_word(t, "false"))
		return true;
	if (!t->bare || !digits(t->at, t->n, v) || *v <= 1)
		return wrong(f, spot, "true or false", t);
	return read_number(f, m, t, spot, v);
}

static bool read_enum(struct lb_filling *f, const struct lb_member *m, const struct lb_token *t,
		      const struct lb_spot *spot, uint64_t *v)
{
	const struct lb_type *type = m->type;

	size_t n = t->quoted ? lb_unescape_text(t->at, t->n) : 0;

	for (uint32_t i = 0; t->quoted && i < type->nvalues; i++) {
		const char *name = type->values[i].name;

		if (strlen(name) == n && memcmp(name, t->at, n) == 0) {
			*v = (uint64_t)type->values[i].value;
			return true;
		}
	}
	if (!t->bare)
		return lb_row_problem(f, spot, "%s has no value named '%.*s'", type->name,
				      t->n > 80 ? 80 : (int)t->n, t->at);
	return read_number(f, m, t, spot, v);
}

static bool integer_leaf(struct lb_filling *f, const struct lb_member *m, uint8_t *p,
			 const struct lb_token *t, const struct lb_spot *spot)
{
	uint64_t v;
	bool ok;

	if (m->type->kind == LB_ENUM)
		ok = read_enum(f, m, t, spot, &v);
	else if (m->type->kind == LB_BOOL)
		ok = read_bool(f, m, t, spot, &v);
	else
		ok = read_number(f, m, t, spot, &v);
	return ok && put_integer(f, p, m, v, spot);
}

/* ---- other leaves --------------------------------------------------------------------- */

/* JSON has no numbers for the words; CSV has them bare. */
static bool float_leaf(struct lb_filling *f, const struct lb_type *type, uint8_t *p,
		       const struct lb_token *t, const struct lb_spot *spot)
{
	bool word = t->n && strchr("in", t->at[t->at[0] == '-' && t->n > 1]);
	uint8_t bytes[8];

	if (!(word ? t->quoted : t->bare) || !lb_read_float(t->at, t->n, bytes, type->size))
		return wrong(f, spot, "number", t);
	return put(f, p, bytes, type->size, spot);
}

static bool text_leaf(struct lb_filling *f, const struct lb_type *type, uint8_t *p,
		      struct lb_token *t, const struct lb_spot *spot)
{
	static const uint8_t nul[1];
	size_t n;

	if (!t->quoted)
		return wrong(f, spot, "text", t);
	n = lb_unescape_text(t->at, t->n);
	if (n > type->size)
		return lb_row_problem(f, spot, "text of %zu bytes does not fit in %u", n,
				      type->size);
	if (!put(f, p, t->at, n, spot))
		return false;
	for (; n < type->size; n++)
		if (!put(f, p + n, nul, 1, spot))
			return false;
	return true;
}

/* Hexadecimal digits, into the text itself. What the kernel keeps to itself is passed over. */
static bool bytes_leaf(struct lb_filling *f, const struct lb_type *type, uint32_t size, uint8_t *p,
		       struct lb_token *t, const struct lb_spot *spot)
{
	if (!t->quoted || !lb_read_hex(t->at, t->n, (uint8_t *)t->at, size)) {
		char expected[48];

		snprintf(expected, sizeof(expected), "%llu hexadecimal digits",
			 2ULL * size);
		return wrong(f, spot, expected, t);
	}
	return (type && type->kind == LB_SPECIAL) || put(f, p, t->at, size, spot);
}

/* What tables are full of; false for whatever else may be an address. */
static bool plain_ipv4(const struct lb_token *t, uint8_t bytes[4])
{
	const char *s = t->at, *end = s + t->n;

	for (int i = 0; i < 4; i++, s++) {
		unsigned int v = 0;
		const char *from = s;

		for (; s < end && *s >= '0' && *s <= '9' && s - from < 3; s++)
			v = v * 10 + (unsigned int)(*s - '0');
		if (s == from || v > 255 || (*from == '0' && s - from > 1) ||
		    (i < 3 ? s == end || *s != '.' : s != end))
			return false;
		bytes[i] = (uint8_t)v;
	}
	return true;
}

static bool address_leaf(struct lb_filling *f, const struct lb_type *type, uint8_t *p,
			 const struct lb_token *t, const struct lb_spot *spot)
{
	char text[LB_ADDRESS_TEXT];
	uint8_t bytes[20];

	if (type->kind == LB_IPV4 && t->quoted && plain_ipv4(t, bytes))
		return put(f, p, bytes, type->size, spot);
	if (!t->quoted || t->n >= sizeof(text))
		return wrong(f, spot, lb_address_name(type->kind), t);
	memcpy(text, t->at, t->n);
	text[t->n] = '\0';
	if (strlen(text) != t->n || !lb_address_parse(type->kind, text, bytes))
		return wrong(f, spot, lb_address_name(type->kind), t);
	return put(f, p, bytes, type->size, spot);
}

bool lb_leaf_read(struct lb_filling *f, const struct lb_member *m, uint32_t size, uint8_t *p,
		  struct lb_token *t, const struct lb_spot *spot)
{
	switch (m->type ? m->type->kind : LB_BYTES) {
	case LB_INT:
	case LB_BOOL:
	case LB_ENUM:
	case LB_POINTER:
		return integer_leaf(f, m, p, t, spot);
	case LB_FLOAT:
		return float_leaf(f, m->type, p, t, spot);
	case LB_TEXT:
		return text_leaf(f, m->type, p, t, spot);
	case LB_BYTES:
	case LB_SPECIAL:
		return bytes_leaf(f, m->type, size, p, t, spot);
	default:
		return address_leaf(f, m->type, p, t, spot);
	}
}

bool lb_padding_read(struct lb_filling *f, const struct lb_type *type, uint8_t *p,
		     const struct lb_token *t, const struct lb_spot *spot)
{
	uint8_t *bytes = (uint8_t *)t->at;

	if (t->n == 0)
		return true;
	if (!t->quoted || !lb_read_hex(t->at, t->n, bytes, type->padding))
		return lb_row_problem(f, spot, "%llu hexadecimal digits expected",
				      2ULL * type->padding);
	for (uint32_t i = 0, gap = 0, at = 0; i < type->padding; i++) {
		uint8_t mask, *to = p + lb_gaps_next(type, &gap, &at, &mask);

		if (bytes[i] & ~mask)
			return lb_row_problem(f, spot, "byte %u has bits of fields", i + 1);
		if (f->written && !merge(f, to, &bytes[i], &mask, 1, spot))
			return false;
		*to = (uint8_t)((*to & ~mask) | bytes[i]);
	}
	return true;
}

/* ---- what rows are read into ------------------------------------------------------------ */

static bool has_union(const struct lb_shape *shape)
{
	return shape->type && shape->type->has_union;
}

bool lb_target_open(struct lb_row_target *t, const struct lb_shape *key,
		    const struct lb_shape *value)
{
	t->key = *key;
	t->value = *value;
	t->written = malloc((size_t)key->stride + value->stride + 1);
	return t->written != NULL;
}

void lb_target_close(struct lb_row_target *t)
{
	free(t->written);
	free(t->f.problem);
}

void lb_target_clear(struct lb_row_target *t, uint8_t *key, uint8_t *value)
{
	memset(key, 0, t->key.stride);
	memset(value, 0, t->value.stride);
	if (has_union(&t->key) || has_union(&t->value))
		memset(t->written, 0, (size_t)t->key.stride + t->value.stride);
}

void lb_target_begin(struct lb_row_target *t, const struct lb_shape *shape, uint8_t *base,
		     size_t offset)
{
	t->f.base = base;
	t->f.written = has_union(shape) ? t->written + offset : NULL;
}
