/* SPDX-License-Identifier: MIT */
/***
 * The machine: clocks, CPUs, errno names, the terminal, the boot id. What
 * Lua's own library lacks.
 *
 * @module luabpf.bind.system
 */
#include "bind/base.h"
#include "lib/kernel/clock.h"
#include "lib/kernel/kmap.h"
#include "lib/kernel/momentary.h"
#include "lib/kernel/privilege.h"
#include "lib/kernel/readfile.h"
#include "lib/kernel/signals.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static int push_clock(lua_State *L, clockid_t clock)
{
	lua_pushinteger(L, (lua_Integer)lb_clock(clock));
	return 1;
}

/***
 * The time since boot, without what the machine slept: the clock of `bpf_ktime_get_ns`.
 * @function bpf.now
 * @treturn integer nanoseconds
 * @usage
 * print(bpf.now())
 */
static int system_now(lua_State *L)
{
	return push_clock(L, CLOCK_MONOTONIC);
}

/***
 * The time since boot, with what the machine slept: the clock of `bpf_ktime_get_boot_ns`.
 * @function bpf.boottime
 * @treturn integer nanoseconds
 * @usage
 * print(bpf.boottime() >= bpf.now()) -- true
 */
static int system_boottime(lua_State *L)
{
	return push_clock(L, CLOCK_BOOTTIME);
}

/* Sleeps ns nanoseconds; returns early, with false, when a signal comes. */
static int system_sleep(lua_State *L)
{
	struct timespec ts = lb_timespec((uint64_t)lb_check_int(L, 1, 0, LUA_MAXINTEGER));

	lua_pushboolean(L, nanosleep(&ts, NULL) == 0);
	return 1;
}

/***
 * How many CPUs are possible, which is the length of per-CPU values, and how many are online.
 * @function bpf.cpus
 * @treturn integer CPUs that are possible
 * @treturn integer CPUs that are online
 * @usage
 * local possible, online = bpf.cpus()
 * print(possible, online)
 */
static int system_cpus(lua_State *L)
{
	lua_pushinteger(L, lb_possible_cpus());
	lua_pushinteger(L, sysconf(_SC_NPROCESSORS_ONLN));
	return 2;
}

/* The kernel's release text, such as "6.1.0-18-amd64". */
static int system_release(lua_State *L)
{
	struct utsname u;

	lua_pushstring(L, uname(&u) == 0 ? u.release : "unknown");
	return 1;
}

/* The id of this boot. */
static int system_boot_id(lua_State *L)
{
	lua_pushstring(L, lb_boot_id());
	return 1;
}

/* ---- folders ---------------------------------------------------------- */

#define LB_FOLDER "luabpf.folder"

static int folder_gc(lua_State *L)
{
	DIR **box = lb_checkudata(L, 1, LB_FOLDER);
	DIR *dir = *box;

	*box = NULL;
	if (dir)
		closedir(dir);
	return 0;
}

static const luaL_Reg folder_methods[] = { { NULL, NULL } };
static const luaL_Reg folder_meta[] = { { "__gc", folder_gc }, { NULL, NULL } };

/* core.list_folder(path): the names in it, but for "." and ".."; nil, reason, errno. */
static int system_list_folder(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	DIR **box = lua_newuserdatauv(L, sizeof(*box), 0);
	const struct dirent *each;
	lua_Integer n = 0;
	int err;

	*box = NULL;
	luaL_setmetatable(L, LB_FOLDER);
	lua_newtable(L);
	*box = opendir(path);
	if (!*box)
		return lb_refuse(L, errno);
	for (errno = 0; (each = readdir(*box)) != NULL; errno = 0) {
		if (strcmp(each->d_name, ".") == 0 || strcmp(each->d_name, "..") == 0)
			continue;
		lua_pushstring(L, each->d_name);
		lua_rawseti(L, -2, ++n);
	}
	err = errno;
	closedir(*box);
	*box = NULL;
	return err ? lb_refuse(L, err) : 1;
}

/* Whether a string may go on in the next line: a long bracket, or a backslash at the end of one. */
static bool may_go_on(const char *text, size_t n)
{
	const char *end = text + n;

	for (const char *at = text; (at = memchr(at, '[', (size_t)(end - at))); at++)
		if (at + 1 < end && (at[1] == '[' || at[1] == '='))
			return true;
	for (const char *at = text; (at = memchr(at, '\\', (size_t)(end - at))); at++)
		if (at + 1 < end && (at[1] == '\n' || at[1] == 'z'))
			return true;
	return false;
}

/*
 * Takes indentation and lines of comment out of a Lua text, but not the ends of
 * lines: how much is left. Memory that is touched first is most of what reading takes.
 */
static size_t without_comments(char *text, size_t n)
{
	char *to = text, *end = text + n;

	if (may_go_on(text, n))
		return n;
	for (char *line = text, *next; line < end; line = next) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next + 1 : end;
		while (line < next && (*line == ' ' || *line == '\t'))
			line++;
		if (next - line > 2 && line[0] == '-' && line[1] == '-' && next[-1] == '\n')
			line = next - 1;
		memmove(to, line, (size_t)(next - line));
		to += next - line;
	}
	return (size_t)(to - text);
}

/*
 * core.read_lua(path): the text of a Lua file of less than 64 KiB, for load: its comments are
 * left out; nil where it cannot be read. For base/later.lua, which reads many: io.open takes
 * three times as many system calls and pages.
 */
static int system_read_lua(lua_State *L)
{
	char text[64 << 10];	/* threads of a host may have small stacks */
	ssize_t n = lb_read_file(lb_check_path(L, 1), text, sizeof(text));

	if (n < 0 || n == sizeof(text))
		return 0;
	lua_pushlstring(L, text, without_comments(text, (size_t)n));
	return 1;
}

/* ---- the terminal ----------------------------------------------------- */

/* Whether descriptor fd is a terminal. */
static int system_isatty(lua_State *L)
{
	lua_pushboolean(L, isatty((int)lb_check_int(L, 1, 0, INT32_MAX)));
	return 1;
}

/* Columns and lines of the terminal at descriptor fd, or nil. */
static int system_columns(lua_State *L)
{
	struct winsize w;

	if (ioctl((int)lb_check_int(L, 1, 0, INT32_MAX), TIOCGWINSZ, &w) < 0 || w.ws_col == 0) {
		luaL_pushfail(L);
		return 1;
	}
	lua_pushinteger(L, w.ws_col);
	lua_pushinteger(L, w.ws_row);
	return 2;
}

/*
 * core.probe_map_type(id), core.probe_program_type(id),
 * core.probe_helper(program_type, helper): whether the kernel has it; nil when
 * that cannot be found out, for want of memory or descriptors, or for lack of
 * privileges: without CAP_BPF nothing can, and without the others what is there
 * may be refused like what is not.
 */
static int push_probe(lua_State *L, int result, int err)
{
	unsigned int needed = LB_CAP_BPF;
	char buf[128];

	if (result == 0)
		needed |= LB_CAP_PERFMON | LB_CAP_NET_ADMIN;
	if (result < 0 || lb_momentary(-err) || lb_missing_privileges(needed, buf, sizeof(buf)))
		luaL_pushfail(L);
	else
		lua_pushboolean(L, result);
	return 1;
}

static int system_probe_map_type(lua_State *L)
{
	int type = (int)lb_check_int(L, 1, 1, INT32_MAX);
	int result;

	errno = 0;
	result = libbpf_probe_bpf_map_type((enum bpf_map_type)type, NULL);
	return push_probe(L, result, errno);
}

/* With signals held. */
static int probe_program(int type, int *err)
{
	int result;

	errno = 0;
	result = libbpf_probe_bpf_prog_type((enum bpf_prog_type)type, NULL);
	*err = errno;
	return result;
}

static int system_probe_program_type(lua_State *L)
{
	int type = (int)lb_check_int(L, 1, 1, INT32_MAX);
	sigset_t before;
	int result, err;

	lb_signals_hold(&before);
	result = probe_program(type, &err);
	lb_signals_release(&before);
	return push_probe(L, result, err);
}

static int system_probe_helper(lua_State *L)
{
	int type = (int)lb_check_int(L, 1, 1, INT32_MAX);
	int helper = (int)lb_check_int(L, 2, 1, INT32_MAX);
	sigset_t before;
	int result, err;

	lb_signals_hold(&before);
	/* A helper is taken to be there where the program is refused without a word of it. */
	result = probe_program(type, &err);
	if (!lb_momentary(-err))
		result = libbpf_probe_bpf_helper((enum bpf_prog_type)type,
						 (enum bpf_func_id)helper, NULL);
	lb_signals_release(&before);
	return push_probe(L, result, err);
}

/* The capabilities this process lacks, as text; nil if none. */
static int system_missing_privileges(lua_State *L)
{
	char buf[128];

	lua_pushstring(L, lb_missing_privileges(LB_CAP_BPF | LB_CAP_PERFMON | LB_CAP_NET_ADMIN |
						LB_CAP_SYS_ADMIN, buf, sizeof(buf)));
	return 1;
}

/* The working folder, nil where it has no path (any more). */
static int system_working_folder(lua_State *L)
{
	char path[PATH_MAX];

	lua_pushstring(L, getcwd(path, sizeof(path)));
	return 1;
}

static const luaL_Reg functions[] = {
	{ "now", system_now },
	{ "boottime", system_boottime },
	{ "sleep", system_sleep },
	{ "cpus", system_cpus },
	{ "release", system_release },
	{ "boot_id", system_boot_id },
	{ "working_folder", system_working_folder },
	{ "list_folder", system_list_folder },
	{ "read_lua", system_read_lua },
	{ "isatty", system_isatty },
	{ "columns", system_columns },
	{ "probe_map_type", system_probe_map_type },
	{ "probe_program_type", system_probe_program_type },
	{ "probe_helper", system_probe_helper },
	{ "missing_privileges", system_missing_privileges },
	{ NULL, NULL },
};

/* core.errno: name -> number, and number -> name. glibc knows the names. */
static void push_errno(lua_State *L)
{
	lua_newtable(L);
	for (int i = 1; i < 134; i++) {
		const char *name = strerrorname_np(i);

		if (!name)
			continue;
		lua_pushinteger(L, i);
		lua_setfield(L, -2, name);
		lua_pushstring(L, name);
		lua_rawseti(L, -2, i);
	}
	lua_pushinteger(L, LB_ENOTSUPP);
	lua_setfield(L, -2, "ENOTSUPP");
	lua_pushliteral(L, "ENOTSUPP");
	lua_rawseti(L, -2, LB_ENOTSUPP);
}

void lb_open_system(lua_State *L)
{
	lb_newclass(L, LB_FOLDER, folder_methods, folder_meta);
	luaL_setfuncs(L, functions, 0);
	push_errno(L);
	lua_setfield(L, -2, "errno");
}
