/* SPDX-License-Identifier: MIT */
/* Files read at once. See readfile.h. */
#include "lib/kernel/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

ssize_t lb_read_all(int fd, void *p, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, (char *)p + done, size - done);

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

ssize_t lb_pread_all(int fd, void *p, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = pread(fd, (char *)p + done, size - done, (off_t)(offset + done));

		if (n == 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return (ssize_t)done;
}

ssize_t lb_read_file(const char *path, void *p, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = lb_read_all(fd, p, size);
	close(fd);
	return n;
}
