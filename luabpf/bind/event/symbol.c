/* SPDX-License-Identifier: MIT */
/*
 * Names of addresses, for stacks: core.symbol(address, pid or nil).
 */
#include "bind/base.h"
#include "lib/kernel/kallsyms.h"
#include "lib/kernel/procsyms.h"

#include <errno.h>

/* Longer names, which C++ has, are cut. */
#define MOST_NAME 1024

/* What was refused: nil, message, errno. */
static int refused(lua_State *L, int err, lua_Integer pid)
{
	if (err == -EACCES && !pid)
		return lb_fail(L, EACCES, "symbol: all addresses in /proc/kallsyms are zero to this "
			       "process: CAP_SYSLOG shows them (unless kernel.kptr_restrict is 2)");
	if (pid)
		return lb_fail(L, -err, "symbol: process %I", (LUAI_UACINT)pid);
	return lb_fail(L, -err, "symbol: /proc/kallsyms");
}

/*
 * core.symbol(address, pid): the name of an address of the kernel, or of that
 * process; nil where it has none; nil, message, errno.
 */
static int symbol(lua_State *L)
{
	uint64_t address = (uint64_t)luaL_checkinteger(L, 1);
	lua_Integer pid = lua_isnoneornil(L, 2) ? 0 : lb_check_int(L, 2, 1, INT32_MAX);
	char text[MOST_NAME];
	int found = pid ? lb_procsyms_name((int)pid, address, text, sizeof(text))
			: lb_kallsyms_name(address, text, sizeof(text));

	if (found < 0)
		return refused(L, found, pid);
	if (found)
		lua_pushstring(L, text);
	else
		luaL_pushfail(L);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "symbol", symbol },
	{ NULL, NULL },
};

void lb_open_symbol(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
