/* SPDX-License-Identifier: MIT */
/* Unions whose members are all given. See merge.h. */
#include "lib/layout/merge.h"

bool lb_merge(uint8_t *p, uint8_t *written, const uint8_t *bytes, const uint8_t *bits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t mask = bits ? bits[i] : 0xff;

		if ((p[i] ^ bytes[i]) & written[i] & mask)
			return false;
		p[i] |= bytes[i] & mask;
		written[i] |= mask;
	}
	return true;
}
