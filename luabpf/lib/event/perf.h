/* SPDX-License-Identifier: MIT */
/*
 * The perf buffers of a map of type perf_event_array (Linux 4.3): a ring for
 * each CPU that is online, whose events BPF programs write by
 * bpf_perf_event_output. Each is one page of positions and a power of two of
 * pages of records; one that wraps round is copied. Sources:
 * include/uapi/linux/perf_event.h, kernel/events/ring_buffer.c.
 *
 * The rings are the reader's: what was not read is gone with it.
 */
#ifndef LUABPF_LIB_EVENT_PERF_H
#define LUABPF_LIB_EVENT_PERF_H

#include "lib/event/record.h"
#include "lib/kernel/kmap.h"

#include <stdbool.h>
#include <stddef.h>

struct lb_perf_ring {
	int fd;				/* -1: the CPU is not online */
	void *memory;			/* struct perf_event_mmap_page, then the data */
	uint64_t at, released, counted;	/* as in struct lb_ring */
	uint64_t end;			/* the same; of one that is not open, too */
	uint8_t *copy;			/* of the record that wraps round */
	size_t room;
	uint64_t lost;			/* told by the kernel, not yet by lb_perf_take_lost */
};

struct lb_perf {
	int map_fd;			/* its own */
	bool removes;			/* rings from the map; else closing map_fd does */
	int epoll;			/* the caller's: rings are added to it */
	size_t page, size;
	uint32_t n;			/* possible CPUs, one ring each; 0: closed */
	struct lb_perf_ring *rings;
	uint32_t next;			/* the ring that is looked at first */
};

/* Opens a ring of that many pages (a power of two) for each CPU online. 0 or -errno. */
int lb_perf_open(struct lb_perf *p, const struct lb_kmap *m, int epoll, uint32_t pages);
/*
 * Closes the rings, and takes them out of the map. keep: in a process that was forked from
 * theirs, which goes on with them. May be called twice, and of zeros.
 */
void lb_perf_close(struct lb_perf *p, bool keep);

/*
 * Up to n records of one ring, the CPUs taking turns. How many; 0: there are
 * none; -EIO for a record that cannot be; -ENOMEM.
 */
int lb_perf_look(struct lb_perf *p, struct lb_record *out, uint32_t n, struct lb_event_stats *st);
/* Gives the space in that ring before the position back. */
void lb_perf_release(struct lb_perf *p, uint32_t ring, uint64_t position);
/* The next look at that ring begins behind what was released. */
void lb_perf_rewind(struct lb_perf *p, uint32_t ring);
/* Releases all that was looked at, in every ring. */
void lb_perf_release_all(struct lb_perf *p);
/* Looks end at what lies there now. */
void lb_perf_mark(struct lb_perf *p);
uint64_t lb_perf_backlog(const struct lb_perf *p);
/* As lb_ring_ready. */
bool lb_perf_ready(const struct lb_perf *p, bool marked);
/* Whether the next lb_perf_take_lost has something to tell. */
bool lb_perf_has_lost(const struct lb_perf *p);
/* A CPU that lost events since the last call, and how many: false if none did. */
bool lb_perf_take_lost(struct lb_perf *p, uint32_t *cpu, uint64_t *lost);

/*
 * Looks which CPUs are online: those that came get a ring, those that went
 * lose theirs once it is empty. 0 or -errno.
 */
int lb_perf_follow(struct lb_perf *p);

#endif
