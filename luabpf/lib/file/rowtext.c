/* SPDX-License-Identifier: MIT */
/*
 * Numbers, text and bytes in rows of JSON lines and CSV, both ways. What most
 * entries are made of, ASCII text and integers, takes a table look-up or two
 * for each byte; floats go through the C library, in its "C" locale.
 */
#include "lib/file/rowtext.h"

#include "lib/layout/hex.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

const char lb_digit_pairs[200] =
	"00010203040506070809101112131415161718192021222324"
	"25262728293031323334353637383940414243444546474849"
	"50515253545556575859606162636465666768697071727374"
	"75767778798081828384858687888990919293949596979899";

/* ---- floats ------------------------------------------------------------ */

static locale_t c_locale;

static void make_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The locale in which numbers have a point, whatever the program's is. */
static locale_t plain_locale(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_locale);
	return c_locale;
}

static double widened(const void *p, uint32_t size)
{
	double d;
	float f;

	if (size == sizeof(d)) {
		memcpy(&d, p, sizeof(d));
		return d;
	}
	memcpy(&f, p, sizeof(f));
	return (double)f;
}

/* "nan" for the bits that a computation gives, else with the bits. */
static char *put_nan(char *s, const void *p, uint32_t size)
{
	uint64_t bits = 0;

	memcpy(&bits, p, size);
	if (bits == (size == 8 ? UINT64_C(0x7ff8000000000000) : UINT64_C(0x7fc00000))) {
		memcpy(s, "nan", 3);
		return s + 3;
	}
	return s + sprintf(s, "nan(0x%0*llx)", (int)size * 2, (unsigned long long)bits);
}

static char *put_finite(char *s, double d, uint32_t size)
{
	int least = size == 8 ? 15 : 6, most = size == 8 ? 17 : 9, n = 0;
	locale_t old = uselocale(plain_locale());

	for (int digits = least; digits <= most; digits++) {
		double back;

		n = sprintf(s, "%.*g", digits, d);
		back = size == 8 ? strtod(s, NULL) : (double)strtof(s, NULL);
		if (back == d)
			break;
	}
	uselocale(old);
	if (!strpbrk(s, ".e")) {
		memcpy(s + n, ".0", 2);
		n += 2;
	}
	return s + n;
}

char *lb_put_float(char *s, const void *p, uint32_t size, bool quoted)
{
	double d = widened(p, size);

	if (isfinite(d))
		return put_finite(s, d, size);
	if (quoted)
		*s++ = '"';
	if (isnan(d))
		s = put_nan(s, p, size);
	else
		s += sprintf(s, "%sinf", d < 0 ? "-" : "");
	if (quoted)
		*s++ = '"';
	return s;
}

static bool store_float(double d, float f, void *p, uint32_t size)
{
	if (size == 8)
		memcpy(p, &d, sizeof(d));
	else
		memcpy(p, &f, sizeof(f));
	return true;
}

/* "nan(0x...)": exactly the digits of the type, and bits of a NaN. */
static bool read_nan(const char *text, size_t n, void *p, uint32_t size)
{
	uint64_t bits;
	char *end;

	if (n != 7 + 2 * size || text[n - 1] != ')')
		return false;
	bits = strtoull(text + 6, &end, 16);
	if (end != text + n - 1)
		return false;
	memcpy(p, &bits, size);
	return isnan(widened(p, size));
}

bool lb_read_float(const char *text, size_t n, void *p, uint32_t size)
{
	char copy[512], *end;
	double d;
	float f;

	if (n == 0 || n >= sizeof(copy))
		return false;
	memcpy(copy, text, n);
	copy[n] = '\0';
	if (strcmp(copy, "nan") == 0)
		return store_float((double)NAN, NAN, p, size);
	if (strncmp(copy, "nan(0x", 6) == 0)
		return read_nan(copy, n, p, size);
	if (strcmp(copy, "inf") == 0 || strcmp(copy, "-inf") == 0)
		return store_float(copy[0] == '-' ? -HUGE_VAL : HUGE_VAL,
				   copy[0] == '-' ? -HUGE_VALF : HUGE_VALF, p, size);
	if (strspn(copy, "0123456789+-.eE") != n)
		return false;
	d = strtod_l(copy, &end, plain_locale());
	f = strtof_l(copy, NULL, plain_locale());
	if (*end || !isfinite(d) || (size == 4 && !isfinite(f)))
		return false;
	return store_float(d, f, p, size);
}

/* ---- text --------------------------------------------------------------- */

size_t lb_text_length(const char *p, size_t size)
{
	size_t n = strnlen(p, size);

	for (size_t i = n; i < size; i++)
		if (p[i])
			return size;
	return n;
}

static bool follows(const uint8_t *p, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/*
 * Bytes of the character that begins at p, of which there are n; 0 if it is not
 * well-formed (Unicode, table 3-7). Not for ASCII.
 */
static size_t character(const uint8_t *p, size_t n)
{
	uint8_t first = p[0];

	if (first < 0xc2 || first > 0xf4)
		return 0;
	if (first < 0xe0)
		return n >= 2 && follows(p, 2) ? 2 : 0;
	if (first < 0xf0) {
		if (n < 3 || !follows(p, 3) || (first == 0xe0 && p[1] < 0xa0) ||
		    (first == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (n < 4 || !follows(p, 4) || (first == 0xf0 && p[1] < 0x90) ||
	    (first == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

/* The same, but 0 for the characters that stand for bytes. */
static size_t plain_character(const uint8_t *p, size_t n)
{
	size_t bytes = character(p, n);

	return bytes == 3 && p[0] == 0xee && p[1] >= 0xbc ? 0 : bytes;
}

bool lb_is_utf8(const char *text, size_t n)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + n;

	while (p < end) {
		size_t bytes = *p < 0x80 ? 1 : character(p, (size_t)(end - p));

		if (bytes == 0)
			return false;
		p += bytes;
	}
	return true;
}

/* The UTF-8 of U+EF00 + byte. */
static char *put_escape(char *s, uint8_t byte)
{
	uint32_t c = LB_ESCAPE + byte;

	*s++ = (char)(0xe0 | c >> 12);
	*s++ = (char)(0x80 | (c >> 6 & 0x3f));
	*s++ = (char)(0x80 | (c & 0x3f));
	return s;
}

static char *put_json_escape(char *s, uint32_t c)
{
	*s++ = '\\';
	*s++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*s++ = lb_hex_digits[c >> shift & 15];
	return s;
}

/* A character of ASCII that JSON does not take as it is. */
static char *put_json_special(char *s, uint8_t c)
{
	static const char names[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
	const char *name = c ? strchr(names, c) : NULL;

	if (!name)
		return put_json_escape(s, c);
	*s++ = '\\';
	*s++ = letters[name - names];
	return s;
}

char *lb_put_json_text(char *s, const char *text, size_t n)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + n;

	while (p < end) {
		size_t bytes;

		if (*p < 0x80) {
			if (*p >= 0x20 && *p != '"' && *p != '\\')
				*s++ = (char)*p;
			else
				s = put_json_special(s, *p);
			p++;
			continue;
		}
		bytes = plain_character(p, (size_t)(end - p));
		if (bytes == 0) {
			s = put_json_escape(s, LB_ESCAPE + *p++);
			continue;
		}
		memcpy(s, p, bytes);
		s += bytes;
		p += bytes;
	}
	return s;
}

static bool needs_quotes(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] == ',' || p[i] == '"' || p[i] == '\n' || p[i] == '\r')
			return true;
	return false;
}

char *lb_put_csv_text(char *s, const char *text, size_t n)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + n;
	bool quotes = needs_quotes(text, n);

	if (quotes)
		*s++ = '"';
	while (p < end) {
		size_t bytes = 1;

		if (*p >= 0x80)
			bytes = plain_character(p, (size_t)(end - p));
		if (bytes == 0 || *p == 0) {
			s = put_escape(s, *p++);
			continue;
		}
		if (*p == '"')
			*s++ = '"';
		memcpy(s, p, bytes);
		s += bytes;
		p += bytes;
	}
	if (quotes)
		*s++ = '"';
	return s;
}

/* The byte that the three bytes at p stand for, or -1. */
static int escaped_byte(const uint8_t *p, size_t n)
{
	if (n < 3 || p[0] != 0xee || p[1] < 0xbc || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
		return -1;
	return (p[1] & 3) << 6 | (p[2] & 0x3f);
}

size_t lb_unescape_text(char *text, size_t n)
{
	uint8_t *p = (uint8_t *)text, *to = p, *end = p + n;

	while (p < end) {
		int byte = *p == 0xee ? escaped_byte(p, (size_t)(end - p)) : -1;

		*to++ = byte < 0 ? *p : (uint8_t)byte;
		p += byte < 0 ? 1 : 3;
	}
	return (size_t)(to - (uint8_t *)text);
}
