/* SPDX-License-Identifier: MIT */
/*
 * A table of symbols: names by the addresses that they begin at. Filled in any
 * order, then searched.
 */
#ifndef LUABPF_LIB_KERNEL_SYMTAB_H
#define LUABPF_LIB_KERNEL_SYMTAB_H

#include <stddef.h>
#include <stdint.h>

struct lb_symbol {
	uint64_t address, size;		/* size 0: up to the next one */
	size_t name;			/* offset in the names */
	uint32_t order;			/* as added: the first one of an address is found */
};

struct lb_symtab {
	struct lb_symbol *symbols;
	size_t n, room;
	char *names;
	size_t used, names_room;
};

/* 0 or -ENOMEM. name: length bytes. */
int lb_symtab_add(struct lb_symtab *t, uint64_t address, uint64_t size, const char *name,
		  size_t length);
/* After the last one was added, before the first search. */
void lb_symtab_sort(struct lb_symtab *t);
/* The name of the symbol that the address is in, and how far; NULL: of none. */
const char *lb_symtab_find(const struct lb_symtab *t, uint64_t address, uint64_t *offset);
/* Frees all; may be called twice, and of zeros. */
void lb_symtab_free(struct lb_symtab *t);

#endif
