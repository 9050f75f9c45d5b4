/* SPDX-License-Identifier: MIT */
/*
 * The classes luabpf.rows and luabpf.decoder: rows that a query gave, in a
 * region shared with the kernel or in memory of their own, and how their words
 * become Lua values. Decoders are made by lua/luabpf/query/prepare.lua.
 */
#include "bind/query/rowset.h"

#include "bind/map/batch.h"
#include "bind/value/decode.h"
#include "bind/value/layout.h"

#include <stdlib.h>
#include <string.h>

/* User values of rows: the map. Of a decoder: names, and the layouts that its types are of. */
enum { MAP = 1 };
enum { NAMES = 1, LAYOUTS = 2 };

/* ---- rows ------------------------------------------------------------- */

struct lb_rows *lb_rows_new(lua_State *L, int map)
{
	struct lb_rows *r;

	map = lua_absindex(L, map);
	r = lua_newuserdatauv(L, sizeof(*r), 1);
	memset(r, 0, sizeof(*r));
	luaL_setmetatable(L, LB_ROWS);
	r->map = lua_touserdata(L, map);
	lua_pushvalue(L, map);
	lua_setiuservalue(L, -2, MAP);
	return r;
}

struct lb_rows *lb_check_rows(lua_State *L, int arg)
{
	struct lb_rows *r = lb_checkudata(L, arg, LB_ROWS);

	luaL_argcheck(L, lb_lends(&r->lender, r->lender.clock), arg,
		      "the rows are those of the process that this one was forked from");
	return r;
}

bool lb_rows_reserve(struct lb_rows *r, uint32_t n, bool keys, bool values, uint32_t ncolumns)
{
	size_t columns = (size_t)n * ncolumns * sizeof(uint64_t);
	size_t key_bytes = keys ? (size_t)n * r->map->key.size : 0;
	size_t value_bytes = values ? (size_t)n * r->map->value.stride : 0;
	size_t all = columns + key_bytes + value_bytes + 1;

	r->lender.clock++;
	r->n = 0;
	r->records = false;
	r->asked.n = 0;
	if (all > r->room) {
		uint8_t *memory = malloc(all);

		if (!memory)
			return false;
		free(r->memory);
		r->memory = memory;
		r->room = all;
	}
	r->ncolumns = ncolumns;
	r->columns = (const uint64_t *)(const void *)r->memory;
	r->keys = keys ? r->memory + columns : NULL;
	r->values = values ? r->memory + columns + key_bytes : NULL;
	return true;
}

void lb_rows_release(struct lb_rows *r)
{
	struct lb_region *region = r->region;

	r->lender.clock++;
	r->n = 0;
	r->asked.n = 0;
	free(r->memory);
	r->memory = NULL;
	r->room = 0;
	r->region = NULL;
	r->lender.process = 0;
	if (region)
		lb_region_put(&r->map->pool, region);
}

/* Gives the memory back; batches of these rows are stale. Again does nothing. */
static int rows_close(lua_State *L)
{
	lb_rows_release(lb_checkudata(L, 1, LB_ROWS));
	return 0;
}

static int rows_len(lua_State *L)
{
	lua_pushinteger(L, lb_check_rows(L, 1)->n);
	return 1;
}

/* rows:batch(): keys and values as a batch. */
static int rows_batch(lua_State *L)
{
	struct lb_rows *r = lb_check_rows(L, 1);

	luaL_argcheck(L, r->keys && r->values, 1, "rows without key and value");
	lua_getiuservalue(L, 1, MAP);
	lb_batch_borrow(L, 1, -1, &r->lender, r->keys, r->values, r->n);
	return 1;
}

/* rows:asked(): the entries that where left to Lua, as a batch. */
static int rows_asked(lua_State *L)
{
	struct lb_rows *r = lb_check_rows(L, 1);

	lua_getiuservalue(L, 1, MAP);
	lb_batch_borrow(L, 1, -1, &r->lender, r->asked.keys, r->asked.values, r->asked.n);
	return 1;
}

/* ---- decoding --------------------------------------------------------- */

static uint32_t words_of(const struct lb_type *t)
{
	return t ? (t->size + 7) / 8 : 1;
}

static void read_output(lua_State *L, struct lb_decoder *d, uint32_t i)
{
	struct lb_output *o = &d->outputs[i];
	const struct lb_layout *layout;

	lua_rawgeti(L, 1, (lua_Integer)i + 1);
	luaL_checktype(L, -1, LUA_TTABLE);
	lua_getfield(L, -1, "name");
	luaL_checktype(L, -1, LUA_TSTRING);
	lua_rawseti(L, 3, (lua_Integer)i + 1);
	lua_getfield(L, -1, "layout");
	layout = lb_layout_test(L, -1);
	lua_rawseti(L, 4, (lua_Integer)i + 1);
	o->type = layout ? layout->root : NULL;
	o->word = d->nwords;
	d->nwords += words_of(o->type);
	lua_pop(L, 1);
}

/* core.decoder{ { name =, layout = or nil for an integer }, ... }: one word after the other. */
static int decoder_new(lua_State *L)
{
	lua_Integer n;
	struct lb_decoder *d;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	n = (lua_Integer)lua_rawlen(L, 1);
	luaL_argcheck(L, n <= UINT16_MAX, 1, "too many columns");
	d = lua_newuserdatauv(L, sizeof(*d) + (size_t)n * sizeof(d->outputs[0]), 2);
	memset(d, 0, sizeof(*d) + (size_t)n * sizeof(d->outputs[0]));
	luaL_setmetatable(L, LB_DECODER);
	lua_createtable(L, (int)n, 0);
	lua_createtable(L, (int)n, 0);
	for (uint32_t i = 0; i < n; i++)
		read_output(L, d, i);
	d->n = (uint32_t)n;
	lua_setiuservalue(L, 2, LAYOUTS);
	lua_setiuservalue(L, 2, NAMES);
	return 1;
}

const struct lb_decoder *lb_check_decoder(lua_State *L, int arg, uint32_t nwords)
{
	const struct lb_decoder *d = lb_checkudata(L, arg, LB_DECODER);

	luaL_argcheck(L, d->nwords <= nwords, arg, "decoder of more columns than there are");
	return d;
}

void lb_decoder_names(lua_State *L, int arg)
{
	lua_getiuservalue(L, arg, NAMES);
}

static void push_output(lua_State *L, const struct lb_output *o, const uint64_t *words)
{
	if (o->type)
		lb_push_type(L, o->type, words + o->word);
	else
		lua_pushinteger(L, (lua_Integer)words[o->word]);
}

void lb_decode_into(lua_State *L, const struct lb_decoder *d, int names, const uint64_t *words)
{
	for (uint32_t i = 0; i < d->n; i++) {
		lua_rawgeti(L, names, (lua_Integer)i + 1);
		push_output(L, &d->outputs[i], words);
		lua_rawset(L, -3);
	}
}

/* Upvalues: rows, decoder, index of the row given last, the rows' clock, the names. */
static int row_step(lua_State *L)
{
	struct lb_rows *r = lua_touserdata(L, lua_upvalueindex(1));
	const struct lb_decoder *d = lua_touserdata(L, lua_upvalueindex(2));
	lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));

	size_t size = r->ncolumns * sizeof(uint64_t);
	uint64_t local[LB_LENT_LOCAL / sizeof(uint64_t)], *words;

	if (i >= r->n)
		return 0;
	words = lb_scratch(L, size, local, sizeof(local));
	lua_createtable(L, 0, (int)d->n);
	if (!lb_lends(&r->lender, (uint64_t)lua_tointeger(L, lua_upvalueindex(4))))
		return luaL_error(L, "the rows are stale");
	lua_pushinteger(L, i + 1);
	lua_replace(L, lua_upvalueindex(3));
	memcpy(words, r->columns + (size_t)i * r->ncolumns, size);
	lb_decode_into(L, d, lua_upvalueindex(5), words);
	return 1;
}

/* rows:each(decoder): an iterator over the rows as tables. */
static int rows_each(lua_State *L)
{
	struct lb_rows *r = lb_check_rows(L, 1);

	lb_check_decoder(L, 2, r->n ? r->ncolumns : UINT32_MAX);
	lua_settop(L, 2);
	lua_pushinteger(L, 0);
	lua_pushinteger(L, (lua_Integer)r->lender.clock);
	lb_decoder_names(L, 2);
	lua_pushcclosure(L, row_step, 5);
	return 1;
}

static const luaL_Reg methods[] = {
	{ "batch", rows_batch },
	{ "asked", rows_asked },
	{ "each", rows_each },
	{ "close", rows_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", rows_close },
	{ "__close", rows_close },
	{ "__len", rows_len },
	{ NULL, NULL },
};

static const luaL_Reg nothing[] = { { NULL, NULL } };

void lb_open_rowset(lua_State *L)
{
	lb_newclass(L, LB_ROWS, methods, meta);
	lb_newclass(L, LB_DECODER, nothing, nothing);
	lua_pushcfunction(L, decoder_new);
	lua_setfield(L, -2, "decoder");
}
