/* SPDX-License-Identifier: MIT */
/*
 * Mapped arrays. See mapping.h. How values lie: kernel/bpf/arraymap.c, elem_size.
 */
#include "lib/kernel/mapping.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int lb_mapping_open(struct lb_mapping *p, int fd, uint32_t value_size, uint32_t n, bool write)
{
	uint32_t stride = (value_size + 7) & ~7u;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = ((size_t)stride * n + page - 1) / page * page;
	void *mem = mmap(NULL, size, write ? PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*p = (struct lb_mapping){ .mem = mem, .size = size, .stride = stride, .writable = write };
	return 0;
}

void lb_mapping_close(struct lb_mapping *p)
{
	if (p->mem)
		munmap(p->mem, p->size);
	*p = (struct lb_mapping){ .mem = NULL };
}

/* One side need not be aligned: what is in the map is. */
void lb_mapping_copy(void *to, const void *from, uint32_t size)
{
	typedef uint64_t __attribute__((aligned(1), may_alias)) word;
	volatile word *out = to;
	const volatile word *in = from;
	uint32_t words = size / sizeof(word);

	for (uint32_t i = 0; i < words; i++)
		out[i] = in[i];
	if (size % sizeof(word))
		memcpy((uint8_t *)to + words * sizeof(word),
		       (const uint8_t *)from + words * sizeof(word), size % sizeof(word));
}
