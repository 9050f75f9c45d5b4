/* SPDX-License-Identifier: MIT */
/* The class luabpf.query for the threads that run queries. */
#ifndef LUABPF_BIND_QUERY_QUERY_H
#define LUABPF_BIND_QUERY_QUERY_H

#include "bind/map/map.h"
#include "lib/thread/crew.h"

/*
 * Fills in what a crew needs of the query at arg and its parameters at params;
 * the map, which is open.
 */
struct lb_map *lb_query_crew(lua_State *L, int arg, int params, struct lb_crew_spec *spec);

#endif
