/* SPDX-License-Identifier: MIT */
/*
 * Structs and unions: their members and their padding. See record.h.
 *
 * Types are built from the leaves up: what is finished copies the members of its
 * anonymous members, which are finished already. Padding is found by putting the
 * members in the order of their first bits and passing through them once; what lies
 * between the end of those passed and the next is a gap. That is done twice, to
 * count the gaps and to write them down.
 */
#include "lib/layout/record.h"

#include <stdlib.h>

/* ---- members ---------------------------------------------------------- */

static bool is_record(const struct lb_type *type)
{
	return type->kind == LB_STRUCT || type->kind == LB_UNION;
}

static uint32_t count_members(const struct lb_field *f)
{
	return f->name ? 1 : f->type->nmembers;
}

static struct lb_member *add_members(struct lb_member *m, const struct lb_field *f)
{
	if (f->name) {
		*m = (struct lb_member){ .name = f->name, .type = f->type, .offset = f->bit / 8,
					 .bit = f->bit % 8, .bits = f->bits };
		return m + 1;
	}
	for (uint32_t i = 0, n = count_members(f); i < n; i++) {
		*m = f->type->members[i];
		m->offset += f->bit / 8;
		m++;
	}
	return m;
}

static bool has_union(const struct lb_type *type)
{
	if (type->kind == LB_UNION)
		return true;
	if (type->kind == LB_ARRAY)
		return type->elem->has_union;
	for (uint32_t i = 0; i < type->nfields; i++)
		if (type->fields[i].type->has_union)
			return true;
	return false;
}

static bool find_members(struct lb_layout *layout, struct lb_type *type)
{
	struct lb_member *members, *m;
	size_t n = 0;

	for (uint32_t i = 0; i < type->nfields; i++)
		n += count_members(&type->fields[i]);
	if (n > UINT32_MAX)
		return false;
	members = m = lb_layout_alloc(layout, n * sizeof(*m));
	if (!members)
		return false;
	for (uint32_t i = 0; i < type->nfields; i++)
		m = add_members(m, &type->fields[i]);
	type->members = members;
	type->nmembers = (uint32_t)n;
	return true;
}

/* ---- padding: finding ------------------------------------------------- */

/* Bits from start to end - 1. */
struct span {
	uint64_t start, end;
};

struct finder {
	struct lb_gap *gaps;		/* NULL: they are counted */
	struct lb_gap last;
	uint32_t n;
	uint32_t bytes;
	bool overlap;
};

static void add(struct finder *f, uint32_t offset, uint32_t n, uint8_t mask)
{
	/* Before and behind a bitfield within a byte. */
	if (f->n && f->last.offset == offset) {
		f->last.mask |= mask;
	} else {
		f->last = (struct lb_gap){ offset, n, mask };
		f->bytes += n;
		f->n++;
	}
	if (f->gaps)
		f->gaps[f->n - 1] = f->last;
}

static void add_bits(struct finder *f, uint64_t start, uint64_t end)
{
	while (start < end && start % 8) {
		add(f, (uint32_t)(start / 8), 1, (uint8_t)(1u << start % 8));
		start++;
	}
	if (end / 8 > start / 8) {
		add(f, (uint32_t)(start / 8), (uint32_t)(end / 8 - start / 8), 0xff);
		start = end / 8 * 8;
	}
	if (start < end)
		add(f, (uint32_t)(start / 8), 1, (uint8_t)((1u << (end - start)) - 1));
}

static void find(struct finder *f, const struct span *spans, uint32_t n, uint64_t size)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < n; i++) {
		f->overlap = f->overlap || (spans[i].start < at && spans[i].start < spans[i].end);
		if (spans[i].start > at)
			add_bits(f, at, spans[i].start);
		if (spans[i].end > at)
			at = spans[i].end;
	}
	add_bits(f, at, size * 8);
}

static int compare(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

/* The bits of the members, in order. */
static struct span *find_spans(const struct lb_type *type)
{
	struct span *spans = malloc((type->nmembers + 1) * sizeof(*spans));
	bool sorted = true;

	for (uint32_t i = 0; spans && i < type->nmembers; i++) {
		const struct lb_member *m = &type->members[i];
		uint64_t start = (uint64_t)m->offset * 8 + m->bit;
		uint64_t bits = m->bits ? m->bits : (uint64_t)m->type->size * 8;

		spans[i] = (struct span){ start, start + bits };
		sorted = sorted && (i == 0 || spans[i - 1].start <= start);
	}
	if (spans && !sorted)
		qsort(spans, type->nmembers, sizeof(*spans), compare);
	return spans;
}

/* "_padding", with more underscores before it where that is a member. */
static const char *find_name(struct lb_layout *layout, const struct lb_type *type)
{
	char name[64] = "_padding";

	while (lb_find_member(type, name) && strlen(name) + 1 < sizeof(name)) {
		memmove(name + 1, name, strlen(name) + 1);
		name[0] = '_';
	}
	return lb_layout_strdup(layout, name);
}

static bool find_gaps(struct lb_layout *layout, struct lb_type *type)
{
	struct span *spans = find_spans(type);
	struct finder f = { 0 };

	if (!spans)
		return false;
	find(&f, spans, type->nmembers, type->size);
	type->has_union = type->has_union || f.overlap;
	type->ngaps = f.n;
	type->padding = f.bytes;
	if (f.n) {
		struct finder again = { .gaps = lb_layout_alloc(layout, f.n * sizeof(*f.gaps)) };

		type->padding_name = find_name(layout, type);
		if (again.gaps)
			find(&again, spans, type->nmembers, type->size);
		type->gaps = again.gaps;
	}
	free(spans);
	return !type->ngaps || (type->gaps && type->padding_name);
}

bool lb_type_finish(struct lb_layout *layout, struct lb_type *type)
{
	type->has_union = has_union(type);
	return find_members(layout, type) && (!is_record(type) || find_gaps(layout, type));
}

/* ---- reading ---------------------------------------------------------- */

bool lb_gaps_clear(const struct lb_type *type, const void *p)
{
	const uint8_t *bytes = p;
	uint8_t any = 0;

	for (uint32_t i = 0; i < type->ngaps; i++)
		for (uint32_t k = 0; k < type->gaps[i].n; k++)
			any |= bytes[type->gaps[i].offset + k] & type->gaps[i].mask;
	return any == 0;
}

void lb_gaps_read(const struct lb_type *type, const void *p, uint8_t *out)
{
	const uint8_t *bytes = p;

	for (uint32_t i = 0; i < type->ngaps; i++)
		for (uint32_t k = 0; k < type->gaps[i].n; k++)
			*out++ = bytes[type->gaps[i].offset + k] & type->gaps[i].mask;
}

uint32_t lb_gaps_next(const struct lb_type *type, uint32_t *gap, uint32_t *at, uint8_t *mask)
{
	const struct lb_gap *g = &type->gaps[*gap];
	uint32_t offset = g->offset + *at;

	*mask = g->mask;
	if (++*at == g->n) {
		*at = 0;
		++*gap;
	}
	return offset;
}
