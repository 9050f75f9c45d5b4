/* SPDX-License-Identifier: MIT */
/*
 * What a luabpf.query does that changes entries, for lua/luabpf/query/update.lua.
 *
 *	old, new, asked = q:propose(batch, params, also)	what would change
 *	updated, missing, kept = q:change(batch, params, how)
 *	updated, missing, kept, taken = q:take(batch, params)
 *	updated, missing, kept = q:exchange(old, new, how)
 *
 * how is "program" or "calls". What a program does is nil, reason, errno where it cannot be
 * loaded, with nothing done; nil, message, errno and a list of the three where the system
 * refused in between.
 */
#include "bind/map/batch.h"
#include "bind/query/querystate.h"
#include "lib/keys/live.h"

#include <errno.h>
#include <string.h>

/* Parameters that fragments may write to, on the stack of Lua. */
static uint64_t *writable_params(lua_State *L, const struct lb_query *q, int idx)
{
	const uint64_t *params = lb_query_params(L, q, idx);
	size_t size = ((size_t)q->spec.env.nparams + q->spec.env.ntables) * sizeof(*params);
	uint64_t *own = lua_newuserdatauv(L, size ? size : 1, 0);

	if (size)
		memcpy(own, params, size);
	return own;
}

/* A query that changes entries, and has slots for what a change computes: at stack index 1. */
static struct lb_query *check_changing(lua_State *L, bool live)
{
	struct lb_query *q = lb_check_query(L, live);

	luaL_argcheck(L, q->spec.change.nwords && q->spec.env.nparams >= q->spec.change.nputs, 1,
		      "the query changes nothing");
	return q;
}

static struct lb_edit_interp interp_of(const struct lb_query *q, bool judged)
{
	return (struct lb_edit_interp){
		.change = &q->spec.change,
		.where = judged || !q->spec.where.n ? NULL : &q->where,
		.values = q->values,
	};
}

/* ---- what would change -------------------------------------------------- */

/* Entries of the block that are looked at: all, or those of the list at idx. */
static uint32_t chosen(lua_State *L, int idx, uint32_t n, uint32_t i)
{
	lua_Integer at;

	if (lua_isnoneornil(L, idx))
		return i;
	lua_rawgeti(L, idx, (lua_Integer)i + 1);
	at = lua_tointeger(L, -1);
	lua_pop(L, 1);
	luaL_argcheck(L, at >= 1 && at <= (lua_Integer)n, idx, "no such entry");
	return (uint32_t)at - 1;
}

/*
 * q:propose(batch, params [, also]): those of the batch that would change, as they are and
 * as they would be, two batches; and a list of what is left to Lua, or nil. also: a list of
 * indices, of the entries that Lua has said yes to: then where is not asked.
 */
static int query_propose(lua_State *L)
{
	struct lb_query *q = check_changing(L, false);
	struct lb_block block = lb_query_block(L, q, 2);
	bool judged = lb_query_has_list(L, 4);
	uint32_t n = judged ? (uint32_t)lua_rawlen(L, 4) : block.n, found = 0, store;
	struct lb_edit_interp x = interp_of(q, judged);
	size_t ks = q->map->key.size, vs = q->map->value.stride;
	uint8_t *keys[2], *values[2], *present;
	struct lb_batch *made[2];
	lua_Integer asked = 0;
	uint64_t *params;

	lua_settop(L, 4);
	params = writable_params(L, q, 3);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	for (int i = 0; i < 2; i++)
		made[i] = lb_batch_new(L, 6, n, false, &keys[i], &values[i], &present);
	lua_newtable(L);
	lb_check_query(L, false);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = chosen(L, 4, block.n, i);
		int answer;

		block = lb_query_block(L, q, 2);
		memcpy(values[1] + found * vs, block.values + at * vs, vs);
		answer = lb_edit_apply(&x, block.keys + at * ks, values[1] + found * vs, params,
					 &store);
		if (answer == LB_ASK) {
			lua_pushinteger(L, (lua_Integer)at + 1);
			lua_rawseti(L, -2, ++asked);
		} else if (answer == LB_YES) {
			memcpy(values[0] + found * vs, block.values + at * vs, vs);
			for (int j = 0; j < 2; j++)
				memcpy(keys[j] + found * ks, block.keys + at * ks, ks);
			found++;
		}
	}
	made[0]->n = made[1]->n = found;
	if (!asked)
		lua_pushnil(L);
	lua_pushvalue(L, 7);
	lua_pushvalue(L, 8);
	lua_pushvalue(L, asked ? 9 : 10);
	return 3;
}

/* q:misfit(batch, i, params): the number of the value of entry i that does not fit, and it; or nil. */
static int query_misfit(lua_State *L)
{
	struct lb_query *q = check_changing(L, false);
	struct lb_block block = lb_query_block(L, q, 2);
	lua_Integer i = luaL_checkinteger(L, 3);
	struct lb_edit_interp x = interp_of(q, true);
	size_t vs = q->map->value.stride;
	uint32_t store = UINT32_MAX;
	uint64_t *params;
	uint8_t *value;

	luaL_argcheck(L, i >= 1 && i <= (lua_Integer)block.n, 3, "no such entry");
	lua_settop(L, 4);
	params = writable_params(L, q, 4);
	value = lua_newuserdatauv(L, vs + 1, 0);
	lb_check_query(L, false);
	block = lb_query_block(L, q, 2);
	memcpy(value, block.values + (size_t)(i - 1) * vs, vs);
	lb_edit_apply(&x, block.keys + (size_t)(i - 1) * q->map->key.size, value, params, &store);
	if (store == UINT32_MAX)
		return 0;
	lua_pushinteger(L, (lua_Integer)store + 1);
	lua_pushinteger(L, (lua_Integer)params[store]);
	return 2;
}

/* ---- by programs, by calls ----------------------------------------------- */

/* One change of given keys. */
struct job {
	struct lb_query *q;
	struct lb_query_program *program;
	struct lb_keyed_spec spec;
	struct lb_keys in;
	const uint64_t *params;
	uint8_t *values;		/* what was taken */
	struct lb_tally t;
	struct lb_log log;
};

/* 0, or -errno: *loaded says whether the program was. */
static int run_program(struct job *j, bool *loaded)
{
	struct lb_query_program *p = j->program;
	struct lb_map *m = j->q->map;
	struct lb_region *region = NULL;
	int err = 0;

	*loaded = false;
	if (!p->open)
		err = lb_keyed_open(&p->keyed, &m->k, &j->spec);
	p->open = !err;
	if (!err)
		err = lb_region_get(&m->pool, lb_keyed_room(&p->keyed, j->in.n), &region);
	if (err)
		return err;
	err = lb_keyed_load(&p->keyed, region, &j->log);
	*loaded = !err;
	if (!err)
		err = lb_keyed_run(&p->keyed, &j->in, j->params, j->values, region, &j->t, &j->log);
	lb_region_put(&m->pool, region);
	return err;
}

/* nil, why there is no program, errno. */
static int no_program(lua_State *L, struct job *j, int err)
{
	const char *why = j->program->keyed.refused, *tail = lb_log_tail(&j->log, LB_LOG_LINES);
	char text[128];

	if (!why)
		why = lb_strerror(-err, text, sizeof(text));
	luaL_pushfail(L);
	lua_pushfstring(L, err == -EPERM || !tail[0] ? "%s" : "%s\n%s", why, tail);
	lua_pushinteger(L, -err);
	return 3;
}

static int tell(lua_State *L, const struct job *j, int err)
{
	lua_pushinteger(L, j->t.updated);
	lua_pushinteger(L, j->t.missing);
	lua_pushinteger(L, j->t.changed);
	return err ? lb_map_fail_partial(L, j->q->map, "update_where", -err, 3) : 3;
}

static bool by_calls(lua_State *L, int arg)
{
	static const char *const ways[] = { "program", "calls", NULL };

	return luaL_checkoption(L, arg, NULL, ways) == 1;
}

/* Whether the map may be written; pushes what is returned where it may not. */
static bool may_write(lua_State *L, const struct lb_query *q)
{
	if (lb_kmap_allows(&q->map->k, false) && lb_kmap_allows(&q->map->k, true))
		return true;
	luaL_pushfail(L);
	lua_pushliteral(L, "the map is frozen, or the handle not for reading and writing");
	lua_pushinteger(L, EPERM);
	return false;
}

static int run(lua_State *L, struct job *j)
{
	bool loaded;
	int err;

	lb_log_begin(&j->log);
	lb_log_end(&j->log);
	err = run_program(j, &loaded);
	return err && !loaded ? no_program(L, j, err) : tell(L, j, err);
}

/* A batch of what was taken: the keys that were changed, and the copies of their values. */
static void gather(struct job *j, struct lb_batch *taken, uint8_t *keys)
{
	size_t ks = j->q->map->key.size, vs = j->q->map->value.stride;
	uint32_t to = 0;

	for (uint32_t i = 0; i < j->t.done; i++) {
		if (j->in.status[i] != LB_ST_UPDATED)
			continue;
		memcpy(keys + to * ks, j->in.keys + i * ks, ks);
		if (to != i)
			memcpy(j->values + to * vs, j->values + i * vs, vs);
		to++;
	}
	taken->n = to;
}

/* copy: what each change was decided on is handed over. */
static struct lb_keyed_spec change_of(const struct lb_query *q, bool copy)
{
	return (struct lb_keyed_spec){ .op = LB_KEYED_CHANGE, .env = q->spec.env, .copy = copy,
				       .where = q->spec.where, .change = q->spec.change,
				       .zeros = q->spec.zeros, .nzeros = q->spec.nzeros };
}

/* q:change(batch, params, how): changes those of the batch that are meant now. */
static int query_change(lua_State *L)
{
	struct lb_query *q = check_changing(L, true);
	struct job j = { .q = q, .program = &q->programs[LB_QUERY_CHANGER] };
	struct lb_edit_interp x = interp_of(q, false);
	bool calls = by_calls(L, 4);
	struct lb_block block;
	uint8_t *value;

	lua_settop(L, 3);
	j.params = writable_params(L, q, 3);
	value = lua_newuserdatauv(L, q->map->value.stride + 1, 0);
	lb_check_query(L, true);
	block = lb_query_block(L, q, 2);
	j.in = (struct lb_keys){ .keys = block.keys, .n = block.n };
	j.spec = change_of(q, false);
	if (!may_write(L, q))
		return 3;
	if (!calls)
		return run(L, &j);
	return tell(L, &j, lb_live_change(&q->map->k, &x, (uint64_t *)(uintptr_t)j.params, &j.in,
					  value, &j.t));
}

/* q:take(batch, params): the same by a program; also a batch of what the change was decided on. */
static int query_take(lua_State *L)
{
	struct lb_query *q = check_changing(L, true);
	struct job j = { .q = q, .program = &q->programs[LB_QUERY_TAKER] };
	struct lb_batch *taken;
	struct lb_block block = lb_query_block(L, q, 2);
	uint8_t *keys, *present;
	int n;

	lua_settop(L, 3);
	j.params = lb_query_params(L, q, 3);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	taken = lb_batch_new(L, 4, block.n, false, &keys, &j.values, &present);
	j.in.status = lua_newuserdatauv(L, block.n + 1, 0);
	lb_check_query(L, true);
	block = lb_query_block(L, q, 2);
	j.in.keys = block.keys;
	j.in.n = block.n;
	j.spec = change_of(q, true);
	taken->n = 0;
	if (!may_write(L, q))
		return 3;
	n = run(L, &j);
	gather(&j, taken, keys);
	lua_pushvalue(L, 5);
	return n + 1;
}

/* q:exchange(old, new, how): stores what is new of the entries that are still as old says. */
static int query_exchange(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, true);
	struct job j = { .q = q, .program = &q->programs[LB_EXCHANGER] };
	size_t vs = q->map->value.stride;
	struct lb_block old = lb_query_block(L, q, 2), new = lb_query_block(L, q, 3);
	bool calls = by_calls(L, 4);
	uint8_t *values, *value;

	luaL_argcheck(L, old.n == new.n, 3, "two batches of one length expected");
	lua_settop(L, 3);
	values = lua_newuserdatauv(L, 2 * vs * old.n + 1, 0);
	value = lua_newuserdatauv(L, vs + 1, 0);
	lb_check_query(L, true);
	old = lb_query_block(L, q, 2);
	new = lb_query_block(L, q, 3);
	for (uint32_t i = 0; i < old.n; i++) {
		memcpy(values + 2 * i * vs, old.values + i * vs, vs);
		memcpy(values + (2 * i + 1) * vs, new.values + i * vs, vs);
	}
	j.in = (struct lb_keys){ .keys = old.keys, .values = values, .n = old.n };
	j.spec = (struct lb_keyed_spec){ .op = LB_KEYED_EXCHANGE, .env = q->spec.env,
					 .change.lock = q->spec.change.lock,
					 .zeros = q->spec.zeros, .nzeros = q->spec.nzeros };
	j.spec.env.nparams = j.spec.env.nwritable = j.spec.env.ntables = 0;
	if (!may_write(L, q))
		return 3;
	if (!calls)
		return run(L, &j);
	return tell(L, &j, lb_live_exchange(&q->map->k, &j.in, value, &j.t));
}

static const luaL_Reg methods[] = {
	{ "propose", query_propose },
	{ "misfit", query_misfit },
	{ "change", query_change },
	{ "take", query_take },
	{ "exchange", query_exchange },
	{ NULL, NULL },
};

void lb_open_changes(lua_State *L)
{
	lb_add_methods(L, LB_QUERY, methods);
}
