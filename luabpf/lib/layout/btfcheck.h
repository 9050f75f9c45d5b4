/* SPDX-License-Identifier: MIT */
/*
 * BTF from a file, before libbpf reads it: whether all that one part of it says about another is
 * there. What the types mean is not looked at. No Lua here.
 */
#ifndef LUABPF_LIB_LAYOUT_BTFCHECK_H
#define LUABPF_LIB_LAYOUT_BTFCHECK_H

#include <stddef.h>
#include <stdint.h>

/* What of .BTF its .BTF.ext refers to. */
struct lb_btfcheck {
	uint32_t ntypes;		/* the highest type id */
	uint32_t str_len;
};

/* Looks at the section .BTF: NULL, or what is wrong with it. data is aligned to 4 bytes. */
const char *lb_btf_check(const void *data, size_t size, struct lb_btfcheck *found);
/* The same of .BTF.ext, whose .BTF was looked at. */
const char *lb_btfext_check(const void *data, size_t size, const struct lb_btfcheck *btf);

#endif
