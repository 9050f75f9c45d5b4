/* SPDX-License-Identifier: MIT */
/*
 * What rows are poured into: the classes luabpf.agg, which groups and sums
 * them up, and luabpf.topn, which sorts them. Internal to lua/luabpf/query/read.lua.
 *
 *	agg = core.agg{ items = { { fn =, column =, width =, signed = }... },
 *		groups = words, as = { "unsigned" | "signed" | "bytes" for each }, memory = bytes,
 *		bits = { of each, where groups are found by index } or nil }
 *	agg:add(rows, source)	-- columns: the words of the groups, then the values. source: the batch
 *				-- that the rows are of, or they themselves, or nil; it is empty then:
 *				-- nothing is added twice
 *	agg:reserve(n), agg:used()
 *	list = agg:result{ decoder =, names =, limit =,
 *		order = { { by = "column" | "item", which = from 0, descending = }... } }
 *
 *	top = core.topn{ map =, limit =, memory =, columns = words of each row,
 *		order = { { column = from 0, as = "unsigned" | "signed" | "bytes", descending = }... },
 *		values = whether rows keep the value }
 *	top:add(rows)
 *	rows = top:rows()
 *
 * Past the memory limit add and result raise an error object that names it.
 */
#include "bind/query/sums.h"

#include "bind/query/rowset.h"
#include "lib/scan/scanspec.h"
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

static const char *const word_names[] = {
	[LB_WORD_UNSIGNED] = "unsigned", [LB_WORD_SIGNED] = "signed", [LB_WORD_BYTES] = "bytes", NULL,
};

/* The length of the list that options have under that name, which is pushed. */
static uint32_t open_list(lua_State *L, int options, const char *name, uint32_t most)
{
	lua_Unsigned n;

	lua_getfield(L, options, name);
	luaL_checktype(L, -1, LUA_TTABLE);
	n = lua_rawlen(L, -1);
	if (n > most)
		luaL_error(L, "%s: more than %d", name, (int)most);
	return (uint32_t)n;
}

/* ---- aggregation -------------------------------------------------------- */

struct agg {
	struct lb_agg a;
	struct lb_agg_spec spec;
	bool open;
	uint32_t nwords;		/* columns that rows must have */
	uint32_t nitems;
	struct lb_agg_item items[MAX_ITEMS];
	struct lb_column *columns;	/* nwords of them; they, spec.as and spec.bits lie behind */
};

static struct agg *agg_at(lua_State *L, int arg)
{
	struct agg *g = lb_checkudata(L, arg, LB_AGG);

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
	item->column = lb_opt_upto(L, idx, "column", LB_MAX_COLUMNS);
	item->width = (uint32_t)lb_opt_int(L, idx, "width", 1);
	item->is_signed = lb_opt_flag(L, idx, "signed");
	lua_settop(L, idx - 1);
	if (item->width > LB_MAX_COLUMNS)
		luaL_error(L, "items: column out of range");
	return item->fn == LB_AGG_COUNT ? 0 : item->column + (item->width ? item->width : 1);
}

/* Returns the words of the values. */
static uint32_t read_items(lua_State *L, struct lb_agg_item *items, uint32_t *nitems)
{
	uint32_t last = 0;

	*nitems = open_list(L, 1, "items", MAX_ITEMS);
	for (uint32_t i = 0; i < *nitems; i++) {
		uint32_t end;

		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		end = read_item(L, &items[i]);
		last = end > last ? end : last;
	}
	lua_pop(L, 1);
	return last;
}

static void read_words(lua_State *L, uint8_t *as, uint32_t n)
{
	if (open_list(L, 1, "as", n) < n)
		luaL_error(L, "as: one for each word of the groups expected");
	for (uint32_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		as[i] = (uint8_t)luaL_checkoption(L, -1, NULL, word_names);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* The bits of each of the n words of the groups; false if there is no such list. */
static bool read_bits(lua_State *L, uint8_t *bits, uint32_t n)
{
	bool found = lua_getfield(L, 1, "bits") == LUA_TTABLE;

	if (found && lua_rawlen(L, -1) != n)
		luaL_error(L, "bits: one for each word of the groups expected");
	for (uint32_t i = 0; found && i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		bits[i] = (uint8_t)lb_check_int(L, -1, 0, 64);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	return found;
}

/* An aggregation, closed, with room for the columns of its rows. */
static struct agg *push_agg(lua_State *L, uint32_t ngroups, uint32_t nwords)
{
	size_t size = sizeof(struct agg) + nwords * sizeof(struct lb_column) + 2 * (size_t)ngroups;
	struct agg *g = lua_newuserdatauv(L, size, 0);

	memset(g, 0, size);
	luaL_setmetatable(L, LB_AGG);
	g->columns = (struct lb_column *)(g + 1);
	g->nwords = nwords;
	return g;
}

static int agg_failed(lua_State *L, const struct agg *g, int err)
{
	char buf[128];

	return lb_throw_text(L, -err, lb_agg_error(&g->a, buf, sizeof(buf)));
}

/* core.agg(options) */
static int agg_new(lua_State *L)
{
	struct lb_agg_item items[MAX_ITEMS];
	uint32_t nitems, nvalues, ngroups;
	struct lb_agg_spec *spec;
	struct agg *g;
	uint8_t *as;
	int err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	nvalues = read_items(L, items, &nitems);
	ngroups = lb_opt_upto(L, 1, "groups", LB_MAX_COLUMNS);
	g = push_agg(L, ngroups, ngroups + nvalues);
	spec = &g->spec;
	memcpy(g->items, items, nitems * sizeof(*items));
	spec->items = g->items;
	spec->nitems = g->nitems = nitems;
	spec->group_columns = ngroups;
	spec->as = as = (uint8_t *)(g->columns + g->nwords);
	read_words(L, as, ngroups);
	spec->bits = read_bits(L, as + ngroups, ngroups) ? as + ngroups : NULL;
	spec->memory = get_memory(L);
	g->open = true;
	err = lb_agg_open(&g->a, spec);
	return err ? agg_failed(L, g, err) : 1;
}

/* The words of the group whose record has that number: of each its low bits, signed or not. */
static void key_of(const struct lb_agg_spec *spec, uint32_t number, uint64_t *key)
{
	for (uint32_t i = spec->group_columns; i-- > 0;) {
		uint32_t bits = spec->bits[i];
		uint64_t v = number & ((1u << bits) - 1);

		number >>= bits;
		if (bits && spec->as[i] == LB_WORD_SIGNED)
			v = (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
		key[i] = v;
	}
}

/* Groups that a scan summed up. */
static int add_records(struct agg *g, const struct lb_rows *r)
{
	const struct lb_agg_spec *spec = &g->a.spec;
	uint64_t key[LB_MAX_INDEX_BITS];
	int err = 0;

	for (uint32_t i = 0; i < r->n && !err; i++) {
		const uint64_t *record = r->columns + (size_t)i * r->ncolumns;

		if (!record[0])
			continue;
		key_of(spec, i, key);
		err = lb_agg_add_group(&g->a, key, record[0], record + 1);
	}
	return err;
}

static int add_rows(struct agg *g, const struct lb_rows *r)
{
	const struct lb_agg_block block = { .n = r->n, .dense = true, .groups = g->columns,
					    .values = g->columns + g->a.spec.group_columns };

	for (uint32_t i = 0; r->n && i < g->nwords; i++)
		g->columns[i] = (struct lb_column){ r->columns + i, r->ncolumns };
	return r->n ? lb_agg_add(&g->a, &block) : 0;
}

/* Empties the batch or the rows at arg, if there are any. */
static void empty(lua_State *L, int arg)
{
	struct lb_batch *batch = lb_test_batch(L, arg);

	if (batch)
		batch->n = 0;
	else if (!lua_isnoneornil(L, arg))
		lb_check_rows(L, arg)->n = 0;
}

/* agg:add(rows [, source]) */
static int agg_add(lua_State *L)
{
	struct agg *g = check_agg(L);
	const struct lb_rows *r = lb_check_rows(L, 2);
	int err;

	if (r->records)
		luaL_argcheck(L, g->a.spec.bits && g->a.spec.group_columns <= LB_MAX_INDEX_BITS &&
			      r->ncolumns > g->nwords - g->a.spec.group_columns, 2, "other groups");
	else
		luaL_argcheck(L, r->n == 0 || r->ncolumns >= g->nwords, 2, "rows of too few columns");
	err = r->records ? add_records(g, r) : add_rows(g, r);
	if (err)
		return agg_failed(L, g, err);
	empty(L, 3);
	return 0;
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

/* What groups are sorted by that is at the top; popped. */
static struct lb_agg_sort read_sort(lua_State *L, const struct agg *g)
{
	static const char *const by[] = { [LB_BY_COLUMN] = "column", [LB_BY_ITEM] = "item", NULL };
	struct lb_agg_sort sort = { 0 };
	int idx = lua_gettop(L);

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "by");
	sort.by = (enum lb_agg_by)luaL_checkoption(L, -1, NULL, by);
	sort.which = lb_opt_upto(L, idx, "which", UINT32_MAX);
	sort.descending = lb_opt_flag(L, idx, "descending");
	if (sort.which >= (sort.by == LB_BY_ITEM ? g->nitems : g->a.spec.group_columns))
		luaL_error(L, "sort: no such column");
	if (sort.by == LB_BY_ITEM && g->items[sort.which].fn == LB_AGG_HIST)
		luaL_error(L, "sort: a histogram has no order");
	lua_settop(L, idx - 1);
	return sort;
}

static uint32_t read_sorts(lua_State *L, const struct agg *g, struct lb_agg_sort *sorts)
{
	uint32_t n = open_list(L, 2, "order", LB_MAX_ORDER);

	for (uint32_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		sorts[i] = read_sort(L, g);
	}
	lua_pop(L, 1);
	return n;
}

/* agg:result{ decoder =, names = { of items }, order =, limit = } */
static int agg_result(lua_State *L)
{
	struct agg *g = check_agg(L);
	const struct lb_decoder *d;
	struct lb_agg_sort sorts[LB_MAX_ORDER];
	uint32_t nsorts;
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
	nsorts = read_sorts(L, g, sorts);
	limit = lb_opt_int(L, 2, "limit", UINT32_MAX);
	n = lb_agg_sort(&g->a, sorts, nsorts,
			limit < 0 ? 0 : limit > UINT32_MAX ? UINT32_MAX : (uint32_t)limit);
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
	struct agg *g = lb_checkudata(L, 1, LB_AGG);

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
	struct lb_order order[LB_MAX_ORDER];
};

static struct topn *check_topn(lua_State *L)
{
	struct topn *t = lb_checkudata(L, 1, LB_TOPN);

	luaL_argcheck(L, t->open, 1, "closed");
	return t;
}

/* What rows are sorted by, at least one word; how many. */
static uint32_t read_order(lua_State *L, struct topn *t)
{
	uint32_t n = open_list(L, 1, "order", LB_MAX_ORDER);

	for (uint32_t i = 0; i < n; i++) {
		int idx = lua_gettop(L) + 1;

		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		luaL_checktype(L, idx, LUA_TTABLE);
		t->order[i].column = lb_opt_upto(L, idx, "column", LB_MAX_COLUMNS);
		lua_getfield(L, idx, "as");
		t->order[i].as = (enum lb_word)luaL_checkoption(L, -1, NULL, word_names);
		t->order[i].descending = lb_opt_flag(L, idx, "descending");
		lua_settop(L, idx - 1);
	}
	lua_pop(L, 1);
	luaL_argcheck(L, n, 1, "order: nothing to sort by");
	return n;
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
	t->ncolumns = lb_opt_upto(L, 1, "columns", LB_MAX_COLUMNS);
	t->values = lb_opt_flag(L, 1, "values");
	limit = lb_opt_int(L, 1, "limit", -1);
	spec.limit = limit < 0 ? LB_ALL_ROWS : (uint64_t)limit;
	spec.key_size = m->key.size;
	spec.data_size = t->values ? m->value.stride : t->ncolumns * (uint32_t)sizeof(uint64_t);
	spec.norder = read_order(L, t);
	spec.order = t->order;
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

static bool has_columns(const struct topn *t, const struct lb_rows *r)
{
	for (uint32_t i = 0; i < t->t.spec.norder; i++)
		if (t->order[i].column >= r->ncolumns)
			return false;
	return true;
}

/* top:add(rows) */
static int topn_add(lua_State *L)
{
	struct topn *t = check_topn(L);
	const struct lb_rows *r = lb_check_rows(L, 2);
	struct lb_topn_block block = { .n = r->n, .dense = true, .keys = r->keys };
	int err;

	if (r->n == 0)
		return 0;
	luaL_argcheck(L, r->keys && r->map->key.size == t->t.spec.key_size, 2, "rows without keys");
	luaL_argcheck(L, t->values ? r->values && r->map->value.stride == t->t.spec.data_size
				   : r->ncolumns == t->ncolumns, 2, "rows of another kind");
	luaL_argcheck(L, has_columns(t, r) && !t->sorted, 2, "no such column");
	block.first = (struct lb_column){ r->columns, r->ncolumns };
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
		return lb_throw_no_memory(L);
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
	struct topn *t = lb_checkudata(L, 1, LB_TOPN);

	if (t->open)
		lb_topn_close(&t->t);
	t->open = false;
	return 0;
}

/* agg:used(): bytes, without what was reserved. */
static int agg_used(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)lb_agg_size(&check_agg(L)->a));
	return 1;
}

/* agg:reserve(n): room for n rows, whatever they are: add cannot fail then. */
static int agg_reserve(lua_State *L)
{
	struct agg *g = check_agg(L);
	int err = lb_agg_reserve(&g->a, (uint32_t)lb_check_int(L, 2, 0, UINT32_MAX));

	return err ? agg_failed(L, g, err) : 0;
}

static const luaL_Reg agg_methods[] = {
	{ "used", agg_used },
	{ "reserve", agg_reserve },
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
	lb_set_int(L, "most_index_bits", LB_AGG_INDEX_BITS);
}
