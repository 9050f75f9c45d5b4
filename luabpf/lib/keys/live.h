/* SPDX-License-Identifier: MIT */
/*
 * Deleting what matches, by single calls: each entry is read again and judged
 * immediately before its own delete. The slower twin of the keyed program, for
 * kernels and maps where that cannot be loaded. No Lua here.
 */
#ifndef LUABPF_LIB_KEYS_LIVE_H
#define LUABPF_LIB_KEYS_LIVE_H

#include "lib/code/interp.h"
#include "lib/kernel/kmap.h"

struct lb_live_tally {
	uint32_t deleted;
	uint32_t missing;	/* gone meanwhile */
	uint32_t kept;		/* no longer match */
};

/*
 * Deletes those of the block's entries that match where now (NULL: all). What
 * was deleted is stored at keys and values, which have room for the block, as
 * it was judged. 0, or -errno with the counts of what was done until then.
 */
int lb_live_delete(const struct lb_kmap *m, const struct lb_interp *where, const uint64_t *params,
		   const struct lb_block *block, uint8_t *keys, uint8_t *values,
		   struct lb_live_tally *live);

#endif
