/* SPDX-License-Identifier: MIT */
/*
 * Reading a ring buffer where it lies. See ring.h.
 */
#include "lib/event/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int lb_ring_map(struct lb_ring *r, int fd, uint32_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *mine, *theirs;

	memset(r, 0, sizeof(*r));
	mine = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mine == MAP_FAILED)
		return -errno;
	theirs = mmap(NULL, page + 2 * (size_t)size, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (theirs == MAP_FAILED) {
		int err = errno;

		munmap(mine, page);
		return -err;
	}
	r->consumer = mine;
	r->producer = theirs;
	r->data = (const uint8_t *)theirs + page;
	r->page = page;
	r->size = size;
	r->end = UINT64_MAX;
	r->at = r->released = r->counted = lb_position_load(r->consumer);
	return 0;
}

void lb_ring_unmap(struct lb_ring *r)
{
	if (!r->consumer)
		return;
	munmap(r->consumer, r->page);
	munmap((void *)(uintptr_t)r->producer, r->page + 2 * r->size);
	memset(r, 0, sizeof(*r));
}

static uint32_t header_at(const struct lb_ring *r, uint64_t at)
{
	const uint8_t *p = r->data + (at & (r->size - 1));

	return __atomic_load_n((const uint32_t *)(const void *)p, __ATOMIC_ACQUIRE);
}

static uint64_t rounded(uint32_t len)
{
	return ((uint64_t)len + BPF_RINGBUF_HDR_SZ + 7) & ~(uint64_t)7;
}

static void add(struct lb_record *out, const struct lb_ring *r, uint32_t len,
		struct lb_event_stats *st)
{
	const uint8_t *p = r->data + (r->at & (r->size - 1));

	*out = (struct lb_record){ .data = p + BPF_RINGBUF_HDR_SZ, .size = len,
				   .end = r->at + rounded(len) };
	if (r->at < r->counted)
		return;
	st->records++;
	st->bytes += len;
}

int lb_ring_look(struct lb_ring *r, struct lb_record *out, uint32_t n, struct lb_event_stats *st)
{
	uint64_t head = lb_position_load(r->producer), waiting = head - r->released;
	uint32_t found = 0, passed = 0;

	if (lb_position_load(r->consumer) != r->released)
		return -EBUSY;
	if (waiting > st->high_water)
		st->high_water = waiting;
	if (head > r->end)
		head = r->end;
	while (r->at < head && found < n && passed < LB_MOST_PASSED) {
		uint32_t header = header_at(r, r->at);
		uint32_t len = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

		if (header & BPF_RINGBUF_BUSY_BIT)
			break;
		if (rounded(len) > r->size)
			return -EIO;
		if (header & BPF_RINGBUF_DISCARD_BIT) {
			st->discarded += r->at >= r->counted;
			passed++;
		} else {
			add(&out[found++], r, len, st);
		}
		r->at += rounded(len);
	}
	if (r->at > r->counted)
		r->counted = r->at;
	return (int)found;
}

void lb_ring_release(struct lb_ring *r, uint64_t position)
{
	if (position == r->released)
		return;
	r->released = position;
	lb_position_store(r->consumer, position);
}

uint64_t lb_ring_backlog(const struct lb_ring *r)
{
	return lb_position_load(r->producer) - r->released;
}

bool lb_ring_ready(const struct lb_ring *r, bool marked)
{
	uint64_t head = lb_position_load(r->producer);

	return r->at < head && (!marked || r->at < r->end) &&
	       !(header_at(r, r->at) & BPF_RINGBUF_BUSY_BIT);
}
