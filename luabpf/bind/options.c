/* SPDX-License-Identifier: MIT */
/*
 * Options of functions in C. Those that are right are read here, without a call;
 * for others the function that options.lua has left with core.refuse_options_with
 * is called, and raises.
 */
#include "bind/options.h"

#include "bind/base.h"

#include <string.h>

#define REFUSE "luabpf.options.refuse"

const char *lb_function_title(const char *function)
{
	const char *at = strpbrk(function, ":.");

	return at ? at + 1 : function;
}

static bool is_one_of(const char *text, const char *const *choices)
{
	while (*choices && strcmp(*choices, text) != 0)
		choices++;
	return *choices != NULL;
}

const char *const lb_any_bytes[] = { NULL };

/* The string at idx, of which no part is behind a zero byte; else NULL. */
static const char *whole(lua_State *L, int idx)
{
	const char *text = lua_type(L, idx) == LUA_TSTRING ? lua_tostring(L, idx) : NULL;

	return text && strlen(text) == lua_rawlen(L, idx) ? text : NULL;
}

/* C sees no more of a text than what is before a zero byte. */
static void check_text(lua_State *L, const char *function, const struct lb_option *known)
{
	if (known->type == LUA_TSTRING && known->choices != lb_any_bytes && !whole(L, -1))
		lb_misuse(L, "%s: option '%s': a text with a NUL byte",
			  lb_function_title(function), known->name);
}

/* Whether the pair at the top, name and value, is an option that is known. */
static bool is_known(lua_State *L, const char *function, const struct lb_option *known)
{
	const char *name = whole(L, -2);

	name = name ? name : "";
	while (known->name && strcmp(known->name, name) != 0)
		known++;
	if (!known->name || (known->type != LUA_TNONE && lua_type(L, -1) != known->type))
		return false;
	check_text(L, function, known);
	return !known->choices || known->choices == lb_any_bytes ||
	       is_one_of(lua_tostring(L, -1), known->choices);
}

static void refuse(lua_State *L, int idx, const char *function)
{
	if (lua_getfield(L, LUA_REGISTRYINDEX, REFUSE) == LUA_TFUNCTION) {
		lua_pushstring(L, function);
		lua_pushvalue(L, idx);
		lua_call(L, 2, 0);
	}
	luaL_error(L, "%s: options refused", lb_function_title(function));
}

bool lb_options(lua_State *L, int idx, const char *function, const struct lb_option *known)
{
	if (lua_isnoneornil(L, idx))
		return false;
	if (!lua_istable(L, idx))
		refuse(L, idx, function);
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		if (!is_known(L, function, known))
			refuse(L, idx, function);
	return true;
}

int lb_option_choice(lua_State *L, int idx, const char *name, const char *const *choices, int def)
{
	int i = def;

	if (lua_getfield(L, idx, name) == LUA_TSTRING)
		for (i = 0; choices[i] && strcmp(choices[i], lua_tostring(L, -1)) != 0;)
			i++;
	lua_pop(L, 1);
	return i;
}

lua_Integer lb_option_integer(lua_State *L, int idx, const char *function, const char *name,
			      lua_Integer min, lua_Integer max, lua_Integer def)
{
	lua_Integer v = def;
	int exact = 1;

	if (lua_getfield(L, idx, name) != LUA_TNIL)
		v = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : min - 1;
	if (!exact || (!lua_isnil(L, -1) && (v < min || v > max)))
		luaL_error(L, "%s: option '%s': integer from %I to %I expected, got %s",
			   lb_function_title(function), name, (LUAI_UACINT)min, (LUAI_UACINT)max,
			   luaL_tolstring(L, -1, NULL));
	lua_pop(L, 1);
	return v;
}

/* core.refuse_options_with(function): is called with the name of a function and its options. */
static int refuse_options_with(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, REFUSE);
	return 0;
}

void lb_open_options(lua_State *L)
{
	lua_pushcfunction(L, refuse_options_with);
	lua_setfield(L, -2, "refuse_options_with");
}
