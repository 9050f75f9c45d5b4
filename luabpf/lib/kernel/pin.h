/* SPDX-License-Identifier: MIT */
/*
 * Pins of maps made anew in one step, and what is pinned. loader.h opens, makes and
 * removes plain ones. No Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_PIN_H
#define LUABPF_LIB_KERNEL_PIN_H

#include "lib/kernel/loader.h"

#include <stdint.h>

/*
 * Pins the map, in the place of a map that is pinned there: beside it under a name that has no
 * dot, and renamed, so that whoever opens the path finds one or the other. 0 or -errno.
 */
int lb_pin_renew(int fd, const char *path, struct lb_log *log);
/* What is pinned. */
struct lb_pinned {
	enum lb_fdkind kind;
	uint32_t id, type;		/* type as the kernel counts those of the kind */
	char name[16];			/* "" for links */
};

/* What is pinned at the path: 0 or -errno. */
int lb_pin_read(const char *path, struct lb_pinned *out);

#endif
