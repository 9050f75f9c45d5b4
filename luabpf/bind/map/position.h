/* SPDX-License-Identifier: MIT */
/* Where a scan of a map is, as a string that goes on there, in another process too. */
#ifndef LUABPF_BIND_MAP_POSITION_H
#define LUABPF_BIND_MAP_POSITION_H

#include "bind/map/lender.h"
#include "lib/scan/source.h"

#include <lua.h>

/* What kind of position the scan has. */
enum lb_position lb_position_kind(const struct lb_source *s);
/* Pushes the position after the current block; raises where there are none. */
void lb_position_push(lua_State *L, const struct lb_source *s, const struct lb_lender *lender);
/* Goes on from the string at idx; raises an error object where it is not of such a scan. */
void lb_position_seek(lua_State *L, struct lb_source *s, int idx);

#endif
