/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.query: fragments bound to a map, ready to be run. Two
 * executors answer alike: the interpreter over the blocks of a cursor, and a
 * program inside the kernel over the whole map. lua/luabpf/query/prepare.lua makes
 * them, lua/luabpf/query/run.lua decides which executor to use.
 *
 *	q = core.query(map, { where =, columns = { code... }, nparams =, ntables =,
 *		reductions = { { op =, cpu =, offset =, size =, bit =, bits =,
 *		signed =, big = }... }, sums = { { op =, code = }... },
 *		keys =, values =, remove =, asked = (room for what where leaves to Lua),
 *		zeros = { { offset =, size = }... } })
 *	n, asked = q:match(batch, params)	how many match; those left to Lua, a list or nil
 *	rows = q:rows(batch, params, rows, also)	the matches, in old rows if there are any
 *	some = q:pick(batch, params, also)	the matches as a batch
 *	result, rows = q:scan{ params =, rows =, limit =, ... }
 *	result = q:result(rows)			that of the scan, which was the last, again
 *
 * also: a list of indices in the batch that match whatever where says, as Lua judged them.
 */
#include "bind/query/query.h"

#include "bind/map/batch.h"
#include "bind/query/querystate.h"
#include "bind/query/queryspec.h"
#include "bind/query/rowset.h"
#include "lib/kernel/clock.h"
#include "lib/kernel/loader.h"
#include "lib/kernel/momentary.h"
#include "lib/keys/keyed.h"
#include "lib/keys/live.h"
#include "lib/scan/scan.h"
#include "lib/sum/topn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct lb_query *lb_check_query(lua_State *L, bool live)
{
	struct lb_query *q = lb_checkudata(L, 1, LB_QUERY);

	if (!q->map || (q->map->k.fd < 0 && !q->map->detached))
		lb_is_closed(L, "map");
	luaL_argcheck(L, !live || !q->map->detached, 1, "a query of entries that are not in the kernel");
	return q;
}

/* ---- making one -------------------------------------------------------- */

/* Raises where there is no memory to check with: why a part of a query is refused, or NULL. */
static const char *checked(lua_State *L, const char *why)
{
	if (why == lb_fragment_no_memory)
		lb_throw_no_memory(L);
	return why;
}

static void prepare(lua_State *L, struct lb_interp *ip, const struct lb_fragment *f,
		    const struct lb_env *env)
{
	uint32_t at = 0;
	const char *why = checked(L, lb_interp_init(ip, f, env, &at));

	if (why)
		luaL_error(L, "fragment refused at instruction %d: %s", (int)at, why);
}

static void prepare_all(lua_State *L, struct lb_query *q, int kept)
{
	const struct lb_scan_spec *s = &q->spec;
	const char *why = lb_env_check(&s->env);

	if (why)
		luaL_error(L, "environment refused: %s", why);
	if (s->where.n)
		prepare(L, &q->where, &s->where, &s->env);
	q->columns = lb_query_keep(L, kept, s->ncolumns * sizeof(*q->columns));
	for (uint32_t i = 0; i < s->ncolumns; i++)
		prepare(L, &q->columns[i], &s->columns[i], &s->env);
	if (!s->change.nwords)
		return;
	why = checked(L, lb_edit_check(&s->change, &s->env));
	if (why)
		luaL_error(L, "change refused: %s", why);
	if (s->change.decide.n)
		prepare(L, &q->decide, &s->change.decide, &s->env);
	q->values = lb_query_keep(L, kept, s->change.nputs * sizeof(*q->values));
	for (uint32_t i = 0; i < s->change.nputs; i++)
		if (s->change.values && s->change.values[i].n)
			prepare(L, &q->values[i], &s->change.values[i], &s->env);
}

/* core.query(map, spec) */
static int query_new(lua_State *L)
{
	struct lb_map *m = lb_check_shapes(L, 1);
	struct lb_query *q;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	q = lua_newuserdatauv(L, sizeof(*q), LB_QUERY_UVALUES);
	memset(q, 0, sizeof(*q));
	luaL_setmetatable(L, LB_QUERY);
	lua_newtable(L);
	lua_pushvalue(L, 4);
	lua_setiuservalue(L, 3, LB_QUERY_KEPT);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 3, LB_QUERY_MAP);
	lb_query_read(L, 4, m, &q->spec);
	prepare_all(L, q, 4);
	q->map = m;
	lua_settop(L, 3);
	return 1;
}

/* ---- the batch engine --------------------------------------------------- */

const uint64_t *lb_query_params(lua_State *L, const struct lb_query *q, int idx)
{
	size_t len = 0;
	const char *s = "";

	if (!lua_isnoneornil(L, idx))
		s = luaL_checklstring(L, idx, &len);
	if (len != (q->spec.env.nparams + q->spec.env.ntables) * sizeof(uint64_t))
		luaL_argerror(L, idx, "parameters of the wrong size");
	return (const uint64_t *)(const void *)s;
}

struct lb_map *lb_query_crew(lua_State *L, int arg, int params, struct lb_crew_spec *spec)
{
	struct lb_query *q = lb_checkudata(L, arg, LB_QUERY);

	if (!q->map || q->map->k.fd < 0)
		lb_is_closed(L, "map");
	spec->map = &q->map->k;
	spec->where = q->spec.where.n ? &q->where : NULL;
	spec->columns = q->columns;
	spec->ncolumns = q->spec.ncolumns;
	spec->params = lb_query_params(L, q, params);
	spec->asks = q->spec.asked > 0;
	return q->map;
}

void lb_query_map(lua_State *L, int arg)
{
	lua_getiuservalue(L, arg, LB_QUERY_MAP);
}

struct lb_block lb_query_block(lua_State *L, const struct lb_query *q, int idx)
{
	const struct lb_batch *b = lb_check_batch(L, idx);

	if (b->map->key.size != q->map->key.size || b->map->value.stride != q->map->value.stride)
		luaL_argerror(L, idx, "the batch is of a map with other sizes");
	return (struct lb_block){ b->keys, b->values, b->n };
}

static void room_for(lua_State *L, struct lb_query *q, uint32_t n)
{
	uint8_t *match;

	if (q->match && n <= q->room)
		return;
	match = realloc(q->match, n ? n : 1);
	if (!match)
		lb_throw_no_memory(L);
	q->match = match;
	q->room = n;
}

/* Fills q->match; returns how many match. */
static uint32_t match_block(lua_State *L, struct lb_query *q, const struct lb_block *block,
			    const uint64_t *params)
{
	room_for(L, q, block->n);
	q->matched++;
	if (q->spec.where.n)
		return lb_interp_match(&q->where, block, params, q->match);
	memset(q->match, LB_YES, block->n);
	return block->n;
}

bool lb_query_has_list(lua_State *L, int idx)
{
	if (lua_isnoneornil(L, idx))
		return false;
	luaL_checktype(L, idx, LUA_TTABLE);
	return true;
}

/* Entries that match whatever where says: those of the list at idx. How many that adds. */
static uint32_t match_also(lua_State *L, struct lb_query *q, const struct lb_block *block, int idx)
{
	lua_Unsigned n = lb_query_has_list(L, idx) ? lua_rawlen(L, idx) : 0;
	uint32_t added = 0;

	for (lua_Unsigned i = 1; i <= n; i++) {
		lua_Unsigned at;

		lua_rawgeti(L, idx, (lua_Integer)i);
		at = (lua_Unsigned)lua_tointeger(L, -1) - 1;
		lua_pop(L, 1);
		if (at >= block->n || q->match[at] == LB_YES)
			continue;
		q->match[at] = LB_YES;
		added++;
	}
	return added;
}

/* Pushes the list of the entries that are left to Lua; nil if there are none. */
static void push_asked(lua_State *L, const struct lb_query *q, uint32_t n)
{
	uint32_t at = q->matched;
	lua_Integer found = 0;

	lua_pushnil(L);
	for (uint32_t i = 0; q->spec.asked && i < n && q->matched == at; i++) {
		if (q->match[i] != LB_ASK)
			continue;
		if (!found) {
			lua_pop(L, 1);
			lua_newtable(L);
			/* A finalizer may have run the query. */
			if (q->matched != at)
				break;
		}
		lua_pushinteger(L, (lua_Integer)i + 1);
		lua_rawseti(L, -2, ++found);
	}
	if (q->matched != at)
		luaL_error(L, "the query was run by a finalizer");
}

/* q:match(batch, params): how many entries match, and which are left to Lua, or nil. */
static int query_match(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, false);
	struct lb_block block = lb_query_block(L, q, 2);

	lua_pushinteger(L, match_block(L, q, &block, lb_query_params(L, q, 3)));
	push_asked(L, q, block.n);
	return 2;
}

static void copy_matches(const struct lb_query *q, const struct lb_block *block, uint8_t *keys,
			 uint8_t *values)
{
	size_t ks = q->map->key.size, vs = q->map->value.stride, to = 0;

	for (uint32_t i = 0; i < block->n; i++) {
		if (q->match[i] != LB_YES)
			continue;
		if (keys)
			memcpy(keys + to * ks, block->keys + i * ks, ks);
		if (values)
			memcpy(values + to * vs, block->values + i * vs, vs);
		to++;
	}
}

/* The rows at idx, or new ones there; one argument follows. */
static struct lb_rows *open_rows(lua_State *L, const struct lb_query *q, int idx)
{
	struct lb_rows *r;

	lua_settop(L, idx + 1);
	if (lua_isnil(L, idx)) {
		lua_getiuservalue(L, 1, LB_QUERY_MAP);
		lb_rows_new(L, -1);
		lua_replace(L, idx);
		lua_settop(L, idx + 1);
	}
	r = lb_check_rows(L, idx);
	luaL_argcheck(L, r->map == q->map && !r->region, idx, "rows of another kind");
	return r;
}

/* q:rows(batch, params [, rows [, also]]): the matches, in the rows of an earlier call if given. */
static int query_rows(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, false);
	const uint64_t *params = lb_query_params(L, q, 3);
	const struct lb_scan_spec *s = &q->spec;
	struct lb_rows *r = open_rows(L, q, 4);
	struct lb_block block = lb_query_block(L, q, 2);
	uint32_t n = match_block(L, lb_check_query(L, false), &block, params);

	n += match_also(L, q, &block, 5);
	lua_settop(L, 4);
	if (!lb_rows_reserve(r, n, s->keys, s->values, s->ncolumns))
		return lb_throw_no_memory(L);
	copy_matches(q, &block, s->keys ? r->memory + (r->keys - r->memory) : NULL,
		     s->values ? r->memory + (r->values - r->memory) : NULL);
	lb_interp_rows(s->where.n ? &q->where : NULL, q->columns, s->ncolumns, &block, params,
		       q->match, (uint64_t *)(void *)r->memory, 1, s->ncolumns);
	r->n = n;
	return 1;
}

/* q:pick(batch, params [, also]): the matches as a batch of its own. */
static int query_pick(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, false);
	struct lb_block block = lb_query_block(L, q, 2);
	uint32_t n = match_block(L, q, &block, lb_query_params(L, q, 3)), at = q->matched;
	uint8_t *keys, *values, *present;

	n += match_also(L, q, &block, 4);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	lb_batch_new(L, -1, n, false, &keys, &values, &present)->raw = lb_check_batch(L, 2)->raw;
	block = lb_query_block(L, q, 2);
	if (q->matched != at)
		return luaL_error(L, "the query was run by a finalizer");
	copy_matches(q, &block, keys, values);
	return 1;
}

/* ---- the kernel engine -------------------------------------------------- */

static const char *const stop_names[] = {
	[LB_STOP_NONE] = "none", [LB_STOP_LIMIT] = "limit", [LB_STOP_DEADLINE] = "deadline",
	[LB_STOP_VISITS] = "visits", [LB_STOP_FULL] = "full", [LB_STOP_ERROR] = "error",
	[LB_STOP_ASKED] = "asked",
};

/* nil, why the kernel engine cannot be used, errno, whether it never can. */
static int refused(lua_State *L, const struct lb_query *q, int err, struct lb_log *log)
{
	const char *tail = err == -EPERM ? "" : lb_log_tail(log, LB_LOG_LINES);
	const char *why = q->scan.refused;
	char text[128];

	luaL_pushfail(L);
	if (!why)
		why = lb_strerror(-err, text, sizeof(text));
	lua_pushfstring(L, tail[0] ? "%s\n%s" : "%s", why, tail);
	lua_pushinteger(L, -err);
	lua_pushboolean(L, !lb_momentary(err) && (!q->scan_open || q->scan.refused));
	return 4;
}

static int not_allowed(lua_State *L)
{
	luaL_pushfail(L);
	lua_pushliteral(L, "the map is frozen, or the handle not for reading and writing");
	lua_pushinteger(L, EPERM);
	lua_pushboolean(L, false);
	return 4;
}

static void push_result(lua_State *L, const struct lb_query *q, const struct lb_scan_result *r)
{
	char text[128];

	lua_createtable(L, 0, 14);
	lb_set_int(L, "visited", r->visited);
	lb_set_int(L, "matched", r->matched);
	lb_set_int(L, "deleted", r->deleted);
	lb_set_int(L, "missing", r->missing);
	lb_set_int(L, "cut", r->cut);
	lb_set_int(L, "updated", r->updated);
	lb_set_int(L, "kept", r->kept);
	lb_set_int(L, "stored", r->stored);
	lb_set_int(L, "asked", r->asked.n);
	lua_pushstring(L, stop_names[r->stop]);
	lua_setfield(L, -2, "stop");
	if (r->stop == LB_STOP_ERROR) {
		lb_set_int(L, "errno", (uint64_t)-r->error);
		lua_pushstring(L, lb_strerror(-r->error, text, sizeof(text)));
		lua_setfield(L, -2, "error");
	}
	lua_createtable(L, (int)q->spec.nsums, 0);
	for (uint32_t i = 0; i < q->spec.nsums; i++) {
		lua_pushinteger(L, (lua_Integer)r->sums[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setfield(L, -2, "sums");
	lua_pushlstring(L, (const char *)r->written, q->spec.env.nwritable * sizeof(*r->written));
	lua_setfield(L, -2, "written");
}

static void fill_rows(struct lb_rows *rows, const struct lb_query *q, const struct lb_scan_result *r)
{
	rows->n = r->stored;
	rows->records = q->spec.nindex > 0;
	rows->ncolumns = rows->records ? 1 + q->spec.ncolumns - q->spec.nindex : q->spec.ncolumns;
	rows->keys = q->spec.keys ? r->rows.keys : NULL;
	rows->values = q->spec.values ? r->rows.values : NULL;
	rows->columns = r->columns;
	rows->asked = r->asked;
	rows->lender.process = rows->region ? rows->region->process : 0;
}

static struct lb_scan_args scan_args(lua_State *L, const uint64_t *params)
{
	return (struct lb_scan_args){
		.params = params,
		.limit = (uint64_t)lb_opt_int(L, 2, "limit", 0),
		.count_on = lb_opt_flag(L, 2, "count_on"),
		.dry = lb_opt_flag(L, 2, "dry"),
		.max_visits = (uint64_t)lb_opt_int(L, 2, "max_visits", 0),
	};
}

/* Opens the scan and loads its program, with a region for nrows checked out if it has rows. */
static int ready(struct lb_query *q, uint64_t nrows, struct lb_rows *rows, struct lb_log *log)
{
	int err = 0;

	q->scan.refused = NULL;
	if (!q->scan_open) {
		err = lb_scan_open(&q->scan, &q->map->k, &q->spec, log);
		q->scan_open = !err;
	}
	if (!err && lb_scan_has_rows(&q->scan))
		err = lb_region_get(&q->map->pool, lb_scan_room(&q->scan, nrows), &rows->region);
	return err ? err : lb_scan_load(&q->scan, rows->region, log);
}

static int run(struct lb_query *q, struct lb_scan_args *args, uint64_t budget,
	       const struct lb_rows *rows, struct lb_scan_result *result, struct lb_log *log)
{
	args->deadline = budget ? lb_monotonic() + budget : 0;
	return lb_scan_run(&q->scan, args, rows->region, result, log);
}

/*
 * q:scan{ params =, limit =, count_on =, dry =, budget = (ns that it may take),
 * max_visits =, rows = (how many there is room for), holder = }: one walk inside
 * the kernel. Returns the result and its rows; or nil, reason, errno and whether
 * that is so for good, with nothing done. holder.rows is the rows before it begins:
 * where a debug hook or Lua's memory ends the caller, q:result has what was done.
 */
static int query_scan(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, true);
	const uint64_t *params;
	struct lb_scan_args args;
	struct lb_rows *rows;
	struct lb_log log;
	uint64_t nrows, budget;
	int err;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	lua_getfield(L, 2, "params");
	params = lb_query_params(L, q, 3);
	nrows = (uint64_t)lb_opt_int(L, 2, "rows", 0);
	budget = (uint64_t)lb_opt_int(L, 2, "budget", 0);
	args = scan_args(L, params);
	lua_getiuservalue(L, 1, LB_QUERY_MAP);
	rows = lb_rows_new(L, 4);
	lua_getfield(L, 2, "holder");
	lua_insert(L, -2);
	lb_hold(L, -2, "rows");
	lb_check_query(L, false);
	q->last_rows = NULL;
	if (!lb_kmap_allows(&q->map->k, false) ||
	    ((q->spec.remove || q->spec.change.nwords) && !args.dry && !lb_kmap_allows(&q->map->k, true)))
		return not_allowed(L);
	lb_log_begin(&log);
	lb_log_end(&log);
	err = ready(q, nrows, rows, &log);
	if (!err)
		err = run(q, &args, budget, rows, &q->last, &log);
	if (err) {
		lb_rows_release(rows);
		return refused(L, q, err, &log);
	}
	fill_rows(rows, q, &q->last);
	q->last_rows = rows;
	push_result(L, q, &q->last);
	lua_insert(L, -2);
	return 2;
}

/* q:result(rows): what the scan gave that these rows are of; nil if there was another one since. */
static int query_result(lua_State *L)
{
	const struct lb_query *q = lb_check_query(L, false);

	if (q->last_rows == lb_check_rows(L, 2))
		push_result(L, q, &q->last);
	else
		luaL_pushfail(L);
	return 1;
}

/* core.element_count(map): as the kernel counts; nil where it does not. */
static int element_count(lua_State *L)
{
	struct lb_many_map m = lb_map_many(lb_check_map(L, 1));
	uint64_t n;

	if (lb_many_count(&m, &n))
		luaL_pushfail(L);
	else
		lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

/* q:instructions(): of the program as it was loaded last; 0 if none was. */
static int query_instructions(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, false);

	lua_pushinteger(L, q->scan_open ? q->scan.ninsns : 0);
	return 1;
}

static int query_gc(lua_State *L)
{
	struct lb_query *q = lb_checkudata(L, 1, LB_QUERY);

	if (q->scan_open)
		lb_scan_close(&q->scan);
	q->scan_open = false;
	for (int i = 0; i < LB_NPROGRAMS; i++) {
		if (q->programs[i].open)
			lb_keyed_close(&q->programs[i].keyed);
		q->programs[i].open = false;
	}
	free(q->match);
	q->match = NULL;
	q->room = 0;
	q->matched++;
	return 0;
}

static const luaL_Reg methods[] = {
	{ "match", query_match },
	{ "rows", query_rows },
	{ "pick", query_pick },
	{ "scan", query_scan },
	{ "result", query_result },
	{ "instructions", query_instructions },
	{ "close", query_gc },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", query_gc },
	{ "__close", query_gc },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "query", query_new },
	{ "element_count", element_count },
	{ NULL, NULL },
};

/* What compilers of fragments and makers of queries must keep to; frames in slots of 8 bytes. */
static void push_limits(lua_State *L)
{
	lua_createtable(L, 0, 9);
	lb_set_int(L, "instructions", LB_MAX_FRAGMENT);
	lb_set_int(L, "params", LB_MAX_PARAMS);
	lb_set_int(L, "reductions", LB_MAX_REDUCTIONS);
	lb_set_int(L, "tables", LB_MAX_TABLES);
	lb_set_int(L, "frame", LB_FRAME_SIZE / 8);
	lb_set_int(L, "frame_percpu", LB_FRAME_PERCPU / 8);
	lb_set_int(L, "columns", LB_MAX_COLUMNS);
	lb_set_int(L, "order", LB_MAX_ORDER);
	lb_set_int(L, "stores", LB_MAX_PUTS);
}

void lb_open_query(lua_State *L)
{
	lb_newclass(L, LB_QUERY, methods, meta);
	luaL_setfuncs(L, functions, 0);
	lb_set_int(L, "max_region", LB_MAX_REGION);
	push_limits(L);
	lua_setfield(L, -2, "limits");
}
