/* SPDX-License-Identifier: MIT */
/*
 * Maps of every kind of type that BTF has, for spec/layout/btf_spec.lua. No programs:
 * what is in the maps is written by the spec.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#define ENTRIES 64

enum state { NEW = 1, OPEN = 5, CLOSED = 200 };
enum level { LOW = -1, MIDDLE, HIGH };
enum __attribute__((packed)) tiny { ZERO, ONE, THREE = 3 };

struct id {
	__u32 number;
	__u8 part;		/* and 3 bytes of padding */
};

struct inner {
	__u16 a;		/* and 6 bytes of padding */
	__s64 b;
};

union word {
	__u32 number;
	__u8 bytes[4];
	struct {
		__u16 low, high;
	} halves;
};

struct nested {
	struct inner in;
	struct inner list[2];
	union word word;
	__s32 grid[2][3];
	enum state state;
	enum level level;
	enum tiny tiny;
	char letter;
	bool flag;
	__s8 small;
	char name[8];
	char lines[2][4];
	void *where;
	const volatile __u16 last;	/* and 6 bytes of padding */
};

struct bits {
	__u32 a : 1;
	__u32 b : 3;
	__u32 c : 12;
	__s32 d : 5;
	__u32 : 7;		/* padding */
	enum state state : 4;
	bool flag : 1;
	__u64 wide : 40;	/* in a unit of its own, after 31 bits of padding */
	__u8 whole;		/* and 16 bits of padding */
};

struct anonymous {
	__u32 before;
	union {
		struct {
			__u16 x, y;
		};
		__u32 both;
	};
	__u64 after;
};

struct __attribute__((packed)) packed {
	__u8 a;
	__u32 b;
	__be16 be_port;
	__u64 c;
};

/* Names that mean something to luabpf. */
typedef __u8 ip[16];
typedef __u8 mac[6];
typedef __be32 ipv4;

typedef struct {
	ip from;
	ipv4 to;
	mac card;
	__be16 be_port;
	__be32 be_number;
	__be64 be_long;
} peer;

struct counts {
	__u32 packets, bytes, errors;	/* 12 bytes: 4 of padding for each CPU */
};

struct guarded {
	struct bpf_spin_lock lock;
	__u32 n;
	struct bpf_timer timer;
	__u64 m;
};

#define MAP(name, map_type, key_type, value_type)	\
	struct {					\
		__uint(type, map_type);			\
		__uint(max_entries, ENTRIES);		\
		__type(key, key_type);			\
		__type(value, value_type);		\
	} name SEC(".maps")

MAP(nested, BPF_MAP_TYPE_HASH, struct id, struct nested);
MAP(bits, BPF_MAP_TYPE_HASH, struct bits, struct bits);
MAP(anonymous, BPF_MAP_TYPE_HASH, __u64, struct anonymous);
MAP(packed, BPF_MAP_TYPE_HASH, struct packed, struct packed);
MAP(peers, BPF_MAP_TYPE_HASH, peer, peer);
MAP(unions, BPF_MAP_TYPE_HASH, union word, union word);
MAP(enums, BPF_MAP_TYPE_HASH, enum state, enum level);
MAP(lists, BPF_MAP_TYPE_ARRAY, __u32, struct inner);
MAP(percpu, BPF_MAP_TYPE_PERCPU_HASH, struct id, struct counts);
MAP(percpu_list, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct counts);
MAP(guarded, BPF_MAP_TYPE_HASH, __u32, struct guarded);

char LICENSE[] SEC("license") = "MIT";
