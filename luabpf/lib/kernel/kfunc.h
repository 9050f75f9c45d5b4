/* SPDX-License-Identifier: MIT */
/*
 * Functions of the kernel that programs may call, by their number in the
 * kernel's BTF. No Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_KFUNC_H
#define LUABPF_LIB_KERNEL_KFUNC_H

#include <stdint.h>

/*
 * The id of a function in the BTF of the running kernel; 0 if it has none of
 * that name or no BTF, -errno if that could not be read.
 *
 * Some milliseconds: the names are looked through first, which is all where
 * there is no such function, then the types up to it. What was found is not
 * kept.
 */
int32_t lb_kfunc_id(const char *name);

/* The same in a file of BTF of this machine's byte order. mapped: by mmap if the file can be. */
int32_t lb_kfunc_id_in(const char *path, const char *name, int mapped);

#endif
