/* SPDX-License-Identifier: MIT */
/*
 * A library that is preloaded into Lua and lets the n-th call of a kind fail:
 *
 *   LD_PRELOAD=.build/faults.so lua5.4 spec/support/faults/run.lua
 *
 * HOW IT WORKS. Each function here stands before the C library's of its name,
 * for luabpf, libbpf, libelf and what Lua itself calls. While a fault is armed
 * it counts, and where it is the call's turn it returns the error. Lua's own
 * allocations are left out: they have a section of their own (control.c), since
 * Lua raises where they fail. Streams have the error's mark set, as the C
 * library does.
 */
/* No function of libc's headers is inline: some of them are defined here. */
#ifndef __NO_INLINE__
#define __NO_INLINE__
#endif

#include "shim.h"

#include <bpf/libbpf.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
/* The C library's mark of a stream in error, which only it can set. */
#define STREAM_ERROR 0x20

const char *const kind_names[KINDS - KIND_OTHER] = {
	"mmap", "malloc", "open", "read", "write", "fsync", "fdatasync", "rename", "flock", "stat",
	"unlink", "seek", "truncate", "close", "thread", "socket", "send", "receive", "ioctl",
	"dup", "poll", "sleep", "perf_event_open", "sysinfo", "waiter", "readdir",
	"libbpf",
};

static struct {
	bool armed, lasting;
	int kind, err;
	long at, fired;
	long counts[KINDS];
	bool proc, sys;			/* was asked for a file there */
} plan;

void faults_arm(int kind, long at, int err, bool lasting)
{
	memset(&plan, 0, sizeof(plan));
	plan.kind = kind;
	plan.at = at;
	plan.err = err;
	plan.lasting = lasting;
	__atomic_store_n(&plan.armed, true, __ATOMIC_SEQ_CST);
}

long faults_disarm(void)
{
	__atomic_store_n(&plan.armed, false, __ATOMIC_SEQ_CST);
	return plan.fired;
}

long faults_count(int kind)
{
	return plan.counts[kind];
}

bool faults_touched(const char *folder)
{
	return strcmp(folder, "/proc") == 0 ? plan.proc : plan.sys;
}

static void touch(const char *path)
{
	if (!__atomic_load_n(&plan.armed, __ATOMIC_RELAXED))
		return;
	plan.proc = plan.proc || strncmp(path, "/proc/", 6) == 0;
	plan.sys = plan.sys || strncmp(path, "/sys/", 5) == 0;
}

/* What a call of that kind is to answer: an errno, SHORT, or 0 to let it pass. */
static int verdict(int kind)
{
	long n;

	if (!__atomic_load_n(&plan.armed, __ATOMIC_RELAXED))
		return 0;
	n = __atomic_add_fetch(&plan.counts[kind], 1, __ATOMIC_RELAXED);
	if (kind != plan.kind || plan.at == 0 || (plan.lasting ? n < plan.at : n != plan.at))
		return 0;
	__atomic_add_fetch(&plan.fired, 1, __ATOMIC_RELAXED);
	return plan.err;
}

/* Whether a call of that kind is to fail; then errno is set. */
static bool fails(int kind)
{
	int err = verdict(kind);

	if (err > 0)
		errno = err;
	return err > 0;
}

/* As fails(); a call of *size bytes that is to be a short one asks for one byte. */
static bool cut(int kind, size_t *size)
{
	int err = verdict(kind);

	if (err > 0)
		errno = err;
	else if (err == SHORT && *size > 1)
		*size = 1;
	return err > 0;
}

static bool stream_fails(int kind, FILE *f)
{
	if (!fails(kind))
		return false;
	f->_flags |= STREAM_ERROR;
	return true;
}

/* ---- the C library's own ------------------------------------------------------- */

static void *next(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (!f)
		abort();
	return f;
}

#define NEXT(name) ((__typeof__(&name))next(#name))

/*
 * A function whose arguments pass unchanged: DEFINE(its type, its name, (its
 * parameters), (their names), its kind, what it returns when it fails).
 */
#define DEFINE(type, name, parameters, arguments, kind, failed) \
	EXPORT type name parameters \
	{ \
		return fails(kind) ? failed : NEXT(name) arguments; \
	}

/* ---- memory ------------------------------------------------------------------ */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);

/* Where Lua's code lies. */
static uintptr_t lua_begin, lua_end;

static int find_lua(struct dl_phdr_info *info, size_t size, void *inside)
{
	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t from = info->dlpi_addr + p->p_vaddr, to = from + p->p_memsz;

		if (p->p_type != PT_LOAD || (uintptr_t)inside < from || (uintptr_t)inside >= to)
			continue;
		lua_begin = from;
		lua_end = to;
		return 1;
	}
	return 0;
}

/* Programs that Lua starts are left alone. */
__attribute__((constructor))
static void begin(void)
{
	void *inside = dlsym(RTLD_DEFAULT, "lua_newstate");

	unsetenv("LD_PRELOAD");
	if (inside)
		dl_iterate_phdr(find_lua, inside);
}

static bool memory_fails(void *caller)
{
	return ((uintptr_t)caller < lua_begin || (uintptr_t)caller >= lua_end) &&
	       fails(KIND_MALLOC);
}

EXPORT void *malloc(size_t size)
{
	return memory_fails(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	return memory_fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t size)
{
	return memory_fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, size);
}

EXPORT int posix_memalign(void **p, size_t align, size_t size)
{
	void *got = memory_fails(__builtin_return_address(0)) ? NULL
							      : __libc_memalign(align, size);

	if (got)
		*p = got;
	return got ? 0 : ENOMEM;
}

DEFINE(void *, mmap, (void *p, size_t size, int protection, int flags, int fd, off_t at),
       (p, size, protection, flags, fd, at), KIND_MMAP, MAP_FAILED)
DEFINE(void *, mmap64, (void *p, size_t size, int protection, int flags, int fd, off64_t at),
       (p, size, protection, flags, fd, at), KIND_MMAP, MAP_FAILED)

/* ---- bpf(2) and others without a function ------------------------------------- */

static int kind_of_call(long number, long first)
{
	if (number == SYS_bpf && first >= 0 && first < KIND_OTHER)
		return (int)first;
	return number == SYS_perf_event_open ? KIND_PERF : KINDS;
}

EXPORT long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;
	int kind;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	kind = kind_of_call(number, a[0]);
	if (kind < KINDS && fails(kind))
		return -1;
	if (!real)
		real = NEXT(syscall);
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* ---- files ---------------------------------------------------------------------- */

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

#define DEFINE_OPEN(name, parameters, ...) \
	EXPORT int name parameters \
	{ \
		mode_t mode; \
		va_list ap; \
		va_start(ap, flags); \
		mode = mode_of(flags, ap); \
		va_end(ap); \
		touch(path); \
		return fails(KIND_OPEN) ? -1 : NEXT(name)(__VA_ARGS__, flags, mode); \
	}

DEFINE_OPEN(open, (const char *path, int flags, ...), path)
DEFINE_OPEN(open64, (const char *path, int flags, ...), path)
DEFINE_OPEN(openat, (int at, const char *path, int flags, ...), at, path)
DEFINE_OPEN(openat64, (int at, const char *path, int flags, ...), at, path)

#define DEFINE_FOPEN(name) \
	EXPORT FILE *name(const char *path, const char *mode) \
	{ \
		touch(path); \
		return fails(KIND_OPEN) ? NULL : NEXT(name)(path, mode); \
	}

DEFINE_FOPEN(fopen)
DEFINE_FOPEN(fopen64)
DEFINE(FILE *, fdopen, (int fd, const char *mode), (fd, mode), KIND_OPEN, NULL)
DEFINE(FILE *, tmpfile, (void), (), KIND_OPEN, NULL)
DEFINE(FILE *, tmpfile64, (void), (), KIND_OPEN, NULL)
DEFINE(DIR *, opendir, (const char *path), (path), KIND_OPEN, NULL)
DEFINE(int, mkostemp, (char *path, int flags), (path, flags), KIND_OPEN, -1)
DEFINE(struct dirent *, readdir, (DIR *folder), (folder), KIND_LIST, NULL)
DEFINE(struct dirent64 *, readdir64, (DIR *folder), (folder), KIND_LIST, NULL)
DEFINE(int, memfd_create, (const char *name, unsigned int flags), (name, flags), KIND_OPEN, -1)

EXPORT ssize_t read(int fd, void *p, size_t n)
{
	return cut(KIND_READ, &n) ? -1 : NEXT(read)(fd, p, n);
}

EXPORT ssize_t pread(int fd, void *p, size_t n, off_t at)
{
	return cut(KIND_READ, &n) ? -1 : NEXT(pread)(fd, p, n, at);
}

EXPORT ssize_t pread64(int fd, void *p, size_t n, off64_t at)
{
	return cut(KIND_READ, &n) ? -1 : NEXT(pread64)(fd, p, n, at);
}

EXPORT ssize_t getrandom(void *p, size_t n, unsigned int flags)
{
	return cut(KIND_READ, &n) ? -1 : NEXT(getrandom)(p, n, flags);
}

EXPORT ssize_t write(int fd, const void *p, size_t n)
{
	return cut(KIND_WRITE, &n) ? -1 : NEXT(write)(fd, p, n);
}

EXPORT ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
	return cut(KIND_WRITE, &n) ? -1 : NEXT(pwrite)(fd, p, n, at);
}

EXPORT ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
	return cut(KIND_WRITE, &n) ? -1 : NEXT(pwrite64)(fd, p, n, at);
}

/* Several pieces: a short one writes a byte of the first that has any. */
EXPORT ssize_t writev(int fd, const struct iovec *list, int n)
{
	int err = verdict(KIND_WRITE);

	while (err == SHORT && n > 1 && list->iov_len == 0)
		list++, n--;
	if (err <= 0)
		return err == SHORT ? NEXT(write)(fd, list->iov_base, list->iov_len != 0)
				    : NEXT(writev)(fd, list, n);
	errno = err;
	return -1;
}

EXPORT ssize_t pwritev(int fd, const struct iovec *list, int n, off_t at)
{
	int err = verdict(KIND_WRITE);

	while (err == SHORT && n > 1 && list->iov_len == 0)
		list++, n--;
	if (err <= 0)
		return err == SHORT ? NEXT(pwrite)(fd, list->iov_base, list->iov_len != 0, at)
				    : NEXT(pwritev)(fd, list, n, at);
	errno = err;
	return -1;
}

EXPORT size_t fread(void *p, size_t size, size_t n, FILE *f)
{
	return stream_fails(KIND_READ, f) ? 0 : NEXT(fread)(p, size, n, f);
}

EXPORT char *fgets(char *p, int n, FILE *f)
{
	return stream_fails(KIND_READ, f) ? NULL : NEXT(fgets)(p, n, f);
}

EXPORT ssize_t getline(char **p, size_t *n, FILE *f)
{
	return stream_fails(KIND_READ, f) ? -1 : NEXT(getline)(p, n, f);
}

EXPORT size_t fwrite(const void *p, size_t size, size_t n, FILE *f)
{
	return stream_fails(KIND_WRITE, f) ? 0 : NEXT(fwrite)(p, size, n, f);
}

EXPORT int fflush(FILE *f)
{
	return f && stream_fails(KIND_WRITE, f) ? EOF : NEXT(fflush)(f);
}

/* As the kernel does it: the descriptor is gone, whatever the answer. */
EXPORT int close(int fd)
{
	int rc = NEXT(close)(fd);

	return fails(KIND_CLOSE) ? -1 : rc;
}

EXPORT int fclose(FILE *f)
{
	int rc = NEXT(fclose)(f);

	return fails(KIND_CLOSE) ? EOF : rc;
}

DEFINE(int, fsync, (int fd), (fd), KIND_FSYNC, -1)
DEFINE(int, fdatasync, (int fd), (fd), KIND_FDATASYNC, -1)
DEFINE(int, rename, (const char *from, const char *to), (from, to), KIND_RENAME, -1)
DEFINE(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to),
       KIND_RENAME, -1)
DEFINE(int, renameat2, (int a, const char *from, int b, const char *to, unsigned int flags),
       (a, from, b, to, flags), KIND_RENAME, -1)
DEFINE(int, link, (const char *from, const char *to), (from, to), KIND_RENAME, -1)
DEFINE(int, linkat, (int a, const char *from, int b, const char *to, int flags),
       (a, from, b, to, flags), KIND_RENAME, -1)
DEFINE(int, flock, (int fd, int how), (fd, how), KIND_FLOCK, -1)
DEFINE(int, stat, (const char *path, struct stat *st), (path, st), KIND_STAT, -1)
DEFINE(int, lstat, (const char *path, struct stat *st), (path, st), KIND_STAT, -1)
DEFINE(int, fstat, (int fd, struct stat *st), (fd, st), KIND_STAT, -1)
DEFINE(int, fstatat, (int fd, const char *path, struct stat *st, int flags),
       (fd, path, st, flags), KIND_STAT, -1)
DEFINE(int, statfs, (const char *path, struct statfs *st), (path, st), KIND_STAT, -1)
DEFINE(int, statfs64, (const char *path, struct statfs64 *st), (path, st), KIND_STAT, -1)
DEFINE(int, fstatfs, (int fd, struct statfs *st), (fd, st), KIND_STAT, -1)
DEFINE(int, access, (const char *path, int how), (path, how), KIND_STAT, -1)
DEFINE(int, faccessat, (int at, const char *path, int how, int flags), (at, path, how, flags),
       KIND_STAT, -1)
DEFINE(ssize_t, readlink, (const char *path, char *p, size_t n), (path, p, n), KIND_STAT, -1)
DEFINE(int, unlink, (const char *path), (path), KIND_UNLINK, -1)
DEFINE(int, unlinkat, (int at, const char *path, int flags), (at, path, flags), KIND_UNLINK, -1)
DEFINE(int, mkdir, (const char *path, mode_t mode), (path, mode), KIND_UNLINK, -1)
DEFINE(off_t, lseek, (int fd, off_t to, int from), (fd, to, from), KIND_SEEK, -1)
DEFINE(int, fseeko, (FILE *f, off_t to, int from), (f, to, from), KIND_SEEK, -1)
DEFINE(int, fseek, (FILE *f, long to, int from), (f, to, from), KIND_SEEK, -1)
DEFINE(int, ftruncate, (int fd, off_t size), (fd, size), KIND_TRUNCATE, -1)
DEFINE(int, fchmod, (int fd, mode_t mode), (fd, mode), KIND_TRUNCATE, -1)
DEFINE(int, fchown, (int fd, uid_t user, gid_t group), (fd, user, group), KIND_TRUNCATE, -1)

/* ---- descriptors, sockets, threads, time --------------------------------------- */

static bool makes_descriptor(int command)
{
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC;
}

#define DEFINE_FCNTL(name) \
	EXPORT int name(int fd, int command, ...) \
	{ \
		va_list ap; \
		void *p; \
		va_start(ap, command); \
		p = va_arg(ap, void *); \
		va_end(ap); \
		if (makes_descriptor(command) && fails(KIND_DUP)) \
			return -1; \
		return NEXT(name)(fd, command, p); \
	}

DEFINE_FCNTL(fcntl)
DEFINE_FCNTL(fcntl64)

DEFINE(int, dup, (int fd), (fd), KIND_DUP, -1)
DEFINE(int, dup3, (int from, int to, int flags), (from, to, flags), KIND_DUP, -1)
DEFINE(int, socket, (int domain, int type, int protocol), (domain, type, protocol), KIND_SOCKET,
       -1)
DEFINE(int, bind, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), KIND_SOCKET, -1)
DEFINE(int, setsockopt, (int fd, int level, int name, const void *p, socklen_t n),
       (fd, level, name, p, n), KIND_SOCKET, -1)
DEFINE(int, getsockname, (int fd, struct sockaddr *p, socklen_t *n), (fd, p, n), KIND_SOCKET, -1)
DEFINE(ssize_t, send, (int fd, const void *p, size_t n, int flags), (fd, p, n, flags), KIND_SEND,
       -1)
DEFINE(ssize_t, sendto, (int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
       socklen_t size), (fd, p, n, flags, to, size), KIND_SEND, -1)
DEFINE(ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), (fd, m, flags), KIND_SEND,
       -1)
DEFINE(ssize_t, recv, (int fd, void *p, size_t n, int flags), (fd, p, n, flags), KIND_RECEIVE, -1)
DEFINE(ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), (fd, m, flags), KIND_RECEIVE, -1)
DEFINE(int, poll, (struct pollfd *list, nfds_t n, int timeout), (list, n, timeout), KIND_POLL, -1)
DEFINE(int, nanosleep, (const struct timespec *time, struct timespec *left), (time, left),
       KIND_SLEEP, -1)
DEFINE(int, epoll_wait, (int fd, struct epoll_event *list, int n, int timeout),
       (fd, list, n, timeout), KIND_POLL, -1)
DEFINE(int, epoll_create1, (int flags), (flags), KIND_WAITER, -1)
DEFINE(int, epoll_ctl, (int fd, int what, int of, struct epoll_event *event),
       (fd, what, of, event), KIND_WAITER, -1)
DEFINE(int, timerfd_create, (int clock, int flags), (clock, flags), KIND_WAITER, -1)
DEFINE(int, signalfd, (int fd, const sigset_t *set, int flags), (fd, set, flags), KIND_WAITER, -1)
DEFINE(int, uname, (struct utsname *name), (name), KIND_SYSINFO, -1)

EXPORT int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *p;

	va_start(ap, request);
	p = va_arg(ap, void *);
	va_end(ap);
	return fails(KIND_IOCTL) ? -1 : NEXT(ioctl)(fd, request, p);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*f)(void *),
			  void *argument)
{
	int err = verdict(KIND_THREAD);

	return err > 0 ? err : NEXT(pthread_create)(thread, attr, f, argument);
}

/* ---- libbpf -------------------------------------------------------------------------------- */

/*
 * Its functions are not where RTLD_NEXT looks: it is loaded for luabpf alone. No fault is meant for
 * finding them.
 */
static void *of_libbpf(const char *name)
{
	bool armed = __atomic_exchange_n(&plan.armed, false, __ATOMIC_SEQ_CST);
	void *library = dlopen("libbpf.so.1", RTLD_LAZY | RTLD_NOLOAD);
	void *f = library ? dlsym(library, name) : NULL;

	__atomic_store_n(&plan.armed, armed, __ATOMIC_SEQ_CST);
	if (!f)
		abort();
	return f;
}

EXPORT int bpf_map__set_max_entries(struct bpf_map *map, uint32_t n)
{
	static __typeof__(&bpf_map__set_max_entries) real;

	if (fails(KIND_LIBBPF))
		return -errno;
	if (!real)
		real = of_libbpf("bpf_map__set_max_entries");
	return real(map, n);
}
