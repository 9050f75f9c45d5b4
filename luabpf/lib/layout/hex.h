/* SPDX-License-Identifier: MIT */
/* Hexadecimal digits. */
#ifndef LUABPF_LIB_LAYOUT_HEX_H
#define LUABPF_LIB_LAYOUT_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The digits by value, with small letters. */
extern const char lb_hex_digits[17];

/* The value of a digit, its letters of either size; -1 for anything else. */
static inline int lb_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes two digits a byte at s; returns their end. */
char *lb_put_hex(char *s, const uint8_t *p, size_t n);
/* The reverse of lb_put_hex: n bytes from 2 * n digits, which p may be the place of; false for
 * anything else, and nothing is written. */
bool lb_read_hex(const char *text, size_t len, uint8_t *p, size_t n);

#endif
