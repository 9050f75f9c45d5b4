/* SPDX-License-Identifier: MIT */
/* Errors that say where in the caller's arguments a value stands: "keys[17].src_port: ...". */
#include "bind/value/path.h"

#include <lauxlib.h>
#include <stdio.h>

static void add_path(luaL_Buffer *b, const struct lb_path *path)
{
	char index[32];

	if (path->up)
		add_path(b, path->up);
	if (!path->name) {
		snprintf(index, sizeof(index), "[%lld]", (long long)path->index);
		luaL_addstring(b, index);
		return;
	}
	if (path->up)
		luaL_addchar(b, '.');
	luaL_addstring(b, path->name);
}

int lb_path_error(lua_State *L, const struct lb_path *path, const char *fmt, ...)
{
	char message[512];
	luaL_Buffer b;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	luaL_where(L, 1);
	luaL_buffinit(L, &b);
	if (path) {
		add_path(&b, path);
		luaL_addstring(&b, ": ");
	}
	luaL_addstring(&b, message);
	luaL_pushresult(&b);
	lua_concat(L, 2);
	return lua_error(L);
}
