/* SPDX-License-Identifier: MIT */
/*
 * Where an export goes. Files are locked with flock(2) while they are written,
 * so that two exports to one name do not mix; the lock goes with the process.
 */
#include "lib/file/outfile.h"

#include "lib/file/crc32c.h"
#include "lib/file/fdwrite.h"
#include "lib/file/sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void lb_out_begin(struct lb_outfile *o)
{
	*o = (struct lb_outfile){ .fd = -1 };
}

/* ---- handing on ------------------------------------------------------------------ */

static int write_fd(int fd, const char *p, size_t n)
{
	struct iovec v = lb_iovec(p, n);
	uint64_t written = 0;

	return lb_write_all(fd, false, &v, 1, &written);
}

static bool is_stream(int fd)
{
	return lseek(fd, 0, SEEK_CUR) < 0;
}

/*
 * Behind what the FILE has gathered. To a pipe or socket past it, as it loses bytes where
 * one that is non-blocking has no room; but the position in a file is the FILE's to know.
 */
static int write_stdio(FILE *f, const char *p, size_t n)
{
	bool stream = is_stream(fileno(f));

	errno = 0;
	if ((n > 0 && !stream && fwrite(p, 1, n, f) != n) || fflush(f) != 0)
		return errno ? -errno : -EIO;
	return stream ? write_fd(fileno(f), p, n) : 0;
}

static void account(struct lb_outfile *o, const char *text, size_t n)
{
	if (o->summed)
		o->crc = lb_crc32c(o->crc, text, n);
	o->offset += n;
}

static int hand_on(struct lb_outfile *o, const char *text, size_t n)
{
	struct lb_sigpipe held;
	int err;

	lb_sigpipe_hold(&held);
	err = o->file ? write_stdio(o->file, text, n) : write_fd(o->fd, text, n);
	lb_sigpipe_release(&held, err == -EPIPE);
	if (!err)
		account(o, text, n);
	return err;
}

int lb_out_flush(struct lb_outfile *o)
{
	int err;

	if ((o->used == 0 && !o->file) || lb_out_fetched(o))
		return 0;
	err = hand_on(o, o->buf, o->used);
	if (!err)
		o->used = 0;
	return err;
}

void lb_out_fetch(struct lb_outfile *o)
{
	account(o, o->buf, o->used);
	o->used = 0;
}

static int grow(struct lb_outfile *o, size_t room)
{
	char *buf = realloc(o->buf, room);

	if (!buf)
		return -ENOMEM;
	o->buf = buf;
	o->room = room;
	return 0;
}

int lb_out_reserve(struct lb_outfile *o, size_t n)
{
	int err = 0;

	if (o->room - o->used >= n)
		return 0;
	if (o->used > 0)
		err = lb_out_flush(o);
	if (!err && o->room - o->used < n)
		err = grow(o, o->used + n > LB_OUT_BUFFER ? o->used + n : LB_OUT_BUFFER);
	return err;
}

int lb_out_write(struct lb_outfile *o, const char *text, size_t n)
{
	int err = n ? lb_out_reserve(o, n) : 0;

	if (err || n == 0)
		return err;
	memcpy(o->buf + o->used, text, n);
	o->used += n;
	return 0;
}

int lb_out_pass(struct lb_outfile *o, const char *text, size_t n)
{
	int err;

	if (n == 0 || lb_out_fetched(o))
		return lb_out_write(o, text, n);
	err = lb_out_flush(o);
	return err ? err : hand_on(o, text, n);
}

/* Pipes and terminals have nothing to sync. */
static int sync_fd(int fd)
{
	if (fdatasync(fd) == 0 || errno == EINVAL || errno == EROFS || errno == ENOTSUP)
		return 0;
	return -errno;
}

int lb_out_sync(struct lb_outfile *o)
{
	int err = lb_out_flush(o);

	if (err || lb_out_fetched(o))
		return err;
	return sync_fd(o->file ? fileno(o->file) : o->fd);
}

/* ---- files ------------------------------------------------------------------------ */

/* Whether the descriptor is of the file that has the name now. */
static bool still_named(int fd, const char *path)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev &&
	       a.st_ino == b.st_ino;
}

int lb_out_open(struct lb_outfile *o, const char *path)
{
	for (;;) {
		int fd = TEMP_FAILURE_RETRY(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666));

		if (fd < 0)
			return -errno;
		if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
			int err = -errno;

			close(fd);
			return err;
		}
		if (still_named(fd, path)) {
			o->fd = fd;
			o->owned = true;
			return 0;
		}
		close(fd);	/* an export that has finished meanwhile */
	}
}

int lb_out_open_device(struct lb_outfile *o, const char *path)
{
	int fd = TEMP_FAILURE_RETRY(open(path, O_WRONLY | O_CLOEXEC));

	if (fd < 0)
		return -errno;
	o->fd = fd;
	o->owned = true;
	return 0;
}

static int sum_up_to(struct lb_outfile *o, uint64_t offset)
{
	while (o->offset < offset) {
		uint64_t left = offset - o->offset;
		ssize_t n = pread(o->fd, o->buf, left < o->room ? left : o->room,
				  (off_t)o->offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -ENODATA;
		o->crc = lb_crc32c(o->crc, o->buf, (size_t)n);
		o->offset += (uint64_t)n;
	}
	return 0;
}

int lb_out_seek(struct lb_outfile *o, uint64_t offset, uint32_t crc)
{
	int err;

	o->offset = 0;
	o->used = 0;
	o->crc = 0;
	err = lb_out_reserve(o, LB_OUT_BUFFER);
	if (!err && o->summed)
		err = sum_up_to(o, offset);
	if (err)
		return err;
	if (o->summed && o->crc != crc)
		return -EBADMSG;
	if (ftruncate(o->fd, (off_t)offset) < 0 || lseek(o->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	o->offset = offset;
	return 0;
}

void lb_out_close(struct lb_outfile *o)
{
	if (o->owned)
		close(o->fd);
	free(o->buf);
	lb_out_begin(o);
}

/* ---- names ------------------------------------------------------------------------- */

/* The folder of a name, malloc'd; NULL: out of memory. */
static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Makes the folder of a name remember it. A folder that cannot be synced is none of ours. */
static void sync_folder(const char *path)
{
	char *folder = folder_of(path);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(folder);
}

int lb_out_rename(const char *from, const char *to)
{
	if (rename(from, to) < 0)
		return -errno;
	sync_folder(to);
	return 0;
}

/* The name of what is written before it takes a file's place. */
static int name_beside(char *beside, size_t room, const char *path)
{
	return (size_t)snprintf(beside, room, "%s.new", path) < room ? 0 : -ENAMETOOLONG;
}

/* 0 for a regular file, or for none where one could be. */
static int check_file(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT && *path ? 0 : -errno;
	return S_ISREG(st.st_mode) ? 0 : S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
}

int lb_out_can_replace(const char *path)
{
	char beside[4096], *folder;
	int err = name_beside(beside, sizeof(beside), path);

	if (!err)
		err = check_file(path);
	if (!err)
		err = check_file(beside);
	if (err)
		return err;
	folder = folder_of(path);
	err = !folder ? -ENOMEM
	      : faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	free(folder);
	return err;
}

int lb_out_replace(const char *path, const char *text, size_t n)
{
	char beside[4096];
	int fd, err = name_beside(beside, sizeof(beside), path);

	if (err)
		return err;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return -errno;
	err = write_fd(fd, text, n);
	close(fd);
	if (!err && rename(beside, path) < 0)
		err = -errno;
	if (err)
		unlink(beside);
	return err;
}
