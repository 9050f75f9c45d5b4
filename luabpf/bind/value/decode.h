/* SPDX-License-Identifier: MIT */
/* Bytes to Lua values, along the types of a layout. */
#ifndef LUABPF_BIND_VALUE_DECODE_H
#define LUABPF_BIND_VALUE_DECODE_H

#include "lib/layout/layout.h"

#include <lua.h>

/* Pushes the value of a type at p: one Lua value. Raises only when out of memory. */
void lb_push_type(lua_State *L, const struct lb_type *type, const void *p);
/* The same for a member of the struct at base, with its bit offset and width. */
void lb_push_member(lua_State *L, const struct lb_member *m, const void *base);
/* The padding of the struct or union at p: a string, or nil where all its bits are zero. */
void lb_push_padding(lua_State *L, const struct lb_type *type, const void *p);
/*
 * What has no size of its own, text, bytes or an array without a length at the
 * end of a record: size bytes at p.
 */
void lb_push_rest(lua_State *L, const struct lb_type *type, const void *p, uint32_t size);

#endif

