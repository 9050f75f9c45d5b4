/* SPDX-License-Identifier: MIT */
/* The class luabpf.program for object.c, whose programs are of it. */
#ifndef LUABPF_BIND_OBJECT_PROGRAM_H
#define LUABPF_BIND_OBJECT_PROGRAM_H

#include <bpf/libbpf.h>
#include <lua.h>

/* What a program asks of the object it came from: whether it is open still. */
struct lb_object {
	struct bpf_object *obj;		/* NULL: closed */
};

/*
 * Pushes a handle for a loaded program of the object at index object, with a
 * descriptor of its own. Returns 1, or 3 with nil, message, errno.
 */
int lb_program_push(lua_State *L, int object, struct bpf_program *prog);

#endif
