/* SPDX-License-Identifier: MIT */
/*
 * What the kernel says of maps: map:info(), the list of all maps, and what
 * maptype.c knows of each type, for Lua.
 */
#include "bind/map/map.h"
#include "lib/kernel/privilege.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>

/* What Lua asks of a type: fields of its entry in core.maptypes. */
static const struct {
	const char *name;
	uint32_t can;
} abilities[] = {
	{ "can_lookup", LB_CAN_LOOKUP },	{ "can_update", LB_CAN_UPDATE },
	{ "can_delete", LB_CAN_DELETE },	{ "can_take", LB_CAN_TAKE },
	{ "batch_lookup", LB_BATCH_LOOKUP },	{ "batch_drain", LB_BATCH_DRAIN },
	{ "batch_update", LB_BATCH_UPDATE },	{ "batch_delete", LB_BATCH_DELETE },
	{ "percpu", LB_PERCPU },		{ "keyless", LB_KEYLESS },
	{ "map_values", LB_MAP_VALUES },	{ "fixed", LB_FIXED },
	{ "fd_values", LB_FD_VALUES },		{ "evicts", LB_EVICTS },
	{ "for_each", LB_FOR_EACH },		{ "keyed", LB_KEYED },
	{ "sum_count", LB_SUM_COUNT },		{ "key_index", LB_KEY_INDEX },
	{ "needs_no_prealloc", LB_NEEDS_NO_PREALLOC },
	{ "rounds_size", LB_ROUNDS_SIZE },	{ "prefix_key", LB_PREFIX_KEY },
	{ "wide_values", LB_WIDE_VALUES },	{ "sets_rdonly", LB_SETS_RDONLY },
};

static void push_maptype(lua_State *L, const struct lb_maptype *t)
{
	static const char *const positions[] = {
		[LB_POS_NONE] = "none", [LB_POS_BUCKET] = "bucket", [LB_POS_INDEX] = "index",
		[LB_POS_TRIE] = "trie", [LB_POS_KEY] = "key", [LB_POS_POP] = "pop",
	};

	lua_createtable(L, 0, 32);
	lua_pushstring(L, t->name);
	lua_setfield(L, -2, "name");
	lua_pushinteger(L, t->id);
	lua_setfield(L, -2, "id");
	lua_pushstring(L, t->since);
	lua_setfield(L, -2, "since");
	lua_pushstring(L, t->batch_since);
	lua_setfield(L, -2, "batch_since");
	lua_pushstring(L, positions[t->position]);
	lua_setfield(L, -2, "position");
	for (size_t i = 0; i < sizeof(abilities) / sizeof(abilities[0]); i++) {
		lua_pushboolean(L, (t->can & abilities[i].can) != 0);
		lua_setfield(L, -2, abilities[i].name);
	}
}

/* core.maptypes: the table of maptype.c, by number and by name. */
static void push_maptypes(lua_State *L)
{
	const struct lb_maptype *t;

	lua_newtable(L);
	for (uint32_t i = 0; (t = lb_maptype_at(i)) != NULL; i++) {
		push_maptype(L, t);
		lua_pushvalue(L, -1);
		lua_setfield(L, -3, t->name);
		lua_rawseti(L, -2, t->id);
	}
}

static void push_info(lua_State *L, const struct lb_mapinfo *i)
{
	lua_createtable(L, 0, 20);
	lua_pushstring(L, lb_maptype(i->type)->name);
	lua_setfield(L, -2, "type");
	lua_pushstring(L, i->name);
	lua_setfield(L, -2, "name");
	lb_set_int(L, "id", i->id);
	lb_set_int(L, "key_size", i->key_size);
	lb_set_int(L, "value_size", i->value_size);
	lb_set_int(L, "max_entries", i->max_entries);
	lb_set_int(L, "map_flags", i->map_flags);
	lb_set_int(L, "ifindex", i->ifindex);
	lb_set_int(L, "netns_dev", (lua_Integer)i->netns_dev);
	lb_set_int(L, "netns_ino", (lua_Integer)i->netns_ino);
	lb_set_int(L, "btf_id", i->btf_id);
	lb_set_int(L, "btf_key_type_id", i->btf_key_type_id);
	lb_set_int(L, "btf_value_type_id", i->btf_value_type_id);
	lb_set_int(L, "btf_vmlinux_id", i->btf_vmlinux_id);
	lb_set_int(L, "btf_vmlinux_value_type_id", i->btf_vmlinux_value_type_id);
	lb_set_int(L, "map_extra", (lua_Integer)i->map_extra);
}

/* map:info() as struct bpf_map_info has it; the Lua side adds what fdinfo tells. */
static int map_info(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct lb_mapinfo info;
	int err = lb_kmap_info(m->k.fd, &info);

	if (err)
		return lb_map_fail(L, m, "info", -err);
	push_info(L, &info);
	return 1;
}

/* core.mapped(map): true; false and why not; nil where it was not made for it. */
static int map_mapped(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);

	if (!lb_can(&m->k, LB_MAPPABLE) || !(m->k.info.map_flags & BPF_F_MMAPABLE)) {
		lua_pushnil(L);
		return 1;
	}
	lua_pushboolean(L, lb_kmap_mapped(&m->k, false));
	lua_pushstring(L, m->k.unmapped);
	return 2;
}

/*
 * core.known_info(map): what of it never changes, as it was when the handle was
 * made. The kernel is not asked, so it cannot refuse.
 */
static int map_known_info(lua_State *L)
{
	push_info(L, &lb_check_map(L, 1)->k.info);
	return 1;
}

/* core.maps(): a list of the infos of all maps, or nil, message, errno. */
static int map_list(lua_State *L)
{
	struct lb_mapinfo info;
	lua_Integer n = 0;
	uint32_t id = 0;

	lua_newtable(L);
	while (bpf_map_get_next_id(id, &id) == 0) {
		int fd = bpf_map_get_fd_by_id(id);
		int err = fd < 0 ? -errno : lb_kmap_info(fd, &info);

		if (fd >= 0)
			close(fd);
		if (err == -ENOENT)
			continue;
		if (err)
			return lb_fail_unprivileged(L, -err, LB_CAP_SYS_ADMIN, "maps");
		push_info(L, &info);
		lua_rawseti(L, -2, ++n);
	}
	return errno == ENOENT ? 1 : lb_fail_unprivileged(L, errno, LB_CAP_SYS_ADMIN, "maps");
}

/* core.buckets(max_entries): of a hash table of that size. */
static int hash_buckets(lua_State *L)
{
	lua_pushinteger(L, lb_buckets((uint32_t)lb_check_int(L, 1, 0, UINT32_MAX)));
	return 1;
}

/* core.cpu_stride(value_size): bytes from one CPU's value to the next. */
static int value_cpu_stride(lua_State *L)
{
	lua_pushinteger(L, lb_cpu_stride((uint32_t)lb_check_int(L, 1, 0, UINT32_MAX)));
	return 1;
}

static const luaL_Reg functions[] = {
	{ "known_info", map_known_info },
	{ "maps", map_list },
	{ "mapped", map_mapped },
	{ "buckets", hash_buckets },
	{ "cpu_stride", value_cpu_stride },
	{ NULL, NULL },
};

static const luaL_Reg methods[] = {
	{ "info", map_info },
	{ NULL, NULL },
};

void lb_open_info(lua_State *L)
{
	lb_add_methods(L, LB_MAP, methods);
	luaL_setfuncs(L, functions, 0);
	push_maptypes(L);
	lua_setfield(L, -2, "maptypes");
}
