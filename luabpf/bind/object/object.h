/* SPDX-License-Identifier: MIT */
/*
 * What the classes of BPF objects share: luabpf.object (object.c), its global
 * variables (globals.c), luabpf.program (prog.c), luabpf.link (link.c).
 */
#ifndef LUABPF_OBJECT_H
#define LUABPF_OBJECT_H

#include "lib/kernel/attach.h"
#include "lib/layout/datasec.h"
#include "bind/base.h"

struct lb_object {
	struct bpf_object *obj;		/* NULL: closed */
};

/*
 * Pushes a handle for a loaded program of the object at index object, with a
 * descriptor of its own. Returns 1, or 3 with nil, message, errno.
 */
int lb_program_push(lua_State *L, int object, struct bpf_program *prog);

/* Pushes a closed link, to be filled by an lb_attach_*; description is for tostring. */
struct lb_link *lb_link_push(lua_State *L, const char *description);

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
