/* SPDX-License-Identifier: MIT */
/*
 * Where a scan of a map is, as a string: it carries the boot, the map and the
 * kind of position, and is refused elsewhere.
 */
#include "bind/map/position.h"

#include "bind/base.h"

#include <errno.h>
#include <string.h>

/* The head of a cursor string; the raw position follows. */
struct token {
	char magic[8];
	char boot[36];
	uint32_t map_id;
	uint8_t kind;		/* enum lb_position of the scan */
	uint8_t drain, ended, started;
};

static const char magic[8] = "lbcurs1";

enum lb_position lb_position_kind(const struct lb_source *s)
{
	return s->walk ? LB_POS_KEY : s->map->type->position;
}

void lb_position_push(lua_State *L, const struct lb_source *s, const struct lb_lender *lender)
{
	struct token t = { .map_id = s->map->info.id, .kind = (uint8_t)lb_position_kind(s),
			   .drain = s->drain, .ended = s->ended, .started = s->started };
	size_t size = lb_source_pos_size(s);
	uint64_t step = lender->clock;
	uint8_t local[512], *text;

	if (t.kind == LB_POS_POP)
		luaL_error(L, "a queue or stack has no positions to go on from");
	memcpy(t.magic, magic, sizeof(magic));
	memcpy(t.boot, lb_boot_id(), sizeof(t.boot));
	text = lb_scratch(L, sizeof(t) + size, local, sizeof(local));
	if (!lb_lends(lender, step))
		luaL_error(L, "the cursor was moved on or closed");
	memcpy(text, &t, sizeof(t));
	memcpy(text + sizeof(t), s->pos, size);
	lua_pushlstring(L, (const char *)text, sizeof(t) + size);
	if (text != local)
		lua_remove(L, -2);
}

/* Why the string is not a position of this scan, or NULL. */
static const char *wrong_token(const struct lb_source *s, const struct token *t, size_t len)
{
	if (len < sizeof(*t) || memcmp(t->magic, magic, sizeof(magic)) != 0)
		return "not a cursor string";
	if (memcmp(t->boot, lb_boot_id(), sizeof(t->boot)) != 0)
		return "the cursor is from before the machine was started";
	if (t->map_id != s->map->info.id)
		return "the cursor is of another map";
	if (t->kind != lb_position_kind(s) || len != sizeof(*t) + lb_source_pos_size(s))
		return "the cursor is of another kind of scan";
	return NULL;
}

static int refuse_from(lua_State *L, const struct lb_source *s, const char *why)
{
	return lb_throw_text(L, EINVAL, lua_pushfstring(L, "option 'from': %s (map id %d)", why,
							(int)s->map->info.id));
}

void lb_position_seek(lua_State *L, struct lb_source *s, int idx)
{
	struct token t;
	const char *text, *why;
	size_t len;

	if (lua_type(L, idx) != LUA_TSTRING)
		luaL_error(L, "option 'from': cursor string expected, got %s", luaL_typename(L, idx));
	text = lua_tolstring(L, idx, &len);
	memcpy(&t, text, len < sizeof(t) ? len : sizeof(t));
	why = wrong_token(s, &t, len);
	if (why)
		refuse_from(L, s, why);
	if (t.started && lb_source_seek(s, text + sizeof(t), t.ended) < 0)
		refuse_from(L, s, s->refused);
}
