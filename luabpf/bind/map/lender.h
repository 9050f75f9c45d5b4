/* SPDX-License-Identifier: MIT */
/*
 * Memory that is lent: what a batch or a view shows lies in the buffers of a
 * cursor, a reader, rows of a query.
 */
#ifndef LUABPF_BIND_MAP_LENDER_H
#define LUABPF_BIND_MAP_LENDER_H

#include "lib/kernel/process.h"

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What owns memory that batches borrow: a cursor, rows of a query. The clock
 * goes on whenever what was borrowed before is void: it may be freed then.
 *
 * Anything may run where Lua allocates memory or calls a function, finalizers
 * and debug hooks, which may close the lender, or raise. So what is lent is
 * copied before it is decoded (lb_lent), and its clock is looked at again after
 * memory was allocated; nothing has to be given back.
 */
struct lb_lender {
	uint64_t clock;
	uint64_t process;	/* the only one that may read it; 0: children too */
};

static inline bool lb_lends(const struct lb_lender *lender, uint64_t step)
{
	return lender->clock == step && (!lender->process || lender->process == lb_process());
}

/* Raises where what was lent at that step is lent no more. */
void lb_check_lent(lua_State *L, const struct lb_lender *lender, uint64_t step);
/* What lb_lent has room for without memory from Lua. */
#define LB_LENT_LOCAL 1024
/*
 * Bytes that were lent at that step, to be decoded: as they are if there is no lender,
 * else a copy, in local, which has LB_LENT_LOCAL bytes, or in a userdata that is pushed.
 * Raises where they are lent no more.
 */
const void *lb_lent(lua_State *L, const struct lb_lender *lender, uint64_t step, const void *bytes,
		    size_t size, void *local);

#endif
