/* SPDX-License-Identifier: MIT */
/*
 * The C side of the benchmark of events: an expert's loop over libbpf's
 * ring_buffer on the ring that the Lua side reads, too.
 *
 *	events RING PROGRAM		pins of a ring buffer and of a program that fills it
 *
 * takes commands on standard input, a line each, and answers as c_baseline.c does:
 *
 *	consume N	runs the program and reads until N records were read: their lengths' sum
 *	wait N		waits for N records by epoll, one after the other: the median time
 *			from the sending to the reading, ns
 *	send N		runs the program N times, one every 2 ms, and answers when it begins
 */
#define SIDE "events"

#include "side.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>

struct event {
	uint64_t number, when;
	uint32_t length, cpu;
	char comm[16];
	uint8_t rest[24];
};

static int program;
static struct ring_buffer *ring;
static uint64_t read_so_far, sum;
static uint64_t *latencies;

static void begin(void)
{
	read_so_far = sum = 0;
	start();
}

static void run_program(void)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts);

	if (bpf_prog_test_run_opts(program, &opts) < 0)
		die("run: %s", strerror(errno));
}

static int on_record(void *unused, void *data, size_t size)
{
	const struct event *e = data;

	(void)unused;
	if (size != sizeof(*e))
		die("a record of %zu bytes", size);
	if (latencies)
		latencies[read_so_far] = clock_ns(CLOCK_MONOTONIC) - e->when;
	sum += e->length;
	read_so_far++;
	return 0;
}

static void consume(uint64_t n)
{
	begin();
	while (read_so_far < n) {
		run_program();
		if (ring_buffer__consume(ring) < 0)
			die("consume failed");
	}
	answer("sum=%" PRIu64, sum);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void wait_for(uint64_t n)
{
	latencies = calloc(n + 1000, sizeof(*latencies));
	if (!latencies)
		die("out of memory");
	begin();
	while (read_so_far < n)
		if (ring_buffer__poll(ring, 5000) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
	qsort(latencies, n, sizeof(*latencies), compare);
	answer("median=%" PRIu64, latencies[n / 2]);
	free(latencies);
	latencies = NULL;
}

static void send_slowly(uint64_t n)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	start();
	answer("sending=%" PRIu64, n);
	while (n--) {
		nanosleep(&pause, NULL);
		run_program();
	}
}

int main(int argc, char **argv)
{
	char line[64], word[16];
	uint64_t n;
	int fd;

	if (argc != 3)
		die("usage: events RING PROGRAM");
	fd = bpf_obj_get(argv[1]);
	program = bpf_obj_get(argv[2]);
	if (fd < 0 || program < 0)
		die("no such pins");
	ring = ring_buffer__new(fd, on_record, NULL, NULL);
	if (!ring)
		die("ring_buffer__new: %s", strerror(errno));
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "%15s %" SCNu64, word, &n) != 2)
			die("unknown command '%s'", line);
		if (strcmp(word, "consume") == 0)
			consume(n);
		else if (strcmp(word, "wait") == 0)
			wait_for(n);
		else if (strcmp(word, "send") == 0)
			send_slowly(n);
		else
			die("unknown command '%s'", line);
	}
	return 0;
}
