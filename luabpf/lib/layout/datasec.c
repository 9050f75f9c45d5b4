/* SPDX-License-Identifier: MIT */
/*
 * Global variables. clang puts each into a section (.data, .bss, .rodata,
 * .data.NAME...), libbpf makes an array map with one value of each section,
 * and BTF has a DATASEC of the section's name with a VAR for each variable.
 * See datasec.h.
 */
#include "lib/layout/datasec.h"

#include <bpf/btf.h>
#include <string.h>

/* The names of these maps are the section's, or end with it ("conntrac.bss"). */
static struct bpf_map *map_of(const struct bpf_object *obj, const char *section)
{
	size_t n = strlen(section);
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		const char *name = bpf_map__name(map);
		size_t len = strlen(name);

		if (bpf_map__is_internal(map) && len >= n && !strcmp(name + len - n, section))
			return map;
	}
	return NULL;
}

static enum lb_section kind_of(const char *section)
{
	if (strncmp(section, ".rodata", 7) == 0)
		return LB_SEC_RODATA;
	return strcmp(section, ".kconfig") == 0 ? LB_SEC_KCONFIG : LB_SEC_DATA;
}

/* Moves to the next DATASEC that has a map. */
static bool next_section(const struct bpf_object *obj, const struct btf *btf, struct lb_var *v)
{
	while (++v->at_type < btf__type_cnt(btf)) {
		const struct btf_type *t = btf__type_by_id(btf, v->at_type);

		if (!btf_is_datasec(t))
			continue;
		v->section = btf__name_by_offset(btf, t->name_off);
		v->map = map_of(obj, v->section);
		v->kind = kind_of(v->section);
		v->at_member = 0;
		if (v->map)
			return true;
	}
	return false;
}

/* Takes the next one; false if what the BTF says of it cannot be. */
static bool take(const struct btf *btf, struct lb_var *v)
{
	const struct btf_type *sec = btf__type_by_id(btf, v->at_type);
	const struct btf_var_secinfo *info = btf_var_secinfos(sec) + v->at_member++;
	const struct btf_type *var = btf__type_by_id(btf, info->type);

	if (!var || !btf_is_var(var) ||
	    (uint64_t)info->offset + info->size > bpf_map__value_size(v->map))
		return false;
	v->name = btf__name_by_offset(btf, var->name_off);
	v->type_id = var->type;
	v->offset = info->offset;
	v->size = info->size;
	v->is_static = btf_var(var)->linkage == BTF_VAR_STATIC;
	return true;
}

bool lb_var_next(const struct bpf_object *obj, struct lb_var *v)
{
	const struct btf *btf = bpf_object__btf(obj);

	if (!btf)
		return false;
	do {
		while (!v->map || v->at_member >= btf_vlen(btf__type_by_id(btf, v->at_type)))
			if (!next_section(obj, btf, v))
				return false;
	} while (!take(btf, v));
	return true;
}

bool lb_var_find(const struct bpf_object *obj, const char *name, struct lb_var *v)
{
	memset(v, 0, sizeof(*v));
	while (lb_var_next(obj, v))
		if (strcmp(v->name, name) == 0)
			return true;
	return false;
}
