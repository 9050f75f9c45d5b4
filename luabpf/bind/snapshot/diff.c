/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.snapshot_diff: what differs between two snapshots, one entry
 * a step. lua/luabpf/file/snapshot.lua makes the iterator of it, and sees to it
 * that both have the same layouts.
 *
 *	d = core.snapshot_diff(new, old, memory)
 *	change = d:next()	-- { status =, key =, old =, new =, delta = }, nil at the end
 */
#include "bind/snapshot/snapshot.h"
#include "bind/value/codec.h"
#include "lib/snapshot/snapdiff.h"

#include <errno.h>
#include <string.h>

#define LB_DIFF "luabpf.snapshot_diff"
/* A key and two values up to this many bytes need no memory from Lua. */
#define LOCAL 1024

/* User values: the two snapshots. */
enum { NEW = 1, OLD = 2, UVALUES = 2 };

struct diff {
	struct lb_diff d;
	struct lb_snapshot *news, *olds;
	bool open;
};

static struct diff *to_diff(lua_State *L)
{
	return lb_checkudata(L, 1, LB_DIFF);
}

static void close_diff(struct diff *d)
{
	d->open = false;
	lb_diff_close(&d->d);
}

/* Raises an error object: the memory is not enough, or there is none. */
static int out_of_memory(lua_State *L, const struct diff *d, int err)
{
	char text[128];

	lb_budget_error(&d->d.budget, "the entries to compare", text, sizeof(text));
	return lb_throw_text(L, -err, lua_pushfstring(L, "diff: %s", text));
}

/* core.snapshot_diff(new, old, memory) */
static int diff_new(lua_State *L)
{
	struct lb_snapshot *news = lb_check_snapshot(L, 1), *olds = lb_check_snapshot(L, 2);
	size_t memory = (size_t)lb_check_int(L, 3, 0, INT64_MAX);
	const struct lb_diff_values values = { news->map->value.size, news->map->value.ncpu };
	struct diff *d;
	int err;

	luaL_argcheck(L, news->s.key_size == olds->s.key_size && news->s.key_size &&
			 news->s.value_size == olds->s.value_size &&
			 values.ncpu == olds->map->value.ncpu, 2, "entries of other sizes");
	d = lua_newuserdatauv(L, sizeof(*d), UVALUES);
	memset(d, 0, sizeof(*d));
	luaL_setmetatable(L, LB_DIFF);
	for (int i = NEW; i <= OLD; i++) {
		lua_pushvalue(L, i);
		lua_setiuservalue(L, -2, i);
	}
	d->news = news;
	d->olds = olds;
	err = lb_diff_open(&d->d, &news->s, &olds->s, &values, memory);
	if (err)
		return out_of_memory(L, d, err);
	d->open = true;
	return 1;
}

/* ---- differences of fields ---------------------------------------------- */

/* A value as it was and as it is, at a place in it. Per-CPU: the sum over the CPUs. */
struct pair {
	const uint8_t *old, *new;
	const struct lb_shape *shape;
};

static uint64_t load(const struct pair *v, const uint8_t *p, const struct lb_member *m)
{
	uint32_t ncpu = v->shape->ncpu ? v->shape->ncpu : 1;
	uint64_t sum = 0;

	for (uint32_t cpu = 0; cpu < ncpu; cpu++, p += lb_cpu_stride(v->shape->size))
		sum += lb_load_member(p, m);
	return sum;
}

static bool push_delta(lua_State *L, const struct pair *v, const struct lb_member *m);

static bool push_array_delta(lua_State *L, const struct pair *v, const struct lb_member *m)
{
	struct lb_member elem = { .type = m->type->elem, .offset = m->offset };
	bool any = false;

	lua_newtable(L);
	for (uint32_t i = 0; i < m->type->n; i++, elem.offset += elem.type->size) {
		if (!push_delta(L, v, &elem))
			break;
		lua_rawseti(L, -2, (lua_Integer)i + 1);
		any = true;
	}
	if (!any)
		lua_pop(L, 1);
	return any;
}

static bool push_record_delta(lua_State *L, const struct pair *v, const struct lb_member *m)
{
	bool any = false;

	lua_newtable(L);
	for (uint32_t i = 0; i < m->type->nmembers; i++) {
		struct lb_member inner = m->type->members[i];

		inner.offset += m->offset;
		if (!push_delta(L, v, &inner))
			continue;
		lua_setfield(L, -2, inner.name);
		any = true;
	}
	if (!any)
		lua_pop(L, 1);
	return any;
}

/* Pushes new minus old of the integers in a member; false if there are none in it. */
static bool push_delta(lua_State *L, const struct pair *v, const struct lb_member *m)
{
	luaL_checkstack(L, LUA_MINSTACK, "types nest too deep");
	switch (m->type->kind) {
	case LB_INT:
		lua_pushinteger(L, (lua_Integer)(load(v, v->new, m) - load(v, v->old, m)));
		return true;
	case LB_ARRAY:
		return push_array_delta(L, v, m);
	case LB_STRUCT:
	case LB_UNION:
		return push_record_delta(L, v, m);
	default:
		return false;
	}
}

static void set_delta(lua_State *L, const struct lb_shape *shape, const struct lb_difference *c)
{
	const struct pair v = { c->old, c->new, shape };
	const struct lb_member all = { .type = shape->type };

	if (shape->type && push_delta(L, &v, &all))
		lua_setfield(L, -2, "delta");
}

/* ---- stepping ----------------------------------------------------------- */

static void set_value(lua_State *L, const char *name, const struct lb_shape *shape,
		      const uint8_t *p)
{
	if (!p)
		return;
	lb_push(L, shape, p, false);
	lua_setfield(L, -2, name);
}

static void push_change(lua_State *L, const struct diff *d, const struct lb_difference *c)
{
	static const char *const names[] = { [LB_ADDED] = "added", [LB_REMOVED] = "removed",
					     [LB_CHANGED] = "changed" };

	lua_createtable(L, 0, 5);
	lua_pushstring(L, names[c->status]);
	lua_setfield(L, -2, "status");
	set_value(L, "key", &d->news->map->key, c->key);
	set_value(L, "old", &d->olds->map->value, c->old);
	set_value(L, "new", &d->news->map->value, c->new);
	if (c->status == LB_CHANGED)
		set_delta(L, &d->news->map->value, c);
}

static int failed(lua_State *L, struct diff *d, int err, const struct lb_snap_fault *fault)
{
	const struct lb_snap *of = d->d.failed;

	close_diff(d);
	if (!of)
		return out_of_memory(L, d, err);
	lua_getiuservalue(L, 1, of == &d->news->s ? NEW : OLD);
	return lb_snapshot_throw(L, -1, err, fault);
}

/* A copy at *to, which moves on; NULL of NULL. */
static const uint8_t *copy(uint8_t **to, const uint8_t *from, size_t size)
{
	const uint8_t *at = *to;

	if (!from)
		return NULL;
	memcpy(*to, from, size);
	*to += size;
	return at;
}

/* Has the difference in memory that stays while it is decoded, whoever closes the comparison. */
static void keep(const struct diff *d, struct lb_difference *c, uint8_t *to)
{
	c->key = copy(&to, c->key, d->news->map->key.size);
	c->old = copy(&to, c->old, d->olds->map->value.stride);
	c->new = copy(&to, c->new, d->news->map->value.stride);
}

/* diff:next(): the next change, or nil. Raises an error object. */
static int diff_next(lua_State *L)
{
	struct diff *d = to_diff(L);
	uint8_t local[LOCAL], *kept;
	struct lb_snap_fault fault;
	struct lb_difference c;
	int rc;

	lua_settop(L, 1);
	kept = lb_scratch(L, (size_t)d->news->map->key.size + d->olds->map->value.stride +
			     d->news->map->value.stride, local, sizeof(local));
	if (!d->open)
		return 0;
	if (d->news->s.fd < 0 || d->olds->s.fd < 0)
		return lb_is_closed(L, "snapshot");
	rc = lb_diff_next(&d->d, &c, &fault);
	if (rc < 0)
		return failed(L, d, rc, &fault);
	if (rc == 0) {
		close_diff(d);
		return 0;
	}
	keep(d, &c, kept);
	push_change(L, d, &c);
	return 1;
}

static int diff_close(lua_State *L)
{
	close_diff(to_diff(L));
	return 0;
}

static const luaL_Reg methods[] = {
	{ "next", diff_next },
	{ "close", diff_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", diff_close },
	{ "__close", diff_close },
	{ NULL, NULL },
};

void lb_open_diff(lua_State *L)
{
	lb_newclass(L, LB_DIFF, methods, meta);
	lua_pushcfunction(L, diff_new);
	lua_setfield(L, -2, "snapshot_diff");
}
