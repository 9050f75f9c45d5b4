/* SPDX-License-Identifier: MIT */
/*
 * BPF object files, before libbpf reads them: whether sections, symbols, relocations and BTF lie
 * where the file says, and refer to what is there. libbpf and the verifier look at the rest. No
 * Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_ELFCHECK_H
#define LUABPF_LIB_KERNEL_ELFCHECK_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

/* An object file in memory, aligned as malloc does. */
struct lb_elf {
	const uint8_t *data;
	size_t size;
	const Elf64_Ehdr *header;
	const Elf64_Shdr *sections;
	const char *names;		/* of sections */
};

/* Looks at size bytes: NULL, or what is wrong with them. Fills elf, as far as it is right. */
const char *lb_elf_check(struct lb_elf *elf, const void *data, size_t size);
/* The number of the section of that name; 0 if there is none. */
uint32_t lb_elf_section(const struct lb_elf *elf, const char *name);

#endif
