/* SPDX-License-Identifier: MIT */
/* The table that core.query is given, read into what the executors take. */
#ifndef LUABPF_BIND_QUERY_QUERYSPEC_H
#define LUABPF_BIND_QUERY_QUERYSPEC_H

#include "bind/map/map.h"
#include "lib/scan/scan.h"

/*
 * Reads the table at index 2 for a map of the shapes of m. What the
 * specification points to goes into the table at index kept. Raises.
 */
void lb_query_read(lua_State *L, int kept, const struct lb_map *m, struct lb_scan_spec *spec);
/* Memory that lives as long as the query: a userdata kept in the table at index kept. */
void *lb_query_keep(lua_State *L, int kept, size_t size);

#endif
