/* SPDX-License-Identifier: MIT */
/*
 * Refreshes the entries of a map all the time while somebody sweeps it of idle
 * ones, and counts the wrong deletes: entries whose refresh succeeded and that
 * are gone all the same. Entries are idle when last_seen is old; what was
 * refreshed cannot be idle again while a sweep lasts.
 *
 *   race PIN OBJECT [ENTRIES]
 *
 * HOW IT WORKS. It makes the map, for as many ENTRIES, pins it at PIN for the
 * sweeper, says ok and takes commands, one a line, on standard input; each is
 * answered by a line:
 *
 *   fill N           N idle entries, keys 0 to N - 1, n = key	ok
 *   crowd N          the same with keys that lie in few buckets	ok
 *   go replace       a thread begins to refresh by update with "exist"	ok
 *   go place         the same by a BPF program that writes in place	ok
 *   sweep IDLE_NS    reads by batches of 4096 and deletes what was idle, as
 *                    sweepers do that judge a copy	ok DELETED
 *   halt             the thread ends		ok REFRESHES NS LOST
 *
 * Anything that fails ends it with a message on standard error; so does the
 * end of input, in silence. The map is unpinned then.
 */
#define SIDE "race"

#include "../bpf/race.h"
#include "side.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BATCH 4096u
#define CHUNK 2048u	/* refreshes of one run of the program */

static const char *pin;
static int fd, program;
static struct race_done *done;
static uint32_t most;		/* entries that the map has room for */
static uint32_t keys[RACE_MOST], total;

static pthread_t thread;
static atomic_bool running, stopping;
static uint64_t refreshes;

static uint64_t now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* ---- refreshing ---------------------------------------------------------- */

static void replace_some(uint32_t first)
{
	for (uint32_t i = first; i < first + 64; i++) {
		uint32_t key = keys[race_key(i, total)];
		struct race_value value = { .last_seen = now(), .n = key };

		if (bpf_map_update_elem(fd, &key, &value, BPF_EXIST) == 0) {
			done->refreshed[key] = 1;
			refreshes++;
		} else if (errno != ENOENT) {
			die("update: %s", strerror(errno));
		}
	}
}

static void *replace(void *unused)
{
	uint32_t first = 0;

	while (!stopping) {
		running = true;
		replace_some(first);
		first = (first + 64) % total;
	}
	return unused;
}

static void *write_in_place(void *unused)
{
	uint32_t first = 0;

	while (!stopping) {
		struct race_run run = { .first = first, .n = CHUNK, .total = total };
		LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &run, .ctx_size_in = sizeof(run));

		running = true;
		if (bpf_prog_test_run_opts(program, &opts) < 0)
			die("run: %s", strerror(errno));
		refreshes += run.refreshed;
		first = (first + CHUNK) % total;
	}
	return unused;
}

static void go(bool in_place)
{
	refreshes = 0;
	running = stopping = false;
	if (pthread_create(&thread, NULL, in_place ? write_in_place : replace, NULL))
		die("no thread");
	while (!running)
		;
	began = now();
	puts("ok");
}

/* ---- the map --------------------------------------------------------------- */

static uint32_t rotate(uint32_t word, int by)
{
	return word << by | word >> (32 - by);
}

/* The kernel's hash of a key in a map with BPF_F_ZERO_SEED. Source: linux/jhash.h, jhash2. */
static uint32_t hash(uint32_t key)
{
	uint32_t a = 0xdeadbeef + 4, b = a, c = a;

	a += key;
	c = (c ^ b) - rotate(b, 14);
	a = (a ^ c) - rotate(c, 11);
	b = (b ^ a) - rotate(a, 25);
	c = (c ^ b) - rotate(b, 16);
	a = (a ^ c) - rotate(c, 4);
	b = (b ^ a) - rotate(a, 14);
	return (c ^ b) - rotate(b, 24);
}

/* n keys of the buckets that bits of the hash, which the kernel masks, are 0 for. */
static void fill(uint32_t n, uint32_t bits)
{
	static struct race_value values[RACE_MOST];
	uint32_t count = n;

	total = 0;
	for (uint32_t key = 0; key < RACE_MOST && total < n; key++) {
		if (hash(key) & bits)
			continue;
		values[total] = (struct race_value){ .last_seen = 1, .n = key };
		keys[total++] = key;
	}
	if (n == 0 || total < n)
		die("too many, or none");
	memset(done, 0, sizeof(*done));
	if (bpf_map_update_batch(fd, keys, values, &count, NULL) < 0)
		die("fill: %s", strerror(errno));
	puts("ok");
}

static void halt(void)
{
	uint64_t ns = now() - began;
	uint32_t lost = 0;

	stopping = true;
	pthread_join(thread, NULL);
	for (uint32_t i = 0; i < total; i++) {
		struct race_value value;

		if (done->refreshed[keys[i]] && bpf_map_lookup_elem(fd, &keys[i], &value) < 0)
			lost++;
	}
	printf("ok %llu %llu %u\n", (unsigned long long)refreshes, (unsigned long long)ns, lost);
}

/* ---- the sweep of others ------------------------------------------------------ */

static uint32_t delete_keys(uint32_t *old, uint32_t n)
{
	uint32_t count = n;

	if (n && bpf_map_delete_batch(fd, old, &count, NULL) < 0)
		die("delete: %s", strerror(errno));
	return count;
}

static void sweep(uint64_t idle)
{
	static uint32_t read[BATCH], old[BATCH];
	static struct race_value values[BATCH];
	uint32_t position, deleted = 0;
	bool first = true, last = false;

	while (!last) {
		uint32_t n = BATCH, nold = 0;
		int err = bpf_map_lookup_batch(fd, first ? NULL : &position, &position, read,
					       values, &n, NULL) < 0 ? errno : 0;
		uint64_t at = now();

		if (err && err != ENOENT)
			die("lookup: %s", strerror(err));
		for (uint32_t i = 0; i < n; i++)
			if ((int64_t)(at - values[i].last_seen) > (int64_t)idle)
				old[nold++] = read[i];
		deleted += delete_keys(old, nold);
		first = false;
		last = err == ENOENT;
	}
	printf("ok %u\n", deleted);
}

/* ---- the program ------------------------------------------------------------- */

static void load(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_map *entries = object ? bpf_object__find_map_by_name(object, "entries") : NULL;
	int done_fd;

	if (!entries || bpf_map__set_max_entries(entries, most) ||
	    bpf_map__set_map_flags(entries, BPF_F_ZERO_SEED) || bpf_object__load(object))
		die("%s: %s", path, strerror(errno));
	fd = bpf_object__find_map_fd_by_name(object, "entries");
	done_fd = bpf_object__find_map_fd_by_name(object, "done");
	program = bpf_program__fd(bpf_object__find_program_by_name(object, "refresh"));
	done = mmap(NULL, sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED, done_fd, 0);
	if (done == MAP_FAILED)
		die("mmap: %s", strerror(errno));
}

static void obey(const char *line)
{
	unsigned long long number;

	if (sscanf(line, "fill %llu", &number) == 1)
		fill((uint32_t)number, 0);
	else if (sscanf(line, "crowd %llu", &number) == 1)
		fill((uint32_t)number, (most - 1) & ~3u);
	else if (sscanf(line, "sweep %llu", &number) == 1)
		sweep(number);
	else if (strcmp(line, "go replace\n") == 0 || strcmp(line, "go place\n") == 0)
		go(line[3] == 'p');
	else if (strcmp(line, "halt\n") == 0)
		halt();
	else
		die("unknown command: %s", line);
	fflush(stdout);
}

static void unpin(void)
{
	remove(pin);
}

int main(int argc, char **argv)
{
	char line[64];

	if (argc < 3)
		die("usage: race PIN OBJECT [ENTRIES]");
	most = argc > 3 ? (uint32_t)atoi(argv[3]) : RACE_MOST;
	load(argv[2]);
	pin = argv[1];
	if (bpf_obj_pin(fd, pin) < 0)
		die("%s: %s", pin, strerror(errno));
	atexit(unpin);
	puts("ok");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
