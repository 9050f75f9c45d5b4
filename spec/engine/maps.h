/* SPDX-License-Identifier: MIT */
/*
 * Maps of the running kernel with known entries, for the engine tests.
 */
#ifndef LUABPF_TEST_MAPS_H
#define LUABPF_TEST_MAPS_H

#include "lib/kernel/kmap.h"
#include "tap.h"

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <string.h>

/* The key of entry i begins with i, as many bytes of it as there are, and goes on with noise. */
struct filled {
	struct lb_kmap m;
	uint32_t n, ks, vs;	/* entries, key size, bytes of all of an entry's value */
	uint8_t *keys, *values;
};

static inline uint32_t index_of(const struct filled *f, const uint8_t *key)
{
	uint32_t i = 0;

	memcpy(&i, key, f->ks < 4 ? f->ks : 4);
	return i;
}

static inline uint8_t *key_of(const struct filled *f, uint32_t i)
{
	return f->keys + (size_t)i * f->ks;
}

static inline uint8_t *value_of(const struct filled *f, uint32_t i)
{
	return f->values + (size_t)i * f->vs;
}

/* Fields worth comparing: zeros, small numbers, all ones, noise. */
static inline void rnd_value(uint8_t *p, size_t n)
{
	static const uint8_t fills[] = { 0, 0, 1, 0x80, 0xff };

	for (size_t i = 0; i < n; i++)
		p[i] = below(2) ? (uint8_t)rnd() : fills[below(5)];
}

/* Stores entry i as it is in f->keys and f->values. */
static inline bool store(struct filled *f, uint32_t i)
{
	return bpf_map_update_elem(f->m.fd, key_of(f, i), value_of(f, i), BPF_ANY) == 0;
}

static inline void drop(struct filled *f)
{
	lb_kmap_close(&f->m);
	free(f->keys);
	free(f->values);
}

/* Per-CPU padding is zero, as luabpf writes it. */
static inline void clear_padding(struct filled *f)
{
	uint32_t size = f->m.info.value_size, step = lb_cpu_stride(size);

	for (uint32_t i = 0; i < f->n && f->m.ncpu; i++)
		for (uint32_t cpu = 0; cpu < f->m.ncpu; cpu++)
			memset(value_of(f, i) + cpu * step + size, 0, step - size);
}

static inline bool fill(struct filled *f, int fd, uint32_t n)
{
	memset(f, 0, sizeof(*f));
	if (fd < 0 || lb_kmap_adopt(&f->m, fd))
		return false;
	f->n = n;
	f->ks = f->m.info.key_size;
	f->vs = f->m.value_stride;
	f->keys = malloc((size_t)n * f->ks + 1);
	f->values = malloc((size_t)n * f->vs + 1);
	rnd_bytes(f->keys, (size_t)n * f->ks);
	rnd_value(f->values, (size_t)n * f->vs);
	clear_padding(f);
	for (uint32_t i = 0; i < n; i++)
		memcpy(key_of(f, i), &i, f->ks < 4 ? f->ks : 4);
	for (uint32_t i = 0; i < n; i++)
		if (!store(f, i))
			return false;
	return true;
}

static inline bool make(struct filled *f, enum bpf_map_type type, uint32_t key_size,
			uint32_t value_size, uint32_t n, uint32_t max, uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);

	return fill(f, bpf_map_create(type, "engine", key_size, value_size, max, &opts), n);
}

static inline bool present(const struct filled *f, uint32_t i)
{
	uint8_t *value = malloc(f->vs + 8);
	bool found = bpf_map_lookup_elem(f->m.fd, key_of(f, i), value) == 0;

	free(value);
	return found;
}

static inline uint32_t count_present(const struct filled *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++)
		n += present(f, i);
	return n;
}

#endif
