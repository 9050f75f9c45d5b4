/* SPDX-License-Identifier: MIT */
/***
 * One entry of a map: keys and values on their way to the kernel, and the
 * methods that look up, update and delete one. keys.c and lua/luabpf/map/methods.lua have
 * those on many.
 *
 * @module luabpf.bind.map.entry
 */
#include "bind/map/entry.h"

#include "bind/map/map.h"
#include "bind/map/view.h"
#include "bind/options.h"
#include "bind/value/codec.h"
#include "bind/value/path.h"
#include "lib/layout/address.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

/* A key and a value up to this many bytes need no memory from Lua. */
#define LOCAL 1024

/* Whether a number can be something else than the value itself: a descriptor, or an index. */
static bool numbers_are_special(const struct lb_map *m, const struct lb_shape *shape)
{
	return !shape->type || (shape == &m->value && lb_can(&m->k, LB_FD_VALUES));
}

/* A descriptor as the value of an entry: the caller's number, or a handle's. */
static bool encode_fd(lua_State *L, const struct lb_shape *shape, int idx, void *out,
		      const struct lb_path *path)
{
	lua_Integer fd = lua_isinteger(L, idx) ? lua_tointeger(L, idx) : lb_handle_fd(L, idx);
	int value = (int)fd;

	if (lua_isinteger(L, idx) && (fd < 0 || fd > INT_MAX))
		lb_path_error(L, path, "%lld is no file descriptor", (long long)fd);
	memset(out, 0, shape->size);
	memcpy(out, &value, sizeof(value));
	return fd >= 0;
}

static bool encode_special(lua_State *L, const struct lb_map *m, const struct lb_shape *shape,
			   int idx, void *out, const struct lb_path *path)
{
	bool descriptor = shape == &m->value && lb_can(&m->k, LB_FD_VALUES);
	size_t size;
	const void *bytes = lb_view_bytes(L, idx, &size);

	if (bytes && descriptor)
		lb_path_error(L, path, "ids are read here, and descriptors written");
	if (bytes && size == shape->stride) {
		memcpy(out, bytes, size);
		return true;
	}
	return descriptor && shape->size >= sizeof(int) && encode_fd(L, shape, idx, out, path);
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

/* Text of a prefix whatever the fields of the key are called; false for the key's bytes. */
static bool encode_prefix(lua_State *L, const struct lb_shape *shape, int idx, void *out,
			  const struct lb_path *path)
{
	enum lb_kind kind = shape->size == 8 ? LB_PREFIX4 : LB_PREFIX6;
	size_t n;
	const char *text = lua_tolstring(L, idx, &n);

	if ((!shape->type || shape->type->kind == LB_BYTES) && n == shape->size)
		return false;
	if (shape->size != 8 && shape->size != 20)
		lb_path_error(L, path, "text is for keys of 8 and 20 bytes (IPv4 and IPv6), this "
				       "map's have %u", shape->size);
	if (strlen(text) != n || !lb_address_parse(kind, text, out))
		lb_path_error(L, path, "%s expected, got '%s'", lb_address_name(kind), text);
	return true;
}

void lb_map_encode(lua_State *L, const struct lb_map *m, const struct lb_shape *shape, int idx,
		   void *out, bool raw, const struct lb_path *path)
{
	bool prefix = shape == &m->key && lb_can(&m->k, LB_PREFIX_KEY) && !raw;
	int type = lua_type(L, idx);

	if (type == LUA_TUSERDATA || (type == LUA_TNUMBER && numbers_are_special(m, shape))) {
		if (encode_special(L, m, shape, idx, out, path) ||
		    encode_index(L, m, shape, idx, out))
			return;
	}
	if (prefix && type == LUA_TSTRING && encode_prefix(L, shape, idx, out, path))
		return;
	lb_encode(L, idx, shape, out, raw, path);
	if (prefix)
		lb_prefix_clear(out, shape->size);
}

/* ---- one entry -------------------------------------------------------- */

static const struct lb_path key_path = { NULL, "key", 0 };
static const struct lb_path value_path = { NULL, "value", 0 };

/* The option raw of the options at idx, if there are any. What is behind them is dropped. */
static bool opt_raw(lua_State *L, const char *function, int idx)
{
	static const struct lb_option known[] = {
		{ "raw", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};

	lua_settop(L, idx);
	return lb_options(L, idx, function, known) && lb_opt_flag(L, idx, "raw");
}

/* Raises or returns false unless the type can do it; then nil, message, errno are pushed. */
static bool can(lua_State *L, const struct lb_map *m, uint32_t what, const char *operation)
{
	if (lb_can(&m->k, what))
		return true;
	lb_map_fail(L, m, operation, LB_ENOTSUPP);
	return false;
}

/*
 * Encodes the key at arg 2, then leaves room for a value. Returns the key. The arguments have
 * been looked at: memory from Lua takes the place of those that are missing.
 */
static uint8_t *key_and_value(lua_State *L, const struct lb_map *m, uint8_t *local,
			      uint8_t **value, bool raw)
{
	size_t keys = ((size_t)m->key.size + 7) & ~(size_t)7;
	uint8_t *key = lb_scratch(L, keys + m->value.stride, local, LOCAL);

	lb_map_encode(L, m, &m->key, 2, key, raw, &key_path);
	*value = key + keys;
	return key;
}

/***
 * The value of a key, or nil where it is absent.
 * @function map:lookup
 * @tparam data key the key, as its layout says
 * @tparam[opt=false] boolean options.raw the value comes as a binary string, and a string is the
 *   bytes of the key
 * @treturn data|nil the value, a list of one for each CPU in per-CPU maps; nil where the key is
 *   absent
 * @error the kernel refuses the lookup
 * @raise a key that the layout does not take, a closed map
 * @usage
 * local value = map:lookup { addr = "10.0.0.1", port = 1 }
 * print(value.packets, value.bytes)
 */
static int map_lookup(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *key, *value;
	const uint8_t *mapped;
	bool raw;

	luaL_checkany(L, 2);
	raw = opt_raw(L, "map:lookup", 3);
	if (!can(L, m, LB_CAN_LOOKUP, "lookup"))
		return 3;
	key = key_and_value(L, m, local, &value, raw);
	mapped = lb_kmap_value(&m->k, key, false);
	if (mapped)
		lb_mapping_copy(value, mapped, m->k.info.value_size);
	if (mapped || bpf_map_lookup_elem_flags(m->k.fd, key, value, lb_lock_flag(&m->k)) == 0)
		lb_push(L, &m->value, value, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, "lookup", errno);
	return 1;
}

static const char *const modes[] = { "any", "exist", "noexist", NULL };
static const char *const push_modes[] = { "any", "exist", NULL };

/* The mode at idx: a string, or the field of an options table, which may also have raw. */
static uint64_t check_mode(lua_State *L, const char *function, int idx, const char *const *choices,
			   bool *raw)
{
	static const uint64_t flags[] = { BPF_ANY, BPF_EXIST, BPF_NOEXIST };
	const struct lb_option known[] = {
		{ "mode", LUA_TSTRING, choices }, { "raw", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};

	*raw = false;
	lua_settop(L, idx);
	if (!lua_istable(L, idx))
		return flags[luaL_checkoption(L, idx, "any", choices)];
	lb_options(L, idx, function, known);
	*raw = lb_opt_flag(L, idx, "raw");
	return flags[lb_option_choice(L, idx, "mode", choices, 0)];
}

/***
 * Stores a value under a key.
 * @function map:update
 * @tparam data key the key, as its layout says
 * @tparam data value the value; fields that are left out are zero
 * @tparam[opt="any"] "any"|"noexist"|"exist"|table mode the condition, or a table of options
 * @tparam[opt="any"] "any"|"noexist"|"exist" mode.mode "noexist" stores only where the key is
 *   absent, "exist" only where it is there
 * @tparam[opt=false] boolean mode.raw strings are the bytes of key and value
 * @treturn boolean true; false where the condition does not hold
 * @error the map is full, or the kernel refuses
 * @raise a key or value that the layout does not take, a closed map
 * @usage
 * assert(map:update({ addr = "10.0.0.1", port = 80 }, { packets = 1, bytes = 60 }))
 * print(map:update({ addr = "10.0.0.1", port = 80 }, { packets = 2 }, "noexist")) -- false
 */
static int map_update(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *key, *value, *mapped;
	uint64_t flags;
	bool raw;

	luaL_checkany(L, 3);
	flags = check_mode(L, "map:update", 4, modes, &raw);
	if (!can(L, m, LB_CAN_UPDATE, "update"))
		return 3;
	key = key_and_value(L, m, local, &value, raw);
	lb_map_encode(L, m, &m->value, 3, value, raw, &value_path);
	mapped = flags == BPF_NOEXIST ? NULL : lb_kmap_value(&m->k, key, true);
	if (mapped)
		lb_mapping_copy(mapped, value, m->k.info.value_size);
	if (mapped || bpf_map_update_elem(m->k.fd, key, value, flags | lb_lock_flag(&m->k)) == 0)
		lua_pushboolean(L, true);
	else if ((flags == BPF_NOEXIST && errno == EEXIST) ||
		 (flags == BPF_EXIST && errno == ENOENT))
		lua_pushboolean(L, false);
	else
		return lb_map_fail(L, m, "update", errno);
	return 1;
}

/***
 * Deletes the entry of a key.
 * @function map:delete
 * @tparam data key the key, as its layout says
 * @tparam[opt=false] boolean options.raw a string is the bytes of the key
 * @treturn boolean whether it was there
 * @error the kernel refuses: arrays have no entries to delete
 * @raise a key that the layout does not take, a closed map
 * @usage
 * print(map:delete { addr = "10.0.0.1", port = 1 }) -- true
 */
static int map_delete(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *key, *value;
	bool raw;

	luaL_checkany(L, 2);
	raw = opt_raw(L, "map:delete", 3);
	if (!can(L, m, LB_CAN_DELETE, "delete"))
		return 3;
	key = key_and_value(L, m, local, &value, raw);
	if (bpf_map_delete_elem(m->k.fd, key) == 0)
		lua_pushboolean(L, true);
	else if (errno == ENOENT)
		lua_pushboolean(L, false);
	else
		return lb_map_fail(L, m, "delete", errno);
	return 1;
}

/***
 * Looks up and deletes in one step: what is given is gone, and nobody else gets it.
 * @function map:take
 * @tparam data key the key, as its layout says
 * @tparam[opt=false] boolean options.raw the value comes as a binary string, and a string is the
 *   bytes of the key
 * @treturn data|nil the value; nil where the key is absent
 * @error the type of map cannot do it
 * @kernel 5.14, hash types
 * @usage
 * local value = map:take { addr = "10.0.0.1", port = 1 }
 * print(value.packets, map:lookup { addr = "10.0.0.1", port = 1 }) -- the second is nil
 */
static int map_take(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *key, *value;
	bool raw;

	luaL_checkany(L, 2);
	raw = opt_raw(L, "map:take", 3);
	if (!can(L, m, LB_CAN_TAKE, "take"))
		return 3;
	key = key_and_value(L, m, local, &value, raw);
	if (bpf_map_lookup_and_delete_elem_flags(m->k.fd, key, value, lb_lock_flag(&m->k)) == 0)
		lb_push(L, &m->value, value, raw);
	else if (errno == ENOENT)
		luaL_pushfail(L);
	else
		return lb_map_fail(L, m, "take", errno);
	return 1;
}

/***
 * The key after a key, in the order in which the kernel keeps them. While others delete, the
 * order may begin anew: `map:entries` is the sure way to see all.
 * @function map:next
 * @tparam[opt] data key the key before it; the first key without one
 * @tparam[opt=false] boolean options.raw the key comes as a binary string, and may be given as one
 * @treturn data|nil the key; nil at the end
 * @error the type of map has no keys to walk
 * @usage
 * local first = map:next()
 * local second = map:next(first)
 * print(first.addr, second.addr)
 */
static int map_next(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, "map:next", 3);
	size_t room = ((size_t)m->key.size + 7) & ~(size_t)7;
	uint8_t local[LOCAL], *key = lb_scratch(L, room * 2, local, LOCAL);
	bool first = lua_isnoneornil(L, 2);

	if (m->k.type->position == LB_POS_NONE || m->k.type->position == LB_POS_POP)
		return lb_map_fail(L, m, "next", LB_ENOTSUPP);
	if (!first)
		lb_map_encode(L, m, &m->key, 2, key, raw, &key_path);
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
 * Adds a value to a queue, a stack or a bloom filter.
 * @function map:push
 * @tparam data value the value, as its layout says
 * @tparam[opt="any"] "any"|"exist"|table mode "exist" drops the oldest value when the queue is
 *   full; or a table of options
 * @tparam[opt="any"] "any"|"exist" mode.mode "exist" drops the oldest value when the queue is
 *   full
 * @tparam[opt=false] boolean mode.raw a string is the bytes of the value
 * @treturn boolean true
 * @error the queue is full, or the map is of another type
 * @kernel 5.16 for bloom filters
 * @usage
 * local queue <close> = assert(bpf.create { type = "queue", value = "u32", max_entries = 4 })
 * queue:push(7)
 * print(queue:pop()) -- 7
 */
static int map_push(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	uint8_t local[LOCAL], *value;
	uint64_t flags;
	bool raw;

	luaL_checkany(L, 2);
	flags = check_mode(L, "map:push", 3, push_modes, &raw);
	if (!can(L, m, LB_PUSH, "push"))
		return 3;
	value = lb_scratch(L, m->value.stride, local, LOCAL);
	lb_map_encode(L, m, &m->value, 2, value, raw, &value_path);
	if (bpf_map_update_elem(m->k.fd, NULL, value, flags) < 0)
		return lb_map_fail(L, m, "push", errno);
	lua_pushboolean(L, true);
	return 1;
}

static int pop_or_peek(lua_State *L, bool pop)
{
	struct lb_map *m = lb_check_map(L, 1);
	bool raw = opt_raw(L, pop ? "map:pop" : "map:peek", 2);
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

/***
 * Takes the next value out of a queue or a stack.
 * @function map:pop
 * @tparam[opt=false] boolean options.raw the value comes as a binary string
 * @treturn data|nil the value; nil where there is none
 * @error the map is of another type
 * @usage
 * local stack <close> = assert(bpf.create { type = "stack", value = "u32", max_entries = 4 })
 * stack:push(1)
 * stack:push(2)
 * print(stack:pop(), stack:pop(), stack:pop()) -- 2, 1, nil
 */
static int map_pop(lua_State *L)
{
	return pop_or_peek(L, true);
}

/* Bloom filters answer for a value. */
static int contains(lua_State *L, struct lb_map *m)
{
	uint8_t local[LOCAL], *value;
	bool raw, found;

	luaL_checkany(L, 2);
	raw = opt_raw(L, "map:peek", 3);
	value = lb_scratch(L, m->value.stride, local, LOCAL);
	lb_map_encode(L, m, &m->value, 2, value, raw, &value_path);
	found = bpf_map_lookup_elem(m->k.fd, NULL, value) == 0;
	if (!found && errno != ENOENT)
		return lb_map_fail(L, m, "peek", errno);
	lua_pushboolean(L, found);
	return 1;
}

/***
 * The next value of a queue or a stack, left where it is; of a bloom filter, whether a value may
 * be in it.
 * @function map:peek
 * @tparam[opt] data value what a bloom filter is asked for; of queues and stacks the options come
 *   here
 * @tparam[opt=false] boolean options.raw the value comes as a binary string; of a bloom filter it is
 *   given as one
 * @treturn data|boolean|nil the value, nil where there is none; of a bloom filter true or false
 * @error the map is of another type
 * @usage
 * local queue <close> = assert(bpf.create { type = "queue", value = "u32", max_entries = 4 })
 * queue:push(7)
 * print(queue:peek(), queue:pop()) -- 7, 7
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
