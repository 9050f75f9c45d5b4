/* SPDX-License-Identifier: MIT */
/*
 * What core.query is given, read: tables of code and of numbers, made by
 * lua/luabpf/query/prepare.lua, become a specification for the executors.
 */
#include "bind/query/queryspec.h"

#include <string.h>

#define MAX_ZEROS 64
/* Entries that one scan may leave to Lua; more are cheaper judged by Lua from the start. */
#define MAX_ASKED (1 << 20)

void *lb_query_keep(lua_State *L, int kept, size_t size)
{
	void *p = lua_newuserdatauv(L, size ? size : 1, 0);

	memset(p, 0, size ? size : 1);
	lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
	return p;
}

/* The code string at the top, popped and kept. */
static struct lb_fragment read_code(lua_State *L, int kept, const char *what)
{
	struct lb_fragment f = { 0 };
	size_t len;

	if (lua_isnil(L, -1)) {
		lua_pop(L, 1);
		return f;
	}
	if (lua_type(L, -1) != LUA_TSTRING)
		luaL_error(L, "%s: code expected", what);
	f.code = (const struct bpf_insn *)(const void *)lua_tolstring(L, -1, &len);
	f.n = (uint32_t)(len / sizeof(struct bpf_insn));
	if (len % sizeof(struct bpf_insn))
		luaL_error(L, "%s: not a whole number of instructions", what);
	lua_rawseti(L, kept, (lua_Integer)lua_rawlen(L, kept) + 1);
	return f;
}

/* The number of the field's text in names, which NULL ends. */
static int choice(lua_State *L, int idx, const char *name, const char *const names[])
{
	const char *s;
	int i = 0;

	lua_getfield(L, idx, name);
	s = luaL_checkstring(L, -1);
	while (names[i] && strcmp(names[i], s) != 0)
		i++;
	if (!names[i])
		luaL_error(L, "%s: unknown: %s", name, s);
	lua_pop(L, 1);
	return i;
}

/* Pushes the list under that name; its length, 0 if there is none. */
static uint32_t open_list(lua_State *L, const char *name, uint32_t max)
{
	lua_Integer n = 0;

	if (lua_getfield(L, 2, name) == LUA_TTABLE)
		n = (lua_Integer)lua_rawlen(L, -1);
	if (n > max)
		luaL_error(L, "%s: more than %d", name, (int)max);
	return (uint32_t)n;
}

static void push_item(lua_State *L, uint32_t i, const char *what)
{
	if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TTABLE)
		luaL_error(L, "%s[%d]: table expected", what, (int)i + 1);
}

static void read_reductions(lua_State *L, struct lb_scan_spec *spec, int kept)
{
	static const char *const ops[] = { "sum", "max", "min", "cpu", NULL };
	uint32_t n = open_list(L, "reductions", LB_MAX_REDUCTIONS);
	struct lb_reduction *r = lb_query_keep(L, kept, n * sizeof(*r));

	for (uint32_t i = 0; i < n; i++) {
		int item;

		push_item(L, i, "reductions");
		item = lua_gettop(L);
		r[i].op = (enum lb_reduce_op)choice(L, item, "op", ops);
		r[i].cpu = lb_opt_upto(L, item, "cpu", UINT16_MAX);
		r[i].offset = lb_opt_upto(L, item, "offset", INT32_MAX);
		r[i].size = lb_opt_upto(L, item, "size", 8);
		r[i].bit = lb_opt_upto(L, item, "bit", 63);
		r[i].bits = lb_opt_upto(L, item, "bits", 64);
		r[i].is_signed = lb_opt_flag(L, item, "signed");
		r[i].big = lb_opt_flag(L, item, "big");
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	spec->env.reductions = r;
	spec->env.nreductions = n;
}

static void read_columns(lua_State *L, struct lb_scan_spec *spec, int kept)
{
	uint32_t n = open_list(L, "columns", LB_MAX_COLUMNS);
	struct lb_fragment *f = lb_query_keep(L, kept, n * sizeof(*f));

	for (uint32_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		f[i] = read_code(L, kept, "columns");
	}
	lua_pop(L, 1);
	spec->columns = f;
	spec->ncolumns = n;
}

static void read_sums(lua_State *L, struct lb_scan_spec *spec, int kept)
{
	static const char *const ops[] = { "sum", "min", "max", "smin", "smax", NULL };
	uint32_t n = open_list(L, "sums", LB_MAX_SUMS);
	struct lb_sum *s = lb_query_keep(L, kept, n * sizeof(*s));

	for (uint32_t i = 0; i < n; i++) {
		push_item(L, i, "sums");
		s[i].op = (enum lb_sum_op)choice(L, lua_gettop(L), "op", ops);
		lua_getfield(L, -1, "code");
		s[i].of = read_code(L, kept, "sums");
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	spec->sums = s;
	spec->nsums = n;
}

/* Bytes that a list of numbers under that name has, kept; 0 for none. */
static uint32_t read_bytes(lua_State *L, const char *name, int kept, const uint8_t **out)
{
	uint32_t n = open_list(L, name, LB_MAX_COLUMNS);
	uint8_t *bytes = lb_query_keep(L, kept, n);

	for (uint32_t i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		bytes[i] = (uint8_t)lb_check_int(L, -1, 0, UINT8_MAX);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	*out = bytes;
	return n;
}

/* Groups: the bits of their columns, and what is made of the others. */
static void read_index(lua_State *L, struct lb_scan_spec *spec, int kept)
{
	spec->nindex = read_bytes(L, "index", kept, &spec->bits);
	if (read_bytes(L, "ops", kept, &spec->ops) + spec->nindex != spec->ncolumns && spec->nindex)
		luaL_error(L, "ops: one for each column behind the groups expected");
}

static void read_words(lua_State *L, struct lb_edit *x, int kept)
{
	static const char *const kinds[] = { "exchange", "plain", "add", "take", NULL };
	uint32_t n = open_list(L, "words", LB_MAX_PUTS);
	struct lb_cell *w = lb_query_keep(L, kept, n * sizeof(*w));

	for (uint32_t i = 0; i < n; i++) {
		push_item(L, i, "words");
		w[i].offset = lb_opt_upto(L, lua_gettop(L), "offset", INT32_MAX);
		w[i].size = lb_opt_upto(L, lua_gettop(L), "size", 8);
		w[i].how = (enum lb_cell_how)choice(L, lua_gettop(L), "how", kinds);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	x->words = w;
	x->nwords = n;
}

static void read_puts(lua_State *L, struct lb_edit *x, int kept)
{
	uint32_t n = open_list(L, "puts", LB_MAX_PUTS);
	struct lb_put *s = lb_query_keep(L, kept, n * sizeof(*s));
	struct lb_fragment *values = lb_query_keep(L, kept, n * sizeof(*values));

	for (uint32_t i = 0; i < n; i++) {
		int item;

		push_item(L, i, "puts");
		item = lua_gettop(L);
		s[i].word = lb_opt_upto(L, item, "word", LB_MAX_PUTS);
		s[i].bit = lb_opt_upto(L, item, "bit", 63);
		s[i].bits = lb_opt_upto(L, item, "bits", 64);
		s[i].is_signed = lb_opt_flag(L, item, "signed");
		s[i].positive = lb_opt_flag(L, item, "positive");
		s[i].big = lb_opt_flag(L, item, "big");
		lua_getfield(L, item, "code");
		values[i] = read_code(L, kept, "puts");
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	x->puts = s;
	x->nputs = n;
	x->values = values;
}

/* Changes, of what is under that spin lock where there is one. */
static void read_change(lua_State *L, struct lb_edit *x, int kept)
{
	read_words(L, x, kept);
	read_puts(L, x, kept);
	lua_getfield(L, 2, "decide");
	x->decide = read_code(L, kept, "decide");
	x->locked = lua_getfield(L, 2, "lock") != LUA_TNIL;
	lua_pop(L, 1);
	x->lock = x->locked ? lb_opt_upto(L, 2, "lock", INT32_MAX) : 0;
}

static void read_zeros(lua_State *L, struct lb_scan_spec *spec, int kept)
{
	uint32_t n = open_list(L, "zeros", MAX_ZEROS);
	struct lb_span *z = lb_query_keep(L, kept, n * sizeof(*z));

	for (uint32_t i = 0; i < n; i++) {
		push_item(L, i, "zeros");
		z[i].offset = lb_opt_upto(L, lua_gettop(L), "offset", INT32_MAX);
		z[i].size = lb_opt_upto(L, lua_gettop(L), "size", INT32_MAX);
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
	spec->zeros = z;
	spec->nzeros = n;
}

void lb_query_read(lua_State *L, int kept, const struct lb_map *m, struct lb_scan_spec *spec)
{
	spec->env = (struct lb_env){ .key_size = m->key.size, .value_size = m->value.size,
				     .ncpu = m->value.ncpu,
				     .nparams = lb_opt_upto(L, 2, "nparams", LB_MAX_PARAMS),
				     .ntables = lb_opt_upto(L, 2, "ntables", LB_MAX_TABLES),
				     .nwritable = lb_opt_upto(L, 2, "nwritable", LB_MAX_PARAMS) };
	/* What changes values of CPUs sees one at a time. */
	if (lb_opt_flag(L, 2, "one_cpu"))
		spec->env.ncpu = 0;
	read_reductions(L, spec, kept);
	lua_getfield(L, 2, "where");
	spec->where = read_code(L, kept, "where");
	read_columns(L, spec, kept);
	read_index(L, spec, kept);
	read_sums(L, spec, kept);
	read_zeros(L, spec, kept);
	read_change(L, &spec->change, kept);
	spec->keys = lb_opt_flag(L, 2, "keys");
	spec->values = lb_opt_flag(L, 2, "values");
	spec->remove = lb_opt_flag(L, 2, "remove");
	spec->asked = lb_opt_upto(L, 2, "asked", MAX_ASKED);
}
