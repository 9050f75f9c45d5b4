/* SPDX-License-Identifier: MIT */
/*
 * Refusals that say nothing of what was asked: memory or descriptors were short, or something
 * else was under way. A program that was refused so is tried again when it is wanted again.
 */
#ifndef LUABPF_LIB_KERNEL_MOMENTARY_H
#define LUABPF_LIB_KERNEL_MOMENTARY_H

#include "lib/kernel/kmap.h"

#include <errno.h>
#include <stdbool.h>

/* err: negative, or 0. */
static inline bool lb_momentary(int err)
{
	return lb_transient(-err) || err == -ENOSPC || err == -EMFILE || err == -ENFILE;
}

#endif
