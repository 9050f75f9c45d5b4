/* SPDX-License-Identifier: MIT */
/* What cursor.c has for other scans and their reports. */
#ifndef LUABPF_BIND_MAP_CURSOR_H
#define LUABPF_BIND_MAP_CURSOR_H

#include "lib/scan/source.h"

#include <lua.h>

/*
 * Pushes an iterator over the decoded entries of the cursor at index 1, an
 * object that next, called with it, gets batches from: function, nil, nil, and
 * the cursor to be closed. Returns how many.
 */
int lb_entries(lua_State *L, lua_CFunction next);

/* Pushes what a scan did as a table. */
void lb_push_scan_report(lua_State *L, const struct lb_scan_stats *st, bool complete);

#endif
