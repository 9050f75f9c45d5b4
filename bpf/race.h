/* SPDX-License-Identifier: MIT */
/*
 * What bench/race.c and its BPF program have in common.
 */
#ifndef LUABPF_RACE_H
#define LUABPF_RACE_H

#include <linux/types.h>

#define RACE_MOST 131072

struct race_value {
	__u64 last_seen, n, unused[2];
};

/* 1 for each key whose refresh succeeded. */
struct race_done {
	__u8 refreshed[RACE_MOST];
};

/* One run of the program: keys number first to first + n - 1. */
struct race_run {
	__u32 first, n, total, unused;
	__u64 refreshed;
};

/* The i-th key to refresh: all from 0 to total - 1 in turn, far from each other. */
static inline __u32 race_key(__u32 i, __u32 total)
{
	return (__u32)((__u64)i * 48271 % total);
}

#endif
