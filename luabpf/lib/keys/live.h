/* SPDX-License-Identifier: MIT */
/*
 * Deleting or changing what matches, by single calls: each entry is read again and
 * judged immediately before its own delete or update. The slower twin of the keyed
 * program, for kernels and maps where that cannot be loaded. No Lua here.
 */
#ifndef LUABPF_LIB_KEYS_LIVE_H
#define LUABPF_LIB_KEYS_LIVE_H

#include "lib/code/edit.h"
#include "lib/keys/bulk.h"
#include "lib/kernel/kmap.h"

/*
 * Deletes those of the block's entries that match where now (NULL: all). What
 * was deleted is stored at keys and values, which have room for the block, as
 * it was judged. 0, or -errno with the counts of what was done until then: changed are those
 * that match no longer.
 */
int lb_live_delete(const struct lb_kmap *m, const struct lb_interp *where, const uint64_t *params,
		   const struct lb_block *block, uint8_t *keys, uint8_t *values,
		   struct lb_tally *t);

/*
 * Changes those of in that it says yes to now. value: room for one. What another writer does
 * between the reading and the update is lost. 0, or -errno with t counting what was done.
 */
int lb_live_change(const struct lb_kmap *m, const struct lb_edit_interp *x, uint64_t *params,
		   const struct lb_keys *in, uint8_t *value, struct lb_tally *t);
/* Stores the second of the two values that each key has, if the entry still has the first. */
int lb_live_exchange(const struct lb_kmap *m, const struct lb_keys *in, uint8_t *value,
		     struct lb_tally *t);

#endif
