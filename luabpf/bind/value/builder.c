/* SPDX-License-Identifier: MIT */
/*
 * Functions that make tables, names to read them by. See builder.h.
 */
#include "bind/value/builder.h"

#include "bind/value/decode.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#define LB_BUILDERS "luabpf.builders"
/* Compiling takes as long as decoding some thirty entries the plain way. */
#define USES 32
/* A Lua function has 255 registers; parameters are the most of them. */
#define MAX_FIELDS 180

/* How a field is loaded. */
enum load { LOAD_U8, LOAD_U16, LOAD_U32, LOAD_64, LOAD_OTHER };

struct lb_made_field {
	struct lb_member member;	/* its offset from the start of the key or value */
	enum load load;
};

static bool is_struct(const struct lb_type *t)
{
	return t->kind == LB_STRUCT;
}

/* How many fields the table and the tables within it have; what is no struct counts as one. */
static uint32_t count(const struct lb_type *t)
{
	uint32_t n = 0;

	if (!is_struct(t))
		return 1;
	for (uint32_t i = 0; i < t->nmembers && n <= MAX_FIELDS; i++)
		n += count(t->members[i].type);
	return n;
}

/* How many gaps the structs have that become tables. */
static size_t count_gaps(const struct lb_type *t)
{
	size_t n = is_struct(t) ? t->ngaps : 0;

	for (uint32_t i = 0; is_struct(t) && i < t->nmembers; i++)
		n += count_gaps(t->members[i].type);
	return n;
}

static enum load load_of(const struct lb_member *m)
{
	const struct lb_type *t = m->type;

	if (t->kind != LB_INT || m->bits || t->big)
		return LOAD_OTHER;
	if (t->size == 8)
		return LOAD_64;
	if (t->is_signed)
		return LOAD_OTHER;
	return t->size == 4 ? LOAD_U32 : t->size == 2 ? LOAD_U16 : t->size == 1 ? LOAD_U8
	     : LOAD_OTHER;
}

static void add_field(struct lb_builder *b, const struct lb_member *m, uint32_t offset)
{
	struct lb_made_field *f = &b->fields[b->n++];

	f->member = *m;
	f->member.offset += offset;
	f->load = load_of(m);
}

static void flatten(struct lb_builder *b, const struct lb_type *t, uint32_t offset)
{
	for (uint32_t i = 0; i < t->ngaps; i++) {
		b->gaps[b->ngaps] = t->gaps[i];
		b->gaps[b->ngaps++].offset += offset;
	}
	for (uint32_t i = 0; i < t->nmembers; i++) {
		const struct lb_member *m = &t->members[i];

		if (is_struct(m->type))
			flatten(b, m->type, offset + m->offset);
		else
			add_field(b, m, offset);
	}
}

static void add_fields(struct lb_builder *b, const struct lb_type *t)
{
	const struct lb_member whole = { .type = t };

	if (is_struct(t))
		flatten(b, t, 0);
	else
		add_field(b, &whole, 0);
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
	if (!is_struct(t)) {
		add_parameter(L, text, ++*number);
		return;
	}
	luaL_addchar(text, '{');
	for (uint32_t i = 0; i < t->nmembers; i++) {
		add_name(text, t->members[i].name);
		add_table(L, text, t->members[i].type, number);
		luaL_addchar(text, ',');
	}
	luaL_addchar(text, '}');
}

/* Pushes the source: a chunk that returns the function. */
static void push_source(lua_State *L, const struct lb_type *first, const struct lb_type *second,
			uint32_t n)
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
	add_table(L, &text, first, &number);
	if (second) {
		luaL_addchar(&text, ',');
		add_table(L, &text, second, &number);
	}
	luaL_addstring(&text, " end");
	luaL_pushresult(&text);
}

static bool find_fields(struct lb_builder *b, const struct lb_type *first,
			const struct lb_type *second)
{
	uint32_t n = count(first) + (second ? count(second) : 0);

	if (n == 0 || n > MAX_FIELDS || !(is_struct(first) || (second && is_struct(second))))
		return false;
	b->fields = malloc(n * sizeof(*b->fields));
	b->gaps = malloc((count_gaps(first) + (second ? count_gaps(second) : 0) + 1) *
			 sizeof(*b->gaps));
	if (!b->fields || !b->gaps)
		return false;
	b->n = b->ngaps = 0;
	add_fields(b, first);
	b->first = b->n;
	b->first_gaps = b->ngaps;
	if (second)
		add_fields(b, second);
	return true;
}

static void make(lua_State *L, struct lb_builder *b, const struct lb_type *first,
		 const struct lb_type *second)
{
	size_t len;
	const char *source;

	if (!find_fields(b, first, second))
		return;
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	push_source(L, first, second, b->n);
	source = lua_tolstring(L, -1, &len);
	if (luaL_loadbufferx(L, source, len, "=luabpf", "t") == LUA_OK) {
		lua_call(L, 0, 1);
		b->function = luaL_ref(L, LUA_REGISTRYINDEX);
	} else {
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

bool lb_builder_ready(lua_State *L, struct lb_builder *b, const struct lb_type *first,
		      const struct lb_type *second)
{
	if (b->uses < USES && ++b->uses == USES)
		make(L, b, first, second);
	return b->function != 0;
}

/* The plain integer of so many bytes; sizes known to the compiler make a copy one load. */
static lua_Integer load(enum load as, const uint8_t *at)
{
	uint64_t v = 0;

	if (as == LOAD_U8)
		memcpy(&v, at, 1);
	else if (as == LOAD_U16)
		memcpy(&v, at, 2);
	else if (as == LOAD_U32)
		memcpy(&v, at, 4);
	else
		memcpy(&v, at, 8);
	return (lua_Integer)v;
}

static void push_fields(lua_State *L, const struct lb_made_field *f,
			const struct lb_made_field *end, const uint8_t *p)
{
	for (; f < end; f++) {
		if (f->load == LOAD_OTHER)
			lb_push_member(L, &f->member, p);
		else
			lua_pushinteger(L, load(f->load, p + f->member.offset));
	}
}

static bool clear(const struct lb_gap *g, const struct lb_gap *end, const uint8_t *p)
{
	uint8_t any = 0;

	for (; g < end; g++)
		for (uint32_t i = 0; i < g->n; i++)
			any |= p[g->offset + i] & g->mask;
	return any == 0;
}

bool lb_builder_push(lua_State *L, const struct lb_builder *b, const void *p, const void *q)
{
	const struct lb_made_field *second = b->fields + b->first;
	const struct lb_gap *gaps = b->gaps + b->first_gaps;

	if (!clear(b->gaps, gaps, p) || !clear(gaps, b->gaps + b->ngaps, q))
		return false;
	luaL_checkstack(L, (int)b->n + LUA_MINSTACK, "types have too many fields");
	lua_rawgeti(L, LUA_REGISTRYINDEX, b->function);
	push_fields(L, b->fields, second, p);
	push_fields(L, second, b->fields + b->n, q);
	lua_call(L, (int)b->n, q ? 2 : 1);
	return true;
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

/* Forgets for good: finalizers of the same collection may come here, and find the plain way. */
static void forget(lua_State *L, struct lb_builder *b)
{
	if (b->function)
		luaL_unref(L, LUA_REGISTRYINDEX, b->function);
	if (b->strings)
		luaL_unref(L, LUA_REGISTRYINDEX, b->strings);
	free(b->names);
	free(b->fields);
	free(b->gaps);
	*b = (struct lb_builder){ .uses = USES, .reads = USES };
}

static int builders_gc(lua_State *L)
{
	struct lb_builder *b = luaL_checkudata(L, 1, LB_BUILDERS);

	for (size_t i = 0; i < lua_rawlen(L, 1) / sizeof(*b); i++)
		forget(L, &b[i]);
	return 0;
}

struct lb_builder *lb_builders_push(lua_State *L, uint32_t n)
{
	struct lb_builder *b = lua_newuserdatauv(L, n * sizeof(*b), 0);

	memset(b, 0, n * sizeof(*b));
	if (luaL_newmetatable(L, LB_BUILDERS)) {
		lua_pushcfunction(L, builders_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return b;
}
