/* SPDX-License-Identifier: MIT */
/*
 * Snapshot files without Lua: checksums against published ones, every cut and
 * every changed byte of a small file, files made to mislead, going on with a
 * half-written one, and writes that fail.
 */
#include "lib/file/crc32c.h"
#include "lib/snapshot/snapfile.h"
#include "lib/snapshot/snapformat.h"
#include "tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEY 6
#define VALUE 11
#define ENTRY (KEY + VALUE)
#define HEADER "{\"a\":1}"
/* Entries of the small file, and of each of its blocks. */
#define N 20
#define PER_BLOCK 5

static uint8_t keys[N * KEY], values[N * VALUE];

static void make_entries(void)
{
	for (uint32_t i = 0; i < N; i++) {
		memcpy(keys + i * KEY, &i, sizeof(i));
		memset(keys + i * KEY + 4, (int)(i * 3), KEY - 4);
		memset(values + i * VALUE, (int)(200 + i), VALUE);
	}
}

static int new_file(void)
{
	return memfd_create("snapshot", MFD_CLOEXEC);
}

static int add(struct lb_snap_writer *w, uint32_t from, uint32_t n)
{
	return lb_snap_add(w, keys + from * KEY, values + from * VALUE, n);
}

/* The small file: blocks of PER_BLOCK entries; closed by the caller. */
static int small_file(void)
{
	struct lb_snap_writer w;
	int fd = new_file(), err = lb_snap_begin(&w, fd, KEY, VALUE, HEADER, strlen(HEADER));

	for (uint32_t i = 0; !err && i < N; i += PER_BLOCK)
		err = add(&w, i, PER_BLOCK);
	if (!err)
		err = lb_snap_finish(&w);
	lb_snap_writer_free(&w);
	if (err)
		exit(1);
	return fd;
}

/* Reads all blocks; how many entries, or -errno. wrong: entries that were never written. */
static int64_t read_all(const struct lb_snap *s, uint32_t *wrong)
{
	struct lb_snap_fault fault;
	struct lb_snap_cursor c;
	int64_t n, total = 0;

	*wrong = 0;
	lb_snap_start(&c, s);
	while ((n = lb_snap_next(&c, &fault)) > 0) {
		for (int64_t i = 0; i < n; i++) {
			uint32_t at;

			memcpy(&at, c.keys + i * KEY, sizeof(at));
			if (at >= N || memcmp(c.keys + i * KEY, keys + at * KEY, KEY) != 0 ||
			    memcmp(c.values + i * VALUE, values + at * VALUE, VALUE) != 0)
				++*wrong;
		}
		total += n;
	}
	lb_snap_stop(&c);
	return n < 0 ? n : total;
}

/* What a file of those bytes gives, opened as it should be and read to its end. */
static int64_t read_whole(int fd, uint32_t *wrong)
{
	struct lb_snap_fault fault;
	struct lb_snap s;
	int64_t n = lb_snap_open(&s, dup(fd), false, &fault);

	if (n == 0 && (s.key_size != KEY || s.value_size != VALUE))
		n = -ERANGE;
	if (n == 0)
		n = read_all(&s, wrong);
	lb_snap_close(&s);
	return n;
}

/* The same of a damaged one; *missing: entries that it says are missing, or LB_SNAP_UNKNOWN. */
static int64_t read_damaged(int fd, uint32_t *wrong, uint64_t *missing)
{
	struct lb_snap_fault fault;
	struct lb_snap s;
	int64_t n = lb_snap_open(&s, dup(fd), true, &fault);

	*missing = 0;
	if (n == 0 && (s.key_size != KEY || s.value_size != VALUE))
		n = -ERANGE;
	for (uint32_t i = 0; n == 0 && i < s.ngaps; i++)
		*missing = s.gaps[i].entries == LB_SNAP_UNKNOWN || *missing == LB_SNAP_UNKNOWN
				   ? LB_SNAP_UNKNOWN : *missing + s.gaps[i].entries;
	if (n == 0) {
		bool noted = (s.fault.why || s.ngaps) && strcmp(s.header, HEADER) == 0;

		n = read_all(&s, wrong);
		if (n >= 0 && ((uint64_t)n != s.entries || !noted))
			n = -EPROTO;
	}
	lb_snap_close(&s);
	return n;
}

static int file_of(const uint8_t *bytes, size_t n)
{
	int fd = new_file();

	if (pwrite(fd, bytes, n, 0) != (ssize_t)n)
		exit(1);
	return fd;
}

static size_t load(int fd, uint8_t *bytes, size_t room)
{
	ssize_t n = pread(fd, bytes, room, 0);

	close(fd);
	return n < 0 ? 0 : (size_t)n;
}

/* ---- checksums ------------------------------------------------------------ */

static void test_crc(void)
{
	uint8_t bytes[256];
	bool same = true;

	ok(lb_crc32c(0, "123456789", 9) == 0xe3069283, "the checksum of 123456789");
	memset(bytes, 0, 32);
	ok(lb_crc32c(0, bytes, 32) == 0x8a9136aa, "of 32 zeros (RFC 3720, B.4)");
	memset(bytes, 0xff, 32);
	ok(lb_crc32c(0, bytes, 32) == 0x62a8ab43, "of 32 ones");
	for (int i = 0; i < 32; i++)
		bytes[i] = (uint8_t)i;
	ok(lb_crc32c_table(0, bytes, 32) == 0x46dd794e, "of 0 to 31, by tables");
	rnd_bytes(bytes, sizeof(bytes));
	for (size_t n = 0; n < 200; n++) {
		size_t at = below(50), cut = below((uint32_t)n + 1);
		uint32_t all = lb_crc32c(0, bytes + at, n);

		same = same && all == lb_crc32c_table(0, bytes + at, n) &&
		       all == lb_crc32c(lb_crc32c(0, bytes + at, cut), bytes + at + cut, n - cut);
	}
	ok(same, "instructions and tables agree, at once or in two parts");
}

/* ---- whole files ---------------------------------------------------------- */

static void test_round_trip(void)
{
	struct lb_snap_fault fault;
	struct lb_snap s;
	uint32_t wrong;
	int fd = small_file();

	ok(read_whole(fd, &wrong) == N && !wrong, "what was written is read");
	ok(lb_snap_open(&s, fd, false, &fault) == 0 && s.entries == N &&
	   s.blocks == N / PER_BLOCK && strcmp(s.header, HEADER) == 0, "head and totals");
	lb_snap_close(&s);
	ok(fcntl(fd, F_GETFD) < 0, "closing it closes its descriptor");
	lb_snap_close(&s);
}

static void test_empty(void)
{
	struct lb_snap_writer w;
	uint32_t wrong;
	int fd = new_file();

	ok(ftruncate(fd, 1000) == 0 && lb_snap_begin(&w, fd, KEY, VALUE, "", 0) == 0 &&
	   lb_snap_finish(&w) == 0 && read_whole(fd, &wrong) == 0,
	   "a file without entries, and without a header, over a longer one");
	ok(lb_snap_add(&w, keys, values, 1) == -EINVAL && lb_snap_finish(&w) == -EINVAL,
	   "nothing is added to a finished one");
	lb_snap_writer_free(&w);
	ok(lb_snap_begin(&w, fd, 0, 0, "", 0) == -EINVAL, "entries of no bytes are refused");
	lb_snap_writer_free(&w);
	close(fd);
}

/* Blocks whose data others have summed. */
static void test_summed(void)
{
	uint8_t bytes[4096], same[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), n;
	struct lb_snap_writer w;
	int fd = new_file(), err = lb_snap_begin(&w, fd, KEY, VALUE, HEADER, strlen(HEADER));

	ok(lb_snap_add_block(&w, keys, values, 0, 0) == -EINVAL &&
	   lb_snap_add_block(&w, keys, values, LB_SNAP_BLOCK / (KEY + VALUE) + 1, 0) == -EINVAL,
	   "no block without entries, or larger than a reader takes");
	for (uint32_t i = 0; i < N; i += PER_BLOCK) {
		const uint8_t *k = keys + i * KEY, *v = values + i * VALUE;

		err |= lb_snap_add_block(&w, k, v, PER_BLOCK,
					 lb_snap_sum(k, PER_BLOCK * KEY, v, PER_BLOCK * VALUE));
	}
	err |= lb_snap_finish(&w);
	ok(!err && lb_snap_add_block(&w, keys, values, 1, 0) == -EINVAL,
	   "nor one in a finished file");
	lb_snap_writer_free(&w);
	n = load(fd, same, sizeof(same));
	ok(n == size && memcmp(bytes, same, n) == 0, "summed by others, the same bytes");
}

static void test_large_batch(void)
{
	uint32_t n = 3 * LB_SNAP_BLOCK / 1000 + 1, value = 1000 - KEY;
	uint8_t *k = calloc(n, KEY), *v = malloc((size_t)n * value);
	struct lb_snap_fault fault;
	struct lb_snap_writer w;
	struct lb_snap_cursor c;
	struct lb_snap s;
	int64_t total = 0, got;
	bool same = true;
	int fd = new_file();

	rnd_bytes(v, (size_t)n * value);
	ok(lb_snap_begin(&w, fd, KEY, value, "", 0) == 0 && lb_snap_add(&w, k, v, n) == 0 &&
	   lb_snap_finish(&w) == 0 && w.blocks == 4, "a large batch becomes several blocks");
	lb_snap_writer_free(&w);
	if (lb_snap_open(&s, fd, false, &fault) != 0)
		exit(1);
	lb_snap_start(&c, &s);
	while ((got = lb_snap_next(&c, &fault)) > 0) {
		same = same && memcmp(c.values, v + (size_t)total * value,
				      (size_t)got * value) == 0;
		total += got;
	}
	ok(got == 0 && total == n && same && c.room <= LB_SNAP_BLOCK, "and is read by blocks");
	lb_snap_stop(&c);
	lb_snap_close(&s);
	free(k);
	free(v);
}

/* ---- damage ----------------------------------------------------------------- */

static void test_cuts(void)
{
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), first = 32 + strlen(HEADER);
	uint32_t wrong = 0, unseen = 0, lost = 0;

	for (size_t n = 0; n < size; n++) {
		size_t blocks = n < first ? 0 : (n - first) / (24 + PER_BLOCK * ENTRY);
		int64_t want = blocks > N / PER_BLOCK ? N : (int64_t)blocks * PER_BLOCK;
		int fd = file_of(bytes, n);
		uint32_t bad = 0;
		uint64_t missing;
		int64_t got;

		unseen += read_whole(fd, &bad) != -EBADMSG;
		got = read_damaged(fd, &bad, &missing);
		lost += n < first ? got != -EBADMSG : got != want || missing != LB_SNAP_UNKNOWN;
		wrong += bad;
		close(fd);
	}
	ok(!unseen, "a file that is cut short is refused, wherever it was cut");
	ok(!wrong && !lost, "and every whole block of it can be read");
}

static void test_flips(void)
{
	static const uint8_t masks[] = { 0x01, 0x80, 0xff };
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	uint32_t wrong = 0, unseen = 0, lost = 0;

	for (size_t at = 0; at < size; at++) {
		for (size_t i = 0; i < sizeof(masks); i++) {
			uint32_t bad = 0;
			uint64_t missing;
			int64_t got;
			int fd;

			bytes[at] ^= masks[i];
			fd = file_of(bytes, size);
			bytes[at] ^= masks[i];
			unseen += read_whole(fd, &bad) != -EBADMSG;
			got = read_damaged(fd, &bad, &missing);
			lost += got < N - PER_BLOCK ||
				(missing != LB_SNAP_UNKNOWN && (uint64_t)got + missing != N);
			wrong += bad;
			close(fd);
		}
	}
	ok(!unseen, "a byte that was changed is noticed, whichever it is");
	ok(!wrong && !lost, "no more than its block is lost, and it is said how many entries");
}

static void test_pieces(void)
{
	uint8_t bytes[4096], other[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), block = 24 + PER_BLOCK * ENTRY;
	size_t first = 32 + strlen(HEADER);
	uint64_t missing;
	uint32_t wrong;
	int fd;

	memcpy(other, bytes, first + block);
	memcpy(other + first + block, bytes + first + 2 * block, size - first - 2 * block);
	fd = file_of(other, size - block);
	ok(read_whole(fd, &wrong) == -EBADMSG, "a block taken out is noticed");
	ok(read_damaged(fd, &wrong, &missing) == N - PER_BLOCK && !wrong, "the others are read");
	close(fd);
	memcpy(other, bytes, size);
	memcpy(other + first, bytes + first + block, block);
	memcpy(other + first + block, bytes + first, block);
	fd = file_of(other, size);
	ok(read_whole(fd, &wrong) == -EBADMSG, "blocks in another order are noticed");
	ok(read_damaged(fd, &wrong, &missing) == N - PER_BLOCK && !wrong && missing == PER_BLOCK,
	   "those that follow each other are read");
	close(fd);
	memcpy(other, bytes, first + block);
	memset(other + first + block, 0x89, 100);
	memcpy(other + first + block + 100, bytes + first + block, size - first - block);
	fd = file_of(other, size + 100);
	ok(read_damaged(fd, &wrong, &missing) == N && !wrong, "bytes put between are passed over");
	close(fd);
}

/* So many bytes before a block that its magic lies across the end of what is read at a time. */
static void test_far(void)
{
	static uint8_t far[70000];
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), first = 32 + strlen(HEADER);
	uint32_t lost = 0;

	for (size_t n = 65530; n < 65542; n++) {
		uint64_t missing;
		uint32_t wrong;
		int fd;

		memcpy(far, bytes, first);
		memset(far + first, 0, n);
		memcpy(far + first + n, bytes + first, size - first);
		fd = file_of(far, size + n);
		lost += read_damaged(fd, &wrong, &missing) != N;
		close(fd);
	}
	ok(!lost, "however many they are");
}

/* Blocks and totals that are right by themselves, but not those of the file. */
static void test_forged(void)
{
	uint8_t bytes[4096], copy[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), first = 32 + strlen(HEADER);
	struct lb_snap_footer f;
	struct lb_snap_fault fault;
	struct lb_snap_block b;
	struct lb_snap s;
	uint32_t wrong;
	int fd;

	memcpy(copy, bytes, size);
	memcpy(&b, copy + first, sizeof(b));
	copy[first + sizeof(b)] ^= 1;
	b.data_crc = lb_crc32c(0, copy + first + sizeof(b), PER_BLOCK * ENTRY);
	b.crc = LB_SNAP_CRC(&b);
	memcpy(copy + first, &b, sizeof(b));
	fd = file_of(copy, size);
	ok(read_whole(fd, &wrong) == -EBADMSG, "another block in the place of one is noticed");
	close(fd);
	memcpy(copy, bytes, size);
	memcpy(&f, copy + size - sizeof(f), sizeof(f));
	f.entries++;
	f.crc = LB_SNAP_CRC(&f);
	memcpy(copy + size - sizeof(f), &f, sizeof(f));
	fd = file_of(copy, size);
	ok(lb_snap_open(&s, fd, false, &fault) == -EBADMSG, "other totals, when it is opened");
}

/* Numbers that mislead, under checksums that are right. */
static void test_hostile(void)
{
	static const uint32_t sizes[] = { 0, 1, 1u << 20, 1u << 30, 1u << 31, UINT32_MAX };
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes)), first = 32 + strlen(HEADER);
	uint32_t unseen = 0, wrong;
	uint64_t missing;

	for (size_t i = 0; i < 4 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t v = sizes[i / 4];
		uint8_t copy[4096];
		struct lb_snap_preface *p = (void *)copy;
		struct lb_snap_block b;
		int fd;

		memcpy(copy, bytes, size);
		memcpy(&b, bytes + first, sizeof(b));
		if (i % 4 == 0)
			p->header_size = v;
		else if (i % 4 == 1)
			p->key_size = v;
		else if (i % 4 == 2)
			p->value_size = v;
		else
			b.n = v;
		p->crc = LB_SNAP_CRC(p);
		b.crc = LB_SNAP_CRC(&b);
		memcpy(copy + first, &b, sizeof(b));
		fd = file_of(copy, size);
		unseen += read_whole(fd, &wrong) != -EBADMSG;
		read_damaged(fd, &wrong, &missing);
		close(fd);
	}
	ok(!unseen, "sizes that cannot be are refused, whatever their checksums say");
}

/* Random bytes over random places, checksums of the head made right again. */
static void test_random(void)
{
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	uint32_t unseen = 0, bad = 0;

	for (int round = 0; round < 3000; round++) {
		uint8_t copy[4096];
		uint32_t from = below((uint32_t)size), n = 1 + below(60), wrong = 0;
		uint64_t missing;
		int fd;

		memcpy(copy, bytes, size);
		n = from + n > size ? (uint32_t)size - from : n;
		rnd_bytes(copy + from, n);
		fd = file_of(copy, size);
		unseen += memcmp(copy, bytes, size) != 0 && read_whole(fd, &wrong) >= 0;
		read_damaged(fd, &wrong, &missing);
		bad += wrong;
		close(fd);
	}
	ok(!unseen && !bad, "random damage is noticed, and nothing wrong is read");
}

/* ---- going on --------------------------------------------------------------- */

static struct lb_snap_position position(const struct lb_snap_writer *w)
{
	return (struct lb_snap_position){ w->offset, w->entries, w->blocks };
}

static void test_resume(void)
{
	uint8_t bytes[4096], again[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	struct lb_snap_fault fault;
	uint32_t different = 0;

	for (uint32_t stop = 0; stop <= N / PER_BLOCK; stop++) {
		struct lb_snap_position from;
		struct lb_snap_writer w;
		int fd = new_file(), err;

		err = lb_snap_begin(&w, fd, KEY, VALUE, HEADER, strlen(HEADER));
		for (uint32_t i = 0; i < stop; i++)
			err |= add(&w, i * PER_BLOCK, PER_BLOCK);
		from = position(&w);
		lb_snap_writer_free(&w);
		err |= pwrite(fd, bytes, size, (off_t)from.offset) != (ssize_t)size;
		err |= lb_snap_resume(&w, fd, KEY, VALUE, &from, &fault);
		err |= lseek(fd, 0, SEEK_END) != (off_t)from.offset;
		for (uint32_t i = stop; i < N / PER_BLOCK; i++)
			err |= add(&w, i * PER_BLOCK, PER_BLOCK);
		err |= lb_snap_finish(&w);
		lb_snap_writer_free(&w);
		different += err || load(fd, again, sizeof(again)) != size ||
			     memcmp(bytes, again, size) != 0;
	}
	ok(!different, "a file that is gone on with is as one written at once");
}

static void test_resume_refused(void)
{
	uint8_t bytes[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	uint64_t first = 32 + strlen(HEADER), block = 24 + PER_BLOCK * ENTRY;
	const struct lb_snap_position two = { first + 2 * block, 2 * PER_BLOCK, 2 };
	struct lb_snap_position p = two;
	struct lb_snap_fault fault;
	struct lb_snap_writer w;
	int fd = file_of(bytes, size);

	p.offset += 3;
	ok(lb_snap_resume(&w, fd, KEY, VALUE, &p, &fault) == -EBADMSG && fault.why,
	   "an offset that is no end of a block is refused");
	lb_snap_writer_free(&w);
	p = two;
	p.entries++;
	ok(lb_snap_resume(&w, fd, KEY, VALUE, &p, &fault) == -EBADMSG, "another count too");
	lb_snap_writer_free(&w);
	ok(lb_snap_resume(&w, fd, KEY + 1, VALUE - 1, &two, &fault) == -EBADMSG, "other sizes");
	lb_snap_writer_free(&w);
	p = (struct lb_snap_position){ UINT64_MAX, UINT64_MAX, UINT64_MAX };
	ok(lb_snap_resume(&w, fd, KEY, VALUE, &p, &fault) == -EBADMSG, "an offset past the end");
	lb_snap_writer_free(&w);
	ok(lseek(fd, 0, SEEK_END) == (off_t)size, "the file was left as it is");
	close(fd);
	bytes[first + 30] ^= 1;
	fd = file_of(bytes, size);
	ok(lb_snap_resume(&w, fd, KEY, VALUE, &two, &fault) == -EBADMSG, "a changed block");
	lb_snap_writer_free(&w);
	close(fd);
}

/* ---- writes that fail --------------------------------------------------------- */

static void test_pipe(void)
{
	uint8_t bytes[4096], piped[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	struct lb_snap_writer w;
	int ends[2], err;
	ssize_t n;

	if (pipe(ends) < 0)
		exit(1);
	err = lb_snap_begin(&w, ends[1], KEY, VALUE, HEADER, strlen(HEADER));
	for (uint32_t i = 0; i < N; i += PER_BLOCK)
		err |= add(&w, i, PER_BLOCK);
	err |= lb_snap_finish(&w);
	lb_snap_writer_free(&w);
	n = read(ends[0], piped, sizeof(piped));
	ok(!err && n == (ssize_t)size && memcmp(bytes, piped, size) == 0,
	   "a pipe gets the same bytes");
	err = lb_snap_begin(&w, ends[1], KEY, VALUE, HEADER, strlen(HEADER));
	close(ends[0]);
	ok(!err && add(&w, 0, 1) == -EPIPE, "a pipe without a reader is an error, not a signal");
	lb_snap_writer_free(&w);
	close(ends[1]);
}

/* The write comes short, and the signal is sent all the same. */
static void test_pipe_left(void)
{
	uint32_t n = LB_SNAP_BLOCK / (KEY + VALUE);
	uint8_t *k = calloc(n, KEY), *v = calloc(n, VALUE), head[32 + sizeof(HEADER)];
	struct lb_snap_writer w;
	int ends[2], err;
	pid_t reader;

	if (pipe(ends) < 0 || (reader = fork()) < 0)
		exit(1);
	if (reader == 0) {
		close(ends[1]);
		/* A byte more than the head. */
		_exit(read(ends[0], head, sizeof(head) - 1) < 0 || read(ends[0], head, 1) < 0);
	}
	close(ends[0]);
	err = lb_snap_begin(&w, ends[1], KEY, VALUE, HEADER, strlen(HEADER));
	ok(!err && lb_snap_add(&w, k, v, n) == -EPIPE && lb_snap_add(&w, k, v, 1) == -EPIPE,
	   "nor one that its reader leaves in the middle of a block");
	lb_snap_writer_free(&w);
	waitpid(reader, NULL, 0);
	close(ends[1]);
	free(k);
	free(v);
}

static void test_full_disk(void)
{
	struct lb_snap_writer w;
	struct lb_snap_position before;
	int fd = new_file(), full = open("/dev/full", O_RDWR), err;
	uint32_t wrong;

	ok(full >= 0, "the machine has /dev/full");
	err = lb_snap_begin(&w, fd, KEY, VALUE, HEADER, strlen(HEADER)) | add(&w, 0, 5);
	before = position(&w);
	w.fd = full;
	ok(!err && add(&w, 5, 15) == -ENOSPC && w.offset == before.offset &&
	   w.entries == before.entries, "a full disk leaves the position as it was");
	ok(lb_snap_finish(&w) == -ENOSPC, "at the end too");
	w.fd = fd;
	ok(add(&w, 5, 15) == 0 && lb_snap_finish(&w) == 0 && read_whole(fd, &wrong) == N,
	   "and it goes on when there is room");
	lb_snap_writer_free(&w);
	close(full);
	close(fd);
}

/* One of two blocks, of which the second fails. */
static void test_half_a_batch(void)
{
	uint32_t n = 2 * (LB_SNAP_BLOCK / (KEY + VALUE));
	uint8_t *k = calloc(n, KEY), *v = calloc(n, VALUE);
	struct rlimit limit, before;
	struct lb_snap_position at;
	struct lb_snap_writer w;
	struct lb_snap_fault fault;
	struct lb_snap s;
	int fd = new_file(), err;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = LB_SNAP_BLOCK + LB_SNAP_BLOCK / 2;
	err = lb_snap_begin(&w, fd, KEY, VALUE, "", 0) | add(&w, 0, 5);
	at = position(&w);
	setrlimit(RLIMIT_FSIZE, &limit);
	ok(!err && lb_snap_add(&w, k, v, n) == -EFBIG && w.offset == at.offset &&
	   w.entries == at.entries && w.blocks == at.blocks,
	   "of a batch of several blocks, too, nothing counts if one fails");
	setrlimit(RLIMIT_FSIZE, &before);
	err = lb_snap_add(&w, k, v, n) | lb_snap_finish(&w);
	ok(!err && lb_snap_open(&s, dup(fd), false, &fault) == 0 && s.entries == n + 5,
	   "and each entry is there once after another try");
	lb_snap_close(&s);
	lb_snap_writer_free(&w);
	close(fd);
	free(k);
	free(v);
}

static void test_appending(void)
{
	uint8_t bytes[4096], appended[4096];
	size_t size = load(small_file(), bytes, sizeof(bytes));
	struct lb_snap_writer w;
	int fd = new_file(), err;

	err = write(fd, "before", 6) != 6 || fcntl(fd, F_SETFL, O_APPEND) < 0;
	err |= lb_snap_begin(&w, fd, KEY, VALUE, HEADER, strlen(HEADER));
	for (uint32_t i = 0; i < N; i += PER_BLOCK)
		err |= add(&w, i, PER_BLOCK);
	err |= lb_snap_finish(&w);
	lb_snap_writer_free(&w);
	ok(!err && load(fd, appended, sizeof(appended)) == size + 6 &&
	   memcmp(appended, "before", 6) == 0 && memcmp(appended + 6, bytes, size) == 0,
	   "to a file opened for appending it is appended, whole");
}

int main(void)
{
	rnd_seed();
	make_entries();
	test_crc();
	test_round_trip();
	test_empty();
	test_summed();
	test_large_batch();
	test_cuts();
	test_flips();
	test_pieces();
	test_far();
	test_forged();
	test_hostile();
	test_random();
	test_resume();
	test_resume_refused();
	test_pipe();
	test_pipe_left();
	test_full_disk();
	test_half_a_batch();
	test_appending();
	return tap_end();
}
