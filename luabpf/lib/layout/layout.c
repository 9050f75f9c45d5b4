/* SPDX-License-Identifier: MIT */
/*
 * Layouts: the arena their types live in, the names of their kinds, and access to
 * integers and bitfields. No Lua here. A layout's memory is a chain of chunks,
 * freed together, until it is packed: moved into one piece.
 */
#include "lib/layout/layout.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the positions of bitfields are those of little-endian machines"
#endif

/* One chunk holds the types of most maps. Each further one is twice as large: there are few. */
#define CHUNK 4000

struct chunk {
	struct chunk *next;
	size_t used, size;
	uint8_t *moved;			/* where the bytes are copied to, see lb_layout_pack */
	_Alignas(max_align_t) uint8_t bytes[];
};

const struct lb_member *lb_find_rest(const struct lb_type *t)
{
	const struct lb_member *last = NULL;

	for (uint32_t i = 0; t->kind == LB_STRUCT && i < t->nmembers; i++)
		if (!last || t->members[i].offset >= last->offset)
			last = &t->members[i];
	return last && lb_is_rest(last->type) ? last : NULL;
}

/* ---- memory ----------------------------------------------------------- */

struct lb_layout *lb_layout_new(void)
{
	return calloc(1, sizeof(struct lb_layout));
}

void lb_layout_free(struct lb_layout *layout)
{
	struct chunk *c = layout ? layout->memory : NULL;

	while (c) {
		struct chunk *next = c->next;

		free(c);
		c = next;
	}
	free(layout);
}

static struct chunk *add_chunk(struct lb_layout *layout, size_t size)
{
	struct chunk *c = calloc(1, sizeof(*c) + size);

	if (!c)
		return NULL;
	c->next = layout->memory;
	c->size = size;
	layout->memory = c;
	return c;
}

void *lb_layout_alloc(struct lb_layout *layout, size_t size)
{
	struct chunk *c = layout->memory;
	void *p;

	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + _Alignof(max_align_t) - 1) & ~(_Alignof(max_align_t) - 1);
	if (!c || c->size - c->used < size) {
		size_t room = c ? 2 * c->size : CHUNK;

		c = add_chunk(layout, size > room ? size : room);
		if (!c)
			return NULL;
	}
	p = c->bytes + c->used;
	c->used += size;
	return p;
}

const char *lb_layout_strdup(struct lb_layout *layout, const char *s)
{
	size_t size = strlen(s) + 1;
	char *copy = lb_layout_alloc(layout, size);

	return copy ? memcpy(copy, s, size) : NULL;
}

/* ---- in one piece ------------------------------------------------------- */

size_t lb_layout_size(const struct lb_layout *layout)
{
	size_t size = sizeof(*layout);

	for (const struct chunk *c = layout->memory; c; c = c->next)
		size += c->used;
	return size;
}

/*
 * Where what is at p has been copied to. NULL for what is not in the chunks:
 * constants of the program, and what points into the copy already.
 */
static void *copy_of(const struct lb_layout *from, const void *p)
{
	for (const struct chunk *c = from->memory; c; c = c->next) {
		uintptr_t at = (uintptr_t)p - (uintptr_t)c->bytes;

		if (at < c->used)
			return c->moved + at;
	}
	return NULL;
}

static void move_name(const struct lb_layout *from, const char **name)
{
	const char *copy = copy_of(from, *name);

	if (copy)
		*name = copy;
}

static void move_type(const struct lb_layout *from, const struct lb_type **type);

static void move_fields(const struct lb_layout *from, struct lb_type *t)
{
	struct lb_field *fields = copy_of(from, t->fields);

	if (!fields)
		return;
	t->fields = fields;
	for (uint32_t i = 0; i < t->nfields; i++) {
		move_name(from, &fields[i].name);
		move_type(from, &fields[i].type);
	}
}

static void move_members(const struct lb_layout *from, struct lb_type *t)
{
	struct lb_member *members = copy_of(from, t->members);

	if (!members)
		return;
	t->members = members;
	for (uint32_t i = 0; i < t->nmembers; i++) {
		move_name(from, &members[i].name);
		move_type(from, &members[i].type);
	}
}

static void move_values(const struct lb_layout *from, struct lb_type *t)
{
	struct lb_enumerator *values = copy_of(from, t->values);

	if (!values)
		return;
	t->values = values;
	for (uint32_t i = 0; i < t->nvalues; i++)
		move_name(from, &values[i].name);
}

/* Has the pointer, and those in the type, point into the copy. Types share parts: each once. */
static void move_type(const struct lb_layout *from, const struct lb_type **type)
{
	struct lb_type *t = copy_of(from, *type);
	const struct lb_gap *gaps;

	if (!t)
		return;
	*type = t;
	move_name(from, &t->name);
	move_name(from, &t->padding_name);
	move_type(from, &t->elem);
	move_fields(from, t);
	move_members(from, t);
	move_values(from, t);
	gaps = copy_of(from, t->gaps);
	if (gaps)
		t->gaps = gaps;
}

struct lb_layout *lb_layout_pack(struct lb_layout *from, void *memory)
{
	struct lb_layout *layout = memory;
	uint8_t *to = (uint8_t *)(layout + 1);

	for (struct chunk *c = from->memory; c; c = c->next) {
		c->moved = memcpy(to, c->bytes, c->used);
		to += c->used;
	}
	*layout = (struct lb_layout){ .root = from->root };
	move_type(from, &layout->root);
	lb_layout_free(from);
	return layout;
}

/* ---- kinds ------------------------------------------------------------ */

/* By enum lb_kind; the names are those of description tables (bind/value/layout.c). */
static const char *const kind_names[] = {
	[LB_INT] = "int", [LB_BOOL] = "bool", [LB_FLOAT] = "float", [LB_TEXT] = "text",
	[LB_BYTES] = "bytes", [LB_IPV4] = "ipv4", [LB_IPV6] = "ipv6", [LB_IP] = "ip",
	[LB_MAC] = "mac", [LB_PREFIX4] = "prefix4", [LB_PREFIX6] = "prefix6",
	[LB_ENUM] = "enum", [LB_POINTER] = "pointer", [LB_SPECIAL] = "special",
	[LB_ARRAY] = "array", [LB_STRUCT] = "struct", [LB_UNION] = "union",
};

const char *lb_kind_name(enum lb_kind kind)
{
	return kind < sizeof(kind_names) / sizeof(kind_names[0]) ? kind_names[kind] : NULL;
}

const struct lb_member *lb_find_member(const struct lb_type *type, const char *name)
{
	for (uint32_t i = 0; i < type->nmembers; i++)
		if (strcmp(type->members[i].name, name) == 0)
			return &type->members[i];
	return NULL;
}

/* ---- raw access ------------------------------------------------------- */

uint64_t lb_load_bits(const void *p, uint32_t bit, uint32_t bits, bool is_signed)
{
	const uint8_t *first = (const uint8_t *)p + bit / 8;
	unsigned __int128 v = 0;
	uint32_t unused = 64 - bits;

	bit %= 8;
	memcpy(&v, first, (bit + bits + 7) / 8);
	v >>= bit;
	if (is_signed)
		return (uint64_t)((int64_t)((uint64_t)v << unused) >> unused);
	return (uint64_t)v << unused >> unused;
}

void lb_store_bits(void *p, uint32_t bit, uint32_t bits, uint64_t v)
{
	uint8_t *first = (uint8_t *)p + bit / 8;
	unsigned __int128 old = 0, mask;
	uint32_t n;

	bit %= 8;
	n = (bit + bits + 7) / 8;
	mask = (((unsigned __int128)1 << bits) - 1) << bit;
	memcpy(&old, first, n);
	old = (old & ~mask) | (((unsigned __int128)v << bit) & mask);
	memcpy(first, &old, n);
}
