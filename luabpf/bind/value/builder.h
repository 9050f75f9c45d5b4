/* SPDX-License-Identifier: MIT */
/*
 * Tables made fast: a struct that is decoded often gets a Lua function, compiled
 * for its type, that takes the fields and returns the table. The function is
 * what a programmer would write,
 *
 *	function(a1, a2, a3) return { ["src"] = a1, ["to"] = { ["addr"] = a2, ["port"] = a3 } } end
 *
 * and Lua makes such tables at half the cost of setting the fields one by one
 * from C. One for keys and values together returns both, for one call. Plain
 * integers are loaded here, other fields by codec.c.
 *
 * And tables read fast: the names of a struct that is encoded often are kept as
 * Lua strings. Lua has one string for all short texts that are equal, so that a
 * key of a table is a name if it is that very object.
 */
#ifndef LUABPF_BIND_VALUE_BUILDER_H
#define LUABPF_BIND_VALUE_BUILDER_H

#include "lib/layout/layout.h"

#include <lua.h>

struct lb_made_field;

struct lb_builder {
	int function;			/* reference in the registry; 0: none yet */
	uint32_t uses;			/* until it is made */
	uint32_t n, first;		/* fields; those of the first type */
	struct lb_made_field *fields;	/* n, malloc'd */
	uint32_t ngaps, first_gaps;	/* padding; that of the first type */
	struct lb_gap *gaps;		/* ngaps, malloc'd */
	int strings;			/* reference of a list that keeps the names; 0: none yet */
	uint32_t reads;			/* until it is made */
	const void **names;		/* of the members, as lua_topointer gives them; malloc'd */
};

/* Whether it has a function, which the 32nd use makes if the types allow one. The second: or NULL. */
bool lb_builder_ready(lua_State *L, struct lb_builder *b, const struct lb_type *first,
		      const struct lb_type *second);
/*
 * Pushes what is at p, of the first type, and what is at q, of the second if there is one. False,
 * with nothing pushed, where padding is not zero: its fields are not among those of the function.
 */
bool lb_builder_push(lua_State *L, const struct lb_builder *b, const void *p, const void *q);
/*
 * The names of the members of a struct, in their order, which the 32nd use finds; NULL before,
 * and for types that are no struct or have unions.
 */
const void *const *lb_builder_names(lua_State *L, struct lb_builder *b, const struct lb_type *type);
/* Whether it has learned something of its type, which then must stay. */
bool lb_builder_used(const struct lb_builder *b);
/*
 * Pushes n builders, a userdata of its own: whoever uses them can be finalized by hand while
 * one of them makes a table, and this cannot.
 */
struct lb_builder *lb_builders_push(lua_State *L, uint32_t n);

#endif
