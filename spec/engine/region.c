/* SPDX-License-Identifier: MIT */
/*
 * Regions and their pool: reuse, nesting, growth, and that nothing stays open.
 */
#include "lib/kernel/region.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <string.h>

static int open_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void reuse(void)
{
	struct lb_pool pool = { 0 };
	struct lb_region *a, *b, *again;
	int files = open_files();

	ok(lb_region_get(&pool, 1, &a) == 0 && a->size >= 65536, "a region is checked out");
	ok(lb_region_get(&pool, 100000, &b) == 0 && b != a && b->size >= 100000,
	   "a second one while the first is out");
	lb_region_put(&pool, a);
	lb_region_put(&pool, b);
	ok(open_files() == files + 1, "one spare is kept");
	ok(lb_region_get(&pool, 1, &again) == 0 && again == b, "the larger one, used again");
	lb_region_put(&pool, again);
	ok(lb_region_get(&pool, 200000, &again) == 0 && again->size >= 200000, "a larger one is made");
	ok(open_files() == files + 1, "... and the smaller one is gone");
	lb_pool_close(&pool);
	ok(open_files() == files + 1, "closing the pool leaves what is out");
	memset(again->mem, 1, again->size);
	lb_region_put(&pool, again);
	ok(open_files() == files, "given back to a closed pool it is freed");
}

static void sharing(void)
{
	struct lb_pool pool = { 0 };
	struct lb_region *r;
	uint32_t zero = 0;
	uint8_t *copy;
	bool same;

	if (!ok(lb_region_get(&pool, 3 << 20, &r) == 0, "3 MiB"))
		return;
	copy = malloc(r->size);
	rnd_bytes(r->mem, r->size);
	same = bpf_map_lookup_elem(r->fd, &zero, copy) == 0 && memcmp(copy, r->mem, r->size) == 0;
	ok(same, "what is written here is in the kernel's map");
	free(copy);
	lb_region_put(&pool, r);
	lb_pool_close(&pool);
}

static void limits(void)
{
	struct lb_pool pool = { 0 };
	struct lb_region *r;
	int files = open_files();

	ok(lb_region_get(&pool, (size_t)LB_MAX_REGION + 1, &r) == -E2BIG && !r,
	   "no more than 512 MiB");
	ok(lb_region_get(&pool, LB_MAX_SPARE_REGION + 1, &r) == 0, "65 MiB");
	lb_region_put(&pool, r);
	ok(!pool.spare && open_files() == files, "... is not kept as the spare");
}

static int told;

static void gone(struct lb_region_user *user)
{
	(void)user;
	told++;
}

static void users(void)
{
	struct lb_region_user a = { .gone = gone }, b = { .gone = gone }, c = { .gone = gone };
	struct lb_pool pool = { 0 };
	struct lb_region *r;

	if (!ok(lb_region_get(&pool, 1, &r) == 0, "a region with users"))
		return;
	lb_region_join(r, &a);
	lb_region_join(r, &b);
	lb_region_join(r, &c);
	lb_region_leave(&b);
	lb_region_leave(&b);
	lb_region_put(&pool, r);
	ok(told == 0, "given back, it still is there");
	lb_pool_close(&pool);
	ok(told == 2, "users that have not left are told when it goes");
	lb_region_leave(&a);
	ok(!a.link && !c.link, "and have left then");
}

int main(void)
{
	rnd_seed();
	reuse();
	sharing();
	limits();
	users();
	return tap_end();
}
