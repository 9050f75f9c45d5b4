/* SPDX-License-Identifier: MIT */
/*
 * Writing without signals: SIGPIPE, of a pipe without a reader, and SIGXFSZ, of a
 * file past the limit of the process, are held back meanwhile, and taken back. No Lua here.
 *
 *	lb_sigpipe_hold(&h);
 *	err = ...			writes, until all is written or one fails
 *	lb_sigpipe_release(&h, err);
 *
 * A write that the reader left in the middle of comes short and sends the signal
 * all the same: what is between the two goes on until it fails with EPIPE.
 */
#ifndef LUABPF_LIB_FILE_SIGPIPE_H
#define LUABPF_LIB_FILE_SIGPIPE_H

#include <signal.h>
#include <stdbool.h>

struct lb_sigpipe {
	sigset_t before;
	sigset_t pending;	/* were, before */
};

void lb_sigpipe_hold(struct lb_sigpipe *h);
/* err: of the write that failed, negative; else 0. Leaves errno as it is. */
void lb_sigpipe_release(const struct lb_sigpipe *h, int err);

#endif
