/* SPDX-License-Identifier: MIT */
/*
 * Regions: memory that programs in the kernel and this process share. Each is
 * the value of a one-element array map, mapped here. No Lua here.
 *
 * A map handle has a pool of them. A region is checked out for as long as
 * something works in it or reads from it, and given back; the pool keeps one
 * spare. Nested use is normal: whoever finds the spare taken gets a new one.
 *
 * All memory of a region is allocated, and charged to this process's memory
 * cgroup, when it is created: about 0.2 ms a MiB. RLIMIT_MEMLOCK does not count
 * since Linux 5.11. A pool belongs to one thread.
 *
 * A region is of the process that made it: a child that was forked has the same
 * memory, but what both wrote there would be mixed. Its pool makes a new one.
 */
#ifndef LUABPF_LIB_KERNEL_REGION_H
#define LUABPF_LIB_KERNEL_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets that are not constant reach no further. Source: linux/bpf_verifier.h, BPF_MAX_VAR_OFF. */
#define LB_MAX_REGION (512u << 20)
/* A larger region is freed when it is given back, not kept as the spare. */
#define LB_MAX_SPARE_REGION (64u << 20)

/* What holds the map of a region, as loaded programs do: gone is called before it goes. */
struct lb_region_user {
	struct lb_region_user *next, **link;
	void (*gone)(struct lb_region_user *user);
};

struct lb_region {
	int fd;				/* of the array map */
	uint8_t *mem;
	size_t size;			/* bytes, a multiple of 64 KiB */
	uint64_t process;		/* that made it: lb_process() */
	struct lb_region_user *users;
};

struct lb_pool {
	struct lb_region *spare;
	bool closed;			/* what is given back is freed */
};

/*
 * Checks out a region of at least size bytes; what is in it is not defined.
 * 0, -E2BIG over LB_MAX_REGION, -ENOMEM, or what the kernel says: -EPERM
 * without CAP_BPF, -EINVAL before Linux 5.5. Zeroed memory is a valid pool.
 */
int lb_region_get(struct lb_pool *pool, size_t size, struct lb_region **out);
/* Gives it back. NULL is allowed; so is a pool that was closed meanwhile. */
void lb_region_put(struct lb_pool *pool, struct lb_region *r);
/* Frees the spare. Regions still out are freed when they are given back. */
void lb_pool_close(struct lb_pool *pool);

/* Enters and leaves the list of users. Leaving twice, or without having entered, does nothing. */
void lb_region_join(struct lb_region *r, struct lb_region_user *user);
void lb_region_leave(struct lb_region_user *user);

#endif
