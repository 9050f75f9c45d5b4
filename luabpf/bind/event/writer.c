/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.writer: gives records to BPF programs through a user ring
 * buffer (Linux 6.1), on libbpf's user_ring_buffer.
 *
 *	w = core.writer(map, layout or nil)
 *	w:write(record)
 *
 * @module luabpf.bind.event.writer
 */
#include "bind/map/map.h"
#include "bind/value/builder.h"
#include "bind/value/codec.h"
#include "bind/value/layout.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

#define LB_WRITER "luabpf.writer"

/* User values: the map, the layout, which is nil for binary strings, and its builder. */
enum { MAP = 1, LAYOUT, BUILDER, UVALUES = BUILDER };

struct writer {
	struct user_ring_buffer *ring;	/* NULL: closed */
	struct lb_map *map;
	struct lb_shape shape;
};

static struct writer *check_writer(lua_State *L)
{
	struct writer *w = lb_checkudata(L, 1, LB_WRITER);

	if (!w->ring)
		lb_is_closed(L, "writer");
	return w;
}

static int writer_new(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	const struct lb_layout *layout = lb_layout_test(L, 2);
	struct writer *w;

	lua_settop(L, 2);
	if (!lb_can(&m->k, LB_EVENT_WRITE))
		return lb_map_fail(L, m, "writer", LB_ENOTSUPP);
	if (layout && lb_find_rest(layout->root))
		return lb_misuse(L, "writer: option 'layout': %s ends with the rest of a record, "
				 "which only a binary string can have", layout->root->name);
	w = lua_newuserdatauv(L, sizeof(*w), UVALUES);
	memset(w, 0, sizeof(*w));
	luaL_setmetatable(L, LB_WRITER);
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, 3, MAP);
	lua_pushvalue(L, 2);
	lua_setiuservalue(L, 3, LAYOUT);
	w->map = m;
	if (layout) {
		w->shape = (struct lb_shape){ .type = layout->root, .size = layout->root->size,
					      .stride = layout->root->size,
					      .builder = lb_builders_push(L, 1) };
		lua_setiuservalue(L, 3, BUILDER);
	}
	w->ring = user_ring_buffer__new(m->k.fd, NULL);
	return w->ring ? 1 : lb_map_fail(L, m, "writer", errno);
}

/* The bytes of the record at index 2, on the stack. */
static const void *encoded(lua_State *L, const struct writer *w, size_t *size)
{
	static const struct lb_path path = { NULL, "record", 0 };
	void *bytes;

	if (lua_type(L, 2) == LUA_TSTRING && !w->shape.type)
		return lua_tolstring(L, 2, size);
	if (!w->shape.type)
		luaL_typeerror(L, 2, "binary string (map:writer { layout = } takes tables)");
	bytes = lua_newuserdatauv(L, w->shape.size ? w->shape.size : 1, 0);
	lb_encode(L, 2, &w->shape, bytes, false, &path);
	*size = w->shape.size;
	return bytes;
}

/***
 * A writer of a user ring buffer: gives records to the BPF programs that drain it.
 * @table writer
 */

/***
 * Gives a record to the programs that drain the ring.
 * @function writer:write
 * @tparam data record bytes, or with a layout what it encodes
 * @treturn true it is written
 * @error the ring is full (ENOSPC), or smaller than the record (E2BIG)
 * @usage
 * local object <close> = assert(bpf.load "events.bpf.o")
 * local writer <close> = assert(object.maps.commands:writer { layout = "struct command" })
 * assert(writer:write { number = 1, value = 42 })
 */
static int writer_write(lua_State *L)
{
	const struct writer *w = check_writer(L);
	const void *bytes;
	size_t size = 0;
	void *place;

	luaL_checkany(L, 2);
	bytes = encoded(L, w, &size);
	w = check_writer(L);
	luaL_argcheck(L, size < UINT32_MAX, 2, "record too long");
	place = user_ring_buffer__reserve(w->ring, (uint32_t)size);
	if (!place)
		return lb_map_fail(L, w->map, errno == ENOSPC ? "write (the ring is full)" : "write",
				   errno);
	memcpy(place, bytes, size);
	user_ring_buffer__submit(w->ring, place);
	lua_pushboolean(L, true);
	return 1;
}

static void close_writer(struct writer *w)
{
	user_ring_buffer__free(w->ring);
	w->ring = NULL;
}

/***
 * Closes the writer; what was written stays for the programs. Again does nothing.
 * @function writer:close
 * @treturn true it is closed
 * @usage
 * bpf.load("events.bpf.o").maps.commands:writer():close()
 */
static int writer_close(lua_State *L)
{
	close_writer(lb_checkudata(L, 1, LB_WRITER));
	lua_pushboolean(L, true);
	return 1;
}

static int writer_closer(lua_State *L)
{
	close_writer(lb_checkudata(L, 1, LB_WRITER));
	return 0;
}

static const luaL_Reg methods[] = {
	{ "write", writer_write },
	{ "close", writer_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", writer_closer },
	{ "__close", writer_closer },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "writer", writer_new },
	{ NULL, NULL },
};

void lb_open_writer(lua_State *L)
{
	lb_newclass(L, LB_WRITER, methods, meta);
	luaL_setfuncs(L, functions, 0);
}
