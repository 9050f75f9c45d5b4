/* SPDX-License-Identifier: MIT */
/*
 * Names of addresses in the kernel, by /proc/kallsyms: some 200,000 lines, which
 * are read once. Modules and BPF programs come and go: what is not in the kernel
 * proper is looked for in lines that are at most a second old.
 */
#ifndef LUABPF_LIB_KERNEL_KALLSYMS_H
#define LUABPF_LIB_KERNEL_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes "do_unlinkat+0x10", with " [module]" after it where it is in one: 1; 0
 * for an address that is in no symbol; -errno: -EACCES where the kernel shows this process no
 * addresses. Any thread may call it.
 */
int lb_kallsyms_name(uint64_t address, char *text, size_t size);

#endif
