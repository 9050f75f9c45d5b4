/* SPDX-License-Identifier: MIT */
/*
 * Fields that are the kernel's own: spin locks, timers, kernel pointers. They
 * read as zeros, and no program loads them.
 */
#ifndef LUABPF_LIB_LAYOUT_SPECIAL_H
#define LUABPF_LIB_LAYOUT_SPECIAL_H

#include "lib/layout/layout.h"

/* Bytes of a value that stay as they are and are handed over as zeros. */
struct lb_span {
	uint32_t offset, size;
};

/*
 * The special fields of a value: at most max spans. How many there are, also
 * if that is more. type NULL: none are known.
 */
uint32_t lb_special_spans(const struct lb_type *type, struct lb_span *spans, uint32_t max);

/* Whether the value has a bpf_spin_lock, which BPF_F_LOCK takes. NULL: no. */
bool lb_has_lock(const struct lb_type *type);

#endif
