/* SPDX-License-Identifier: MIT */
/***
 * Map methods on many given keys: lookup_batch, update_batch, delete_batch,
 * upsert_batch. Keys and values come as a list of Lua values, as a packed
 * string of records, or as a batch, which serves as both. Everything is
 * encoded before the first key reaches the kernel. lib/keys/keyset.h does the work.
 *
 * @module luabpf.bind.map.keys
 */
#include "bind/map/batch.h"
#include "bind/map/entry.h"
#include "bind/map/map.h"
#include "bind/options.h"
#include "bind/value/codec.h"
#include "bind/value/path.h"
#include "lib/keys/bulk.h"

#include <string.h>

/* Arguments of one call, found on the stack. */
struct call {
	struct lb_map *m;
	const char *name;
	int options;		/* index of the options, 0: none */
	int values;		/* index of the values, 0: none */
	bool status;
	struct lb_keys in;
	struct lb_tally tally;
};

static const char *const status_names[] = {
	[LB_ST_NONE] = "not done", [LB_ST_FOUND] = "found", [LB_ST_MISSING] = "missing",
	[LB_ST_STORED] = "stored", [LB_ST_EXISTS] = "exists", [LB_ST_INSERTED] = "inserted",
	[LB_ST_UPDATED] = "updated", [LB_ST_DELETED] = "deleted", [LB_ST_CHANGED] = "changed",
};

static lua_Integer list_length(lua_State *L, int arg)
{
	lua_Integer n = (lua_Integer)lua_rawlen(L, arg);

	if (n > UINT32_MAX / 2)
		luaL_argerror(L, arg, "too many");
	return n;
}

/* Replaces the list at arg by a userdata of its n encoded records. */
static uint32_t encode_list(lua_State *L, const struct lb_map *m, int arg,
			    const struct lb_shape *shape, const char *name, bool raw)
{
	const struct lb_path list = { NULL, name, 0 };
	lua_Integer n = list_length(L, arg);
	uint8_t *out = lua_newuserdatauv(L, (size_t)n * shape->stride + 1, 0);

	for (lua_Integer i = 1; i <= n; i++) {
		const struct lb_path item = { &list, NULL, i };

		lua_rawgeti(L, arg, i);
		lb_map_encode(L, m, shape, lua_gettop(L), out + (size_t)(i - 1) * shape->stride,
			      raw, &item);
		lua_pop(L, 1);
	}
	lua_replace(L, arg);
	return (uint32_t)n;
}

static uint32_t packed_length(lua_State *L, int arg, const struct lb_shape *shape,
			      const char *name)
{
	size_t len;

	luaL_checklstring(L, arg, &len);
	if (shape->stride == 0 || len % shape->stride != 0)
		luaL_argerror(L, arg, lua_pushfstring(L, "%s: %I bytes are not a multiple of %d",
						      name, (LUAI_UACINT)len, (int)shape->stride));
	if (len / shape->stride > UINT32_MAX / 2)
		luaL_argerror(L, arg, "too many");
	return (uint32_t)(len / shape->stride);
}

/* Puts records into a form whose bytes can be pointed at, and says how many there are. */
static uint32_t prepare(lua_State *L, const struct lb_map *m, int arg,
			const struct lb_shape *shape, const char *name, bool raw)
{
	struct lb_batch *b = lb_test_batch(L, arg);

	if (lua_istable(L, arg))
		return encode_list(L, m, arg, shape, name, raw);
	if (lua_type(L, arg) == LUA_TSTRING)
		return packed_length(L, arg, shape, name);
	if (!b)
		luaL_typeerror(L, arg, "list, packed string or batch");
	b = lb_check_batch(L, arg);
	if (b->map->key.size != m->key.size || b->map->value.stride != m->value.stride)
		luaL_argerror(L, arg, "the batch is of a map with other sizes");
	return b->n;
}

/* The bytes of prepared records. */
static const uint8_t *records(lua_State *L, int arg, bool values)
{
	struct lb_batch *b = lb_test_batch(L, arg);

	if (b)
		return values ? lb_check_batch(L, arg)->values : lb_check_batch(L, arg)->keys;
	if (lua_type(L, arg) == LUA_TSTRING)
		return (const uint8_t *)lua_tostring(L, arg);
	return lua_touserdata(L, arg);
}

static bool option_is(lua_State *L, const struct call *c, const char *name)
{
	return c->options && lb_opt_flag(L, c->options, name);
}

/* A batch with holes cannot be given where every entry must have a value. */
static void check_whole(lua_State *L, int arg)
{
	const struct lb_batch *b = lb_test_batch(L, arg);

	if (b && b->present && memchr(b->present, 0, b->n))
		luaL_argerror(L, arg, "the batch has entries without a value");
}

/* What a batch has in the place of descriptors are ids, which the kernel would take for such. */
static void check_storable(lua_State *L, const struct call *c)
{
	if (lb_can(&c->m->k, LB_FD_VALUES) && lb_test_batch(L, c->values))
		luaL_argerror(L, c->values, "its values are ids, and this map is written with maps, "
					    "programs or descriptors");
}

/*
 * Reads map and keys at 1 and 2, values at c->values. Leaves a userdata for
 * the status on the stack if one is wanted.
 */
static void begin(lua_State *L, struct call *c, bool status)
{
	bool raw = option_is(L, c, "raw");
	uint32_t n, nvalues;

	n = prepare(L, c->m, 2, &c->m->key, "keys", raw);
	c->in.n = n;
	if (c->values) {
		nvalues = prepare(L, c->m, c->values, &c->m->value, "values", raw);
		if (nvalues != n)
			luaL_error(L, "%s: %d keys but %d values", c->name, (int)n, (int)nvalues);
		check_whole(L, c->values);
	}
	c->status = option_is(L, c, "status");
	if (status || c->status) {
		c->in.status = lua_newuserdatauv(L, n ? n : 1, 0);
		memset(c->in.status, 0, n);
	}
	if (c->values)
		c->in.values = records(L, c->values, true);
	c->in.keys = records(L, 2, false);
}

/* Raises unless the map is still open: encoding may have run finalizers. */
static struct lb_many_map map_of(lua_State *L)
{
	return lb_map_many(lb_check_map(L, 1));
}

static int push_status(lua_State *L, const struct call *c)
{
	if (!c->status)
		return 0;
	lua_createtable(L, (int)c->in.n, 0);
	for (uint32_t i = 0; i < c->in.n; i++) {
		lua_pushstring(L, status_names[c->in.status[i]]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* The results are the n values at the top of the stack; after an error they are the partial. */
static int finish(lua_State *L, struct call *c, int err, int n)
{
	n += push_status(L, c);
	return err ? lb_map_fail_partial(L, c->m, c->name, -err, n) : n;
}

/* ---- lookup ----------------------------------------------------------- */

/* A list: nil where the key is missing. */
static void push_values(lua_State *L, const struct call *c, const uint8_t *values, bool raw)
{
	lua_createtable(L, (int)c->in.n, 0);
	for (uint32_t i = 0; i < c->tally.done; i++) {
		if (c->in.status[i] != LB_ST_FOUND)
			continue;
		lb_push(L, &c->m->value, values + (size_t)i * c->m->value.stride, raw);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

static int lookup_list(lua_State *L, struct call *c, bool touch)
{
	uint8_t *values = lua_newuserdatauv(L, (size_t)c->in.n * c->m->value.stride + 1, 0);
	struct lb_many_map m = map_of(L);
	int err = lb_many_lookup(&m, &c->in, values, touch, &c->tally);

	push_values(L, c, values, option_is(L, c, "raw"));
	lua_pushinteger(L, c->tally.found);
	return finish(L, c, err, 2);
}

/* A batch of the same keys; entries without a value are marked. */
static int lookup_packed(lua_State *L, struct call *c, bool touch)
{
	uint8_t *keys, *values, *present;
	struct lb_batch *b = lb_batch_new(L, 1, c->in.n, true, &keys, &values, &present);
	struct lb_many_map m = map_of(L);
	int err;

	b->raw = option_is(L, c, "raw");
	c->in.keys = records(L, 2, false);
	memcpy(keys, c->in.keys, (size_t)c->in.n * c->m->key.size);
	err = lb_many_lookup(&m, &c->in, values, touch, &c->tally);
	for (uint32_t i = 0; i < c->in.n; i++)
		present[i] = c->in.status[i] == LB_ST_FOUND;
	lua_pushinteger(L, c->tally.found);
	return finish(L, c, err, 2);
}

/* False with nil, message, errno pushed when the type of map cannot do it. */
static bool can(lua_State *L, const struct call *c, uint32_t what)
{
	if (lb_can(&c->m->k, what) && c->m->key.size)
		return true;
	lb_map_fail(L, c->m, c->name, LB_ENOTSUPP);
	return false;
}

static void check_call_options(lua_State *L, struct call *c, int idx, const char *function,
			       const struct lb_option *known)
{
	if (lb_options(L, idx, function, known))
		c->options = idx;
}

/***
 * Many keys or values: a list, a packed string of records, or a batch, which serves as both.
 * @table records
 * @is data[]|string|batch
 */

/***
 * The values of many keys, thousands with each system call.
 * @function map:lookup_batch
 * @tparam records keys a list of keys, a packed string of them, or a batch
 * @tparam[opt=false] boolean options.raw values come as binary strings, and strings in the list are
 *   the bytes of keys
 * @tparam[opt=false] boolean options.status a word for each key as one more result: "found",
 *   "missing", "not done"
 * @tparam[opt=false] boolean options.touch in LRU maps: entries are marked as used, which is
 *   faster
 * @treturn data[]|batch for a list of keys a list of values, nil where a key is absent; else a
 *   batch
 * @treturn integer how many were found
 * @treturn[opt] string[] with `status`, a word for each key
 * @error the kernel refuses a lookup
 * @partial table the values, how many were found, and with `status` the words
 * @raise a key that the layout does not take, named by its place in the list
 * @kernel 5.17, where a program looks up thousands in one call; elsewhere single calls give the
 *   same answers
 * @usage
 * local values, found = map:lookup_batch {
 *   { addr = "10.0.0.1", port = 1 }, { addr = "10.0.0.2", port = 2 }, { addr = "192.0.2.1" } }
 * print(found, values[1].packets, values[3]) -- 2, a number, nil
 */
static int map_lookup_batch(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "raw", LUA_TBOOLEAN, NULL }, { "status", LUA_TBOOLEAN, NULL },
		{ "touch", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};
	struct call c = { .m = lb_check_map(L, 1), .name = "lookup_batch" };
	bool list = lua_istable(L, 2), touch;

	check_call_options(L, &c, 3, "map:lookup_batch", known);
	touch = option_is(L, &c, "touch");
	if (!can(L, &c, LB_CAN_LOOKUP))
		return 3;
	begin(L, &c, true);
	return list ? lookup_list(L, &c, touch) : lookup_packed(L, &c, touch);
}

/* ---- update ----------------------------------------------------------- */

/* update_batch(batch [, options]) is update_batch(batch, batch [, options]). */
static void spread_batch(lua_State *L)
{
	if (lb_test_batch(L, 2) && !lb_test_batch(L, 3) && (lua_isnoneornil(L, 3) ||
	    (lua_istable(L, 3) && lua_rawlen(L, 3) == 0))) {
		lua_settop(L, 4);
		if (lua_istable(L, 3))
			lua_copy(L, 3, 4);
		lua_copy(L, 2, 3);
	}
}

/* By enum lb_mode. */
static const char *const modes[] = { "any", "noexist", "exist", NULL };

static enum lb_mode option_mode(lua_State *L, const struct call *c)
{
	if (!c->options)
		return LB_ANY;
	return (enum lb_mode)lb_option_choice(L, c->options, "mode", modes, LB_ANY);
}

/***
 * Stores many entries; all are encoded before the first reaches the kernel.
 * @function map:update_batch
 * @tparam records keys a list of keys, a packed string of them, or a batch, which has the values
 *   too
 * @tparam[opt] records values as many values, in the same order; not with a batch
 * @tparam[opt="any"] "any"|"noexist"|"exist" options.mode "noexist" stores only what is absent,
 *   "exist" only what is there
 * @tparam[opt=false] boolean options.raw strings in lists are the bytes of keys and values
 * @tparam[opt=false] boolean options.status a word for each key as one more result: "stored",
 *   "exists", "missing", "not done"
 * @treturn integer how many were stored
 * @treturn[opt] string[] with `status`, a word for each key
 * @error the map is full, or the kernel refuses
 * @partial integer how many were stored until then
 * @raise a key or value that the layout does not take, named by its place in the list
 * @kernel 5.6; elsewhere single calls give the same answers
 * @usage
 * local keys, values = {}, {}
 * for i = 1, 100 do
 *   keys[i], values[i] = { addr = "10.1.0.1", port = i }, { packets = i }
 * end
 * print(map:update_batch(keys, values)) -- 100
 */
static int map_update_batch(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "mode", LUA_TSTRING, modes }, { "raw", LUA_TBOOLEAN, NULL },
		{ "status", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};
	struct call c = { .m = lb_check_map(L, 1), .name = "update_batch", .values = 3 };
	struct lb_many_map m;
	enum lb_mode mode;
	int err;

	spread_batch(L);
	check_call_options(L, &c, 4, "map:update_batch", known);
	mode = option_mode(L, &c);
	if (!can(L, &c, LB_CAN_UPDATE))
		return 3;
	check_storable(L, &c);
	begin(L, &c, false);
	m = map_of(L);
	err = lb_many_update(&m, &c.in, mode, &c.tally);
	lua_pushinteger(L, c.tally.stored);
	return finish(L, &c, err, 1);
}

/***
 * What `map:upsert_batch` did.
 * @table upsert_counts
 * @tfield integer inserted how many were absent before
 * @tfield integer updated how many were replaced
 */

/***
 * Stores many entries and tells apart what was there: replaces what exists and inserts what does
 * not. A key given twice is inserted, then updated.
 * @function map:upsert_batch
 * @tparam records keys a list of keys, a packed string of them, or a batch, which has the values
 *   too
 * @tparam[opt] records values as many values, in the same order; not with a batch
 * @tparam[opt=false] boolean options.raw strings in lists are the bytes of keys and values
 * @tparam[opt=false] boolean options.status a word for each key as one more result: "inserted",
 *   "updated", "not done"
 * @treturn upsert_counts how many were inserted and updated
 * @treturn[opt] string[] with `status`, a word for each key
 * @error the map is full, or the kernel refuses
 * @partial upsert_counts the counts until then
 * @raise a key or value that the layout does not take, named by its place in the list
 * @usage
 * local counts = map:upsert_batch({ { addr = "10.0.0.1", port = 1 }, { addr = "10.1.0.1" } },
 *   { { packets = 5 }, { packets = 6 } })
 * print(counts.inserted, counts.updated) -- 1, 1
 */
static int map_upsert_batch(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "raw", LUA_TBOOLEAN, NULL }, { "status", LUA_TBOOLEAN, NULL },
		{ NULL, 0, NULL },
	};
	struct call c = { .m = lb_check_map(L, 1), .name = "upsert_batch", .values = 3 };
	struct lb_many_map m;
	int err;

	spread_batch(L);
	check_call_options(L, &c, 4, "map:upsert_batch", known);
	if (!can(L, &c, LB_CAN_UPDATE))
		return 3;
	check_storable(L, &c);
	begin(L, &c, false);
	m = map_of(L);
	err = lb_many_upsert(&m, &c.in, &c.tally);
	lua_createtable(L, 0, 2);
	lua_pushinteger(L, c.tally.inserted);
	lua_setfield(L, -2, "inserted");
	lua_pushinteger(L, c.tally.updated);
	lua_setfield(L, -2, "updated");
	return finish(L, &c, err, 1);
}

/* ---- delete ----------------------------------------------------------- */

/* Puts the option if_equal at 4 as the values of the call. */
static void find_if_equal(lua_State *L, struct call *c)
{
	if (!c->options)
		return;
	lua_settop(L, 3);
	if (lua_getfield(L, c->options, "if_equal") == LUA_TNIL)
		lua_pop(L, 1);
	else
		c->values = 4;
}

/***
 * Deletes many entries, going on past keys that are absent.
 * @function map:delete_batch
 * @tparam records keys a list of keys, a packed string of them, or a batch
 * @tparam[opt] records options.if_equal values: only entries that still have theirs are deleted
 * @tparam[opt=false] boolean options.raw strings in lists are the bytes of keys, and of values in if_equal
 * @tparam[opt=false] boolean options.status a word for each key as one more result: "deleted",
 *   "missing", "changed", "not done"
 * @treturn integer how many were deleted
 * @treturn integer how many were absent
 * @treturn[opt] integer with `if_equal`, how many had another value by then
 * @treturn[opt] string[] with `status`, a word for each key, after the others
 * @error the kernel refuses
 * @partial table the results until then, as a list
 * @raise a key or value that the layout does not take, named by its place in the list
 * @usage
 * print(map:delete_batch { { addr = "10.0.0.1", port = 1 }, { addr = "192.0.2.1" } }) -- 1, 1
 */
static int map_delete_batch(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "if_equal", LUA_TNONE, NULL }, { "raw", LUA_TBOOLEAN, NULL },
		{ "status", LUA_TBOOLEAN, NULL }, { NULL, 0, NULL },
	};
	struct call c = { .m = lb_check_map(L, 1), .name = "delete_batch" };
	struct lb_many_map m;
	int err;

	check_call_options(L, &c, 3, "map:delete_batch", known);
	if (!can(L, &c, LB_CAN_DELETE))
		return 3;
	find_if_equal(L, &c);
	begin(L, &c, false);
	m = map_of(L);
	if (c.values)
		err = lb_many_delete_equal(&m, &c.in, &c.tally);
	else
		err = lb_bulk_delete(m.k, &c.in, &c.tally);
	lua_pushinteger(L, c.tally.deleted);
	lua_pushinteger(L, c.tally.missing);
	if (c.values)
		lua_pushinteger(L, c.tally.changed);
	return finish(L, &c, err, c.values ? 3 : 2);
}

static const luaL_Reg methods[] = {
	{ "lookup_batch", map_lookup_batch },
	{ "update_batch", map_update_batch },
	{ "upsert_batch", map_upsert_batch },
	{ "delete_batch", map_delete_batch },
	{ NULL, NULL },
};

void lb_open_keys(lua_State *L)
{
	lb_add_methods(L, LB_MAP, methods);
}
