/* SPDX-License-Identifier: MIT */
/*
 * What records are called: the layout of a type by its name, from the BTF of
 * the object that the map was loaded with, else of the programs that use it.
 */
#include "bind/map/map.h"
#include "bind/value/layout.h"
#include "lib/kernel/kprog.h"
#include "lib/kernel/privilege.h"
#include "lib/layout/btf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

/* The id of "struct event", "union event", or of any type called "event"; -ENOENT. */
static int find(const struct btf *btf, const char *name)
{
	static const struct {
		const char *word;
		uint32_t kind;
	} words[] = { { "struct ", BTF_KIND_STRUCT }, { "union ", BTF_KIND_UNION } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		size_t n = strlen(words[i].word);

		if (strncmp(name, words[i].word, n) == 0)
			return btf__find_by_name_kind(btf, name + n, words[i].kind);
	}
	return btf__find_by_name(btf, name);
}

/* The layout of the type in the BTF, which is freed; NULL with errno set. */
static struct lb_layout *take_layout(struct btf *btf, const char *name)
{
	struct lb_layout *layout = NULL;
	int id, err = errno;

	if (btf) {
		id = find(btf, name);
		err = ENOENT;
		if (id > 0) {
			layout = lb_btf_layout(btf, (uint32_t)id);
			err = errno;
		}
		btf__free(btf);
	}
	errno = err;
	return layout;
}

/* In the BTF of the object that the map at index 1 is of, if it is of one. */
static struct lb_layout *of_object(lua_State *L, const char *name)
{
	size_t size;
	const char *raw;

	if (lua_getiuservalue(L, 1, LB_MAP_BTF) != LUA_TSTRING) {
		errno = ENOENT;
		return NULL;
	}
	raw = lua_tolstring(L, -1, &size);
	return take_layout(btf__new(raw, (uint32_t)size), name);
}

static struct lb_layout *of_programs(uint32_t map_id, const char *name)
{
	struct bpf_prog_info info = { 0 };
	struct lb_layout *layout;
	int found;

	while ((found = lb_kprog_next_user(map_id, &info)) > 0) {
		if (!info.btf_id)
			continue;
		layout = take_layout(btf__load_from_kernel_by_id(info.btf_id), name);
		if (layout || errno != ENOENT)
			return layout;
	}
	errno = found < 0 ? -found : ENOENT;
	return NULL;
}

/*
 * core.event_layout(map, name): a layout; nil, reason, errno: ENOENT where no
 * BTF has a type of that name.
 */
static int event_layout(lua_State *L)
{
	const struct lb_map *m = lb_check_map(L, 1);
	const char *name = luaL_checkstring(L, 2);
	struct lb_layout *layout;

	lua_settop(L, 2);
	layout = of_object(L, name);
	if (!layout && errno == ENOENT)
		layout = of_programs(m->k.info.id, name);
	if (!layout) {
		int err = errno;

		return lb_fail_unprivileged(L, err, LB_CAP_SYS_ADMIN,
					    lua_pushfstring(L, "looking for %s", name));
	}
	lb_layout_push(L, layout);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "event_layout", event_layout },
	{ NULL, NULL },
};

void lb_open_kinds(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
