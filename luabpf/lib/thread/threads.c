/* SPDX-License-Identifier: MIT */
/*
 * Worker threads and their queue. See threads.h.
 */
#include "lib/thread/threads.h"

#include "lib/kernel/clock.h"
#include "lib/kernel/process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Source: pthread_create(3), a stack as large as Lua's C calls may need, and no larger. */
#define STACK_SIZE (1u << 20)

struct lb_thread_arg {
	struct lb_workers *pool;
	uint32_t index;
};

static void *run(void *data)
{
	struct lb_thread_arg arg = *(struct lb_thread_arg *)data;
	struct lb_workers *p = arg.pool;

	free(data);
	p->work(p, arg.index);
	pthread_mutex_lock(&p->mutex);
	p->running--;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
	return NULL;
}

static int start_one(struct lb_workers *p, const pthread_attr_t *attr)
{
	struct lb_thread_arg *arg = malloc(sizeof(*arg));
	int err;

	if (!arg)
		return ENOMEM;
	*arg = (struct lb_thread_arg){ p, p->n };
	pthread_mutex_lock(&p->mutex);
	p->running++;
	pthread_mutex_unlock(&p->mutex);
	err = pthread_create(&p->threads[p->n], attr, run, arg);
	if (!err) {
		p->n++;
		return 0;
	}
	free(arg);
	pthread_mutex_lock(&p->mutex);
	p->running--;
	pthread_mutex_unlock(&p->mutex);
	return err;
}

/* Signals are for the thread that the program's own code runs in. */
static int start_all(struct lb_workers *p, uint32_t n)
{
	sigset_t all, before;
	pthread_attr_t attr;
	int err = pthread_attr_init(&attr);

	if (err)
		return err;
	pthread_attr_setstacksize(&attr, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (uint32_t i = 0; i < n && !err; i++)
		err = start_one(p, &attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return err;
}

int lb_workers_start(struct lb_workers *p, uint32_t n, lb_work *work, void *data)
{
	pthread_condattr_t clock;
	int err;

	if (n == 0 || n > LB_MAX_WORKERS)
		return -EINVAL;
	memset(p, 0, sizeof(*p));
	p->work = work;
	p->data = data;
	p->most = n * LB_QUEUE_BLOCKS;
	p->process = lb_process();
	pthread_mutex_init(&p->mutex, NULL);
	pthread_condattr_init(&clock);
	pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
	pthread_cond_init(&p->changed, &clock);
	pthread_condattr_destroy(&clock);
	p->ready = true;
	err = start_all(p, n);
	if (err)
		lb_workers_stop(p);
	return -err;
}

bool lb_workers_push(struct lb_workers *p, struct lb_parcel *parcel, uint64_t ns, bool *cancelled)
{
	struct timespec until = lb_timespec(lb_monotonic() + ns);
	bool room = true;

	pthread_mutex_lock(&p->mutex);
	while (room && !p->cancelled && p->queued >= p->most)
		room = pthread_cond_timedwait(&p->changed, &p->mutex, &until) == 0;
	*cancelled = p->cancelled;
	if (room && !p->cancelled) {
		parcel->next = NULL;
		if (p->last)
			p->last->next = parcel;
		else
			p->first = parcel;
		p->last = parcel;
		p->queued++;
		pthread_cond_broadcast(&p->changed);
	}
	pthread_mutex_unlock(&p->mutex);
	if (*cancelled)
		free(parcel);
	return room && !*cancelled;
}

/* The first parcel, off the queue; the mutex is held. */
static struct lb_parcel *pull(struct lb_workers *p)
{
	struct lb_parcel *parcel = p->first;

	p->first = parcel->next;
	if (!p->first)
		p->last = NULL;
	p->queued--;
	pthread_cond_broadcast(&p->changed);
	return parcel;
}

struct lb_parcel *lb_workers_take(struct lb_workers *p)
{
	struct lb_parcel *parcel = NULL;

	pthread_mutex_lock(&p->mutex);
	p->waiting++;
	if (!p->first)
		pthread_cond_broadcast(&p->changed);
	while (!p->first && !p->finished && !p->cancelled)
		pthread_cond_wait(&p->changed, &p->mutex);
	p->waiting--;
	if (!p->cancelled && p->first)
		parcel = pull(p);
	pthread_mutex_unlock(&p->mutex);
	return parcel;
}

bool lb_workers_idle(struct lb_workers *p, uint64_t ns)
{
	struct timespec until = lb_timespec(lb_monotonic() + ns);
	bool in_time = true, idle;

	pthread_mutex_lock(&p->mutex);
	for (;;) {
		idle = p->cancelled || (!p->first && p->waiting == p->running);
		if (idle || !in_time)
			break;
		in_time = pthread_cond_timedwait(&p->changed, &p->mutex, &until) == 0;
	}
	pthread_mutex_unlock(&p->mutex);
	return idle;
}

struct lb_parcel *lb_workers_collect(struct lb_workers *p, uint64_t ns, bool *ended)
{
	struct timespec until = lb_timespec(lb_monotonic() + ns);
	struct lb_parcel *parcel = NULL;
	bool in_time = true;

	pthread_mutex_lock(&p->mutex);
	while (!p->first && p->running && in_time)
		in_time = pthread_cond_timedwait(&p->changed, &p->mutex, &until) == 0;
	if (p->first)
		parcel = pull(p);
	*ended = !parcel && p->running == 0;
	pthread_mutex_unlock(&p->mutex);
	return parcel;
}

static void set(struct lb_workers *p, bool *flag)
{
	pthread_mutex_lock(&p->mutex);
	*flag = true;
	pthread_cond_broadcast(&p->changed);
	pthread_mutex_unlock(&p->mutex);
}

void lb_workers_finish(struct lb_workers *p)
{
	set(p, &p->finished);
}

void lb_workers_cancel(struct lb_workers *p)
{
	set(p, &p->cancelled);
}

bool lb_workers_cancelled(struct lb_workers *p)
{
	bool cancelled;

	pthread_mutex_lock(&p->mutex);
	cancelled = p->cancelled;
	pthread_mutex_unlock(&p->mutex);
	return cancelled;
}

bool lb_workers_wait(struct lb_workers *p, uint64_t ns)
{
	struct timespec until = lb_timespec(lb_monotonic() + ns);
	bool in_time = true, ended;

	pthread_mutex_lock(&p->mutex);
	while (p->running && in_time)
		in_time = pthread_cond_timedwait(&p->changed, &p->mutex, &until) == 0;
	ended = p->running == 0;
	pthread_mutex_unlock(&p->mutex);
	return ended;
}

bool lb_workers_foreign(const struct lb_workers *p)
{
	return p->ready && p->process != lb_process();
}

void lb_workers_stop(struct lb_workers *p)
{
	if (lb_workers_foreign(p))
		p->ready = false;
	if (!p->ready)
		return;
	lb_workers_cancel(p);
	for (uint32_t i = 0; i < p->n; i++)
		pthread_join(p->threads[i], NULL);
	while (p->first) {
		struct lb_parcel *next = p->first->next;

		free(p->first);
		p->first = next;
	}
	pthread_cond_destroy(&p->changed);
	pthread_mutex_destroy(&p->mutex);
	p->n = 0;
	p->last = NULL;
	p->ready = false;
}
