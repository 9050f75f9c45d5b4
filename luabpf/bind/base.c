/* SPDX-License-Identifier: MIT */
/* What all bindings share: errors, classes, options. */
#include "bind/base.h"

#include "lib/kernel/kmap.h"
#include "lib/kernel/log.h"
#include "lib/kernel/privilege.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define LB_ERROR "luabpf.error"

/* ---- misuse ----------------------------------------------------------- */

/* Its address is where the registry has how sources of luabpf's own Lua files begin. */
static const char home_key;

/* Whether a level of the stack is a Lua function of somebody else's. */
static bool is_callers(lua_State *L, lua_Debug *ar)
{
	const char *home;

	lua_getinfo(L, "Sl", ar);
	if (ar->currentline <= 0)
		return false;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
	home = lua_tostring(L, -1);
	lua_pop(L, 1);
	return !home || strncmp(ar->source, home, strlen(home)) != 0;
}

/*
 * Pushes "script.lua:3: ", the line of the closest one; "" where there is none. Returns the level
 * of what it called.
 */
static int push_where(lua_State *L)
{
	lua_Debug ar;

	for (int level = 1; lua_getstack(L, level, &ar); level++) {
		if (is_callers(L, &ar)) {
			lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
			return level - 1;
		}
	}
	lua_pushliteral(L, "");
	return 0;
}

int lb_misuse(lua_State *L, const char *what, ...)
{
	va_list ap;

	push_where(L);
	va_start(ap, what);
	lua_pushvfstring(L, what, ap);
	va_end(ap);
	lua_concat(L, 2);
	return lua_error(L);
}

const char *lb_called(lua_State *L)
{
	int level = push_where(L);
	lua_Debug ar;

	lua_pop(L, 1);
	if (!lua_getstack(L, level, &ar) || !lua_getinfo(L, "nS", &ar) || !ar.name ||
	    strchr(ar.name, ' '))
		return NULL;
	return ar.what[0] == 'C' && strstr(ar.name, "pcall") ? NULL : ar.name;
}

int lb_is_closed(lua_State *L, const char *what)
{
	const char *name = lb_called(L);

	return lb_misuse(L, "%s%s%s is closed", name ? name : "", name ? ": " : "", what);
}

/* Whether the function that runs was called by one of luabpf's own in Lua. */
static bool called_within(lua_State *L)
{
	lua_Debug ar;

	return lua_getstack(L, 1, &ar) && lua_getinfo(L, "S", &ar) && ar.what[0] != 'C' &&
	       !is_callers(L, &ar);
}

int lb_argerror(lua_State *L, int arg, const char *why)
{
	const char *name = lb_called(L);

	if (!called_within(L))
		return luaL_argerror(L, arg, why);
	return lb_misuse(L, "%s%s%s", name ? name : "", name ? ": " : "", why);
}

void *lb_checkudata(lua_State *L, int arg, const char *class)
{
	void *p = luaL_testudata(L, arg, class);
	const char *type;

	if (p)
		return p;
	type = luaL_getmetafield(L, arg, "__name") == LUA_TSTRING ? lua_tostring(L, -1)
								  : luaL_typename(L, arg);
	lb_argerror(L, arg, lua_pushfstring(L, "%s expected, got %s", class, type));
	return NULL;
}

void lb_no_options(lua_State *L, int idx)
{
	const char *name = lua_istable(L, idx) ? lb_called(L) : NULL;

	if (lua_istable(L, idx))
		lb_misuse(L, "%s%sno options are taken", name ? name : "", name ? ": " : "");
}

/* core.misuse(message) */
static int base_misuse(lua_State *L)
{
	return lb_misuse(L, "%s", luaL_checkstring(L, 1));
}

/* core.placed(message): the message as core.misuse would raise it, with the caller's place. */
static int base_placed(lua_State *L)
{
	luaL_checkstring(L, 1);
	push_where(L);
	lua_pushvalue(L, 1);
	lua_concat(L, 2);
	return 1;
}

/* core.home(folder): sources that begin so are luabpf's. */
static int base_home(lua_State *L)
{
	luaL_checkstring(L, 1);
	lua_settop(L, 1);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
	return 0;
}

/* ---- what the system refused ------------------------------------------ */

int lb_fail(lua_State *L, int err, const char *what, ...)
{
	char buf[128];
	va_list ap;

	luaL_pushfail(L);
	va_start(ap, what);
	lua_pushvfstring(L, what, ap);
	va_end(ap);
	lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), lb_strerror(err, buf, sizeof(buf)));
	lua_remove(L, -2);
	lua_pushinteger(L, err);
	return 3;
}

static int nothing(lua_State *L)
{
	(void)L;
	return 0;
}

/* Any call is one for the hook. */
int lb_ask_hook(void *data)
{
	lua_State *L = data;

	if (!lua_gethook(L) || !lua_checkstack(L, 4))
		return 0;
	lua_pushcfunction(L, nothing);
	return lua_pcall(L, 0, 0, 0) == LUA_OK ? 0 : -LB_INTERRUPTED;
}

int lb_refuse(lua_State *L, int err)
{
	char buf[128];

	if (err == LB_INTERRUPTED)
		return lua_error(L);
	luaL_pushfail(L);
	lua_pushstring(L, lb_strerror(err, buf, sizeof(buf)));
	lua_pushinteger(L, err);
	return 3;
}

int lb_fail_unprivileged(lua_State *L, int err, unsigned int wanted, const char *what)
{
	char buf[LB_WHY], text[128];

	if (err != EPERM || !lb_why_refused(wanted, buf, sizeof(buf)))
		return lb_fail(L, err, "%s", what);
	luaL_pushfail(L);
	lua_pushfstring(L, "%s: %s (%s)", what, lb_strerror(err, text, sizeof(text)), buf);
	lua_pushinteger(L, err);
	return 3;
}

int lb_log_fail(lua_State *L, int err, struct lb_log *log, const char *what, ...)
{
	const char *said = lb_log_tail(log, LB_LOG_LINES);
	char text[128];
	va_list ap;

	luaL_pushfail(L);
	va_start(ap, what);
	lua_pushvfstring(L, what, ap);
	va_end(ap);
	lua_pushfstring(L, "%s: %s%s%s", lua_tostring(L, -1),
			log->reason[0] ? log->reason : lb_strerror(-err, text, sizeof(text)),
			*said ? "\n" : "", said);
	lua_remove(L, -2);
	lua_pushinteger(L, -err);
	return 3;
}

void *lb_scratch(lua_State *L, size_t size, void *local, size_t room)
{
	return size <= room ? local : lua_newuserdatauv(L, size, 0);
}

void lb_newclass(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta)
{
	luaL_newmetatable(L, name);
	luaL_setfuncs(L, meta, 0);
	lua_newtable(L);
	luaL_setfuncs(L, methods, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, "luabpf.classes");
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, name);
	lua_pop(L, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

void lb_add_methods(lua_State *L, const char *name, const luaL_Reg *methods)
{
	luaL_getmetatable(L, name);
	lua_getfield(L, -1, "__index");
	luaL_setfuncs(L, methods, 0);
	lua_pop(L, 2);
}

/* A field of metatables. */
#define FD_AT "luabpf.fd"

void lb_class_fd(lua_State *L, const char *name, size_t offset)
{
	luaL_getmetatable(L, name);
	lua_pushinteger(L, (lua_Integer)offset);
	lua_setfield(L, -2, FD_AT);
	lua_pop(L, 1);
}

/* "map" of luabpf.map. */
static const char *class_of(lua_State *L, int idx)
{
	luaL_getmetafield(L, idx, "__name");
	return lua_tostring(L, -1) + strlen("luabpf.");
}

int lb_handle_fd(lua_State *L, int idx)
{
	const uint8_t *handle = lua_touserdata(L, idx);
	int fd;

	if (!handle || luaL_getmetafield(L, idx, FD_AT) == LUA_TNIL)
		return -1;
	memcpy(&fd, handle + lua_tointeger(L, -1), sizeof(fd));
	lua_pop(L, 1);
	if (fd < 0)
		lb_is_closed(L, class_of(L, idx));
	return fd;
}

bool lb_opt_flag(lua_State *L, int idx, const char *name)
{
	bool on;

	lua_getfield(L, idx, name);
	on = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return on;
}

lua_Integer lb_opt_int(lua_State *L, int idx, const char *name, lua_Integer def)
{
	int exact = 1;
	lua_Integer v = def;
	int type = lua_getfield(L, idx, name);

	if (type != LUA_TNIL)
		v = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
	if (!exact || (type != LUA_TNIL && type != LUA_TNUMBER))
		luaL_error(L, "%s: integer expected, got %s", name, luaL_tolstring(L, -1, NULL));
	lua_pop(L, 1);
	return v;
}

uint32_t lb_opt_upto(lua_State *L, int idx, const char *name, uint32_t max)
{
	lua_Integer v = lb_opt_int(L, idx, name, 0);

	if (v < 0 || v > max)
		luaL_error(L, "%s: %I is out of range", name, (LUAI_UACINT)v);
	return (uint32_t)v;
}

void lb_hold(lua_State *L, int idx, const char *name)
{
	if (lua_isnil(L, idx))
		return;
	luaL_checktype(L, idx, LUA_TTABLE);
	idx = lua_absindex(L, idx);
	lua_pushvalue(L, -1);
	lua_setfield(L, idx, name);
}

void lb_set_int(lua_State *L, const char *name, lua_Integer v)
{
	lua_pushinteger(L, v);
	lua_setfield(L, -2, name);
}

void lb_set_text(lua_State *L, const char *name, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}

const char *lb_check_path(lua_State *L, int arg)
{
	size_t n;
	const char *path = luaL_checklstring(L, arg, &n);

	luaL_argcheck(L, strlen(path) == n, arg, "a path with a NUL byte");
	return path;
}

lua_Integer lb_check_int(lua_State *L, int arg, lua_Integer min, lua_Integer max)
{
	int exact = 0;
	lua_Integer v = lua_type(L, arg) == LUA_TNUMBER ? lua_tointegerx(L, arg, &exact) : 0;

	if (lua_type(L, arg) != LUA_TNUMBER)
		luaL_typeerror(L, arg, "integer");
	if (!exact)
		luaL_argerror(L, arg, "number has no integer representation");
	if (v < min || v > max)
		luaL_argerror(L, arg, lua_pushfstring(L, "%I is not within %I and %I",
						      (LUAI_UACINT)v, (LUAI_UACINT)min,
						      (LUAI_UACINT)max));
	return v;
}

/* ---- error objects ---------------------------------------------------- */

int lb_throw(lua_State *L)
{
	lua_createtable(L, 0, 3);
	lua_pushvalue(L, -3);
	lua_setfield(L, -2, "message");
	lua_pushvalue(L, -2);
	lua_setfield(L, -2, "errno");
	luaL_setmetatable(L, LB_ERROR);
	return lua_error(L);
}

int lb_throw_text(lua_State *L, int err, const char *message)
{
	luaL_pushfail(L);
	lua_pushstring(L, message);
	lua_pushinteger(L, err);
	return lb_throw(L);
}

int lb_error_errno(lua_State *L, int idx)
{
	int err = 0;

	idx = lua_absindex(L, idx);
	if (!lua_getmetatable(L, idx))
		return 0;
	luaL_getmetatable(L, LB_ERROR);
	if (lua_rawequal(L, -1, -2)) {
		lua_getfield(L, idx, "errno");
		err = (int)lua_tointeger(L, -1);
		lua_pop(L, 1);
	}
	lua_pop(L, 2);
	return err;
}

int lb_throw_no_memory(lua_State *L)
{
	char buf[128];

	return lb_throw_text(L, ENOMEM, lb_strerror(ENOMEM, buf, sizeof(buf)));
}

static int error_tostring(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TTABLE);
	lua_getfield(L, 1, "message");
	luaL_tolstring(L, -1, NULL);
	return 1;
}

static const luaL_Reg error_methods[] = { { NULL, NULL } };
static const luaL_Reg error_meta[] = { { "__tostring", error_tostring }, { NULL, NULL } };

void lb_open_base(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, "luabpf.classes");
	lua_setfield(L, -2, "classes");
	lb_newclass(L, LB_ERROR, error_methods, error_meta);
	luaL_getmetatable(L, LB_ERROR);
	lua_setfield(L, -2, "error");
	lua_pushcfunction(L, base_misuse);
	lua_setfield(L, -2, "misuse");
	lua_pushcfunction(L, base_placed);
	lua_setfield(L, -2, "placed");
	lua_pushcfunction(L, base_home);
	lua_setfield(L, -2, "home");
}
