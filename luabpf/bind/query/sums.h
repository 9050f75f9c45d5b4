/* SPDX-License-Identifier: MIT */
/* The class luabpf.aggregation for the threads that add to one. */
#ifndef LUABPF_BIND_QUERY_SUMS_H
#define LUABPF_BIND_QUERY_SUMS_H

#include "lib/sum/agg.h"

#include <lua.h>

/* The specification of the open aggregation at arg, which needs at most ncolumns columns, and
 * itself; raises otherwise. */
const struct lb_agg_spec *lb_check_agg(lua_State *L, int arg, uint32_t ncolumns,
				       struct lb_agg **agg);

#endif
