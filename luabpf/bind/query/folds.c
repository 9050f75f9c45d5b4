/* SPDX-License-Identifier: MIT */
/*
 * What a luabpf.query does that adds entries to accumulators, over batches; for
 * lua/luabpf/query/fold.lua. The accumulators are the query's writable slots, and where changes
 * them.
 */
#include "bind/query/querystate.h"

#include <string.h>

/*
 * q:fold(batch, params, written): runs where over a batch; written has the writable slots, from
 * the batch before it. How many match, and written as it is now; nil where an entry is left to Lua.
 */
static int query_fold(lua_State *L)
{
	struct lb_query *q = lb_check_query(L, false);
	struct lb_block block = lb_query_block(L, q, 2);
	const uint64_t *params = lb_query_params(L, q, 3);
	uint64_t written[LB_MAX_PARAMS];
	size_t size;
	const char *before = luaL_checklstring(L, 4, &size);
	bool asked;
	uint32_t n;

	luaL_argcheck(L, q->spec.where.n, 1, "a query without where");
	luaL_argcheck(L, size == q->spec.env.nwritable * sizeof(*written), 4, "of the wrong size");
	memcpy(written, before, size);
	n = lb_interp_fold(&q->where, &block, params, written, &asked);
	if (asked)
		return luaL_pushfail(L), 1;
	lua_pushinteger(L, n);
	lua_pushlstring(L, (const char *)written, size);
	return 2;
}

static const luaL_Reg methods[] = {
	{ "fold", query_fold },
	{ NULL, NULL },
};

void lb_open_folds(lua_State *L)
{
	lb_add_methods(L, LB_QUERY, methods);
}
