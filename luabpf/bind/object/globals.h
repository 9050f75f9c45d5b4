/* SPDX-License-Identifier: MIT */
/* The global variables of an object, for object.c. */
#ifndef LUABPF_BIND_OBJECT_GLOBALS_H
#define LUABPF_BIND_OBJECT_GLOBALS_H

#include "lib/layout/datasec.h"

#include <lua.h>

/*
 * Pushes the proxy of the global variables of a loaded object, which needs
 * the object no longer. Returns 1, or 3 with nil, message, errno.
 */
int lb_globals_push(lua_State *L, const struct bpf_object *obj, const char *path);
/*
 * Sets the initial value of the variable called name to the Lua value at
 * idx, before the object is loaded. Raises if that is not possible.
 */
void lb_global_init(lua_State *L, const struct bpf_object *obj, const char *name, int idx);

#endif
