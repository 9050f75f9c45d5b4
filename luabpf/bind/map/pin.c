/* SPDX-License-Identifier: MIT */
/*
 * What is pinned, and who else holds a map: for lua/luabpf/map/pins.lua.
 */
#include "bind/map/map.h"
#include "lib/kernel/kprog.h"
#include "lib/kernel/maptype.h"
#include "lib/kernel/pin.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* core.forget_pin(map, path): it is no pin of the map any more. */
static int forget_pin(lua_State *L)
{
	lua_Integer n;

	lb_to_map(L, 1);
	luaL_checkstring(L, 2);
	if (lua_getiuservalue(L, 1, LB_MAP_PINS) != LUA_TTABLE)
		return 0;
	n = (lua_Integer)lua_rawlen(L, -1);
	for (lua_Integer i = 1; i <= n; i++) {
		bool same = lua_rawgeti(L, -1, i) == LUA_TSTRING && lua_rawequal(L, -1, 2);

		lua_pop(L, 1);
		for (; same && i <= n; i++) {
			lua_rawgeti(L, -1, i + 1);
			lua_rawseti(L, -2, i);
		}
	}
	return 0;
}

/* ---- what a bpffs holds ------------------------------------------------------- */

static void push_pinned_type(lua_State *L, const struct lb_pinned *p)
{
	char buf[24];
	const char *link;

	if (p->kind == LB_FD_MAP) {
		lua_pushstring(L, lb_maptype(p->type)->name);
	} else if (p->kind == LB_FD_PROGRAM) {
		lua_pushstring(L, lb_progtype_name((enum bpf_prog_type)p->type, buf, sizeof(buf)));
	} else {
		link = libbpf_bpf_link_type_str((enum bpf_link_type)p->type);
		lua_pushstring(L, link ? link : "?");
	}
}

/*
 * core.pinned(path): "folder"; or { kind = "map", "program" or "link", id, name, type }; or nil,
 * reason, errno.
 */
static int pinned(lua_State *L)
{
	static const char *const kinds[] = { [LB_FD_OTHER] = "other", [LB_FD_MAP] = "map",
					     [LB_FD_PROGRAM] = "program", [LB_FD_LINK] = "link" };
	const char *path = lb_check_path(L, 1);
	struct lb_pinned p;
	struct stat st;
	int err;

	if (lstat(path, &st) < 0)
		return lb_refuse(L, errno);
	if (S_ISDIR(st.st_mode)) {
		lua_pushliteral(L, "folder");
		return 1;
	}
	err = lb_pin_read(path, &p);
	if (err)
		return lb_refuse(L, -err);
	lua_createtable(L, 0, 5);
	lb_set_text(L, "kind", kinds[p.kind]);
	lb_set_int(L, "id", p.id);
	if (p.name[0])
		lb_set_text(L, "name", p.name);
	push_pinned_type(L, &p);
	lua_setfield(L, -2, "type");
	return 1;
}

/* ---- who uses a map ----------------------------------------------------------- */

static void add_program(lua_State *L, const struct bpf_prog_info *info)
{
	char buf[24];

	lua_createtable(L, 0, 3);
	lb_set_int(L, "id", info->id);
	lb_set_text(L, "name", info->name);
	lb_set_text(L, "type", lb_progtype_name((enum bpf_prog_type)info->type, buf, sizeof(buf)));
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* core.programs_of(map): a list of { id, name, type }, or nil, message, errno. */
static int programs_of(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct bpf_prog_info info = { 0 };
	int found;

	lua_newtable(L);
	while ((found = lb_kprog_next_user(m->k.info.id, &info)) > 0)
		add_program(L, &info);
	return found == 0 ? 1 : lb_map_fail(L, m, "users", -found);
}

static const luaL_Reg functions[] = {
	{ "forget_pin", forget_pin },
	{ "pinned", pinned },
	{ "programs_of", programs_of },
	{ NULL, NULL },
};

void lb_open_pin(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
