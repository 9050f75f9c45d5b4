/* SPDX-License-Identifier: MIT */
/*
 * Names of addresses in a process: by its mappings (/proc/PID/maps) and the
 * symbols of the ELF files that are mapped (libelf), which are kept for the next
 * address in the same file.
 */
#ifndef LUABPF_LIB_KERNEL_PROCSYMS_H
#define LUABPF_LIB_KERNEL_PROCSYMS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Writes "malloc+0x10"; where the file tells no name for it, the file's, and where in it:
 * "[libc.so.6]+0x8f2a0": 1. 0 for an address that no file is mapped at; -errno. Any
 * thread may call it.
 */
int lb_procsyms_name(int pid, uint64_t address, char *text, size_t size);

#endif
