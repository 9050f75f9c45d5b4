/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.store: threads that store entries into a map (store.h).
 * Internal to lua/luabpf/file/import.lua.
 *
 *	store = core.store(map, mode, workers)
 *	store:add(batch)		shares its entries out
 *	store:pass(ns)			true once all shares are in the threads' queues
 *	store:idle(ns)			true once all that was added is stored
 *	inserted, updated, skipped = store:counts()	so far, also when it is closed
 *	store:workers()			how many threads there are
 *	store:close()			stops what runs
 *
 * pass and idle raise an error object if a thread has failed, when all have ended.
 */
#include "bind/map/batch.h"
#include "lib/thread/store.h"

#include <errno.h>
#include <string.h>

#define LB_STORE_CLASS "luabpf.store"

/* User values: the map, and the layout of its values. */
enum { MAP = 1, LAYOUT, UVALUES = LAYOUT };

struct store {
	struct lb_store s;
	struct lb_map *map;
	bool open;
};

static struct store *to_store(lua_State *L)
{
	return lb_checkudata(L, 1, LB_STORE_CLASS);
}

static struct store *check_store(lua_State *L)
{
	struct store *st = to_store(L);

	luaL_argcheck(L, st->open, 1, "store is closed");
	if (lb_store_foreign(&st->s))
		lb_throw_text(L, ECHILD, LB_FOREIGN_THREADS);
	return st;
}

static int failed(lua_State *L, const struct store *st, int err)
{
	bool any = st->s.spec.mode == LB_ANY;

	lb_map_fail(L, st->map, any ? "upsert_batch" : "update_batch", -err);
	return lb_throw(L);
}

/* core.store(map, mode, workers) */
static int store_new(lua_State *L)
{
	static const char *const modes[] = { "any", "noexist", "exist", NULL };
	struct lb_store_spec spec = { 0 };
	struct lb_map *m = lb_check_map(L, 1);
	struct store *st;
	int err;

	spec.mode = (enum lb_mode)luaL_checkoption(L, 2, NULL, modes);
	spec.workers = (uint32_t)lb_check_int(L, 3, 1, LB_MAX_WORKERS);
	lua_settop(L, 3);
	st = lua_newuserdatauv(L, sizeof(*st), UVALUES);
	memset(st, 0, sizeof(*st));
	luaL_setmetatable(L, LB_STORE_CLASS);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 4, MAP);
	lua_getiuservalue(L, 1, LB_MAP_VALUE_LAYOUT);
	lua_setiuservalue(L, 4, LAYOUT);
	/* A finalizer may have closed it. */
	st->map = lb_check_map(L, 1);
	spec.map = &m->k;
	spec.value = m->value.type;
	err = lb_store_start(&st->s, &spec);
	if (err) {
		lb_map_fail(L, m, err == -EAGAIN ? "import: threads" : "import", -err);
		return lb_throw(L);
	}
	st->open = true;
	return 1;
}

/* store:add(batch) */
static int store_add(lua_State *L)
{
	struct store *st = check_store(L);
	const struct lb_batch *b = lb_check_batch(L, 2);
	int err;

	if (b->map->key.size != st->map->key.size || b->map->value.stride != st->map->value.stride)
		return luaL_argerror(L, 2, "the batch is of a map with other sizes");
	luaL_argcheck(L, !b->present || !memchr(b->present, 0, b->n), 2,
		      "the batch has entries without a value");
	if (lb_store_holds(&st->s))
		return luaL_error(L, "add: what was added before is not handed over");
	err = lb_store_add(&st->s, b->keys, b->values, b->n);
	return err ? failed(L, st, err) : 0;
}

/* Pushes done, unless a thread has failed. */
static int progress(lua_State *L, struct store *st, bool done)
{
	if (lb_store_failed(&st->s)) {
		st->open = false;
		return failed(L, st, lb_store_end(&st->s));
	}
	lua_pushboolean(L, done);
	return 1;
}

/* store:pass(ns) */
static int store_pass(lua_State *L)
{
	struct store *st = check_store(L);
	uint64_t ns = (uint64_t)lb_check_int(L, 2, 0, LUA_MAXINTEGER);

	return progress(L, st, lb_store_pass(&st->s, ns));
}

/* store:idle(ns) */
static int store_idle(lua_State *L)
{
	struct store *st = check_store(L);
	uint64_t ns = (uint64_t)lb_check_int(L, 2, 0, LUA_MAXINTEGER);

	return progress(L, st, !lb_store_holds(&st->s) && lb_store_idle(&st->s, ns));
}

static int store_counts(lua_State *L)
{
	struct lb_store_counts counts = lb_store_counts(&to_store(L)->s);

	lua_pushinteger(L, (lua_Integer)counts.inserted);
	lua_pushinteger(L, (lua_Integer)counts.updated);
	lua_pushinteger(L, (lua_Integer)counts.skipped);
	return 3;
}

static int store_workers(lua_State *L)
{
	lua_pushinteger(L, check_store(L)->s.n);
	return 1;
}

static int store_close(lua_State *L)
{
	struct store *st = to_store(L);

	st->open = false;
	lb_store_close(&st->s);
	return 0;
}

static const luaL_Reg methods[] = {
	{ "add", store_add },
	{ "pass", store_pass },
	{ "idle", store_idle },
	{ "counts", store_counts },
	{ "workers", store_workers },
	{ "close", store_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", store_close },
	{ "__close", store_close },
	{ NULL, NULL },
};

void lb_open_store(lua_State *L)
{
	lb_newclass(L, LB_STORE_CLASS, methods, meta);
	lua_pushcfunction(L, store_new);
	lua_setfield(L, -2, "store");
}
