/* SPDX-License-Identifier: MIT */
/*
 * The global variables of an object: obj.globals.NAME.
 *
 * Before loading, initial values go into libbpf's copy of the section. After
 * loading the sections are mapped into memory, shared with the programs:
 * reading and writing a variable touches nothing but its own bytes, and
 * scalars are read and written whole. The mappings stand for themselves, so
 * the proxy outlives the object. How it prints is for lua/luabpf/map/globals.lua to say,
 * which puts __tostring into core.globals_meta.
 */
#include "bind/object/globals.h"

#include "bind/base.h"
#include "bind/value/codec.h"
#include "bind/value/layout.h"
#include "bind/value/path.h"
#include "lib/layout/btf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define LB_GLOBALS "luabpf.globals"

/* Variables up to this many bytes need no memory from Lua. */
#define LOCAL 256

/* User values: names (name -> number and number -> name), layouts (number -> layout). */
enum { NAMES = 1, LAYOUTS, UVALUES = LAYOUTS };

struct section {
	const struct bpf_map *map;	/* while the proxy is made */
	uint8_t *base;			/* NULL: not mapped */
	size_t size;
};

struct variable {
	struct lb_shape shape;
	uint32_t section, offset;
	enum lb_section kind;
};

struct globals {
	uint32_t nsections, nvariables;
	struct section *sections;	/* behind this struct, as are the variables */
	struct variable *variables;
};

/* ---- initial values --------------------------------------------------- */

/* Pushes the layout of a variable, nil for types without one. False: out of memory. */
static bool push_shape(lua_State *L, const struct bpf_object *obj, const struct lb_var *v,
		       struct lb_shape *shape)
{
	struct lb_layout *layout = lb_btf_layout(bpf_object__btf(obj), v->type_id);

	if (!layout && errno == ENOMEM)
		return false;
	if (layout && layout->root->size != v->size) {
		lb_layout_free(layout);
		layout = NULL;
	}
	*shape = (struct lb_shape){ .type = lb_layout_push(L, layout), .size = v->size,
				    .stride = v->size };
	return true;
}

static void find(lua_State *L, const struct bpf_object *obj, const struct lb_path *path,
		 struct lb_var *v)
{
	if (!bpf_object__btf(obj))
		lb_path_error(L, path, "the object has no BTF (compile it with -g)");
	if (!lb_var_find(obj, path->name, v))
		lb_path_error(L, path, "the object has no such variable");
	if (v->is_static)
		lb_path_error(L, path, "the variable is static, so the compiler may have "
				       "replaced it by its value");
	if (v->kind == LB_SEC_KCONFIG)
		lb_path_error(L, path, "the variable is the kernel's configuration");
}

void lb_global_init(lua_State *L, const struct bpf_object *obj, const char *name, int idx)
{
	const struct lb_path list = { NULL, "globals", 0 }, path = { &list, name, 0 };
	struct lb_shape shape;
	const void *initial;
	struct lb_var v;
	uint8_t *copy;
	size_t size;

	find(L, obj, &path, &v);
	if (!push_shape(L, obj, &v, &shape))
		lb_throw_no_memory(L);
	initial = bpf_map__initial_value(v.map, &size);
	if (!initial)
		lb_path_error(L, &path, "the section %s has no initial values", v.section);
	copy = lua_newuserdatauv(L, size, 0);
	memcpy(copy, initial, size);
	lb_encode(L, idx, &shape, copy + v.offset, false, &path);
	if (bpf_map__set_initial_value(v.map, copy, size) < 0)
		lb_path_error(L, &path, "%s", strerrordesc_np(errno));
	lua_pop(L, 2);
}

/* ---- making the proxy ------------------------------------------------- */

static uint32_t count(const struct bpf_object *obj)
{
	struct lb_var v = { 0 };
	uint32_t n = 0;

	while (lb_var_next(obj, &v))
		n += !v.is_static;
	return n;
}

/* A proxy with room for n variables and as many sections, nothing mapped. */
static struct globals *new_globals(lua_State *L, uint32_t n)
{
	size_t room = sizeof(struct globals) + n * (sizeof(struct section) +
						    sizeof(struct variable));
	struct globals *g = lua_newuserdatauv(L, room, UVALUES);

	memset(g, 0, room);
	g->sections = (struct section *)(g + 1);
	g->variables = (struct variable *)(g->sections + n);
	luaL_setmetatable(L, LB_GLOBALS);
	lua_createtable(L, (int)n, (int)n);
	lua_setiuservalue(L, -2, NAMES);
	lua_createtable(L, (int)n, 0);
	lua_setiuservalue(L, -2, LAYOUTS);
	return g;
}

/* The number of the section's mapping, made if it is the first variable in it; or -errno. */
static int map_section(struct globals *g, const struct lb_var *v)
{
	int prot = v->kind == LB_SEC_DATA ? PROT_READ | PROT_WRITE : PROT_READ;
	struct section *s = &g->sections[g->nsections];
	void *p;

	for (uint32_t i = 0; i < g->nsections; i++)
		if (g->sections[i].map == v->map)
			return (int)i;
	s->size = bpf_map__value_size(v->map);
	p = mmap(NULL, s->size, prot, MAP_SHARED, bpf_map__fd(v->map), 0);
	if (p == MAP_FAILED)
		return -errno;
	s->base = p;
	s->map = v->map;
	return (int)g->nsections++;
}

/* Adds a variable to the proxy at the top of the stack. */
static int add(lua_State *L, struct globals *g, const struct bpf_object *obj,
	       const struct lb_var *v)
{
	struct variable *var = &g->variables[g->nvariables];
	int section = map_section(g, v);
	int self = lua_gettop(L);

	if (section < 0)
		return section;
	*var = (struct variable){ .section = (uint32_t)section, .offset = v->offset,
				  .kind = v->kind };
	lua_getiuservalue(L, self, LAYOUTS);
	if (!push_shape(L, obj, v, &var->shape))
		return -ENOMEM;
	g->nvariables++;
	lua_rawseti(L, -2, g->nvariables);
	lua_getiuservalue(L, self, NAMES);
	lua_pushstring(L, v->name);
	lua_pushvalue(L, -1);
	lua_rawseti(L, -3, g->nvariables);
	lua_pushinteger(L, g->nvariables);
	lua_rawset(L, -3);
	lua_settop(L, self);
	return 0;
}

int lb_globals_push(lua_State *L, const struct bpf_object *obj, const char *path)
{
	struct globals *g = new_globals(L, count(obj));
	struct lb_var v = { 0 };
	int err = 0;

	while (!err && lb_var_next(obj, &v))
		if (!v.is_static)
			err = add(L, g, obj, &v);
	if (err)
		return lb_fail(L, -err, "%s: global variables of %s", path, v.section);
	return 1;
}

/* ---- reading and writing ---------------------------------------------- */

/* One load or store where the programs use one, so that neither sees half a value. */
static void copy_whole(void *to, const void *from, uint32_t size)
{
	uintptr_t both = (uintptr_t)to | (uintptr_t)from;

	if (size == 8 && both % 8 == 0)
		__atomic_store_n((uint64_t *)to, *(const volatile uint64_t *)from,
				 __ATOMIC_RELAXED);
	else if (size == 4 && both % 4 == 0)
		__atomic_store_n((uint32_t *)to, *(const volatile uint32_t *)from,
				 __ATOMIC_RELAXED);
	else if (size == 2 && both % 2 == 0)
		__atomic_store_n((uint16_t *)to, *(const volatile uint16_t *)from,
				 __ATOMIC_RELAXED);
	else
		memcpy(to, from, size);
}

static struct globals *to_globals(lua_State *L)
{
	return lb_checkudata(L, 1, LB_GLOBALS);
}

/* The variable that the name at index 2 means; raises if there is none. */
static struct variable *named(lua_State *L, struct globals *g)
{
	struct variable *v = NULL;

	if (lua_type(L, 2) == LUA_TSTRING) {
		lua_getiuservalue(L, 1, NAMES);
		lua_pushvalue(L, 2);
		/* None is left in a proxy whose finalizer has run. */
		if (lua_rawget(L, -2) == LUA_TNUMBER && lua_tointeger(L, -1) <= g->nvariables)
			v = &g->variables[lua_tointeger(L, -1) - 1];
		lua_pop(L, 2);
	}
	if (!v)
		luaL_error(L, "unknown global variable '%s'", luaL_tolstring(L, 2, NULL));
	return v;
}

static uint8_t *address(const struct globals *g, const struct variable *v)
{
	return g->sections[v->section].base + v->offset;
}

static void push_value(lua_State *L, const struct globals *g, const struct variable *v)
{
	uint64_t local[LOCAL / 8];
	int top = lua_gettop(L);
	void *copy = lb_scratch(L, v->shape.size, local, sizeof(local));

	copy_whole(copy, address(g, v), v->shape.size);
	lb_push(L, &v->shape, copy, false);
	/* Below the value the memory, if it was not local. */
	lua_rotate(L, top + 1, 1);
	lua_settop(L, top + 1);
}

static int globals_index(lua_State *L)
{
	struct globals *g = to_globals(L);

	push_value(L, g, named(L, g));
	return 1;
}

static int globals_newindex(lua_State *L)
{
	struct globals *g = to_globals(L);
	const struct variable *v = named(L, g);
	const struct lb_path list = { NULL, "globals", 0 };
	const struct lb_path path = { &list, lua_tostring(L, 2), 0 };
	uint64_t local[LOCAL / 8];
	void *copy;

	if (v->kind == LB_SEC_RODATA)
		lb_path_error(L, &path, "the variable is constant once loaded: give its value to "
					"load, { globals = { %s = ... } }", path.name);
	if (v->kind == LB_SEC_KCONFIG)
		lb_path_error(L, &path, "the variable is the kernel's configuration");
	copy = lb_scratch(L, v->shape.size, local, sizeof(local));
	lb_encode(L, 3, &v->shape, copy, false, &path);
	copy_whole(address(g, v), copy, v->shape.size);
	return 0;
}

/* ---- all of them ------------------------------------------------------ */

/* for name, value in pairs(obj.globals): the state is the proxy, the control its last name. */
static int globals_next(lua_State *L)
{
	struct globals *g = to_globals(L);
	lua_Integer i = lua_isnoneornil(L, 2) ? 0 : named(L, g) - g->variables + 1;

	if (i >= g->nvariables)
		return 0;
	lua_getiuservalue(L, 1, NAMES);
	lua_rawgeti(L, -1, i + 1);
	push_value(L, g, &g->variables[i]);
	return 2;
}

static int globals_pairs(lua_State *L)
{
	to_globals(L);
	lua_pushcfunction(L, globals_next);
	lua_pushvalue(L, 1);
	luaL_pushfail(L);
	return 3;
}

/* core.global_variables(globals): a list of { name =, constant =, layout = or nil }, in order. */
static int variables(lua_State *L)
{
	struct globals *g = to_globals(L);

	lua_settop(L, 1);
	lua_getiuservalue(L, 1, NAMES);
	lua_getiuservalue(L, 1, LAYOUTS);
	lua_createtable(L, (int)g->nvariables, 0);
	for (uint32_t i = 0; i < g->nvariables; i++) {
		lua_createtable(L, 0, 3);
		lua_rawgeti(L, 2, i + 1);
		lua_setfield(L, -2, "name");
		lua_pushboolean(L, g->variables[i].kind != LB_SEC_DATA);
		lua_setfield(L, -2, "constant");
		lua_rawgeti(L, 3, i + 1);
		lua_setfield(L, -2, "layout");
		lua_rawseti(L, 4, i + 1);
	}
	return 1;
}

static int globals_gc(lua_State *L)
{
	struct globals *g = to_globals(L);

	for (uint32_t i = 0; i < g->nsections; i++) {
		uint8_t *base = g->sections[i].base;

		g->sections[i].base = NULL;
		munmap(base, g->sections[i].size);
	}
	g->nsections = 0;
	g->nvariables = 0;
	return 0;
}

static const luaL_Reg meta[] = {
	{ "__gc", globals_gc },
	{ "__index", globals_index },
	{ "__newindex", globals_newindex },
	{ "__pairs", globals_pairs },
	{ NULL, NULL },
};

void lb_open_globals(lua_State *L)
{
	luaL_newmetatable(L, LB_GLOBALS);
	luaL_setfuncs(L, meta, 0);
	lua_setfield(L, -2, "globals_meta");
	lua_pushcfunction(L, variables);
	lua_setfield(L, -2, "global_variables");
}
