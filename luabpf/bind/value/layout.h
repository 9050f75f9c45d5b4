/* SPDX-License-Identifier: MIT */
/* The class luabpf.layout (layout.c), which holds a struct lb_layout for Lua. */
#ifndef LUABPF_BIND_VALUE_LAYOUT_H
#define LUABPF_BIND_VALUE_LAYOUT_H

#include "lib/layout/layout.h"

#include <lua.h>

#define LB_LAYOUT "luabpf.layout"
/* A field of the registry that is not nil in a state which is being closed, all its work done. */
#define LB_CLOSING "luabpf.closing"

/* Pushes a new luabpf.layout that owns layout; NULL pushes nil. Frees it when out of memory. */
void lb_layout_push(lua_State *L, struct lb_layout *layout);
/* The layout at idx, or NULL if the value there is not one. */
const struct lb_layout *lb_layout_test(lua_State *L, int idx);

#endif

