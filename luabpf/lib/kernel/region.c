/* SPDX-License-Identifier: MIT */
/*
 * Shared memory and the pool of a handle: the only owner of both. See region.h.
 */
#include "lib/kernel/region.h"

#include "lib/kernel/process.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Sizes are multiples of this, so that slightly larger needs find the spare large enough. */
#define GRAIN (64u << 10)

void lb_region_join(struct lb_region *r, struct lb_region_user *user)
{
	user->next = r->users;
	user->link = &r->users;
	if (user->next)
		user->next->link = &user->next;
	r->users = user;
}

void lb_region_leave(struct lb_region_user *user)
{
	if (!user->link)
		return;
	*user->link = user->next;
	if (user->next)
		user->next->link = user->link;
	user->next = NULL;
	user->link = NULL;
}

static void region_free(struct lb_region *r)
{
	if (!r)
		return;
	while (r->users) {
		struct lb_region_user *user = r->users;

		lb_region_leave(user);
		user->gone(user);
	}
	munmap(r->mem, r->size);
	close(r->fd);
	free(r);
}

/* A mapped array's map in r, which owns it from then on; 0 or -errno. */
static int region_map(struct lb_region *r, size_t size)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "luabpf_region", sizeof(uint32_t),
				(uint32_t)size, 1, &opts);
	void *mem;
	int err;

	if (fd < 0)
		return -errno;
	mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED) {
		err = errno;
		close(fd);
		return -err;
	}
	r->fd = fd;
	r->mem = mem;
	r->size = size;
	r->process = lb_process();
	return 0;
}

static int region_new(size_t size, struct lb_region **out)
{
	struct lb_region *r = calloc(1, sizeof(*r));
	int err = r ? region_map(r, size) : -ENOMEM;

	if (err)
		free(r);
	else
		*out = r;
	return err;
}

int lb_region_get(struct lb_pool *pool, size_t size, struct lb_region **out)
{
	*out = NULL;
	if (size > LB_MAX_REGION)
		return -E2BIG;
	size = size ? (size + GRAIN - 1) / GRAIN * GRAIN : GRAIN;
	if (pool->spare && pool->spare->size >= size && pool->spare->process == lb_process()) {
		*out = pool->spare;
		pool->spare = NULL;
		return 0;
	}
	/* Never both at once: they are charged in full. */
	region_free(pool->spare);
	pool->spare = NULL;
	return region_new(size, out);
}

void lb_region_put(struct lb_pool *pool, struct lb_region *r)
{
	struct lb_region *spare = pool->spare;

	if (!r)
		return;
	if (pool->closed || r->size > LB_MAX_SPARE_REGION || r->process != lb_process() ||
	    (spare && spare->size >= r->size)) {
		region_free(r);
		return;
	}
	region_free(spare);
	pool->spare = r;
}

void lb_pool_close(struct lb_pool *pool)
{
	pool->closed = true;
	region_free(pool->spare);
	pool->spare = NULL;
}
