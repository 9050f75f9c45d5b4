/* SPDX-License-Identifier: MIT */
/*
 * Row writers: steps (rowsteps.c) run over an entry.
 *
 * Text is copied 16 bytes at a time, so that rows may be written 16 bytes past
 * their end.
 */
#include "lib/file/rowwriter.h"

#include "lib/file/rowsteps.h"
#include "lib/file/rowtext.h"
#include "lib/layout/address.h"
#include "lib/layout/hex.h"
#include "lib/layout/record.h"

#include <stdio.h>
#include <stdlib.h>

struct lb_writer {
	struct lb_steps s;
};

/* ---- the interface ------------------------------------------------------------ */

struct lb_writer *lb_writer_new(enum lb_row_format format, const struct lb_row_column *columns,
				uint32_t n, const char **why)
{
	struct lb_writer *w = calloc(1, sizeof(*w));

	*why = "out of memory";
	if (!w)
		return NULL;
	w->s.format = format;
	w->s.memory = lb_layout_new();
	if (w->s.memory)
		*why = lb_steps_compile(&w->s, columns, n);
	if (!*why)
		return w;
	lb_writer_free(w);
	return NULL;
}

void lb_writer_free(struct lb_writer *w)
{
	if (!w)
		return;
	lb_layout_free(w->s.memory);
	free(w->s.header);
	free(w);
}

size_t lb_writer_longest(const struct lb_writer *w)
{
	return (size_t)w->s.longest;
}

const char *lb_writer_header(const struct lb_writer *w, size_t *n)
{
	*n = w->s.header_len;
	return w->s.header;
}

/* ---- running -------------------------------------------------------------------- */

static inline char *put_text(char *s, const struct lb_step_text *t)
{
	for (uint32_t i = 0; i < t->len; i += LB_STEP_CHUNK)
		memcpy(s + i, t->at + i, LB_STEP_CHUNK);
	return s + t->len;
}

static uint64_t load(const struct lb_step *s, const uint8_t *p)
{
	if (s->bits)
		return lb_load_bits(p, s->bit, s->bits, s->type->is_signed);
	return lb_load_int(p, s->type);
}

static char *put_number(char *out, const struct lb_step *s, uint64_t v)
{
	return s->type->is_signed ? lb_put_s64(out, v) : lb_put_u64(out, v);
}

static char *put_integer(char *out, const struct lb_step *s, const uint8_t *p)
{
	uint64_t v = load(s, p);

	if (s->type->kind != LB_BOOL || v > 1)
		return put_number(out, s, v);
	memcpy(out, v ? "true" : "false", 5);
	return out + (v ? 4 : 5);
}

static const struct lb_step_name *find_name(const struct lb_step_names *names, uint64_t v)
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

static char *put_enum(char *out, const struct lb_step *s, const uint8_t *p)
{
	uint64_t v = load(s, p);
	const struct lb_step_name *name = find_name(s->names, v);

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

static char *put_string(const struct lb_writer *w, char *out, const struct lb_step *s,
			const uint8_t *p)
{
	const char *text = (const char *)p;
	size_t n = lb_text_length(text, s->size);

	return w->s.format == LB_ROWS_JSON ? lb_put_json_text(out, text, n)
					 : lb_put_csv_text(out, text, n);
}

static char *put_list(const struct lb_writer *w, const struct lb_step_list *l,
		      const uint8_t *const bases[2], char *out);

static char *put_loop(const struct lb_writer *w, char *out, const struct lb_step *s,
		      const uint8_t *p)
{
	for (uint32_t i = 0; i < s->n; i++) {
		const uint8_t *const bases[2] = { p + (size_t)i * s->stride };

		if (i > 0)
			*out++ = ',';
		out = put_list(w, &s->body, bases, out);
	}
	return out;
}

static char *put_padding(const struct lb_writer *w, char *out, const struct lb_step *s,
			 const uint8_t *p)
{
	const struct lb_type *type = s->type;
	bool json = w->s.format == LB_ROWS_JSON;

	if (lb_gaps_clear(type, p))
		return out;
	if (json && type->nmembers)
		*out++ = ',';
	if (json)
		out += sprintf(out, "\"%s\":\"", type->padding_name);
	for (uint32_t i = 0, gap = 0, at = 0; i < type->padding; i++) {
		uint8_t mask, byte = p[lb_gaps_next(type, &gap, &at, &mask)];

		byte &= mask;
		out = lb_put_hex(out, &byte, 1);
	}
	if (json)
		*out++ = '"';
	return out;
}

static char *put_value(const struct lb_writer *w, char *out, const struct lb_step *s,
		       const uint8_t *p)
{
	uint32_t u32;
	uint16_t u16;
	uint64_t u64;

	switch (s->op) {
	case LB_OP_U8:
		return lb_put_u64(out, *p);
	case LB_OP_U16:
		memcpy(&u16, p, sizeof(u16));
		return lb_put_u64(out, u16);
	case LB_OP_BE16:
		memcpy(&u16, p, sizeof(u16));
		return lb_put_u64(out, be16toh(u16));
	case LB_OP_U32:
		memcpy(&u32, p, sizeof(u32));
		return lb_put_u64(out, u32);
	case LB_OP_U64:
		memcpy(&u64, p, sizeof(u64));
		return lb_put_u64(out, u64);
	case LB_OP_INTEGER:
		return put_integer(out, s, p);
	case LB_OP_ENUM:
		return put_enum(out, s, p);
	case LB_OP_FLOAT:
		return lb_put_float(out, p, s->type->size, w->s.format == LB_ROWS_JSON);
	case LB_OP_TEXT:
		return put_string(w, out, s, p);
	case LB_OP_BYTES:
		return lb_put_hex(out, p, s->size);
	case LB_OP_IPV4:
		return put_ipv4(out, p);
	case LB_OP_ADDRESS:
		return out + lb_address_format(s->type->kind, p, out);
	case LB_OP_PADDING:
		return put_padding(w, out, s, p);
	case LB_OP_LOOP:
		return put_loop(w, out, s, p);
	}
	return out;
}

static char *put_list(const struct lb_writer *w, const struct lb_step_list *l,
		      const uint8_t *const bases[2], char *out)
{
	for (const struct lb_step *s = l->first; s; s = s->next)
		out = put_value(w, put_text(out, &s->before), s, bases[s->base] + s->offset);
	return put_text(out, &l->tail);
}

char *lb_writer_row(const struct lb_writer *w, const uint8_t *const bases[2], char *s)
{
	return put_list(w, &w->s.row, bases, s);
}
