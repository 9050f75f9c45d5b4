/* SPDX-License-Identifier: MIT */
/* Memory that is lent, copied before it is decoded. See lender.h. */
#include "bind/map/lender.h"

#include "bind/base.h"

#include <string.h>

void lb_check_lent(lua_State *L, const struct lb_lender *lender, uint64_t step)
{
	if (lender && !lb_lends(lender, step))
		luaL_error(L, "the batch is stale: its iterator moved on or was closed");
}

const void *lb_lent(lua_State *L, const struct lb_lender *lender, uint64_t step, const void *bytes,
		    size_t size, void *local)
{
	void *copy;

	if (!lender)
		return bytes;
	copy = lb_scratch(L, size, local, LB_LENT_LOCAL);
	lb_check_lent(L, lender, step);
	return memcpy(copy, bytes, size);
}
