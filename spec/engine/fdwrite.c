/* SPDX-License-Identifier: MIT */
/*
 * Writing all of it (fdwrite.h), and what writes by it: outputs and snapshots, into
 * pipes and sockets that are non-blocking and full.
 */
#include "lib/file/fdwrite.h"
#include "lib/file/outfile.h"
#include "lib/snapshot/snapfile.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* More than a pipe or a socket takes at once. */
#define SIZE (2u << 20)
/* Of the snapshot. */
#define KEY 4
#define VALUE 12

static uint8_t data[SIZE];

/* A non-blocking end to write to, and what reads the other once nothing more goes in. */
struct reader {
	int fd, ends[2];
	pid_t pid;
};

static bool is_full(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return poll(&p, 1, 0) == 0;
}

/* In the child: 0 if exactly the expected bytes come. */
static int read_and_compare(const struct reader *r, const uint8_t *expected, size_t n)
{
	static uint8_t got[2 * SIZE];
	size_t total = 0;
	ssize_t some;

	alarm(20);
	while (!is_full(r->ends[1]))
		usleep(1000);
	close(r->ends[1]);
	while ((some = read(r->ends[0], got + total, sizeof(got) - total)) > 0)
		total += (size_t)some;
	return some < 0 || total != n || memcmp(got, expected, n) != 0;
}

static struct reader begin(bool socket, const uint8_t *expected, size_t n)
{
	struct reader r;
	int err = socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, r.ends) : pipe(r.ends);

	if (err < 0 || fcntl(r.ends[1], F_SETFL, O_WRONLY | O_NONBLOCK) < 0)
		exit(1);
	r.pid = fork();
	if (r.pid < 0)
		exit(1);
	if (r.pid == 0)
		_exit(read_and_compare(&r, expected, n));
	close(r.ends[0]);
	r.fd = r.ends[1];
	return r;
}

/* Whether it got what it expected, after the end to write to was closed. */
static bool got_it(const struct reader *r)
{
	int status;

	return waitpid(r->pid, &status, 0) == r->pid && WIFEXITED(status) &&
	       WEXITSTATUS(status) == 0;
}

static void test_vectors(bool socket)
{
	struct reader r = begin(socket, data, SIZE);
	struct iovec v[] = { lb_iovec(data, 0), lb_iovec(data, 7), lb_iovec(data + 7, 0),
			     lb_iovec(data + 7, SIZE - 7), lb_iovec(data, 0) };
	uint64_t at = 5;
	int err = lb_write_all(r.fd, false, v, 5, &at, NULL);

	close(r.fd);
	ok(err == 0 && at == SIZE + 5 && got_it(&r), "all goes into a %s that is full",
	   socket ? "socket" : "pipe");
}

static void test_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct iovec v[] = { lb_iovec(data, 10), lb_iovec(data + 10, 10) };
	uint64_t at = 100;
	uint8_t got[20];

	ok(lb_write_all(fd, true, v, 2, &at, NULL) == 0 && at == 120 && lseek(fd, 0, SEEK_CUR) == 0 &&
	   pread(fd, got, 20, 100) == 20 && memcmp(got, data, 20) == 0,
	   "of a file at the offset, whatever its position");
	close(fd);
}

static void test_output(void)
{
	struct reader r = begin(false, data, SIZE);
	FILE *f = fdopen(r.fd, "w");
	struct lb_outfile o;
	int err;

	lb_out_begin(&o);
	o.file = f;
	fwrite(data, 1, 100, f);
	err = lb_out_write(&o, (const char *)data + 100, 1000);
	if (!err)
		err = lb_out_pass(&o, (const char *)data + 1100, SIZE - 1100);
	ok(err == 0 && o.offset == SIZE - 100, "an output to a FILE waits too");
	lb_out_close(&o);
	fclose(f);
	ok(got_it(&r), "behind what the FILE had");
}

static void test_output_file(void)
{
	FILE *f = tmpfile();
	struct lb_outfile o;
	char got[9] = "";

	lb_out_begin(&o);
	o.file = f;
	fputs("ab", f);
	ok(lb_out_flush(&o) == 0 && lseek(fileno(f), 0, SEEK_CUR) == 2,
	   "a flush hands on what the FILE has, if there is nothing more");
	ok(lb_out_write(&o, "cdef", 4) == 0 && lb_out_flush(&o) == 0 && ftell(f) == 6 &&
	   fputs("gh", f) >= 0 && fflush(f) == 0 && pread(fileno(f), got, 9, 0) == 8 &&
	   strcmp(got, "abcdefgh") == 0, "and a file's position is the FILE's");
	lb_out_close(&o);
	fclose(f);
}

static int write_snapshot(int fd, uint64_t *size)
{
	uint32_t n = SIZE / (KEY + VALUE);
	struct lb_snap_writer w;
	int err = lb_snap_begin(&w, fd, KEY, VALUE, "{}", 2);

	if (!err)
		err = lb_snap_add(&w, data, data + n * KEY, n);
	if (!err)
		err = lb_snap_finish(&w);
	*size = w.offset;
	lb_snap_writer_free(&w);
	return err;
}

static void test_snapshot(void)
{
	static uint8_t expected[2 * SIZE];
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	uint64_t size, piped;
	struct reader r;

	if (write_snapshot(fd, &size) < 0 || pread(fd, expected, size, 0) != (ssize_t)size)
		exit(1);
	close(fd);
	r = begin(false, expected, size);
	ok(write_snapshot(r.fd, &piped) == 0 && piped == size, "a snapshot waits too");
	close(r.fd);
	ok(got_it(&r), "and comes whole");
}

int main(void)
{
	rnd_seed();
	rnd_bytes(data, sizeof(data));
	test_vectors(false);
	test_vectors(true);
	test_file();
	test_output();
	test_output_file();
	test_snapshot();
	return tap_end();
}
