/* SPDX-License-Identifier: MIT */
/*
 * The connection tracker: one entry per TCP, UDP or ICMP connection of the
 * sockets of a cgroup, over IPv4 and IPv6. It only watches: every packet
 * passes.
 *
 * HOW IT WORKS. The kernel runs egress for each packet that a socket of the
 * cgroup sends and ingress for each that one receives; both see the packet
 * from its IP header on. parse() reads addresses, ports and flags, and says
 * why if it cannot. The key has the endpoints in sorted order, so that both
 * directions meet in one entry.
 *
 * What is read from a packet are copies (bpf_skb_load_bytes), so nothing is
 * read beyond its end. Whole packets are seen here: the kernel fragments below
 * egress and reassembles above ingress. A fragment is one that a raw socket
 * made; it is not taken for a packet. A packet that hardware or the kernel
 * will cut into segments counts as that many.
 *
 * ONCE ON LOOPBACK. Between two local addresses a packet passes egress of the
 * sender's socket and ingress of the receiver's, both on lo. It is counted
 * where it is sent, if the sender belongs to the tracked cgroup, else where it
 * is received. Ingress finds out which: it looks up the socket that the packet
 * came from, and asks whether egress has met that socket's cgroup (the map
 * cgroups). Some packets cannot be traced back that way: the kernel's own
 * answers (for a port without listener, for a connection in TIME_WAIT), what a
 * raw socket sends, and the last packets of a connection, which outlive its
 * socket. Of those egress leaves a note (the map notes), and one of each sender, for what is still
 * on its way when its socket is closed.
 *
 * Linux 5.15 and newer.
 */
#include "conntrack.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Every network namespace's lo. Source: include/net/net_namespace.h, LOOPBACK_IFINDEX. */
#define LOOPBACK 1
/* Longer chains do not occur: each kind of header appears once, one of them twice (RFC 8200). */
#define MAX_EXTENSIONS 8
/* Two CPUs may change the state at the same time, one per direction. */
#define STATE_TRIES 4
/* Of an entry that others insert and delete at the same time. */
#define INSERT_TRIES 3

#define IP_MORE_OR_OFFSET 0x3fff	/* IPv4 frag_off: all but DF and the reserved bit */
#define IP6_MORE_OR_OFFSET 0xfff9	/* IPv6: all but the reserved bits */
#define NEXT_AUTH 51
#define NEXT_MOBILITY 135
#define NEXT_HIP 139
#define NEXT_SHIM6 140

/* Types of ICMP that carry an identifier; linux/icmp.h pulls in the C library. */
#define ECHO_REPLY 0
#define ECHO_REQUEST 8
#define TIMESTAMP_REQUEST 13
#define TIMESTAMP_REPLY 14
#define ECHO6_REQUEST 128
#define ECHO6_REPLY 129

/* The kernel's, as a positive number; linux/errno.h is not for BPF programs. */
#define E2BIG 7
#define EEXIST 17

#define count(field) \
	do { \
		struct conn_counters *_c = bpf_map_lookup_elem(&counters, &zero); \
		if (_c) \
			__sync_fetch_and_add(&_c->field, 1); \
	} while (0)

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conn_key);
	__type(value, struct conn);
} conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct conn_counters);
} counters SEC(".maps");

/* The cgroups whose sockets egress has met on lo. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __u64);
	__type(value, __u8);
} cgroups SEC(".maps");

/* A packet by its identity; or all that one end of a connection sends: that end and 0. */
struct note_key {
	struct conn_key conn;
	__u32 identity[2];
};

/* Packets and senders on lo that egress has counted and that may lead back to no socket. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct note_key);
	__type(value, __u8);
} notes SEC(".maps");

static const __u32 zero;

enum verdict {
	OK,
	NOT_IP,
	PROTOCOL,
	ICMP_OTHER,
	EXTENSION,
	FRAGMENT,
	TRUNCATED,
};

struct packet {
	struct endpoint src, dst;
	__u32 version;		/* 4 or 6 */
	__u32 protocol;
	__u32 transport;	/* offset of the TCP, UDP or ICMP header */
	__u32 headers;		/* bytes before the payload */
	__u32 bytes;		/* from the IP header to the end */
	__u32 segments;
	__u32 identity[2];	/* tells it from others of its connection */
	bool syn, ack, fin, rst;
	bool answer;		/* only a responder sends this: SYN with ACK, echo reply */
	bool to_itself;		/* both ends are the same, as for a ping of 127.0.0.1 */
};

/* ---- parsing -------------------------------------------------------------- */

/* False if the bytes are not within the packet. */
static __always_inline bool load(struct __sk_buff *skb, struct packet *p, __u32 off, void *to,
				 __u32 size)
{
	return off + size <= p->bytes && bpf_skb_load_bytes(skb, off, to, size) == 0;
}

/*
 * Sets p->bytes from the length the IP header states, 0 for packets over
 * 64 KiB, which the kernel builds only for segmentation.
 */
static __always_inline enum verdict measure(struct __sk_buff *skb, struct packet *p, __u32 stated)
{
	if (stated > skb->len)
		return TRUNCATED;
	if (stated == 0 && skb->gso_size == 0)
		return TRUNCATED;
	p->bytes = stated ? stated : skb->len;
	return OK;
}

static __always_inline void map_ipv4(ip addr, __be32 from)
{
	__builtin_memset(addr, 0, 10);
	addr[10] = addr[11] = 0xff;
	__builtin_memcpy(addr + 12, &from, 4);
}

static __always_inline enum verdict parse_ipv4(struct __sk_buff *skb, struct packet *p)
{
	struct iphdr h;
	enum verdict v;

	p->bytes = skb->len;
	if (!load(skb, p, 0, &h, sizeof(h)))
		return TRUNCATED;
	if (h.version != 4)
		return NOT_IP;
	v = measure(skb, p, bpf_ntohs(h.tot_len));
	if (v != OK)
		return v;
	if (h.ihl < 5 || p->bytes < h.ihl * 4)
		return TRUNCATED;
	if (h.frag_off & bpf_htons(IP_MORE_OR_OFFSET))
		return FRAGMENT;
	p->version = 4;
	p->protocol = h.protocol;
	p->transport = h.ihl * 4;
	map_ipv4(p->src.addr, h.saddr);
	map_ipv4(p->dst.addr, h.daddr);
	return OK;
}

/* The length of an extension header of that kind; 0 if it is none. */
static __always_inline __u32 extension_length(__u32 kind, __u32 units)
{
	switch (kind) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_DSTOPTS:
	case NEXT_MOBILITY:
	case NEXT_HIP:
	case NEXT_SHIM6:
		return (units + 1) * 8;
	case NEXT_AUTH:
		return (units + 2) * 4;
	case IPPROTO_FRAGMENT:
		return 8;
	default:
		return 0;
	}
}

/* Walks the extension headers; one whole packet in one fragment (RFC 6946) is a packet. */
static __always_inline enum verdict skip_extensions(struct __sk_buff *skb, struct packet *p)
{
	for (int i = 0; i < MAX_EXTENSIONS; i++) {
		struct {
			__u8 next, units;
			__be16 fragment;
		} h;

		if (!extension_length(p->protocol, 0))
			return OK;
		if (!load(skb, p, p->transport, &h, sizeof(h)))
			return TRUNCATED;
		if (p->protocol == IPPROTO_FRAGMENT && h.fragment & bpf_htons(IP6_MORE_OR_OFFSET))
			return FRAGMENT;
		p->transport += extension_length(p->protocol, h.units);
		p->protocol = h.next;
	}
	return extension_length(p->protocol, 0) ? EXTENSION : OK;
}

static __always_inline enum verdict parse_ipv6(struct __sk_buff *skb, struct packet *p)
{
	struct ipv6hdr h;
	enum verdict v;

	p->bytes = skb->len;
	if (!load(skb, p, 0, &h, sizeof(h)))
		return TRUNCATED;
	if (h.version != 6)
		return NOT_IP;
	v = measure(skb, p, h.payload_len ? bpf_ntohs(h.payload_len) + sizeof(h) : 0);
	if (v != OK)
		return v;
	p->version = 6;
	p->protocol = h.nexthdr;
	p->transport = sizeof(h);
	__builtin_memcpy(p->src.addr, &h.saddr, sizeof(ip));
	__builtin_memcpy(p->dst.addr, &h.daddr, sizeof(ip));
	return skip_extensions(skb, p);
}

static __always_inline enum verdict parse_tcp(struct __sk_buff *skb, struct packet *p)
{
	struct tcphdr h;

	if (!load(skb, p, p->transport, &h, sizeof(h)))
		return TRUNCATED;
	if (h.doff < 5 || p->transport + h.doff * 4 > p->bytes)
		return TRUNCATED;
	p->headers = p->transport + h.doff * 4;
	p->src.port = h.source;
	p->dst.port = h.dest;
	p->identity[0] = h.seq;
	p->identity[1] = h.ack_seq;
	p->syn = h.syn;
	p->ack = h.ack;
	p->fin = h.fin;
	p->rst = h.rst;
	p->answer = h.syn && h.ack;
	return OK;
}

static __always_inline enum verdict parse_udp(struct __sk_buff *skb, struct packet *p)
{
	struct udphdr h;

	if (!load(skb, p, p->transport, &h, sizeof(h)))
		return TRUNCATED;
	p->headers = p->transport + sizeof(h);
	p->src.port = h.source;
	p->dst.port = h.dest;
	p->identity[0] = h.check;
	p->identity[1] = h.len;
	return OK;
}

/* The types that come as request and answer, with the identifier in the same place. */
static __always_inline enum verdict parse_icmp(struct __sk_buff *skb, struct packet *p)
{
	struct {
		__u8 type, code;
		__be16 checksum, id, sequence;
	} h;

	if (!load(skb, p, p->transport, &h, sizeof(h)))
		return TRUNCATED;
	if (p->protocol == icmpv6) {
		if (h.type != ECHO6_REQUEST && h.type != ECHO6_REPLY)
			return ICMP_OTHER;
		p->answer = h.type == ECHO6_REPLY;
	} else {
		if (h.type != ECHO_REQUEST && h.type != ECHO_REPLY &&
		    h.type != TIMESTAMP_REQUEST && h.type != TIMESTAMP_REPLY)
			return ICMP_OTHER;
		p->answer = h.type == ECHO_REPLY || h.type == TIMESTAMP_REPLY;
	}
	p->headers = p->transport + sizeof(h);
	p->src.port = p->dst.port = h.id;
	p->identity[0] = h.sequence;
	p->identity[1] = h.type;
	return OK;
}

static __always_inline enum verdict parse_transport(struct __sk_buff *skb, struct packet *p)
{
	if (p->protocol == tcp)
		return parse_tcp(skb, p);
	if (p->protocol == udp)
		return parse_udp(skb, p);
	if (p->protocol == (p->version == 4 ? icmp : icmpv6))
		return parse_icmp(skb, p);
	return PROTOCOL;
}

/*
 * How many packets this one is on the wire. Their headers are repeated, which
 * p->bytes takes into account.
 */
static __always_inline void split(struct __sk_buff *skb, struct packet *p)
{
	__u32 segments = skb->gso_segs;

	if (segments == 0 && skb->gso_size > 0 && p->bytes > p->headers)
		segments = (p->bytes - p->headers + skb->gso_size - 1) / skb->gso_size;
	p->segments = segments ? segments : 1;
	p->bytes += (p->segments - 1) * p->headers;
}

static __noinline enum verdict parse(struct __sk_buff *skb, struct packet *p)
{
	enum verdict v = NOT_IP;

	if (skb->protocol == bpf_htons(ETH_P_IP))
		v = parse_ipv4(skb, p);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		v = parse_ipv6(skb, p);
	if (v == OK)
		v = parse_transport(skb, p);
	if (v == OK)
		split(skb, p);
	return v;
}

static __noinline void count_skipped(enum verdict v)
{
	if (v == NOT_IP)
		count(skipped_not_ip);
	else if (v == PROTOCOL)
		count(skipped_protocol);
	else if (v == ICMP_OTHER)
		count(skipped_icmp);
	else if (v == EXTENSION)
		count(skipped_extension);
	else if (v == FRAGMENT)
		count(skipped_fragment);
	else
		count(skipped_truncated);
}

/* ---- the key -------------------------------------------------------------- */

/* As memcmp does: all of it is in network byte order. */
static __noinline int compare(const struct endpoint *x, const struct endpoint *y)
{
	const __be16 *m = (const void *)x, *n = (const void *)y;

	for (int i = 0; i < (int)(sizeof(*x) / sizeof(*m)); i++)
		if (m[i] != n[i])
			return bpf_ntohs(m[i]) < bpf_ntohs(n[i]) ? -1 : 1;
	return 0;
}

/* Fills the key; which endpoint of it sent the packet is the result. */
static __always_inline enum initiator make_key(struct packet *p, struct conn_key *key)
{
	int order = compare(&p->src, &p->dst);

	p->to_itself = order == 0;
	key->protocol = p->protocol;
	key->a = order > 0 ? p->dst : p->src;
	key->b = order > 0 ? p->src : p->dst;
	return order > 0 ? b : a;
}

/* ---- once on loopback ----------------------------------------------------- */

/*
 * Whether a lookup by the packet's source will lead ingress to the socket
 * that sends it. A TCP socket is out of reach soon after it begins to close.
 * Before Linux 6.6 egress does not see SYN with ACK over IPv6 (the kernel's
 * commit 223f5f79f2ce), so that the socket does not tell whether it did.
 */
static __always_inline bool traceable(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock *sk = skb->sk;

	if (sk)
		sk = bpf_sk_fullsock(sk);
	if (!sk || sk->protocol != p->protocol)
		return false;
	if (p->protocol == udp)
		return true;
	return p->protocol == tcp && !p->rst && !p->answer &&
	       (sk->state == BPF_TCP_ESTABLISHED || sk->state == BPF_TCP_SYN_SENT ||
		sk->state == BPF_TCP_SYN_RECV || sk->state == BPF_TCP_CLOSE_WAIT ||
		sk->state == BPF_TCP_LISTEN);
}

/* Egress on lo: ingress will have to know that this packet is counted. */
static __noinline void note_sent(struct __sk_buff *skb, const struct packet *p,
				 const struct conn_key *key, enum initiator sender)
{
	struct note_key note = { *key, { sender, 0 } };
	__u64 cgroup = bpf_skb_cgroup_id(skb);
	__u8 yes = 1;

	if (!traceable(skb, p)) {
		note.identity[0] = p->identity[0];
		note.identity[1] = p->identity[1];
	} else if (!bpf_map_lookup_elem(&cgroups, &cgroup)) {
		bpf_map_update_elem(&cgroups, &cgroup, &yes, BPF_ANY);
	}
	if (!bpf_map_lookup_elem(&notes, &note))
		bpf_map_update_elem(&notes, &note, &yes, BPF_ANY);
}

/* The cgroup of the socket that a TCP or UDP packet on lo came from; 0 if there is none. */
static __always_inline __u64 sender_cgroup(struct __sk_buff *skb, const struct packet *p)
{
	struct bpf_sock_tuple tuple = {};
	__u64 cgroup = 0;
	struct bpf_sock *sk;
	__u32 size;

	if (p->version == 4) {
		__builtin_memcpy(&tuple.ipv4.saddr, p->dst.addr + 12, 4);
		__builtin_memcpy(&tuple.ipv4.daddr, p->src.addr + 12, 4);
		tuple.ipv4.sport = p->dst.port;
		tuple.ipv4.dport = p->src.port;
		size = sizeof(tuple.ipv4);
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, p->dst.addr, sizeof(ip));
		__builtin_memcpy(tuple.ipv6.daddr, p->src.addr, sizeof(ip));
		tuple.ipv6.sport = p->dst.port;
		tuple.ipv6.dport = p->src.port;
		size = sizeof(tuple.ipv6);
	}
	if (p->protocol == tcp)
		sk = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (sk) {
		cgroup = bpf_sk_cgroup_id(sk);
		bpf_sk_release(sk);
	}
	return cgroup;
}

/* Ingress on lo: whether egress has counted this packet. */
static __noinline bool counted_when_sent(struct __sk_buff *skb, const struct packet *p,
					 const struct conn_key *key, enum initiator sender)
{
	struct note_key note = { *key, { p->identity[0], p->identity[1] } };
	bool has_socket = (p->protocol == tcp && !p->answer) || p->protocol == udp;
	__u64 cgroup = has_socket ? sender_cgroup(skb, p) : 0;

	if (cgroup && bpf_map_lookup_elem(&cgroups, &cgroup))
		return true;
	if (bpf_map_lookup_elem(&notes, &note))
		return true;
	if (cgroup || !has_socket)
		return false;
	note.identity[0] = sender;
	note.identity[1] = 0;
	return bpf_map_lookup_elem(&notes, &note) != NULL;
}

/* ---- the entry ------------------------------------------------------------ */

static __always_inline __u32 after_fin(__u32 state, bool from_initiator)
{
	if (from_initiator)
		return state == close_wait ? closing : state < fin_wait ? fin_wait : state;
	return state == fin_wait ? closing : state < fin_wait ? close_wait : state;
}

static __always_inline __u32 next_tcp_state(__u32 state, const struct packet *p,
					    bool from_initiator)
{
	if (p->rst)
		return reset;
	if (p->fin)
		return after_fin(state, from_initiator);
	if (p->answer)
		return state == syn_sent && !from_initiator ? syn_received : state;
	if (p->syn || !p->ack)
		return state;
	if (state == syn_sent || (state == syn_received && from_initiator))
		return established;
	return state == closing ? closed : state;
}

static __always_inline __u32 next_state(__u32 state, const struct packet *p, bool from_initiator)
{
	if (p->protocol == tcp)
		return next_tcp_state(state, p, from_initiator);
	return from_initiator ? state : established;
}

/* The first packet seen need not be the first of its connection. */
static __always_inline __u32 first_state(const struct packet *p, bool from_initiator)
{
	if (p->protocol != tcp)
		return from_initiator ? new : established;
	if (p->syn)
		return p->answer ? syn_received : syn_sent;
	return next_tcp_state(established, p, from_initiator);
}

static __always_inline void advance(struct conn *c, const struct packet *p, bool from_initiator)
{
	for (int i = 0; i < STATE_TRIES; i++) {
		__u32 old = c->state;
		__u32 next = next_state(old, p, from_initiator);

		if (next == old ||
		    __sync_val_compare_and_swap((__u32 *)&c->state, old, next) == old)
			return;
	}
}

static __always_inline void add(struct conn *c, const struct packet *p, bool from_initiator,
				__u64 now)
{
	__sync_fetch_and_add(from_initiator ? &c->packets : &c->reply_packets, p->segments);
	__sync_fetch_and_add(from_initiator ? &c->bytes : &c->reply_bytes, p->bytes);
	if (c->last_seen < now)
		c->last_seen = now;
	advance(c, p, from_initiator);
}

/* A SYN for a connection that has ended begins another one between the same ports. */
static __always_inline bool begins_again(const struct conn *c, const struct packet *p)
{
	return p->protocol == tcp && p->syn && !p->ack && c->state >= closing;
}

static __always_inline void update(struct conn *c, const struct packet *p, enum initiator sender,
				   __u64 now)
{
	bool from_initiator = p->to_itself ? !p->answer : sender == c->initiator;

	add(c, p, from_initiator, now);
	count(counted);
}

/*
 * 0 or -errno, of which only the lower 32 bits count: before Linux 6.4 the
 * map's function, which is called directly, returns an int.
 */
static __noinline int insert(const struct conn_key *key, const struct packet *p,
			     enum initiator sender, __u64 now)
{
	struct conn c = { .first_seen = now, .last_seen = now };

	if (p->answer) {
		c.initiator = p->to_itself || sender == b ? a : b;
		c.reply_packets = p->segments;
		c.reply_bytes = p->bytes;
	} else {
		c.initiator = sender;
		c.packets = p->segments;
		c.bytes = p->bytes;
	}
	c.state = first_state(p, !p->answer);
	return (int)bpf_map_update_elem(&conns, key, &c, BPF_NOEXIST);
}

/* Another CPU may insert the same entry at the same time: the second one adds to it. */
static __noinline void track(const struct conn_key *key, const struct packet *p,
			     enum initiator sender)
{
	__u64 now = bpf_ktime_get_ns();
	int err = 0;

	for (int i = 0; i < INSERT_TRIES; i++) {
		struct conn *c = bpf_map_lookup_elem(&conns, key);

		if (c && !begins_again(c, p)) {
			update(c, p, sender, now);
			return;
		}
		if (c && (int)bpf_map_delete_elem(&conns, key) == 0)
			count(reopened);
		err = insert(key, p, sender, now);
		if (err != -EEXIST)
			break;
	}
	if (err == 0) {
		count(counted);
		count(inserted);
	} else if (err == -E2BIG) {
		count(full);
	} else {
		count(refused);
	}
}

static __always_inline int watch(struct __sk_buff *skb, bool sent)
{
	struct packet p = {};
	struct conn_key key = {};
	enum initiator sender;
	enum verdict v;

	count(seen);
	v = parse(skb, &p);
	if (v != OK) {
		count_skipped(v);
		return 1;
	}
	sender = make_key(&p, &key);
	if (skb->ifindex == LOOPBACK) {
		if (sent) {
			note_sent(skb, &p, &key, sender);
		} else if (counted_when_sent(skb, &p, &key, sender)) {
			count(repeated);
			return 1;
		}
	}
	track(&key, &p, sender);
	return 1;
}

SEC("cgroup_skb/ingress")
int ingress(struct __sk_buff *skb)
{
	return watch(skb, false);
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	return watch(skb, true);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
