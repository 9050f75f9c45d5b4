/* SPDX-License-Identifier: MIT */
/*
 * Key walks of one trie by many threads while its prefixes come and go. The
 * trie is as deep as one for IPv4 addresses gets: 33 prefixes, each within the
 * one before. Case numbers are those of docs/kernel-cases.md.
 */
#include "check.h"

#include "lib/scan/source.h"

#include <pthread.h>

#define LEVELS 33
#define THREADS 8
#define STEPS 5000

struct prefix {
	uint32_t length;
	uint8_t data[4];
};

static struct lb_kmap map;

static struct prefix at(uint32_t length)
{
	return (struct prefix){ .length = length, .data = { 255, 255, 255, 255 } };
}

static void store(uint32_t length)
{
	struct prefix key = at(length);

	if (bpf_map_update_elem(map.fd, &key, &length, BPF_ANY) < 0)
		give_up("a prefix");
}

/* Steps over the keys, beginning again at the end. Sets *wrong at what cannot be. */
static void *walk(void *wrong)
{
	struct prefix key;
	bool started = false;

	for (int i = 0; i < STEPS; i++) {
		int err = bpf_map_get_next_key(map.fd, started ? &key : NULL, &key);

		started = err == 0;
		if ((err < 0 && errno != ENOENT) || (started && key.length >= LEVELS))
			*(bool *)wrong = true;
	}
	return NULL;
}

static void walk_under_churn(void)
{
	pthread_t threads[THREADS];
	bool wrong[THREADS] = { false }, any = false;

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, walk, &wrong[i]) != 0)
			give_up("a thread");
	for (uint32_t i = 0; i < STEPS; i++) {
		struct prefix key = at(i * 7 % LEVELS);

		bpf_map_delete_elem(map.fd, &key);
		store(key.length);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		any = any || wrong[i];
	}
	check(!any, "[case 36] eight threads walk a deep trie under churn");
}

/* The module's scan of it ends, and has each prefix. */
static void scan_afterwards(void)
{
	uint64_t seen = 0;
	struct lb_source s;
	int n;

	if (lb_source_open(&s, &map, 4, false, false) < 0)
		give_up("a scan");
	while ((n = lb_source_next(&s)) > 0)
		for (int i = 0; i < n; i++)
			seen |= 1ull << ((struct prefix *)(void *)s.buf.keys)[i].length;
	check(n == 0 && seen == (1ull << LEVELS) - 1, "[case 36] and nothing of it is lost");
	lb_source_close(&s);
}

int main(void)
{
	int fd = new_map(BPF_MAP_TYPE_LPM_TRIE, sizeof(struct prefix), 4, LEVELS,
			 BPF_F_NO_PREALLOC);

	if (lb_kmap_adopt(&map, fd) < 0)
		give_up("the map's info");
	for (uint32_t length = 0; length < LEVELS; length++)
		store(length);
	walk_under_churn();
	scan_afterwards();
	lb_kmap_close(&map);
	return done();
}
