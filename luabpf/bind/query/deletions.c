/* SPDX-License-Identifier: MIT */
/*
 * What a luabpf.query does to given keys by programs of its own: it deletes those that
 * match now, for lua/luabpf/query/sweep.lua; changes.c changes them.
 *
 *	deleted, missing, kept, gone = q:delete_live(batch, params, copy)
 */
#include "bind/map/batch.h"
#include "bind/query/querystate.h"
#include "lib/kernel/momentary.h"
#include "lib/keys/live.h"

#include <errno.h>
#include <string.h>

/* ---- programs of a query -------------------------------------------------- */

int lb_query_program_begin(struct lb_query *q, struct lb_query_program *p,
			   const struct lb_keyed_spec *spec, uint32_t n, struct lb_region **region,
			   struct lb_log *log)
{
	int err = 0;

	if (!p->open)
		err = lb_keyed_open(&p->keyed, &q->map->k, spec);
	p->open = !err;
	if (!err)
		err = lb_region_get(&q->map->pool, lb_keyed_room(&p->keyed, n), region);
	if (err)
		return err;
	err = lb_keyed_load(&p->keyed, *region, log);
	if (err)
		lb_region_put(&q->map->pool, *region);
	return err;
}

uint32_t lb_query_gather(const struct lb_query *q, const uint8_t *from, uint8_t *keys,
			 uint8_t *values, const uint8_t *status, enum lb_status wanted, uint32_t n)
{
	size_t ks = q->map->key.size, vs = q->map->value.stride;
	uint32_t to = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (status[i] != wanted)
			continue;
		memcpy(keys + to * ks, from + i * ks, ks);
		if (to != i)
			memcpy(values + to * vs, values + i * vs, vs);
		to++;
	}
	return to;
}

/* ---- deleting ------------------------------------------------------------- */

/* One call of delete_live. */
struct deletion {
	struct lb_query *q;
	struct lb_block block;
	const uint64_t *params;
	uint8_t *keys, *values;		/* of what was deleted; values NULL: not wanted */
	uint8_t *status;
	struct lb_tally t;
};

/*
 * By the program: returns for how many entries. The others are left to single
 * calls: there is no program, or it met an error.
 */
static uint32_t decide(struct deletion *x, bool copy)
{
	struct lb_query *q = x->q;
	struct lb_query_program *d = &q->programs[copy ? LB_DECIDER_COPY : LB_DECIDER];
	const struct lb_keyed_spec spec = { .op = LB_KEYED_DECIDE, .env = q->spec.env,
					    .where = q->spec.where, .copy = copy,
					    .zeros = q->spec.zeros, .nzeros = q->spec.nzeros };
	struct lb_keys in = { .keys = x->block.keys, .n = x->block.n, .status = x->status };
	struct lb_region *region;
	struct lb_log log;
	int err;

	/* Values with a lock are judged as they are read under it. */
	if (x->block.n == 0 || d->refused || q->map->k.lock || !lb_kmap_allows(&q->map->k, true))
		return 0;
	err = lb_query_program_begin(q, d, &spec, in.n, &region, &log);
	/* -E2BIG: so many entries at once. */
	d->refused = err && err != -E2BIG && !lb_momentary(err);
	if (err)
		return 0;
	lb_keyed_run(&d->keyed, &in, x->params, x->values, region, &x->t, &log);
	lb_region_put(&q->map->pool, region);
	if (copy)
		lb_query_gather(q, x->block.keys, x->keys, x->values, x->status, LB_ST_DELETED,
				x->t.done);
	return x->t.done;
}

static int delete_rest(struct deletion *x, uint32_t done)
{
	size_t ks = x->q->map->key.size, vs = x->q->map->value.stride;
	struct lb_block rest = { x->block.keys + done * ks, x->block.values + done * vs,
				 x->block.n - done };
	uint32_t at = x->t.deleted;

	return lb_live_delete(&x->q->map->k, x->q->spec.where.n ? &x->q->where : NULL, x->params,
			      &rest, x->keys + at * ks, x->values + at * vs, &x->t);
}

/*
 * q:delete_live(batch, params, copy): deletes those of the batch that match
 * now: each is read again and judged immediately before its own delete, by a
 * program where there is one. Returns deleted, missing, kept and, with copy, a
 * batch of what was deleted, as it was then; or nil, message, errno and these
 * as a list.
 */
static int query_delete_live(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, true);
	struct deletion x = { .q = q, .block = lb_query_block(L, q, 2), .params = lb_query_params(L, q, 3) };
	bool copy = lua_toboolean(L, 4);
	struct lb_batch *gone;
	uint8_t *present;
	uint32_t done;
	int err;

	lua_settop(L, 4);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	gone = lb_batch_new(L, 5, x.block.n, false, &x.keys, &x.values, &present);
	x.status = lua_newuserdatauv(L, x.block.n + 1, 0);
	lb_check_query(L, false);
	x.block = lb_query_block(L, q, 2);
	done = decide(&x, copy);
	err = delete_rest(&x, done);
	gone->n = x.t.deleted;
	gone->raw = lb_check_batch(L, 2)->raw;
	lua_pushinteger(L, x.t.deleted);
	lua_pushinteger(L, x.t.missing);
	lua_pushinteger(L, x.t.changed);
	if (copy)
		lua_pushvalue(L, 6);
	else
		lua_pushnil(L);
	return err ? lb_map_fail_partial(L, q->map, "delete_where", -err, 4) : 4;
}

static const luaL_Reg methods[] = {
	{ "delete_live", query_delete_live },
	{ NULL, NULL },
};

void lb_open_deletions(lua_State *L)
{
	lb_add_methods(L, LB_QUERY, methods);
}
