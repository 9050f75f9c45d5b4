/* SPDX-License-Identifier: MIT */
/*
 * The instructions of keyed programs: what keyed.c and keycode.c share.
 */
#ifndef LUABPF_KEYCODE_H
#define LUABPF_KEYCODE_H

#include "lib/keys/keyed.h"

/* What the region begins with; padded to 64 bytes. */
struct lb_keyed_head {
	uint64_t n;		/* keys, set before the run */
	uint64_t went;		/* what bpf_loop returned: keys gone through */
	uint64_t error;		/* what a map operation returned that ended the run, else 0 */
};

#define LB_KEYED_HEAD 64

/* Where things lie in a region. */
struct lb_keyed_parts {
	uint32_t capacity;
	uint32_t values, keys, status;	/* offsets */
};

/* Whether there are values in the region. */
bool lb_keyed_has_values(const struct lb_keyed_spec *spec);
struct lb_keyed_parts lb_keyed_parts_in(const struct lb_keyed *k, size_t size);
/* Writes the program into an empty image. */
void lb_keyed_write(const struct lb_keyed *k, const struct lb_region *region,
		    struct lb_image *image);

#endif
