/* SPDX-License-Identifier: MIT */
/*
 * One reader over two kinds of buffers. See reader.h.
 */
#include "lib/event/reader.h"

#include "lib/kernel/clock.h"
#include "lib/kernel/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static bool is_perf(const struct lb_reader *r)
{
	return r->perf.n != 0;
}

/* The map's handle may be closed while its reader goes on. */
static int open_ring(struct lb_reader *r, const struct lb_kmap *m)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	int err = lb_ring_map(&r->ring, m->fd, m->info.max_entries);

	if (!err)
		r->map = fcntl(m->fd, F_DUPFD_CLOEXEC, 0);
	if (!err && r->map < 0)
		err = -errno;
	if (!err && epoll_ctl(r->epoll, EPOLL_CTL_ADD, m->fd, &event) < 0)
		err = -errno;
	return err;
}

int lb_reader_open(struct lb_reader *r, const struct lb_kmap *m, uint32_t pages)
{
	int err;

	memset(r, 0, sizeof(*r));
	r->map = -1;
	r->process = lb_process();
	r->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (r->epoll < 0)
		return -errno;
	if (lb_can(m, LB_EVENT_PERF))
		err = lb_perf_open(&r->perf, m, r->epoll, pages);
	else
		err = open_ring(r, m);
	if (err)
		lb_reader_close(r);
	return err;
}

/* In a child that was forked perf buffers are not even mapped. */
static bool is_ours(const struct lb_reader *r)
{
	return r->process == lb_process();
}

void lb_reader_close(struct lb_reader *r)
{
	lb_ring_unmap(&r->ring);
	lb_perf_close(&r->perf, !is_ours(r));
	if (r->map >= 0)
		close(r->map);
	if (r->epoll >= 0)
		close(r->epoll);
	r->map = r->epoll = -1;
	r->held = false;
}

static int look(struct lb_reader *r, struct lb_record *out, uint32_t n)
{
	return is_perf(r) ? lb_perf_look(&r->perf, out, n, &r->stats)
			  : lb_ring_look(&r->ring, out, n, &r->stats);
}

/* What no record is in, discarded ones and such, is released too. */
static void release_all(struct lb_reader *r)
{
	if (is_perf(r))
		lb_perf_release_all(&r->perf);
	else
		lb_ring_release(&r->ring, r->ring.at);
}

/* Takes the edges that have been seen out of epoll, so that it is ready again only by new ones. */
static void forget_edges(struct lb_reader *r)
{
	struct epoll_event events[64];

	while (epoll_wait(r->epoll, events, 64, 0) == 64)
		;
}

/* Once a second: CPUs that came or went. */
static int follow_cpus(struct lb_reader *r)
{
	uint64_t now;

	if (!is_perf(r))
		return 0;
	now = lb_monotonic();
	if (now < r->follow)
		return 0;
	r->follow = now + LB_SECOND;
	return lb_perf_follow(&r->perf);
}

int lb_reader_look(struct lb_reader *r, struct lb_record *out, uint32_t n)
{
	int found;

	if (!is_ours(r))
		return -ECHILD;
	lb_reader_release(r);
	found = follow_cpus(r);
	if (found < 0)
		return found;
	found = look(r, out, n);
	if (found == 0) {
		release_all(r);
		forget_edges(r);
		found = look(r, out, n);
	}
	if (found > 0) {
		r->last = out[found - 1];
		r->looked = r->last.ring;
	}
	return found;
}

static void release_last(struct lb_reader *r)
{
	if (r->held && is_perf(r))
		lb_perf_release(&r->perf, r->last.ring, r->last.end);
	else if (r->held)
		lb_ring_release(&r->ring, r->last.end);
	r->held = false;
}

void lb_reader_release(struct lb_reader *r)
{
	if (!is_ours(r))
		return;
	release_last(r);
	if (is_perf(r))
		lb_perf_rewind(&r->perf, r->looked);
	else
		r->ring.at = r->ring.released;
}

void lb_reader_give_all(struct lb_reader *r)
{
	r->held = true;
}

void lb_reader_give(struct lb_reader *r, const struct lb_record *record)
{
	release_last(r);
	r->last = *record;
	r->held = true;
}

bool lb_reader_ready(const struct lb_reader *r, bool marked)
{
	if (!is_ours(r))
		return false;
	return is_perf(r) ? lb_perf_ready(&r->perf, marked) : lb_ring_ready(&r->ring, marked);
}

bool lb_reader_woken(struct lb_reader *r)
{
	if (lb_reader_ready(r, false))
		return true;
	forget_edges(r);
	return lb_reader_ready(r, false);
}

/*
 * What to wait on: an empty ring itself, by which a record is there some microseconds
 * sooner than through an epoll; but not one whose head is busy, which is readable.
 */
static int waited_for(const struct lb_reader *r)
{
	return !is_perf(r) && lb_ring_backlog(&r->ring) == 0 ? r->map : r->epoll;
}

/*
 * Not by epoll_wait, which ends with EINTR also where the process was stopped and
 * goes on, or a debugger looked at it; poll does not.
 */
int lb_reader_wait(struct lb_reader *r, int ms)
{
	struct pollfd fd = { .events = POLLIN };
	int n;

	if (!is_ours(r))
		return -ECHILD;
	release_all(r);
	if (lb_reader_ready(r, false))
		return 1;
	fd.fd = waited_for(r);
	n = poll(&fd, 1, ms);
	return n < 0 ? -errno : n > 0;
}

uint32_t lb_reader_rings(const struct lb_reader *r)
{
	return is_perf(r) ? r->perf.n : 1;
}

void lb_reader_mark(struct lb_reader *r, uint64_t *ends)
{
	if (is_perf(r) && is_ours(r))
		lb_perf_mark(&r->perf);
	else if (!is_perf(r))
		r->ring.end = lb_position_load(r->ring.producer);
	for (uint32_t i = 0; i < lb_reader_rings(r); i++)
		ends[i] = is_perf(r) ? r->perf.rings[i].end : r->ring.end;
}

void lb_reader_end_at(struct lb_reader *r, const uint64_t *ends)
{
	if (!is_perf(r))
		r->ring.end = ends ? ends[0] : UINT64_MAX;
	for (uint32_t i = 0; i < r->perf.n; i++)
		r->perf.rings[i].end = ends ? ends[i] : UINT64_MAX;
}

uint64_t lb_reader_backlog(const struct lb_reader *r)
{
	if (!is_ours(r))
		return 0;
	return is_perf(r) ? lb_perf_backlog(&r->perf) : lb_ring_backlog(&r->ring);
}
