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

	sigpending(&set);
	h->pending = sigismember(&set, SIGPIPE) == 1;
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &h->before);
}

void lb_sigpipe_release(const struct lb_sigpipe *h, bool broken)
{
	const struct timespec now = { 0, 0 };
	int err = errno;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	if (broken && !h->pending)
		sigtimedwait(&set, NULL, &now);
	pthread_sigmask(SIG_SETMASK, &h->before, NULL);
	errno = err;
}
