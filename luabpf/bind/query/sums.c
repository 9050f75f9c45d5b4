/* SPDX-License-Identifier: MIT */
/*
 * What rows are poured into: the classes luabpf.agg, which groups and sums
 * them up, and luabpf.topn, which sorts them. Internal to lua/luabpf/query/read.lua.
 *
 *	agg = core.agg{ items = { { fn =, column =, width =, signed = }... },
 *		groups = words, signed = { [i] = true }, memory = bytes }
 *	agg:add(rows)		-- columns: the words of the groups, then the values
 *	list = agg:result{ decoder =, names =, sort =, limit = }
 *
 *	top = core.topn{ map =, limit =, signed =, descending =, memory =,
 *		columns = words of each row, values = whether rows keep the value }
 *	top:add(rows, by)	-- by: number of the column to sort by, from 1
 *	rows = top:rows()
 *
 * Past the memory limit add and result raise an error object that names it.
 */
#include "bind/query/sums.h"

#include "bind/query/rowset.h"
#include "lib/sum/agg.h"
#include "lib/sum/topn.h"

#include <errno.h>
#include <string.h>

#define LB_AGG "luabpf.agg"
#define LB_TOPN "luabpf.topn"
#define MAX_ITEMS 64

/* ---- options ------------------------------------------------------------ */

static size_t get_memory(lua_State *L)
{
	lua_Integer v = lb_opt_int(L, 1, "memory", 0);

	if (v < 0)
		luaL_error(L, "memory: not negative");
	return (size_t)v;
}

/* ---- aggregation -------------------------------------------------------- */

struct agg {
	struct lb_agg a;
	struct lb_agg_spec spec;
	bool open;
	uint32_t nwords;	/* columns that rows must have */
	uint32_t nitems;
	struct lb_agg_item items[MAX_ITEMS];
};

static struct agg *agg_at(lua_State *L, int arg)
{
	struct agg *g = luaL_checkudata(L, arg, LB_AGG);

	luaL_argcheck(L, g->open, arg, "aggregation is closed");
	return g;
}

static struct agg *check_agg(lua_State *L)
{
	return agg_at(L, 1);
}

const struct lb_agg_spec *lb_check_agg(lua_State *L, int arg, uint32_t ncolumns,
				       struct lb_agg **agg)
{
	struct agg *g = agg_at(L, arg);

	luaL_argcheck(L, g->nwords <= ncolumns, arg, "the query has too few columns");
	*agg = &g->a;
	return &g->spec;
}

static const char *const fn_names[] = {
	[LB_AGG_COUNT] = "count", [LB_AGG_SUM] = "sum", [LB_AGG_MIN] = "min", [LB_AGG_MAX] = "max",
	[LB_AGG_AVG] = "avg", [LB_AGG_DISTINCT] = "distinct", [LB_AGG_HIST] = "hist", NULL,
};

/* Reads the item at the top, popped; the columns it uses end at the result. */
static uint32_t read_item(lua_State *L, struct lb_agg_item *item)
{
	int idx = lua_gettop(L);

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "fn");
	item->fn = (enum lb_agg_fn)luaL_checkoption(L, -1, NULL, fn_names);
	item->column = lb_opt_upto(L, idx, "column", LB_AGG_MAX_GROUP * 4);
	item->width = (uint32_t)lb_opt_int(L, idx, "width", 1);
	item->is_signed = lb_opt_flag(L, idx, "signed");
	lua_settop(L, idx - 1);
	if (item->width > LB_AGG_MAX_GROUP)
		luaL_error(L, "items: column out of range");
	return item->fn == LB_AGG_COUNT ? 0 : item->column + (item->width ? item->width : 1);
}

static uint32_t read_items(lua_State *L, struct agg *g)
{
	uint32_t last = 0;

	lua_getfield(L, 1, "items");
	luaL_checktype(L, -1, LUA_TTABLE);
	luaL_argcheck(L, lua_rawlen(L, -1) <= MAX_ITEMS, 1, "too many items");
	g->nitems = (uint32_t)lua_rawlen(L, -1);
	for (uint32_t i = 0; i < g->nitems; i++) {
		uint32_t end;

		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		end = read_item(L, &g->items[i]);
		last = end > last ? end : last;
	}
	lua_pop(L, 1);
	return last;
}

static uint64_t read_signs(lua_State *L)
{
	uint64_t signs = 0;

	lua_getfield(L, 1, "signed");
	for (int i = 0; lua_istable(L, -1) && i < LB_AGG_MAX_GROUP; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		signs |= (uint64_t)lua_toboolean(L, -1) << i;
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return signs;
}

/* core.agg(options) */
static int agg_new(lua_State *L)
{
	struct lb_agg_spec *spec;
	struct agg *g;
	int err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	g = lua_newuserdatauv(L, sizeof(*g), 0);
	memset(g, 0, sizeof(*g));
	luaL_setmetatable(L, LB_AGG);
	spec = &g->spec;
	g->nwords = read_items(L, g);
	spec->group_columns = lb_opt_upto(L, 1, "groups", LB_AGG_MAX_GROUP);
	g->nwords += spec->group_columns;
	spec->items = g->items;
	spec->nitems = g->nitems;
	spec->signed_columns = read_signs(L);
	spec->memory = get_memory(L);
	g->open = true;
	err = lb_agg_open(&g->a, spec);
	if (err)
		return luaL_error(L, "aggregation: %s", strerror(-err));
	return 1;
}

static int agg_failed(lua_State *L, const struct agg *g, int err)
{
	char buf[128];

	return lb_throw_text(L, -err, lb_agg_error(&g->a, buf, sizeof(buf)));
}

/* agg:add(rows) */
static int agg_add(lua_State *L)
{
	struct agg *g = check_agg(L);
	const struct lb_rows *r = lb_check_rows(L, 2);
	struct lb_column columns[LB_AGG_MAX_GROUP * 6];
	struct lb_agg_block block = { .n = r->n, .dense = true };
	int err;

	luaL_argcheck(L, r->n == 0 || r->ncolumns >= g->nwords, 2, "rows of too few columns");
	luaL_argcheck(L, r->ncolumns <= LB_AGG_MAX_GROUP * 6, 2, "rows of too many columns");
	for (uint32_t i = 0; i < r->ncolumns; i++)
		columns[i] = (struct lb_column){ r->columns + i, r->ncolumns };
	block.groups = columns;
	block.values = columns + g->a.spec.group_columns;
	err = r->n ? lb_agg_add(&g->a, &block) : 0;
	return err ? agg_failed(L, g, err) : 0;
}

/* A histogram: list of { from =, to =, count = }, slots without entries left out. */
static void push_hist(lua_State *L, const uint64_t *counts)
{
	lua_Integer n = 0;

	lua_newtable(L);
	for (uint32_t slot = 0; slot < LB_HIST_SLOTS; slot++) {
		uint64_t from, to;

		if (!counts[slot])
			continue;
		lb_hist_bounds(slot, &from, &to);
		lua_createtable(L, 0, 3);
		lua_pushinteger(L, (lua_Integer)from);
		lua_setfield(L, -2, "from");
		lua_pushinteger(L, (lua_Integer)to);
		lua_setfield(L, -2, "to");
		lua_pushinteger(L, (lua_Integer)counts[slot]);
		lua_setfield(L, -2, "count");
		lua_rawseti(L, -2, ++n);
	}
}

static void push_item(lua_State *L, const struct agg *g, uint32_t group, uint32_t item)
{
	enum lb_agg_fn fn = g->items[item].fn;
	bool empty = lb_agg_rows(&g->a, group) == 0;

	if (fn == LB_AGG_HIST)
		push_hist(L, lb_agg_hist(&g->a, group, item));
	else if (empty && (fn == LB_AGG_MIN || fn == LB_AGG_MAX || fn == LB_AGG_AVG))
		lua_pushnil(L);
	else if (fn == LB_AGG_AVG)
		lua_pushnumber(L, lb_agg_mean(&g->a, group, item));
	else
		lua_pushinteger(L, (lua_Integer)lb_agg_int(&g->a, group, item));
}

/* Pushes the table of one group; the decoder's names are at index 4, the items' at 5. */
static void push_group(lua_State *L, const struct agg *g, const struct lb_decoder *d,
		       uint32_t group)
{
	lua_createtable(L, 0, (int)(d->n + g->nitems));
	lb_decode_into(L, d, 4, lb_agg_key(&g->a, group));
	for (uint32_t i = 0; i < g->nitems; i++) {
		lua_rawgeti(L, 5, (lua_Integer)i + 1);
		push_item(L, g, group, i);
		lua_rawset(L, -3);
	}
}

static struct lb_agg_sort read_sort(lua_State *L, const struct agg *g)
{
	static const char *const by[] = { [LB_BY_KEY] = "key", [LB_BY_COLUMN] = "column",
					  [LB_BY_ITEM] = "item", NULL };
	struct lb_agg_sort sort = { 0 };
	uint32_t most = g->a.spec.group_columns;

	lua_getfield(L, 2, "by");
	sort.by = (enum lb_agg_by)luaL_checkoption(L, -1, "key", by);
	lua_pop(L, 1);
	sort.which = lb_opt_upto(L, 2, "which", UINT32_MAX);
	sort.descending = lb_opt_flag(L, 2, "descending");
	if (sort.by == LB_BY_ITEM)
		most = g->nitems;
	if (sort.by != LB_BY_KEY && sort.which >= most)
		luaL_error(L, "sort: no such column");
	if (sort.by == LB_BY_ITEM && g->items[sort.which].fn == LB_AGG_HIST)
		luaL_error(L, "sort: a histogram has no order");
	return sort;
}

/* agg:result{ decoder =, names = { of items }, by =, which =, descending =, limit = } */
static int agg_result(lua_State *L)
{
	struct agg *g = check_agg(L);
	const struct lb_decoder *d;
	struct lb_agg_sort sort;
	lua_Integer limit;
	int64_t n;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	lua_getfield(L, 2, "decoder");
	d = lb_check_decoder(L, 3, g->a.spec.group_columns);
	lb_decoder_names(L, 3);
	lua_getfield(L, 2, "names");
	luaL_checktype(L, 5, LUA_TTABLE);
	luaL_argcheck(L, lua_rawlen(L, 5) == g->nitems, 2, "a name for each item expected");
	sort = read_sort(L, g);
	limit = lb_opt_int(L, 2, "limit", UINT32_MAX);
	n = lb_agg_sort(&g->a, &sort, limit < 0 ? 0 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit);
	if (n < 0)
		return agg_failed(L, g, (int)n);
	lua_createtable(L, (int)n, 0);
	for (uint32_t i = 0; i < n; i++) {
		push_group(L, g, d, lb_agg_at(&g->a, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

static int agg_close(lua_State *L)
{
	struct agg *g = luaL_checkudata(L, 1, LB_AGG);

	if (g->open)
		lb_agg_close(&g->a);
	g->open = false;
	return 0;
}

/* ---- sorting ------------------------------------------------------------ */

struct topn {
	struct lb_topn t;
	bool open, sorted, values;
	uint32_t ncolumns;
};

static struct topn *check_topn(lua_State *L)
{
	struct topn *t = luaL_checkudata(L, 1, LB_TOPN);

	luaL_argcheck(L, t->open, 1, "closed");
	return t;
}

/* core.topn(options) */
static int topn_new(lua_State *L)
{
	struct lb_topn_spec spec = { 0 };
	struct lb_map *m;
	struct topn *t;
	lua_Integer limit;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_getfield(L, 1, "map");
	m = lb_to_map(L, 2);
	t = lua_newuserdatauv(L, sizeof(*t), 1);
	memset(t, 0, sizeof(*t));
	luaL_setmetatable(L, LB_TOPN);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, 3, 1);
	t->ncolumns = lb_opt_upto(L, 1, "columns", LB_AGG_MAX_GROUP * 6);
	t->values = lb_opt_flag(L, 1, "values");
	limit = lb_opt_int(L, 1, "limit", -1);
	spec.limit = limit < 0 ? LB_ALL_ROWS : (uint64_t)limit;
	spec.key_size = m->key.size;
	spec.data_size = t->values ? m->value.stride : t->ncolumns * (uint32_t)sizeof(uint64_t);
	spec.is_signed = lb_opt_flag(L, 1, "signed");
	spec.descending = lb_opt_flag(L, 1, "descending");
	spec.memory = get_memory(L);
	luaL_argcheck(L, spec.key_size, 1, "a map without keys");
	lb_topn_open(&t->t, &spec);
	t->open = true;
	return 1;
}

static int topn_failed(lua_State *L, const struct topn *t, int err)
{
	char buf[128];

	return lb_throw_text(L, -err, lb_topn_error(&t->t, buf, sizeof(buf)));
}

/* top:add(rows, by) */
static int topn_add(lua_State *L)
{
	struct topn *t = check_topn(L);
	const struct lb_rows *r = lb_check_rows(L, 2);
	lua_Integer by = lb_check_int(L, 3, 1, r->ncolumns ? r->ncolumns : 1) - 1;
	struct lb_topn_block block = { .n = r->n, .dense = true, .keys = r->keys };
	int err;

	if (r->n == 0)
		return 0;
	luaL_argcheck(L, r->keys && r->map->key.size == t->t.spec.key_size, 2, "rows without keys");
	luaL_argcheck(L, t->values ? r->values && r->map->value.stride == t->t.spec.data_size
				   : r->ncolumns == t->ncolumns, 2, "rows of another kind");
	luaL_argcheck(L, by < r->ncolumns && !t->sorted, 3, "no such column");
	block.by = (struct lb_column){ r->columns + by, r->ncolumns };
	block.key_stride = r->map->key.size;
	block.data = t->values ? r->values : (const uint8_t *)r->columns;
	block.data_stride = t->t.spec.data_size;
	err = lb_topn_add(&t->t, &block);
	return err ? topn_failed(L, t, err) : 0;
}

/* top:rows(): what is kept, in order; nothing may be added afterwards. */
static int topn_rows(lua_State *L)
{
	struct topn *t = check_topn(L);
	uint64_t n = lb_topn_sort(&t->t);
	uint32_t key = t->t.spec.key_size, data = t->t.spec.data_size;
	struct lb_rows *r;
	uint8_t *to;

	t->sorted = true;
	luaL_argcheck(L, n <= UINT32_MAX, 1, "too many rows");
	lua_getiuservalue(L, 1, 1);
	r = lb_rows_new(L, -1);
	if (!lb_rows_reserve(r, (uint32_t)n, true, t->values, t->values ? 0 : t->ncolumns))
		return luaL_error(L, "not enough memory");
	to = r->memory + (t->values ? r->values - r->memory : 0);
	for (uint64_t i = 0; i < n; i++) {
		memcpy(r->memory + (r->keys - r->memory) + i * key, lb_topn_key(&t->t, i), key);
		memcpy(to + i * data, lb_topn_data(&t->t, i), data);
	}
	r->n = (uint32_t)n;
	return 1;
}

static int topn_close(lua_State *L)
{
	struct topn *t = luaL_checkudata(L, 1, LB_TOPN);

	if (t->open)
		lb_topn_close(&t->t);
	t->open = false;
	return 0;
}

static const luaL_Reg agg_methods[] = {
	{ "add", agg_add },
	{ "result", agg_result },
	{ "close", agg_close },
	{ NULL, NULL },
};

static const luaL_Reg topn_methods[] = {
	{ "add", topn_add },
	{ "rows", topn_rows },
	{ "close", topn_close },
	{ NULL, NULL },
};

static const luaL_Reg agg_meta[] = {
	{ "__gc", agg_close },
	{ "__close", agg_close },
	{ NULL, NULL },
};

static const luaL_Reg topn_meta[] = {
	{ "__gc", topn_close },
	{ "__close", topn_close },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "agg", agg_new },
	{ "topn", topn_new },
	{ NULL, NULL },
};

void lb_open_sums(lua_State *L)
{
	lb_newclass(L, LB_AGG, agg_methods, agg_meta);
	lb_newclass(L, LB_TOPN, topn_methods, topn_meta);
	luaL_setfuncs(L, functions, 0);
}
