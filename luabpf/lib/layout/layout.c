/* SPDX-License-Identifier: MIT */
/*
 * Layouts: the arena their types live in, the names of their kinds, and access to
 * integers and bitfields. No Lua here. A layout's memory is a chain of chunks,
 * freed together.
 */
#include "lib/layout/layout.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the positions of bitfields are those of little-endian machines"
#endif

/* One chunk holds the types of most maps; larger requests get one of their own. */
#define CHUNK 4000

struct chunk {
	struct chunk *next;
	size_t used, size;
	_Alignas(max_align_t) uint8_t bytes[];
};

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
		c = add_chunk(layout, size > CHUNK ? size : CHUNK);
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
