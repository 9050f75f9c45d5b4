/* SPDX-License-Identifier: MIT */
/* The class luabpf.layout (layout.c), which holds a struct lb_layout for Lua. */
#ifndef LUABPF_BIND_VALUE_LAYOUT_H
#define LUABPF_BIND_VALUE_LAYOUT_H

#include "lib/layout/layout.h"

#include <lua.h>

#define LB_LAYOUT "luabpf.layout"

/* User values of its handles: the memory; what views have found out about the root (view.c). */
enum { LB_LAYOUT_MEMORY = 1, LB_LAYOUT_NAMES, LB_LAYOUT_UVALUES = LB_LAYOUT_NAMES };

/*
 * Pushes a new luabpf.layout that layout is moved into, and returns its root; NULL pushes nil.
 * Frees it when out of memory.
 */
const struct lb_type *lb_layout_push(lua_State *L, struct lb_layout *layout);
/* The layout at idx, or NULL if the value there is not one. */
const struct lb_layout *lb_layout_test(lua_State *L, int idx);

#endif

