/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.row_reader: rows of JSON lines or CSV from a file, as batches of
 * a map's keys and values. Internal to lua/luabpf/file/import.lua.
 *
 *	r = core.row_reader(map, format, path or file handle, batch_size)
 *	batch = r:next()		nil at the end; nil, message, errno
 *	offset, line = r:position()	behind the last batch
 *	r:seek(offset, line)
 *
 * A row that is wrong ends its batch: those before it are handed out first.
 */
#include "bind/map/batch.h"
#include "bind/map/lender.h"
#include "lib/file/fdwrite.h"
#include "lib/file/rowreader.h"
#include "lib/layout/address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LB_ROW_READER "luabpf.row_reader"
/* Bytes read at a time, and that a row may have beside what its key and value take. */
#define BLOCK ((size_t)256 << 10)
#define LONGEST ((size_t)16 << 20)
/* Bytes of the keys and values of a batch, unless it has one row. */
#define BATCH_BYTES ((size_t)16 << 20)

/* User values: the map; a list of its layouts and the file handle. */
enum { MAP = 1, KEPT, UVALUES = KEPT };

struct row_reader {
	struct lb_lender lender;
	struct lb_map *map;
	struct lb_row_reader *r;
	FILE *file;
	luaL_Stream *stream;		/* the caller's file; NULL: our own */
	char *buf;			/* malloc'd; rows not yet read are from start to end */
	size_t start, end, room, longest;
	bool ended;			/* no more text comes */
	uint64_t offset, line;		/* of the row at start; lines from 1 */
	uint8_t *keys, *values;		/* malloc'd */
	uint32_t capacity;
	int err;			/* what is wrong with the row at start; 0: nothing */
	struct lb_asked asked;		/* while text is waited for */
};

static struct row_reader *check_reader(lua_State *L)
{
	struct row_reader *rr = lb_checkudata(L, 1, LB_ROW_READER);

	luaL_argcheck(L, rr->r, 1, "row reader is closed");
	if (rr->stream)
		luaL_argcheck(L, rr->stream->closef, 1, "the file was closed");
	rr->asked = (struct lb_asked){ lb_ask_hook, L };
	return rr;
}

/* ---- text ------------------------------------------------------------------------- */

static int make_room(struct row_reader *rr)
{
	size_t used = rr->end - rr->start, room = rr->room ? 2 * rr->room : BLOCK;
	char *buf;

	if (rr->start > 0)
		memmove(rr->buf, rr->buf + rr->start, used);
	rr->start = 0;
	rr->end = used;
	if (rr->room - used >= BLOCK / 2)
		return 0;
	if (rr->room > rr->longest)
		return -EMSGSIZE;
	buf = realloc(rr->buf, room);
	if (!buf)
		return -ENOMEM;
	rr->buf = buf;
	rr->room = room;
	return 0;
}

/* More text behind rr->end. */
static int fill(struct row_reader *rr)
{
	int err = make_room(rr);
	size_t n;

	if (err)
		return err;
	errno = 0;
	n = fread(rr->buf + rr->end, 1, rr->room - rr->end, rr->file);
	err = ferror(rr->file) ? errno ? -errno : -EIO : 0;
	/* What stays set would be taken for an error of the next call. */
	if (err)
		clearerr(rr->file);
	rr->end += n;
	rr->ended = n == 0 && !err;
	return n ? 0 : err == -EINTR ? lb_ask(&rr->asked) : err;
}

/* Bytes of the next row; 0 at the end. */
static int64_t next_row(struct row_reader *rr)
{
	for (;;) {
		size_t left = rr->end - rr->start, n = 0;
		int err;

		if (left)
			n = lb_row_reader_length(rr->r, rr->buf + rr->start, left, rr->ended);
		if (n || rr->ended)
			return (int64_t)n;
		err = fill(rr);
		if (err)
			return err;
	}
}

/* How many line ends there are in a row. */
static uint64_t count_lines(const char *text, size_t n)
{
	uint64_t lines = 0;
	const char *p;

	for (; (p = memchr(text, '\n', n)); text = p + 1) {
		n -= (size_t)(p + 1 - text);
		lines++;
	}
	return lines;
}

static void pass(struct row_reader *rr, size_t n, uint64_t lines)
{
	rr->start += n;
	rr->offset += n;
	rr->line += lines;
}

/* Reads the n bytes of the next row into place number i. 1; 0 if it is blank; -errno. */
static int read_row(struct row_reader *rr, size_t n, uint32_t i)
{
	const struct lb_map *m = rr->map;
	char *text = rr->buf + rr->start;
	uint64_t lines = count_lines(text, n);

	if (lb_row_reader_blank(rr->r, text, n)) {
		pass(rr, n, lines);
		return 0;
	}
	if (!lb_row_reader_read(rr->r, text, n, rr->keys + (size_t)i * m->key.stride,
			   rr->values + (size_t)i * m->value.stride))
		return -EBADMSG;
	if (lb_can(&m->k, LB_PREFIX_KEY))
		lb_prefix_clear(rr->keys + (size_t)i * m->key.stride, m->key.size);
	pass(rr, n, lines);
	return 1;
}

/* Rows until the batch is full, the end, or one that is wrong. How many; rr->err. */
static uint32_t read_rows(struct row_reader *rr)
{
	uint32_t n = 0;

	while (n < rr->capacity && !rr->err) {
		int64_t bytes = next_row(rr);
		int got = bytes > 0 ? read_row(rr, (size_t)bytes, n) : (int)bytes;

		if (got < 0)
			rr->err = got;
		else if (bytes == 0)
			break;
		else
			n += (uint32_t)got;
	}
	return n;
}

/* A mark that some programs put at the start of a file: UTF-8 of U+FEFF. */
static int pass_mark(struct row_reader *rr)
{
	while (rr->end - rr->start < 3 && !rr->ended) {
		int err = fill(rr);

		if (err)
			return err;
	}
	if (rr->end - rr->start >= 3 && memcmp(rr->buf, "\xef\xbb\xbf", 3) == 0)
		pass(rr, 3, 0);
	return 0;
}

static int read_header(struct row_reader *rr)
{
	int64_t n = next_row(rr);
	uint64_t lines;

	if (n <= 0)
		return (int)n;
	lines = count_lines(rr->buf + rr->start, (size_t)n);
	if (!lb_row_reader_header(rr->r, rr->buf + rr->start, (size_t)n))
		return -EBADMSG;
	pass(rr, (size_t)n, lines);
	return 0;
}

/* ---- the class ------------------------------------------------------------------------ */

static int refused(lua_State *L, const struct row_reader *rr, int err)
{
	if (err != -EBADMSG && err != -EMSGSIZE)
		return lb_refuse(L, -err);
	luaL_pushfail(L);
	if (err == -EBADMSG)
		lua_pushfstring(L, "line %I: %s", (LUAI_UACINT)rr->line,
				lb_row_reader_problem(rr->r));
	else
		lua_pushfstring(L, "line %I: longer than %I bytes", (LUAI_UACINT)rr->line,
				(LUAI_UACINT)rr->longest);
	lua_pushinteger(L, -err);
	return 3;
}

static int open_file(lua_State *L, struct row_reader *rr)
{
	if (lua_type(L, 3) == LUA_TSTRING) {
		int fd = lb_open_file(lb_check_path(L, 3), O_RDONLY, 0, &rr->asked);

		if (fd < 0)
			return fd;
		rr->file = fdopen(fd, "rb");
		if (!rr->file)
			close(fd);
		return rr->file ? 0 : -ENOMEM;
	}
	rr->stream = lb_checkudata(L, 3, LUA_FILEHANDLE);
	luaL_argcheck(L, rr->stream->closef, 3, "closed file");
	rr->file = rr->stream->f;
	return 0;
}

static int open_rows(struct row_reader *rr, enum lb_row_format format, uint32_t want)
{
	const struct lb_map *m = rr->map;
	size_t entry = (size_t)m->key.stride + m->value.stride;

	rr->capacity = want;
	if (entry * want > BATCH_BYTES)
		rr->capacity = (uint32_t)(BATCH_BYTES / entry) + 1;
	rr->longest = LONGEST + 64 * entry;
	rr->line = 1;
	rr->keys = malloc((size_t)rr->capacity * m->key.stride + 1);
	rr->values = malloc((size_t)rr->capacity * m->value.stride + 1);
	rr->r = lb_row_reader_new(format, &m->key, &m->value);
	return rr->keys && rr->values && rr->r ? 0 : -ENOMEM;
}

/* Keeps what the types point into. */
static void keep(lua_State *L, int reader)
{
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, reader, MAP);
	lua_createtable(L, 3, 0);
	lua_getiuservalue(L, 1, LB_MAP_KEY_LAYOUT);
	lua_rawseti(L, -2, 1);
	lua_getiuservalue(L, 1, LB_MAP_VALUE_LAYOUT);
	lua_rawseti(L, -2, 2);
	lua_pushvalue(L, 3);
	lua_rawseti(L, -2, 3);
	lua_setiuservalue(L, reader, KEPT);
}

/* core.row_reader(map, "jsonl" or "csv", path or file, batch_size) */
static int reader_new(lua_State *L)
{
	static const char *const formats[] = { "jsonl", "csv", NULL };
	struct lb_map *m = lb_check_map(L, 1);
	enum lb_row_format format = (enum lb_row_format)luaL_checkoption(L, 2, NULL, formats);
	uint32_t want = (uint32_t)lb_check_int(L, 4, 1, LB_MAX_CALL);
	struct row_reader *rr;
	int err;

	lua_settop(L, 4);
	rr = lua_newuserdatauv(L, sizeof(*rr), UVALUES);
	memset(rr, 0, sizeof(*rr));
	rr->map = m;
	rr->asked = (struct lb_asked){ lb_ask_hook, L };
	luaL_setmetatable(L, LB_ROW_READER);
	keep(L, 5);
	err = open_file(L, rr);
	if (!err)
		err = open_rows(rr, format, want);
	if (!err)
		err = pass_mark(rr);
	if (!err && format == LB_ROWS_CSV)
		err = read_header(rr);
	return err ? refused(L, rr, err) : 1;
}

static int reader_next(lua_State *L)
{
	struct row_reader *rr = check_reader(L);
	uint32_t n;

	lua_settop(L, 1);
	rr->lender.clock++;
	n = read_rows(rr);
	if (n == 0)
		return rr->err ? refused(L, rr, rr->err) : 0;
	lua_getiuservalue(L, 1, MAP);
	lb_batch_borrow(L, 1, 2, &rr->lender, rr->keys, rr->values, n);
	return 1;
}

static int reader_position(lua_State *L)
{
	const struct row_reader *rr = check_reader(L);

	lua_pushinteger(L, (lua_Integer)rr->offset);
	lua_pushinteger(L, (lua_Integer)rr->line);
	return 2;
}

static int reader_seek(lua_State *L)
{
	struct row_reader *rr = check_reader(L);
	lua_Integer offset = lb_check_int(L, 2, 0, INT64_MAX);
	lua_Integer line = lb_check_int(L, 3, 1, INT64_MAX);

	if (fseeko(rr->file, (off_t)offset, SEEK_SET) < 0)
		return refused(L, rr, -errno);
	rr->start = rr->end = 0;
	rr->ended = false;
	rr->err = 0;
	rr->offset = (uint64_t)offset;
	rr->line = (uint64_t)line;
	lua_pushboolean(L, true);
	return 1;
}

static int reader_close(lua_State *L)
{
	struct row_reader *rr = lb_checkudata(L, 1, LB_ROW_READER);

	rr->lender.clock++;
	lb_row_reader_free(rr->r);
	rr->r = NULL;
	if (rr->file && !rr->stream)
		fclose(rr->file);
	rr->file = NULL;
	free(rr->buf);
	rr->buf = NULL;
	free(rr->keys);
	free(rr->values);
	rr->keys = rr->values = NULL;
	return 0;
}

static const luaL_Reg methods[] = {
	{ "next", reader_next },
	{ "position", reader_position },
	{ "seek", reader_seek },
	{ "close", reader_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", reader_close },
	{ "__close", reader_close },
	{ NULL, NULL },
};

void lb_open_input(lua_State *L)
{
	lb_newclass(L, LB_ROW_READER, methods, meta);
	lua_pushcfunction(L, reader_new);
	lua_setfield(L, -2, "row_reader");
}
