/* SPDX-License-Identifier: MIT */
/*
 * Unions: members that lie on the same bytes may all be given. The bits that were
 * written are marked, and a bit that is written twice must be the same.
 */
#ifndef LUABPF_LIB_LAYOUT_MERGE_H
#define LUABPF_LIB_LAYOUT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Writes those bits of n bytes that are set in bits (NULL: all) to p, and marks
 * them at written. False where one was written before and is different.
 */
bool lb_merge(uint8_t *p, uint8_t *written, const uint8_t *bytes, const uint8_t *bits, size_t n);

#endif
