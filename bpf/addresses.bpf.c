// SPDX-License-Identifier: MIT
/* Maps with addresses as C programs write them, for specs of layouts. */
#include <linux/bpf.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <bpf/bpf_helpers.h>

struct peer {
	struct in_addr v4;
	struct in6_addr v6;
	__be32 number;
	__be16 port;
	__u16 rest;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct in6_addr);
	__type(value, struct peer);
} peers SEC(".maps");

struct route4 {
	__u32 length;
	__be32 network;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route4);
	__type(value, __u32);
} routes4 SEC(".maps");

struct route6 {
	__u32 length;
	struct in6_addr network;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct route6);
	__type(value, __u32);
} routes6 SEC(".maps");

struct mac_address {
	__u8 bytes[6];
};

struct flow_key {
	__be32 saddr;
	__be32 daddr;
	struct mac_address source;
	__be16 port;
};

struct flow_value {
	struct flow_key back;
	__u64 packets;
	__be32 via[2];
	__u8 flags : 4, state : 4;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, struct flow_key);
	__type(value, struct flow_value);
} flows SEC(".maps");

/* Without BTF: sizes alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 8);
} sizes SEC(".maps");

char LICENSE[] SEC("license") = "Dual MIT/GPL";
