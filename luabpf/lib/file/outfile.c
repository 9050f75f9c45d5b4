/* SPDX-License-Identifier: MIT */
/*
 * Where an export goes. Files are locked with flock(2) while they are written,
 * so that two exports to one name do not mix; the lock goes with the process.
 */
#include "lib/file/outfile.h"

#include "lib/file/crc32c.h"
#include "lib/file/sigpipe.h"
#include "lib/kernel/process.h"
#include "lib/kernel/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void lb_out_begin(struct lb_outfile *o)
{
	*o = (struct lb_outfile){ .fd = -1, .process = lb_process() };
}

/* ---- handing on ------------------------------------------------------------------ */

static int write_fd(int fd, const char *p, size_t n, const struct lb_asked *who)
{
	struct iovec v = lb_iovec(p, n);
	uint64_t written = 0;

	return lb_write_all(fd, false, &v, 1, &written, who);
}

static bool is_stream(int fd)
{
	return lseek(fd, 0, SEEK_CUR) < 0;
}

/* What the FILE has gathered, with n bytes more. It loses bytes where a signal interrupts it. */
static int flush_stdio(FILE *f, const char *p, size_t n)
{
	struct lb_sigpipe held;
	sigset_t before;
	int err = 0;

	lb_signals_hold(&before);
	lb_sigpipe_hold(&held);
	errno = 0;
	if ((n > 0 && fwrite(p, 1, n, f) != n) || fflush(f) != 0)
		err = errno ? -errno : -EIO;
	lb_sigpipe_release(&held, err);
	lb_signals_release(&before);
	return err;
}

/*
 * Behind what the FILE has gathered. To a pipe or socket past it, as it loses bytes where
 * one that is non-blocking has no room; but the position in a file is the FILE's to know.
 */
static int write_stdio(FILE *f, const char *p, size_t n, const struct lb_asked *who)
{
	int fd = fileno(f), err;

	if (!is_stream(fd))
		return flush_stdio(f, p, n);
	err = lb_wait_for_room(fd, who);
	if (!err)
		err = flush_stdio(f, NULL, 0);
	return err ? err : write_fd(fd, p, n, who);
}

static void account(struct lb_outfile *o, const char *text, size_t n)
{
	if (o->summed)
		o->crc = lb_crc32c(o->crc, text, n);
	o->offset += n;
}

static int hand_on(struct lb_outfile *o, const char *text, size_t n)
{
	int err;

	if (o->process != lb_process())
		return -ECHILD;
	err = o->file ? write_stdio(o->file, text, n, &o->asked)
		      : write_fd(o->fd, text, n, &o->asked);
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
	int err = o->process == lb_process() ? lb_out_flush(o) : -ECHILD;

	if (err || lb_out_fetched(o))
		return err;
	return sync_fd(o->file ? fileno(o->file) : o->fd);
}

/* ---- files ------------------------------------------------------------------------ */

/* What goes wrong because others rename and remove is tried again so often. */
#define TRIES 100

/* 0 if the descriptor is of the file that has the name now, -EAGAIN if it is not. */
static int check_name(int fd, const char *path)
{
	struct stat a, b;

	if (fstat(fd, &a) < 0)
		return -errno;
	if (lstat(path, &b) < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	return a.st_dev == b.st_dev && a.st_ino == b.st_ino ? 0 : -EAGAIN;
}

/* 0 for a regular file that only this user has made, under one name. */
static int check_own(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return -ELOOP;
	if (S_ISDIR(st->st_mode))
		return -EISDIR;
	if (!S_ISREG(st->st_mode))
		return -EINVAL;
	if (st->st_uid != geteuid())
		return -EEXIST;
	return st->st_nlink > 1 ? -EMLINK : 0;
}

/* A file that is there and fits, or a new one (*made); -EAGAIN: somebody was quicker. */
static int open_or_create(const char *path, bool *made)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err;

	if (fd < 0 && errno == ENOENT) {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		*made = fd >= 0;
		return fd >= 0 ? fd : errno == EEXIST ? -EAGAIN : -errno;
	}
	if (fd < 0)
		return -errno;
	err = fstat(fd, &st) < 0 ? -errno : check_own(&st);
	if (!err && fchmod(fd, 0600) < 0)
		err = -errno;
	if (err)
		close(fd);
	return err ? err : fd;
}

/* One try: -EAGAIN if there must be another. */
static int try_open(struct lb_outfile *o, const char *path)
{
	bool made = false;
	int fd = open_or_create(path, &made), err = 0;

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	else
		err = check_name(fd, path);	/* not the same: an export has finished meanwhile */
	/* A new one that cannot be had leaves nothing; one that another has locked is its own. */
	if (err && err != -EBUSY && err != -EAGAIN && made)
		unlink(path);
	if (err) {
		close(fd);
		return err;
	}
	o->fd = fd;
	o->owned = true;
	return 0;
}

int lb_out_open(struct lb_outfile *o, const char *path)
{
	int err = -EAGAIN;

	for (int i = 0; i < TRIES && (err == -EAGAIN || err == -EINTR); i++)
		err = try_open(o, path);
	return err == -EBUSY ? -EWOULDBLOCK : err == -EAGAIN ? -EBUSY : err;
}

FILE *lb_out_temporary(void)
{
	char name[] = P_tmpdir "/luabpf_XXXXXX";
	int fd = open(P_tmpdir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	FILE *f;

	if (fd < 0) {
		fd = mkostemp(name, O_CLOEXEC);
		if (fd >= 0)
			unlink(name);
	}
	f = fd < 0 ? NULL : fdopen(fd, "w+b");
	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* Links in folders that everybody may write to lead where somebody else wants. */
static int check_link(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	return S_ISLNK(st.st_mode) && st.st_uid != 0 && st.st_uid != geteuid() ? -ELOOP : 0;
}

int lb_out_open_device(struct lb_outfile *o, const char *path)
{
	int err = check_link(path), fd;

	if (err)
		return err;
	fd = lb_open_file(path, O_WRONLY, 0, &o->asked);
	if (fd < 0)
		return fd;
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
	int fd = o->owned ? o->fd : -1;
	char *buf = o->buf;

	lb_out_begin(o);
	free(buf);
	if (fd >= 0)
		close(fd);
}

/* ---- permissions -------------------------------------------------------------------- */

/* Those of a new file. */
static mode_t new_mode(void)
{
	mode_t mask = umask(077);

	umask(mask);
	return 0666 & ~mask;
}

/* Gives the file the permissions of the one that it replaces, and its group if they are for it. */
static int permit(int fd, const char *path)
{
	struct stat old, st;
	mode_t mode;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (lstat(path, &old) < 0)
		return errno != ENOENT || fchmod(fd, new_mode()) < 0 ? -errno : 0;
	if (!S_ISREG(old.st_mode))
		return fchmod(fd, new_mode()) < 0 ? -errno : 0;
	mode = old.st_mode & 0777;
	/* What somebody else has put there may be open to all. */
	if (old.st_uid != st.st_uid)
		mode &= new_mode();
	/* To another group, what everybody may. */
	if (old.st_gid != st.st_gid && fchown(fd, (uid_t)-1, old.st_gid) < 0)
		mode = (mode & ~070u) | (mode & 070u & (mode & 07u) << 3);
	return fchmod(fd, mode) < 0 ? -errno : 0;
}

int lb_out_permit(const struct lb_outfile *o, const char *path)
{
	return permit(o->fd, path);
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

int lb_out_remove(const struct lb_outfile *o, const char *path)
{
	if (o->process != lb_process())
		return -ECHILD;
	return !o->owned ? -EBADF : unlink(path) < 0 ? -errno : 0;
}

int lb_out_rename(const char *from, const char *to)
{
	if (rename(from, to) < 0)
		return -errno;
	sync_folder(to);
	return 0;
}

static int name_beside(char *beside, size_t room, const char *path)
{
	return (size_t)snprintf(beside, room, "%s" LB_OUT_BESIDE, path) < room ? 0 : -ENAMETOOLONG;
}

/* 0 for one of our own, or for none. */
static int check_beside(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	return check_own(&st);
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
		err = check_beside(beside);
	if (err)
		return err;
	folder = folder_of(path);
	err = !folder ? -ENOMEM
	      : faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) < 0 ? -errno : 0;
	free(folder);
	return err;
}

/* A new file; one of ours that a kill has left gives way. */
static int create_beside(const char *beside)
{
	for (int i = 0; i < TRIES; i++) {
		int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		int err = fd < 0 ? -errno : 0;

		if (!err)
			return fd;
		if (err == -EEXIST) {
			err = check_beside(beside);
			if (!err && unlink(beside) < 0 && errno != ENOENT)
				err = -errno;
		}
		if (err && err != -EINTR)
			return err;
	}
	return -EBUSY;
}

int lb_out_replace(const char *path, const char *text, size_t n)
{
	char beside[4096];
	int fd, err = name_beside(beside, sizeof(beside), path);

	if (err)
		return err;
	fd = create_beside(beside);
	if (fd < 0)
		return fd;
	err = write_fd(fd, text, n, NULL);
	if (!err)
		err = permit(fd, path);
	close(fd);
	if (!err && rename(beside, path) < 0)
		err = -errno;
	if (err)
		unlink(beside);
	return err;
}
