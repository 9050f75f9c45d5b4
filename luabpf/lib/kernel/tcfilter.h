/* SPDX-License-Identifier: MIT */
/*
 * Filters of the classic tc hooks, which no descriptor keeps: they stay until
 * they are removed. No Lua here.
 *
 * An answer may be lost: the socket's, or there is no memory for it. Whether
 * the filter is there is then not known. So each has a handle of its own, by
 * which it is found again among all that the hook has.
 */
#ifndef LUABPF_LIB_KERNEL_TCFILTER_H
#define LUABPF_LIB_KERNEL_TCFILTER_H

#include "lib/kernel/log.h"

#include <stdbool.h>
#include <stdint.h>

struct lb_tcfilter {
	int ifindex;			/* 0: none */
	bool egress;
	uint32_t handle;
	uint32_t priority;		/* 0: not known, and not whether it is there */
};

/*
 * Adds a filter with direct action where ifindex and egress say, and the clsact
 * qdisc if there is none, which is left there. 0, or -errno; f->ifindex is then
 * 0, unless a filter may be there all the same.
 */
int lb_tcfilter_add(struct lb_tcfilter *f, int prog_fd, struct lb_log *log);
/* Removes it, if it is there. 0 or -errno. */
int lb_tcfilter_remove(struct lb_tcfilter *f);

#endif
