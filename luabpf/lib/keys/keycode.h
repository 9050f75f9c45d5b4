/* SPDX-License-Identifier: MIT */
/*
 * The instructions of keyed programs, and where things lie in their regions: what
 * keyed.c asks of keycode.c.
 */
#ifndef LUABPF_LIB_KEYS_KEYCODE_H
#define LUABPF_LIB_KEYS_KEYCODE_H

#include "lib/keys/keyspec.h"

/* What the region begins with; padded to 64 bytes. */
struct lb_keyed_head {
	uint64_t n;		/* keys, set before the run */
	uint64_t went;		/* what bpf_loop returned: keys gone through */
	uint64_t error;		/* what a map operation returned that ended the run, else 0 */
	uint64_t cpu;		/* whose value is changed, in per-CPU maps */
};

#define LB_KEYED_HEAD 64

/* Where things lie in a region. */
struct lb_keyed_parts {
	uint32_t capacity;
	uint32_t values, keys, status;	/* offsets */
	uint32_t scratch;		/* where changes are decided */
};

/* Keys that one run takes at most. */
uint32_t lb_keyed_chunk(const struct lb_keyed *k);
/* Bytes of what comes with one key as its value. */
uint32_t lb_keyed_value_size(const struct lb_keyed_spec *spec);
/* Bytes of one key with what belongs to it. */
size_t lb_keyed_key_room(const struct lb_keyed_spec *spec);
struct lb_keyed_parts lb_keyed_parts_in(const struct lb_keyed *k, size_t size);
/* Bytes of region before the first key's: for the head and tables. */
size_t lb_keyed_head_room(const struct lb_keyed_spec *spec);
/* Writes the program into an empty image. */
void lb_keyed_write(const struct lb_keyed *k, const struct lb_region *region,
		    struct lb_image *image);

#endif
