/* SPDX-License-Identifier: MIT */
/*
 * What a luabpf.query does that changes entries, for lua/luabpf/query/update.lua.
 *
 *	old, new, asked = q:propose(batch, params, also)	what would change
 *	updated, missing, kept = q:change(batch, params, how)
 *	updated, missing, kept = q:take(batch, params, holder)
 *	updated, missing, kept = q:exchange(old, new, how)
 *
 * and of the values that CPUs have, each changed on its own CPU, from the first to the last:
 *
 *	updated, missing, kept, states = q:change_cpus(batch, params, first, last, states)
 *	updated, missing, kept = q:take_cpus(batch, params, holder)
 *	updated, missing, kept = q:exchange_cpus(old, new)
 *
 * holder.taken is a batch of what was taken, and is there before anything is: a debug hook, or
 * Lua's memory, may end the caller. how is "program" or "calls". What a program does is nil, reason, errno where it cannot be
 * loaded, with nothing done, and false after those where nothing else would do it either; nil,
 * message, errno and a list of the three where the system refused in between.
 */
#include "bind/map/batch.h"
#include "bind/query/querystate.h"
#include "lib/kernel/cpus.h"
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
		.decide = &q->decide,
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

/*
 * q:misfit(batch, i, params [, cpu]): the number of the value of entry i that does not fit, and
 * it; or nil. cpu: in which CPU's value, from 1.
 */
static int query_misfit(lua_State *L)
{
	struct lb_query *q = check_changing(L, false);
	struct lb_block block = lb_query_block(L, q, 2);
	lua_Integer i = luaL_checkinteger(L, 3);
	struct lb_edit_interp x = interp_of(q, true);
	uint32_t ncpu = q->map->value.ncpu ? q->map->value.ncpu : 1;
	uint32_t cpu = lua_isnoneornil(L, 5) ? 0 : (uint32_t)lb_check_int(L, 5, 1, ncpu) - 1;
	size_t at = (size_t)(i - 1) * q->map->value.stride + cpu * lb_cpu_stride(q->map->value.size);
	size_t vs = q->spec.env.ncpu ? q->map->value.stride : q->map->value.size;
	uint32_t store = UINT32_MAX;
	uint64_t *params;
	uint8_t *value;

	luaL_argcheck(L, i >= 1 && i <= (lua_Integer)block.n, 3, "no such entry");
	lua_settop(L, 4);
	params = writable_params(L, q, 4);
	value = lua_newuserdatauv(L, vs + 1, 0);
	lb_check_query(L, false);
	block = lb_query_block(L, q, 2);
	memcpy(value, block.values + at, vs);
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
	int (*go)(struct job *j, struct lb_region *region);	/* NULL: here and now */
};

static int go_here(struct job *j, struct lb_region *region)
{
	return lb_keyed_run(&j->program->keyed, &j->in, j->params, j->values, region, &j->t,
			    &j->log);
}

/* 0, or -errno: *loaded says whether the program was. */
static int run(struct job *j, bool *loaded)
{
	struct lb_region *region;
	int err;

	lb_log_begin(&j->log);
	lb_log_end(&j->log);
	err = lb_query_program_begin(j->q, j->program, &j->spec, j->in.n, &region, &j->log);
	*loaded = !err;
	if (err)
		return err;
	err = (j->go ? j->go : go_here)(j, region);
	lb_region_put(&j->q->map->pool, region);
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

/* Whether the map may be written; pushes what is returned where it may not: nil, why, errno, false. */
static bool may_write(lua_State *L, const struct lb_query *q)
{
	if (lb_kmap_allows(&q->map->k, false) && lb_kmap_allows(&q->map->k, true))
		return true;
	luaL_pushfail(L);
	lua_pushliteral(L, "the map is frozen, or the handle not for reading and writing");
	lua_pushinteger(L, EPERM);
	lua_pushboolean(L, false);
	return false;
}

static int outcome(lua_State *L, struct job *j, int err, bool loaded)
{
	return err && !loaded ? no_program(L, j, err) : tell(L, j, err);
}

static int run_and_tell(lua_State *L, struct job *j)
{
	bool loaded;
	int err = run(j, &loaded);

	return outcome(L, j, err, loaded);
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
		return 4;
	if (!calls)
		return run_and_tell(L, &j);
	return tell(L, &j, lb_live_change(&q->map->k, &x, (uint64_t *)(uintptr_t)j.params, &j.in,
					  value, &j.t));
}

/* q:take(batch, params, holder): the same by a program; holder.taken: what it was decided on. */
static int query_take(lua_State *L)
{
	struct lb_query *q = check_changing(L, true);
	struct job j = { .q = q, .program = &q->programs[LB_QUERY_TAKER] };
	struct lb_batch *taken;
	struct lb_block block = lb_query_block(L, q, 2);
	uint8_t *keys, *present;
	bool loaded;
	int err;

	lua_settop(L, 4);
	j.params = lb_query_params(L, q, 3);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	taken = lb_batch_new(L, 5, block.n, false, &keys, &j.values, &present);
	taken->n = 0;
	lb_hold(L, 4, "taken");
	j.in.status = lua_newuserdatauv(L, block.n + 1, 0);
	lb_check_query(L, true);
	block = lb_query_block(L, q, 2);
	j.in.keys = block.keys;
	j.in.n = block.n;
	j.spec = change_of(q, true);
	if (!may_write(L, q))
		return 4;
	err = run(&j, &loaded);
	taken->n = lb_query_gather(q, j.in.keys, keys, j.values, j.in.status, LB_ST_UPDATED, j.t.done);
	return outcome(L, &j, err, loaded);
}

static struct lb_keyed_spec exchange_of(const struct lb_query *q)
{
	struct lb_env env = { .key_size = q->spec.env.key_size, .value_size = q->spec.env.value_size };

	return (struct lb_keyed_spec){ .op = LB_KEYED_EXCHANGE, .env = env,
				       .change.lock = q->spec.change.lock,
				       .zeros = q->spec.zeros, .nzeros = q->spec.nzeros };
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
	j.spec = exchange_of(q);
	if (!may_write(L, q))
		return 4;
	if (!calls)
		return run_and_tell(L, &j);
	return tell(L, &j, lb_live_exchange(&q->map->k, &j.in, value, &j.t));
}

/* ---- values of CPUs ------------------------------------------------------ */

/* A change of values that CPUs have. */
struct tour {
	struct job j;			/* first: of one CPU at a time */
	struct lb_block old, new;	/* whole entries; new of those that are exchanged */
	uint32_t first, last;		/* CPUs, from 0 */
	uint8_t *states;		/* what became of each entry so far, an enum lb_status */
	uint8_t *status;		/* the same of one CPU's run */
	uint32_t *entries;		/* which entries that run has */
	uint8_t *keys, *values;		/* exchange: those that differ on the CPU; take: what was there */
	uint8_t *taken;			/* whole values, or NULL */
	uint8_t *got;			/* LB_ST_UPDATED where there is any of an entry's */
};

static size_t cpu_offset(const struct tour *t, uint32_t i, uint32_t cpu)
{
	const struct lb_map *m = t->j.q->map;

	return (size_t)i * m->value.stride + (size_t)cpu * lb_cpu_stride(m->value.size);
}

/* The entries whose value on that CPU shall be another one, with both values. */
static void fill(struct tour *t, uint32_t cpu)
{
	size_t ks = t->j.q->map->key.size, vs = t->j.q->map->value.size;
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->old.n; i++) {
		const uint8_t *old = t->old.values + cpu_offset(t, i, cpu);
		const uint8_t *new = t->new.n ? t->new.values + cpu_offset(t, i, cpu) : NULL;

		if (new && memcmp(old, new, vs) == 0)
			continue;
		t->entries[n] = i;
		memcpy(t->keys + n * ks, t->old.keys + i * ks, ks);
		if (new) {
			memcpy(t->values + 2 * n * vs, old, vs);
			memcpy(t->values + (2 * n + 1) * vs, new, vs);
		}
		n++;
	}
	t->j.in = (struct lb_keys){ .keys = t->keys, .n = n, .status = t->status,
				    .values = t->new.n ? t->values : NULL };
}

/* An entry is updated if it is on each CPU. */
static uint8_t joined(uint8_t before, uint8_t now)
{
	if (before == LB_ST_MISSING || before == LB_ST_CHANGED)
		return now == LB_ST_MISSING ? now : before;
	return now;
}

/* What became of the entries of one CPU's run. */
static void settle(struct tour *t, uint32_t cpu)
{
	size_t vs = t->j.q->map->value.size;

	for (uint32_t i = 0; i < t->j.t.done; i++) {
		uint32_t at = t->entries[i];

		t->states[at] = joined(t->states[at], t->status[i]);
		if (!t->taken || t->status[i] != LB_ST_UPDATED)
			continue;
		memcpy(t->taken + cpu_offset(t, at, cpu), t->values + i * vs, vs);
		t->got[at] = LB_ST_UPDATED;
	}
}

static int visit(struct tour *t, struct lb_region *region, uint32_t cpu)
{
	struct lb_stay stay;
	int err = lb_cpu_enter(&stay, cpu);

	if (err)
		return err;
	fill(t, cpu);
	memset(&t->j.t, 0, sizeof(t->j.t));
	t->j.program->keyed.cpu = cpu;
	err = go_here(&t->j, region);
	lb_cpu_leave(&stay);
	settle(t, cpu);
	return err;
}

static int go_round(struct job *j, struct lb_region *region)
{
	struct tour *t = (struct tour *)j;
	int err = 0;

	for (uint32_t cpu = t->first; cpu <= t->last && !err; cpu++)
		err = visit(t, region, cpu);
	memset(&j->t, 0, sizeof(j->t));
	for (uint32_t i = 0; i < t->old.n; i++) {
		j->t.updated += t->states[i] == LB_ST_UPDATED;
		j->t.missing += t->states[i] == LB_ST_MISSING;
		j->t.changed += t->states[i] == LB_ST_CHANGED;
	}
	return err;
}

/* Whether this thread may run on all CPUs, tried once; pushes what is returned where not. */
static bool may_go(lua_State *L, const struct tour *t)
{
	for (uint32_t cpu = 0; cpu < t->j.q->map->value.ncpu && !t->j.q->reaches_cpus; cpu++) {
		struct lb_stay stay;
		int err = lb_cpu_enter(&stay, cpu);

		if (!err)
			lb_cpu_leave(&stay);
		if (!err)
			continue;
		luaL_pushfail(L);
		lua_pushfstring(L, "the value of CPU %d is changed on that CPU, and this process "
				   "may not run there", (int)cpu + 1);
		lua_pushinteger(L, -err);
		lua_pushboolean(L, false);
		return false;
	}
	t->j.q->reaches_cpus = true;
	return true;
}

/* Memory for a tour of so many entries, kept by the stack of Lua. */
static void equip(lua_State *L, struct tour *t, uint32_t n)
{
	const struct lb_map *m = t->j.q->map;
	size_t each = m->key.size + 2 * (size_t)m->value.size + 3 + sizeof(uint32_t);
	uint8_t *p = lua_newuserdatauv(L, n * each + 1, 0);

	memset(p, 0, n * each);
	t->entries = (uint32_t *)(void *)p;
	t->values = p + n * sizeof(uint32_t);
	t->keys = t->values + 2 * (size_t)n * m->value.size;
	t->states = t->keys + (size_t)n * m->key.size;
	t->status = t->states + n;
	t->got = t->status + n;
	t->j.values = t->values;
	t->j.go = go_round;
}

/* Reads the query's parameters and its batch at index 2 for a change of values of CPUs. */
static void begin_tour(lua_State *L, struct tour *t, bool copy)
{
	struct lb_block block = lb_query_block(L, t->j.q, 2);

	luaL_argcheck(L, t->j.q->map->value.ncpu, 1, "the map has no values of CPUs");
	t->j.params = lb_query_params(L, t->j.q, 3);
	equip(L, t, block.n);
	lb_check_query(L, true);
	t->old = lb_query_block(L, t->j.q, 2);
	t->j.in.n = t->old.n;
	t->j.spec = change_of(t->j.q, copy);
}

/*
 * q:change_cpus(batch, params, first, last [, states]): changes the values that CPUs, from 1, have.
 * states: what became of the entries on other CPUs, as an earlier call gave it.
 */
static int query_change_cpus(lua_State *L)
{
	struct lb_query *q = check_changing(L, true);
	struct tour t = { .j = { .q = q, .program = &q->programs[LB_QUERY_CHANGER] } };
	lua_Integer ncpu = q->map->value.ncpu;
	size_t len;
	const char *states;
	int n;

	t.first = (uint32_t)lb_check_int(L, 4, 1, ncpu) - 1;
	t.last = (uint32_t)lb_check_int(L, 5, t.first + 1, ncpu) - 1;
	lua_settop(L, 6);
	states = luaL_optlstring(L, 6, "", &len);
	begin_tour(L, &t, false);
	if (len == t.old.n)
		memcpy(t.states, states, len);
	if (!may_write(L, q) || !may_go(L, &t))
		return 4;
	n = run_and_tell(L, &t.j);
	if (n > 3 || lua_isnil(L, -3))
		return n;
	lua_pushlstring(L, (const char *)t.states, t.old.n);
	return 4;
}

/* q:take_cpus(batch, params, holder): the same on all CPUs; holder.taken: what was there. */
static int query_take_cpus(lua_State *L)
{
	struct lb_query *q = check_changing(L, true);
	struct tour t = { .j = { .q = q, .program = &q->programs[LB_QUERY_TAKER] } };
	struct lb_batch *taken;
	uint8_t *keys, *present;
	bool loaded;
	int err;

	luaL_argcheck(L, q->map->value.ncpu, 1, "the map has no values of CPUs");
	t.last = q->map->value.ncpu - 1;
	lua_settop(L, 4);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	taken = lb_batch_new(L, 5, lb_query_block(L, q, 2).n, false, &keys, &t.taken, &present);
	taken->n = 0;
	lb_hold(L, 4, "taken");
	begin_tour(L, &t, true);
	if (!may_write(L, q) || !may_go(L, &t))
		return 4;
	err = run(&t.j, &loaded);
	taken->n = lb_query_gather(q, t.old.keys, keys, t.taken, t.got, LB_ST_UPDATED, t.old.n);
	return outcome(L, &t.j, err, loaded);
}

/* q:exchange_cpus(old, new): stores what is new, of each CPU's value that is still as old says. */
static int query_exchange_cpus(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, true);
	struct tour t = { .j = { .q = q, .program = &q->programs[LB_EXCHANGER] } };
	struct lb_block new = lb_query_block(L, q, 3);

	luaL_argcheck(L, q->map->value.ncpu, 1, "the map has no values of CPUs");
	luaL_argcheck(L, lb_query_block(L, q, 2).n == new.n, 3, "two batches of one length expected");
	t.last = q->map->value.ncpu - 1;
	lua_settop(L, 3);
	equip(L, &t, new.n);
	lb_check_query(L, true);
	t.old = lb_query_block(L, q, 2);
	t.new = lb_query_block(L, q, 3);
	t.j.in.n = t.old.n;
	t.j.spec = exchange_of(q);
	if (!may_write(L, q) || !may_go(L, &t))
		return 4;
	return run_and_tell(L, &t.j);
}

static const luaL_Reg methods[] = {
	{ "propose", query_propose },
	{ "misfit", query_misfit },
	{ "change", query_change },
	{ "take", query_take },
	{ "exchange", query_exchange },
	{ "change_cpus", query_change_cpus },
	{ "take_cpus", query_take_cpus },
	{ "exchange_cpus", query_exchange_cpus },
	{ NULL, NULL },
};

void lb_open_changes(lua_State *L)
{
	lb_add_methods(L, LB_QUERY, methods);
}
