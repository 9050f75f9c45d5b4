/* SPDX-License-Identifier: MIT */
/*
 * Handles on maps, made: creating and opening. Arguments are checked in Lua
 * (lua/luabpf/map/open.lua), or come from the module itself.
 */
#include "bind/map/map.h"
#include "bind/value/layout.h"
#include "lib/kernel/loader.h"
#include "lib/kernel/momentary.h"
#include "lib/kernel/privilege.h"
#include "lib/layout/btf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a key or of an entry's value in memory, at most. */
#define MAX_DETACHED (1 << 30)

/* 0 for anything but an integer: raises nothing while a descriptor is held. */
static lua_Integer field_int(lua_State *L, int idx, const char *name)
{
	lua_Integer v;

	lua_getfield(L, idx, name);
	v = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return v;
}

static const struct lb_type *field_type(lua_State *L, int idx, const char *name)
{
	const struct lb_layout *layout;

	lua_getfield(L, idx, name);
	layout = lb_layout_test(L, -1);
	lua_pop(L, 1);
	return layout ? layout->root : NULL;
}

static int create(lua_State *L, int idx, const char *name, uint32_t btf_fd, uint32_t key_id,
		  uint32_t value_id)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts,
		.btf_fd = btf_fd, .btf_key_type_id = key_id, .btf_value_type_id = value_id,
		.map_flags = (uint32_t)field_int(L, idx, "flags"),
		.map_extra = (uint64_t)field_int(L, idx, "map_extra"),
		.inner_map_fd = (uint32_t)field_int(L, idx, "inner_fd"),
		.numa_node = (uint32_t)field_int(L, idx, "numa_node"));
	int fd = bpf_map_create((enum bpf_map_type)field_int(L, idx, "type"), name,
				(uint32_t)field_int(L, idx, "key_size"),
				(uint32_t)field_int(L, idx, "value_size"),
				(uint32_t)field_int(L, idx, "max_entries"), &opts);

	return fd < 0 ? -errno : fd;
}

/* The type of a side without a layout, size bytes; NULL if there are none. */
static const struct lb_type *plain_bytes(struct lb_type *room, lua_Integer size)
{
	*room = (struct lb_type){ .kind = LB_BYTES, .size = (uint32_t)size, .align = 1,
				  .name = "bytes" };
	return size ? room : NULL;
}

/*
 * With BTF, of both sides or none, where the type of map takes it, else without. What fails
 * for a moment only is not made without, since it would lose its layouts for good.
 */
static int create_typed(lua_State *L, int idx, const char *name)
{
	const struct lb_type *key = field_type(L, idx, "key");
	const struct lb_type *value = field_type(L, idx, "value");
	uint32_t key_id = 0, value_id = 0;
	struct lb_type room;
	int btf_fd = -1, fd = -EINVAL;

	if (key && !value)
		value = plain_bytes(&room, field_int(L, idx, "value_size"));
	else if (value && !key)
		key = plain_bytes(&room, field_int(L, idx, "key_size"));
	if (key || value)
		btf_fd = lb_btf_load(key, value, &key_id, &value_id);
	if ((key || value) && lb_momentary(btf_fd))
		return btf_fd;
	if (btf_fd >= 0) {
		fd = create(L, idx, name, (uint32_t)btf_fd, key_id, value_id);
		close(btf_fd);
	}
	if (fd < 0 && fd != -EPERM && !lb_momentary(fd))
		fd = create(L, idx, name, 0, 0, 0);
	return fd;
}

/*
 * core.create{ type, name, key_size, value_size, max_entries, flags,
 * map_extra, inner_fd, numa_node, key, value }: numbers, and layouts.
 */
static int map_create(lua_State *L)
{
	struct lb_map *m;
	const char *name;
	int fd;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_getfield(L, 1, "name");
	name = lua_tostring(L, -1);
	m = lb_map_new(L);
	fd = create_typed(L, 1, name);
	if (fd < 0)
		return lb_fail_unprivileged(L, -fd, LB_CAP_BPF, lua_pushfstring(L, "%s: create",
								   name && *name ? name : "map"));
	return lb_map_fill(L, m, fd, "map");
}

/* Keeps the layout of that name with the handle at 2: its type, which must have that size. */
static const struct lb_type *keep_layout(lua_State *L, const char *name, uint32_t size, int uvalue)
{
	const struct lb_layout *layout;

	lua_getfield(L, 1, name);
	layout = lb_layout_test(L, -1);
	if (layout && layout->root->size != size)
		luaL_error(L, "%s: the layout has %d bytes, not %d", name,
			   (int)layout->root->size, (int)size);
	lua_setiuservalue(L, 2, uvalue);
	return layout ? layout->root : NULL;
}

/*
 * core.detached{ type = number, name =, key_size =, value_size =, ncpu = (0: plain
 * values), key = layout, value = layout }: a handle without a map in the kernel.
 * Batches and queries take it to know how entries lie in memory that came from
 * elsewhere; to its methods it is closed. The layouts' sizes must be those given.
 */
static int map_detached(lua_State *L)
{
	struct lb_mapinfo info = { 0 };
	const struct lb_type *key, *value;
	struct lb_map *m;
	uint32_t ncpu;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	info.type = lb_opt_upto(L, 1, "type", UINT32_MAX);
	info.key_size = lb_opt_upto(L, 1, "key_size", MAX_DETACHED);
	info.value_size = lb_opt_upto(L, 1, "value_size", MAX_DETACHED);
	ncpu = lb_opt_upto(L, 1, "ncpu", MAX_DETACHED / (lb_cpu_stride(info.value_size) + 1));
	lua_getfield(L, 1, "name");
	snprintf(info.name, sizeof(info.name), "%s", luaL_optstring(L, -1, ""));
	lua_settop(L, 1);
	m = lb_map_new(L);
	key = keep_layout(L, "key", info.key_size, LB_MAP_KEY_LAYOUT);
	value = keep_layout(L, "value", info.value_size, LB_MAP_VALUE_LAYOUT);
	lb_kmap_detached(&m->k, &info, ncpu);
	lb_map_set_shapes(m, key, value);
	if (m->value.size != info.value_size)
		luaL_error(L, "value_size: %d is not that of %s", (int)info.value_size,
			   m->k.type->name);
	m->detached = true;
	return 1;
}

/* core.open_path(path, readonly) */
static int map_open_path(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	bool readonly = lua_toboolean(L, 2);
	struct lb_map *m = lb_map_new(L);
	struct lb_log log;
	int fd, results;

	lb_log_begin(&log);
	fd = lb_pin_open(path, LB_FD_MAP, readonly, &log);
	lb_log_end(&log);
	if (fd < 0)
		return lb_log_fail(L, fd, &log, "open");
	results = lb_map_fill(L, m, fd, path);
	if (results == 1) {
		lua_pushvalue(L, 1);
		lb_map_add_pin(L, -2);
	}
	return results;
}

/* core.open_id(id, readonly) */
static int map_open_id(lua_State *L)
{
	uint32_t id = (uint32_t)lb_check_int(L, 1, 0, UINT32_MAX);
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, opts,
		.open_flags = lua_toboolean(L, 2) ? BPF_F_RDONLY : 0);
	struct lb_map *m = lb_map_new(L);
	int fd = bpf_map_get_fd_by_id_opts(id, &opts);

	if (fd < 0)
		return lb_fail_unprivileged(L, errno, LB_CAP_SYS_ADMIN,
			       lua_pushfstring(L, "map id %I", (LUAI_UACINT)id));
	return lb_map_fill(L, m, fd, "map");
}

/* core.open_fd(fd): a duplicate of a descriptor the caller keeps. */
static int map_open_fd(lua_State *L)
{
	int given = (int)lb_check_int(L, 1, 0, INT32_MAX);
	struct lb_map *m = lb_map_new(L);
	int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return lb_fail(L, errno, "fd %d", given);
	if (!lb_is_map(fd)) {
		enum lb_fdkind kind = lb_fdkind(fd);

		close(fd);
		return lb_fail(L, EINVAL, "fd %d is of %s, not of a map", given,
			       lb_fdkind_name(kind));
	}
	return lb_map_fill(L, m, fd, "map");
}

static const luaL_Reg functions[] = {
	{ "create", map_create },
	{ "detached", map_detached },
	{ "open_path", map_open_path },
	{ "open_id", map_open_id },
	{ "open_fd", map_open_fd },
	{ NULL, NULL },
};

void lb_open_open(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
