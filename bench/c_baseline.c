/* SPDX-License-Identifier: MIT */
/*
 * What luabpf is measured against: the work of bench/bench.lua written in C
 * over libbpf, the way somebody who knows both would. Batches of 4096, buffers
 * set up once, nothing allocated inside a loop.
 *
 *   c_baseline PIN N
 *
 * HOW IT WORKS. It stays running on the map pinned at PIN and takes commands,
 * one a line, on standard input, so that neither side's times contain the
 * start of a process. What follows the name of a task is its argument: a path,
 * or for walk the batch size. A task answers
 *
 *   ok NS CPU RESULT    nanoseconds it took by the clock and of the CPU, what it found
 *
 * and "give" commands answer "ok BYTES" and then a line of that many raw
 * bytes: the keys and values that both sides work with. Anything that fails
 * ends the program with a message on standard error.
 */
#define SIDE "c_baseline"

#include "connections.h"
#include "side.h"
#include "walk.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 100000u		/* lookups of the first keys, by one */
#define BUFFER (1u << 20)	/* of files */
#define LINE 512		/* more than a line of JSON takes */

/* ---- many keys --------------------------------------------------------- */

static void store(const struct entries *e)
{
	for (uint32_t done = 0; done < e->n;) {
		uint32_t n = e->n - done < BATCH ? e->n - done : BATCH;

		if (bpf_map_update_batch(fd, e->keys + done, e->values + done, &n, NULL))
			die("update_batch: %s", strerror(errno));
		done += n;
	}
}

/* Deletes keys, going on past those that are not there. */
static uint64_t delete(const struct key *keys, uint32_t n)
{
	uint64_t deleted = 0;

	for (uint32_t done = 0; done < n;) {
		uint32_t count = n - done;
		int err = bpf_map_delete_batch(fd, keys + done, &count, NULL);

		if (err && errno != ENOENT)
			die("delete_batch: %s", strerror(errno));
		deleted += count;
		done += count + (err != 0);
	}
	return deleted;
}

/* ---- tasks ------------------------------------------------------------- */

static void task_walk(void)
{
	struct walk w;
	uint64_t count = 0;
	uint32_t n;

	start();
	w = walk_open();
	while ((n = walk_next(&w)))
		count += n;
	walk_close(&w);
	answer("count=%" PRIu64, count);
}

static void task_sum(void)
{
	struct walk w;
	uint64_t count = 0, bytes = 0;
	uint32_t n;

	start();
	w = walk_open();
	while ((n = walk_next(&w))) {
		count += n;
		for (uint32_t i = 0; i < n; i++)
			bytes += w.values[i].bytes;
	}
	walk_close(&w);
	answer("count=%" PRIu64 " bytes=%" PRIu64, count, bytes);
}

static uint64_t count_idle(void)
{
	struct walk w = walk_open();
	uint64_t count = 0;
	uint32_t n;

	while ((n = walk_next(&w)))
		for (uint32_t i = 0; i < n; i++)
			count += w.values[i].last_seen < CUT;
	walk_close(&w);
	return count;
}

static void task_idle(void)
{
	uint64_t count;

	start();
	count = count_idle();
	answer("count=%" PRIu64, count);
}

/* A bucket cursor is not disturbed by deletions behind it. */
static void task_delete(void)
{
	struct walk w;
	uint64_t deleted = 0;
	uint32_t n;

	start();
	w = walk_open();
	held.n = 0;
	while ((n = walk_next(&w)))
		for (uint32_t i = 0; i < n; i++) {
			if (w.values[i].last_seen >= CUT)
				continue;
			held.keys[held.n++] = w.keys[i];
			if (held.n == BATCH) {
				deleted += delete(held.keys, held.n);
				held.n = 0;
			}
		}
	deleted += delete(held.keys, held.n);
	walk_close(&w);
	answer("deleted=%" PRIu64, deleted);
}

/* A quarter is written back, with another bit that nothing else looks at. */
static void task_change(void)
{
	struct entries batch;
	uint64_t updated = 0;
	struct walk w;
	uint32_t n;

	start();
	w = walk_open();
	while ((n = walk_next(&w))) {
		batch = (struct entries){ .keys = w.keys, .values = w.values };
		for (uint32_t i = 0; i < n; i++)
			if (w.values[i].bytes % 4 == 1) {
				w.keys[batch.n] = w.keys[i];
				w.values[batch.n] = w.values[i];
				w.values[batch.n++].flags ^= 1ull << 40;
			}
		store(&batch);
		updated += batch.n;
	}
	walk_close(&w);
	answer("updated=%" PRIu64, updated);
}

/* A port is 16 bits: a table of all of them beats any hash. */
static void task_group(void)
{
	static uint64_t groups[65536][2];
	char text[PORTS * 64] = "", *p = text;
	struct walk w;
	uint32_t n;

	start();
	memset(groups, 0, sizeof(groups));
	w = walk_open();
	while ((n = walk_next(&w)))
		for (uint32_t i = 0; i < n; i++) {
			groups[w.keys[i].dst_port][0]++;
			groups[w.keys[i].dst_port][1] += w.values[i].bytes;
		}
	walk_close(&w);
	for (uint32_t port = 0; port < 65536; port++)
		if (groups[port][0])
			p += sprintf(p, "%u=%" PRIu64 ",%" PRIu64 " ", port, groups[port][0],
				     groups[port][1]);
	answer("%s", text);
}

/* The same by so many low bits of the flags, of which all values come: the sums of what is told. */
static void task_group_bits(void)
{
	static uint64_t groups[65536][2];
	const uint64_t mask = (1u << atoi(argument)) - 1;
	uint64_t n = 0, sum = 0;
	struct walk w;
	uint32_t rows;

	start();
	memset(groups, 0, sizeof(groups));
	w = walk_open();
	while ((rows = walk_next(&w)))
		for (uint32_t i = 0; i < rows; i++) {
			groups[w.values[i].flags & mask][0]++;
			groups[w.values[i].flags & mask][1] += w.values[i].bytes;
		}
	walk_close(&w);
	for (uint32_t g = 0; g < 65536; g++) {
		n += groups[g][0] != 0;
		sum += g * groups[g][0] + groups[g][1];
	}
	answer("groups=%" PRIu64 " sum=%" PRIu64, n, sum);
}

/* The kernel has no batch lookup of given keys: one call each. */
static void task_get(void)
{
	uint64_t found = 0, bytes = 0;
	struct value v;

	start();
	for (uint32_t i = 0; i < wanted.n; i++)
		if (bpf_map_lookup_elem(fd, &wanted.keys[i], &v) == 0) {
			found++;
			bytes += v.bytes;
		} else if (errno != ENOENT) {
			die("lookup_elem: %s", strerror(errno));
		}
	answer("found=%" PRIu64 " bytes=%" PRIu64, found, bytes);
}

/*
 * Exact counts need the kernel's word on each key, which a batch call does not
 * give: inserts go one by one, and what exists is held and written in batches.
 */
static void task_upsert(void)
{
	uint64_t inserted = 0, updated = 0;

	start();
	held.n = 0;
	for (uint32_t i = 0; i < written.n; i++) {
		if (bpf_map_update_elem(fd, &written.keys[i], &written.values[i], BPF_NOEXIST) == 0) {
			inserted++;
			continue;
		}
		if (errno != EEXIST)
			die("update_elem: %s", strerror(errno));
		updated++;
		held.keys[held.n] = written.keys[i];
		held.values[held.n++] = written.values[i];
		if (held.n == BATCH) {
			store(&held);
			held.n = 0;
		}
	}
	store(&held);
	answer("inserted=%" PRIu64 " updated=%" PRIu64, inserted, updated);
}

/* As it is done without batch calls. */
static void task_next(void)
{
	uint64_t count = 0, bytes = 0;
	struct key keys[2];
	struct value v;
	int err;

	start();
	err = bpf_map_get_next_key(fd, NULL, &keys[0]);
	for (; !err; err = bpf_map_get_next_key(fd, &keys[(count + 1) % 2], &keys[count % 2])) {
		if (bpf_map_lookup_elem(fd, &keys[count % 2], &v))
			die("lookup_elem: %s", strerror(errno));
		count++;
		bytes += v.bytes;
	}
	if (errno != ENOENT)
		die("get_next_key: %s", strerror(errno));
	answer("count=%" PRIu64 " bytes=%" PRIu64, count, bytes);
}

/* Single lookups of the first keys, again and again. */
static void task_one(void)
{
	uint64_t bytes = 0;
	struct value v;

	start();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (bpf_map_lookup_elem(fd, &first.keys[i % FIRST], &v))
			die("lookup_elem: %s", strerror(errno));
		bytes += v.bytes;
	}
	answer("bytes=%" PRIu64, bytes);
}

/* The same in a map of ten plain numbers, whose id is the argument. */
static void task_numbers(void)
{
	int map = bpf_map_get_fd_by_id((uint32_t)strtoul(argument, NULL, 10));
	uint64_t sum = 0, v;

	if (map < 0)
		die("map id %s: %s", argument, strerror(errno));
	start();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t key = i % FIRST;

		if (bpf_map_lookup_elem(map, &key, &v))
			die("lookup_elem: %s", strerror(errno));
		sum += v;
	}
	answer("sum=%" PRIu64, sum);
	close(map);
}

static void task_update(void)
{
	start();
	store(&present);
	answer("stored=%u", present.n);
}

/* ---- files ------------------------------------------------------------- */

/* A file that is written through a buffer, then synced and given its name. */
struct out {
	int fd;
	char *buffer, *p;	/* BUFFER bytes; where to go on in it */
	uint64_t bytes;
	char part[256];
};

static struct out out_open(void)
{
	struct out o = { .buffer = malloc(BUFFER) };

	snprintf(o.part, sizeof(o.part), "%s.part", argument);
	o.fd = open(o.part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (o.fd < 0 || !o.buffer)
		die("%s: %s", o.part, strerror(errno));
	o.p = o.buffer;
	return o;
}

static void write_all(struct out *o, const void *data, size_t n)
{
	const char *p = data;

	o->bytes += n;
	while (n) {
		ssize_t did = write(o->fd, p, n);

		if (did < 0)
			die("%s: %s", o->part, strerror(errno));
		p += did;
		n -= (size_t)did;
	}
}

static void out_flush(struct out *o)
{
	write_all(o, o->buffer, (size_t)(o->p - o->buffer));
	o->p = o->buffer;
}

static void out_close(struct out *o)
{
	out_flush(o);
	if (fsync(o->fd) || close(o->fd) || rename(o->part, argument))
		die("%s: %s", argument, strerror(errno));
	free(o->buffer);
}

#define PUT(p, text) ((char *)memcpy(p, text, sizeof(text) - 1) + sizeof(text) - 1)

/* Two digits at a time. */
static char *put_number(char *p, uint64_t v)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324"
				    "25262728293031323334353637383940414243444546474849"
				    "50515253545556575859606162636465666768697071727374"
				    "75767778798081828384858687888990919293949596979899";
	char digits[20], *d = digits + sizeof(digits);

	for (; v >= 100; v /= 100)
		memcpy(d -= 2, pairs + v % 100 * 2, 2);
	if (v >= 10)
		memcpy(d -= 2, pairs + v * 2, 2);
	else
		*--d = (char)('0' + v);
	memcpy(p, d, (size_t)(digits + sizeof(digits) - d));
	return p + (digits + sizeof(digits) - d);
}

static char *put_line(char *p, const struct key *k, const struct value *v)
{
	p = put_number(PUT(p, "{\"key\":{\"src_addr\":"), k->src_addr);
	p = put_number(PUT(p, ",\"dst_addr\":"), k->dst_addr);
	p = put_number(PUT(p, ",\"src_port\":"), k->src_port);
	p = put_number(PUT(p, ",\"dst_port\":"), k->dst_port);
	p = put_number(PUT(p, ",\"protocol\":"), k->protocol);
	p = put_number(PUT(p, "},\"value\":{\"last_seen\":"), v->last_seen);
	p = put_number(PUT(p, ",\"packets\":"), v->packets);
	p = put_number(PUT(p, ",\"bytes\":"), v->bytes);
	p = put_number(PUT(p, ",\"flags\":"), v->flags);
	return PUT(p, "}}\n");
}

static void task_jsonl(void)
{
	struct walk w;
	struct out o;
	uint64_t count = 0;
	uint32_t n;

	start();
	o = out_open();
	w = walk_open();
	while ((n = walk_next(&w))) {
		count += n;
		for (uint32_t i = 0; i < n; i++) {
			if (o.p + LINE > o.buffer + BUFFER)
				out_flush(&o);
			o.p = put_line(o.p, &w.keys[i], &w.values[i]);
		}
	}
	walk_close(&w);
	out_close(&o);
	answer("count=%" PRIu64 " bytes=%" PRIu64, count, o.bytes);
}

/* Keys and values as they come: a number, so many keys, so many values, and so on. */
static void task_dump(void)
{
	struct walk w;
	struct out o;
	uint64_t count = 0;
	uint32_t n;

	start();
	o = out_open();
	w = walk_open();
	while ((n = walk_next(&w))) {
		count += n;
		write_all(&o, &n, sizeof(n));
		write_all(&o, w.keys, n * sizeof(*w.keys));
		write_all(&o, w.values, n * sizeof(*w.values));
	}
	walk_close(&w);
	out_close(&o);
	answer("count=%" PRIu64, count);
}

static bool read_all(int from, void *data, size_t n)
{
	char *p = data;

	while (n) {
		ssize_t did = read(from, p, n);

		if (did < 0)
			die("%s: %s", argument, strerror(errno));
		if (did == 0)
			return false;
		p += did;
		n -= (size_t)did;
	}
	return true;
}

/* What dump wrote, put into the map. */
static void task_load(void)
{
	struct walk w;
	uint64_t count = 0;
	uint32_t n;
	int from;

	start();
	w = walk_open();
	from = open(argument, O_RDONLY | O_CLOEXEC);
	if (from < 0)
		die("%s: %s", argument, strerror(errno));
	while (read_all(from, &n, sizeof(n))) {
		if (n > w.room)
			walk_reserve(&w, n);
		read_all(from, w.keys, n * sizeof(*w.keys));
		read_all(from, w.values, n * sizeof(*w.values));
		store(&(struct entries){ w.keys, w.values, n });
		count += n;
	}
	close(from);
	walk_close(&w);
	answer("count=%" PRIu64, count);
}

/* The way back to an empty map, for load. */
static void task_clear(void)
{
	struct walk w;
	uint64_t count = 0;
	uint32_t n;

	start();
	w = walk_open();
	while ((n = walk_next(&w)))
		count += delete(w.keys, n);
	walk_close(&w);
	answer("count=%" PRIu64, count);
}

static void task_fill(void)
{
	start();
	held.n = 0;
	for (uint32_t i = 0; i < entries; i++) {
		append(&held, i, 0);
		if (held.n == BATCH) {
			store(&held);
			held.n = 0;
		}
	}
	store(&held);
	answer("count=%u", entries);
}

/* Puts the map back as fill left it, after delete and upsert. */
static void task_restore(void)
{
	start();
	delete(written.keys, written.n);
	store(&original);
	answer("restored");
}

/* ---- commands ---------------------------------------------------------- */

static const struct {
	const char *name;
	const struct entries *keys, *values;	/* one of them */
} gifts[] = {
	{ "wanted keys", .keys = &wanted },
	{ "first keys", .keys = &first },
	{ "present keys", .keys = &present },
	{ "present values", .values = &present },
	{ "written keys", .keys = &written },
	{ "written values", .values = &written },
};

static void give(void)
{
	for (size_t i = 0; i < sizeof(gifts) / sizeof(*gifts); i++) {
		const struct entries *k = gifts[i].keys, *v = gifts[i].values;
		size_t size = k ? k->n * sizeof(*k->keys) : v->n * sizeof(*v->values);

		if (strcmp(argument, gifts[i].name) != 0)
			continue;
		printf("ok %zu\n", size);
		fwrite(k ? (const void *)k->keys : v->values, 1, size, stdout);
		putchar('\n');
		return;
	}
	die("nothing to give: '%s'", argument);
}

static const struct {
	const char *name;
	void (*run)(void);
} commands[] = {
	{ "fill", task_fill },
	{ "restore", task_restore },
	{ "walk", task_walk },
	{ "sum", task_sum },
	{ "idle", task_idle },
	{ "delete", task_delete },
	{ "change", task_change },
	{ "group", task_group },
	{ "group_bits", task_group_bits },
	{ "get", task_get },
	{ "upsert", task_upsert },
	{ "next", task_next },
	{ "one", task_one },
	{ "numbers", task_numbers },
	{ "update", task_update },
	{ "jsonl", task_jsonl },
	{ "dump", task_dump },
	{ "load", task_load },
	{ "clear", task_clear },
	{ "give", give },
};

/* Whether line is that command, followed by nothing or by its argument. */
static bool is_command(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(line, name, n) != 0 || (line[n] && line[n] != ' '))
		return false;
	argument = line + n + (line[n] == ' ');
	return true;
}

static void obey(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (is_command(line, commands[i].name)) {
			commands[i].run();
			fflush(stdout);
			return;
		}
	die("unknown command '%s'", line);
}

/* All that a process does: opens the map and counts what is idle. */
static int count_and_exit(const char *pin)
{
	fd = bpf_obj_get(pin);
	if (fd < 0)
		die("%s: %s", pin, strerror(errno));
	argument = "";
	printf("count=%" PRIu64 "\n", count_idle());
	return 0;
}

int main(int argc, char **argv)
{
	char line[256];

	if (argc == 3 && strcmp(argv[2], "count") == 0)
		return count_and_exit(argv[1]);
	entries = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
	if (entries < 10)
		die("usage: c_baseline PIN N (at least 10 entries)");
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	fd = bpf_obj_get(argv[1]);
	if (fd < 0)
		die("%s: %s", argv[1], strerror(errno));
	make_data();
	while (fgets(line, sizeof(line), stdin))
		obey(line);
	return 0;
}
