/* SPDX-License-Identifier: MIT */
/*
 * What the engine tests share: TAP output, random numbers, maps with entries.
 */
#ifndef LUABPF_TAP_H
#define LUABPF_TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/utsname.h>

static unsigned int tap_count, tap_failed;

/* One check: a line "ok N - what", or "not ok N - what". */
__attribute__((format(printf, 2, 3)))
static inline bool ok(bool cond, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %u - ", cond ? "" : "not ", ++tap_count);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	tap_failed += !cond;
	fflush(stdout);
	return cond;
}

/* A line that explains the check before it. */
__attribute__((format(printf, 1, 2)))
static inline void note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static inline int tap_end(void)
{
	printf("1..%u\n", tap_count);
	return tap_failed ? 1 : 0;
}

/* What a kernel does not have is checked to be refused there, with the version that brought it. */
static inline bool kernel_at_least(unsigned int major, unsigned int minor)
{
	struct utsname u;
	unsigned int a = 0, b = 0;

	uname(&u);
	sscanf(u.release, "%u.%u", &a, &b);
	return a > major || (a == major && b >= minor);
}

/* The seed is $SEED, or always the same one: a failure can be had again. */
static uint64_t rnd_state;

static inline void rnd_seed(void)
{
	const char *seed = getenv("SEED");

	rnd_state = seed ? strtoull(seed, NULL, 0) * 2 + 1 : 0x9e3779b97f4a7c15u;
	note("SEED=%llu", (unsigned long long)(rnd_state / 2));
}

/* Source: xorshift64*, Vigna 2014. */
static inline uint64_t rnd(void)
{
	rnd_state ^= rnd_state >> 12;
	rnd_state ^= rnd_state << 25;
	rnd_state ^= rnd_state >> 27;
	return rnd_state * 0x2545f4914f6cdd1du;
}

static inline uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() >> 32) % n;
}

static inline void rnd_bytes(void *p, size_t n)
{
	for (uint8_t *b = p; n--; b++)
		*b = (uint8_t)(rnd() >> 40);
}

#endif
