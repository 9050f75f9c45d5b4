/* SPDX-License-Identifier: MIT */
/*
 * BTF to layout and back, on libbpf's btf__* calls. No Lua here.
 */
#ifndef LUABPF_LIB_LAYOUT_BTF_H
#define LUABPF_LIB_LAYOUT_BTF_H

#include "lib/layout/layout.h"

struct btf;
struct btf_type;

/*
 * The layout of a BTF type. NULL with errno set; ENOTSUP for what has no
 * size (functions, forward declarations).
 */
struct lb_layout *lb_btf_layout(const struct btf *btf, uint32_t type_id);

/* Whether the kernel keeps the bytes of structs of that name to itself in map values. */
bool lb_btf_is_special(const char *name);
/*
 * What a type is behind typedefs, qualifiers and tags, and its id; NULL where there is no end to
 * them.
 */
const struct btf_type *lb_btf_plain(const struct btf *btf, uint32_t *id);

/* Sizes that C's integers have. */
static inline bool lb_is_int_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

/*
 * Loads BTF that describes the two types into the kernel. Either may be NULL
 * (its id is then 0). Returns a file descriptor of the caller's, or -errno.
 */
int lb_btf_load(const struct lb_type *key, const struct lb_type *value, uint32_t *key_id,
		uint32_t *value_id);

#endif
