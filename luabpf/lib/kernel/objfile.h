/* SPDX-License-Identifier: MIT */
/*
 * Opening of BPF object files: libbpf gets those only that elfcheck.h has found to be right. No
 * Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_OBJFILE_H
#define LUABPF_LIB_KERNEL_OBJFILE_H

#include "lib/kernel/loader.h"

/*
 * Opens the object in a file. What of its BTF no kernel takes is replaced, and named in the
 * warnings of loaded. 0, or -errno, with a reason where the errno does not tell it.
 */
int lb_object_open(const char *path, struct bpf_object **obj, struct lb_loaded *loaded,
		   struct lb_log *log);

#endif
