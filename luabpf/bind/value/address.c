/* SPDX-License-Identifier: MIT */
/*
 * Addresses for Lua, which keys and values have decoded and expressions have as
 * text: lib/layout/address.h reads and writes them.
 *
 *	bytes = core.parse_address(kind, text)	nil for what is no such address
 *	text = core.format_address(kind, bytes)
 *
 * kind is "ipv4", "ipv6", "ip", "mac", "prefix4" or "prefix6"; the bytes of a
 * prefix begin with its length, a u32.
 */
#include "lib/layout/address.h"

#include "bind/base.h"

#include <string.h>

static const char *const names[] = { "ipv4", "ipv6", "ip", "mac", "prefix4", "prefix6", NULL };
static const struct { enum lb_kind kind; size_t size; } kinds[] = {
	{ LB_IPV4, 4 }, { LB_IPV6, 16 }, { LB_IP, 16 }, { LB_MAC, 6 },
	{ LB_PREFIX4, 8 }, { LB_PREFIX6, 20 },
};

static int parse(lua_State *L)
{
	int i = luaL_checkoption(L, 1, NULL, names);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);
	char bytes[20];

	if (strlen(text) == n && lb_address_parse(kinds[i].kind, text, bytes))
		lua_pushlstring(L, bytes, kinds[i].size);
	else
		luaL_pushfail(L);
	return 1;
}

static int format(lua_State *L)
{
	int i = luaL_checkoption(L, 1, NULL, names);
	char text[LB_ADDRESS_TEXT];
	size_t n;
	const char *bytes = luaL_checklstring(L, 2, &n);

	luaL_argcheck(L, n == kinds[i].size, 2, "wrong size");
	n = lb_address_format(kinds[i].kind, bytes, text);
	lua_pushlstring(L, text, n);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "parse_address", parse },
	{ "format_address", format },
	{ NULL, NULL },
};

void lb_open_address(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
