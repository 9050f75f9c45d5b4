/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.layout: a struct lb_layout held by Lua, made from a
 * description table and described by one.
 *
 *	{ kind =, name =, size =, align =, signed =, big =,
 *	  elem = description, n =,                             arrays (n: char[n] too)
 *	  fields = { { name =, type = description, bit =, bits = }, ... },
 *	  values = { { name =, value = }, ... } }              enums
 *
 * A description comes from lua/luabpf/layout/layout.lua or from a user, so everything
 * that the codec relies on is checked here: sizes, that members lie within
 * their struct, depth. An error names the place: "layout.fields[2].type.size".
 */
#include "bind/value/layout.h"

#include "bind/base.h"
#include "bind/value/path.h"
#include "lib/layout/record.h"
#include "lib/layout/special.h"

#include <string.h>

/* As deep as btf.c reads; the kernel's own limit is 32 (kernel/bpf/btf.c, MAX_RESOLVE_DEPTH). */
#define MAX_DEPTH 64
/* Types in one description; a small one can name the same table again and again. */
#define MAX_TYPES 65536
/* Bytes of a type: offsets in bits must fit 32 bits. */
#define MAX_SIZE (UINT32_MAX / 8)

struct box {
	const struct lb_layout *layout;	/* in the user value; NULL: not made yet */
};

/* Sizes a kind may have, as bits: bit n for n bytes. 0: any. */
static const uint32_t kind_sizes[] = {
	[LB_INT] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8, [LB_BOOL] = 1 << 1,
	[LB_FLOAT] = 1 << 4 | 1 << 8,
	[LB_IPV4] = 1 << 4, [LB_IPV6] = 1 << 16, [LB_IP] = 1 << 16, [LB_MAC] = 1 << 6,
	[LB_PREFIX4] = 1 << 8, [LB_PREFIX6] = 1 << 20,
	[LB_ENUM] = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8, [LB_POINTER] = 1 << 8, [LB_UNION] = 0,
};

/* ---- the handle ------------------------------------------------------- */

#define LB_DRAFT "luabpf.layout_draft"

/*
 * A layout lies in memory of Lua's, the user value of its handle. So there is
 * no finalizer that could be called by hand while maps use it, it outlives
 * the finalizers of a garbage collection in which it is found dead, and those
 * that run while the state is closed: they may still decode batches.
 */
static void push_handle(lua_State *L, struct lb_layout **from)
{
	struct box *box = lua_newuserdatauv(L, sizeof(*box), LB_LAYOUT_UVALUES);
	void *memory;

	box->layout = NULL;
	luaL_setmetatable(L, LB_LAYOUT);
	memory = lua_newuserdatauv(L, lb_layout_size(*from), 0);
	lua_setiuservalue(L, -2, LB_LAYOUT_MEMORY);
	box->layout = lb_layout_pack(*from, memory);
	*from = NULL;
}

/* What is left of one whose making was broken off. */
static int draft_gc(lua_State *L)
{
	struct lb_layout **draft = lb_checkudata(L, 1, LB_DRAFT);

	lb_layout_free(*draft);
	*draft = NULL;
	return 0;
}

static struct lb_layout **push_draft(lua_State *L)
{
	struct lb_layout **draft = lua_newuserdatauv(L, sizeof(*draft), 0);

	*draft = NULL;
	if (luaL_newmetatable(L, LB_DRAFT)) {
		lua_pushcfunction(L, draft_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	*draft = lb_layout_new();
	if (!*draft)
		lb_throw_no_memory(L);
	return draft;
}

/* What the pointer at *arg points to is the handle's as soon as that is NULL. */
static int take_layout(lua_State *L)
{
	push_handle(L, lua_touserdata(L, 1));
	return 1;
}

const struct lb_type *lb_layout_push(lua_State *L, struct lb_layout *layout)
{
	if (!layout) {
		lua_pushnil(L);
		return NULL;
	}
	lua_pushcfunction(L, take_layout);
	lua_pushlightuserdata(L, &layout);
	/* Which of the two it failed before, its status does not tell: a hook may raise at its end. */
	if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
		lb_layout_free(layout);
		lua_error(L);
	}
	return ((const struct box *)lua_touserdata(L, -1))->layout->root;
}

const struct lb_layout *lb_layout_test(lua_State *L, int idx)
{
	const struct box *box = luaL_testudata(L, idx, LB_LAYOUT);

	return box ? box->layout : NULL;
}

/* The root of the layout at arg; raises if it is not one. */
static const struct lb_type *check_root(lua_State *L, int arg)
{
	const struct box *box = lb_checkudata(L, arg, LB_LAYOUT);

	if (!box->layout)
		luaL_argerror(L, arg, "the layout is not complete");
	return box->layout->root;
}

/* ---- from a description ----------------------------------------------- */

struct reader {
	lua_State *L;
	struct lb_layout *layout;
	uint32_t types, depth;
};

static const struct lb_type *read_type(struct reader *r, int idx, const struct lb_path *path);

static void *alloc(struct reader *r, size_t n, size_t size)
{
	void *p = n > SIZE_MAX / size ? NULL : lb_layout_alloc(r->layout, n * size);

	if (!p)
		lb_throw_no_memory(r->L);
	return p;
}

/* Pushes field name of the table at idx and returns its type. */
static int get(lua_State *L, int idx, const char *name)
{
	lua_pushstring(L, name);
	return lua_rawget(L, idx);
}

/* An integer field; 0 if it is absent. */
static int64_t read_int(struct reader *r, int idx, const char *name, int64_t min, int64_t max,
			const struct lb_path *path)
{
	const struct lb_path here = { path, name, 0 };
	int64_t v = 0;

	if (get(r->L, idx, name) != LUA_TNIL) {
		if (!lua_isinteger(r->L, -1))
			lb_path_error(r->L, &here, "integer expected, got %s",
				      luaL_typename(r->L, -1));
		v = lua_tointeger(r->L, -1);
		if (v < min || v > max)
			lb_path_error(r->L, &here, "%lld is not within %lld and %lld",
				      (long long)v, (long long)min, (long long)max);
	}
	lua_pop(r->L, 1);
	return v;
}

static bool read_bool(struct reader *r, int idx, const char *name)
{
	bool v;

	get(r->L, idx, name);
	v = lua_toboolean(r->L, -1);
	lua_pop(r->L, 1);
	return v;
}

/* A text field; NULL if it is absent. */
static const char *read_name(struct reader *r, int idx, const char *name,
			     const struct lb_path *path)
{
	const struct lb_path here = { path, name, 0 };
	const char *s = NULL;
	size_t n;

	if (get(r->L, idx, name) != LUA_TNIL) {
		if (lua_type(r->L, -1) != LUA_TSTRING)
			lb_path_error(r->L, &here, "string expected, got %s",
				      luaL_typename(r->L, -1));
		s = lua_tolstring(r->L, -1, &n);
		if (n == 0 || strlen(s) != n)
			lb_path_error(r->L, &here, "empty name, or one with a zero byte");
		s = lb_layout_strdup(r->layout, s);
		if (!s)
			lb_throw_no_memory(r->L);
	}
	lua_pop(r->L, 1);
	return s;
}

static enum lb_kind read_kind(struct reader *r, int idx, const struct lb_path *path)
{
	const struct lb_path here = { path, "kind", 0 };
	const char *name;
	int kind;

	if (get(r->L, idx, "kind") != LUA_TSTRING)
		lb_path_error(r->L, &here, "string expected, got %s", luaL_typename(r->L, -1));
	name = lua_tostring(r->L, -1);
	for (kind = 0; kind <= LB_UNION; kind++)
		if (strcmp(lb_kind_name((enum lb_kind)kind), name) == 0)
			break;
	if (kind > LB_UNION)
		lb_path_error(r->L, &here, "there is no kind '%s'", name);
	lua_pop(r->L, 1);
	return (enum lb_kind)kind;
}

/* Pushes a list that is in the table at idx; returns its length. */
static uint32_t get_list(struct reader *r, int idx, const char *name, const struct lb_path *path)
{
	const struct lb_path here = { path, name, 0 };

	if (get(r->L, idx, name) != LUA_TTABLE)
		lb_path_error(r->L, &here, "list expected, got %s", luaL_typename(r->L, -1));
	if (lua_rawlen(r->L, -1) > MAX_TYPES)
		lb_path_error(r->L, &here, "more than %d entries", MAX_TYPES);
	return (uint32_t)lua_rawlen(r->L, -1);
}

/* Pushes element i (from 1) of the list at the top, a table, and returns its index. */
static int get_element(struct reader *r, const struct lb_path *path)
{
	if (lua_rawgeti(r->L, -1, path->index) != LUA_TTABLE)
		lb_path_error(r->L, path, "table expected, got %s", luaL_typename(r->L, -1));
	return lua_gettop(r->L);
}

/* What an enum of that size holds; 8 bytes take every 64-bit pattern. */
static void enum_range(const struct lb_type *t, int64_t *min, int64_t *max)
{
	uint32_t bits = 8 * t->size - t->is_signed;

	*min = INT64_MIN;
	*max = INT64_MAX;
	if (t->size < 8) {
		*max = (INT64_C(1) << bits) - 1;
		*min = t->is_signed ? -*max - 1 : 0;
	}
}

static void read_values(struct reader *r, int idx, struct lb_type *t, const struct lb_path *path)
{
	const struct lb_path list = { path, "values", 0 };
	uint32_t n = get_list(r, idx, "values", path);
	struct lb_enumerator *values = alloc(r, n, sizeof(*values));
	int64_t min, max;

	enum_range(t, &min, &max);

	for (uint32_t i = 0; i < n; i++) {
		const struct lb_path here = { &list, NULL, (lua_Integer)i + 1 };
		int element = get_element(r, &here);

		values[i].name = read_name(r, element, "name", &here);
		values[i].value = read_int(r, element, "value", min, max, &here);
		if (!values[i].name)
			lb_path_error(r->L, &here, "a value without a name");
		lua_pop(r->L, 1);
	}
	t->values = values;
	t->nvalues = n;
	lua_pop(r->L, 1);
}

static void check_bitfield(struct reader *r, const struct lb_type *t, const struct lb_field *f,
			   const struct lb_path *path)
{
	bool number = f->type->kind == LB_INT || f->type->kind == LB_BOOL ||
		      f->type->kind == LB_ENUM;

	if (!number || f->type->big)
		lb_path_error(r->L, path, "%s cannot be a bitfield", f->type->name);
	if (f->bits > 8 * f->type->size)
		lb_path_error(r->L, path, "%u bits are more than %s has", f->bits, f->type->name);
	if ((uint64_t)f->bit + f->bits > (uint64_t)t->size * 8)
		lb_path_error(r->L, path, "the bitfield ends outside of its %u bytes", t->size);
}

/* That the field lies within its struct, at a place it can be read from. */
static void check_field(struct reader *r, const struct lb_type *t, const struct lb_field *f,
			const struct lb_path *path)
{
	if (f->bits) {
		check_bitfield(r, t, f, path);
		return;
	}
	if (f->bit % 8)
		lb_path_error(r->L, path, "bit %u is not the start of a byte", f->bit);
	if ((uint64_t)f->bit / 8 + f->type->size > t->size)
		lb_path_error(r->L, path, "the field ends outside of its %u bytes", t->size);
}

static void read_field(struct reader *r, const struct lb_type *t, struct lb_field *f,
		       const struct lb_path *path)
{
	const struct lb_path type = { path, "type", 0 };
	int element = get_element(r, path);

	f->name = read_name(r, element, "name", path);
	f->bit = (uint32_t)read_int(r, element, "bit", 0, UINT32_MAX, path);
	f->bits = (uint32_t)read_int(r, element, "bits", 1, 64, path);
	get(r->L, element, "type");
	f->type = read_type(r, lua_gettop(r->L), &type);
	if (!f->name && f->type->kind != LB_STRUCT && f->type->kind != LB_UNION)
		lb_path_error(r->L, path, "a field without a name has fields of its own");
	check_field(r, t, f, path);
	lua_pop(r->L, 2);
}

/* Raises if two members have one name: such as two of anonymous members. */
static void check_distinct(struct reader *r, const struct lb_type *t, const struct lb_path *path)
{
	lua_newtable(r->L);
	for (uint32_t i = 0; i < t->nmembers; i++) {
		const struct lb_path here = { path, t->members[i].name, 0 };

		if (get(r->L, lua_gettop(r->L), here.name) != LUA_TNIL)
			lb_path_error(r->L, &here, "the name is used twice");
		lua_pushboolean(r->L, true);
		lua_setfield(r->L, -3, here.name);
		lua_pop(r->L, 1);
	}
	lua_pop(r->L, 1);
}

static void read_fields(struct reader *r, int idx, struct lb_type *t, const struct lb_path *path)
{
	const struct lb_path list = { path, "fields", 0 };
	uint32_t n = get_list(r, idx, "fields", path);
	struct lb_field *fields = alloc(r, n, sizeof(*fields));

	for (uint32_t i = 0; i < n; i++) {
		const struct lb_path here = { &list, NULL, (lua_Integer)i + 1 };

		read_field(r, t, &fields[i], &here);
	}
	lua_pop(r->L, 1);
	t->fields = fields;
	t->nfields = n;
}

static void read_array(struct reader *r, int idx, struct lb_type *t, const struct lb_path *path)
{
	const struct lb_path elem = { path, "elem", 0 };

	get(r->L, idx, "elem");
	t->elem = read_type(r, lua_gettop(r->L), &elem);
	lua_pop(r->L, 1);
	if ((uint64_t)t->n * t->elem->size != t->size)
		lb_path_error(r->L, path, "%u elements of %u bytes are not %u bytes", t->n,
			      t->elem->size, t->size);
}

static void check_size(struct reader *r, const struct lb_type *t, const struct lb_path *path)
{
	const struct lb_path here = { path, "size", 0 };
	uint32_t sizes = t->kind <= LB_ENUM || t->kind == LB_POINTER ? kind_sizes[t->kind] : 0;

	if (sizes && (t->size > 31 || !(sizes >> t->size & 1)))
		lb_path_error(r->L, &here, "%u is no size of kind '%s'", t->size,
			      lb_kind_name(t->kind));
	if (t->align & (t->align - 1))
		lb_path_error(r->L, path, "align: %u is not a power of 2", t->align);
}

static void read_parts(struct reader *r, int idx, struct lb_type *t, const struct lb_path *path)
{
	if (t->kind == LB_ENUM)
		read_values(r, idx, t, path);
	else if (t->kind == LB_ARRAY)
		read_array(r, idx, t, path);
	else if (t->kind == LB_STRUCT || t->kind == LB_UNION)
		read_fields(r, idx, t, path);
	if (!lb_type_finish(r->layout, t))
		lb_throw_no_memory(r->L);
	check_distinct(r, t, path);
}

static const struct lb_type *read_type(struct reader *r, int idx, const struct lb_path *path)
{
	struct lb_type *t = alloc(r, 1, sizeof(*t));
	const char *name;

	luaL_checkstack(r->L, LUA_MINSTACK, "types nest too deep");
	if (!lua_istable(r->L, idx))
		lb_path_error(r->L, path, "description of a type expected, got %s",
			      luaL_typename(r->L, idx));
	if (++r->types > MAX_TYPES)
		lb_path_error(r->L, path, "more than %d types", MAX_TYPES);
	if (++r->depth > MAX_DEPTH)
		lb_path_error(r->L, path, "types nest deeper than %d", MAX_DEPTH);
	t->kind = read_kind(r, idx, path);
	name = read_name(r, idx, "name", path);
	t->name = name ? name : lb_kind_name(t->kind);
	t->size = (uint32_t)read_int(r, idx, "size", 0, MAX_SIZE, path);
	t->align = (uint32_t)read_int(r, idx, "align", 1, 1 << 16, path);
	t->is_signed = (t->kind == LB_INT || t->kind == LB_ENUM) && read_bool(r, idx, "signed");
	t->big = read_bool(r, idx, "big");
	t->n = (uint32_t)read_int(r, idx, "n", 0, MAX_SIZE, path);
	check_size(r, t, path);
	read_parts(r, idx, t, path);
	r->depth--;
	return t;
}

/* A layout from its description. */
static int new_layout(lua_State *L)
{
	const struct lb_path path = { NULL, "layout", 0 };
	struct reader r = { .L = L };
	struct lb_layout **draft;

	luaL_checktype(L, 1, LUA_TTABLE);
	draft = push_draft(L);
	r.layout = *draft;
	r.layout->root = read_type(&r, 1, &path);
	push_handle(L, draft);
	return 1;
}

/* ---- to a description ------------------------------------------------- */

static void describe(lua_State *L, const struct lb_type *t);

/* Flags that are not set are left out. */
static void set_flag(lua_State *L, const char *name, bool v)
{
	if (v) {
		lua_pushboolean(L, true);
		lua_setfield(L, -2, name);
	}
}

static void describe_fields(lua_State *L, const struct lb_type *t)
{
	lua_createtable(L, (int)t->nfields, 0);
	for (uint32_t i = 0; i < t->nfields; i++) {
		const struct lb_field *f = &t->fields[i];

		lua_createtable(L, 0, 4);
		if (f->name)
			lb_set_text(L, "name", f->name);
		lb_set_int(L, "bit", f->bit);
		if (f->bits)
			lb_set_int(L, "bits", f->bits);
		describe(L, f->type);
		lua_setfield(L, -2, "type");
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setfield(L, -2, "fields");
}

static void describe_values(lua_State *L, const struct lb_type *t)
{
	lua_createtable(L, (int)t->nvalues, 0);
	for (uint32_t i = 0; i < t->nvalues; i++) {
		lua_createtable(L, 0, 2);
		lb_set_text(L, "name", t->values[i].name);
		lb_set_int(L, "value", t->values[i].value);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	lua_setfield(L, -2, "values");
}

static void describe_array(lua_State *L, const struct lb_type *t)
{
	describe(L, t->elem);
	lua_setfield(L, -2, "elem");
}

/* Pushes the description of a type. */
static void describe(lua_State *L, const struct lb_type *t)
{
	luaL_checkstack(L, LUA_MINSTACK, "types nest too deep");
	lua_createtable(L, 0, 7);
	lb_set_text(L, "kind", lb_kind_name(t->kind));
	lb_set_text(L, "name", t->name);
	lb_set_int(L, "size", t->size);
	if (t->align)
		lb_set_int(L, "align", t->align);
	set_flag(L, "signed", t->is_signed);
	set_flag(L, "big", t->big);
	if (t->n || t->kind == LB_ARRAY)
		lb_set_int(L, "n", t->n);
	if (t->kind == LB_ARRAY)
		describe_array(L, t);
	else if (t->kind == LB_ENUM)
		describe_values(L, t);
	else if (t->kind == LB_STRUCT || t->kind == LB_UNION)
		describe_fields(L, t);
}

/* The description of a layout. */
static int layout_describe(lua_State *L)
{
	describe(L, check_root(L, 1));
	return 1;
}

/* layout:specials(): a list of { offset =, size = } of the fields that are the kernel's own. */
static int layout_specials(lua_State *L)
{
	const struct lb_type *root = check_root(L, 1);
	uint32_t n = lb_special_spans(root, NULL, 0);
	struct lb_span *spans = lua_newuserdatauv(L, n * sizeof(*spans) + 1, 0);

	lb_special_spans(root, spans, n);
	lua_createtable(L, (int)n, 0);
	for (uint32_t i = 0; i < n; i++) {
		lua_createtable(L, 0, 2);
		lb_set_int(L, "offset", spans[i].offset);
		lb_set_int(L, "size", spans[i].size);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

/* ---- the class -------------------------------------------------------- */

static int layout_tostring(lua_State *L)
{
	const struct lb_type *root = check_root(L, 1);

	lua_pushfstring(L, "luabpf.layout (%s, %d bytes)", root->name, (int)root->size);
	return 1;
}

static const luaL_Reg methods[] = {
	{ "describe", layout_describe },
	{ "specials", layout_specials },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__tostring", layout_tostring },
	{ NULL, NULL },
};

void lb_open_layout(lua_State *L)
{
	lb_newclass(L, LB_LAYOUT, methods, meta);
	lua_pushcfunction(L, new_layout);
	lua_setfield(L, -2, "layout");
}
