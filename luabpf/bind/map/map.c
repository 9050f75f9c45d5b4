/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.map: a handle on a kernel map, its types, its errors, its
 * life and its pins. open.c makes handles; info.c, entry.c, keys.c and
 * lua/luabpf/map/methods.lua add the other methods.
 *
 * @module luabpf.bind.map.map
 */
#include "bind/map/map.h"

#include "bind/options.h"
#include "bind/value/builder.h"
#include "bind/value/layout.h"
#include "lib/kernel/loader.h"
#include "lib/kernel/pin.h"
#include "lib/layout/btf.h"
#include "lib/layout/special.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct lb_type u32_type = {
	.kind = LB_INT, .size = 4, .align = 4, .name = "u32",
};

static const struct lb_type u64_type = {
	.kind = LB_INT, .size = 8, .align = 8, .name = "u64",
};

/* ---- the handle ------------------------------------------------------- */

struct lb_map *lb_to_map(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_MAP);
}

struct lb_map *lb_check_map(lua_State *L, int arg)
{
	struct lb_map *m = lb_to_map(L, arg);

	if (m->k.fd < 0)
		lb_is_closed(L, "map");
	return m;
}

struct lb_map *lb_check_shapes(lua_State *L, int arg)
{
	struct lb_map *m = lb_to_map(L, arg);

	return m->detached ? m : lb_check_map(L, arg);
}

struct lb_map *lb_map_new(lua_State *L)
{
	struct lb_map *m = lua_newuserdatauv(L, sizeof(*m), LB_MAP_UVALUES);

	memset(m, 0, sizeof(*m));
	m->k.fd = -1;
	luaL_setmetatable(L, LB_MAP);
	m->builders = lb_builders_push(L, LB_BUILDERS);
	lua_setiuservalue(L, -2, LB_MAP_BUILDERS);
	return m;
}

/*
 * The value of a map of maps is the id of a map, whatever BTF or caller say; that of
 * stacks is a list of addresses, where they say nothing.
 */
static const struct lb_type *value_type(struct lb_map *m, const struct lb_type *given)
{
	if (lb_can(&m->k, LB_MAP_VALUES))
		return &u32_type;
	if (given || !lb_stacks_are_addresses(&m->k))
		return given;
	m->stack = (struct lb_type){ .kind = LB_ARRAY, .size = m->k.info.value_size, .align = 8,
				     .name = "u64[]", .elem = &u64_type,
				     .n = m->k.info.value_size / u64_type.size, .ends = true };
	return &m->stack;
}

static const struct lb_type *key_type(const struct lb_map *m, const struct lb_type *given)
{
	return !given && lb_stacks_are_addresses(&m->k) ? &u32_type : given;
}

void lb_map_set_shapes(struct lb_map *m, const struct lb_type *key, const struct lb_type *value)
{
	uint32_t value_size = lb_can(&m->k, LB_MAP_VALUES) ? 4 : m->k.info.value_size;

	m->key = (struct lb_shape){ .type = key_type(m, key), .size = m->k.info.key_size,
				    .stride = m->k.info.key_size, .builder = &m->builders[LB_BUILD_KEY] };
	m->value = (struct lb_shape){ .type = value_type(m, value), .size = value_size,
				      .ncpu = m->k.ncpu, .stride = m->k.value_stride,
				      .builder = &m->builders[LB_BUILD_VALUE] };
}

/*
 * Pushes the layout of a BTF type if it describes size bytes, else nil; *type is
 * then set or NULL. 0, or -ENOMEM with nothing pushed.
 */
static int push_btf_layout(lua_State *L, const struct btf *btf, uint32_t id, uint32_t size,
			   const struct lb_type **type)
{
	struct lb_layout *layout = id ? lb_btf_layout(btf, id) : NULL;

	if (id && !layout && errno == ENOMEM)
		return -ENOMEM;
	if (layout && layout->root->size != size) {
		lb_layout_free(layout);
		layout = NULL;
	}
	*type = lb_layout_push(L, layout);
	return 0;
}

#define LB_BTF "luabpf.btf"

/* BTF held by Lua, so that an error frees it. */
static int btf_box_gc(lua_State *L)
{
	struct btf **box = lb_checkudata(L, 1, LB_BTF);

	btf__free(*box);
	*box = NULL;
	return 0;
}

static struct btf **push_btf_box(lua_State *L)
{
	struct btf **box = lua_newuserdatauv(L, sizeof(struct btf *), 0);

	*box = NULL;
	if (luaL_newmetatable(L, LB_BTF)) {
		lua_pushcfunction(L, btf_box_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return box;
}

/* Gives the handle at that index the types of BTF. 0, or -ENOMEM. */
static int take_types(lua_State *L, struct lb_map *m, int handle, const struct btf *btf)
{
	const struct lb_mapinfo *info = &m->k.info;
	const struct lb_type *key, *value;
	int err = push_btf_layout(L, btf, info->btf_key_type_id, info->key_size, &key);

	if (err)
		return err;
	lua_setiuservalue(L, handle, LB_MAP_KEY_LAYOUT);
	err = push_btf_layout(L, btf, info->btf_value_type_id, info->value_size, &value);
	if (err)
		return err;
	lua_setiuservalue(L, handle, LB_MAP_VALUE_LAYOUT);
	lb_map_set_shapes(m, key, value);
	m->k.lock = lb_has_lock(value) && lb_can(&m->k, LB_LOCKABLE);
	return 0;
}

/*
 * Gives the handle at the top the types of its map's BTF, if the map has any and
 * this process may read it. 0, or -errno: what is refused for a moment must not
 * leave a handle without types.
 */
static int read_types(lua_State *L, struct lb_map *m)
{
	int handle = lua_gettop(L), err;
	struct btf **box;

	if (!m->k.info.btf_id)
		return 0;
	box = push_btf_box(L);
	*box = btf__load_from_kernel_by_id(m->k.info.btf_id);
	err = *box ? take_types(L, m, handle, *box) : errno == EPERM ? 0 : -errno;
	btf__free(*box);
	*box = NULL;
	lua_settop(L, handle);
	return err;
}

int lb_map_fill(lua_State *L, struct lb_map *m, int fd, const char *what)
{
	int err = lb_kmap_adopt(&m->k, fd);

	if (err)
		return lb_fail(L, -err, "%s", what);
	luaL_checkstack(L, 8, NULL);
	lb_map_set_shapes(m, NULL, NULL);
	err = read_types(L, m);
	if (err) {
		lb_kmap_close(&m->k);
		return lb_fail(L, -err, "%s: BTF", what);
	}
	return 1;
}

int lb_map_push_copy(lua_State *L, int fd)
{
	struct lb_map *m = lb_map_new(L);

	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return fd < 0 ? lb_fail(L, errno, "map") : lb_map_fill(L, m, fd, "map");
}

const char *lb_map_label(const struct lb_map *m, char *buf, size_t size)
{
	if (m->k.info.name[0])
		return m->k.info.name;
	snprintf(buf, size, "map %u", m->k.info.id);
	return buf;
}

static bool is_full(const struct lb_map *m, int err)
{
	return err == E2BIG || (err == ENOSPC && lb_can(&m->k, LB_PREFIX_KEY));
}

static const char *reason(lua_State *L, const struct lb_map *m, int err, char *buf, size_t size)
{
	if (err == LB_ENOTSUPP)
		return lua_pushfstring(L, "not supported by %s maps", m->k.type->name);
	if (is_full(m, err) && lb_can(&m->k, LB_KEY_INDEX))
		return lua_pushfstring(L, "index past the end (max_entries is %d)",
				       (int)m->k.info.max_entries);
	if (is_full(m, err))
		return lua_pushfstring(L, "the map is full (max_entries is %d)",
				       (int)m->k.info.max_entries);
	if (err == EPERM)
		return "Operation not permitted (the map is frozen, or this handle is for "
		       "reading or writing only)";
	return lb_strerror(err, buf, size);
}

int lb_map_fail(lua_State *L, const struct lb_map *m, const char *operation, int err)
{
	char name[32], text[128];
	int top = lua_gettop(L);
	const char *why;

	why = reason(L, m, err, text, sizeof(text));
	lua_pushfstring(L, "%s: %s: %s", lb_map_label(m, name, sizeof(name)), operation, why);
	lua_insert(L, top + 1);
	lua_settop(L, top + 1);
	luaL_pushfail(L);
	lua_insert(L, top + 1);
	lua_pushinteger(L, err);
	return 3;
}

int lb_map_fail_partial(lua_State *L, const struct lb_map *m, const char *operation, int err, int n)
{
	if (n > 1) {
		lua_createtable(L, n, 0);
		lua_insert(L, -n - 1);
		for (int i = n; i >= 1; i--)
			lua_rawseti(L, -i - 1, i);
	}
	lb_map_fail(L, m, operation, err);
	lua_pushvalue(L, -4);
	return 4;
}

/* ---- pins, closing ---------------------------------------------------- */

void lb_map_add_pin(lua_State *L, int idx)
{
	idx = lua_absindex(L, idx);
	if (lua_getiuservalue(L, idx, LB_MAP_PINS) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_createtable(L, 1, 0);
		lua_pushvalue(L, -1);
		lua_setiuservalue(L, idx, LB_MAP_PINS);
	}
	lua_insert(L, -2);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	lua_pop(L, 1);
}

/* Forgets the pin that was added last. Needs no memory. */
static void drop_pin(lua_State *L, int idx)
{
	lua_getiuservalue(L, idx, LB_MAP_PINS);
	lua_pushnil(L);
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2));
	lua_pop(L, 1);
}

/***
 * Pins the map in a BPF file system: it lives on after this process.
 * @function map:pin
 * @tparam string path where, in a bpffs such as /sys/fs/bpf; names there have no dots
 * @tparam[opt=false] boolean options.replace takes the place of a map that is pinned there, in one
 *   step: whoever opens the path finds one or the other
 * @treturn true the map is pinned
 * @error there is something at that path, no bpffs is there, or this process may not write
 * @usage
 * assert(map:pin("/sys/fs/bpf/flows", { replace = true }))
 * map:unpin()
 */
static int map_pin(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "replace", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};
	struct lb_map *m = lb_check_map(L, 1);
	const char *path = lb_check_path(L, 2);
	bool replace = lb_options(L, 3, "map:pin", known) && lb_opt_flag(L, 3, "replace");
	struct lb_log log;
	char name[32];
	int err;

	/* Known first: what is pinned must not be left behind where Lua has no memory to remember it. */
	lua_pushvalue(L, 2);
	lb_map_add_pin(L, 1);
	lb_log_begin(&log);
	err = replace ? lb_pin_renew(m->k.fd, path, &log) : lb_pin_make(m->k.fd, path, &log);
	lb_log_end(&log);
	if (err) {
		drop_pin(L, 1);
		return lb_log_fail(L, err, &log, "%s: pin %s",
				   lb_map_label(m, name, sizeof(name)), path);
	}
	lua_pushboolean(L, true);
	return 1;
}

/***
 * Removes the pin that this handle made or was opened from: of several the newest, so that a
 * second call removes the one before. What another program has pinned there by now stays.
 * @function map:unpin
 * @treturn true the pin is gone
 * @error none is known, something else is pinned there by now (ESTALE), or this process may not
 *   remove it
 * @usage
 * assert(map:pin "/sys/fs/bpf/flows")
 * assert(map:unpin())
 */
static int map_unpin(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct lb_log log;
	const char *path;
	lua_Integer n;
	char name[32];
	int err;

	lb_no_options(L, 2);
	n = lua_getiuservalue(L, 1, LB_MAP_PINS) == LUA_TTABLE ? (lua_Integer)lua_rawlen(L, -1) : 0;
	if (n == 0)
		return lb_map_fail(L, m, "unpin (no pin is known)", ENOENT);
	lua_rawgeti(L, -1, n);
	path = lua_tostring(L, -1);
	lb_log_begin(&log);
	err = lb_pin_remove(path, m->k.info.id, &log);
	lb_log_end(&log);
	/* One that is gone, or another's, is no longer this map's. */
	if (!err || err == -ENOENT || err == -ESTALE) {
		lua_pushnil(L);
		lua_rawseti(L, -3, n);
	}
	if (err)
		return lb_log_fail(L, err, &log, "%s: unpin %s",
				   lb_map_label(m, name, sizeof(name)), path);
	lua_pushboolean(L, true);
	return 1;
}

/***
 * Makes the map read-only for user space, for ever; programs go on writing.
 * @function map:freeze
 * @treturn true the map is frozen
 * @error the kernel refuses, as it does for maps that are mapped for writing: an array made with
 *   the flag mmapable, while another handle that wrote to it is open
 * @usage
 * local settings <close> = assert(bpf.create { type = "array", value = "u32", max_entries = 1 })
 * settings:update(0, 7)
 * assert(settings:freeze())
 * print(settings:update(0, 8)) -- nil and the reason
 */
static int map_freeze(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);

	lb_no_options(L, 2);
	/* The kernel freezes no map that is mapped for writing. */
	lb_kmap_unmap(&m->k);
	if (bpf_map_freeze(m->k.fd) < 0)
		return lb_map_fail(L, m, "freeze", errno);
	lua_pushboolean(L, true);
	return 1;
}

/***
 * The descriptor of the handle, which stays the handle's and goes with it.
 * @function map:fd
 * @treturn integer the descriptor
 * @raise a closed map
 * @usage
 * print(map:fd())
 */
static int map_fd(lua_State *L)
{
	lua_pushinteger(L, lb_check_map(L, 1)->k.fd);
	return 1;
}

static void close_map(struct lb_map *m)
{
	lb_many_close(&m->many);
	lb_pool_close(&m->pool);
	lb_kmap_close(&m->k);
}

/***
 * Closes the handle; again does nothing. A pinned map lives on, and so does one that programs
 * use. A `local map <close>` and the garbage collector do the same.
 * @function map:close
 * @treturn true the handle is closed
 * @usage
 * map:close()
 * print(map) -- luabpf.map (closed)
 */
static int map_close(lua_State *L)
{
	close_map(lb_to_map(L, 1));
	lua_pushboolean(L, true);
	return 1;
}

static int map_closer(lua_State *L)
{
	close_map(lb_to_map(L, 1));
	return 0;
}

static int map_gc(lua_State *L)
{
	struct lb_map *m = lb_to_map(L, 1);

	close_map(m);
	return 0;
}

static int map_len(lua_State *L)
{
	lua_pushinteger(L, lb_check_map(L, 1)->k.info.max_entries);
	return 1;
}

static int map_tostring(lua_State *L)
{
	const struct lb_map *m = lb_to_map(L, 1);
	const struct lb_mapinfo *i = &m->k.info;

	if (m->k.fd < 0)
		lua_pushliteral(L, "luabpf.map (closed)");
	else
		lua_pushfstring(L, "luabpf.map (%s%s%s %d->%d max %d id %d)", i->name,
				*i->name ? " " : "", m->k.type->name, (int)i->key_size,
				(int)i->value_size, (int)i->max_entries, (int)i->id);
	return 1;
}

/* Two handles are equal when they are on the same kernel map. */
static int map_eq(lua_State *L)
{
	const struct lb_map *a = luaL_testudata(L, 1, LB_MAP), *b = luaL_testudata(L, 2, LB_MAP);

	lua_pushboolean(L, a && b && a->k.info.id == b->k.info.id);
	return 1;
}

/* pairs(map) is map:entries(); a for loop that pairs begins has no closing value (Lua 5.4). */
static int map_pairs(lua_State *L)
{
	lb_check_map(L, 1);
	lua_settop(L, 1);
	lua_getfield(L, 1, "entries");
	lua_pushvalue(L, 1);
	lua_call(L, 1, 3);
	return 3;
}

/* Keeps the layout at the top, which is popped, if it has that size: its type, else type. */
static const struct lb_type *take_layout(lua_State *L, int handle, int uvalue, uint32_t size,
					 const struct lb_type *type)
{
	const struct lb_layout *layout = lb_layout_test(L, -1);

	if (!layout || layout->root->size != size) {
		lua_pop(L, 1);
		return type;
	}
	lua_setiuservalue(L, handle, uvalue);
	return layout->root;
}

void lb_map_take_layouts(lua_State *L, int idx)
{
	int handle = lua_absindex(L, idx);
	struct lb_map *m = lb_to_map(L, handle);
	const struct lb_type *key, *value;

	value = take_layout(L, handle, LB_MAP_VALUE_LAYOUT, m->k.info.value_size, m->value.type);
	key = take_layout(L, handle, LB_MAP_KEY_LAYOUT, m->k.info.key_size, m->key.type);
	lb_map_set_shapes(m, key, value);
	/* Without BTF the kernel knows of no lock; that of others it may refuse to show. */
	m->k.lock = m->k.info.btf_id && lb_has_lock(value) && lb_can(&m->k, LB_LOCKABLE);
}

/* ---- what the Lua side asks -------------------------------------------- */

/*
 * core.set_types(map, key, value): layouts for a handle that was just opened;
 * nil keeps what is there. Their sizes must be the map's.
 */
static int map_set_types(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	const struct lb_layout *key = lb_layout_test(L, 2), *value = lb_layout_test(L, 3);

	for (int i = 0; i < LB_BUILDERS; i++)
		luaL_argcheck(L, !lb_builder_used(&m->builders[i]), 1,
			      "the handle is in use: its types cannot change");
	luaL_argcheck(L, !key || key->root->size == m->k.info.key_size, 2, "wrong size");
	luaL_argcheck(L, !value || value->root->size == m->k.info.value_size, 3, "wrong size");
	lua_settop(L, 3);
	lb_map_take_layouts(L, 1);
	return 0;
}

/* core.check_map(map): the open map that was given; raises for anything else. */
static int map_check(lua_State *L)
{
	lb_check_map(L, 1);
	lua_settop(L, 1);
	return 1;
}

/* core.layouts(map): the layouts of key and value, or nil. */
static int map_layouts(lua_State *L)
{
	lb_to_map(L, 1);
	lua_getiuservalue(L, 1, LB_MAP_KEY_LAYOUT);
	lua_getiuservalue(L, 1, LB_MAP_VALUE_LAYOUT);
	return 2;
}

/* core.pin_path(map): where the handle knows it to be pinned, or nil. */
static int map_pin_path(lua_State *L)
{
	lb_to_map(L, 1);
	if (lua_getiuservalue(L, 1, LB_MAP_PINS) == LUA_TTABLE)
		lua_rawgeti(L, -1, (lua_Integer)lua_rawlen(L, -1));
	return 1;
}

static const luaL_Reg methods[] = {
	{ "pin", map_pin },
	{ "unpin", map_unpin },
	{ "freeze", map_freeze },
	{ "fd", map_fd },
	{ "close", map_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", map_gc },
	{ "__close", map_closer },
	{ "__len", map_len },
	{ "__tostring", map_tostring },
	{ "__eq", map_eq },
	{ "__pairs", map_pairs },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "set_types", map_set_types },
	{ "layouts", map_layouts },
	{ "check_map", map_check },
	{ "pin_path", map_pin_path },
	{ NULL, NULL },
};

void lb_open_map(lua_State *L)
{
	lb_newclass(L, LB_MAP, methods, meta);
	lb_class_fd(L, LB_MAP, offsetof(struct lb_map, k.fd));
	luaL_setfuncs(L, functions, 0);
}
