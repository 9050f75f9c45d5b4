/* SPDX-License-Identifier: MIT */
/* A table of symbols. See symtab.h. */
#include "lib/kernel/symtab.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int make_room(struct lb_symtab *t, size_t length)
{
	if (t->n == t->room) {
		size_t room = t->room ? 2 * t->room : 1024;
		struct lb_symbol *symbols = realloc(t->symbols, room * sizeof(*symbols));

		if (!symbols)
			return -ENOMEM;
		t->symbols = symbols;
		t->room = room;
	}
	if (t->names_room - t->used < length + 1) {
		size_t room = 2 * t->names_room + length + 4096;
		char *names = realloc(t->names, room);

		if (!names)
			return -ENOMEM;
		t->names = names;
		t->names_room = room;
	}
	return 0;
}

int lb_symtab_add(struct lb_symtab *t, uint64_t address, uint64_t size, const char *name,
		  size_t length)
{
	int err = make_room(t, length);

	if (err)
		return err;
	t->symbols[t->n] = (struct lb_symbol){ .address = address, .size = size, .name = t->used,
					       .order = (uint32_t)t->n };
	t->n++;
	memcpy(t->names + t->used, name, length);
	t->names[t->used + length] = '\0';
	t->used += length + 1;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct lb_symbol *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

void lb_symtab_sort(struct lb_symtab *t)
{
	if (t->n)
		qsort(t->symbols, t->n, sizeof(*t->symbols), compare);
}

/* The last symbol that begins at the address or before; -1: there is none. */
static ptrdiff_t last_before(const struct lb_symtab *t, uint64_t address)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->symbols[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return (ptrdiff_t)low - 1;
}

const char *lb_symtab_find(const struct lb_symtab *t, uint64_t address, uint64_t *offset)
{
	ptrdiff_t i = last_before(t, address);
	const struct lb_symbol *s;

	if (i < 0)
		return NULL;
	while (i > 0 && t->symbols[i - 1].address == t->symbols[i].address)
		i--;
	s = &t->symbols[i];
	*offset = address - s->address;
	return s->size == 0 || *offset < s->size ? t->names + s->name : NULL;
}

void lb_symtab_free(struct lb_symtab *t)
{
	free(t->symbols);
	free(t->names);
	memset(t, 0, sizeof(*t));
}
