/* SPDX-License-Identifier: MIT */
/***
 * The classes luabpf.snapshot, a snapshot file that is open; its cursor; and
 * luabpf.snapshot_writer. lua/luabpf/file/snapshot.lua makes what users see of them:
 * it writes and reads the header's text, and binds a snapshot to the detached
 * map handle that says how its entries are decoded.
 *
 *	w = core.snapshot_writer{ handle =, header = text, fd = n or memory = true,
 *		resume = { offset =, entries =, blocks = } }
 *	w:add(batch or rows) w:position() w:finish()
 *
 *	s = core.snapshot_open(path, damaged)	-- text, ... = core.snapshot_header(s)
 *	core.snapshot_bind(s, handle)
 *	c = core.snapshot_cursor(s, { batch_size =, raw = })
 *	batch = c:next()			-- nil at the end; raises an error object
 *
 * @module luabpf.bind.snapshot.snapshot
 */
#include "bind/snapshot/snapshot.h"

#include "bind/map/batch.h"
#include "bind/map/cursor.h"
#include "bind/map/lender.h"
#include "bind/query/rowset.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LB_SNAPSHOT "luabpf.snapshot"
#define LB_WRITER "luabpf.snapshot_writer"
#define LB_SNAP_CURSOR "luabpf.snapshot_cursor"

/* User values of snapshots and writers: the detached handle, and what messages call it. */
enum { HANDLE = 1, LABEL = 2, UVALUES = 2 };
/* User values of a cursor. */
enum { OF_SNAPSHOT = 1, OF_HANDLE = 2, CURSOR_UVALUES = 2 };

struct writer {
	struct lb_snap_writer w;
	struct lb_map *map;
	int memory;		/* descriptor of the memory written to; -1: not to memory */
	bool open;
};

struct snap_cursor {
	struct lb_lender lender;
	struct lb_snap_cursor c;
	struct lb_snapshot *of;
	uint32_t want;			/* entries a batch */
	uint32_t n, at;			/* of the block; given out of it */
	bool open, raw;
};

/* nil, "what is wrong (at byte N)", errno. */
static int refused(lua_State *L, int err, const struct lb_snap_fault *fault)
{
	if (err != -EBADMSG || !fault->why)
		return lb_refuse(L, -err);
	luaL_pushfail(L);
	lua_pushfstring(L, "%s (at byte %I)", fault->why, (LUAI_UACINT)fault->offset);
	lua_pushinteger(L, EBADMSG);
	return 3;
}

/* nil, "LABEL: snapshot: what is wrong (at byte N)", errno. */
static int failed(lua_State *L, const char *label, int err, const struct lb_snap_fault *fault)
{
	refused(L, err, fault);
	lua_pushfstring(L, "%s: snapshot: %s", label, lua_tostring(L, -2));
	lua_replace(L, -3);
	return 3;
}

/* The label of the writer or snapshot at idx; valid while that lives. */
static const char *label_of(lua_State *L, int idx)
{
	const char *s;

	lua_getiuservalue(L, idx, LABEL);
	s = lua_tostring(L, -1);
	lua_pop(L, 1);
	return s ? s : "snapshot";
}

/* ---- writing ------------------------------------------------------------ */

static struct writer *check_writer(lua_State *L)
{
	struct writer *w = lb_checkudata(L, 1, LB_WRITER);

	luaL_argcheck(L, w->open, 1, "writer is closed");
	return w;
}

struct lb_snap_writer *lb_test_snapshot_writer(lua_State *L, int arg)
{
	struct writer *w = luaL_testudata(L, arg, LB_WRITER);

	luaL_argcheck(L, !w || w->open, arg, "writer is closed");
	return w ? &w->w : NULL;
}

static uint64_t position_field(lua_State *L, int idx, const char *name)
{
	lua_Integer v;

	if (lua_getfield(L, idx, name) != LUA_TNUMBER || !lua_isinteger(L, -1))
		luaL_error(L, "resume: %s: integer expected", name);
	v = lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (v < 0)
		luaL_error(L, "resume: %s: negative", name);
	return (uint64_t)v;
}

/* The descriptor of a number or of an open file of Lua's at the top. */
static int check_fd(lua_State *L)
{
	const luaL_Stream *file = luaL_testudata(L, -1, LUA_FILEHANDLE);

	if (!file)
		return (int)lb_check_int(L, -1, 0, INT32_MAX);
	return file->closef ? fileno(file->f) : luaL_error(L, "fd: the file is closed");
}

/* The descriptor to write to: the caller's, or one of memory, which the writer owns. */
static int open_target(lua_State *L, struct writer *w)
{
	int fd;

	if (lb_opt_flag(L, 1, "memory")) {
		w->memory = memfd_create("luabpf snapshot", MFD_CLOEXEC);
		fd = w->memory < 0 ? -errno : w->memory;
	} else {
		lua_getfield(L, 1, "fd");
		fd = check_fd(L);
	}
	lua_settop(L, 2);
	return fd;
}

static int begin(lua_State *L, struct writer *w, int fd, struct lb_snap_fault *fault)
{
	uint32_t key = w->map->key.size, value = w->map->value.stride;
	struct lb_snap_position from;
	const char *header;
	size_t len;

	if (lua_getfield(L, 1, "resume") == LUA_TTABLE) {
		from.offset = position_field(L, 3, "offset");
		from.entries = position_field(L, 3, "entries");
		from.blocks = position_field(L, 3, "blocks");
		return lb_snap_resume(&w->w, fd, key, value, &from, fault);
	}
	lua_getfield(L, 1, "header");
	header = luaL_checklstring(L, -1, &len);
	return lb_snap_begin(&w->w, fd, key, value, header, len);
}

/* core.snapshot_writer(options): a writer; nil, reason, errno. fd stays the caller's. */
static int writer_new(lua_State *L)
{
	struct lb_snap_fault fault = { 0 };
	struct writer *w;
	int fd, err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	w = lua_newuserdatauv(L, sizeof(*w), UVALUES);
	memset(w, 0, sizeof(*w));
	w->memory = -1;
	luaL_setmetatable(L, LB_WRITER);
	lua_getfield(L, 1, "handle");
	w->map = lb_check_shapes(L, 3);
	lua_pushstring(L, w->map->k.info.name);
	lua_setiuservalue(L, 2, LABEL);
	lua_setiuservalue(L, 2, HANDLE);
	fd = open_target(L, w);
	err = fd < 0 ? fd : begin(L, w, fd, &fault);
	lua_settop(L, 2);
	if (err)
		return refused(L, err, &fault);
	w->open = true;
	return 1;
}

/* Entries to be written, of a batch or rows. */
struct entries {
	const uint8_t *keys, *values;
	uint32_t n;
};

static struct entries rows_at(lua_State *L, const struct writer *w, int arg)
{
	const struct lb_rows *r = lb_check_rows(L, arg);
	size_t size = r->values ? r->map->value.stride : r->ncolumns * sizeof(uint64_t);

	if (r->n && (!r->keys || r->map->key.size != w->map->key.size ||
		     size != w->map->value.stride))
		luaL_argerror(L, arg, "rows of other sizes");
	return (struct entries){ r->keys, r->values ? r->values : (const uint8_t *)r->columns,
				 r->n };
}

static struct entries batch_at(lua_State *L, const struct writer *w, int arg)
{
	const struct lb_batch *b = lb_check_batch(L, arg);

	if (b->map->key.size != w->map->key.size || b->map->value.stride != w->map->value.stride)
		luaL_argerror(L, arg, "the batch is of a map with other sizes");
	if (b->present && memchr(b->present, 0, b->n))
		luaL_argerror(L, arg, "the batch has entries without a value");
	return (struct entries){ b->keys, b->values, b->n };
}

/*
 * writer:add(batch or rows): appends its entries; true, or nil, reason, errno.
 * Rows without values have their columns as values.
 */
static int writer_add(lua_State *L)
{
	struct writer *w = check_writer(L);
	struct entries e = lb_test_batch(L, 2) ? batch_at(L, w, 2) : rows_at(L, w, 2);
	int err;

	w->w.asked = (struct lb_asked){ lb_ask_hook, L };
	err = lb_snap_add(&w->w, e.keys, e.values, e.n);

	if (err)
		return lb_refuse(L, -err);
	lua_pushboolean(L, true);
	return 1;
}

/*
 * writer:position(): offset, entries, blocks: what resume takes once that much was synced. Of one
 * that is closed, as they were.
 */
static int writer_position(lua_State *L)
{
	const struct writer *w = lb_checkudata(L, 1, LB_WRITER);

	lua_pushinteger(L, (lua_Integer)w->w.offset);
	lua_pushinteger(L, (lua_Integer)w->w.entries);
	lua_pushinteger(L, (lua_Integer)w->w.blocks);
	return 3;
}

static void close_writer(struct writer *w)
{
	int fd = w->memory;

	w->open = false;
	w->memory = -1;
	lb_snap_writer_free(&w->w);
	if (fd >= 0)
		close(fd);
}

static struct lb_snapshot *new_snapshot(lua_State *L)
{
	struct lb_snapshot *s = lua_newuserdatauv(L, sizeof(*s), UVALUES);

	memset(s, 0, sizeof(*s));
	s->s.fd = -1;
	luaL_setmetatable(L, LB_SNAPSHOT);
	return s;
}

/* Makes the memory that was written a snapshot, left at the top of the stack. */
static int to_snapshot(lua_State *L, struct writer *w, struct lb_snapshot *s)
{
	struct lb_snap_fault fault;
	int fd = w->memory, err;

	w->memory = -1;
	err = lb_snap_open(&s->s, fd, false, &fault);
	close_writer(w);
	if (err)
		return refused(L, err, &fault);
	s->map = w->map;
	lua_getiuservalue(L, 1, HANDLE);
	lua_setiuservalue(L, -2, HANDLE);
	lua_getiuservalue(L, 1, LABEL);
	lua_setiuservalue(L, -2, LABEL);
	return 1;
}

/*
 * writer:finish(): writes the end, and closes the writer: the bytes of the file;
 * of one in memory, the snapshot. nil, reason, errno when it may be tried again.
 */
static int writer_finish(lua_State *L)
{
	struct writer *w = check_writer(L);
	struct lb_snapshot *s;
	int err;

	lua_settop(L, 1);
	s = w->memory >= 0 ? new_snapshot(L) : NULL;
	err = lb_snap_finish(&w->w);
	if (err)
		return lb_refuse(L, -err);
	if (s)
		return to_snapshot(L, w, s);
	lua_pushinteger(L, (lua_Integer)w->w.offset);
	close_writer(w);
	return 1;
}

static int writer_close(lua_State *L)
{
	close_writer(lb_checkudata(L, 1, LB_WRITER));
	return 0;
}

/* ---- snapshots ---------------------------------------------------------- */

static struct lb_snapshot *to_snapshot_at(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_SNAPSHOT);
}

/* An open snapshot at arg, bound or not. */
static struct lb_snapshot *check_open(lua_State *L, int arg)
{
	struct lb_snapshot *s = to_snapshot_at(L, arg);

	if (s->s.fd < 0)
		lb_is_closed(L, "snapshot");
	return s;
}

struct lb_snapshot *lb_check_snapshot(lua_State *L, int arg)
{
	struct lb_snapshot *s = check_open(L, arg);

	luaL_argcheck(L, s->map, arg, "snapshot is not bound");
	return s;
}

int lb_snapshot_throw(lua_State *L, int arg, int err, const struct lb_snap_fault *fault)
{
	failed(L, label_of(L, arg), err, fault);
	return lb_throw(L);
}

/* core.snapshot_open(path, damaged): a snapshot; nil, message, errno. */
static int snapshot_open(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	bool damaged = lua_toboolean(L, 2);
	struct lb_snap_fault fault;
	struct lb_snapshot *s = new_snapshot(L);
	/* Opening a FIFO that nobody writes would wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, LABEL);
	if (fd < 0)
		return lb_fail(L, errno, "%s", path);
	err = lb_snap_open(&s->s, fd, damaged, &fault);
	if (err == -ESPIPE) {
		luaL_pushfail(L);
		lua_pushfstring(L, "%s: snapshot: not a regular file", path);
		lua_pushinteger(L, ESPIPE);
		return 3;
	}
	return err ? failed(L, path, err, &fault) : 1;
}

/* core.snapshot_header(s): the header's text, and a table of sizes and counts. */
static int snapshot_header(lua_State *L)
{
	const struct lb_snap *s = &check_open(L, 1)->s;
	const struct {
		const char *name;
		uint64_t n;
	} fields[] = {
		{ "version", LB_SNAP_VERSION }, { "key_bytes", s->key_size },
		{ "value_bytes", s->value_size }, { "entries", s->entries },
		{ "blocks", s->blocks }, { "bytes", s->size },
	};

	lua_pushlstring(L, s->header, s->header_size);
	lua_createtable(L, 0, 6);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		lua_pushinteger(L, (lua_Integer)fields[i].n);
		lua_setfield(L, -2, fields[i].name);
	}
	return 2;
}

static void add_damage(lua_State *L, const char *why, uint64_t from, uint64_t to)
{
	lua_createtable(L, 0, 5);
	lua_pushstring(L, why ? why : "unreadable");
	lua_setfield(L, -2, "reason");
	lb_set_int(L, "from", from);
	lb_set_int(L, "to", to);
}

/*
 * core.snapshot_damage(s): list of { reason =, from =, to = (offsets in the file),
 * after = (entries before it), entries = missing ones, nil if that is not known }.
 */
static int snapshot_damage(lua_State *L)
{
	const struct lb_snap *s = &check_open(L, 1)->s;
	lua_Integer n = 0;

	lua_newtable(L);
	if (s->fault.why) {
		add_damage(L, s->fault.why, s->fault.offset, s->fault.offset);
		lb_set_int(L, "entries", 0);
		lua_rawseti(L, -2, ++n);
	}
	for (uint32_t i = 0; i < s->ngaps; i++) {
		const struct lb_snap_gap *g = &s->gaps[i];

		add_damage(L, g->why, g->from, g->to);
		lb_set_int(L, "after", g->first);
		if (g->entries != LB_SNAP_UNKNOWN)
			lb_set_int(L, "entries", g->entries);
		lua_rawseti(L, -2, ++n);
	}
	return 1;
}

/* core.snapshot_bind(s, handle): its entries are as the detached handle says. */
static int snapshot_bind(lua_State *L)
{
	struct lb_snapshot *s = check_open(L, 1);
	struct lb_map *m = lb_check_shapes(L, 2);

	luaL_argcheck(L, m->detached && m->key.size == s->s.key_size &&
			 m->value.stride == s->s.value_size, 2, "entries of other sizes");
	luaL_argcheck(L, !s->map, 1, "snapshot is bound already");
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, 1, HANDLE);
	s->map = m;
	return 0;
}

/* core.snapshot_handle(s): the detached handle of an open snapshot; raises for anything else. */
static int snapshot_handle(lua_State *L)
{
	lb_check_snapshot(L, 1);
	lua_getiuservalue(L, 1, HANDLE);
	return 1;
}

/* How many entries can be read. */
static int snapshot_len(lua_State *L)
{
	lua_pushinteger(L, (lua_Integer)check_open(L, 1)->s.entries);
	return 1;
}

/***
 * Closes the file, or frees the memory; again does nothing. Batches of it stay valid.
 * @function snapshot:close
 * @treturn true the snapshot is closed
 * @usage
 * local snapshot = assert(map:snapshot())
 * snapshot:close()
 */
static int snapshot_close(lua_State *L)
{
	lb_snap_close(&to_snapshot_at(L, 1)->s);
	lua_pushboolean(L, true);
	return 1;
}

static int snapshot_gc(lua_State *L)
{
	lb_snap_close(&to_snapshot_at(L, 1)->s);
	return 0;
}

static int snapshot_tostring(lua_State *L)
{
	const struct lb_snapshot *s = to_snapshot_at(L, 1);

	if (s->s.fd < 0)
		lua_pushliteral(L, "luabpf.snapshot (closed)");
	else
		lua_pushfstring(L, "luabpf.snapshot (%s, %I entries)", label_of(L, 1),
				(LUAI_UACINT)s->s.entries);
	return 1;
}

/* ---- the cursor --------------------------------------------------------- */

static struct snap_cursor *to_cursor(lua_State *L)
{
	return lb_checkudata(L, 1, LB_SNAP_CURSOR);
}

/* core.snapshot_cursor(s, options): a scan of the entries. */
static int cursor_new(lua_State *L)
{
	struct lb_snapshot *s = lb_check_snapshot(L, 1);
	struct snap_cursor *c;

	lua_settop(L, 2);
	luaL_checktype(L, 2, LUA_TTABLE);
	c = lua_newuserdatauv(L, sizeof(*c), CURSOR_UVALUES);
	memset(c, 0, sizeof(*c));
	luaL_setmetatable(L, LB_SNAP_CURSOR);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 3, OF_SNAPSHOT);
	lua_getiuservalue(L, 1, HANDLE);
	lua_setiuservalue(L, 3, OF_HANDLE);
	lua_getfield(L, 2, "batch_size");
	c->want = (uint32_t)lb_check_int(L, -1, 1, UINT32_MAX);
	c->raw = lb_opt_flag(L, 2, "raw");
	lua_settop(L, 3);
	c->of = s;
	lb_snap_start(&c->c, &s->s);
	c->open = true;
	return 1;
}

static void close_cursor(struct snap_cursor *c)
{
	c->open = false;
	c->lender.clock++;
	lb_snap_stop(&c->c);
}

/* The next block, if the one at hand was given out: false at the end. */
static bool next_block(lua_State *L, struct snap_cursor *c)
{
	struct lb_snap_fault fault;
	int64_t n;

	if (c->at < c->n)
		return true;
	if (c->of->s.fd < 0)
		lb_is_closed(L, "snapshot");
	n = lb_snap_next(&c->c, &fault);
	c->at = 0;
	c->n = n > 0 ? (uint32_t)n : 0;
	if (n < 0) {
		close_cursor(c);
		lua_getiuservalue(L, 1, OF_SNAPSHOT);
		lb_snapshot_throw(L, -1, (int)n, &fault);
	}
	if (n == 0)
		close_cursor(c);
	return n > 0;
}

/* cursor:next(): the next batch, or nil; the one before becomes stale. Raises an error object. */
static int cursor_next(lua_State *L)
{
	struct snap_cursor *c = to_cursor(L);
	const struct lb_map *m;
	uint32_t n, at;

	lua_settop(L, 1);
	if (!c->open)
		return 0;
	c->lender.clock++;
	if (!next_block(L, c))
		return 0;
	n = c->n - c->at < c->want ? c->n - c->at : c->want;
	at = c->at;
	c->at += n;
	m = c->of->map;
	lua_getiuservalue(L, 1, OF_HANDLE);
	lb_batch_borrow(L, 1, 2, &c->lender, c->c.keys + (size_t)at * m->key.size,
			c->c.values + (size_t)at * m->value.stride, n)->raw = c->raw;
	return 1;
}

/* cursor:entries(): an iterator over the entries that are left, decoded. */
static int cursor_entries(lua_State *L)
{
	to_cursor(L);
	return lb_entries(L, cursor_next);
}

static int cursor_close(lua_State *L)
{
	close_cursor(to_cursor(L));
	return 0;
}

/* ---- the classes -------------------------------------------------------- */

static const luaL_Reg writer_methods[] = {
	{ "add", writer_add },
	{ "position", writer_position },
	{ "finish", writer_finish },
	{ "close", writer_close },
	{ NULL, NULL },
};

static const luaL_Reg writer_meta[] = {
	{ "__gc", writer_close },
	{ "__close", writer_close },
	{ NULL, NULL },
};

static const luaL_Reg snapshot_methods[] = {
	{ "close", snapshot_close },
	{ NULL, NULL },
};

static const luaL_Reg snapshot_meta[] = {
	{ "__gc", snapshot_gc },
	{ "__close", snapshot_gc },
	{ "__len", snapshot_len },
	{ "__tostring", snapshot_tostring },
	{ NULL, NULL },
};

static const luaL_Reg cursor_methods[] = {
	{ "next", cursor_next },
	{ "entries", cursor_entries },
	{ "close", cursor_close },
	{ NULL, NULL },
};

static const luaL_Reg cursor_meta[] = {
	{ "__gc", cursor_close },
	{ "__close", cursor_close },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "snapshot_writer", writer_new },
	{ "snapshot_open", snapshot_open },
	{ "snapshot_header", snapshot_header },
	{ "snapshot_damage", snapshot_damage },
	{ "snapshot_bind", snapshot_bind },
	{ "snapshot_handle", snapshot_handle },
	{ "snapshot_cursor", cursor_new },
	{ NULL, NULL },
};

void lb_open_snapshot(lua_State *L)
{
	lb_newclass(L, LB_WRITER, writer_methods, writer_meta);
	lb_newclass(L, LB_SNAPSHOT, snapshot_methods, snapshot_meta);
	lb_newclass(L, LB_SNAP_CURSOR, cursor_methods, cursor_meta);
	luaL_setfuncs(L, functions, 0);
}
