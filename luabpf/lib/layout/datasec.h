/* SPDX-License-Identifier: MIT */
/*
 * The global variables of a BPF object, as the DATASECs of its BTF list them.
 * No Lua here.
 */
#ifndef LUABPF_LIB_LAYOUT_DATASEC_H
#define LUABPF_LIB_LAYOUT_DATASEC_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

enum lb_section {
	LB_SEC_DATA,		/* .data, .bss: read and written at any time */
	LB_SEC_RODATA,		/* constant once loaded */
	LB_SEC_KCONFIG,		/* filled by libbpf with the kernel's configuration */
};

struct lb_var {
	const char *name;
	const char *section;
	enum lb_section kind;
	struct bpf_map *map;		/* holds the section */
	uint32_t type_id;		/* in bpf_object__btf */
	uint32_t offset, size;		/* bytes within the map's only value */
	bool is_static;			/* may have been optimised away: not offered */
	/* Where the walk stands. */
	uint32_t at_type, at_member;
};

/*
 * Moves to the next variable, from { 0 } to the first: false at the end.
 * Strings and the map live as long as the object.
 */
bool lb_var_next(const struct bpf_object *obj, struct lb_var *v);
/* Moves to the variable of that name, static ones too; false if there is none. */
bool lb_var_find(const struct bpf_object *obj, const char *name, struct lb_var *v);

#endif
