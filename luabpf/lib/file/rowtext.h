/* SPDX-License-Identifier: MIT */
/*
 * Numbers, text and bytes as they stand in rows of JSON lines and CSV: what
 * rowwriter.c writes and rowleaf.c reads. docs/export.md defines it. No Lua here.
 *
 * Text is UTF-8 whatever bytes it had. A byte that is part of no well-formed
 * character is written as the character U+EF00 + byte, in the private use area;
 * so are the bytes of characters from U+EF00 to U+EFFF, which makes it reversible.
 *
 * lb_put_ functions write at s and return the end of what they wrote, without a NUL.
 */
#ifndef LUABPF_LIB_FILE_ROWTEXT_H
#define LUABPF_LIB_FILE_ROWTEXT_H

#include "lib/layout/layout.h"

/* The first of 256 characters that stand for bytes. */
#define LB_ESCAPE 0xef00u
/* Room for the longest number: "nan(0x7ff0000000000001)", "-1.7976931348623157e+308". */
#define LB_NUMBER_TEXT 40
/* A byte of text is at most \u0000 in JSON, three bytes of UTF-8 in CSV. */
#define LB_JSON_BYTE 6
#define LB_CSV_BYTE 3

extern const char lb_digit_pairs[200];

static inline uint32_t lb_count_digits(uint64_t v)
{
	static const uint64_t powers[] = {
		0, 10u, 100u, 1000u, 10000u, 100000u, 1000000u, 10000000u, 100000000u,
		1000000000u, 10000000000u, 100000000000u, 1000000000000u, 10000000000000u,
		100000000000000u, 1000000000000000u, 10000000000000000u, 100000000000000000u,
		1000000000000000000u, 10000000000000000000u,
	};
	/* 1233 / 4096 is the logarithm of 2 to base 10, a little too large. */
	uint32_t n = (uint32_t)(64 - __builtin_clzll(v | 1)) * 1233 >> 12;

	return n + (v >= powers[n]);
}

static inline char *lb_put_u64(char *s, uint64_t v)
{
	char *end = s + lb_count_digits(v), *p = end;

	while (v >= 100) {
		p -= 2;
		memcpy(p, lb_digit_pairs + 2 * (v % 100), 2);
		v /= 100;
	}
	if (v >= 10)
		memcpy(p - 2, lb_digit_pairs + 2 * v, 2);
	else
		p[-1] = (char)('0' + v);
	return end;
}

static inline char *lb_put_s64(char *s, uint64_t v)
{
	if ((int64_t)v < 0) {
		*s++ = '-';
		v = 0 - v;
	}
	return lb_put_u64(s, v);
}

/*
 * A float of 4 or 8 bytes: 15 digits (6 of 4 bytes) if they read back as the
 * same, else as many as it takes; inf, -inf, nan, or nan(0x...) with the bits of
 * a NaN that is not the usual one. Those four are no JSON numbers: quoted puts
 * them in quotes.
 */
char *lb_put_float(char *s, const void *p, uint32_t size, bool quoted);
/* The inside of a JSON string. */
char *lb_put_json_text(char *s, const char *p, size_t n);
/* A CSV field, in quotes where RFC 4180 asks for them. A NUL is U+EF00. */
char *lb_put_csv_text(char *s, const char *p, size_t n);
/* The bytes of a char[size] that are its text: up to its NUL, or all if more follow it. */
size_t lb_text_length(const char *p, size_t size);

/* Whether text is UTF-8. */
bool lb_is_utf8(const char *text, size_t n);
/* The reverse of lb_put_float, without quotes; false if the text is no such number. */
bool lb_read_float(const char *text, size_t n, void *p, uint32_t size);
/*
 * Puts the bytes back that stand in UTF-8 text for themselves, in place:
 * returns the new length.
 */
size_t lb_unescape_text(char *text, size_t n);

#endif
