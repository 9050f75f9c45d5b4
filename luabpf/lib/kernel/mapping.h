/* SPDX-License-Identifier: MIT */
/*
 * An array map's values as memory of this process: what is read and written
 * there is the map's, without a system call (BPF_F_MMAPABLE, Linux 5.5). No Lua
 * here.
 *
 * Words of 8 bytes, aligned as the kernel lays values out, are read and written
 * whole, as the kernel's own copies of array values are; the value as a whole is
 * not, there or here.
 *
 * While it is mapped for writing the kernel lets nobody freeze the map (EBUSY).
 * So it is mapped for reading only until something is written.
 */
#ifndef LUABPF_LIB_KERNEL_MAPPING_H
#define LUABPF_LIB_KERNEL_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed: not mapped. */
struct lb_mapping {
	uint8_t *mem;			/* NULL: not mapped */
	size_t size;			/* bytes, whole pages */
	uint32_t stride;		/* from one value to the next */
	bool writable;
};

/* Maps the n values of value_size bytes of fd, for writing too or not. 0 or -errno. */
int lb_mapping_open(struct lb_mapping *p, int fd, uint32_t value_size, uint32_t n, bool write);
/* May be called twice. */
void lb_mapping_close(struct lb_mapping *p);

/* Copies a value out of a mapping, or into it. */
void lb_mapping_copy(void *to, const void *from, uint32_t size);

#endif
