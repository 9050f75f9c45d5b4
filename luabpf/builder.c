/* SPDX-License-Identifier: MIT */
/*
 * Functions that make tables, names to read them by. See builder.h.
 */
#include "builder.h"

#include "codec.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Compiling takes as long as decoding some thirty entries the plain way. */
#define USES 32
/* A Lua function has 255 registers; parameters are the most of them. */
#define MAX_FIELDS 180

static bool is_struct(const struct lb_type *t)
{
	return t->kind == LB_STRUCT;
}

/* How many fields the table and the tables within it have. */
static uint32_t count(const struct lb_type *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->nmembers && n <= MAX_FIELDS; i++)
		n += is_struct(t->members[i].type) ? count(t->members[i].type) : 1;
	return n;
}

static void flatten(struct lb_builder *b, const struct lb_type *t, uint32_t offset)
{
	for (uint32_t i = 0; i < t->nmembers; i++) {
		const struct lb_member *m = &t->members[i];

		if (is_struct(m->type)) {
			flatten(b, m->type, offset + m->offset);
			continue;
		}
		b->fields[b->n] = *m;
		b->fields[b->n++].offset += offset;
	}
}

/* Adds a name as a Lua string, every byte by its number. */
static void add_name(luaL_Buffer *text, const char *name)
{
	luaL_addstring(text, "[\"");
	for (; *name; name++) {
		int c = (unsigned char)*name;
		const char byte[4] = { '\\', (char)('0' + c / 100), (char)('0' + c / 10 % 10),
				       (char)('0' + c % 10) };

		luaL_addlstring(text, byte, sizeof(byte));
	}
	luaL_addstring(text, "\"]=");
}

static void add_parameter(lua_State *L, luaL_Buffer *text, uint32_t number)
{
	lua_pushfstring(L, "a%d", (int)number);
	luaL_addvalue(text);
}

static void add_table(lua_State *L, luaL_Buffer *text, const struct lb_type *t, uint32_t *number)
{
	luaL_addchar(text, '{');
	for (uint32_t i = 0; i < t->nmembers; i++) {
		add_name(text, t->members[i].name);
		if (is_struct(t->members[i].type))
			add_table(L, text, t->members[i].type, number);
		else
			add_parameter(L, text, ++*number);
		luaL_addchar(text, ',');
	}
	luaL_addchar(text, '}');
}

/* Pushes the source: a chunk that returns the function. */
static void push_source(lua_State *L, const struct lb_type *t, uint32_t n)
{
	uint32_t number = 0;
	luaL_Buffer text;

	luaL_buffinit(L, &text);
	luaL_addstring(&text, "return function(");
	for (uint32_t i = 1; i <= n; i++) {
		if (i > 1)
			luaL_addchar(&text, ',');
		add_parameter(L, &text, i);
	}
	luaL_addstring(&text, ") return ");
	add_table(L, &text, t, &number);
	luaL_addstring(&text, " end");
	luaL_pushresult(&text);
}

static void make(lua_State *L, struct lb_builder *b, const struct lb_type *t)
{
	uint32_t n = is_struct(t) ? count(t) : 0;
	size_t len;
	const char *source;

	if (n == 0 || n > MAX_FIELDS)
		return;
	b->fields = malloc(n * sizeof(*b->fields));
	if (!b->fields)
		return;
	b->n = 0;
	flatten(b, t, 0);
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	push_source(L, t, n);
	source = lua_tolstring(L, -1, &len);
	if (luaL_loadbufferx(L, source, len, "=luabpf", "t") == LUA_OK) {
		lua_call(L, 0, 1);
		b->function = luaL_ref(L, LUA_REGISTRYINDEX);
	} else {
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

bool lb_builder_ready(lua_State *L, struct lb_builder *b, const struct lb_type *type)
{
	if (b->uses < USES && ++b->uses == USES)
		make(L, b, type);
	return b->function != 0;
}

void lb_builder_push(lua_State *L, const struct lb_builder *b, const void *p)
{
	const struct lb_member *end = b->fields + b->n;

	luaL_checkstack(L, (int)b->n + LUA_MINSTACK, "types have too many fields");
	lua_rawgeti(L, LUA_REGISTRYINDEX, b->function);
	for (const struct lb_member *m = b->fields; m < end; m++)
		lb_push_member(L, m, p);
	lua_call(L, (int)b->n, 1);
}

/* Nothing that fails here is lost or seen: the plain way remains. */
static void find_names(lua_State *L, struct lb_builder *b, const struct lb_type *t)
{
	if (!is_struct(t) || t->has_union || t->nmembers == 0)
		return;
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	lua_createtable(L, (int)t->nmembers, 0);
	for (uint32_t i = 0; i < t->nmembers; i++) {
		lua_pushstring(L, t->members[i].name);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	b->names = malloc(t->nmembers * sizeof(*b->names));
	if (!b->names) {
		lua_pop(L, 1);
		return;
	}
	for (uint32_t i = 0; i < t->nmembers; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		b->names[i] = lua_topointer(L, -1);
		lua_pop(L, 1);
	}
	b->strings = luaL_ref(L, LUA_REGISTRYINDEX);
}

const void *const *lb_builder_names(lua_State *L, struct lb_builder *b, const struct lb_type *type)
{
	if (b->reads < USES && ++b->reads == USES)
		find_names(L, b, type);
	return b->strings ? b->names : NULL;
}

bool lb_builder_used(const struct lb_builder *b)
{
	return b->function || b->names;
}

void lb_builder_reset(lua_State *L, struct lb_builder *b)
{
	if (b->function)
		luaL_unref(L, LUA_REGISTRYINDEX, b->function);
	if (b->strings)
		luaL_unref(L, LUA_REGISTRYINDEX, b->strings);
	free(b->names);
	free(b->fields);
	memset(b, 0, sizeof(*b));
}
