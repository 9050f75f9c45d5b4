/* SPDX-License-Identifier: MIT */
/*
 * Options of functions in C. A function lists what it knows; what it is given is
 * checked against the list, then read. What is wrong is said in the words of
 * lua/luabpf/base/options.lua, which is asked to say it.
 */
#ifndef LUABPF_BIND_OPTIONS_H
#define LUABPF_BIND_OPTIONS_H

#include <lua.h>
#include <stdbool.h>

struct lb_option {
	const char *name;		/* NULL: the end of the list */
	int type;			/* LUA_TBOOLEAN, ...; LUA_TNONE: the function looks */
	const char *const *choices;	/* the texts it may be, ending with NULL; or NULL */
};
/* As choices: a string of any bytes. Others are texts, which have no zero byte. */
extern const char *const lb_any_bytes[];

/*
 * Checks the options at idx of the function that is documented by that name, as
 * "map:lookup". False: none are given. Raises for anything else.
 */
bool lb_options(lua_State *L, int idx, const char *function, const struct lb_option *known);
/* Of options that were checked, at idx: the number of the text among choices; def for nil. */
int lb_option_choice(lua_State *L, int idx, const char *name, const char *const *choices, int def);
/* An integer within min and max; def for nil. Raises for anything else. */
lua_Integer lb_option_integer(lua_State *L, int idx, const char *function, const char *name,
			      lua_Integer min, lua_Integer max, lua_Integer def);
/* What messages call a function: "lookup" of "map:lookup". */
const char *lb_function_title(const char *function);

#endif
