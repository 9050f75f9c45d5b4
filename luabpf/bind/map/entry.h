/* SPDX-License-Identifier: MIT */
/* Keys and values on their way from Lua to flat buffers. */
#ifndef LUABPF_BIND_MAP_ENTRY_H
#define LUABPF_BIND_MAP_ENTRY_H

#include "bind/map/map.h"
#include "bind/value/path.h"

/*
 * Encodes the value at idx as key or value of a map: what lb_encode takes, a
 * view of the same size, a map or program handle where values are
 * descriptors, an index where keys are indexes, the text of a prefix where keys
 * are prefixes. The bits of a prefix behind its length are cleared.
 */
void lb_map_encode(lua_State *L, const struct lb_map *m, const struct lb_shape *shape, int idx,
		   void *out, bool raw, const struct lb_path *path);

#endif
