/* SPDX-License-Identifier: MIT */
/*
 * Clocks and spans of time, in nanoseconds.
 */
#ifndef LUABPF_LIB_KERNEL_CLOCK_H
#define LUABPF_LIB_KERNEL_CLOCK_H

#include <stdint.h>
#include <time.h>

#define LB_SECOND 1000000000ull

static inline uint64_t lb_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * LB_SECOND + (uint64_t)t.tv_nsec;
}

/* CLOCK_MONOTONIC, which bpf_ktime_get_ns reads too. */
static inline uint64_t lb_monotonic(void)
{
	return lb_clock(CLOCK_MONOTONIC);
}

static inline struct timespec lb_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / LB_SECOND),
				  .tv_nsec = (long)(ns % LB_SECOND) };
}

#endif
