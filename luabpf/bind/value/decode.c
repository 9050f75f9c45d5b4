/* SPDX-License-Identifier: MIT */
/*
 * Bytes to Lua values, along the types of a layout: the codec's first half
 * (codec.c), and the only place that knows how a type looks in Lua.
 */
#include "bind/value/decode.h"

#include "lib/layout/address.h"
#include "lib/layout/record.h"

#include <lauxlib.h>
#include <math.h>
#include <string.h>

/* float to double and back with all bits of a NaN, which a conversion would make quiet. */
static double widen(uint32_t bits)
{
	double d;
	float f;

	memcpy(&f, &bits, sizeof(f));
	if (isnan(f)) {
		uint64_t wide = (uint64_t)(bits >> 31) << 63 | UINT64_C(0x7ff) << 52 |
				(uint64_t)(bits & 0x7fffff) << 29;

		memcpy(&d, &wide, sizeof(d));
		return d;
	}
	return (double)f;
}

static void push_float(lua_State *L, const struct lb_type *type, const void *p)
{
	uint32_t bits;
	double d;

	if (type->size == sizeof(d)) {
		memcpy(&d, p, sizeof(d));
	} else {
		memcpy(&bits, p, sizeof(bits));
		d = widen(bits);
	}
	lua_pushnumber(L, d);
}

static void push_text(lua_State *L, const struct lb_type *type, const char *p)
{
	size_t n = strnlen(p, type->size);

	for (size_t i = n; i < type->size; i++)
		if (p[i])
			n = type->size;
	lua_pushlstring(L, p, n);
}

static void push_enum(lua_State *L, const struct lb_type *type, uint64_t v)
{
	for (uint32_t i = 0; i < type->nvalues; i++) {
		if ((uint64_t)type->values[i].value == v) {
			lua_pushstring(L, type->values[i].name);
			return;
		}
	}
	lua_pushinteger(L, (lua_Integer)v);
}

/* An integer of a type's kind, loaded already. */
static void push_integer(lua_State *L, const struct lb_type *type, uint64_t v)
{
	if (type->kind == LB_ENUM)
		push_enum(L, type, v);
	else if (type->kind == LB_BOOL && v <= 1)
		lua_pushboolean(L, (int)v);
	else
		lua_pushinteger(L, (lua_Integer)v);
}

static void push_zeros(lua_State *L, uint32_t size)
{
	luaL_Buffer b;

	memset(luaL_buffinitsize(L, &b, size), 0, size);
	luaL_pushresultsize(&b, size);
}

static void push_address(lua_State *L, const struct lb_type *type, const void *p)
{
	char text[LB_ADDRESS_TEXT];
	size_t n = lb_address_format(type->kind, p, text);

	lua_pushlstring(L, text, n);
}

/* The elements of an array before the zeros at its end. */
static uint32_t before_zeros(const struct lb_type *type, const uint8_t *p)
{
	size_t size = type->size;

	while (size && p[size - 1] == 0)
		size--;
	return (uint32_t)((size + type->elem->size - 1) / type->elem->size);
}

static void push_array(lua_State *L, const struct lb_type *type, const uint8_t *p)
{
	uint32_t n = type->ends ? before_zeros(type, p) : type->n;

	luaL_checkstack(L, LUA_MINSTACK, "types nest too deep");
	lua_createtable(L, (int)n, 0);
	for (uint32_t i = 0; i < n; i++) {
		lb_push_type(L, type->elem, p + (size_t)i * type->elem->size);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

void lb_push_padding(lua_State *L, const struct lb_type *type, const void *p)
{
	luaL_Buffer b;

	if (!type->ngaps || lb_gaps_clear(type, p)) {
		lua_pushnil(L);
		return;
	}
	lb_gaps_read(type, p, (uint8_t *)luaL_buffinitsize(L, &b, type->padding));
	luaL_pushresultsize(&b, type->padding);
}

static void push_record(lua_State *L, const struct lb_type *type, const uint8_t *p)
{
	const struct lb_member *end = type->members + type->nmembers;

	luaL_checkstack(L, LUA_MINSTACK, "types nest too deep");
	lua_createtable(L, 0, (int)type->nmembers);
	for (const struct lb_member *m = type->members; m < end; m++) {
		lb_push_member(L, m, p);
		lua_setfield(L, -2, m->name);
	}
	if (type->ngaps) {
		lb_push_padding(L, type, p);
		lua_setfield(L, -2, type->padding_name);
	}
}

void lb_push_type(lua_State *L, const struct lb_type *type, const void *p)
{
	switch (type->kind) {
	case LB_INT:
	case LB_POINTER:
		lua_pushinteger(L, (lua_Integer)lb_load_int(p, type));
		break;
	case LB_BOOL:
	case LB_ENUM:
		push_integer(L, type, lb_load_int(p, type));
		break;
	case LB_FLOAT:
		push_float(L, type, p);
		break;
	case LB_TEXT:
		push_text(L, type, p);
		break;
	case LB_BYTES:
		lua_pushlstring(L, p, type->size);
		break;
	case LB_IPV4:
	case LB_IPV6:
	case LB_IP:
	case LB_MAC:
	case LB_PREFIX4:
	case LB_PREFIX6:
		push_address(L, type, p);
		break;
	case LB_SPECIAL:
		push_zeros(L, type->size);
		break;
	case LB_ARRAY:
		push_array(L, type, p);
		break;
	case LB_STRUCT:
	case LB_UNION:
		push_record(L, type, p);
		break;
	}
}

void lb_push_member(lua_State *L, const struct lb_member *m, const void *base)
{
	const uint8_t *p = (const uint8_t *)base + m->offset;

	if (m->bits)
		push_integer(L, m->type, lb_load_bits(p, m->bit, m->bits, m->type->is_signed));
	else if (m->type->kind == LB_INT)	/* most are */
		lua_pushinteger(L, (lua_Integer)lb_load_int(p, m->type));
	else
		lb_push_type(L, m->type, p);
}

void lb_push_rest(lua_State *L, const struct lb_type *type, const void *p, uint32_t size)
{
	struct lb_type rest = *type;

	rest.size = size;
	if (rest.kind == LB_ARRAY) {
		rest.n = rest.elem->size ? size / rest.elem->size : 0;
		rest.size = rest.n * rest.elem->size;
	}
	lb_push_type(L, &rest, p);
}
