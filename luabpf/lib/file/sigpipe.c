/* SPDX-License-Identifier: MIT */
/*
 * Writing to pipes without signals. See sigpipe.h.
 */
#include "lib/file/sigpipe.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

void lb_sigpipe_hold(struct lb_sigpipe *h)
{
	sigset_t set;

	sigpending(&h->pending);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigaddset(&set, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &set, &h->before);
}

/* Takes the signal back, unless one was pending before. */
static void take_back(const struct lb_sigpipe *h, int number)
{
	const struct timespec now = { 0, 0 };
	sigset_t set;

	if (sigismember(&h->pending, number) == 1)
		return;
	sigemptyset(&set);
	sigaddset(&set, number);
	sigtimedwait(&set, NULL, &now);
}

void lb_sigpipe_release(const struct lb_sigpipe *h, int err)
{
	int before = errno;

	if (err == -EPIPE)
		take_back(h, SIGPIPE);
	if (err == -EFBIG)
		take_back(h, SIGXFSZ);
	pthread_sigmask(SIG_SETMASK, &h->before, NULL);
	errno = before;
}
