/* SPDX-License-Identifier: MIT */
/*
 * The codec (codec.c): whole keys and values to Lua values and back.
 */
#ifndef LUABPF_BIND_VALUE_CODEC_H
#define LUABPF_BIND_VALUE_CODEC_H

#include "bind/value/path.h"
#include "lib/layout/layout.h"

#include <lua.h>

/*
 * Pushes the value of the shape at p: one Lua value. raw: a binary string; of
 * a per-CPU value, a list of them. Raises only when out of memory.
 */
void lb_push(lua_State *L, const struct lb_shape *shape, const void *p, bool raw);

/*
 * Encodes the Lua value at index idx into the shape->stride bytes at out,
 * padding zeroed unless it is given. A per-CPU value is a list. raw: strings are
 * the bytes themselves, of a per-CPU value also those of all CPUs.
 * No metamethod runs. Raises an error that begins with the path.
 */
void lb_encode(lua_State *L, int idx, const struct lb_shape *shape, void *out, bool raw,
	       const struct lb_path *path);

/*
 * Encodes the value at idx into a member of the struct at base, where one is already: other
 * bytes are left as they are, and all where it raises. No struct or list.
 */
void lb_encode_member(lua_State *L, int idx, const struct lb_member *m, uint8_t *base,
		      const struct lb_path *path);

/* Pushes the names of the fields of a struct, as many as a message has room for. */
void lb_push_names(lua_State *L, const struct lb_type *type);

#endif

