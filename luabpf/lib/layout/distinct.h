/* SPDX-License-Identifier: MIT */
/*
 * Names that BTF uses twice where users need them to be one thing's. The kernel takes
 * such BTF, and compilers make it of C that says the same. No Lua here.
 */
#ifndef LUABPF_LIB_LAYOUT_DISTINCT_H
#define LUABPF_LIB_LAYOUT_DISTINCT_H

#include "lib/layout/layout.h"

/*
 * Gives members of one name, those of anonymous members counted, names of their own: the
 * second "x" becomes "x_2". Anonymous members are copied for that. False when out of memory.
 */
bool lb_distinct_fields(struct lb_layout *layout, struct lb_field *fields, uint32_t n);

/* Leaves out the values whose name an earlier one has: *n are left. False when out of memory. */
bool lb_distinct_values(struct lb_enumerator *values, uint32_t *n);

#endif
