/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.object: a loaded BPF object file.
 *
 * Its maps and programs are plain tables of handles, filled when it is
 * loaded. Each handle has a descriptor of its own and so outlives the
 * object; close() frees what libbpf keeps, which is needed only to attach
 * programs by their section.
 *
 * @module luabpf.bind.object.object
 */
#include "bind/map/map.h"
#include "bind/object/globals.h"
#include "bind/object/program.h"
#include "bind/options.h"
#include "bind/value/layout.h"
#include "bind/value/path.h"
#include "lib/kernel/objfile.h"
#include "lib/layout/btf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Arguments of load, and what it keeps behind them: a table of layouts by map, and the object. */
enum { ARG_PATH = 1, ARG_OPTIONS, LAYOUTS, OBJECT };
/* User values of an object. */
enum { MAPS = 1, PROGRAMS, GLOBALS, PATH, WARNINGS, UVALUES = WARNINGS };

#define LB_OBJECT "luabpf.object"
#define LB_HANDLES "luabpf.handles"
/* In the registry: what object_layouts_with was given. */
#define LAYOUTS_WITH "luabpf.object.layouts"

/* ---- the handle ------------------------------------------------------- */

static struct lb_object *to_object(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_OBJECT);
}

static struct lb_object *new_object(lua_State *L)
{
	struct lb_object *o = lua_newuserdatauv(L, sizeof(*o), UVALUES);

	o->obj = NULL;
	luaL_setmetatable(L, LB_OBJECT);
	return o;
}

static void close_object(struct lb_object *o)
{
	struct bpf_object *obj = o->obj;

	o->obj = NULL;
	bpf_object__close(obj);
}

/* ---- options ---------------------------------------------------------- */

/* Pushes "conns, counters": the maps that an option may name. */
static void push_map_names(lua_State *L, const struct bpf_object *obj)
{
	const char *separator = "";
	struct bpf_map *map;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	bpf_object__for_each_map(map, obj) {
		if (bpf_map__is_internal(map))
			continue;
		luaL_addstring(&b, separator);
		luaL_addstring(&b, bpf_map__name(map));
		separator = ", ";
	}
	luaL_pushresult(&b);
}

static struct bpf_map *find_map(lua_State *L, const struct bpf_object *obj,
				const struct lb_path *path)
{
	struct bpf_map *map = bpf_object__find_map_by_name(obj, path->name);

	if (!map || bpf_map__is_internal(map)) {
		push_map_names(L, obj);
		lb_path_error(L, path, "the object has no such map (its maps: %s)",
			      lua_tostring(L, -1));
	}
	return map;
}

static void set_type(lua_State *L, struct bpf_map *map, int idx, const struct lb_path *path)
{
	const struct lb_maptype *type;
	struct lb_log log;
	int err;

	if (lua_type(L, idx) != LUA_TSTRING)
		lb_path_error(L, path, "name of a map type expected, got %s", luaL_typename(L, idx));
	type = lb_maptype_by_name(lua_tostring(L, idx));
	if (!type || strlen(lua_tostring(L, idx)) != lua_rawlen(L, idx))
		lb_path_error(L, path, "no such map type: '%s'", lua_tostring(L, idx));
	lb_log_begin(&log);
	err = lb_object_set_type(map, type, &log);
	lb_log_end(&log);
	if (err)
		lb_path_error(L, path, "%s", log.reason[0] ? log.reason : strerrordesc_np(-err));
}

static void set_max_entries(lua_State *L, struct bpf_map *map, int idx,
			    const struct lb_path *path)
{
	int exact = 0;
	lua_Integer n = lua_type(L, idx) == LUA_TNUMBER ? lua_tointegerx(L, idx, &exact) : 0;

	if (!exact || n < 1 || n > UINT32_MAX)
		lb_path_error(L, path, "integer from 1 to 4294967295 expected, got %s",
			      luaL_tolstring(L, idx, NULL));
	if (bpf_map__set_max_entries(map, (uint32_t)n) < 0)
		lb_path_error(L, path, "%s", strerrordesc_np(errno));
}

static void set_pin(lua_State *L, struct bpf_map *map, int idx, const struct lb_path *path)
{
	if (lua_type(L, idx) != LUA_TSTRING)
		lb_path_error(L, path, "path expected, got %s", luaL_typename(L, idx));
	if (strlen(lua_tostring(L, idx)) != lua_rawlen(L, idx))
		lb_path_error(L, path, "a path with a NUL byte");
	if (bpf_map__set_pin_path(map, lua_tostring(L, idx)) < 0)
		lb_throw_no_memory(L);
}

/* The rest is seen to by find_layouts. */
static void check_layout(lua_State *L, struct bpf_map *map, int idx, const struct lb_path *path)
{
	(void)map;
	if (lua_type(L, idx) != LUA_TSTRING && lua_type(L, idx) != LUA_TTABLE &&
	    lua_type(L, idx) != LUA_TUSERDATA)
		lb_path_error(L, path, "layout expected, got %s", luaL_typename(L, idx));
}

/* The options of one map, the table at the top. */
static void set_map(lua_State *L, const struct bpf_object *obj, const struct lb_path *path)
{
	static const struct {
		const char *name;
		void (*set)(lua_State *L, struct bpf_map *map, int idx,
			    const struct lb_path *path);
	} options[] = {
		{ "type", set_type }, { "max_entries", set_max_entries }, { "pin", set_pin },
		{ "key", check_layout }, { "value", check_layout },
	};
	const size_t n = sizeof(options) / sizeof(options[0]);
	struct bpf_map *map = find_map(L, obj, path);
	int idx = lua_gettop(L);

	if (!lua_istable(L, idx))
		lb_path_error(L, path, "table expected, got %s", luaL_typename(L, idx));
	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		const bool text = lua_type(L, -2) == LUA_TSTRING &&
				  strlen(lua_tostring(L, -2)) == lua_rawlen(L, -2);
		const char *name = text ? lua_tostring(L, -2) : "?";
		const struct lb_path field = { path, name, 0 };
		size_t i = 0;

		while (i < n && strcmp(options[i].name, name) != 0)
			i++;
		if (i == n)
			lb_path_error(L, path, "unknown option '%s'", name);
		options[i].set(L, map, lua_gettop(L), &field);
	}
}

static void set_global(lua_State *L, const struct bpf_object *obj, const struct lb_path *path)
{
	lb_global_init(L, obj, path->name, lua_gettop(L));
}

/* Calls set for each pair of options.WHAT, the value at the top. */
static void each_option(lua_State *L, const struct bpf_object *obj, const char *what,
			void (*set)(lua_State *L, const struct bpf_object *obj,
				    const struct lb_path *path))
{
	const struct lb_path list = { NULL, what, 0 };
	int top = lua_gettop(L);

	if (!lua_istable(L, ARG_OPTIONS))
		return;
	if (lua_getfield(L, ARG_OPTIONS, what) != LUA_TNIL) {
		for (lua_pushnil(L); lua_next(L, top + 1); lua_settop(L, top + 2)) {
			struct lb_path item = { &list, NULL, 0 };

			if (lua_type(L, top + 2) != LUA_TSTRING)
				lb_path_error(L, &list, "names expected, got a key of type %s",
					      luaL_typename(L, top + 2));
			item.name = lua_tostring(L, top + 2);
			if (strlen(item.name) != lua_rawlen(L, top + 2))
				lb_path_error(L, &item, "a name with a NUL byte");
			set(L, obj, &item);
		}
	}
	lua_settop(L, top);
}

/* ---- layouts ---------------------------------------------------------- */

/* Pushes the layout of a type in the object's BTF, nil for none. False when out of memory. */
static bool push_layout(lua_State *L, const struct bpf_object *obj, uint32_t id)
{
	const struct btf *btf = bpf_object__btf(obj);
	struct lb_layout *layout = btf && id ? lb_btf_layout(btf, id) : NULL;

	if (btf && id && !layout && errno == ENOMEM)
		return false;
	lb_layout_push(L, layout);
	return true;
}

/* Pushes the options of a map, or nil. */
static void push_options(lua_State *L, const char *name)
{
	if (!lua_istable(L, ARG_OPTIONS)) {
		lua_pushnil(L);
	} else if (lua_getfield(L, ARG_OPTIONS, "maps") == LUA_TTABLE) {
		lua_getfield(L, -1, name);
		lua_remove(L, -2);
	}
}

/*
 * Fills LAYOUTS with what lua/luabpf/layout/types.lua makes of the BTF, bpf.types and the options
 * of each map; what it refuses, it refuses before anything is in the kernel. False when out of
 * memory.
 */
static bool find_layouts(lua_State *L, const struct bpf_object *obj)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		if (bpf_map__is_internal(map))
			continue;
		lua_getfield(L, LUA_REGISTRYINDEX, LAYOUTS_WITH);
		lua_pushstring(L, bpf_map__name(map));
		push_options(L, bpf_map__name(map));
		if (!push_layout(L, obj, bpf_map__btf_key_type_id(map)))
			return false;
		lua_pushinteger(L, bpf_map__key_size(map));
		if (!push_layout(L, obj, bpf_map__btf_value_type_id(map)))
			return false;
		lua_pushinteger(L, bpf_map__value_size(map));
		lua_call(L, 6, 1);
		lua_setfield(L, LAYOUTS, bpf_map__name(map));
	}
	return true;
}

/* Gives the handle at the top the layouts that were found for it. */
static void take_layouts(lua_State *L, const char *name)
{
	lua_getfield(L, LAYOUTS, name);
	lua_getfield(L, -1, "key");
	lua_getfield(L, -2, "value");
	lua_remove(L, -3);
	lb_map_take_layouts(L, -3);
}

/* ---- loading ---------------------------------------------------------- */

/* Puts the handle at the top into the table below under name, or passes on the failure. */
static int keep(lua_State *L, int results, const char *name)
{
	if (results == 1)
		lua_setfield(L, -2, name);
	return results;
}

/* Keeps the object's BTF with a map of events: only the programs' types say what they are. */
static void keep_btf(lua_State *L, const struct bpf_object *obj)
{
	const struct lb_map *m = lb_to_map(L, -1);
	const void *raw = NULL;
	uint32_t size;

	if (!lb_can(&m->k, LB_EVENT_RING) && !lb_can(&m->k, LB_EVENT_PERF))
		return;
	if (bpf_object__btf(obj))
		raw = btf__raw_data(bpf_object__btf(obj), &size);
	if (!raw)
		return;
	lua_pushlstring(L, raw, size);
	lua_setiuservalue(L, -2, LB_MAP_BTF);
}

static int push_map(lua_State *L, const struct bpf_object *obj, const struct bpf_map *map,
		    const char *path)
{
	int results = lb_map_push_copy(L, bpf_map__fd(map));

	if (results != 1)
		return lb_fail(L, (int)lua_tointeger(L, -1), "%s: map %s", path, bpf_map__name(map));
	take_layouts(L, bpf_map__name(map));
	keep_btf(L, obj);
	if (bpf_map__pin_path(map)) {
		lua_pushstring(L, bpf_map__pin_path(map));
		lb_map_add_pin(L, -2);
	}
	return 1;
}

/* Handles of the object's own maps, those of its global variables left out. */
static int fill_maps(lua_State *L, const struct bpf_object *obj, const char *path)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj) {
		if (bpf_map__is_internal(map) || bpf_map__fd(map) < 0)
			continue;
		if (keep(L, push_map(L, obj, map, path), bpf_map__name(map)) != 1)
			return 3;
	}
	return 1;
}

static int fill_programs(lua_State *L, const struct bpf_object *obj, int object)
{
	struct bpf_program *p;

	bpf_object__for_each_program(p, obj) {
		if (bpf_program__fd(p) < 0)
			continue;
		if (keep(L, lb_program_push(L, object, p), bpf_program__name(p)) != 1)
			return 3;
	}
	return 1;
}

static void new_table(lua_State *L)
{
	lua_newtable(L);
	luaL_setmetatable(L, LB_HANDLES);
}

/* Pushes a list of the lines of text. */
static void push_lines(lua_State *L, const char *text)
{
	lua_newtable(L);
	for (lua_Integer i = 1; *text; i++) {
		size_t n = strcspn(text, "\n");

		lua_pushlstring(L, text, n);
		lua_rawseti(L, -2, i);
		text += text[n] ? n + 1 : n;
	}
}

/* Fills the user values of the loaded OBJECT: 1, or 3 with nil, message, errno. */
static int fill(lua_State *L, struct lb_object *o, const char *path,
		const struct lb_loaded *loaded)
{
	push_lines(L, loaded->warnings);
	lua_setiuservalue(L, OBJECT, WARNINGS);
	new_table(L);
	if (fill_maps(L, o->obj, path) != 1)
		return 3;
	lua_setiuservalue(L, OBJECT, MAPS);
	new_table(L);
	if (fill_programs(L, o->obj, OBJECT) != 1)
		return 3;
	lua_setiuservalue(L, OBJECT, PROGRAMS);
	if (lb_globals_push(L, o->obj, path) != 1)
		return 3;
	lua_setiuservalue(L, OBJECT, GLOBALS);
	lua_pushvalue(L, ARG_PATH);
	lua_setiuservalue(L, OBJECT, PATH);
	return 1;
}

struct filling {
	struct lb_object *o;
	const char *path;
	const struct lb_loaded *loaded;
};

static int fill_step(lua_State *L)
{
	const struct filling *f = lua_touserdata(L, OBJECT + 1);

	lua_settop(L, OBJECT);
	return fill(L, f->o, f->path, f->loaded) == 1 ? 0 : 3;
}

/* As fill. What is raised meanwhile, by Lua's memory or a hook, takes the pins away that are new. */
static int fill_or_undo(lua_State *L, struct lb_object *o, const char *path,
			const struct lb_loaded *loaded)
{
	struct filling f = { o, path, loaded };

	lua_pushcfunction(L, fill_step);
	for (int i = 1; i <= OBJECT; i++)
		lua_pushvalue(L, i);
	lua_pushlightuserdata(L, &f);
	if (lua_pcall(L, OBJECT + 1, LUA_MULTRET, 0) == LUA_OK)
		return lua_gettop(L) == OBJECT ? 1 : 3;
	lb_object_unpin(o->obj, loaded);
	close_object(o);
	return lua_error(L);
}

static int load(lua_State *L, const char *path)
{
	struct lb_object *o = new_object(L);
	struct lb_loaded loaded;
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_object_open(path, &o->obj, &loaded, &log);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s", path);
	each_option(L, o->obj, "maps", set_map);
	each_option(L, o->obj, "globals", set_global);
	if (!find_layouts(L, o->obj)) {
		close_object(o);
		return lb_fail(L, ENOMEM, "%s", path);
	}
	lb_log_begin(&log);
	err = lb_object_load(o->obj, &loaded, &log);
	lb_log_end(&log);
	if (err) {
		close_object(o);
		return lb_log_fail(L, err, &log, "%s: load", path);
	}
	if (fill_or_undo(L, o, path, &loaded) == 1)
		return 1;
	lb_object_unpin(o->obj, &loaded);
	close_object(o);
	return 3;
}

/***
 * What of a map in an object file is to be other than the file says.
 * @table load_map
 * @tfield[opt] string type another type of map
 * @tfield[opt] integer max_entries room for another number of entries
 * @tfield[opt] string pin a path in a bpffs: the map there is taken, or made
 * @tfield[opt] declaration key the layout of keys; over BTF it changes the types of the fields it
 *   names
 * @tfield[opt] declaration value the layout of values; over BTF it changes the types of the
 *   fields it names
 */

/***
 * Loads a BPF object file: its maps and programs, into the kernel. Attaches nothing.
 * @function bpf.load
 * @tparam string path the file, as clang made it
 * @tparam[opt] table<string,load_map> options.maps by name, what is other than the file says
 * @tparam[opt] table<string,data> options.globals values of global variables, by name, before the
 *   programs see them
 * @treturn object the maps, programs and global variables
 * @error the file is none, or the kernel refuses: the message has the verifier's log
 * @raise a map, global or option that there is not, named by its path
 * @privileges what the programs need: CAP_NET_ADMIN, CAP_PERFMON
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * for name, loaded in pairs(object.maps) do print(name, loaded) end
 */
static int object_load(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "maps", LUA_TTABLE, NULL }, { "globals", LUA_TTABLE, NULL }, { NULL, 0, NULL },
	};
	const char *path = lb_check_path(L, ARG_PATH);
	int results;

	lb_options(L, ARG_OPTIONS, "bpf.load", known);
	lua_settop(L, ARG_OPTIONS);
	lua_newtable(L);
	results = load(L, path);
	if (results == 3 && lua_tointeger(L, -1) == EMFILE) {
		/* Handles without references, not yet collected, may hold descriptors. */
		lua_gc(L, LUA_GCCOLLECT);
		lua_settop(L, LAYOUTS);
		results = load(L, path);
	}
	if (results == 1)
		lua_settop(L, OBJECT);
	return results;
}

/*
 * core.object_layouts_with(function): is called with name, options or nil, the layout of keys or
 * nil, their bytes, the same of values, for each map of an object before it is loaded; gives
 * { key =, value = }.
 */
static int layouts_with(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, LAYOUTS_WITH);
	return 0;
}

/* ---- methods ---------------------------------------------------------- */

/***
 * What `bpf.load` loaded: the maps, programs and global variables of an object file, by name.
 * @table object
 * @tfield table<string,map> maps the maps
 * @tfield table<string,program> programs the programs
 * @tfield table<string,data> globals the global variables: read and written in the loaded
 *   programs
 * @tfield string[] warnings what of the file the kernel did not take, and goes without: BTF that it
 *   refuses; mostly empty
 */

/***
 * Frees what libbpf keeps of the object; again does nothing. Maps, programs, global variables and
 * links stay usable; only `program:attach` by section needs the object.
 * @function object:close
 * @treturn true the object is closed
 * @usage
 * local object = assert(bpf.load "programs.bpf.o")
 * local maps = object.maps
 * object:close()
 */
static int object_close(lua_State *L)
{
	close_object(to_object(L, 1));
	lua_pushboolean(L, true);
	return 1;
}

static int object_gc(lua_State *L)
{
	close_object(to_object(L, 1));
	return 0;
}

/* maps, programs, globals and warnings, else the methods, which are upvalue 1. */
static int object_index(lua_State *L)
{
	static const struct {
		const char *name;
		int uvalue;
	} fields[] = {
		{ "maps", MAPS }, { "programs", PROGRAMS }, { "globals", GLOBALS },
		{ "warnings", WARNINGS },
	};
	const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

	to_object(L, 1);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (strcmp(name, fields[i].name) == 0) {
			lua_getiuservalue(L, 1, fields[i].uvalue);
			return 1;
		}
	lua_settop(L, 2);
	lua_gettable(L, lua_upvalueindex(1));
	return 1;
}

static lua_Integer count(lua_State *L, int uvalue)
{
	lua_Integer n = 0;

	if (lua_getiuservalue(L, 1, uvalue) == LUA_TTABLE)
		for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
			n++;
	lua_pop(L, 1);
	return n;
}

static int object_tostring(lua_State *L)
{
	const struct lb_object *o = to_object(L, 1);
	lua_Integer nmaps = count(L, MAPS), nprograms = count(L, PROGRAMS);

	lua_getiuservalue(L, 1, PATH);
	lua_pushfstring(L, "luabpf.object (%s %I map%s %I program%s%s)",
			luaL_optstring(L, -1, "?"), (LUAI_UACINT)nmaps, nmaps == 1 ? "" : "s",
			(LUAI_UACINT)nprograms, nprograms == 1 ? "" : "s",
			o->obj ? "" : ", closed");
	return 1;
}

/* The tables of handles print one handle a line, in the order of their names. */
static int handles_tostring(lua_State *L)
{
	luaL_Buffer b;
	lua_Integer n = 0;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
		const char *handle = luaL_tolstring(L, -1, NULL);
		const char *name = luaL_tolstring(L, -3, NULL);

		lua_pushfstring(L, "%s = %s", name, handle);
		lua_rawseti(L, 2, ++n);
		lua_pop(L, 2);
	}
	lua_getglobal(L, "table");
	lua_getfield(L, -1, "sort");
	lua_pushvalue(L, 2);
	lua_call(L, 1, 0);
	luaL_buffinit(L, &b);
	for (lua_Integer i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&b, '\n');
		lua_rawgeti(L, 2, i);
		luaL_addvalue(&b);
	}
	luaL_pushresult(&b);
	return 1;
}

static const luaL_Reg methods[] = {
	{ "close", object_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", object_gc },
	{ "__close", object_gc },
	{ "__tostring", object_tostring },
	{ NULL, NULL },
};

void lb_open_object(lua_State *L)
{
	lb_log_install();
	lb_newclass(L, LB_OBJECT, methods, meta);
	luaL_getmetatable(L, LB_OBJECT);
	lua_getfield(L, -1, "__index");
	lua_pushcclosure(L, object_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newmetatable(L, LB_HANDLES);
	lua_pushcfunction(L, handles_tostring);
	lua_setfield(L, -2, "__tostring");
	lua_pop(L, 1);
	lua_pushcfunction(L, object_load);
	lua_setfield(L, -2, "load");
	lua_pushcfunction(L, layouts_with);
	lua_setfield(L, -2, "object_layouts_with");
}
