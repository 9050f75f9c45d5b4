/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.reader: takes events out of a ring buffer or out of perf
 * buffers. Loops, timeouts and losses are lua/luabpf/event/reader.lua's.
 *
 *	r = core.reader(map, { layouts = { layout... }, tags = { integer... },
 *		field = name, pages = n })
 *	n = core.reader_look(r, n, ms)	up to n records, waited for; nil: none. Releases what
 *					was given. They are given by what events.c has
 *	ends = core.reader_mark(r)		looks end at what lies there now
 *
 * @module luabpf.bind.event.reader
 */
#include "bind/event/reader.h"
#include "bind/value/builder.h"
#include "bind/value/layout.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- the process's readers -------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lb_event_reader *readers;

static void enlist(struct lb_event_reader *e)
{
	pthread_mutex_lock(&lock);
	e->next = readers;
	readers = e;
	pthread_mutex_unlock(&lock);
}

static void delist(const struct lb_event_reader *e)
{
	pthread_mutex_lock(&lock);
	for (struct lb_event_reader **p = &readers; *p; p = &(*p)->next) {
		if (*p == e) {
			*p = e->next;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

static bool is_taken(uint32_t map_id)
{
	uint64_t process = lb_process();
	bool taken = false;

	pthread_mutex_lock(&lock);
	for (const struct lb_event_reader *e = readers; e; e = e->next)
		taken = taken || (e->map->k.info.id == map_id && e->r.process == process);
	pthread_mutex_unlock(&lock);
	return taken;
}

/* core.reader_taken(map): whether this process has a reader of the map already. */
static int reader_taken(lua_State *L)
{
	lua_pushboolean(L, is_taken(lb_check_map(L, 1)->k.info.id));
	return 1;
}

/* ---- opening ----------------------------------------------------------- */

struct lb_event_reader *lb_to_reader(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_READER);
}

struct lb_event_reader *lb_check_reader(lua_State *L, int arg)
{
	struct lb_event_reader *e = lb_to_reader(L, arg);

	if (!e->open)
		lb_is_closed(L, "reader");
	return e;
}

/* The field that tells kinds of records apart, of one kind. */
static const struct lb_member *find_tag(const struct lb_type *t, const char *name)
{
	return t->kind == LB_STRUCT ? lb_find_member(t, name) : NULL;
}

static void set_type(struct lb_event_type *t, const struct lb_type *type,
		     struct lb_builder *builder)
{
	t->shape = (struct lb_shape){ .type = type, .size = type->size, .stride = type->size };
	t->rest = lb_find_rest(type);
	/* A builder's table would have the rest of another record. */
	t->shape.builder = t->rest ? NULL : builder;
}

/* Fills the types from the list of layouts at index 4, with their tags. */
static void read_types(lua_State *L, struct lb_event_reader *e)
{
	uint32_t n = (uint32_t)lua_rawlen(L, 4);
	struct lb_builder *builders;
	bool tagged;

	luaL_argcheck(L, n <= LB_MAX_EVENT_TYPES, 2, "layouts: too many");
	builders = lb_builders_push(L, n ? n : 1);
	lua_setiuservalue(L, 3, LB_READER_BUILDERS);
	tagged = lua_getfield(L, 2, "tags") == LUA_TTABLE;
	e->types = lua_newuserdatauv(L, (n ? n : 1) * sizeof(*e->types), 0);
	memset(e->types, 0, (n ? n : 1) * sizeof(*e->types));
	lua_setiuservalue(L, 3, LB_READER_TYPES);
	for (uint32_t i = 0; i < n; i++) {
		const struct lb_layout *layout;

		lua_rawgeti(L, 4, (lua_Integer)i + 1);
		layout = lb_layout_test(L, -1);
		luaL_argcheck(L, layout, 2, "layouts: layout expected");
		set_type(&e->types[i], layout->root, &builders[i]);
		lua_pop(L, 1);
		if (tagged && lua_rawgeti(L, -1, (lua_Integer)i + 1)) {
			e->types[i].tag = lua_tointeger(L, -1);
			lua_pop(L, 1);
		}
	}
	e->ntypes = n;
	lua_settop(L, 4);
}

/* The field that tells kinds apart lies at one place in all of them. */
static void read_tag(lua_State *L, struct lb_event_reader *e)
{
	const struct lb_member *first;
	const char *name;

	if (lua_getfield(L, 2, "field") != LUA_TSTRING || e->ntypes == 0)
		return;
	name = lua_tostring(L, -1);
	first = find_tag(e->types[0].shape.type, name);
	for (uint32_t i = 0; i < e->ntypes; i++) {
		const struct lb_type *t = e->types[i].shape.type;
		const struct lb_member *m = find_tag(t, name);

		if (!m || (m->type->kind != LB_INT && m->type->kind != LB_ENUM))
			lb_misuse(L, "reader: layout: %s has no integer field '%s' to tell records by",
				  t->name, name);
		if (m->offset != first->offset || m->type->size != first->type->size ||
		    m->bit != first->bit || m->bits != first->bits)
			lb_misuse(L, "reader: layout: field '%s' of %s lies elsewhere than in %s", name,
				  t->name, e->types[0].shape.type->name);
	}
	e->tag = first;
	lua_settop(L, 4);
}

static int open_failed(lua_State *L, const struct lb_map *m, int err)
{
	if (!lb_kmap_allows(&m->k, true)) {
		luaL_pushfail(L);
		lua_pushfstring(L, "%s: reader: a handle for reading only cannot be mapped, nor a "
				"frozen map (open the map without readonly)", m->k.info.name);
		lua_pushinteger(L, -err);
		return 3;
	}
	if (err == -EACCES || err == -EPERM)
		return lb_map_fail(L, m, lb_can(&m->k, LB_EVENT_PERF)
				   ? "reader (perf buffers need CAP_PERFMON)" : "reader", -err);
	return lb_map_fail(L, m, "reader", -err);
}

/* core.reader(map, options): a reader; nil, message, errno. */
static int reader_new(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct lb_event_reader *e;
	int err;

	luaL_checktype(L, 2, LUA_TTABLE);
	lua_settop(L, 2);
	if (!lb_reader_can(&m->k))
		return lb_map_fail(L, m, "reader", LB_ENOTSUPP);
	e = lua_newuserdatauv(L, sizeof(*e), LB_READER_UVALUES);
	memset(e, 0, sizeof(*e));
	e->r.epoll = e->r.map = -1;
	e->map = m;
	e->lender.process = lb_process();
	e->perf = lb_can(&m->k, LB_EVENT_PERF);
	luaL_setmetatable(L, LB_READER);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 3, LB_READER_MAP);
	lua_getfield(L, 2, "layouts");
	luaL_checktype(L, 4, LUA_TTABLE);
	lua_pushvalue(L, 4);
	lua_setiuservalue(L, 3, LB_READER_LAYOUTS);
	read_types(L, e);
	read_tag(L, e);
	err = lb_reader_open(&e->r, &m->k, lb_opt_upto(L, 2, "pages", 1u << 20));
	if (err)
		return open_failed(L, m, err);
	e->open = true;
	enlist(e);
	lua_settop(L, 3);
	return 1;
}

/* ---- reading ------------------------------------------------------------ */

static const char *refusal(int err)
{
	if (err == -EBUSY)
		return "reader: another reader has moved the position";
	if (err == -ECHILD)
		return "reader: it is of the process that this one was forked from";
	return "reader";
}

static void make_room(lua_State *L, struct lb_event_reader *e, uint32_t n)
{
	struct lb_record *records;

	if (n <= e->room)
		return;
	records = realloc(e->records, n * sizeof(*records));
	if (!records)
		lb_throw_no_memory(L);
	e->records = records;
	e->room = n;
}

/* A look; where it finds nothing, and nothing was lost that is to be told, another after a wait. */
static int look(struct lb_event_reader *e, uint32_t n, int ms)
{
	int found = lb_reader_look(&e->r, e->records, n), woken;

	if (found != 0 || ms == 0 || (e->perf && lb_perf_has_lost(&e->r.perf)))
		return found;
	woken = lb_reader_wait(&e->r, ms);
	return woken > 0 ? lb_reader_look(&e->r, e->records, n) : woken;
}

/*
 * core.reader_look(reader, n, ms): how many records there are, up to n, waited for so long,
 * of which none is given yet; nil: there is none; nil, message, errno where a handler took a
 * signal (EINTR). Raises what else refused it.
 */
static int reader_look(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);
	uint32_t n = (uint32_t)lb_check_int(L, 2, 1, LB_MAX_CALL);
	int ms = (int)lb_check_int(L, 3, 0, INT32_MAX), found;

	make_room(L, e, n);
	e->lender.clock++;
	e->found = 0;
	found = look(e, n, ms);
	if (found == -EINTR)
		return lb_map_fail(L, e->map, "reader", EINTR);
	if (found < 0) {
		lb_map_fail(L, e->map, refusal(found), -found);
		return lb_throw(L);
	}
	if (found == 0)
		return 0;
	e->found = (uint32_t)found;
	lua_pushinteger(L, found);
	return 1;
}

/*
 * core.reader_mark(reader): looks end at what lies there now; a string that
 * core.reader_end_at takes.
 */
static int reader_mark(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);
	size_t size = lb_reader_rings(&e->r) * sizeof(uint64_t);
	uint64_t *ends = lua_newuserdatauv(L, size, 0);

	e = lb_check_reader(L, 1);
	lb_reader_mark(&e->r, ends);
	lua_pushlstring(L, (const char *)ends, size);
	return 1;
}

/* core.reader_end_at(reader, ends): looks end there; nil: nowhere. */
static int reader_end_at(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);
	size_t size = 0;
	const char *ends = luaL_optlstring(L, 2, NULL, &size);
	uint64_t *copy = NULL;

	if (ends) {
		luaL_argcheck(L, size == lb_reader_rings(&e->r) * sizeof(*copy), 2,
			      "of another reader");
		copy = memcpy(lua_newuserdatauv(L, size, 0), ends, size);
		e = lb_check_reader(L, 1);
	}
	lb_reader_end_at(&e->r, copy);
	return 0;
}

/* core.reader_release(reader): what the last look gave is read; its batch is stale. */
static int reader_release(lua_State *L)
{
	struct lb_event_reader *e = lb_to_reader(L, 1);

	if (!e->open)
		return 0;
	e->lender.clock++;
	e->found = 0;
	lb_reader_release(&e->r);
	return 0;
}

/* core.reader_lost(reader): a CPU that lost events since it was last told, and how many; nil if none did. */
static int reader_lost(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);
	uint32_t cpu;
	uint64_t lost;

	if (!e->perf || !lb_perf_take_lost(&e->r.perf, &cpu, &lost))
		return 0;
	lua_pushinteger(L, cpu);
	lua_pushinteger(L, (lua_Integer)lost);
	return 2;
}

/* core.reader_ready(reader, marked): whether records can be read; of those before the mark. */
static int reader_ready(lua_State *L)
{
	const struct lb_event_reader *e = lb_check_reader(L, 1);

	lua_pushboolean(L, lb_reader_ready(&e->r, lua_toboolean(L, 2)));
	return 1;
}

/*
 * core.reader_woken(each): whether what poll says is readable is ready: of a reader,
 * whether there are records that can be read; anything else is.
 */
static int reader_woken(lua_State *L)
{
	struct lb_event_reader *e = luaL_testudata(L, 1, LB_READER);

	lua_pushboolean(L, !e || !e->open || lb_reader_woken(&e->r));
	return 1;
}

/* core.reader_counts(reader): the numbers of reader:stats(). */
static int reader_counts(lua_State *L)
{
	const struct lb_event_reader *e = lb_to_reader(L, 1);
	const struct lb_event_stats *st = &e->r.stats;

	lua_createtable(L, 0, 6);
	lb_set_int(L, "records", (lua_Integer)st->records);
	lb_set_int(L, "bytes", (lua_Integer)st->bytes);
	lb_set_int(L, "discarded", (lua_Integer)st->discarded);
	lb_set_int(L, "lost", (lua_Integer)st->lost);
	lb_set_int(L, "high_water", (lua_Integer)st->high_water);
	lb_set_int(L, "backlog", e->open ? (lua_Integer)lb_reader_backlog(&e->r) : 0);
	return 1;
}

/***
 * The descriptor that becomes readable when events may have come: the reader's
 * own, edge-triggered. Look as soon as it does, and after `reader:timeout()`
 * in any case.
 * @function reader:pollfd
 * @treturn integer the descriptor, which stays the reader's
 * @usage
 * print(bpf.load("events.bpf.o").maps.ring:reader():pollfd())
 */
static int reader_pollfd(lua_State *L)
{
	lua_pushinteger(L, lb_check_reader(L, 1)->r.epoll);
	return 1;
}

/* ---- closing -------------------------------------------------------------- */

static void free_memory(struct lb_event_reader *e)
{
	lb_reader_close(&e->r);
	free(e->records);
	e->records = NULL;
	e->room = 0;
}

/* What was lent last is read. */
static void close_reader(struct lb_event_reader *e)
{
	if (!e->open)
		return;
	e->open = false;
	e->lender.clock++;
	e->found = 0;
	delist(e);
	lb_reader_release(&e->r);
	free_memory(e);
}

/***
 * Closes the reader; a loop or wait that goes on meanwhile ends. What was given
 * last is released, what was not given stays in a ring buffer. Again does nothing.
 * @function reader:close
 * @treturn true it is closed
 * @usage
 * bpf.load("events.bpf.o").maps.ring:reader():close()
 */
static int reader_close(lua_State *L)
{
	close_reader(lb_to_reader(L, 1));
	lua_pushboolean(L, true);
	return 1;
}

static int reader_closer(lua_State *L)
{
	close_reader(lb_to_reader(L, 1));
	return 0;
}

static int reader_gc(lua_State *L)
{
	struct lb_event_reader *e = lb_to_reader(L, 1);

	close_reader(e);
	free_memory(e);
	return 0;
}

/***
 * Tells whether the reader is closed.
 * @function reader:closed
 * @treturn boolean whether it is
 * @usage
 * print(bpf.load("events.bpf.o").maps.ring:reader():closed())
 */
static int reader_closed(lua_State *L)
{
	lua_pushboolean(L, !lb_to_reader(L, 1)->open);
	return 1;
}

static int reader_tostring(lua_State *L)
{
	const struct lb_event_reader *e = lb_to_reader(L, 1);

	if (e->open)
		lua_pushfstring(L, "luabpf.reader (%s, %I records so far)", e->map->k.info.name,
				(LUAI_UACINT)e->r.stats.records);
	else
		lua_pushliteral(L, "luabpf.reader (closed)");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "pollfd", reader_pollfd },
	{ "closed", reader_closed },
	{ "close", reader_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", reader_gc },
	{ "__close", reader_closer },
	{ "__tostring", reader_tostring },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "reader", reader_new },
	{ "reader_taken", reader_taken },
	{ "reader_look", reader_look },
	{ "reader_mark", reader_mark },
	{ "reader_end_at", reader_end_at },
	{ "reader_release", reader_release },
	{ "reader_lost", reader_lost },
	{ "reader_ready", reader_ready },
	{ "reader_woken", reader_woken },
	{ "reader_counts", reader_counts },
	{ NULL, NULL },
};

void lb_open_reader(lua_State *L)
{
	lb_newclass(L, LB_READER, methods, meta);
	luaL_setfuncs(L, functions, 0);
	lua_pushinteger(L, LB_MAX_EVENT_TYPES);
	lua_setfield(L, -2, "max_kinds");
}
