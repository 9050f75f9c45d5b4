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
 * Who is asked whether to go on when a signal has interrupted what waits: 0, or an error
 * that ends it. Zeroed: nobody, it goes on.
 */
struct lb_asked {
	int (*ask)(void *data);
	void *data;
};

static inline int lb_ask(const struct lb_asked *who)
{
	return who && who->ask ? who->ask(who->data) : 0;
}

/*
 * Writes n vectors, which it uses up: at the offset *at of a file, or (seekable is false) where
 * the descriptor is. 0 or -errno; *at has moved by what was written. No signals come of it: a
 * reader that is gone is -EPIPE, a file that may not grow -EFBIG.
 */
int lb_write_all(int fd, bool seekable, struct iovec *v, int n, uint64_t *at,
		 const struct lb_asked *who);
/* Until the descriptor can be written to, or there is a reason for a write to fail: 0, or what
 * was answered. */
int lb_wait_for_room(int fd, const struct lb_asked *who);
/* open(2) with O_CLOEXEC, again after signals: a FIFO waits for its other end. -errno. */
int lb_open_file(const char *path, int flags, unsigned int mode, const struct lb_asked *who);

#endif
