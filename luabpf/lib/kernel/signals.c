/* SPDX-License-Identifier: MIT */
/* Signals held back for a while. See signals.h. */
#include "lib/kernel/signals.h"

#include <errno.h>
#include <pthread.h>

void lb_signals_hold(sigset_t *before)
{
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS };
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&set, own[i]);
	pthread_sigmask(SIG_BLOCK, &set, before);
}

void lb_signals_release(const sigset_t *before)
{
	int err = errno;

	pthread_sigmask(SIG_SETMASK, before, NULL);
	errno = err;
}
