/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.batch: n entries in flat buffers, decoded one at a time
 * when asked for. A batch of a cursor borrows the cursor's buffer and is stale
 * after its next step; a copy, and what lookup_batch gives, has memory of its
 * own.
 *
 * @module luabpf.bind.map.batch
 */
#include "bind/map/batch.h"

#include "bind/map/lender.h"
#include "bind/map/position.h"
#include "bind/value/builder.h"
#include "bind/value/codec.h"

#include <string.h>

struct lb_batch *lb_test_batch(lua_State *L, int arg)
{
	return luaL_testudata(L, arg, LB_BATCH);
}

struct lb_batch *lb_check_batch(lua_State *L, int arg)
{
	struct lb_batch *b = lb_checkudata(L, arg, LB_BATCH);

	if (!lb_batch_valid(b))
		luaL_argerror(L, arg, "the batch is stale: its iterator moved on or was closed "
				      "(batch:copy() keeps one)");
	return b;
}

/* Pushes an empty batch whose user values are owner and map, stack indices. */
static struct lb_batch *push_batch(lua_State *L, int owner, int map)
{
	struct lb_batch *b;

	owner = lua_absindex(L, owner);
	map = lua_absindex(L, map);
	b = lua_newuserdatauv(L, sizeof(*b), LB_BATCH_UVALUES);
	memset(b, 0, sizeof(*b));
	b->map = lua_touserdata(L, map);
	lua_pushvalue(L, owner);
	lua_setiuservalue(L, -2, LB_BATCH_OWNER);
	lua_pushvalue(L, map);
	lua_setiuservalue(L, -2, LB_BATCH_MAP);
	luaL_setmetatable(L, LB_BATCH);
	return b;
}

struct lb_batch *lb_batch_borrow(lua_State *L, int owner, int map, struct lb_lender *lender,
				 const uint8_t *keys, const uint8_t *values, uint32_t n)
{
	/* What is lent now: a finalizer that runs in push_batch may end it. */
	uint64_t step = lender ? lender->clock : 0;
	struct lb_batch *b = push_batch(L, owner, map);

	b->lender = lender;
	b->step = step;
	b->keys = keys;
	b->values = values;
	b->n = n;
	return b;
}

struct lb_batch *lb_batch_new(lua_State *L, int map, uint32_t n, bool with_present,
			      uint8_t **keys, uint8_t **values, uint8_t **present)
{
	struct lb_map *m = lua_touserdata(L, map);
	size_t key_bytes = (size_t)n * m->key.size, value_bytes = (size_t)n * m->value.stride;
	size_t all = key_bytes + value_bytes + (with_present ? n : 0);
	uint8_t *memory;
	struct lb_batch *b;

	map = lua_absindex(L, map);
	memory = lua_newuserdatauv(L, all ? all : 1, 0);
	memset(memory, 0, all);
	b = push_batch(L, -1, map);
	lua_remove(L, -2);
	*keys = memory;
	*values = memory + key_bytes;
	*present = with_present ? memory + key_bytes + value_bytes : NULL;
	b->keys = *keys;
	b->values = *values;
	b->present = *present;
	b->n = n;
	return b;
}

/* ---- decoding ---------------------------------------------------------- */

static void check_valid(lua_State *L, const struct lb_batch *b)
{
	lb_check_lent(L, b->lender, b->step);
}

/* That of the i-th key or value. */
static const void *lent_entry(lua_State *L, const struct lb_batch *b, const struct lb_shape *shape,
			      const uint8_t *all, uint32_t i, void *local)
{
	return lb_lent(L, b->lender, b->step, all + (size_t)i * shape->stride, shape->stride, local);
}

/* Takes what lb_lent has pushed from below the n values at the top, which came after top. */
static void tidy(lua_State *L, int top, int n)
{
	while (lua_gettop(L) > top + n)
		lua_remove(L, top + 1);
}

void lb_batch_push_key(lua_State *L, const struct lb_batch *b, uint32_t i)
{
	const struct lb_shape *shape = &b->map->key;
	uint8_t local[LB_LENT_LOCAL];
	int top = lua_gettop(L);
	bool raw = b->raw;

	lb_push(L, shape, lent_entry(L, b, shape, b->keys, i, local), raw);
	tidy(L, top, 1);
}

void lb_batch_push_value(lua_State *L, const struct lb_batch *b, uint32_t i)
{
	const struct lb_shape *shape = &b->map->value;
	uint8_t local[LB_LENT_LOCAL];
	int top = lua_gettop(L);
	bool raw = b->raw;

	if (!lb_batch_has(b, i)) {
		lua_pushnil(L);
		return;
	}
	lb_push(L, shape, lent_entry(L, b, shape, b->values, i, local), raw);
	tidy(L, top, 1);
}

/* An entry that stays whatever runs while it is decoded. */
struct entry {
	struct lb_map *map;
	const uint8_t *key, *value;	/* NULL: a map without keys; a key that was not found */
	lua_Integer place;
	bool raw;
};

/* Key and value as tables that one function makes: false, with nothing pushed, if none does. */
static bool push_both(lua_State *L, const struct entry *e)
{
	struct lb_map *m = e->map;
	struct lb_builder *builder = &m->builders[LB_BUILD_ENTRY];

	if (e->raw || !m->key.type || !m->value.type || m->value.ncpu || !e->value)
		return false;
	if (!lb_builder_ready(L, builder, m->key.type, m->value.type))
		return false;
	return lb_builder_push(L, builder, e->key, e->value);
}

static void push_each(lua_State *L, const struct entry *e)
{
	if (e->key)
		lb_push(L, &e->map->key, e->key, e->raw);
	else
		lua_pushinteger(L, e->place);
	if (e->value)
		lb_push(L, &e->map->value, e->value, e->raw);
	else
		lua_pushnil(L);
}

void lb_batch_push_entry(lua_State *L, const struct lb_batch *b, uint32_t i)
{
	const struct lb_shape *key = &b->map->key, *value = &b->map->value;
	uint8_t keys[LB_LENT_LOCAL], values[LB_LENT_LOCAL];
	struct entry e = { .map = b->map, .place = (lua_Integer)i + 1, .raw = b->raw };
	int top = lua_gettop(L);

	if (key->size)
		e.key = lent_entry(L, b, key, b->keys, i, keys);
	if (lb_batch_has(b, i))
		e.value = lent_entry(L, b, value, b->values, i, values);
	if (!push_both(L, &e))
		push_each(L, &e);
	tidy(L, top, 2);
}

/* ---- single entries --------------------------------------------------- */

static uint32_t check_index(lua_State *L, const struct lb_batch *b)
{
	return (uint32_t)lb_check_int(L, 2, 1, b->n) - 1;
}

/***
 * A run of entries in memory: what a scan, `lookup_batch`, `copy` or `pick` gave. `#batch` is how
 * many there are. A batch of a scan is valid until the next step, and raises after it; what
 * `copy`, `pick` and `lookup_batch` give stays.
 * @table batch
 */

/***
 * The key of an entry, decoded.
 * @function batch:key
 * @tparam integer i which, from 1 to #batch
 * @treturn data the key
 * @raise an index outside the batch, a batch that is no longer valid
 * @usage
 * for batch in map:batches() do print(batch:key(1).addr) end
 */
static int batch_key(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);
	uint32_t i = check_index(L, b);

	if (b->map->key.size == 0)
		lua_pushnil(L);
	else
		lb_batch_push_key(L, b, i);
	return 1;
}

/***
 * The value of an entry, decoded.
 * @function batch:value
 * @tparam integer i which, from 1 to #batch
 * @treturn data|nil the value; nil where a key that was looked up was absent
 * @raise an index outside the batch, a batch that is no longer valid
 * @usage
 * for batch in map:batches() do print(batch:value(#batch).packets) end
 */
static int batch_value(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	lb_batch_push_value(L, b, check_index(L, b));
	return 1;
}

static int batch_len(lua_State *L)
{
	lua_pushinteger(L, lb_check_batch(L, 1)->n);
	return 1;
}

/* ---- all of them ------------------------------------------------------ */

/* Upvalues: batch, how many were given out (a userdata). */
static int entry_step(lua_State *L)
{
	const struct lb_batch *b = lua_touserdata(L, lua_upvalueindex(1));
	uint32_t *done = lua_touserdata(L, lua_upvalueindex(2));

	check_valid(L, b);
	while (*done < b->n && !lb_batch_has(b, *done))
		++*done;
	if (*done >= b->n)
		return 0;
	lb_batch_push_entry(L, b, (*done)++);
	return 2;
}

/***
 * Iterates over key and value, decoded. Keys that were not found are passed over. A queue or
 * stack has no keys: the place in the batch comes instead.
 * @function batch:entries
 * @treturn fun():data?,data? an iterator over key and value
 * @usage
 * for batch in map:batches() do
 *   for key, value in batch:entries() do print(key.addr, value.packets) end
 * end
 */
static int batch_entries(lua_State *L)
{
	lb_check_batch(L, 1);
	lb_no_options(L, 2);
	lua_settop(L, 1);
	*(uint32_t *)lua_newuserdatauv(L, sizeof(uint32_t), 0) = 0;
	lua_pushcclosure(L, entry_step, 2);
	return 1;
}

static int push_list(lua_State *L, bool values)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	lb_no_options(L, 2);
	lua_createtable(L, (int)b->n, 0);
	for (uint32_t i = 0; i < b->n; i++) {
		if (values)
			lb_batch_push_value(L, b, i);
		else if (b->map->key.size)
			lb_batch_push_key(L, b, i);
		else
			lua_pushnil(L);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/***
 * All keys of the batch, decoded.
 * @function batch:keys
 * @treturn data[] a list
 * @usage
 * for batch in map:batches() do print(#batch:keys()) end
 */
static int batch_keys(lua_State *L)
{
	return push_list(L, false);
}

/***
 * All values of the batch, decoded; nil where a key was absent.
 * @function batch:values
 * @treturn data[] a list
 * @usage
 * for batch in map:batches() do print(batch:values()[1].packets) end
 */
static int batch_values(lua_State *L)
{
	return push_list(L, true);
}

/***
 * All keys and all values as two binary strings, one record after the other.
 * @function batch:packed
 * @treturn string the keys
 * @treturn string the values
 * @usage
 * for batch in map:batches() do
 *   local keys, values = batch:packed()
 *   print(#keys // #batch, #values // #batch) -- the sizes of a key and a value
 * end
 */
static int batch_packed(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	lb_no_options(L, 2);
	lua_pushlstring(L, (const char *)b->keys, (size_t)b->n * b->map->key.size);
	check_valid(L, b);
	lua_pushlstring(L, (const char *)b->values, (size_t)b->n * b->map->value.stride);
	return 2;
}

/* ---- copies ----------------------------------------------------------- */

/* Gives the copy at the top the position after the batch at 1, if it has one. */
static void copy_position(lua_State *L, const struct lb_batch *b)
{
	if (b->source && b->source->map->type->position != LB_POS_POP)
		lb_position_push(L, b->source, b->lender);
	else
		lua_getiuservalue(L, 1, LB_BATCH_POSITION);
	lua_setiuservalue(L, -2, LB_BATCH_POSITION);
}

/***
 * The same entries in memory of their own, which stays valid after the next step.
 * @function batch:copy
 * @treturn batch the copy
 * @usage
 * local kept = {}
 * for batch in map:batches() do kept[#kept + 1] = batch:copy() end
 * print(#kept[1])
 */
static int batch_copy(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);
	uint8_t *keys, *values, *present;
	struct lb_batch *copy;

	lb_no_options(L, 2);
	lua_settop(L, 1);
	lua_getiuservalue(L, 1, LB_BATCH_MAP);
	copy = lb_batch_new(L, 2, b->n, b->present != NULL, &keys, &values, &present);
	copy->raw = b->raw;
	b = lb_check_batch(L, 1);
	memcpy(keys, b->keys, (size_t)b->n * b->map->key.size);
	memcpy(values, b->values, (size_t)b->n * b->map->value.stride);
	if (present)
		memcpy(present, b->present, b->n);
	copy_position(L, b);
	return 1;
}

static void copy_entry(const struct lb_batch *from, uint32_t i, uint8_t *keys, uint8_t *values,
		       uint32_t to)
{
	uint32_t ks = from->map->key.size, vs = from->map->value.stride;

	memcpy(keys + (size_t)to * ks, from->keys + (size_t)i * ks, ks);
	memcpy(values + (size_t)to * vs, from->values + (size_t)i * vs, vs);
}

/***
 * Some of the entries as a batch of its own, which stays valid.
 * @function batch:pick
 * @tparam integer[] list their indices, from 1 to #batch
 * @treturn batch the entries, in that order
 * @usage
 * for batch in map:batches() do
 *   local busy = {}
 *   for i = 1, #batch do
 *     if batch:value(i).packets > 90 then busy[#busy + 1] = i end
 *   end
 *   print(map:delete_batch(batch:pick(busy)))
 * end
 */
static int batch_pick(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);
	uint8_t *keys, *values, *present;
	lua_Integer n;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	n = (lua_Integer)lua_rawlen(L, 2);
	luaL_argcheck(L, n <= UINT32_MAX, 2, "too many");
	lua_getiuservalue(L, 1, LB_BATCH_MAP);
	lb_batch_new(L, 3, (uint32_t)n, b->present != NULL, &keys, &values, &present)->raw = b->raw;
	b = lb_check_batch(L, 1);
	for (lua_Integer i = 0; i < n; i++) {
		lua_Integer at;
		int exact;

		lua_rawgeti(L, 2, i + 1);
		at = lua_tointegerx(L, -1, &exact);
		if (!exact || lua_type(L, -1) != LUA_TNUMBER || at < 1 || at > b->n)
			luaL_argerror(L, 2, "list of indices from 1 to #batch expected");
		lua_pop(L, 1);
		copy_entry(b, (uint32_t)at - 1, keys, values, (uint32_t)i);
		if (present)
			present[i] = b->present[at - 1];
	}
	return 1;
}

/***
 * The position after this batch, as a string. `map:batches { from = it }` goes on there, in
 * another process too, of the same map and boot.
 * @function batch:cursor
 * @treturn string the position
 * @raise a batch that no scan made
 * @usage
 * local from
 * for batch in map:batches(10) do
 *   from = batch:cursor()
 *   break
 * end
 * for batch in map:batches { from = from } do print(#batch) end
 */
static int batch_cursor(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	if (b->source) {
		lb_position_push(L, b->source, b->lender);
		return 1;
	}
	if (lua_getiuservalue(L, 1, LB_BATCH_POSITION) != LUA_TSTRING)
		return luaL_argerror(L, 1, "the batch is not of a scan that can go on");
	return 1;
}

/***
 * What a scan did: `report = {}` in the options of an iterator is filled with it when the loop
 * ends.
 * @table scan_report
 * @tfield integer batches how many batches were given
 * @tfield integer entries how many entries were in them
 * @tfield integer calls how many system calls were made
 * @tfield integer grown how often the buffer was too small for a bucket
 * @tfield integer retried how often the kernel was asked again
 * @tfield integer restarted how often a key walk had to begin anew, which may repeat entries
 * @tfield boolean complete whether the end of the map was reached
 */

/***
 * What the scan has done until this batch; nil for batches of other origin.
 * @function batch:report
 * @treturn scan_report|nil the counts
 * @usage
 * for batch in map:batches(10) do print(batch:report().entries) end
 */
static int batch_report(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	if (!b->source) {
		lua_pushnil(L);
		return 1;
	}
	lua_getiuservalue(L, 1, LB_BATCH_OWNER);
	luaL_getmetafield(L, -1, "__index");
	lua_getfield(L, -1, "report");
	lua_pushvalue(L, -3);
	lua_call(L, 1, 1);
	return 1;
}

static int batch_tostring(lua_State *L)
{
	const struct lb_batch *b = lb_checkudata(L, 1, LB_BATCH);

	if (lb_batch_valid(b))
		lua_pushfstring(L, "luabpf.batch (%s, %I entries)", b->map->k.info.name,
				(LUAI_UACINT)b->n);
	else
		lua_pushliteral(L, "luabpf.batch (stale)");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "key", batch_key },
	{ "value", batch_value },
	{ "entries", batch_entries },
	{ "keys", batch_keys },
	{ "values", batch_values },
	{ "packed", batch_packed },
	{ "copy", batch_copy },
	{ "pick", batch_pick },
	{ "cursor", batch_cursor },
	{ "report", batch_report },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__len", batch_len },
	{ "__tostring", batch_tostring },
	{ NULL, NULL },
};

/* core.map_of_batch(batch): the handle on the map that its entries are of. */
static int map_of_batch(lua_State *L)
{
	lb_check_batch(L, 1);
	lua_getiuservalue(L, 1, LB_BATCH_MAP);
	return 1;
}

void lb_open_batch(lua_State *L)
{
	lb_newclass(L, LB_BATCH, methods, meta);
	lua_pushcfunction(L, map_of_batch);
	lua_setfield(L, -2, "map_of_batch");
}
