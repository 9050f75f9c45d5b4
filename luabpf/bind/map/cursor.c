/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.cursor: a scan of a map, a block a step. lua/luabpf/base/iter.lua
 * makes the iterators of it.
 *
 *	cursor = core.cursor(map, { batch_size =, from =, raw =, drain =, walk =,
 *		first =, last = })
 *	batch = cursor:next()		-- nil at the end; raises an error object
 */
#include "bind/map/cursor.h"

#include "bind/map/batch.h"
#include "bind/map/lender.h"
#include "bind/map/position.h"
#include "bind/options.h"

#include <errno.h>
#include <string.h>

#define LB_CURSOR "luabpf.cursor"

/* User values of a cursor: its map, and the name of the method that it was opened for. */
enum { MAP = 1, METHOD, UVALUES = METHOD };

struct cursor {
	struct lb_lender lender;	/* its clock goes on with each step */
	struct lb_source src;
	struct lb_map *map;
	const char *method;		/* in METHOD */
	bool raw;
	bool open;
	bool complete;			/* the end was reached */
};

static struct cursor *to_cursor(lua_State *L)
{
	return lb_checkudata(L, 1, LB_CURSOR);
}

static void close_cursor(struct cursor *c)
{
	if (!c->open)
		return;
	c->open = false;
	c->lender.clock++;
	lb_source_close(&c->src);
}

/* ---- opening ---------------------------------------------------------- */

static uint32_t batch_size(lua_State *L, int idx)
{
	lua_Integer n = lb_option_integer(L, idx, "batches", "batch_size", 1, LUA_MAXINTEGER, 0);

	return n > LB_MAX_CALL ? LB_MAX_CALL : (uint32_t)n;
}

static uint32_t bucket(lua_State *L, const char *name, uint32_t max)
{
	return (uint32_t)lb_option_integer(L, 2, "cursor", name, 0, max, 0);
}

/* Options first and last: only the buckets from first to last - 1. */
static void range(lua_State *L, struct cursor *c)
{
	uint32_t nbuckets = lb_buckets(c->map->k.info.max_entries);
	uint32_t first = bucket(L, "first", nbuckets), last = bucket(L, "last", nbuckets);

	if (last == 0)
		return;
	if (lb_position_kind(&c->src) != LB_POS_BUCKET || c->src.drain)
		luaL_error(L, "cursor: option 'last': this scan does not go by buckets");
	lb_source_range(&c->src, first, last);
}

/* What the caller asked for that the scan is of. */
static const char *asked_for(lua_State *L, const struct cursor *c)
{
	const char *name = lb_called(L);

	return name ? name : c->method ? c->method : "scan";
}

static int open_failed(lua_State *L, const struct cursor *c, int err)
{
	const char *what = asked_for(L, c);

	char name[32];

	if (err == -LB_ENOTSUPP && c->src.refused)
		return lb_throw_text(L, LB_ENOTSUPP,
				     lua_pushfstring(L, "%s: %s: %s maps: %s",
						     lb_map_label(c->map, name, sizeof(name)), what,
						     c->map->k.type->name, c->src.refused));
	lb_map_fail(L, c->map, what, -err);
	return lb_throw(L);
}

/*
 * core.cursor(map, options), which the Lua side has checked: starts a scan. Raises
 * an error object when the type of map cannot be scanned, or does not take the position.
 */
static int cursor_new(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct cursor *c;
	uint32_t want;
	int err;

	lua_settop(L, 2);
	if (lua_isnil(L, 2)) {
		lua_newtable(L);
		lua_replace(L, 2);
	}
	luaL_checktype(L, 2, LUA_TTABLE);
	want = batch_size(L, 2);
	c = lua_newuserdatauv(L, sizeof(*c), UVALUES);
	memset(c, 0, sizeof(*c));
	luaL_setmetatable(L, LB_CURSOR);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 3, MAP);
	lua_getfield(L, 2, "method");
	c->method = lua_tostring(L, -1);
	lua_setiuservalue(L, 3, METHOD);
	c->map = m;
	c->raw = lb_opt_flag(L, 2, "raw");
	err = lb_source_open(&c->src, &m->k, want, lb_opt_flag(L, 2, "drain"),
			     lb_opt_flag(L, 2, "walk"));
	if (err)
		return open_failed(L, c, err);
	c->open = true;
	range(L, c);
	if (lua_getfield(L, 2, "from") != LUA_TNIL)
		lb_position_seek(L, &c->src, 4);
	lua_settop(L, 3);
	return 1;
}

/* ---- stepping --------------------------------------------------------- */

static int step_failed(lua_State *L, struct cursor *c, int err)
{
	const char *what = asked_for(L, c);

	close_cursor(c);
	if (c->map->k.fd < 0)
		return lb_is_closed(L, "map");
	if (err != -ELOOP) {
		lb_map_fail(L, c->map, what, -err);
		return lb_throw(L);
	}
	lua_pushfstring(L, "%s: %s: given up: keys are deleted faster than they are read",
			c->map->k.info.name, what);
	return lb_throw_text(L, ELOOP, lua_tostring(L, -1));
}

/* Pushes the batch of the current step of the cursor at index 1; its map is at 2. */
static void push_step(lua_State *L, struct cursor *c)
{
	const struct lb_buffer *buf = &c->src.buf;
	struct lb_batch *b = lb_batch_borrow(L, 1, 2, &c->lender, buf->keys, buf->values,
					     c->open ? c->src.n : 0);

	b->source = &c->src;
	b->raw = c->raw;
}

/*
Makes the next batch; the one before becomes stale.
@function cursor:next @return batch, or nil at the end. Raises an error object
*/
static int cursor_next(lua_State *L)
{
	struct cursor *c = to_cursor(L);
	int n;

	lua_settop(L, 1);
	if (!c->open)
		return 0;
	c->lender.clock++;
	n = lb_source_next(&c->src);
	if (n < 0)
		return step_failed(L, c, n);
	if (n == 0) {
		c->complete = true;
		close_cursor(c);
		return 0;
	}
	lua_getiuservalue(L, 1, MAP);
	push_step(L, c);
	return 1;
}

/* Upvalues of entry_step: the cursor, its method next, the batch, where it is. */
enum { CURSOR = 1, NEXT, BATCH, PLACE, UPVALUES = PLACE };

struct place {
	const struct lb_batch *batch;	/* the one in BATCH, or NULL */
	uint32_t i;			/* of the entry that comes next */
};

/* False at the end. */
static bool next_batch(lua_State *L, struct place *at)
{
	lua_pushvalue(L, lua_upvalueindex(NEXT));
	lua_pushvalue(L, lua_upvalueindex(CURSOR));
	lua_call(L, 1, 1);
	at->batch = lua_touserdata(L, -1);
	at->i = 0;
	lua_replace(L, lua_upvalueindex(BATCH));
	return at->batch != NULL;
}

static int entry_step(lua_State *L)
{
	struct place *at = lua_touserdata(L, lua_upvalueindex(PLACE));

	if ((!at->batch || at->i >= at->batch->n) && !next_batch(L, at))
		return 0;
	if (!lb_batch_valid(at->batch))
		return luaL_error(L, "the cursor was moved on or closed during the loop");
	lb_batch_push_entry(L, at->batch, at->i++);
	return 2;
}

int lb_entries(lua_State *L, lua_CFunction next)
{
	lua_settop(L, 1);
	lua_pushvalue(L, 1);
	lua_pushcfunction(L, next);
	lua_pushnil(L);
	memset(lua_newuserdatauv(L, sizeof(struct place), 0), 0, sizeof(struct place));
	lua_pushcclosure(L, entry_step, UPVALUES);
	lua_pushnil(L);
	lua_pushnil(L);
	lua_pushvalue(L, 1);
	return 4;
}

/*
An iterator over the entries that are left, decoded; the cursor is its closing value.
@function cursor:entries
*/
static int cursor_entries(lua_State *L)
{
	to_cursor(L);
	return lb_entries(L, cursor_next);
}

/* The position after the last batch, as a string. */
static int cursor_position(lua_State *L)
{
	struct cursor *c = to_cursor(L);

	luaL_argcheck(L, c->open, 1, "cursor is closed");
	lb_position_push(L, &c->src, &c->lender);
	return 1;
}

void lb_push_scan_report(lua_State *L, const struct lb_scan_stats *st, bool complete)
{
	const struct {
		const char *name;
		uint64_t n;
	} fields[] = {
		{ "batches", st->batches }, { "entries", st->entries }, { "calls", st->calls },
		{ "grown", st->grown }, { "retried", st->retried }, { "restarted", st->restarted },
	};

	lua_createtable(L, 0, 7);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		lua_pushinteger(L, (lua_Integer)fields[i].n);
		lua_setfield(L, -2, fields[i].name);
	}
	lua_pushboolean(L, complete);
	lua_setfield(L, -2, "complete");
}

/*
What the scan has done so far. @function cursor:report
@treturn table { batches, entries, calls, grown, retried, restarted, complete }
*/
static int cursor_report(lua_State *L)
{
	const struct cursor *c = to_cursor(L);

	lb_push_scan_report(L, &c->src.stats, c->complete);
	return 1;
}

/* Ends the scan and frees its memory; again does nothing. */
static int cursor_close(lua_State *L)
{
	close_cursor(to_cursor(L));
	lua_pushboolean(L, true);
	return 1;
}

static int cursor_silent_close(lua_State *L)
{
	close_cursor(to_cursor(L));
	return 0;
}

static int cursor_tostring(lua_State *L)
{
	const struct cursor *c = to_cursor(L);

	if (c->open)
		lua_pushfstring(L, "luabpf.cursor (%s, %I entries so far)", c->map->k.info.name,
				(LUAI_UACINT)c->src.stats.entries);
	else
		lua_pushliteral(L, "luabpf.cursor (closed)");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "next", cursor_next },
	{ "entries", cursor_entries },
	{ "position", cursor_position },
	{ "report", cursor_report },
	{ "close", cursor_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", cursor_silent_close },
	{ "__close", cursor_silent_close },
	{ "__tostring", cursor_tostring },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "cursor", cursor_new },
	{ NULL, NULL },
};

void lb_open_cursor(lua_State *L)
{
	lb_newclass(L, LB_CURSOR, methods, meta);
	luaL_setfuncs(L, functions, 0);
}
