/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.view: looks into an entry of a batch, or into a record of a
 * reader, without decoding it.
 *
 * batch:views() makes one view of the key and one of the value and moves them
 * along; view.field reads the field's bytes where they lie in the batch. A
 * struct within a struct, and one CPU's value, are views of their own, made
 * when first asked for and moving along too; of an entry that is changed so are
 * arrays, whose elements can be assigned to. Everything else is decoded.
 * Scalar keys and values have no fields and come as plain Lua values.
 *
 * @module luabpf.bind.map.view
 */
#include "bind/map/view.h"

#include "bind/map/batch.h"
#include "bind/map/lender.h"
#include "bind/value/codec.h"
#include "bind/value/decode.h"
#include "bind/value/layout.h"

#include <string.h>

#define LB_VIEW "luabpf.view"

/* User values of a view: what it keeps alive, field names, the views within it or nil. */
enum { OWNER = 1, NAMES, INNER, LAYOUT, UVALUES = LAYOUT };
/* User value of the names of a type's fields: a table, name -> number, from 1, which keeps them. */
enum { NUMBERS = 1 };

struct lb_view {
	const void *magic;		/* &view_magic: the cheap class check of view_index */
	const struct lb_view *root;	/* itself, unless within another one */
	const struct lb_type *type;	/* of one value */
	uint32_t offset;		/* from the start of the entry */
	uint32_t ncpu;			/* a list of one value per CPU */
	bool is_list;			/* that, or an array */
	uint32_t size;			/* bytes it shows */
	struct lb_path path;		/* "key", "value", "event", and what is within: "value.list[2]" */
	/* Of a root. */
	const struct lb_shape *shape;
	bool edited, writable;		/* of an entry that is changed; its value */
	const uint8_t *entry;		/* what it shows; NULL: nothing */
	uint32_t room;			/* bytes of it */
	struct lb_lender *lender;	/* of the entry; NULL: it stays */
	uint64_t step;			/* the lender's clock while it is there */
	/* By field, its name as lua_topointer gives it: one string for equal texts, if they are short. */
	const void *const *names;
};

/***
 * Reads fields of a key or value out of a batch: `view.bytes`, `view.list[2]`, `#view.list`,
 * `pairs(view)`. It is for reading, and valid until the next step; `bpf.copy(view)` is a table.
 * @table view
 */

static const char view_magic;

static bool is_struct(const struct lb_type *t)
{
	return t->kind == LB_STRUCT || t->kind == LB_UNION;
}

/* Whether what is of that type within a view is a view too. */
static bool is_inner(const struct lb_view *v, const struct lb_type *t)
{
	return is_struct(t) || (v->root->edited && t->kind == LB_ARRAY);
}

/* How many elements or fields it has. */
static uint32_t length(const struct lb_view *v)
{
	return v->ncpu ? v->ncpu : v->is_list ? v->type->n : v->type->nmembers;
}

/* Field or element i, from 0; the latter has no name. */
static struct lb_member part(const struct lb_view *v, uint32_t i)
{
	const struct lb_type *t = v->type;

	if (!v->is_list)
		return t->members[i];
	if (v->ncpu)
		return (struct lb_member){ .type = t, .offset = i * lb_cpu_stride(t->size) };
	return (struct lb_member){ .type = t->elem, .offset = i * t->elem->size };
}

/* The view at index 1, for the metamethods: their table may be called with anything. */
static struct lb_view *self(lua_State *L)
{
	struct lb_view *v = lua_touserdata(L, 1);

	if (!v || lua_rawlen(L, 1) < sizeof(*v) || v->magic != &view_magic)
		luaL_typeerror(L, 1, LB_VIEW);
	return v;
}

static bool shows(const struct lb_view *v)
{
	const struct lb_view *root = v->root;

	return root->entry && (!root->lender || lb_lends(root->lender, root->step));
}

static const uint8_t *address(lua_State *L, const struct lb_view *v)
{
	if (!shows(v))
		luaL_error(L, "the view is stale: its loop moved on or ended "
			      "(bpf.copy(view) keeps what it shows)");
	return v->root->entry + v->offset;
}

/* See lb_lent. */
static const void *lent(lua_State *L, const struct lb_view *v, const void *bytes, size_t size,
			void *local)
{
	return lb_lent(L, v->root->lender, v->root->step, bytes, size, local);
}

static struct lb_view *new_view(lua_State *L, const struct lb_type *type)
{
	struct lb_view *v = lua_newuserdatauv(L, sizeof(*v), UVALUES);

	memset(v, 0, sizeof(*v));
	v->magic = &view_magic;
	v->root = v;
	v->type = type;
	v->is_list = type->kind == LB_ARRAY;
	v->size = type->size;
	luaL_setmetatable(L, LB_VIEW);
	return v;
}

/* Pushes the names of the type's fields. */
static void push_names(lua_State *L, const struct lb_type *t)
{
	const void **names = lua_newuserdatauv(L, t->nmembers * sizeof(*names), NUMBERS);

	lua_createtable(L, 0, (int)t->nmembers);
	for (uint32_t i = 0; i < t->nmembers; i++) {
		lua_pushstring(L, t->members[i].name);
		names[i] = lua_topointer(L, -1);
		lua_pushinteger(L, (lua_Integer)i + 1);
		lua_rawset(L, -3);
	}
	lua_setiuservalue(L, -2, NUMBERS);
}

/* Gives the view at the top the names at idx. */
static void set_names(lua_State *L, struct lb_view *v, int idx)
{
	lua_pushvalue(L, idx);
	v->names = lua_touserdata(L, -1);
	lua_setiuservalue(L, -2, NAMES);
}

/* Pushes the table of the names of the view at index 1. */
static void push_numbers(lua_State *L)
{
	lua_getiuservalue(L, 1, NAMES);
	lua_getiuservalue(L, -1, NUMBERS);
	lua_remove(L, -2);
}

/* Pushes the views within the one at index 1. */
static void push_inners(lua_State *L)
{
	if (lua_getiuservalue(L, 1, INNER) == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_newtable(L);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, 1, INNER);
}

/*
 * Pushes a view of a member, or an element, of the one at index 1. The key at
 * index 2 names it: the same one comes back for the same key.
 */
static void push_inner(lua_State *L, const struct lb_view *outer, const struct lb_member *m)
{
	struct lb_view *v;

	push_inners(L);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) == LUA_TUSERDATA)
		return;
	lua_pop(L, 1);
	push_names(L, m->type);
	v = new_view(L, m->type);
	v->root = outer->root;
	v->offset = outer->offset + m->offset;
	v->path = (struct lb_path){ &outer->path, m->name, lua_tointeger(L, 2) };
	lua_pushvalue(L, 1);
	lua_setiuservalue(L, -2, OWNER);
	set_names(L, v, -2);
	lua_remove(L, -2);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, -2);
	lua_rawset(L, -4);
}

/* ---- reading ---------------------------------------------------------- */

/* Decodes the list at p, or what follows the fields of a record, of size bytes: lent, from a copy. */
static void push_copied(lua_State *L, const struct lb_view *v, const struct lb_type *type,
			const uint8_t *p, uint32_t size)
{
	uint8_t local[LB_LENT_LOCAL];
	int top = lua_gettop(L);

	lb_push_rest(L, type, lent(L, v, p, size, local), size);
	if (lua_gettop(L) > top + 1)
		lua_remove(L, top + 1);
}

/*
 * Decodes a member of what is at base, which is lent. What is read in one go needs
 * no copy: nothing runs before it is read.
 */
static void push_lent(lua_State *L, const struct lb_view *v, const struct lb_member *m,
		      const uint8_t *base)
{
	if (m->type->kind == LB_ARRAY)
		push_copied(L, v, m->type, base + m->offset, m->type->size);
	else
		lb_push_member(L, m, base);
}

static void push_member(lua_State *L, const struct lb_view *v, const struct lb_member *m)
{
	const uint8_t *base = address(L, v);

	if (is_inner(v, m->type)) {
		push_inner(L, v, m);
		return;
	}
	if (lb_is_rest(m->type) && v == v->root)
		push_copied(L, v, m->type, base + m->offset, v->room - m->offset);
	else
		push_lent(L, v, m, base);
}

/* shown: an array is a view too, which prints as what is in it. */
static void push_part(lua_State *L, const struct lb_view *v, uint32_t i, bool shown)
{
	const struct lb_member m = part(v, i);

	if (shown && m.type->kind == LB_ARRAY && m.type->n)
		push_inner(L, v, &m);
	else
		push_member(L, v, &m);
}

/* The element that index 2 is of, from 1; 0: none. Raises where it is no integer, of CPUs. */
static uint32_t find_element(lua_State *L, const struct lb_view *v)
{
	int exact = 0;
	lua_Integer i = lua_type(L, 2) == LUA_TNUMBER ? lua_tointegerx(L, 2, &exact) : 0;

	if (!exact && v->ncpu)
		luaL_error(L, "a per-CPU value is a list: value[1] to value[%d]", (int)v->ncpu);
	return i >= 1 && i <= length(v) ? (uint32_t)i : 0;
}

static int index_list(lua_State *L, const struct lb_view *v)
{
	uint32_t i = find_element(L, v);

	if (i)
		push_part(L, v, i - 1, false);
	else
		lua_pushnil(L);
	return 1;
}

/* The field that the name at index 2 is of: long names are several strings for equal texts. */
static const struct lb_member *find_member(lua_State *L, const struct lb_view *v)
{
	lua_Integer i;

	push_numbers(L);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TNUMBER) {
		const char *name = luaL_tolstring(L, 2, NULL);

		lb_push_names(L, v->type);
		luaL_error(L, "no field '%s' in %s (there are: %s)", name, v->root->path.name,
			   lua_tostring(L, -1));
	}
	i = lua_tointeger(L, -1);
	lua_pop(L, 2);
	return &v->type->members[i - 1];
}

static int view_index(lua_State *L)
{
	struct lb_view *v = self(L);
	const void *name = lua_topointer(L, 2);
	uint32_t i = 0;

	if (v->is_list) {
		lua_settop(L, 2);
		return index_list(L, v);
	}
	while (i < v->type->nmembers && v->names[i] != name)
		i++;
	if (i < v->type->nmembers) {
		push_member(L, v, &v->type->members[i]);
	} else {
		lua_settop(L, 2);
		push_member(L, v, find_member(L, v));
	}
	return 1;
}

/* Stores the value at index 3 in a member that the path leads to. */
static int store(lua_State *L, const struct lb_view *v, const struct lb_member *m,
		 const struct lb_path *path)
{
	if (m->type->kind == LB_ARRAY)
		return lb_path_error(L, path, "a list is changed by its elements, [1] to [%u]",
				     m->type->n);
	if (is_struct(m->type))
		return lb_path_error(L, path, "a struct is changed by its fields, such as .%s",
				     m->type->nmembers ? m->type->members[0].name : "");
	if (m->type->kind == LB_SPECIAL)
		return lb_path_error(L, path, "the kernel's own (%s) is not changed", m->type->name);
	lb_encode_member(L, 3, m, (uint8_t *)(uintptr_t)address(L, v), path);
	return 0;
}

/* Stores the value at index 3 in the element that index 2 is of. */
static int set_element(lua_State *L, const struct lb_view *v)
{
	uint32_t i = find_element(L, v);
	struct lb_member m;

	if (!i)
		return lb_path_error(L, &v->path, "its elements are [1] to [%u], not [%s]", length(v),
				     luaL_tolstring(L, 2, NULL));
	m = part(v, i - 1);
	return store(L, v, &m, &(struct lb_path){ &v->path, NULL, i });
}

/* Stores the value at index 3 in the field that index 2 names. */
static int view_newindex(lua_State *L)
{
	const struct lb_view *v = self(L);
	const struct lb_member *m;

	if (!v->root->edited)
		return luaL_error(L, "views are for reading; map:update writes an entry, "
				     "map:update_where fields of many");
	if (!v->root->writable)
		return luaL_error(L, "the key of an entry cannot be changed");
	lua_settop(L, 3);
	if (v->is_list)
		return set_element(L, v);
	m = find_member(L, v);
	return store(L, v, m, &(struct lb_path){ &v->path, m->name, 0 });
}

static int view_len(lua_State *L)
{
	const struct lb_view *v = self(L);

	if (!v->is_list)
		return luaL_error(L, "a struct has no length");
	lua_pushinteger(L, length(v));
	return 1;
}

/* The number of the field or element after the control value at index 2. */
static uint32_t after(lua_State *L, const struct lb_view *v)
{
	uint32_t i;

	if (lua_isnil(L, 2))
		return 0;
	if (v->is_list)
		return (uint32_t)lua_tointeger(L, 2);
	push_numbers(L);
	lua_pushvalue(L, 2);
	lua_rawget(L, -2);
	i = (uint32_t)lua_tointeger(L, -1);
	lua_settop(L, 2);
	return i;
}

static void push_name(lua_State *L, const struct lb_view *v, uint32_t i)
{
	if (v->is_list)
		lua_pushinteger(L, (lua_Integer)i + 1);
	else
		lua_pushstring(L, v->type->members[i].name);
}

static int view_next(lua_State *L)
{
	const struct lb_view *v = self(L);
	uint32_t i;

	lua_settop(L, 2);
	i = after(L, v);
	if (i >= length(v))
		return 0;
	push_name(L, v, i);
	lua_replace(L, 2);
	push_part(L, v, i, false);
	lua_pushvalue(L, 2);
	lua_insert(L, -2);
	return 2;
}

static int view_pairs(lua_State *L)
{
	self(L);
	lua_pushcfunction(L, view_next);
	lua_pushvalue(L, 1);
	lua_pushnil(L);
	return 3;
}

/* Pushes what the view at index 1 shows as a Lua value of its own. */
static void push_copy(lua_State *L, const struct lb_view *v)
{
	uint8_t local[LB_LENT_LOCAL];
	const void *p = lent(L, v, address(L, v), v->size, local);

	if (v->root == v)
		lb_push(L, v->shape, p, false);
	else
		lb_push_type(L, v->type, p);
}

/***
 * What stays of a batch or a view when the iterator goes on.
 * @function bpf.copy
 * @tparam batch|view of a batch, or a view of a key or value; any other value comes back as it is
 * @treturn batch|data a copy of the batch, or the table that the view is on
 * @usage
 * local kept
 * for _, value in map:views() do kept = kept or bpf.copy(value) end
 * print(kept.packets)
 */
static int view_copy(lua_State *L)
{
	luaL_checkany(L, 1);
	lua_settop(L, 1);
	if (luaL_testudata(L, 1, LB_VIEW)) {
		push_copy(L, self(L));
	} else if (luaL_testudata(L, 1, LB_BATCH)) {
		lua_getfield(L, 1, "copy");
		lua_insert(L, 1);
		lua_call(L, 1, 1);
	}
	return 1;
}

/* Adds field or element i of the view at index 1 to the text at index 3; 2 is for its name. */
static void add_text(lua_State *L, const struct lb_view *v, uint32_t i)
{
	const char *name = v->is_list ? "" : v->type->members[i].name;

	push_name(L, v, i);
	lua_replace(L, 2);
	push_part(L, v, i, true);
	lua_pushfstring(L, "%s%s%s%s%s", lua_tostring(L, 3), i ? ", " : "", name,
			v->is_list ? "" : " = ", luaL_tolstring(L, -1, NULL));
	lua_replace(L, 3);
	lua_settop(L, 3);
}

/* "{ packets = 3, bytes = 240 }" */
static int view_tostring(lua_State *L)
{
	const struct lb_view *v = self(L);

	lua_settop(L, 1);
	if (!shows(v)) {
		lua_pushliteral(L, "luabpf.view (stale)");
		return 1;
	}
	lua_pushnil(L);
	lua_pushliteral(L, "{ ");
	for (uint32_t i = 0; i < length(v); i++)
		add_text(L, v, i);
	lua_pushliteral(L, " }");
	lua_concat(L, 2);
	return 1;
}

const void *lb_view_bytes(lua_State *L, int idx, size_t *size)
{
	const struct lb_view *v = luaL_testudata(L, idx, LB_VIEW);

	if (!v)
		return NULL;
	*size = v->size;
	return address(L, v);
}

/* ---- the loop --------------------------------------------------------- */

/* Pushes the names of the root's fields, found when its first view is made: a batch has views anew. */
static void push_root_names(lua_State *L, int layout, const struct lb_type *root)
{
	if (lua_getiuservalue(L, layout, LB_LAYOUT_NAMES) == LUA_TUSERDATA)
		return;
	lua_pop(L, 1);
	push_names(L, root);
	lua_pushvalue(L, -1);
	lua_setiuservalue(L, layout, LB_LAYOUT_NAMES);
}

struct lb_view *lb_view_new(lua_State *L, int owner, int layout, const struct lb_shape *shape,
			    struct lb_lender *lender, const char *what)
{
	uint64_t step = lender ? lender->clock : 0;
	struct lb_view *v;

	owner = lua_absindex(L, owner);
	layout = lua_absindex(L, layout);
	push_root_names(L, layout, shape->type);
	v = new_view(L, shape->type);
	set_names(L, v, -2);
	lua_remove(L, -2);
	v->shape = shape;
	v->path.name = what;
	v->lender = lender;
	v->step = step;
	v->ncpu = shape->ncpu;
	v->is_list = v->is_list || v->ncpu;
	v->size = shape->stride;
	lua_pushvalue(L, owner);
	lua_setiuservalue(L, -2, OWNER);
	lua_pushvalue(L, layout);
	lua_setiuservalue(L, -2, LAYOUT);
	return v;
}

void lb_view_move(struct lb_view *v, const uint8_t *entry, uint32_t room)
{
	v->entry = entry;
	v->room = room;
}

/* Pushes a root view of the batch at index arg, or nil where there are no fields. */
static void push_root(lua_State *L, int arg, bool is_value)
{
	const struct lb_batch *b = lua_touserdata(L, arg);
	const struct lb_shape *shape = is_value ? &b->map->value : &b->map->key;
	const struct lb_layout *layout;

	lua_getiuservalue(L, arg, LB_BATCH_MAP);
	lua_getiuservalue(L, -1, is_value ? LB_MAP_VALUE_LAYOUT : LB_MAP_KEY_LAYOUT);
	lua_remove(L, -2);
	layout = lb_layout_test(L, -1);
	if (!layout || layout->root != shape->type || b->raw ||
	    (!shape->ncpu && !is_struct(layout->root)))
		lua_pushnil(L);
	else
		lb_view_new(L, arg, -1, shape, b->lender, is_value ? "value" : "key")->step = b->step;
	lua_remove(L, -2);
}

/* Where a loop is; the views are NULL where plain values take their place. */
struct place {
	uint32_t i;	/* of the entry that comes next */
	struct lb_view *key, *value;
};

/* Upvalues of the loop. */
enum { BATCH = 1, KEY, VALUE, PLACE, NUPVALUES = PLACE };

/* Shows entry i of the batch, or nothing. */
static void move(struct lb_view *v, const struct lb_batch *b, uint32_t i)
{
	const uint8_t *all = v == NULL || v->shape == &b->map->key ? b->keys : b->values;

	if (v)
		lb_view_move(v, i < b->n ? all + (size_t)i * v->shape->stride : NULL, v->size);
}

static void push_key(lua_State *L, const struct lb_batch *b, const struct lb_view *v, uint32_t i)
{
	if (v)
		lua_pushvalue(L, lua_upvalueindex(KEY));
	else if (b->map->key.size)
		lb_batch_push_key(L, b, i);
	else
		lua_pushinteger(L, (lua_Integer)i + 1);
}

static void push_value(lua_State *L, const struct lb_batch *b, const struct lb_view *v, uint32_t i)
{
	if (v)
		lua_pushvalue(L, lua_upvalueindex(VALUE));
	else
		lb_batch_push_value(L, b, i);
}

static int views_step(lua_State *L)
{
	const struct lb_batch *b = lua_touserdata(L, lua_upvalueindex(BATCH));
	struct place *at = lua_touserdata(L, lua_upvalueindex(PLACE));
	uint32_t i = at->i;

	if (!lb_batch_valid(b))
		return luaL_error(L, "the batch is stale: its iterator moved on or was closed");
	while (i < b->n && !lb_batch_has(b, i))
		i++;
	move(at->key, b, i);
	move(at->value, b, i);
	if (i >= b->n)
		return 0;
	at->i = i + 1;
	push_key(L, b, at->key, i);
	push_value(L, b, at->value, i);
	return 2;
}

/* edits: the value's view is for writing too. */
static int push_views(lua_State *L, int arg, bool edits)
{
	struct place *at;

	lua_pushvalue(L, arg);
	push_root(L, arg, false);
	push_root(L, arg, true);
	for (int i = -2; edits && i < 0; i++) {
		struct lb_view *v = lua_touserdata(L, i);

		if (v)
			v->edited = true;
		if (v && i == -1)
			v->writable = true;
	}
	at = lua_newuserdatauv(L, sizeof(*at), 0);
	*at = (struct place){ .key = lua_touserdata(L, -3), .value = lua_touserdata(L, -2) };
	lua_pushcclosure(L, views_step, NUPVALUES);
	return 1;
}

/***
 * Iterates over key and value without decoding: one view of each that moves along. A field is
 * read from the buffer where it is used. Scalars come as plain values.
 * @function batch:views
 * @treturn fun():view?,view? an iterator over views of key and value
 * @usage
 * local bytes = 0
 * for batch in map:batches() do
 *   for _, value in batch:views() do bytes = bytes + value.bytes end
 * end
 * print(bytes)
 */
static int batch_views(lua_State *L)
{
	lb_check_batch(L, 1);
	lb_no_options(L, 2);
	return push_views(L, 1, false);
}

/* core.edits(batch): the same of a batch that has memory of its own; fields can be assigned to. */
static int batch_edits(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 1);

	luaL_argcheck(L, !b->lender, 1, "a batch of somebody else's memory");
	return push_views(L, 1, true);
}

static const luaL_Reg methods[] = { { NULL, NULL } };

static const luaL_Reg batch_methods[] = { { "views", batch_views }, { NULL, NULL } };

static const luaL_Reg meta[] = {
	{ "__index", view_index },
	{ "__newindex", view_newindex },
	{ "__len", view_len },
	{ "__pairs", view_pairs },
	{ "__tostring", view_tostring },
	{ NULL, NULL },
};

void lb_open_view(lua_State *L)
{
	lb_newclass(L, LB_VIEW, methods, meta);
	lb_add_methods(L, LB_BATCH, batch_methods);
	luaL_getmetatable(L, LB_VIEW);
	lua_pushcfunction(L, view_index);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, view_copy);
	lua_setfield(L, -2, "copy");
	lua_pushcfunction(L, batch_edits);
	lua_setfield(L, -2, "edits");
}
