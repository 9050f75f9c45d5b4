/* SPDX-License-Identifier: MIT */
/*
 * Writing to pipes without signals: SIGPIPE is held back meanwhile, and taken back
 * where the reader was gone. No Lua here.
 *
 *	lb_sigpipe_hold(&h);
 *	err = ...			writes, until all is written or one fails
 *	lb_sigpipe_release(&h, err == -EPIPE);
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
	bool pending;		/* one was, before */
};

void lb_sigpipe_hold(struct lb_sigpipe *h);
/* broken: a write has failed with EPIPE. Leaves errno as it is. */
void lb_sigpipe_release(const struct lb_sigpipe *h, bool broken);

#endif
