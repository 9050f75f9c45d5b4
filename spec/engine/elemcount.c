/* SPDX-License-Identifier: MIT */
/*
 * The kernel's count of entries against the number stored, for every type of
 * map that has one.
 */
#include "capability.h"
#include "lib/keys/elemcount.h"
#include "maps.h"

#include <sys/wait.h>

static struct lb_log elog;

static bool counts(struct lb_elemcount *e, uint64_t want)
{
	uint64_t n;

	return lb_elemcount_run(e, &n) == 0 && n == want;
}

static void type(enum bpf_map_type id, uint32_t flags, const char *what)
{
	struct lb_elemcount e;
	struct filled f;
	int err;

	if (!ok(make(&f, id, 8, 12, 500, 2000, flags), "%s: 500 entries", what))
		return;
	err = lb_elemcount_open(&e, &f.m, &elog);
	if (err)
		note("%d: %s\n%s", err, e.refused ? e.refused : "", lb_log_tail(&elog, 10));
	ok(!err && counts(&e, 500), "%s: counted", what);
	for (uint32_t i = 0; i < 500; i += 2)
		bpf_map_delete_elem(f.m.fd, key_of(&f, i));
	for (uint32_t i = 1; i < 500; i += 2)
		store(&f, i);
	ok(!err && counts(&e, 250), "%s: after deletions and replacements", what);
	lb_elemcount_close(&e);
	lb_elemcount_close(&e);
	drop(&f);
}

static void maps_of_maps(void)
{
	int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "engine", 4, 4, 1, NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (uint32_t)inner);
	struct lb_elemcount e;
	uint32_t key = 7;
	struct filled f;

	fill(&f, bpf_map_create(BPF_MAP_TYPE_HASH_OF_MAPS, "engine", 4, 4, 10, &opts), 0);
	bpf_map_update_elem(f.m.fd, &key, &inner, BPF_ANY);
	ok(lb_elemcount_open(&e, &f.m, &elog) == 0 && counts(&e, 1), "hash_of_maps: counted");
	lb_elemcount_close(&e);
	drop(&f);
	close(inner);
}

static void refusals(void)
{
	struct lb_elemcount e;
	struct filled f;
	int status;
	pid_t pid;

	make(&f, BPF_MAP_TYPE_ARRAY, 4, 8, 10, 10, 0);
	ok(lb_elemcount_open(&e, &f.m, &elog) == -LB_ENOTSUPP && e.refused, "refuses an array");
	lb_elemcount_close(&e);
	drop(&f);
	make(&f, BPF_MAP_TYPE_HASH, 4, 8, 10, 10, 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(!(only_capability(true) && lb_elemcount_open(&e, &f.m, &elog) == 0 &&
			counts(&e, 10)));
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0, "CAP_BPF alone is enough");
	drop(&f);
}

static int before_it(void)
{
	struct lb_elemcount e;
	struct filled f;

	make(&f, BPF_MAP_TYPE_HASH, 4, 8, 10, 10, 0);
	ok(lb_elemcount_open(&e, &f.m, &elog) == -LB_ENOTSUPP && strstr(e.refused, "Linux 6.6"),
	   "refused by this kernel, which has no such count");
	lb_elemcount_close(&e);
	drop(&f);
	return tap_end();
}

int main(void)
{
	lb_log_install();
	rnd_seed();
	if (!kernel_at_least(6, 6))
		return before_it();
	type(BPF_MAP_TYPE_HASH, 0, "hash");
	type(BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, "hash, not preallocated");
	type(BPF_MAP_TYPE_LRU_HASH, 0, "lru_hash");
	type(BPF_MAP_TYPE_PERCPU_HASH, 0, "percpu_hash");
	type(BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, "lru_percpu_hash");
	maps_of_maps();
	refusals();
	return tap_end();
}
