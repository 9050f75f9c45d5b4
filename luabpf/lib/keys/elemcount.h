/* SPDX-License-Identifier: MIT */
/*
 * The number of entries of a map as the kernel counts them, without a walk:
 * a program that calls bpf_map_sum_elem_count (Linux 6.6). No Lua here.
 *
 * A run takes microseconds; the first use in a process looks through the kernel's
 * BTF for the function, which takes some milliseconds. Exact on a map at rest; while
 * others insert and delete the counters of the CPUs are read one by one.
 */
#ifndef LUABPF_LIB_KEYS_ELEMCOUNT_H
#define LUABPF_LIB_KEYS_ELEMCOUNT_H

#include "lib/kernel/kmap.h"
#include "lib/code/program.h"

struct lb_elemcount {
	struct lb_program program;
	const char *refused;		/* why open failed: static text, or NULL */
};

/*
 * 0, -LB_ENOTSUPP where the type of map or the kernel has no such count, or
 * the kernel's refusal; refused says why. Closed after a failure.
 */
int lb_elemcount_open(struct lb_elemcount *e, struct lb_kmap *map, struct lb_log *log);
/* 0 and *count, or -errno. */
int lb_elemcount_run(const struct lb_elemcount *e, uint64_t *count);
/* May be called twice. */
void lb_elemcount_close(struct lb_elemcount *e);

#endif
