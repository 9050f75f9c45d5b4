// SPDX-License-Identifier: MIT
/*
 * For the specs: a packed struct whose float is not aligned, which the kernel
 * refuses in BTF, beside what needs BTF in the kernel, a spin lock.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct sample {
	__u8 tag;
	float load;
	__u8 list[2];
	double weight;
} __attribute__((packed));

struct guarded {
	struct bpf_spin_lock lock;
	__u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct sample);
} samples SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct guarded);
} table SEC(".maps");

SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 key = 0;
	struct guarded *g = bpf_map_lookup_elem(&table, &key);

	if (g) {
		bpf_spin_lock(&g->lock);
		g->n++;
		bpf_spin_unlock(&g->lock);
	}
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
