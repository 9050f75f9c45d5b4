/* SPDX-License-Identifier: MIT */
/*
 * The functions of an ELF file: of its symbol table, else of what it offers to
 * others (.dynsym).
 */
#ifndef LUABPF_LIB_KERNEL_ELFSYMS_H
#define LUABPF_LIB_KERNEL_ELFSYMS_H

#include "lib/kernel/symtab.h"

/* Addresses of a file's symbols are not offsets in the file: its segments tell. */
struct lb_segment {
	uint64_t offset, size, address;
};

#define LB_MOST_SEGMENTS 16

struct lb_elfsyms {
	struct lb_symtab functions;
	struct lb_segment segments[LB_MOST_SEGMENTS];
	uint32_t nsegments;
};

/* Reads the file: 0 or -errno; -ENOEXEC: it is no ELF file. */
int lb_elfsyms_read(struct lb_elfsyms *e, int fd);
void lb_elfsyms_free(struct lb_elfsyms *e);
/* The function that this offset of the file is in, and how far; NULL: none is known. */
const char *lb_elfsyms_find(const struct lb_elfsyms *e, uint64_t at, uint64_t *offset);

#endif
