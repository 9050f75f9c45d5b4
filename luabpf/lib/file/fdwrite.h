/* SPDX-License-Identifier: MIT */
/*
 * Writing to descriptors: all of it, whether calls are interrupted, come short, or
 * would block, as those of a pipe or a socket that is non-blocking do. No Lua here.
 */
#ifndef LUABPF_LIB_FILE_FDWRITE_H
#define LUABPF_LIB_FILE_FDWRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

/* Memory to be written, which is only read. */
static inline struct iovec lb_iovec(const void *p, size_t n)
{
	struct iovec v = { .iov_len = n };

	memcpy(&v.iov_base, &p, sizeof(p));
	return v;
}

/*
 * Writes n vectors, which it uses up: at the offset *at of a file, or (seekable is false) where
 * the descriptor is. 0 or -errno; *at has moved by what was written.
 */
int lb_write_all(int fd, bool seekable, struct iovec *v, int n, uint64_t *at);

#endif
