/* SPDX-License-Identifier: MIT */
/*
 * Network addresses and prefixes as text. IPv4 and MAC addresses are printed
 * here, as they are what large tables are full of; the rest is inet_ntop's
 * and inet_pton's, whose IPv6 text follows RFC 5952.
 */
#include "lib/layout/address.h"

#include "lib/layout/hex.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

/* ---- to text ---------------------------------------------------------- */

static char *put_decimal(char *s, uint8_t v)
{
	if (v >= 100)
		*s++ = (char)('0' + v / 100);
	if (v >= 10)
		*s++ = (char)('0' + v / 10 % 10);
	*s++ = (char)('0' + v % 10);
	return s;
}

static size_t format_ipv4(const uint8_t *p, char *buf)
{
	char *s = put_decimal(buf, p[0]);

	for (int i = 1; i < 4; i++) {
		*s++ = '.';
		s = put_decimal(s, p[i]);
	}
	*s = '\0';
	return (size_t)(s - buf);
}

static size_t format_ipv6(const uint8_t *p, char *buf)
{
	inet_ntop(AF_INET6, p, buf, LB_ADDRESS_TEXT);
	return strlen(buf);
}

static size_t format_mac(const uint8_t *p, char *buf)
{
	char *s = buf;

	for (int i = 0; i < 6; i++) {
		s = lb_put_hex(s, p + i, 1);
		*s++ = i < 5 ? ':' : '\0';
	}
	return 17;
}

static size_t format_prefix(const uint8_t *p, char *buf, size_t (*format)(const uint8_t *, char *))
{
	size_t n = format(p + 4, buf);
	uint32_t length;

	memcpy(&length, p, 4);
	return n + (size_t)snprintf(buf + n, LB_ADDRESS_TEXT - n, "/%u", length);
}

size_t lb_address_format(enum lb_kind kind, const void *p, char buf[LB_ADDRESS_TEXT])
{
	switch (kind) {
	case LB_IPV4:
		return format_ipv4(p, buf);
	case LB_IP:
		if (memcmp(p, mapped, sizeof(mapped)) == 0)
			return format_ipv4((const uint8_t *)p + sizeof(mapped), buf);
		return format_ipv6(p, buf);
	case LB_IPV6:
		return format_ipv6(p, buf);
	case LB_MAC:
		return format_mac(p, buf);
	case LB_PREFIX4:
		return format_prefix(p, buf, format_ipv4);
	case LB_PREFIX6:
		return format_prefix(p, buf, format_ipv6);
	default:
		buf[0] = '\0';
		return 0;
	}
}

/* ---- from text -------------------------------------------------------- */

/* Six pairs of hexadecimal digits with ":" or "-" between them. */
static bool parse_mac(const char *text, uint8_t *p)
{
	uint8_t mac[6];

	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++, text += 3) {
		int high = lb_hex_value(text[0]), low = lb_hex_value(text[1]);

		if (high < 0 || low < 0)
			return false;
		if (i < 5 && (text[2] != text[-3 * i + 2] || (text[2] != ':' && text[2] != '-')))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(p, mac, sizeof(mac));
	return true;
}

static bool parse_ip(const char *text, uint8_t *p)
{
	uint8_t v4[4];

	if (inet_pton(AF_INET, text, v4) != 1)
		return inet_pton(AF_INET6, text, p) == 1;
	memcpy(p, mapped, sizeof(mapped));
	memcpy(p + sizeof(mapped), v4, sizeof(v4));
	return true;
}

/* "/8" to 8, "" to max; false for anything else, leading zeros too. */
static bool parse_length(const char *text, uint32_t max, uint32_t *length)
{
	uint32_t n = 0;

	*length = max;
	if (!*text)
		return true;
	if (*++text == '0' && text[1])
		return false;
	do {
		if (*text < '0' || *text > '9')
			return false;
		n = n * 10 + (uint32_t)(*text++ - '0');
		if (n > max)
			return false;
	} while (*text);
	*length = n;
	return true;
}

static void clear_bits_after(uint8_t *p, uint32_t length, uint32_t bytes)
{
	for (uint32_t i = length / 8; i < bytes; i++)
		p[i] &= (uint8_t)(i == length / 8 ? 0xff00 >> length % 8 : 0);
}

void lb_prefix_clear(void *key, uint32_t size)
{
	uint32_t length;

	memcpy(&length, key, sizeof(length));
	if (size > sizeof(length) && length < (size - sizeof(length)) * 8)
		clear_bits_after((uint8_t *)key + sizeof(length), length, size - sizeof(length));
}

static bool parse_prefix(const char *text, uint8_t *p, int family, uint32_t bytes)
{
	const char *slash = strchrnul(text, '/');
	char address[INET6_ADDRSTRLEN];
	uint8_t parsed[16];
	uint32_t length;

	if ((size_t)(slash - text) >= sizeof(address) || !parse_length(slash, bytes * 8, &length))
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_pton(family, address, parsed) != 1)
		return false;
	clear_bits_after(parsed, length, bytes);
	memcpy(p, &length, 4);
	memcpy(p + 4, parsed, bytes);
	return true;
}

bool lb_address_parse(enum lb_kind kind, const char *text, void *p)
{
	switch (kind) {
	case LB_IPV4:
		return inet_pton(AF_INET, text, p) == 1;
	case LB_IPV6:
		return inet_pton(AF_INET6, text, p) == 1;
	case LB_IP:
		return parse_ip(text, p);
	case LB_MAC:
		return parse_mac(text, p);
	case LB_PREFIX4:
		return parse_prefix(text, p, AF_INET, 4);
	case LB_PREFIX6:
		return parse_prefix(text, p, AF_INET6, 16);
	default:
		return false;
	}
}

const char *lb_address_name(enum lb_kind kind)
{
	switch (kind) {
	case LB_IPV4:
		return "IPv4 address";
	case LB_IPV6:
		return "IPv6 address";
	case LB_IP:
		return "IP address";
	case LB_MAC:
		return "MAC address";
	case LB_PREFIX4:
		return "IPv4 prefix";
	case LB_PREFIX6:
		return "IPv6 prefix";
	default:
		return "address";
	}
}
