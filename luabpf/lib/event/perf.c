/* SPDX-License-Identifier: MIT */
/*
 * Reading perf buffers. See perf.h.
 */
#include "lib/event/perf.h"
#include "lib/kernel/cpus.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- opening and closing ---------------------------------------------- */

static int open_event(uint32_t cpu)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr),
		.config = PERF_COUNT_SW_BPF_OUTPUT, .sample_type = PERF_SAMPLE_RAW,
		.sample_period = 1, .wakeup_events = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, (int)cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void close_ring(struct lb_perf *p, uint32_t cpu, bool keep)
{
	struct lb_perf_ring *r = &p->rings[cpu];

	/* A child that was forked has no such mapping; there may be another one at that place. */
	if (r->memory && !keep)
		munmap(r->memory, p->page + p->size);
	if (r->fd >= 0 && p->removes && !keep)
		bpf_map_delete_elem(p->map_fd, &cpu);	/* the map has a reference of its own */
	if (r->fd >= 0)
		close(r->fd);
	free(r->copy);
	*r = (struct lb_perf_ring){ .fd = -1, .lost = r->lost, .end = r->end };
}

static int map_ring(struct lb_perf *p, struct lb_perf_ring *r, uint32_t cpu)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	r->memory = mmap(NULL, p->page + p->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	if (r->memory == MAP_FAILED) {
		r->memory = NULL;
		return -errno;
	}
	if (bpf_map_update_elem(p->map_fd, &cpu, &r->fd, BPF_ANY) < 0 ||
	    ioctl(r->fd, PERF_EVENT_IOC_ENABLE, 0) < 0 ||
	    epoll_ctl(p->epoll, EPOLL_CTL_ADD, r->fd, &event) < 0)
		return -errno;
	return 0;
}

static int open_ring(struct lb_perf *p, uint32_t cpu)
{
	struct lb_perf_ring *r = &p->rings[cpu];
	int fd = open_event(cpu), err;

	if (fd < 0)
		return fd;
	r->fd = fd;
	err = map_ring(p, r, cpu);
	if (err)
		close_ring(p, cpu, false);
	return err;
}

/*
 * A descriptor of the map whose file is no other's, where that is allowed: when it is closed
 * the kernel takes out of the map what was stored by it, and nothing that another reader has
 * put there since (kernel/bpf/arraymap.c, perf_event_fd_array_release). Else a copy of the
 * handle's, and what was stored is ours to remove.
 */
static int open_map(struct lb_perf *p, const struct lb_kmap *m)
{
	bool stays = m->info.map_flags & BPF_F_PRESERVE_ELEMS;

	p->map_fd = stays ? -1 : bpf_map_get_fd_by_id(m->info.id);
	p->removes = p->map_fd < 0;
	if (p->removes)
		p->map_fd = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	return p->map_fd < 0 ? -errno : 0;
}

int lb_perf_open(struct lb_perf *p, const struct lb_kmap *m, int epoll, uint32_t pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t cpus = m->info.max_entries;
	int err;

	*p = (struct lb_perf){ .epoll = epoll, .page = page, .size = page * pages };
	err = open_map(p, m);
	if (err)
		return err;
	p->rings = calloc(cpus, sizeof(*p->rings));
	p->n = cpus;
	for (uint32_t i = 0; p->rings && i < cpus; i++)
		p->rings[i] = (struct lb_perf_ring){ .fd = -1, .end = UINT64_MAX };
	err = p->rings ? lb_perf_follow(p) : -ENOMEM;
	if (err)
		lb_perf_close(p, false);
	return err;
}

void lb_perf_close(struct lb_perf *p, bool keep)
{
	if (p->n == 0)
		return;
	for (uint32_t i = 0; p->rings && i < p->n; i++)
		close_ring(p, i, keep);
	free(p->rings);
	p->rings = NULL;
	close(p->map_fd);
	p->n = 0;
}

/* ---- CPUs that come and go ---------------------------------------------- */

static uint64_t head_of(const struct lb_perf_ring *r)
{
	const struct perf_event_mmap_page *page = r->memory;

	return __atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE);
}

int lb_perf_follow(struct lb_perf *p)
{
	char list[4096];
	int err = lb_cpus_online(list, sizeof(list));

	for (uint32_t cpu = 0; !err && cpu < p->n; cpu++) {
		struct lb_perf_ring *r = &p->rings[cpu];
		bool online = lb_cpu_is_in(list, cpu);

		if (online && r->fd < 0)
			err = open_ring(p, cpu);
		else if (!online && r->fd >= 0 && r->released == head_of(r))
			close_ring(p, cpu, false);
		if (err == -ENODEV)	/* it went again meanwhile */
			err = 0;
	}
	return err;
}

/* ---- reading -------------------------------------------------------------- */

/* The bytes at a position, which wrap round at the end of the ring, in one piece. */
static const uint8_t *piece(struct lb_perf *p, struct lb_perf_ring *r, uint64_t at, size_t n)
{
	const uint8_t *data = (const uint8_t *)r->memory + p->page;
	size_t from = at & (p->size - 1), first = p->size - from;

	if (n <= first)
		return data + from;
	if (n > r->room) {
		uint8_t *copy = realloc(r->copy, n);

		if (!copy)
			return NULL;
		r->copy = copy;
		r->room = n;
	}
	memcpy(r->copy, data + from, first);
	memcpy(r->copy + first, data, n - first);
	return r->copy;
}

/* What is told in a record that is no event. */
static void note(struct lb_perf_ring *r, const uint8_t *record,
		 const struct perf_event_header *h, struct lb_event_stats *st)
{
	uint64_t lost;

	if (h->type != PERF_RECORD_LOST || h->size < sizeof(*h) + 2 * sizeof(lost) ||
	    r->at < r->counted)
		return;
	memcpy(&lost, record + sizeof(*h) + sizeof(lost), sizeof(lost));
	st->lost += lost;
	r->lost += lost;
}

/* An event of that ring, if the record is one: its bytes follow their number. */
static bool take(const struct lb_perf_ring *r, uint32_t ring, const uint8_t *record,
		 const struct perf_event_header *h, struct lb_record *out, struct lb_event_stats *st)
{
	uint32_t size;

	memcpy(&size, record + sizeof(*h), sizeof(size));
	if (size > h->size - sizeof(*h) - sizeof(size))
		return false;
	*out = (struct lb_record){ .data = record + sizeof(*h) + sizeof(size), .size = size,
				   .ring = ring, .end = r->at + h->size };
	if (r->at >= r->counted) {
		st->records++;
		st->bytes += size;
	}
	return true;
}

/*
 * The records of one ring. A look ends after the record that wraps round, since
 * there is one copy.
 */
static int look_at(struct lb_perf *p, uint32_t ring, struct lb_record *out, uint32_t n,
		   struct lb_event_stats *st)
{
	struct lb_perf_ring *r = &p->rings[ring];
	uint64_t head = head_of(r) < r->end ? head_of(r) : r->end;
	uint32_t found = 0;
	bool wrapped = false;

	if (head - r->released > st->high_water)
		st->high_water = head - r->released;
	while (r->at < head && found < n && !wrapped) {
		struct perf_event_header h;
		const uint8_t *record = piece(p, r, r->at, sizeof(h));

		memcpy(&h, record, sizeof(h));
		if (h.size < sizeof(h) + sizeof(uint64_t) || h.size > head - r->at)
			return -EIO;
		record = piece(p, r, r->at, h.size);
		if (!record)
			return -ENOMEM;
		wrapped = record == r->copy;
		if (h.type != PERF_RECORD_SAMPLE)
			note(r, record, &h, st);
		else if (!take(r, ring, record, &h, &out[found++], st))
			return -EIO;
		r->at += h.size;
	}
	if (r->at > r->counted)
		r->counted = r->at;
	return (int)found;
}

int lb_perf_look(struct lb_perf *p, struct lb_record *out, uint32_t n, struct lb_event_stats *st)
{
	for (uint32_t tried = 0; tried < p->n; tried++) {
		uint32_t ring = p->next;
		int found = 0;

		p->next = ring + 1 < p->n ? ring + 1 : 0;
		if (p->rings[ring].fd >= 0)
			found = look_at(p, ring, out, n, st);
		if (found)
			return found;
	}
	return 0;
}

void lb_perf_release(struct lb_perf *p, uint32_t ring, uint64_t position)
{
	struct lb_perf_ring *r = &p->rings[ring];
	struct perf_event_mmap_page *page = r->memory;

	if (r->fd < 0 || position == r->released)
		return;
	r->released = position;
	__atomic_store_n(&page->data_tail, position, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void lb_perf_rewind(struct lb_perf *p, uint32_t ring)
{
	p->rings[ring].at = p->rings[ring].released;
}

void lb_perf_release_all(struct lb_perf *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		lb_perf_release(p, i, p->rings[i].at);
}

void lb_perf_mark(struct lb_perf *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		p->rings[i].end = p->rings[i].fd >= 0 ? head_of(&p->rings[i]) : 0;
}

uint64_t lb_perf_backlog(const struct lb_perf *p)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < p->n; i++)
		if (p->rings[i].fd >= 0)
			bytes += head_of(&p->rings[i]) - p->rings[i].released;
	return bytes;
}

bool lb_perf_ready(const struct lb_perf *p, bool marked)
{
	for (uint32_t i = 0; i < p->n; i++) {
		const struct lb_perf_ring *r = &p->rings[i];

		if (r->fd >= 0 && r->at < head_of(r) && (!marked || r->at < r->end))
			return true;
	}
	return false;
}

bool lb_perf_has_lost(const struct lb_perf *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->rings[i].lost)
			return true;
	return false;
}

bool lb_perf_take_lost(struct lb_perf *p, uint32_t *cpu, uint64_t *lost)
{
	for (uint32_t i = 0; i < p->n; i++) {
		*cpu = i;
		*lost = p->rings[i].lost;
		p->rings[i].lost = 0;
		if (*lost)
			return true;
	}
	return false;
}
