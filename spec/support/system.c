/* SPDX-License-Identifier: MIT */
/*
 * System calls that specs need and Lua does not have. spec/support/system.lua
 * loads it; no part of luabpf.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

/* system.fork(): 0 in the child, its number in the parent. */
static int do_fork(lua_State *L)
{
	lua_pushinteger(L, fork());
	return 1;
}

/* system.exit(code): at once, without anything that closes or flushes. */
static int do_exit(lua_State *L)
{
	_exit((int)luaL_checkinteger(L, 1));
}

/* system.wait(pid): "exit" or "signal", and its number. One that hangs is killed after 20 s. */
static int do_wait(lua_State *L)
{
	pid_t pid = (pid_t)luaL_checkinteger(L, 1), ended = 0;
	int status = 0;

	for (int i = 0; i < 2000 && ended == 0; i++) {
		ended = waitpid(pid, &status, WNOHANG);
		if (ended == 0)
			usleep(10000);
	}
	if (ended == 0) {
		kill(pid, SIGKILL);
		ended = waitpid(pid, &status, 0);
	}
	if (ended < 0)
		return luaL_error(L, "no such child");
	lua_pushstring(L, WIFEXITED(status) ? "exit" : "signal");
	lua_pushinteger(L, WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
	return 2;
}

static int do_kill(lua_State *L)
{
	lua_pushboolean(L, kill((pid_t)luaL_checkinteger(L, 1), (int)luaL_checkinteger(L, 2)) == 0);
	return 1;
}

static void handle(int number)
{
	(void)number;
	signals++;
}

/* system.storm(us): a SIGALRM that is handled, again and again after so many; 0: no more. */
static int do_storm(lua_State *L)
{
	suseconds_t us = (suseconds_t)luaL_checkinteger(L, 1);
	const struct itimerval timer = { { 0, us }, { 0, us } };
	struct sigaction action = { .sa_handler = handle };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	lua_pushinteger(L, signals);
	return 1;
}

static lua_State *interrupted;

static void raise_it(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	lua_sethook(L, NULL, 0, 0);
	luaL_error(L, "interrupted!");
}

/* As lua5.4 does for Ctrl-C. */
static void set_hook(int number)
{
	(void)number;
	lua_sethook(interrupted, raise_it, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT,
		    1);
}

/* system.interrupt(us): what lua5.4 does for Ctrl-C, after so many. */
static int do_interrupt(lua_State *L)
{
	suseconds_t us = (suseconds_t)luaL_checkinteger(L, 1);
	const struct itimerval timer = { { 0, 0 }, { 0, us } };
	struct sigaction action = { .sa_handler = set_hook };

	interrupted = L;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	return 0;
}

/* system.limit("files" or "file_size", n): the soft limit; returns the one before. */
static int do_limit(lua_State *L)
{
	static const char *const names[] = { "files", "file_size", NULL };
	static const int resources[] = { RLIMIT_NOFILE, RLIMIT_FSIZE };
	int resource = resources[luaL_checkoption(L, 1, NULL, names)];
	lua_Integer n = luaL_checkinteger(L, 2);
	struct rlimit limit;

	getrlimit((__rlimit_resource_t)resource, &limit);
	lua_pushinteger(L, limit.rlim_cur == RLIM_INFINITY ? -1 : (lua_Integer)limit.rlim_cur);
	limit.rlim_cur = n < 0 ? limit.rlim_max : (rlim_t)n;
	lua_pushboolean(L, setrlimit((__rlimit_resource_t)resource, &limit) == 0);
	return 2;
}

static lua_Alloc allocate;
static void *allocator;
static lua_Integer left;

static void *failing(void *ud, void *block, size_t old, size_t size)
{
	(void)ud;
	if (left > 0 && size > (block ? old : 0) && --left < 2)
		return NULL;
	return allocate(allocator, block, old, size);
}

/* system.fail_allocation(n): the n-th from now on, and Lua's second try of it; 0: none. */
static int do_fail_allocation(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 1);

	if (!allocate)
		allocate = lua_getallocf(L, &allocator);
	left = n ? n + 1 : 0;
	lua_setallocf(L, n ? failing : allocate, n ? NULL : allocator);
	return 0;
}

/* system.raise(number): a signal for this process. */
static int do_raise(lua_State *L)
{
	kill(getpid(), (int)luaL_checkinteger(L, 1));
	return 0;
}

/* system.umask(mode): returns the one before. */
static int do_umask(lua_State *L)
{
	lua_pushinteger(L, umask((mode_t)luaL_checkinteger(L, 1)));
	return 1;
}

static const char *run_in_state(const char *code, const char *path, const char *cpath)
{
	static char message[256];
	lua_State *L = luaL_newstate();
	const char *failed = NULL;

	luaL_openlibs(L);
	lua_getglobal(L, "package");
	lua_pushstring(L, path);
	lua_setfield(L, -2, "path");
	lua_pushstring(L, cpath);
	lua_setfield(L, -2, "cpath");
	if (luaL_dostring(L, code)) {
		snprintf(message, sizeof(message), "%s", luaL_tolstring(L, -1, NULL));
		failed = message;
	}
	lua_close(L);
	return failed;
}

/*
 * system.states(n, code): runs the code in n states, one after the other, each of
 * which is closed. Bytes from malloc that are held after it beyond those before.
 */
static int do_states(lua_State *L)
{
	lua_Integer n = luaL_checkinteger(L, 1);
	const char *code = luaL_checkstring(L, 2), *failed = NULL, *path, *cpath;
	size_t before;

	lua_getglobal(L, "package");
	lua_getfield(L, -1, "path");
	path = lua_tostring(L, -1);
	lua_getfield(L, -2, "cpath");
	cpath = lua_tostring(L, -1);
	lua_gc(L, LUA_GCCOLLECT);
	before = mallinfo2().uordblks + mallinfo2().hblkhd;
	for (lua_Integer i = 0; i < n && !failed; i++)
		failed = run_in_state(code, path, cpath);
	lua_pushinteger(L, (lua_Integer)(mallinfo2().uordblks + mallinfo2().hblkhd - before));
	return failed ? luaL_error(L, "%s", failed) : 1;
}

static const luaL_Reg functions[] = {
	{ "fork", do_fork },
	{ "exit", do_exit },
	{ "wait", do_wait },
	{ "kill", do_kill },
	{ "storm", do_storm },
	{ "interrupt", do_interrupt },
	{ "limit", do_limit },
	{ "fail_allocation", do_fail_allocation },
	{ "raise", do_raise },
	{ "umask", do_umask },
	{ "states", do_states },
	{ NULL, NULL },
};

__attribute__((visibility("default"))) int luaopen_system(lua_State *L);

int luaopen_system(lua_State *L)
{
	luaL_newlib(L, functions);
	return 1;
}
