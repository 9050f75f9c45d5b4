/* SPDX-License-Identifier: MIT */
/*
 * A kernel map as the engines see it: its descriptor, what the kernel tells
 * about it, and the block buffers that scans of it share. No Lua here.
 *
 * Functions return 0 or a count, or -errno.
 */
#ifndef LUABPF_LIB_KERNEL_KMAP_H
#define LUABPF_LIB_KERNEL_KMAP_H

#include "lib/layout/layout.h"
#include "lib/kernel/mapping.h"
#include "lib/kernel/maptype.h"

#include <linux/bpf.h>
#include <stddef.h>

/* The kernel's own "not supported", which leaks to user space (include/linux/errno.h). */
#define LB_ENOTSUPP 524
/* A call cannot be interrupted: no more entries in one. */
#define LB_MAX_CALL 65536u
/* The kernel's offsets in a batch are 32 bits (kernel/bpf/syscall.c, u32 cp * value_size). */
#define LB_MAX_CALL_BYTES (1u << 31)

/* struct bpf_map_info of Linux 6.18; libbpf's header may be older. */
struct lb_mapinfo {
	uint32_t type, id, key_size, value_size, max_entries, map_flags;
	char name[16];
	uint32_t ifindex, btf_vmlinux_value_type_id;
	uint64_t netns_dev, netns_ino;
	uint32_t btf_id, btf_key_type_id, btf_value_type_id, btf_vmlinux_id;
	uint64_t map_extra, hash;
	uint32_t hash_size;
	uint32_t pad;
	uint8_t later[128];		/* what newer kernels add */
};

/* Memory for the keys and values of one block. */
struct lb_buffer {
	uint8_t *keys, *values;
	uint32_t capacity;		/* entries */
};

struct lb_kmap {
	int fd;				/* -1: closed */
	const struct lb_maptype *type;
	struct lb_mapinfo info;
	uint32_t ncpu;			/* possible CPUs for per-CPU maps, else 0 */
	uint32_t value_stride;		/* bytes of one entry's value in a block */
	bool lock;			/* the value has a bpf_spin_lock: use BPF_F_LOCK */
	struct lb_buffer spare;		/* one block kept for the next scan */
	struct lb_mapping mapping;	/* of lb_kmap_value */
	const char *unmapped;		/* why there is none: static text; NULL: not tried, or there is */
};

static inline bool lb_can(const struct lb_kmap *m, uint32_t what)
{
	return (m->type->can & what) != 0;
}

/* Whether values are lists of addresses: not where they are places in files, by build ids. */
static inline bool lb_stacks_are_addresses(const struct lb_kmap *m)
{
	return lb_can(m, LB_STACKS) && !(m->info.map_flags & BPF_F_STACK_BUILD_ID) &&
	       m->info.value_size % 8 == 0;
}

/* Whether a descriptor is one of a map. */
bool lb_is_map(int fd);
/* Reads the info of fd, which m owns from then on; closes fd and returns -errno on failure. */
int lb_kmap_adopt(struct lb_kmap *m, int fd);
/* A map of that kind that is not in the kernel; ncpu: values an entry has, 0 for a plain one. */
void lb_kmap_detached(struct lb_kmap *m, const struct lb_mapinfo *info, uint32_t ncpu);
/* The same map for another thread: by that descriptor, with buffers and a mapping of its own. */
void lb_kmap_share(struct lb_kmap *m, const struct lb_kmap *from, int fd);
/* Closes the descriptor and frees the spare buffer. May be called twice. */
void lb_kmap_close(struct lb_kmap *m);
/* Reads struct bpf_map_info again. */
int lb_kmap_info(int fd, struct lb_mapinfo *info);
/*
 * Whether this process may read, or write, the map by system calls: a handle
 * may be for reading or writing only, a map frozen. Programs are held to
 * neither by the kernel; luabpf's keep to both.
 */
bool lb_kmap_allows(const struct lb_kmap *m, bool write);
/*
 * Where the value of an index lies, in an array that can be mapped; NULL where
 * there is no such index, and where system calls have to do it: the map was not made for it,
 * is frozen, for reading only, or has a spin lock. write: for writing. Valid
 * until the map is closed, frozen here, or asked for writing for the first time.
 */
uint8_t *lb_kmap_value(struct lb_kmap *m, const void *key, bool write);
/* Whether lb_kmap_value has values of the map; m->unmapped says why not. */
bool lb_kmap_mapped(struct lb_kmap *m, bool write);
/* Ends the mapping; it is tried again when it is asked for. */
void lb_kmap_unmap(struct lb_kmap *m);
/* How many entries one call may cover, at most want. */
uint32_t lb_kmap_call_limit(const struct lb_kmap *m, uint32_t want);

/* Buckets of a hash table. Source: kernel/bpf/hashtab.c, roundup_pow_of_two(max_entries). */
uint32_t lb_buckets(uint32_t max_entries);

/* A buffer for at least n entries: the spare if it is large enough, else new. 0 or -ENOMEM. */
int lb_buffer_get(struct lb_kmap *m, struct lb_buffer *b, uint32_t n);
/* Gives it back: kept as the spare, or freed. b is empty afterwards. */
void lb_buffer_put(struct lb_kmap *m, struct lb_buffer *b);

/* Possible CPUs, at least 1. */
uint32_t lb_possible_cpus(void);
/* The kernel's boot id as 36 characters and a NUL; "" if unreadable. */
const char *lb_boot_id(void);
/*
 * Whether what an operation on a map met may be gone at the next try, of which there are not
 * endlessly many. A signal came; buckets are busy; memory is short for a moment: of maps without
 * preallocation, of a batch for a large bucket (the entries of the buckets before it are
 * delivered), of small LRU maps while others store in them (bpf_lru_list.c: their nodes are on
 * the way to other entries).
 */
bool lb_transient(int err);
/* strerror, and what errno 524 means. */
const char *lb_strerror(int err, char *buf, size_t size);

/* The flag of calls that read or write values: under their spin lock, where they have one. */
static inline uint64_t lb_lock_flag(const struct lb_kmap *m)
{
	return m->lock ? BPF_F_LOCK : 0;
}

#endif
