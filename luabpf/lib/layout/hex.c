/* SPDX-License-Identifier: MIT */
/* Hexadecimal digits. */
#include "lib/layout/hex.h"

const char lb_hex_digits[17] = "0123456789abcdef";

char *lb_put_hex(char *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		*s++ = lb_hex_digits[p[i] >> 4];
		*s++ = lb_hex_digits[p[i] & 15];
	}
	return s;
}

bool lb_read_hex(const char *text, size_t len, uint8_t *p, size_t n)
{
	if (len != 2 * n)
		return false;
	for (size_t i = 0; i < len; i++)
		if (lb_hex_value(text[i]) < 0)
			return false;
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(lb_hex_value(text[2 * i]) << 4 | lb_hex_value(text[2 * i + 1]));
	return true;
}
