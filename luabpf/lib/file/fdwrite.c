/* SPDX-License-Identifier: MIT */
/*
 * Writing to descriptors. See fdwrite.h.
 */
#include "lib/file/fdwrite.h"

#include "lib/file/sigpipe.h"

#include <errno.h>
#include <fcntl.h>
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

int lb_wait_for_room(int fd, const struct lb_asked *who)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int err = 0;

	while (!err && poll(&p, 1, -1) < 0 && errno == EINTR)
		err = lb_ask(who);
	return err;
}

static int write_all(int fd, bool seekable, struct iovec *v, int n, uint64_t *at,
		     const struct lb_asked *who)
{
	int err = 0;

	skip(&v, &n, 0);
	while (n && !err) {
		ssize_t got = seekable ? pwritev(fd, v, n, (off_t)*at) : writev(fd, v, n);

		if (got < 0 && errno == EAGAIN) {
			err = lb_wait_for_room(fd, who);
		} else if (got < 0) {
			err = errno == EINTR ? lb_ask(who) : -errno;
		} else {
			*at += (uint64_t)got;
			skip(&v, &n, (size_t)got);
			/* It came short: a signal may have interrupted it. */
			err = n ? lb_ask(who) : 0;
		}
	}
	return err;
}

int lb_write_all(int fd, bool seekable, struct iovec *v, int n, uint64_t *at,
		 const struct lb_asked *who)
{
	struct lb_sigpipe held;
	int err;

	lb_sigpipe_hold(&held);
	err = write_all(fd, seekable, v, n, at, who);
	lb_sigpipe_release(&held, err);
	return err;
}

int lb_open_file(const char *path, int flags, unsigned int mode, const struct lb_asked *who)
{
	int fd, err = 0;

	do {
		fd = open(path, flags | O_CLOEXEC, mode);
		if (fd < 0 && errno == EINTR)
			err = lb_ask(who);
		else if (fd < 0)
			err = -errno;
	} while (fd < 0 && !err);
	return err ? err : fd;
}
