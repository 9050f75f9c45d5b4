/* SPDX-License-Identifier: MIT */
/*
 * What differs between two snapshots of a map. No Lua here.
 *
 * HOW IT WORKS. The entries of the smaller one go into a hash table; those of
 * the other are looked up in it as they are read; what was never looked up is
 * in the smaller one only. If the table would take more memory than allowed,
 * all this is done several times, each for a part of the keys.
 */
#ifndef LUABPF_LIB_SNAPSHOT_SNAPDIFF_H
#define LUABPF_LIB_SNAPSHOT_SNAPDIFF_H

#include "lib/snapshot/snapfile.h"
#include "lib/sum/table.h"

enum lb_change { LB_ADDED, LB_REMOVED, LB_CHANGED };

/* An entry that differs; valid until the next call. */
struct lb_difference {
	enum lb_change status;
	const uint8_t *key, *old, *new;	/* old or new are NULL where there is none */
};

struct lb_diff {
	const struct lb_snap *kept, *read;	/* in the table, and streamed */
	bool kept_is_old;
	uint32_t cpu_size, cpu_stride, ncpu;	/* of a value; ncpu at least 1 */
	struct lb_budget budget;
	struct lb_table table;
	uint64_t *key;				/* malloc'd: the words of one key */
	struct lb_snap_cursor cursor;
	uint32_t pass, passes;
	enum { LB_DIFF_LOAD, LB_DIFF_READ, LB_DIFF_REST, LB_DIFF_END } state;
	uint32_t n, at;				/* of the block, or of the table */
	const struct lb_snap *failed;		/* which of the two an error is about, or NULL */
};

/* How values are compared: the padding between those of CPUs is not. ncpu 0: plain values. */
struct lb_diff_values {
	uint32_t size, ncpu;
};

/*
 * Begins a comparison of two snapshots whose keys and values have the same
 * sizes, and which stay open. memory: bytes it may take. 0, or -ENOMEM;
 * -ENOBUFS if the memory is not enough by far.
 */
int lb_diff_open(struct lb_diff *d, const struct lb_snap *news, const struct lb_snap *olds,
		 const struct lb_diff_values *values, size_t memory);
/* The next difference: 1, 0 when there are no more, -errno; -ENOBUFS past the memory. */
int lb_diff_next(struct lb_diff *d, struct lb_difference *out, struct lb_snap_fault *fault);
/* May be called twice, and on zeroes. */
void lb_diff_close(struct lb_diff *d);

#endif
