/* SPDX-License-Identifier: MIT */
/*
 * The classes luabpf.row_writer and luabpf.output: rows of entries as JSON lines
 * or CSV, and where they go. Internal to lua/luabpf/file/export.lua.
 *
 *	w = core.row_writer(map, format)		rows of key and value
 *	w = core.row_writer(map, format, columns)	{ { name =, layout =, words =, signed = }... }
 *	w:header()
 *
 *	out = core.output({ path = text, summed = flag }, holder)	a file, locked
 *	out = core.output{ device = text }		a pipe, a terminal
 *	out = core.output{ handle = file }
 *	out = core.output{}				for out:take()
 *	With a holder, which is a table, holder.out is the output before anything is opened:
 *	a debug hook may end what called it before it has it.
 *	out:write(text)
 *	next = out:rows(w, batch or rows, from)		until the buffer is full, if it is taken
 *	out:flush() out:sync() out:seek(offset, crc) out:position() out:take() out:fd() out:close()
 *	out:permit(path) out:remove(path)
 *
 *	core.rename(from, to) core.replace_file(path, text) core.can_replace(path)
 *	core.temporary_file() core.file_status(path) core.crc32c(text)
 *
 * What the system refuses gives nil, reason, errno.
 */
#include "bind/file/output.h"

#include "bind/map/batch.h"
#include "bind/query/rowset.h"
#include "bind/value/layout.h"
#include "lib/file/crc32c.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LB_OUTPUT "luabpf.output"
#define LB_ROW_WRITER "luabpf.row_writer"

/* User value of a row writer: a list that keeps layouts and names. Of an output: a file handle. */
enum { KEPT = 1 };

/* nil, reason, errno: what is in the way of a file has words of its own. */
static int refused(lua_State *L, int err)
{
	const char *why = err == -ELOOP ? "a symbolic link is in its place"
			: err == -EEXIST ? "a file of another user is in its place"
			: err == -EMLINK ? "the file in its place has a second name"
			: err == -ECHILD ? "it is written by the process that this one was forked from"
			: NULL;

	if (!why)
		return lb_refuse(L, -err);
	luaL_pushfail(L);
	lua_pushstring(L, why);
	lua_pushinteger(L, -err);
	return 3;
}

static int done(lua_State *L, int err)
{
	if (err)
		return refused(L, err);
	lua_pushboolean(L, true);
	return 1;
}

/* ---- row writers ---------------------------------------------------------------- */

struct lb_row_writer *lb_check_row_writer(lua_State *L, int arg)
{
	struct lb_row_writer *rw = lb_checkudata(L, arg, LB_ROW_WRITER);

	luaL_argcheck(L, !rw->closed, arg, "row writer is closed");
	return rw;
}

static void free_unused(struct lb_row_writer *rw)
{
	if (!rw->closed || rw->users)
		return;
	lb_writer_free(rw->w);
	rw->w = NULL;
}

void lb_row_writer_left(struct lb_row_writer *rw)
{
	rw->users--;
	free_unused(rw);
}

/* Keeps the value at the top, popped, in the list at index kept. */
static void keep(lua_State *L, int kept)
{
	lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
}

static void entry_columns(lua_State *L, const struct lb_map *m, int kept,
			  struct lb_row_column columns[2])
{
	columns[0] = (struct lb_row_column){ "key", 3, m->key, 0, 0 };
	columns[1] = (struct lb_row_column){ "value", 5, m->value, 1, 0 };
	lua_getiuservalue(L, 1, LB_MAP_KEY_LAYOUT);
	lua_rawseti(L, kept, 1);
	lua_getiuservalue(L, 1, LB_MAP_VALUE_LAYOUT);
	lua_rawseti(L, kept, 2);
}

/* The column at the top, popped; it begins at that word. Returns how many words it has. */
static uint32_t read_column(lua_State *L, int kept, struct lb_row_column *column, uint32_t word)
{
	const struct lb_layout *layout;
	int idx = lua_gettop(L);

	luaL_checktype(L, idx, LUA_TTABLE);
	lua_getfield(L, idx, "name");
	luaL_checktype(L, -1, LUA_TSTRING);
	column->name = lua_tolstring(L, -1, &column->name_len);
	keep(L, kept);
	column->shape.type = lb_row_integer(lb_opt_flag(L, idx, "signed"));
	lua_getfield(L, idx, "layout");
	layout = lb_layout_test(L, -1);
	if (layout)
		column->shape.type = layout->root;
	lua_pushvalue(L, -1);
	if (layout)
		keep(L, kept);
	column->shape.size = column->shape.type->size;
	column->offset = word * (uint32_t)sizeof(uint64_t);
	lua_settop(L, idx - 1);
	return (column->shape.size + 7) / 8;
}

static int no_writer(lua_State *L, const char *why)
{
	luaL_pushfail(L);
	lua_pushstring(L, why);
	lua_pushinteger(L, E2BIG);
	return 3;
}

/* core.row_writer(map, "jsonl" or "csv" [, columns]); the handle may be a detached one. */
static int writer_new(lua_State *L)
{
	static const char *const formats[] = { "jsonl", "csv", NULL };
	const struct lb_map *m = lb_to_map(L, 1);
	enum lb_row_format format = (enum lb_row_format)luaL_checkoption(L, 2, NULL, formats);
	struct lb_row_column *columns;
	struct lb_row_writer *rw;
	const char *why;
	uint32_t n = 2;

	lua_settop(L, 3);
	if (!lua_isnil(L, 3)) {
		luaL_checktype(L, 3, LUA_TTABLE);
		luaL_argcheck(L, lua_rawlen(L, 3) <= UINT16_MAX, 3, "too many columns");
		n = (uint32_t)lua_rawlen(L, 3);
	}
	columns = lua_newuserdatauv(L, (n + 1) * sizeof(*columns), 0);
	memset(columns, 0, (n + 1) * sizeof(*columns));
	rw = lua_newuserdatauv(L, sizeof(*rw), 1);
	*rw = (struct lb_row_writer){ .columns = !lua_isnil(L, 3), .key_size = m->key.size,
				   .value_stride = m->value.stride };
	luaL_setmetatable(L, LB_ROW_WRITER);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 5, KEPT);
	if (!rw->columns)
		entry_columns(L, m, 6, columns);
	for (uint32_t i = 0; rw->columns && i < n; i++) {
		lua_rawgeti(L, 3, (lua_Integer)i + 1);
		rw->nwords += read_column(L, 6, &columns[i], rw->nwords);
	}
	rw->w = lb_writer_new(format, columns, n, &why);
	if (!rw->w)
		return no_writer(L, why);
	lua_settop(L, 5);
	return 1;
}

static int writer_header(lua_State *L)
{
	size_t n;
	const char *header = lb_writer_header(lb_check_row_writer(L, 1)->w, &n);

	lua_pushlstring(L, header ? header : "", n);
	return 1;
}

static int writer_close(lua_State *L)
{
	struct lb_row_writer *rw = lb_checkudata(L, 1, LB_ROW_WRITER);

	rw->closed = true;
	free_unused(rw);
	return 0;
}

/* ---- outputs ------------------------------------------------------------------------ */

struct output {
	struct lb_outfile o;
	luaL_Stream *stream;	/* whose FILE it writes to */
};

static struct output *check_output_at(lua_State *L, int arg)
{
	struct output *out = lb_checkudata(L, arg, LB_OUTPUT);

	if (out->stream)
		luaL_argcheck(L, out->stream->closef, arg, "the file was closed");
	out->o.asked = (struct lb_asked){ lb_ask_hook, L };
	return out;
}

static struct output *check_output(lua_State *L)
{
	return check_output_at(L, 1);
}

struct lb_outfile *lb_check_output(lua_State *L, int arg)
{
	return &check_output_at(L, arg)->o;
}

static const char *text_field(lua_State *L, const char *name)
{
	const char *text = NULL;

	if (lua_getfield(L, 1, name) != LUA_TNIL)
		text = lb_check_path(L, lua_gettop(L));
	lua_pop(L, 1);
	return text;
}

static int open_output(lua_State *L, struct output *out)
{
	const char *path = text_field(L, "path"), *device = text_field(L, "device");

	out->o.summed = lb_opt_flag(L, 1, "summed");
	if (path)
		return lb_out_open(&out->o, path);
	if (device)
		return lb_out_open_device(&out->o, device);
	if (lua_getfield(L, 1, "handle") != LUA_TNIL) {
		luaL_Stream *stream = lb_checkudata(L, -1, LUA_FILEHANDLE);

		if (!stream->closef)
			return luaL_error(L, "attempt to use a closed file");
		out->stream = stream;
		out->o.file = stream->f;
		lua_setiuservalue(L, 3, KEPT);
	}
	return 0;
}

/* core.output(options [, holder]) */
static int output_new(lua_State *L)
{
	struct output *out;
	int err;

	lua_settop(L, 2);
	luaL_checktype(L, 1, LUA_TTABLE);
	out = lua_newuserdatauv(L, sizeof(*out), 1);
	lb_out_begin(&out->o);
	out->stream = NULL;
	luaL_setmetatable(L, LB_OUTPUT);
	lb_hold(L, 2, "out");
	out->o.asked = (struct lb_asked){ lb_ask_hook, L };
	err = open_output(L, out);
	if (err)
		return refused(L, err);
	lua_settop(L, 3);
	return 1;
}

static int output_write(lua_State *L)
{
	struct output *out = check_output(L);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);

	return done(L, lb_out_write(&out->o, text, n));
}

/* Where rows lie: row i at bases[0] + i * strides[0], bases[1] + i * strides[1]. */
struct rows {
	const uint8_t *bases[2];
	size_t strides[2];
	uint32_t n;
};

static struct rows check_rows(lua_State *L, const struct lb_row_writer *rw)
{
	const struct lb_batch *b;
	const struct lb_rows *r;

	if (rw->columns) {
		r = lb_check_rows(L, 3);
		luaL_argcheck(L, r->n == 0 || r->ncolumns >= rw->nwords, 3, "too few columns");
		return (struct rows){ { (const uint8_t *)r->columns, NULL },
				      { r->ncolumns * sizeof(uint64_t), 0 }, r->n };
	}
	b = lb_check_batch(L, 3);
	if (b->map->key.size != rw->key_size || b->map->value.stride != rw->value_stride)
		luaL_argerror(L, 3, "the batch is of a map with other sizes");
	return (struct rows){ { b->keys, b->values }, { rw->key_size, rw->value_stride }, b->n };
}

static int put_row(struct lb_outfile *o, const struct lb_writer *w, const struct rows *rows,
		   uint32_t i)
{
	const uint8_t *const bases[2] = { rows->bases[0] + i * rows->strides[0],
					  rows->bases[1] + i * rows->strides[1] };
	int err = lb_out_reserve(o, lb_writer_longest(w));

	if (err)
		return err;
	o->used = (size_t)(lb_writer_row(w, bases, o->buf + o->used) - o->buf);
	return 0;
}

/*
 * out:rows(writer, batch or rows, from): writes rows from that one on, from 1.
 * Returns the number of the next one to be written: where the caller takes
 * what is gathered, that may be before the end.
 */
static int output_rows(lua_State *L)
{
	struct output *out = check_output(L);
	const struct lb_row_writer *rw = lb_check_row_writer(L, 2);
	struct rows rows = check_rows(L, rw);
	uint32_t i = (uint32_t)lb_check_int(L, 4, 1, (lua_Integer)rows.n + 1) - 1;
	bool fetched = lb_out_fetched(&out->o);
	int err = 0;

	while (i < rows.n && !err && !(fetched && out->o.used >= LB_OUT_BUFFER / 2)) {
		err = put_row(&out->o, rw->w, &rows, i);
		i += !err;
	}
	if (err)
		return refused(L, err);
	lua_pushinteger(L, (lua_Integer)i + 1);
	return 1;
}

static int output_flush(lua_State *L)
{
	return done(L, lb_out_flush(&check_output(L)->o));
}

static int output_sync(lua_State *L)
{
	return done(L, lb_out_sync(&check_output(L)->o));
}

/* out:seek(offset, crc) */
static int output_seek(lua_State *L)
{
	struct output *out = check_output(L);
	lua_Integer offset = lb_check_int(L, 2, 0, INT64_MAX);

	luaL_argcheck(L, out->o.owned, 1, "no file of its own");
	return done(L, lb_out_seek(&out->o, (uint64_t)offset,
				   (uint32_t)lb_check_int(L, 3, 0, UINT32_MAX)));
}

/* out:position(): bytes written so far, and the checksum of those handed on. */
static int output_position(lua_State *L)
{
	const struct output *out = lb_checkudata(L, 1, LB_OUTPUT);

	lua_pushinteger(L, (lua_Integer)(out->o.offset + out->o.used));
	lua_pushinteger(L, out->o.crc);
	return 2;
}

/* out:take(): what was gathered, as a string. */
static int output_take(lua_State *L)
{
	struct output *out = check_output(L);

	luaL_argcheck(L, lb_out_fetched(&out->o), 1, "nothing to take");
	lua_pushlstring(L, out->o.buf ? out->o.buf : "", out->o.used);
	lb_out_fetch(&out->o);
	return 1;
}

/* out:permit(path): who may read the file there, or a new one, may read this one. */
static int output_permit(lua_State *L)
{
	struct output *out = check_output(L);

	luaL_argcheck(L, out->o.owned, 1, "no file of its own");
	return done(L, lb_out_permit(&out->o, lb_check_path(L, 2)));
}

/* out:remove(path): the file, which has that name; not in a child of the process that made it. */
static int output_remove(lua_State *L)
{
	struct output *out = check_output(L);

	return done(L, lb_out_remove(&out->o, lb_check_path(L, 2)));
}

static int output_fd(lua_State *L)
{
	const struct output *out = check_output(L);

	lua_pushinteger(L, out->o.file ? fileno(out->o.file) : out->o.fd);
	return 1;
}

static int output_close(lua_State *L)
{
	struct output *out = lb_checkudata(L, 1, LB_OUTPUT);

	lb_out_close(&out->o);
	out->stream = NULL;
	return 0;
}

/* ---- files ------------------------------------------------------------------------------ */

static int file_rename(lua_State *L)
{
	return done(L, lb_out_rename(lb_check_path(L, 1), lb_check_path(L, 2)));
}

static int file_replace(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);

	return done(L, lb_out_replace(lb_check_path(L, 1), text, n));
}

/* core.can_replace(path): true, or why replace_file could not. Writes nothing. */
static int file_can_replace(lua_State *L)
{
	return done(L, lb_out_can_replace(lb_check_path(L, 1)));
}

static int close_temporary(lua_State *L)
{
	luaL_Stream *s = lb_checkudata(L, 1, LUA_FILEHANDLE);

	return luaL_fileresult(L, fclose(s->f) == 0, NULL);
}

/* core.temporary_file(): as io.tmpfile, and no program that is started inherits it. */
static int file_temporary(lua_State *L)
{
	luaL_Stream *s = lua_newuserdatauv(L, sizeof(*s), 0);

	s->closef = NULL;
	luaL_setmetatable(L, LUA_FILEHANDLE);
	s->f = lb_out_temporary();
	if (!s->f)
		return lb_refuse(L, errno);
	s->closef = close_temporary;
	return 1;
}

/*
 * core.file_status(path): { kind = "file", "folder" or "device", size, device,
 * inode, modified (ns) }
 */
static int file_status(lua_State *L)
{
	struct stat st;

	if (stat(lb_check_path(L, 1), &st) < 0)
		return lb_refuse(L, errno);
	lua_createtable(L, 0, 5);
	lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "folder" : "device");
	lua_setfield(L, -2, "kind");
	lb_set_int(L, "size", (uint64_t)st.st_size);
	lb_set_int(L, "device", st.st_dev);
	lb_set_int(L, "inode", st.st_ino);
	lb_set_int(L, "modified", (uint64_t)st.st_mtim.tv_sec * 1000000000 +
		(uint64_t)st.st_mtim.tv_nsec);
	return 1;
}

static int text_sum(lua_State *L)
{
	size_t n;
	const char *text = luaL_checklstring(L, 1, &n);

	lua_pushinteger(L, lb_crc32c(0, text, n));
	return 1;
}

/* ---- registration -------------------------------------------------------------------------- */

static const luaL_Reg writer_methods[] = {
	{ "header", writer_header },
	{ "close", writer_close },
	{ NULL, NULL },
};

static const luaL_Reg writer_meta[] = {
	{ "__gc", writer_close },
	{ "__close", writer_close },
	{ NULL, NULL },
};

static const luaL_Reg output_methods[] = {
	{ "write", output_write },
	{ "rows", output_rows },
	{ "flush", output_flush },
	{ "sync", output_sync },
	{ "seek", output_seek },
	{ "position", output_position },
	{ "take", output_take },
	{ "permit", output_permit },
	{ "remove", output_remove },
	{ "fd", output_fd },
	{ "close", output_close },
	{ NULL, NULL },
};

static const luaL_Reg output_meta[] = {
	{ "__gc", output_close },
	{ "__close", output_close },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "row_writer", writer_new },
	{ "output", output_new },
	{ "rename", file_rename },
	{ "replace_file", file_replace },
	{ "can_replace", file_can_replace },
	{ "temporary_file", file_temporary },
	{ "file_status", file_status },
	{ "crc32c", text_sum },
	{ NULL, NULL },
};

void lb_open_output(lua_State *L)
{
	lb_newclass(L, LB_ROW_WRITER, writer_methods, writer_meta);
	lb_newclass(L, LB_OUTPUT, output_methods, output_meta);
	luaL_setfuncs(L, functions, 0);
	lb_set_text(L, "beside", LB_OUT_BESIDE);
}
