/* SPDX-License-Identifier: MIT */
/*
 * More than 4 GiB of values in one request. The kernel computes where a value
 * lies in 32 bits and reads from the wrong place without an error
 * (kernel/bpf/syscall.c, generic_map_update_batch: values + cp * value_size),
 * so the module splits such requests. This really copies 5 GB, of one page of
 * zeros: about a second, nearly no memory. Case numbers are those of
 * docs/kernel-cases.md.
 */
#include "check.h"

#include "lib/keys/bulk.h"

#include <sys/mman.h>

#define VALUE (1u << 20)
#define N 5000u
#define ROOM ((size_t)VALUE * N)

int main(void)
{
	uint8_t *values = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint32_t *keys = calloc(N, sizeof(*keys)), zero = 0;
	uint8_t *stored = malloc(VALUE);
	struct lb_tally t = { 0 };
	struct lb_kmap m;

	if (values == MAP_FAILED || !keys || !stored)
		give_up("room for 5 GB");
	if (lb_kmap_adopt(&m, new_map(BPF_MAP_TYPE_ARRAY, 4, VALUE, 1, 0)) < 0)
		give_up("the map's info");
	/* Where the kernel would read the last value from, and where it lies. */
	memset(values + (ROOM - VALUE) % (1ull << 32), 1, 64);
	memset(values + ROOM - VALUE, 2, 64);
	equal(lb_bulk_update(&m, &(struct lb_keys){ .keys = (uint8_t *)keys, .values = values,
						    .n = N }, LB_ANY, &t), 0,
	      "[case 44] 5000 values of 1 MiB for one index");
	equal(t.stored, N, "[case 44] are all stored");
	check(bpf_map_lookup_elem(m.fd, &zero, stored) == 0 && stored[0] == 2,
	      "[case 44] and the last one stays");
	lb_kmap_close(&m);
	munmap(values, ROOM);
	free(keys);
	free(stored);
	return done();
}
