/* SPDX-License-Identifier: MIT */
/*
 * What the engine tests share: checks that print TAP, the bpf(2) batch calls
 * without libbpf in between, and maps to try them on.
 */
#ifndef LUABPF_CHECK_H
#define LUABPF_CHECK_H

#include <bpf/bpf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

static int checks, failures;

/* "ok N - what" or "not ok N - what", and returns the verdict. */
UNUSED __attribute__((format(printf, 2, 3)))
static bool check(bool good, const char *what, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++checks);
	va_start(ap, what);
	vprintf(what, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failures += !good;
	return good;
}

/* As check; says what was got when it is not what was wanted. */
UNUSED static bool equal(int64_t got, int64_t want, const char *what)
{
	if (!check(got == want, "%s", what))
		printf("# got %lld, want %lld\n", (long long)got, (long long)want);
	return got == want;
}

/* The exit status, after the plan. */
static int done(void)
{
	printf("1..%d\n", checks);
	return failures != 0;
}

/* Ends the program: what it needs is not there. */
__attribute__((noreturn))
static void give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

UNUSED static int new_map(enum bpf_map_type type, uint32_t key_size, uint32_t value_size,
			  uint32_t max_entries, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create(type, "engine_test", key_size, value_size, max_entries, &opts);

	if (fd < 0)
		give_up("a map");
	return fd;
}

/* Keys 0 to n - 1 with value 10 * key, u64 each. */
UNUSED static void fill(int fd, uint64_t n)
{
	for (uint64_t key = 0; key < n; key++) {
		uint64_t value = key * 10;

		if (bpf_map_update_elem(fd, &key, &value, BPF_ANY) < 0)
			give_up("an entry");
	}
}

UNUSED static uint64_t count_keys(int fd)
{
	uint64_t key, n = 0;

	while (bpf_map_get_next_key(fd, n ? &key : NULL, &key) == 0)
		n++;
	return n;
}

/* One batch call. count: the request, then what the kernel made of it. */
struct batch {
	int fd;
	const void *in;
	void *out;
	void *keys, *values;
	uint32_t count;
	uint64_t elem_flags, flags;
};

/* 0 or errno. */
UNUSED static int batch(enum bpf_cmd cmd, struct batch *b)
{
	union bpf_attr attr;
	long rc;

	memset(&attr, 0, sizeof(attr));
	attr.batch.in_batch = (uintptr_t)b->in;
	attr.batch.out_batch = (uintptr_t)b->out;
	attr.batch.keys = (uintptr_t)b->keys;
	attr.batch.values = (uintptr_t)b->values;
	attr.batch.count = b->count;
	attr.batch.map_fd = (uint32_t)b->fd;
	attr.batch.elem_flags = b->elem_flags;
	attr.batch.flags = b->flags;
	rc = syscall(__NR_bpf, cmd, &attr, sizeof(attr.batch));
	b->count = attr.batch.count;
	return rc < 0 ? errno : 0;
}

#endif
