/* SPDX-License-Identifier: MIT */
/*
 * Ctrl-C at the prompt. While code of the user's runs (core.guarded) it raises "interrupted" at the
 * next instruction, as lua5.4 does: by a debug hook, which waits inside luabpf look for too
 * (lb_ask_hook). At any other time it is only noted (core.interrupted), for whoever reads a line.
 *
 * A hook is of one coroutine: code in another one goes on until it is left. So the fourth Ctrl-C
 * that nothing has answered ends the process, as it would without the prompt.
 */
#include "bind/prompt/interrupt.h"

#include "bind/base.h"

#include <signal.h>

#define MOST_UNANSWERED 3

static lua_State *volatile running;
static volatile sig_atomic_t caught;
static struct sigaction before;
static bool taken;

static void stop(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_sethook(L, NULL, 0, 0);
	lua_pushliteral(L, "interrupted");
	lua_error(L);
}

static void on_interrupt(int number)
{
	lua_State *L = running;

	if (++caught > MOST_UNANSWERED)
		signal(number, SIG_DFL);
	if (L)
		lua_sethook(L, stop, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

bool lb_interrupted(void)
{
	bool was = caught != 0;

	caught = 0;
	return was;
}

/* core.interrupted(): whether Ctrl-C came since this was asked the last time. */
static int interrupted(lua_State *L)
{
	lua_pushboolean(L, lb_interrupted());
	return 1;
}

/* core.take_interrupts(yes): Ctrl-C is the prompt's from now on, or what it was before. */
static int take_interrupts(lua_State *L)
{
	struct sigaction action = { .sa_handler = on_interrupt };
	bool yes = lua_toboolean(L, 1);

	if (yes == taken)
		return 0;
	sigemptyset(&action.sa_mask);
	if (yes)
		sigaction(SIGINT, &action, &before);
	else
		sigaction(SIGINT, &before, NULL);
	taken = yes;
	return 0;
}

/*
 * core.guarded(handler, f, ...): true and what f returns; false and what the message handler made
 * of its error. Ctrl-C raises in f.
 */
static int guarded(lua_State *L)
{
	lua_State *outer = running;
	int status;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	luaL_checkany(L, 2);
	caught = 0;
	running = L;
	status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 1);
	running = outer;
	caught = 0;
	if (lua_gethook(L) == stop)
		lua_sethook(L, NULL, 0, 0);
	lua_pushboolean(L, status == LUA_OK);
	lua_replace(L, 1);
	return lua_gettop(L);
}

static const luaL_Reg functions[] = {
	{ "interrupted", interrupted },
	{ "take_interrupts", take_interrupts },
	{ "guarded", guarded },
	{ NULL, NULL },
};

void lb_open_interrupt(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
