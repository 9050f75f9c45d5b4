/* SPDX-License-Identifier: MIT */
/*
 * One side of a benchmark in C: a process that takes commands, a line each, and
 * answers each with "ok NS CPU RESULT": what it took by the clock and of the
 * CPU, in nanoseconds, and what it found. SIDE is its name in messages.
 */
#ifndef LUABPF_BENCH_SIDE_H
#define LUABPF_BENCH_SIDE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs(SIDE ": ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static inline uint64_t clock_ns(clockid_t which)
{
	struct timespec ts;

	clock_gettime(which, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* What is timed goes from start to answer. */
static uint64_t began, cpu_began;

static inline void start(void)
{
	cpu_began = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	began = clock_ns(CLOCK_MONOTONIC);
}

__attribute__((format(printf, 1, 2))) static inline void answer(const char *fmt, ...)
{
	uint64_t ns = clock_ns(CLOCK_MONOTONIC) - began;
	uint64_t cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_began;
	va_list ap;

	printf("ok %" PRIu64 " %" PRIu64 " ", ns, cpu);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

#endif
