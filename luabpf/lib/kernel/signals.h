/* SPDX-License-Identifier: MIT */
/*
 * Signals held back while the verifier works: it gives up with EAGAIN when one is pending, and
 * libbpf after a few tries. What a process does to itself (SIGSEGV and the like) comes through.
 */
#ifndef LUABPF_LIB_KERNEL_SIGNALS_H
#define LUABPF_LIB_KERNEL_SIGNALS_H

#include <signal.h>

/* Blocks them in this thread; before is what lb_signals_release takes. Keeps errno. */
void lb_signals_hold(sigset_t *before);
void lb_signals_release(const sigset_t *before);

#endif
