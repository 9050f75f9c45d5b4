/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.events: the records of one look of a reader, where they lie
 * in its buffer, until the reader's next step.
 *
 * A record that does not fit its layout is given as a binary string, with the
 * reason. Perf buffers give the CPU, too.
 *
 * @module luabpf.bind.event.events
 */
#include "bind/event/reader.h"
#include "bind/map/batch.h"
#include "bind/map/view.h"
#include "bind/value/codec.h"
#include "bind/value/decode.h"

#include <string.h>

/* User value of a batch: the reader. */
enum { READER = 1, UVALUES = 1 };

#define STALE "the batch is stale: its reader went on or was closed"

struct events {
	struct lb_event_reader *reader;
	uint64_t step;
	uint32_t n;
};

/*
 * How many records the reader's last look found, which are given now. Finalizers may
 * have read on since.
 */
static uint32_t take_found(lua_State *L, struct lb_event_reader *e)
{
	uint32_t n = e->found;

	if (n == 0)
		luaL_error(L, STALE);
	e->found = 0;
	return n;
}

/* core.reader_batch(reader): what its last look found, all given: the next step releases it. */
static int reader_batch(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);
	struct events *b = lua_newuserdatauv(L, sizeof(*b), UVALUES);

	b->reader = e;
	b->n = take_found(L, e);
	b->step = e->lender.clock;
	luaL_setmetatable(L, LB_EVENTS);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, READER);
	lb_reader_give_all(&e->r);
	return 1;
}

static bool is_valid(const struct events *b)
{
	return lb_lends(&b->reader->lender, b->step);
}

static struct events *check_events(lua_State *L, int arg)
{
	struct events *b = lb_checkudata(L, arg, LB_EVENTS);

	if (!is_valid(b))
		luaL_argerror(L, arg, STALE);
	return b;
}

/* ---- what a record is ---------------------------------------------------- */

/* What perf adds: a record and its 4 bytes of length are a multiple of 8 together. */
static uint32_t padded(uint32_t size)
{
	return ((size + 4 + 7) & ~7u) - 4;
}

/* Whether so many bytes are whole elements, if the rest is a list. Perf adds some. */
static bool is_whole(const struct lb_event_reader *e, const struct lb_member *rest, uint32_t size)
{
	const struct lb_type *elem = rest->type->kind == LB_ARRAY ? rest->type->elem : NULL;

	return e->perf || !elem || elem->size == 0 || size % elem->size == 0;
}

static bool fits(const struct lb_event_reader *e, const struct lb_event_type *t, uint32_t size)
{
	if (t->rest)
		return size >= t->rest->offset && is_whole(e, t->rest, size - t->rest->offset);
	return size == (e->perf ? padded(t->shape.size) : t->shape.size);
}

static bool has_tag(const struct lb_event_reader *e, const struct lb_record *r)
{
	return r->size >= e->tag->offset + e->tag->type->size;
}

/* The kind that a record says it is of; the only one there is; or NULL. */
static const struct lb_event_type *kind_by_tag(const struct lb_event_reader *e,
					       const struct lb_record *r)
{
	const struct lb_event_type *t = e->types, *end = t + e->ntypes;
	int64_t tag;

	if (!e->tag)
		return t < end ? t : NULL;
	if (!has_tag(e, r))
		return NULL;
	tag = (int64_t)lb_load_member(r->data, e->tag);
	while (t < end && t->tag != tag)
		t++;
	return t < end ? t : NULL;
}

/* The kind of a record; NULL where it fits none. */
static const struct lb_event_type *kind_of(const struct lb_event_reader *e,
					   const struct lb_record *r)
{
	const struct lb_event_type *t = kind_by_tag(e, r);

	return t && fits(e, t, r->size) ? t : NULL;
}

/* Pushes why a record has no kind. */
static void push_reason(lua_State *L, const struct lb_event_reader *e, const struct lb_record *r)
{
	const struct lb_event_type *t = kind_by_tag(e, r);

	if (t)
		lua_pushfstring(L, "a record of %d bytes, %s has %s%d", (int)r->size,
				t->shape.type->name, t->rest ? "at least " : "",
				(int)(t->rest ? t->rest->offset : t->shape.size));
	else if (has_tag(e, r))
		lua_pushfstring(L, "no layout for records with %s = %I", e->tag->name,
				(LUAI_UACINT)lb_load_member(r->data, e->tag));
	else
		lua_pushfstring(L, "a record of %d bytes ends before its tag", (int)r->size);
}

/* Pushes the table of a struct that ends with the rest of the record. */
static void push_open_ended(lua_State *L, const struct lb_event_type *t, const struct lb_record *r)
{
	uint32_t fixed = t->rest->offset, size = t->shape.size;
	uint8_t *whole = lua_newuserdatauv(L, size ? size : 1, 0);

	/* Padding after the last field, where the rest begins, is no padding here. */
	memset(whole, 0, size);
	memcpy(whole, r->data, fixed);
	lb_push(L, &t->shape, whole, false);
	lua_remove(L, -2);
	lb_push_rest(L, t->rest->type, r->data + fixed, r->size - fixed);
	lua_setfield(L, -2, t->rest->name);
}

/* Pushes the CPU after an event and perhaps why it is bytes: what a step returns. */
static int push_cpu(lua_State *L, const struct lb_event_reader *e, const struct lb_record *r, int n)
{
	if (!e->perf)
		return n;
	if (n == 1)
		lua_pushnil(L);
	lua_pushinteger(L, r->ring);
	return 3;
}

/* Pushes a record that stays where it is: how many results. */
static int push_kept(lua_State *L, struct lb_event_reader *e, const struct lb_record *r)
{
	const struct lb_event_type *t = kind_of(e, r);
	int n = 1;

	if (!t)
		lua_pushlstring(L, (const char *)r->data, r->size);
	else if (t->rest)
		push_open_ended(L, t, r);
	else
		lb_push(L, &t->shape, r->data, false);
	if (!t && e->ntypes) {
		push_reason(L, e, r);
		n = 2;
	}
	return push_cpu(L, e, r, n);
}

/* Pushes a lent record as a Lua value of its own, from a copy: how many results. */
static int push_record(lua_State *L, struct lb_event_reader *e, const struct lb_record *r)
{
	uint8_t local[LB_LENT_LOCAL];
	struct lb_record copy = *r;
	int top = lua_gettop(L), n;

	copy.data = lb_lent(L, &e->lender, e->lender.clock, r->data, r->size, local);
	lua_settop(L, top + 1);	/* the copy, if it is a userdata; else nil */
	n = push_kept(L, e, &copy);
	lua_remove(L, top + 1);
	return n;
}

/* ---- loops ------------------------------------------------------------------ */

/*
 * Upvalues of the loops: where it is, what it keeps alive (a batch or the reader), and of
 * views the one that was shown last and the list of all, by kind, if there are several.
 */
enum { PLACE = 1, OWNER, VIEW, VIEWS };

struct place {
	struct lb_event_reader *reader;
	uint64_t step;			/* the records are there while its clock says so */
	uint32_t i, n;			/* the record that comes next; how many there are */
	struct lb_view *view;		/* that was shown last; NULL: none */
	const struct lb_event_type *type;	/* what it shows */
};

static bool is_there(const struct place *at)
{
	return lb_lends(&at->reader->lender, at->step);
}

/* The record that comes next, or NULL at the end. */
static const struct lb_record *advance(lua_State *L, struct place *at)
{
	if (!is_there(at))
		luaL_error(L, STALE);
	return at->i < at->n ? &at->reader->records[at->i++] : NULL;
}

static int records_step(lua_State *L)
{
	struct place *at = lua_touserdata(L, lua_upvalueindex(PLACE));
	const struct lb_record *r = advance(L, at);

	return r ? push_record(L, at->reader, r) : 0;
}

/*
 * step(n): what the reader's last look found, n records, of which this gives the first;
 * step(): the next one, or nil. Each is released when the next one is asked for. Where
 * another loop has read on, there is none: what was not given comes with the next look.
 */
static int given_step(lua_State *L)
{
	struct place *at = lua_touserdata(L, lua_upvalueindex(PLACE));
	const struct lb_record *r;

	if (lua_toboolean(L, 1)) {
		at->n = take_found(L, at->reader);
		at->i = 0;
		at->step = at->reader->lender.clock;
	}
	if (at->i == at->n || !is_there(at))
		return 0;
	r = &at->reader->records[at->i++];
	lb_reader_give(&at->reader->r, r);
	return push_record(L, at->reader, r);
}

/* Pushes a view of that kind of record. */
static void new_view(lua_State *L, const struct place *at, const struct lb_event_type *t)
{
	lua_getiuservalue(L, lua_upvalueindex(OWNER), READER);
	lua_getiuservalue(L, -1, LB_READER_LAYOUTS);
	lua_rawgeti(L, -1, t - at->reader->types + 1);
	lb_view_new(L, -3, -1, &t->shape, &at->reader->lender, "event");
}

/* Pushes the view for that kind of record, made when it is first needed, and keeps it. */
static struct lb_view *find_view(lua_State *L, const struct place *at,
				 const struct lb_event_type *t)
{
	bool listed = lua_istable(L, lua_upvalueindex(VIEWS));
	lua_Integer i = t - at->reader->types + 1;

	if (!listed || lua_rawgeti(L, lua_upvalueindex(VIEWS), i) != LUA_TUSERDATA) {
		new_view(L, at, t);
		if (listed) {
			lua_pushvalue(L, -1);
			lua_rawseti(L, lua_upvalueindex(VIEWS), i);
		}
	}
	lua_copy(L, -1, lua_upvalueindex(VIEW));
	return lua_touserdata(L, -1);
}

/* Pushes a view that shows the record. */
static void push_view(lua_State *L, struct place *at, const struct lb_event_type *t,
		      const struct lb_record *r)
{
	if (t == at->type) {
		lua_pushvalue(L, lua_upvalueindex(VIEW));
	} else {
		at->view = find_view(L, at, t);
		at->type = t;
	}
	lb_view_move(at->view, r->data, r->size);
}

static bool has_fields(const struct lb_event_type *t)
{
	return t->shape.type->kind == LB_STRUCT || t->shape.type->kind == LB_UNION;
}

static int views_step(lua_State *L)
{
	struct place *at = lua_touserdata(L, lua_upvalueindex(PLACE));
	const struct lb_event_type *t;
	const struct lb_record *r;

	if (at->view)
		lb_view_move(at->view, NULL, 0);
	r = advance(L, at);
	if (!r)
		return 0;
	t = kind_of(at->reader, r);
	if (!t || !has_fields(t)) {
		lua_settop(L, 0);
		return push_record(L, at->reader, r);
	}
	push_view(L, at, t, r);
	return push_cpu(L, at->reader, r, 1);
}

/* Pushes where a loop over those n records begins, and what it keeps alive. */
static void push_place(lua_State *L, struct lb_event_reader *e, uint64_t step, uint32_t n)
{
	struct place *at = lua_newuserdatauv(L, sizeof(*at), 0);

	*at = (struct place){ .reader = e, .step = step, .n = n };
	lua_pushvalue(L, 1);
}

/* core.reader_steps(reader): the step of a loop that gives what it has got: see given_step. */
static int reader_steps(lua_State *L)
{
	push_place(L, lb_to_reader(L, 1), 0, 0);
	lua_pushcclosure(L, given_step, OWNER);
	return 1;
}

/* core.reader_record(reader): the record that its last look found, decoded and given. */
static int reader_record(lua_State *L)
{
	struct lb_event_reader *e = lb_check_reader(L, 1);

	take_found(L, e);
	lb_reader_give_all(&e->r);
	return push_record(L, e, &e->records[0]);
}

/***
 * The records of one step of a reader, where they lie, until its next step. `#events` is their number.
 * @table events
 */

/***
 * Iterates over the records as views, which read fields where they lie, each until the next step.
 * A record that fits no layout comes as a binary string, and the reason after it. Of perf buffers
 * the CPU is the third.
 * @function events:views
 * @treturn fun():view|string,string?,integer? an iterator
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
 * assert(object.programs.send:run())
 * for batch in reader:batches { timeout = "0s" } do
 *   for event in batch:views() do print(event.number) end
 * end
 */
static int events_views(lua_State *L)
{
	const struct events *b = check_events(L, 1);

	push_place(L, b->reader, b->step, b->n);
	lua_pushnil(L);
	if (b->reader->ntypes > 1)
		lua_newtable(L);
	else
		lua_pushnil(L);
	lua_pushcclosure(L, views_step, VIEWS);
	return 1;
}

/***
 * Iterates over the records, decoded: event, reason and CPU as with `events:views`.
 * @function events:records
 * @treturn fun():data,string?,integer? an iterator
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
 * assert(object.programs.send:run())
 * for batch in reader:batches { timeout = "0s" } do
 *   for event in batch:records() do print(event.comm) end
 * end
 */
static int events_records(lua_State *L)
{
	const struct events *b = check_events(L, 1);

	push_place(L, b->reader, b->step, b->n);
	lua_pushcclosure(L, records_step, OWNER);
	return 1;
}

/***
 * The i-th record, decoded.
 * @function events:record
 * @tparam integer i from 1
 * @treturn data the record; its bytes, where it fits no layout
 * @treturn ?string why it comes as bytes
 * @treturn ?integer the CPU, of perf buffers
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
 * assert(object.programs.send:run())
 * for batch in reader:batches { timeout = "0s" } do print(batch:record(1).number) end
 */
static int events_record(lua_State *L)
{
	struct events *b = check_events(L, 1);
	lua_Integer i = lb_check_int(L, 2, 1, b->n);

	return push_record(L, b->reader, &b->reader->records[i - 1]);
}

/***
 * The bytes of the i-th record.
 * @function events:packed
 * @tparam integer i from 1
 * @treturn string the bytes
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local reader <close> = assert(object.maps.ring:reader())
 * assert(object.programs.send:run())
 * for batch in reader:batches { timeout = "0s" } do print(#batch:packed(1)) end
 */
static int events_packed(lua_State *L)
{
	struct events *b = check_events(L, 1);
	const struct lb_record *r = &b->reader->records[lb_check_int(L, 2, 1, b->n) - 1];
	uint8_t local[LB_LENT_LOCAL];
	const void *bytes = lb_lent(L, &b->reader->lender, b->step, r->data, r->size, local);

	lua_pushlstring(L, bytes, r->size);
	return 1;
}

/* ---- sums ------------------------------------------------------------------- */

static const struct lb_member *number_called(const struct lb_type *t, const char *name)
{
	const struct lb_member *m = t->kind == LB_STRUCT ? lb_find_member(t, name) : NULL;

	return m && (m->type->kind == LB_INT || m->type->kind == LB_BOOL || m->type->kind == LB_ENUM)
	       ? m : NULL;
}

/***
 * Adds a field up over all records that have it, modulo 2^64.
 * @function events:sum
 * @tparam string field an integer field of the layout
 * @treturn integer the sum
 * @treturn integer how many records had it
 * @raise no layout of the reader has such a field
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
 * assert(object.programs.send:run())
 * for batch in reader:batches { timeout = "0s" } do print(batch:sum "length") end
 */
static int events_sum(lua_State *L)
{
	struct events *b = check_events(L, 1);
	const struct lb_event_reader *e = b->reader;
	const char *name = luaL_checkstring(L, 2);
	const struct lb_member *members[LB_MAX_EVENT_TYPES] = { NULL };
	lua_Integer n = 0;
	uint64_t sum = 0;
	bool known = false;

	for (uint32_t i = 0; i < e->ntypes; i++) {
		members[i] = number_called(e->types[i].shape.type, name);
		known = known || members[i];
	}
	if (!known)
		return luaL_error(L, "sum: no integer field '%s' in the layout", name);
	for (uint32_t i = 0; i < b->n; i++) {
		const struct lb_event_type *t = kind_of(e, &e->records[i]);
		const struct lb_member *m = t ? members[t - e->types] : NULL;

		if (!m)
			continue;
		sum += lb_load_member(e->records[i].data, m);
		n++;
	}
	lua_pushinteger(L, (lua_Integer)sum);
	lua_pushinteger(L, n);
	return 2;
}

static int events_len(lua_State *L)
{
	lua_pushinteger(L, check_events(L, 1)->n);
	return 1;
}

static int events_tostring(lua_State *L)
{
	const struct events *b = lb_checkudata(L, 1, LB_EVENTS);

	if (is_valid(b))
		lua_pushfstring(L, "luabpf.events (%d records)", (int)b->n);
	else
		lua_pushliteral(L, "luabpf.events (stale)");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "views", events_views },
	{ "records", events_records },
	{ "record", events_record },
	{ "packed", events_packed },
	{ "sum", events_sum },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__len", events_len },
	{ "__tostring", events_tostring },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "reader_batch", reader_batch },
	{ "reader_steps", reader_steps },
	{ "reader_record", reader_record },
	{ NULL, NULL },
};

void lb_open_events(lua_State *L)
{
	lb_newclass(L, LB_EVENTS, methods, meta);
	luaL_setfuncs(L, functions, 0);
}
