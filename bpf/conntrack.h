/* SPDX-License-Identifier: MIT */
/*
 * What is in the maps of the connection tracker (conntrack.bpf.c). The map's
 * BTF carries these names, so a reader of the map needs no copy of this file.
 */
#ifndef LUABPF_CONNTRACK_H
#define LUABPF_CONNTRACK_H

#include <linux/types.h>

/* 16 bytes, an IPv4 address as ::ffff:a.b.c.d. */
typedef __u8 ip[16];
/* Network byte order. */
typedef __u16 be16;

enum protocol {
	icmp = 1,
	tcp = 6,
	udp = 17,
	icmpv6 = 58,
};

/* For ICMP the port is the identifier of the echo, the same at both ends. */
struct endpoint {
	ip addr;
	be16 port;
};

/* Both directions have the same key: a sorts before b, as bytes, address before port. */
struct conn_key {
	struct endpoint a;
	struct endpoint b;
	enum protocol protocol;
};

/*
 * TCP as the handshake and the flags show it; "initiator" and "responder" are
 * the ends of the connection. UDP and ICMP are new until the responder
 * answers, established from then on.
 */
enum conn_state {
	new,
	syn_sent,	/* the initiator sent its SYN */
	syn_received,	/* the responder answered it */
	established,
	fin_wait,	/* the initiator sent FIN */
	close_wait,	/* the responder sent FIN */
	closing,	/* both did */
	closed,		/* and the last one was acknowledged */
	reset,		/* an RST ended it */
};

/* Which endpoint of the key sent the first packet. */
enum initiator {
	a,
	b,
};

/* Times are bpf_ktime_get_ns; bytes begin at the IP header. */
struct conn {
	__u64 first_seen;
	__u64 last_seen;
	__u64 packets;		/* sent by the initiator */
	__u64 bytes;
	__u64 reply_packets;	/* sent by the responder */
	__u64 reply_bytes;
	enum conn_state state;
	enum initiator initiator;
};

/*
 * One set per CPU. Every run of a program counts once in seen and once in one
 * of counted, repeated, full, refused, or the reasons for not looking further:
 *
 *   seen = counted + repeated + full + refused + skipped_*
 */
struct conn_counters {
	__u64 seen;
	__u64 counted;			/* added to an entry */
	__u64 inserted;			/* ... which was new */
	__u64 reopened;			/* ... which took the place of a closed connection */
	__u64 repeated;			/* loopback, counted when it was sent */
	__u64 full;			/* no room for a new entry */
	__u64 refused;			/* the kernel refused a new entry for another reason */
	__u64 skipped_not_ip;
	__u64 skipped_protocol;		/* neither TCP, UDP nor ICMP */
	__u64 skipped_icmp;		/* ICMP without an identifier: errors, neighbours */
	__u64 skipped_extension;	/* IPv6: more than 8 extension headers */
	__u64 skipped_fragment;
	__u64 skipped_truncated;	/* a header or the packet is not all there */
};

#endif
