/* SPDX-License-Identifier: MIT */
/*
 * Network addresses and prefixes as text. No Lua here.
 *
 *	LB_IPV4     "10.0.0.1"
 *	LB_IPV6     "2001:db8::1", by RFC 5952
 *	LB_IP       16 bytes: IPv4-mapped ones (RFC 4291, 2.5.5.2) as IPv4, others as IPv6
 *	LB_MAC      "02:00:5e:10:00:01"
 *	LB_PREFIX4  "10.0.0.0/8", an LPM trie's key: u32 length, then the address
 *	LB_PREFIX6  "2001:db8::/32"
 */
#ifndef LUABPF_LIB_LAYOUT_ADDRESS_H
#define LUABPF_LIB_LAYOUT_ADDRESS_H

#include "lib/layout/layout.h"

/* Room for the longest text: an IPv6 address (46 with its NUL), "/" and 10 digits. */
#define LB_ADDRESS_TEXT 64

/* Writes the text of the address at p, NUL-terminated, and returns its length. */
size_t lb_address_format(enum lb_kind kind, const void *p, char buf[LB_ADDRESS_TEXT]);

/*
 * Reads text into the bytes of an address; false if it is none, and nothing
 * is written. A prefix without "/" has full length; the bits behind its length
 * are zeroed: no lookup sees them.
 */
bool lb_address_parse(enum lb_kind kind, const char *text, void *p);

/*
 * Zeroes the bits of an LPM trie's key of that size that are behind its prefix length.
 * One that is too long stays as it is, for the kernel to refuse.
 */
void lb_prefix_clear(void *key, uint32_t size);

/* What to call the kind in messages: "IPv4 address". */
const char *lb_address_name(enum lb_kind kind);

#endif
