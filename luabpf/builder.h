/* SPDX-License-Identifier: MIT */
/*
 * Tables made fast: a struct that is decoded often gets a Lua function, compiled
 * for its type, that takes the fields and returns the table. The function is
 * what a programmer would write,
 *
 *	function(a1, a2, a3) return { ["src"] = a1, ["to"] = { ["addr"] = a2, ["port"] = a3 } } end
 *
 * and Lua makes such tables at half the cost of setting the fields one by one
 * from C. The fields themselves are still decoded by codec.c.
 */
#ifndef LUABPF_BUILDER_H
#define LUABPF_BUILDER_H

#include "layout.h"

#include <lua.h>

struct lb_builder {
	int function;			/* reference in the registry; 0: none yet */
	uint32_t uses;			/* until it is made */
	uint32_t n;
	struct lb_member *fields;	/* n, offsets from the start of the value; malloc'd */
};

/* Whether it has a function, which the 32nd use makes if the type allows one. */
bool lb_builder_ready(lua_State *L, struct lb_builder *b, const struct lb_type *type);
/* Pushes the table of the value at p. */
void lb_builder_push(lua_State *L, const struct lb_builder *b, const void *p);
/* Forgets the function: for another type, or for good. Zeroed memory is a builder. */
void lb_builder_reset(lua_State *L, struct lb_builder *b);

#endif
