/* SPDX-License-Identifier: MIT */
/*
 * One entry of a map: keys and values on their way to the kernel, and the
 * methods that look up, update and delete one. keys.c and lua/luabpf/map/methods.lua have
 * those on many.
 */
#include "bind/map/entry.h"

#include "bind/map/map.h"
#include "bind/value/codec.h"
#include "bind/value/path.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* A key and a value up to this many bytes need no memory from Lua. */
#define LOCAL 1024

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

void lb_open_entry(lua_State *L)
{
	lb_add_methods(L, LB_MAP, methods);
}
