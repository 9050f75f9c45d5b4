/* SPDX-License-Identifier: MIT */
/*
 * Structs and unions: their members as users see them, and their padding, the bits
 * that no member covers. What those hold is kept, so that keys which differ nowhere
 * else stay two keys. No Lua here.
 */
#ifndef LUABPF_LIB_LAYOUT_RECORD_H
#define LUABPF_LIB_LAYOUT_RECORD_H

#include "lib/layout/layout.h"

/*
 * Fills members[], gaps[] and has_union of a type whose other fields are set, of any
 * kind. False when out of memory.
 */
bool lb_type_finish(struct lb_layout *layout, struct lb_type *type);

/* Whether all bits of the padding of the record at p are zero. */
bool lb_gaps_clear(const struct lb_type *type, const void *p);
/* The type->padding bytes of the record at p, in order, bits of members zero. */
void lb_gaps_read(const struct lb_type *type, const void *p, uint8_t *out);
/*
 * The place of byte i of the padding, from the start of the record, and its bits. Reads on
 * from *gap and *at, 0 and 0 at first.
 */
uint32_t lb_gaps_next(const struct lb_type *type, uint32_t *gap, uint32_t *at, uint8_t *mask);

#endif
