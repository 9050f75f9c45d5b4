/* SPDX-License-Identifier: MIT */
/*
 * Writing to descriptors. See fdwrite.h.
 */
#include "lib/file/fdwrite.h"

#include <errno.h>
#include <poll.h>

/* Takes what was written off the front of the vectors. */
static void skip(struct iovec **v, int *n, size_t written)
{
	while (*n && written >= (*v)->iov_len) {
		written -= (*v)->iov_len;
		(*v)++;
		(*n)--;
	}
	if (*n) {
		(*v)->iov_base = (uint8_t *)(*v)->iov_base + written;
		(*v)->iov_len -= written;
	}
}

/* Until there is room, or a reason for the next write to fail. */
static void wait_for_room(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	poll(&p, 1, -1);
}

int lb_write_all(int fd, bool seekable, struct iovec *v, int n, uint64_t *at)
{
	skip(&v, &n, 0);
	while (n) {
		ssize_t got = seekable ? pwritev(fd, v, n, (off_t)*at) : writev(fd, v, n);

		if (got < 0 && errno == EAGAIN) {
			wait_for_room(fd);
		} else if (got < 0 && errno != EINTR) {
			return -errno;
		} else if (got > 0) {
			*at += (uint64_t)got;
			skip(&v, &n, (size_t)got);
		}
	}
	return 0;
}
