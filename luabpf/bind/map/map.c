/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.map: a handle on a kernel map. Creating and opening,
 * info, pins, and the operations on one entry; bulkcalls.c and lua/luabpf/map/methods.lua
 * add those on many. Arguments of core.create and core.open_* are checked in Lua
 * (lua/luabpf/map/open.lua), or come from the module itself.
 */
#include "bind/map/map.h"

#include "lib/layout/btf.h"
#include "lib/kernel/loader.h"
#include "bind/object/object.h"
#include "lib/kernel/privilege.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Bytes of a key or of an entry's value in memory, at most. */
#define MAX_DETACHED (1 << 30)
/* A key and a value up to this many bytes need no memory from Lua. */
#define LOCAL 1024

static const struct lb_type u32_type = {
	.kind = LB_INT, .size = 4, .align = 4, .name = "u32",
};

/* ---- the handle ------------------------------------------------------- */

static const char mark;

/* The mark says what luaL_checkudata looks up by name, in a tenth of a short call. */
struct lb_map *lb_to_map(lua_State *L, int arg)
{
	struct lb_map *m = lua_touserdata(L, arg);

	if (m && lua_rawlen(L, arg) == sizeof(*m) && m->mark == &mark)
		return m;
	return luaL_checkudata(L, arg, LB_MAP);
}

struct lb_map *lb_check_map(lua_State *L, int arg)
{
	struct lb_map *m = lb_to_map(L, arg);

	if (m->k.fd < 0)
		luaL_argerror(L, arg, "map is closed");
	return m;
}

struct lb_map *lb_check_shapes(lua_State *L, int arg)
{
	struct lb_map *m = lb_to_map(L, arg);

	return m->detached ? m : lb_check_map(L, arg);
}

int lb_map_fd(lua_State *L, int arg)
{
	return lb_check_map(L, arg)->k.fd;
}

static struct lb_map *new_handle(lua_State *L)
{
	struct lb_map *m = lua_newuserdatauv(L, sizeof(*m), LB_MAP_UVALUES);

	memset(m, 0, sizeof(*m));
	m->mark = &mark;
	m->k.fd = -1;
	lua_pushliteral(L, "raw");
	m->raw = lua_topointer(L, -1);
	lua_pop(L, 1);
	luaL_setmetatable(L, LB_MAP);
	return m;
}

/* The value of a map of maps is the id of a map, whatever BTF or caller say. */
static const struct lb_type *value_type(const struct lb_map *m, const struct lb_type *given)
{
	return lb_can(&m->k, LB_MAP_VALUES) ? &u32_type : given;
}

static void set_shapes(struct lb_map *m, const struct lb_type *key, const struct lb_type *value)
{
	uint32_t value_size = lb_can(&m->k, LB_MAP_VALUES) ? 4 : m->k.info.value_size;

	m->key = (struct lb_shape){ .type = key, .size = m->k.info.key_size,
				    .stride = m->k.info.key_size, .builder = &m->builders[LB_BUILD_KEY] };
	m->value = (struct lb_shape){ .type = value_type(m, value), .size = value_size,
				      .ncpu = m->k.ncpu, .stride = m->k.value_stride,
				      .builder = &m->builders[LB_BUILD_VALUE] };
}

static bool has_lock(const struct lb_type *t)
{
	for (uint32_t i = 0; t && i < t->nmembers; i++)
		if (strcmp(t->members[i].type->name, "bpf_spin_lock") == 0)
			return true;
	return false;
}

/* Pushes the layout of a BTF type if it describes size bytes, else nil. Returns its type. */
static const struct lb_type *push_btf_layout(lua_State *L, const struct btf *btf, uint32_t id,
					     uint32_t size)
{
	struct lb_layout *layout = id ? lb_btf_layout(btf, id) : NULL;

	if (layout && layout->root->size != size) {
		lb_layout_free(layout);
		layout = NULL;
	}
	lb_layout_push(L, layout);
	return layout ? layout->root : NULL;
}

#define LB_BTF "luabpf.btf"

/* BTF held by Lua, so that an error frees it. */
static int btf_box_gc(lua_State *L)
{
	struct btf **box = luaL_checkudata(L, 1, LB_BTF);

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

/* Gives the handle at the top the types of its map's BTF, if the map has any that can be read. */
static void read_types(lua_State *L, struct lb_map *m)
{
	const struct lb_mapinfo *info = &m->k.info;
	const struct lb_type *key, *value;
	int handle = lua_gettop(L);
	struct btf **box;

	if (!info->btf_id)
		return;
	box = push_btf_box(L);
	*box = btf__load_from_kernel_by_id(info->btf_id);
	if (*box) {
		key = push_btf_layout(L, *box, info->btf_key_type_id, info->key_size);
		lua_setiuservalue(L, handle, LB_MAP_KEY_LAYOUT);
		value = push_btf_layout(L, *box, info->btf_value_type_id, info->value_size);
		lua_setiuservalue(L, handle, LB_MAP_VALUE_LAYOUT);
		set_shapes(m, key, value);
		m->k.lock = has_lock(value) && lb_can(&m->k, LB_LOCKABLE);
		btf__free(*box);
		*box = NULL;
	}
	lua_settop(L, handle);
}

/*
 * Fills the handle at the top of the stack from fd, which it owns from then
 * on. Returns 1, or 3 with nil, WHAT: reason, errno.
 */
static int fill(lua_State *L, struct lb_map *m, int fd, const char *what)
{
	int err = lb_kmap_adopt(&m->k, fd);

	if (err)
		return lb_fail(L, -err, "%s", what);
	luaL_checkstack(L, 8, NULL);
	set_shapes(m, NULL, NULL);
	read_types(L, m);
	return 1;
}

int lb_map_adopt(lua_State *L, int fd)
{
	return fill(L, new_handle(L), fd, "map");
}

static const char *label(const struct lb_map *m, char *buf, size_t size)
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
	lua_pushfstring(L, "%s: %s: %s", label(m, name, sizeof(name)), operation, why);
	lua_insert(L, top + 1);
	lua_settop(L, top + 1);
	luaL_pushfail(L);
	lua_insert(L, top + 1);
	lua_pushinteger(L, err);
	return 3;
}

void *lb_scratch(lua_State *L, size_t size, void *local, size_t room)
{
	return size <= room ? local : lua_newuserdatauv(L, size, 0);
}

/* A map or program where the kernel wants its descriptor; -1 for anything else. */
static int handle_fd(lua_State *L, int idx)
{
	if (luaL_testudata(L, idx, LB_MAP))
		return lb_map_fd(L, idx);
	if (luaL_testudata(L, idx, LB_PROGRAM))
		return lb_program_fd(L, idx);
	return -1;
}

/* Whether a number can be something else than the value itself: a descriptor, or an index. */
static bool numbers_are_special(const struct lb_map *m, const struct lb_shape *shape)
{
	return !shape->type || (shape == &m->value && lb_can(&m->k, LB_FD_VALUES));
}

static bool encode_special(lua_State *L, const struct lb_map *m, const struct lb_shape *shape,
			   int idx, void *out)
{
	size_t size;
	const void *bytes = lb_view_bytes(L, idx, &size);
	int fd;

	if (bytes && size == shape->stride) {
		memcpy(out, bytes, size);
		return true;
	}
	if (shape == &m->value && lb_can(&m->k, LB_FD_VALUES) && shape->size >= sizeof(fd)) {
		fd = lua_isinteger(L, idx) ? (int)lua_tointeger(L, idx) : handle_fd(L, idx);
		memset(out, 0, shape->size);
		memcpy(out, &fd, sizeof(fd));
		return fd >= 0;
	}
	return false;
}

static bool encode_index(lua_State *L, const struct lb_map *m, const struct lb_shape *shape,
			 int idx, void *out)
{
	uint32_t index;

	if (shape != &m->key || shape->type || !lb_can(&m->k, LB_KEY_INDEX) ||
	    !lua_isinteger(L, idx) || shape->size != sizeof(index))
		return false;
	index = (uint32_t)lua_tointeger(L, idx);
	memcpy(out, &index, sizeof(index));
	return lua_tointeger(L, idx) == index;
}

void lb_map_encode(lua_State *L, const struct lb_map *m, const struct lb_shape *shape, int idx,
		   void *out, const struct lb_path *path)
{
	int type = lua_type(L, idx);

	if (type == LUA_TUSERDATA || (type == LUA_TNUMBER && numbers_are_special(m, shape))) {
		if (encode_special(L, m, shape, idx, out) || encode_index(L, m, shape, idx, out))
			return;
	}
	lb_encode(L, idx, shape, out, path);
}

/* ---- creating and opening --------------------------------------------- */

/* 0 for anything but an integer: raises nothing while a descriptor is held. */
static lua_Integer field_int(lua_State *L, int idx, const char *name)
{
	lua_Integer v;

	lua_getfield(L, idx, name);
	v = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return v;
}

/* lb_fail; when it was not permitted, with the capabilities that are missing. */
static int refused(lua_State *L, int err, unsigned int wanted, const char *what)
{
	char buf[64], text[128];

	if (err != EPERM || !lb_missing_privileges(wanted, buf, sizeof(buf)))
		return lb_fail(L, err, "%s", what);
	luaL_pushfail(L);
	lua_pushfstring(L, "%s: %s (this process lacks %s)", what,
			lb_strerror(err, text, sizeof(text)), buf);
	lua_pushinteger(L, err);
	return 3;
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

/* With BTF, of both sides or none, where the type of map takes it, else without. */
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
	if (btf_fd >= 0) {
		fd = create(L, idx, name, (uint32_t)btf_fd, key_id, value_id);
		close(btf_fd);
	}
	if (fd < 0 && fd != -EPERM && fd != -ENOMEM)
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
	m = new_handle(L);
	fd = create_typed(L, 1, name);
	if (fd < 0)
		return refused(L, -fd, LB_CAP_BPF, lua_pushfstring(L, "%s: create",
								   name && *name ? name : "map"));
	return fill(L, m, fd, "map");
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
	m = new_handle(L);
	key = keep_layout(L, "key", info.key_size, LB_MAP_KEY_LAYOUT);
	value = keep_layout(L, "value", info.value_size, LB_MAP_VALUE_LAYOUT);
	lb_kmap_detached(&m->k, &info, ncpu);
	set_shapes(m, key, value);
	if (m->value.size != info.value_size)
		luaL_error(L, "value_size: %d is not that of %s", (int)info.value_size,
			   m->k.type->name);
	m->detached = true;
	return 1;
}

/* core.open_path(path, readonly) */
static int map_open_path(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	LIBBPF_OPTS(bpf_obj_get_opts, opts,
		.file_flags = lua_toboolean(L, 2) ? BPF_F_RDONLY : 0);
	struct lb_map *m = new_handle(L);
	int fd = bpf_obj_get_opts(path, &opts);

	if (fd < 0)
		return refused(L, errno, LB_CAP_BPF, path);
	if (fill(L, m, fd, path) != 1)
		return lb_fail(L, EINVAL, "%s: not a map", path);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, LB_MAP_PATH);
	return 1;
}

/* core.open_id(id, readonly) */
static int map_open_id(lua_State *L)
{
	uint32_t id = (uint32_t)lb_check_int(L, 1, 0, UINT32_MAX);
	LIBBPF_OPTS(bpf_get_fd_by_id_opts, opts,
		.open_flags = lua_toboolean(L, 2) ? BPF_F_RDONLY : 0);
	struct lb_map *m = new_handle(L);
	int fd = bpf_map_get_fd_by_id_opts(id, &opts);

	if (fd < 0)
		return refused(L, errno, LB_CAP_SYS_ADMIN,
			       lua_pushfstring(L, "map id %I", (LUAI_UACINT)id));
	return fill(L, m, fd, "map");
}

/* core.open_fd(fd): a duplicate of a descriptor the caller keeps. */
static int map_open_fd(lua_State *L)
{
	int given = (int)lb_check_int(L, 1, 0, INT32_MAX);
	struct lb_map *m = new_handle(L);
	int fd = fcntl(given, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return lb_fail(L, errno, "fd %d", given);
	return fill(L, m, fd, "map") == 1 ? 1 : lb_fail(L, EINVAL, "fd %d: not a map", given);
}

static void push_info(lua_State *L, const struct lb_mapinfo *i);

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
			return refused(L, -err, LB_CAP_SYS_ADMIN, "maps");
		push_info(L, &info);
		lua_rawseti(L, -2, ++n);
	}
	return errno == ENOENT ? 1 : refused(L, errno, LB_CAP_SYS_ADMIN, "maps");
}

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
	if (key) {
		lua_pushvalue(L, 2);
		lua_setiuservalue(L, 1, LB_MAP_KEY_LAYOUT);
	}
	if (value) {
		lua_pushvalue(L, 3);
		lua_setiuservalue(L, 1, LB_MAP_VALUE_LAYOUT);
	}
	set_shapes(m, key ? key->root : m->key.type, value ? value->root : m->value.type);
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
	lua_getiuservalue(L, 1, LB_MAP_PATH);
	return 1;
}

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

/* ---- info, pins, closing ---------------------------------------------- */

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

/*** Pins the map: it lives on under that path of a bpffs. @function map:pin @tparam string path */
static int map_pin(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	const char *path = luaL_checkstring(L, 2);
	struct lb_log log;
	char name[32];
	int err;

	lb_log_begin(&log);
	err = lb_pin_make(m->k.fd, path, &log);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s: pin %s", label(m, name, sizeof(name)), path);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, 1, LB_MAP_PATH);
	lua_pushboolean(L, true);
	return 1;
}

/*** Removes the pin this handle made or was opened from. @function map:unpin */
static int map_unpin(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	const char *path;

	lua_getiuservalue(L, 1, LB_MAP_PATH);
	path = lua_tostring(L, -1);
	if (!path)
		return lb_map_fail(L, m, "unpin (no pin is known)", ENOENT);
	if (unlink(path) < 0) {
		int err = errno;

		lua_pushfstring(L, "unpin %s", path);
		return lb_map_fail(L, m, lua_tostring(L, -1), err);
	}
	lua_pushnil(L);
	lua_setiuservalue(L, 1, LB_MAP_PATH);
	lua_pushboolean(L, true);
	return 1;
}

/*** Makes the map read-only for user space, for ever. Linux 5.2. @function map:freeze */
static int map_freeze(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);

	if (bpf_map_freeze(m->k.fd) < 0)
		return lb_map_fail(L, m, "freeze", errno);
	lua_pushboolean(L, true);
	return 1;
}

/*** The handle's descriptor, which stays the handle's. @function map:fd */
static int map_fd(lua_State *L)
{
	lua_pushinteger(L, lb_map_fd(L, 1));
	return 1;
}

static void close_map(struct lb_map *m)
{
	lb_many_close(&m->many);
	lb_pool_close(&m->pool);
	lb_kmap_close(&m->k);
}

/*** Closes the handle; again does nothing. A pinned map lives on. @function map:close */
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

	m->mark = NULL;	/* or what the memory is used for next might have it */
	close_map(m);
	for (int i = 0; i < LB_BUILDERS; i++)
		lb_builder_reset(L, &m->builders[i]);
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

/* ---- one entry -------------------------------------------------------- */

static const struct lb_path key_path = { NULL, "key", 0 };
static const struct lb_path value_path = { NULL, "value", 0 };

static uint64_t lock_flag(const struct lb_map *m)
{
	return m->k.lock ? BPF_F_LOCK : 0;
}

/* The option raw of the options at idx, if there are any. */
static bool opt_raw(lua_State *L, const struct lb_map *m, int idx)
{
	static const char *const names[] = { "raw", NULL };
	bool raw = false;

	if (lua_gettop(L) < idx || lua_isnil(L, idx))
		return false;
	luaL_checktype(L, idx, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		if (lua_topointer(L, -2) != m->raw)
			lb_check_options(L, idx, names);	/* says what is wrong */
		raw = lua_toboolean(L, -1);
	}
	return raw;
}

/* Raises or returns false unless the type can do it; then nil, message, errno are pushed. */
static bool can(lua_State *L, const struct lb_map *m, uint32_t what, const char *operation)
{
	if (lb_can(&m->k, what))
		return true;
	lb_map_fail(L, m, operation, LB_ENOTSUPP);
	return false;
}

/* Encodes the key at arg 2, then leaves room for a value. Returns the key. */
static uint8_t *key_and_value(lua_State *L, const struct lb_map *m, uint8_t *local,
			      uint8_t **value)
{
	size_t keys = ((size_t)m->key.size + 7) & ~(size_t)7;
	uint8_t *key = lb_scratch(L, keys + m->value.stride, local, LOCAL);

	luaL_checkany(L, 2);
	lb_map_encode(L, m, &m->key, 2, key, &key_path);
	*value = key + keys;
	return key;
}

/*** The value of a key, or nil. @function map:lookup @param key @tparam[opt] table options raw */
static int map_lookup(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, m, 3);
	uint8_t local[LOCAL], *key, *value;

	if (!can(L, m, LB_CAN_LOOKUP, "lookup"))
		return 3;
	key = key_and_value(L, m, local, &value);
	if (bpf_map_lookup_elem_flags(m->k.fd, key, value, lock_flag(m)) == 0)
		lb_push(L, &m->value, value, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, "lookup", errno);
	return 1;
}

/* The mode at idx: a string, or the field of an options table. */
static uint64_t check_mode(lua_State *L, int idx)
{
	static const char *const modes[] = { "any", "noexist", "exist", NULL };
	static const char *const names[] = { "mode", NULL };
	static const uint64_t flags[] = { BPF_ANY, BPF_NOEXIST, BPF_EXIST };

	if (lua_istable(L, idx)) {
		lb_check_options(L, idx, names);
		lua_getfield(L, idx, "mode");
		lua_replace(L, idx);
	}
	return flags[luaL_checkoption(L, idx, "any", modes)];
}

/***
Stores a value. @function map:update @param key @param value
@tparam[opt="any"] string mode "any", "noexist" or "exist", or a table { mode = }
@treturn boolean false when the mode's condition does not hold
*/
static int map_update(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint64_t flags = check_mode(L, 4);
	uint8_t local[LOCAL], *key, *value;

	if (!can(L, m, LB_CAN_UPDATE, "update"))
		return 3;
	key = key_and_value(L, m, local, &value);
	luaL_checkany(L, 3);
	lb_map_encode(L, m, &m->value, 3, value, &value_path);
	if (bpf_map_update_elem(m->k.fd, key, value, flags | lock_flag(m)) == 0)
		lua_pushboolean(L, true);
	else if ((flags == BPF_NOEXIST && errno == EEXIST) ||
		 (flags == BPF_EXIST && errno == ENOENT))
		lua_pushboolean(L, false);
	else
		return lb_map_fail(L, m, "update", errno);
	return 1;
}

/*** Deletes an entry. @function map:delete @param key @treturn boolean false when absent */
static int map_delete(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *key, *value;

	if (!can(L, m, LB_CAN_DELETE, "delete"))
		return 3;
	key = key_and_value(L, m, local, &value);
	if (bpf_map_delete_elem(m->k.fd, key) == 0)
		lua_pushboolean(L, true);
	else if (errno == ENOENT)
		lua_pushboolean(L, false);
	else
		return lb_map_fail(L, m, "delete", errno);
	return 1;
}

/***
Looks up and deletes in one step. @function map:take @param key @tparam[opt] table options raw
@return the value, or nil when absent. Hash types, Linux 5.14
*/
static int map_take(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, m, 3);
	uint8_t local[LOCAL], *key, *value;

	if (!can(L, m, LB_CAN_TAKE, "take"))
		return 3;
	key = key_and_value(L, m, local, &value);
	if (bpf_map_lookup_and_delete_elem_flags(m->k.fd, key, value, lock_flag(m)) == 0)
		lb_push(L, &m->value, value, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, "take", errno);
	return 1;
}

/*** The key after one, or the first; nil at the end. @function map:next @param[opt] key */
static int map_next(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, m, 3);
	size_t room = ((size_t)m->key.size + 7) & ~(size_t)7;
	uint8_t local[LOCAL], *key = lb_scratch(L, room * 2, local, LOCAL);
	bool first = lua_isnoneornil(L, 2);

	if (m->k.type->position == LB_POS_NONE || m->k.type->position == LB_POS_POP)
		return lb_map_fail(L, m, "next", LB_ENOTSUPP);
	if (!first)
		lb_map_encode(L, m, &m->key, 2, key, &key_path);
	if (bpf_map_get_next_key(m->k.fd, first ? NULL : key, key + room) == 0)
		lb_push(L, &m->key, key + room, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, "next", errno);
	return 1;
}

/* ---- queues, stacks, bloom filters ------------------------------------ */

/***
Adds a value to a queue, stack or bloom filter. @function map:push @param value
@tparam[opt="any"] string mode "exist" drops the oldest when full
*/
static int map_push(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint64_t flags = check_mode(L, 3);
	uint8_t local[LOCAL], *value;

	if (!can(L, m, LB_PUSH, "push"))
		return 3;
	luaL_checkany(L, 2);
	value = lb_scratch(L, m->value.stride, local, LOCAL);
	lb_map_encode(L, m, &m->value, 2, value, &value_path);
	if (bpf_map_update_elem(m->k.fd, NULL, value, flags) < 0)
		return lb_map_fail(L, m, "push", errno);
	lua_pushboolean(L, true);
	return 1;
}

static int pop_or_peek(lua_State *L, bool pop)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, m, 2);
	uint8_t local[LOCAL], *value = lb_scratch(L, m->value.stride, local, LOCAL);
	int rc;

	if (!can(L, m, LB_POP, pop ? "pop" : "peek"))
		return 3;
	rc = pop ? bpf_map_lookup_and_delete_elem(m->k.fd, NULL, value)
		 : bpf_map_lookup_elem(m->k.fd, NULL, value);
	if (rc == 0)
		lb_push(L, &m->value, value, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, pop ? "pop" : "peek", errno);
	return 1;
}

/*** Takes the next value of a queue or stack, or nil. @function map:pop */
static int map_pop(lua_State *L)
{
	return pop_or_peek(L, true);
}

/* Bloom filters answer for a value. */
static int contains(lua_State *L, struct lb_map *m)
{
	uint8_t local[LOCAL], *value = lb_scratch(L, m->value.stride, local, LOCAL);
	bool found;

	luaL_checkany(L, 2);
	lb_map_encode(L, m, &m->value, 2, value, &value_path);
	found = bpf_map_lookup_elem(m->k.fd, NULL, value) == 0;
	if (!found && errno != ENOENT)
		return lb_map_fail(L, m, "peek", errno);
	lua_pushboolean(L, found);
	return 1;
}

/***
The next value of a queue or stack, left where it is, or nil; of a bloom
filter, whether the value given may be in it. @function map:peek
*/
static int map_peek(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);

	if (lb_can(&m->k, LB_KEYLESS) && !lb_can(&m->k, LB_POP))
		return contains(L, m);
	return pop_or_peek(L, false);
}

static const luaL_Reg methods[] = {
	{ "info", map_info },
	{ "pin", map_pin },
	{ "unpin", map_unpin },
	{ "freeze", map_freeze },
	{ "fd", map_fd },
	{ "close", map_close },
	{ "lookup", map_lookup },
	{ "update", map_update },
	{ "delete", map_delete },
	{ "take", map_take },
	{ "next", map_next },
	{ "push", map_push },
	{ "pop", map_pop },
	{ "peek", map_peek },
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
	{ "create", map_create },
	{ "detached", map_detached },
	{ "open_path", map_open_path },
	{ "open_id", map_open_id },
	{ "open_fd", map_open_fd },
	{ "maps", map_list },
	{ "set_types", map_set_types },
	{ "layouts", map_layouts },
	{ "check_map", map_check },
	{ "pin_path", map_pin_path },
	{ NULL, NULL },
};

void lb_open_map(lua_State *L)
{
	lua_pushliteral(L, "raw");
	luaL_ref(L, LUA_REGISTRYINDEX);	/* stays the one that handles know */
	lb_newclass(L, LB_MAP, methods, meta);
	luaL_setfuncs(L, functions, 0);
	push_maptypes(L);
	lua_setfield(L, -2, "maptypes");
}
