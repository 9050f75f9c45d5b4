/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.crew: a query run by several threads over the batch cursor
 * (crew.h). Internal to lua/luabpf/query/run.lua and export.lua.
 *
 *	crew, threads = core.crew({ query =, params =, workers =, batch_size =, agg = or nil,
 *				   most_asked = }, holder)
 *					holder.reader is the crew before its threads begin: a debug
 *					hook may end what called it before it has it
 *	crew:wait(ns)			true once all threads have ended
 *	visited, matched, asked = crew:finish()	adds their sums to agg; asked: a batch of what where
 *					leaves to Lua, or nil. nil where that is more than most_asked
 *					bytes; raises an error object
 *	crew:close()			cancels what runs
 *
 * With writer = a row writer or a snapshot writer in place of agg, the threads
 * hand over what matches, as text or as blocks:
 *
 *	n = crew:text(out, ns)		moves rows into an output: how many, 0 if none came in time,
 *					false at the end; nil, reason, errno of the output
 *	n = crew:blocks(ns)		the same of entries, into the snapshot writer
 *	crew:visited()			entries read so far
 *	crew:report()			what the scans did, as of a cursor; ends them
 */
#include "bind/file/output.h"
#include "bind/map/batch.h"
#include "bind/map/cursor.h"
#include "bind/query/query.h"
#include "bind/query/rowset.h"
#include "bind/query/sums.h"
#include "bind/snapshot/snapshot.h"
#include "lib/thread/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LB_CREW "luabpf.crew"

/* User values: the query (which keeps the map), its parameters, the aggregation and the
 * writer, or nil. */
enum { QUERY = 1, PARAMS, AGG, WRITER, UVALUES = WRITER };

struct crew {
	struct lb_crew c;
	struct lb_agg *agg;
	struct lb_map *map;
	struct lb_row_writer *writer;	/* one of whose users it is, or NULL */
	bool open;
};

static struct crew *check_crew(lua_State *L)
{
	struct crew *c = lb_checkudata(L, 1, LB_CREW);

	luaL_argcheck(L, c->open, 1, "crew is closed");
	if (lb_workers_foreign(&c->c.workers))
		lb_throw_text(L, ECHILD, LB_FOREIGN_THREADS);
	return c;
}

static uint32_t get_count(lua_State *L, const char *name, lua_Integer max)
{
	lua_Integer n;

	lua_getfield(L, 1, name);
	n = lb_check_int(L, -1, 1, max);
	lua_pop(L, 1);
	return (uint32_t)n;
}

/* Keeps a field of the options at 1 as user value of the crew at 2; leaves it on the stack. */
static void keep(lua_State *L, const char *name, int uvalue)
{
	lua_getfield(L, 1, name);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 2, uvalue);
}

/* The row writer at index 6, for rows of the query. */
static struct lb_row_writer *check_rows(lua_State *L, const struct lb_map *map,
					struct lb_crew_spec *spec)
{
	struct lb_row_writer *rw = lb_check_row_writer(L, 6);

	if (rw->columns && spec->ncolumns < rw->nwords)
		luaL_error(L, "the query has too few columns for the row writer");
	if (!rw->columns && (rw->key_size != map->key.size || rw->value_stride != map->value.stride))
		luaL_error(L, "the row writer is of a map with other sizes");
	spec->pack = (struct lb_pack_spec){ .form = LB_PACK_TEXT, .writer = rw->w,
					    .columns = rw->columns };
	return rw;
}

/* For blocks of the snapshot writer at index 6: of entries of the query, or keys and columns. */
static void check_blocks(lua_State *L, const struct lb_map *map, const struct lb_snap_writer *w,
			 struct lb_crew_spec *spec)
{
	uint64_t size = spec->ncolumns ? spec->ncolumns * sizeof(uint64_t) : map->value.stride;

	if (w->key_size != map->key.size || w->value_size != size)
		luaL_error(L, "the snapshot writer is of entries of other sizes");
	spec->pack = (struct lb_pack_spec){ .form = LB_PACK_BLOCKS,
					    .columns = spec->ncolumns > 0 };
}

/* The writer at index 6, or nil, and the columns that are needed; the row writer that is used. */
static struct lb_row_writer *check_writer(lua_State *L, const struct lb_map *map,
					  struct lb_crew_spec *spec)
{
	const struct lb_snap_writer *w = lb_test_snapshot_writer(L, 6);
	struct lb_row_writer *rw = NULL;

	if (!lua_isnil(L, 6) && spec->agg)
		luaL_error(L, "rows are written or summed up, not both");
	if (w)
		check_blocks(L, map, w, spec);
	else if (!lua_isnil(L, 6))
		rw = check_rows(L, map, spec);
	if (!spec->agg && !spec->pack.columns)
		spec->ncolumns = 0;
	return rw;
}

/* core.crew(options, holder): a crew, and how many threads it has. */
static int crew_new(lua_State *L)
{
	struct lb_crew_spec spec = { 0 };
	struct lb_row_writer *writer;
	struct crew *c;
	int err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 2);
	c = lua_newuserdatauv(L, sizeof(*c), UVALUES);
	memset(c, 0, sizeof(*c));
	luaL_setmetatable(L, LB_CREW);
	lb_hold(L, 2, "reader");
	lua_remove(L, 2);
	keep(L, "query", QUERY);
	keep(L, "params", PARAMS);
	keep(L, "agg", AGG);
	keep(L, "writer", WRITER);
	c->map = lb_query_crew(L, 3, 4, &spec);
	if (!lua_isnil(L, 5))
		spec.agg = lb_check_agg(L, 5, spec.ncolumns, &c->agg);
	writer = check_writer(L, c->map, &spec);
	spec.workers = get_count(L, "workers", LB_MAX_WORKERS);
	spec.batch_size = get_count(L, "batch_size", UINT32_MAX);
	spec.most_asked = (size_t)lb_opt_int(L, 1, "most_asked", 0);
	if (spec.batch_size > LB_MAX_CALL)
		spec.batch_size = LB_MAX_CALL;
	err = lb_crew_start(&c->c, &spec);
	if (err) {
		lb_map_fail(L, c->map, err == -EAGAIN ? "scan: threads" : "scan", -err);
		return lb_throw(L);
	}
	c->open = true;
	c->writer = writer;
	if (writer)
		writer->users++;
	lua_settop(L, 2);
	lua_pushinteger(L, c->c.n);
	return 2;
}

static int crew_wait(lua_State *L)
{
	struct crew *c = check_crew(L);

	lua_pushboolean(L, lb_crew_wait(&c->c, (uint64_t)lb_check_int(L, 2, 0, LUA_MAXINTEGER)));
	return 1;
}

static int failed(lua_State *L, const struct crew *c, const struct lb_crew_result *r, int err)
{
	char text[128];

	if (r->full)
		return lb_throw_text(L, -err, lb_agg_error(c->agg, text, sizeof(text)));
	lb_map_fail(L, c->map, "scan", -err);
	return lb_throw(L);
}

/* What Lua has to judge, as a batch; nil for nothing. */
static void push_asked(lua_State *L, struct crew *c, uint32_t n)
{
	uint8_t *keys, *values, *present;

	if (!n) {
		lua_pushnil(L);
		return;
	}
	lua_getiuservalue(L, 1, QUERY);
	lb_query_map(L, -1);
	lb_batch_new(L, -1, n, false, &keys, &values, &present);
	check_crew(L);
	lb_crew_asked(&c->c, keys, values);
	lua_insert(L, -3);
	lua_pop(L, 2);
}

static int crew_finish(lua_State *L)
{
	struct crew *c = check_crew(L);
	struct lb_crew_result r;
	int err;

	if (lua_getiuservalue(L, 1, AGG) != LUA_TNIL)
		lb_check_agg(L, -1, UINT32_MAX, &c->agg);
	if (!lb_crew_wait(&c->c, 0))
		return luaL_error(L, "threads are running");
	err = lb_crew_end(&c->c, c->agg, &r);
	if (r.often)
		luaL_pushfail(L);
	if (err)
		return r.often ? 1 : failed(L, c, &r, err);
	lua_pushinteger(L, (lua_Integer)r.visited);
	lua_pushinteger(L, (lua_Integer)r.matched);
	push_asked(L, c, r.asked);
	return 3;
}

/* The crew at 1, which hands over parcels of that form. */
static struct crew *check_form(lua_State *L, enum lb_pack_form form)
{
	struct crew *c = check_crew(L);

	luaL_argcheck(L, c->c.spec.pack.form == form, 1, "its threads hand over something else");
	return c;
}

/* What became of a parcel, which is freed: its entries, or false where no more will come. */
static int moved(lua_State *L, struct lb_parcel *parcel, bool ended, int err)
{
	lua_Integer n = parcel ? parcel->n : 0;

	free(parcel);
	if (err)
		return lb_refuse(L, -err);
	if (ended)
		lua_pushboolean(L, false);
	else
		lua_pushinteger(L, n);
	return 1;
}

/* crew:text(out, ns) */
static int crew_text(lua_State *L)
{
	struct crew *c = check_form(L, LB_PACK_TEXT);
	struct lb_outfile *out = lb_check_output(L, 2);
	uint64_t ns = (uint64_t)lb_check_int(L, 3, 0, LUA_MAXINTEGER);
	bool ended;
	struct lb_parcel *text = lb_crew_collect(&c->c, ns, &ended);
	int err = text ? lb_out_pass(out, (const char *)text->bytes, text->key_bytes) : 0;

	return moved(L, text, ended, err);
}

/* crew:blocks(ns) */
static int crew_blocks(lua_State *L)
{
	struct crew *c = check_form(L, LB_PACK_BLOCKS);
	uint64_t ns = (uint64_t)lb_check_int(L, 2, 0, LUA_MAXINTEGER);
	struct lb_snap_writer *w;
	struct lb_parcel *block;
	bool ended;
	int err = 0;

	lua_settop(L, 2);
	lua_getiuservalue(L, 1, WRITER);
	w = lb_test_snapshot_writer(L, 3);
	block = lb_crew_collect(&c->c, ns, &ended);
	if (block)
		err = lb_snap_add_block(w, block->bytes, block->bytes + block->key_bytes, block->n,
					block->sum);
	return moved(L, block, ended, err);
}

static int crew_visited(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)lb_crew_visited(&check_crew(L)->c));
	return 1;
}

/* crew:report(): ends the threads, if some are running; of one whose threads never began, nothing. */
static int crew_report(lua_State *L)
{
	struct crew *c = lb_checkudata(L, 1, LB_CREW);
	struct lb_crew_result r;
	struct lb_scan_stats all;
	bool complete;

	if (!c->open) {
		lua_newtable(L);
		return 1;
	}
	check_crew(L);
	complete = lb_crew_wait(&c->c, 0);
	if (!complete)
		lb_crew_cancel(&c->c);
	all = lb_crew_stats(&c->c);
	lb_push_scan_report(L, &all, complete && lb_crew_end(&c->c, NULL, &r) == 0);
	return 1;
}

static int crew_close(lua_State *L)
{
	struct crew *c = lb_checkudata(L, 1, LB_CREW);

	lb_crew_close(&c->c);
	if (c->writer)
		lb_row_writer_left(c->writer);
	c->writer = NULL;
	c->open = false;
	return 0;
}

static const luaL_Reg methods[] = {
	{ "wait", crew_wait },
	{ "finish", crew_finish },
	{ "text", crew_text },
	{ "blocks", crew_blocks },
	{ "visited", crew_visited },
	{ "report", crew_report },
	{ "close", crew_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", crew_close },
	{ "__close", crew_close },
	{ NULL, NULL },
};

void lb_open_crew(lua_State *L)
{
	lb_newclass(L, LB_CREW, methods, meta);
	lua_pushcfunction(L, crew_new);
	lua_setfield(L, -2, "crew");
	lb_set_int(L, "max_workers", LB_MAX_WORKERS);
}
