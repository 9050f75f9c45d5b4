/* SPDX-License-Identifier: MIT */
/*
 * Methods whose first result is told to somebody (prompt/remember.lua). The method runs in the
 * frame of what stands in its place, so that its errors name the caller's line and its own name.
 */
#include "bind/base.h"

/* Its upvalues: the method, a C function without any; who is told. */
static int noted(lua_State *L)
{
	lua_CFunction method = lua_tocfunction(L, lua_upvalueindex(1));
	int n = method(L);

	if (n == 0 || !lua_istable(L, -n) || !lua_isuserdata(L, 1))
		return n;
	lua_pushvalue(L, lua_upvalueindex(2));
	lua_pushvalue(L, 1);
	lua_pushvalue(L, -n - 2);
	lua_call(L, 2, 0);
	return n;
}

/* core.noted(method, tell): the method, after which tell(self, result) is called for a table. */
static int make_noted(lua_State *L)
{
	if (!lua_iscfunction(L, 1) || lua_getupvalue(L, 1, 1))
		return lb_misuse(L, "noted: a C function without upvalues expected");
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_pushcclosure(L, noted, 2);
	return 1;
}

void lb_open_noted(lua_State *L)
{
	lua_pushcfunction(L, make_noted);
	lua_setfield(L, -2, "noted");
}
