/* SPDX-License-Identifier: MIT */
/*
 * The texts of help, which are read and take memory only when somebody asks:
 * they lie in the module.
 */
#include "bind/base.h"
#include "bind/help_texts.h"

#include <string.h>

/* core.help_texts(): a table of them by the name of a function or table. */
static int help_texts(lua_State *L)
{
	const char *at = TEXTS;

	lua_newtable(L);
	while (*at) {
		const char *text = at + strlen(at) + 1;

		lua_pushstring(L, text);
		lua_setfield(L, -2, at);
		at = text + strlen(text) + 1;
	}
	return 1;
}

void lb_open_help(lua_State *L)
{
	lua_pushcfunction(L, help_texts);
	lua_setfield(L, -2, "help_texts");
}
