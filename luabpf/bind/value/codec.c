/* SPDX-License-Identifier: MIT */
/*
 * The codec: whole keys and values to Lua values (by decode.c and builder.c) and back, along the
 * types of a layout.
 *
 * Both ways are exact: what decoding gives, encoding takes and makes the same
 * bytes of it (special fields and the bits behind a prefix excepted, which are
 * zeros). So a bool that is neither 0 nor 1 decodes as integer, an enum without
 * a name for its number too, text that goes on after its NUL at full length, and
 * padding that is not zero as a field of its own.
 *
 * Unions: decoding gives every member, so encoding may be given several that
 * lie on the same bytes. Where a type has a union, a second buffer marks the
 * bits written; a bit written twice with different values is an error.
 *
 * Tables are read raw: no metamethod of a key or value runs while it is
 * encoded.
 */
#include "bind/value/codec.h"

#include "bind/value/builder.h"
#include "bind/value/decode.h"
#include "bind/value/path.h"
#include "lib/layout/address.h"
#include "lib/layout/merge.h"
#include "lib/layout/record.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* Types with a union up to this size need no memory from Lua while they are encoded. */
#define LOCAL 256

/* ---- decoding whole keys and values ------------------------------------ */

static void push_one(lua_State *L, const struct lb_shape *shape, const void *p, bool raw)
{
	if (raw || !shape->type || shape->type->kind == LB_BYTES)
		lua_pushlstring(L, p, shape->size);
	else if (shape->type->kind == LB_INT)
		lua_pushinteger(L, (lua_Integer)lb_load_int(p, shape->type));
	else if (!shape->builder || !lb_builder_ready(L, shape->builder, shape->type, NULL) ||
		 !lb_builder_push(L, shape->builder, p, NULL))
		lb_push_type(L, shape->type, p);
}

void lb_push(lua_State *L, const struct lb_shape *shape, const void *p, bool raw)
{
	if (!shape->ncpu) {
		push_one(L, shape, p, raw);
		return;
	}
	lua_createtable(L, (int)shape->ncpu, 0);
	for (uint32_t cpu = 0; cpu < shape->ncpu; cpu++) {
		push_one(L, shape, (const uint8_t *)p + cpu * lb_cpu_stride(shape->size), raw);
		lua_rawseti(L, -2, (lua_Integer)cpu + 1);
	}
}

/* ---- where encoded bytes go ------------------------------------------- */

struct encoder {
	lua_State *L;
	uint8_t *base;		/* the value's first byte */
	uint8_t *written;	/* its bits written so far; NULL: the type has no union */
};

/* Writes those bits of bytes that are set in bits, or all, at p, n bytes. */
static void merge(const struct encoder *e, uint8_t *p, const uint8_t *bytes, const uint8_t *bits,
		  size_t n, const struct lb_path *path)
{
	if (!lb_merge(p, e->written + (p - e->base), bytes, bits, n))
		lb_path_error(e->L, path, "differs from another member of the same union");
}

static void put(const struct encoder *e, uint8_t *p, const void *bytes, size_t n,
		const struct lb_path *path)
{
	if (e->written)
		merge(e, p, bytes, NULL, n, path);
	else
		memcpy(p, bytes, n);
}

static void put_bits(const struct encoder *e, uint8_t *p, const struct lb_member *m, uint64_t v,
		     const struct lb_path *path)
{
	uint8_t bytes[9] = { 0 }, bits[9] = { 0 };

	if (!e->written) {
		lb_store_bits(p, m->bit, m->bits, v);
		return;
	}
	lb_store_bits(bytes, m->bit, m->bits, v);
	lb_store_bits(bits, m->bit, m->bits, UINT64_MAX);
	merge(e, p, bytes, bits, (m->bit + m->bits + 7) / 8, path);
}

/* ---- encoding scalars ------------------------------------------------- */

static int wrong_type(lua_State *L, int idx, const struct lb_path *path, const char *expected)
{
	return lb_path_error(L, path, "%s expected, got %s", expected, luaL_typename(L, idx));
}

/* 2^63 and up to 2^64 as floats are no Lua integers, but exact values of a u64. */
static bool large_float(lua_State *L, int idx, uint64_t *v)
{
	lua_Number d = lua_tonumber(L, idx);

	if (!(d >= 0x1p63 && d < 0x1p64))
		return false;
	*v = (uint64_t)d;
	return true;
}

/* The integer at idx as a value of so many bits, 1 to 64; raises if it is none. */
static uint64_t to_bits(lua_State *L, int idx, uint32_t bits, bool is_signed,
			const struct lb_path *path)
{
	int64_t min = 0, max;
	uint64_t wide;
	lua_Integer v;
	int exact;

	if (lua_type(L, idx) != LUA_TNUMBER)
		wrong_type(L, idx, path, "integer");
	v = lua_tointegerx(L, idx, &exact);
	if (!exact && bits == 64 && !is_signed && large_float(L, idx, &wide))
		return wide;
	if (!exact)
		lb_path_error(L, path, "%.14g has no integer representation",
			      (double)lua_tonumber(L, idx));
	if (bits == 64)
		return (uint64_t)v;
	max = (int64_t)((UINT64_C(1) << (bits - is_signed)) - 1);
	if (is_signed)
		min = -max - 1;
	if (v < min || v > max)
		lb_path_error(L, path, "%lld is not within %lld and %lld", (long long)v,
			      (long long)min, (long long)max);
	return (uint64_t)v;
}

static bool fits(int64_t v, uint32_t bits, bool is_signed)
{
	uint64_t above = (uint64_t)v;

	if (bits == 64)
		return true;
	if (is_signed)
		above += UINT64_C(1) << (bits - 1);
	return above >> bits == 0;
}

static uint64_t named_value(lua_State *L, const struct lb_enumerator *value, uint32_t bits,
			    bool is_signed, const struct lb_path *path)
{
	if (!fits(value->value, bits, is_signed))
		lb_path_error(L, path, "'%s' (%lld) does not fit in %u bits", value->name,
			      (long long)value->value, bits);
	return (uint64_t)value->value;
}

static uint64_t enum_number(lua_State *L, int idx, const struct lb_type *type, uint32_t bits,
			    const struct lb_path *path)
{
	const char *name;

	if (lua_type(L, idx) == LUA_TNUMBER)
		return to_bits(L, idx, bits, type->is_signed, path);
	if (lua_type(L, idx) != LUA_TSTRING)
		wrong_type(L, idx, path, "name or integer");
	name = lua_tostring(L, idx);
	for (uint32_t i = 0; i < type->nvalues; i++)
		if (strcmp(type->values[i].name, name) == 0)
			return named_value(L, &type->values[i], bits, type->is_signed, path);
	lb_path_error(L, path, "%s has no value named '%s'", type->name, name);
	return 0;
}

/* true, false, or what decoding makes of other bytes: the integers from 2 on. */
static uint64_t bool_number(lua_State *L, int idx, uint32_t bits, const struct lb_path *path)
{
	uint64_t v;

	if (lua_isboolean(L, idx))
		return (uint64_t)lua_toboolean(L, idx);
	if (lua_type(L, idx) != LUA_TNUMBER)
		wrong_type(L, idx, path, "boolean");
	v = to_bits(L, idx, bits, false, path);
	if (v <= 1)
		wrong_type(L, idx, path, "boolean");
	return v;
}

static uint64_t to_number(lua_State *L, int idx, const struct lb_type *type, uint32_t bits,
			  const struct lb_path *path)
{
	if (type->kind == LB_ENUM)
		return enum_number(L, idx, type, bits, path);
	if (type->kind == LB_BOOL)
		return bool_number(L, idx, bits, path);
	return to_bits(L, idx, bits, type->is_signed, path);
}

static void encode_number(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			  const struct lb_path *path)
{
	uint64_t v = to_number(e->L, idx, type, 8 * type->size, path);
	uint8_t bytes[8];

	lb_store_int(bytes, type, v);
	put(e, p, bytes, type->size, path);
}

/* The reverse of widen. */
static uint32_t narrow(double d)
{
	float f = (float)d;
	uint32_t bits;
	uint64_t wide;

	memcpy(&bits, &f, sizeof(bits));
	if (isnan(d)) {
		memcpy(&wide, &d, sizeof(wide));
		bits = (uint32_t)(wide >> 63) << 31 | 0xffu << 23 |
		       (uint32_t)(wide >> 29 & 0x7fffff);
		if (!(bits & 0x7fffff))
			bits |= 1u << 22;
	}
	return bits;
}

static void encode_float(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			 const struct lb_path *path)
{
	uint32_t bits;
	double d;

	if (lua_type(e->L, idx) != LUA_TNUMBER)
		wrong_type(e->L, idx, path, "number");
	d = (double)lua_tonumber(e->L, idx);
	if (type->size == sizeof(d)) {
		put(e, p, &d, sizeof(d), path);
		return;
	}
	if (isfinite(d) && !isfinite((float)d))
		lb_path_error(e->L, path, "%.14g is too large for a %s", d, type->name);
	bits = narrow(d);
	put(e, p, &bits, sizeof(bits), path);
}

/* A string at idx; raises for anything else, numbers too. */
static const char *to_string(lua_State *L, int idx, size_t *n, const char *expected,
			     const struct lb_path *path)
{
	if (lua_type(L, idx) != LUA_TSTRING)
		wrong_type(L, idx, path, expected);
	return lua_tolstring(L, idx, n);
}

static void encode_text(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			const struct lb_path *path)
{
	static const uint8_t nul[] = { 0 };
	size_t n;
	const char *s = to_string(e->L, idx, &n, "string", path);

	if (n > type->size)
		lb_path_error(e->L, path, "text of %zu bytes does not fit in %u", n, type->size);
	put(e, p, s, n, path);
	for (; n < type->size; n++)
		put(e, p + n, nul, 1, path);
}

/* A binary string of exactly the type's size. */
static const char *to_binary(lua_State *L, int idx, uint32_t size, const struct lb_path *path)
{
	size_t n;
	const char *s = to_string(L, idx, &n, "binary string", path);

	if (n != size)
		lb_path_error(L, path, "binary string of %u bytes expected, got %zu", size, n);
	return s;
}

static void encode_address(const struct encoder *e, int idx, const struct lb_type *type,
			   uint8_t *p, const struct lb_path *path)
{
	size_t n;
	const char *text = to_string(e->L, idx, &n, lb_address_name(type->kind), path);
	uint8_t bytes[20];

	if (strlen(text) != n || !lb_address_parse(type->kind, text, bytes))
		lb_path_error(e->L, path, "%s expected, got '%s'",
			      lb_address_name(type->kind), text);
	put(e, p, bytes, type->size, path);
}

/* ---- encoding tables -------------------------------------------------- */

static void encode_type(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			const struct lb_path *path);

static bool has_member(const struct lb_type *type, const char *name)
{
	return (type->ngaps && strcmp(type->padding_name, name) == 0) || lb_find_member(type, name);
}

void lb_push_names(lua_State *L, const struct lb_type *type)
{
	char names[200] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < type->nmembers; i++) {
		const char *name = type->members[i].name;

		if (n + strlen(name) + 8 > sizeof(names)) {
			strcpy(names + n, ", ...");
			break;
		}
		n += (size_t)sprintf(names + n, "%s%s", i ? ", " : "", name);
	}
	lua_pushstring(L, names);
}

/* Raises for a name that the type has not. */
static void unknown_field(lua_State *L, const struct lb_type *type, const struct lb_path *path)
{
	lb_push_names(L, type);
	lb_path_error(L, path, "unknown field (there are: %s)", lua_tostring(L, -1));
}

/* Raises for the first key of the table at idx that is no member. */
static void check_names(lua_State *L, int idx, const struct lb_type *type,
			const struct lb_path *path)
{
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		struct lb_path here = { path, NULL, 0 };

		lua_pop(L, 1);
		if (lua_isinteger(L, -1)) {
			here.index = lua_tointeger(L, -1);
			unknown_field(L, type, &here);
		}
		if (lua_type(L, -1) != LUA_TSTRING)
			lb_path_error(L, path, "names of fields expected, got a key of type %s",
				      luaL_typename(L, -1));
		here.name = lua_tostring(L, -1);
		if (!has_member(type, here.name))
			unknown_field(L, type, &here);
	}
}

/* Raises for a key of the list at idx that is not within 1 and n. */
static void check_indexes(lua_State *L, int idx, uint32_t n, const struct lb_path *path)
{
	lua_pushnil(L);
	while (lua_next(L, idx)) {
		struct lb_path here = { path, NULL, 0 };

		lua_pop(L, 1);
		if (!lua_isinteger(L, -1))
			lb_path_error(L, path, "list expected, got a key of type %s",
				      luaL_typename(L, -1));
		here.index = lua_tointeger(L, -1);
		if (here.index < 1 || here.index > n)
			lb_path_error(L, &here, "index is not within 1 and %u", n);
	}
}

static uint64_t count_entries(lua_State *L, int idx)
{
	uint64_t n = 0;

	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1))
		n++;
	return n;
}

static void encode_member(const struct encoder *e, int idx, const struct lb_member *m, uint8_t *p,
			  const struct lb_path *path)
{
	if (m->bits)
		put_bits(e, p + m->offset, m, to_number(e->L, idx, m->type, m->bits, path), path);
	else
		encode_type(e, idx, m->type, p + m->offset, path);
}

/* The padding at the top of the stack: all its bytes, the bits of members zero. */
static void encode_padding(const struct encoder *e, const struct lb_type *type, uint8_t *p,
			   const struct lb_path *path)
{
	const char *s = to_binary(e->L, lua_gettop(e->L), type->padding, path);
	uint32_t gap = 0, at = 0;

	for (uint32_t i = 0; i < type->padding; i++) {
		uint8_t mask, byte = (uint8_t)s[i];
		uint32_t offset = lb_gaps_next(type, &gap, &at, &mask);

		if (byte & ~mask)
			lb_path_error(e->L, path, "byte %u has bits of fields", i + 1);
		if (e->written)
			merge(e, p + offset, &byte, &mask, 1, path);
		else
			p[offset] = (uint8_t)((p[offset] & ~mask) | byte);
	}
}

static void encode_record(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			  const struct lb_path *path)
{
	lua_State *L = e->L;
	uint64_t found = 0;

	for (uint32_t i = 0; i < type->nmembers; i++) {
		const struct lb_member *m = &type->members[i];
		const struct lb_path here = { path, m->name, 0 };

		lua_pushstring(L, m->name);
		if (lua_rawget(L, idx) != LUA_TNIL) {
			encode_member(e, lua_gettop(L), m, p, &here);
			found++;
		}
		lua_pop(L, 1);
	}
	if (type->ngaps) {
		const struct lb_path here = { path, type->padding_name, 0 };

		lua_pushstring(L, type->padding_name);
		if (lua_rawget(L, idx) != LUA_TNIL) {
			encode_padding(e, type, p, &here);
			found++;
		}
		lua_pop(L, 1);
	}
	if (count_entries(L, idx) != found)
		check_names(L, idx, type, path);
}

static void encode_list(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			const struct lb_path *path)
{
	lua_State *L = e->L;
	uint64_t found = 0;

	for (uint32_t i = 0; i < type->n; i++) {
		const struct lb_path here = { path, NULL, (lua_Integer)i + 1 };

		if (lua_rawgeti(L, idx, here.index) != LUA_TNIL) {
			encode_type(e, lua_gettop(L), type->elem,
				    p + (size_t)i * type->elem->size, &here);
			found++;
		}
		lua_pop(L, 1);
	}
	if (count_entries(L, idx) != found)
		check_indexes(L, idx, type->n, path);
}

/* Structs, unions and arrays. */
static void encode_table(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			 const struct lb_path *path)
{
	if (lua_type(e->L, idx) == LUA_TSTRING)
		lb_path_error(e->L, path, "table expected, got string (binary strings are taken "
					  "with raw = true only)");
	if (!lua_istable(e->L, idx))
		wrong_type(e->L, idx, path, "table");
	luaL_checkstack(e->L, LUA_MINSTACK, "types nest too deep");
	if (type->kind == LB_ARRAY)
		encode_list(e, idx, type, p, path);
	else
		encode_record(e, idx, type, p, path);
}

static void encode_type(const struct encoder *e, int idx, const struct lb_type *type, uint8_t *p,
			const struct lb_path *path)
{
	switch (type->kind) {
	case LB_INT:
	case LB_BOOL:
	case LB_ENUM:
	case LB_POINTER:
		encode_number(e, idx, type, p, path);
		break;
	case LB_FLOAT:
		encode_float(e, idx, type, p, path);
		break;
	case LB_TEXT:
		encode_text(e, idx, type, p, path);
		break;
	case LB_BYTES:
		put(e, p, to_binary(e->L, idx, type->size, path), type->size, path);
		break;
	case LB_IPV4:
	case LB_IPV6:
	case LB_IP:
	case LB_MAC:
	case LB_PREFIX4:
	case LB_PREFIX6:
		encode_address(e, idx, type, p, path);
		break;
	case LB_SPECIAL:
		to_binary(e->L, idx, type->size, path);	/* what it holds is the kernel's */
		break;
	case LB_ARRAY:
	case LB_STRUCT:
	case LB_UNION:
		encode_table(e, idx, type, p, path);
		break;
	}
}

/* ---- encoding whole keys and values ----------------------------------- */

/* Stores the value at idx if it is an integer that fits, and the type one of integers. */
static bool encode_plain(lua_State *L, int idx, const struct lb_type *type, uint8_t *out)
{
	int64_t v;

	if (type->kind != LB_INT || !lua_isinteger(L, idx))
		return false;
	v = lua_tointeger(L, idx);
	if (!fits(v, 8 * type->size, type->is_signed))
		return false;
	lb_store_int(out, type, (uint64_t)v);
	return true;
}

/*
 * The table of a struct by the known names of its members, in one pass over it. False at a key that
 * is none of them, with a part of the value encoded.
 */
static bool encode_known(const struct encoder *e, int idx, const struct lb_type *type,
			 const void *const *names, uint8_t *out, const struct lb_path *path)
{
	lua_State *L = e->L;
	uint32_t at = 0;

	for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
		const void *name = lua_topointer(L, -2);
		const struct lb_member *m;
		uint32_t tried = 0;

		for (; tried < type->nmembers && names[at] != name; tried++)
			at = at + 1 < type->nmembers ? at + 1 : 0;
		if (tried == type->nmembers)
			return false;
		m = &type->members[at];
		if (m->bits || !encode_plain(L, -1, m->type, out + m->offset)) {
			const struct lb_path here = { path, m->name, 0 };

			encode_member(e, lua_gettop(L), m, out, &here);
		}
	}
	return true;
}

/* encode_known for a struct that has been encoded often; false if the plain way has to do it. */
static bool encode_fast(const struct encoder *e, int idx, const struct lb_shape *shape,
			uint8_t *out, const struct lb_path *path)
{
	const void *const *names;

	if (!shape->builder || !lua_istable(e->L, idx))
		return false;
	names = lb_builder_names(e->L, shape->builder, shape->type);
	return names && encode_known(e, idx, shape->type, names, out, path);
}

/* All else, along the type, into zeros; a union has to know which bits were written. */
static void encode_whole(lua_State *L, int idx, const struct lb_shape *shape, uint8_t *out,
			 const struct lb_path *path)
{
	const struct lb_type *type = shape->type;
	struct encoder e = { .L = L, .base = out };
	uint8_t local[LOCAL];
	int top = lua_gettop(L);

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	memset(out, 0, shape->size);
	if (type->has_union) {
		e.written = type->size <= LOCAL ? local : lua_newuserdatauv(L, type->size, 0);
		memset(e.written, 0, type->size);
	}
	if (!encode_fast(&e, idx, shape, out, path))
		encode_type(&e, idx, type, out, path);
	lua_settop(L, top);
}

/* Whether strings are the bytes themselves: where that is asked for, or no type says more. */
static bool takes_bytes(const struct lb_shape *shape, bool raw)
{
	return raw || !shape->type || shape->type->kind == LB_BYTES;
}

/* What most keys and values are, bytes and integers, is stored at once. */
static void encode_one(lua_State *L, int idx, const struct lb_shape *shape, uint8_t *out, bool raw,
		       const struct lb_path *path)
{
	if (!shape->type || (takes_bytes(shape, raw) && lua_type(L, idx) == LUA_TSTRING))
		memcpy(out, to_binary(L, idx, shape->size, path), shape->size);
	else if (!encode_plain(L, idx, shape->type, out))
		encode_whole(L, lua_absindex(L, idx), shape, out, path);
}

/* The values of all CPUs in one string, as they lie in the buffer. */
static void encode_packed(lua_State *L, int idx, const struct lb_shape *shape, uint8_t *out,
			  const struct lb_path *path)
{
	const char *s = to_binary(L, idx, shape->stride, path);
	uint32_t stride = lb_cpu_stride(shape->size);

	for (uint32_t cpu = 0; cpu < shape->ncpu; cpu++)
		memcpy(out + cpu * stride, s + cpu * stride, shape->size);
}

static void encode_cpus(lua_State *L, int idx, const struct lb_shape *shape, uint8_t *out, bool raw,
			const struct lb_path *path)
{
	if (lua_type(L, idx) == LUA_TSTRING && takes_bytes(shape, raw)) {
		encode_packed(L, idx, shape, out, path);
		return;
	}
	if (!lua_istable(L, idx))
		wrong_type(L, idx, path, "list of a value per CPU");
	if (count_entries(L, idx) != shape->ncpu || lua_rawlen(L, idx) != shape->ncpu) {
		check_indexes(L, idx, INT32_MAX, path);
		lb_path_error(L, path, "list of %u values expected, one per possible CPU, got %llu",
			      shape->ncpu, (unsigned long long)count_entries(L, idx));
	}
	for (uint32_t cpu = 0; cpu < shape->ncpu; cpu++) {
		const struct lb_path here = { path, NULL, (lua_Integer)cpu + 1 };

		lua_rawgeti(L, idx, here.index);
		encode_one(L, lua_gettop(L), shape, out + cpu * lb_cpu_stride(shape->size), raw,
			   &here);
		lua_pop(L, 1);
	}
}

void lb_encode(lua_State *L, int idx, const struct lb_shape *shape, void *out, bool raw,
	       const struct lb_path *path)
{
	if (!shape->ncpu) {
		encode_one(L, idx, shape, out, raw, path);
		return;
	}
	luaL_checkstack(L, LUA_MINSTACK, NULL);
	memset(out, 0, shape->stride);
	encode_cpus(L, lua_absindex(L, idx), shape, out, raw, path);
}

void lb_encode_member(lua_State *L, int idx, const struct lb_member *m, uint8_t *base,
		      const struct lb_path *path)
{
	struct encoder e = { .L = L, .base = base };
	uint8_t local[LOCAL], *bytes = local;

	idx = lua_absindex(L, idx);
	if (m->bits) {
		encode_member(&e, idx, m, base, path);
		return;
	}
	if (m->type->size > LOCAL)
		bytes = lua_newuserdatauv(L, m->type->size, 0);
	memset(bytes, 0, m->type->size);
	e.base = bytes;
	encode_type(&e, idx, m->type, bytes, path);
	memcpy(base + m->offset, bytes, m->type->size);
}
