/* SPDX-License-Identifier: MIT */
/*
 * The kernel's batch calls as they are, with arguments that the library never
 * passes: what they do then is why it does not. Case numbers are those of
 * docs/kernel-cases.md.
 */
#include "check.h"

#include "lib/kernel/kmap.h"
#include "lib/scan/source.h"

#include <fcntl.h>
#include <sys/mman.h>

#define N 100
#define BUCKETS 128
#define UNTOUCHED 0xa5a5a5a5u

static uint64_t keys[1024], values[1024];

static struct batch scan_of(int fd, uint32_t *cursor, uint32_t count)
{
	*cursor = UNTOUCHED;
	return (struct batch){ .fd = fd, .out = cursor, .keys = keys, .values = values,
			       .count = count };
}

/* A page that can be written, before one that cannot be read. */
static uint8_t *edge(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *p = mmap(NULL, page * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (p == MAP_FAILED || mprotect(p + page, page, PROT_NONE) < 0)
		give_up("two pages");
	return p + page;
}

static void nothing_asked(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	uint32_t cursor;
	struct batch b;

	fill(fd, 10);
	b = scan_of(fd, &cursor, 0);
	check(batch(BPF_MAP_LOOKUP_BATCH, &b) == 0 && b.count == 0 && cursor == UNTOUCHED,
	      "[case 2] lookup of 0 entries does nothing");
	b = scan_of(fd, &cursor, 0);
	check(batch(BPF_MAP_LOOKUP_AND_DELETE_BATCH, &b) == 0 && b.count == 0,
	      "[case 16] lookup and delete of 0 entries does nothing");
	equal((int64_t)count_keys(fd), 10, "[case 16] and all are still there");
	close(fd);
}

/* Scans with the cursor in one buffer, or in two; the counts and cursors of all steps summed up. */
static uint64_t scan(int fd, bool one_buffer)
{
	uint32_t in = 0, out = 0, steps = 0;
	struct batch b = { .fd = fd, .keys = keys, .values = values };
	uint64_t sum = 0;
	int err;

	do {
		b.in = steps ? (one_buffer ? &out : &in) : NULL;
		b.out = &out;
		b.count = 16;
		err = batch(BPF_MAP_LOOKUP_BATCH, &b);
		in = out;
		for (uint32_t i = 0; i < b.count; i++)
			sum = sum * 31 + keys[i];
		sum = sum * 31 + b.count * 1000 + out;
		steps++;
	} while (!err && steps < 1000);
	return err == ENOENT ? sum : 0;
}

static void cursors(void)
{
	const uint32_t past[] = { BUCKETS, BUCKETS + 1, 0xffffffff };
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	uint32_t cursor, last = N + 1;
	bool falls = true, ends = true;
	struct batch b;

	fill(fd, N);
	check(scan(fd, true) && scan(fd, true) == scan(fd, false),
	      "[case 8] one buffer for both cursors gives the same scan as two");
	for (int i = 0; i < 3; i++) {
		b = scan_of(fd, &cursor, N);
		b.in = &past[i];
		ends = ends && batch(BPF_MAP_LOOKUP_BATCH, &b) == ENOENT && b.count == 0 &&
		       cursor == UNTOUCHED;
	}
	check(ends, "[case 9] a bucket past the last is the end, and writes no cursor");
	for (uint32_t from = 0; from < BUCKETS; from += BUCKETS / 4) {
		b = scan_of(fd, &cursor, N);
		b.in = &from;
		falls = falls && batch(BPF_MAP_LOOKUP_BATCH, &b) == ENOENT && b.count < last;
		last = b.count;
	}
	check(falls, "[case 10] the later the bucket to begin with, the fewer entries");
	close(fd);
}

/* The union of the parts that begin at each bucket and end before the next is the whole. */
static void buckets_are_a_partition(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	uint32_t cursor, total, rest = 0;
	struct batch b;

	fill(fd, N);
	b = scan_of(fd, &cursor, N);
	batch(BPF_MAP_LOOKUP_BATCH, &b);
	total = b.count;
	for (uint32_t from = BUCKETS; from-- > 0;) {
		uint64_t before[N];

		memcpy(before, keys, sizeof(before));
		b = scan_of(fd, &cursor, N);
		b.in = &from;
		if (batch(BPF_MAP_LOOKUP_BATCH, &b) != ENOENT)
			break;
		if (from < BUCKETS - 1 && memcmp(keys + (b.count - rest), before, rest * 8) != 0)
			break;
		rest = b.count;
	}
	check(total == N && rest == N, "[case 10] from a bucket on means all of the later ones");
	close(fd);
}

static void small_keys(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 1, 8, 256, 0);
	uint8_t small[256], cursor[8], seen[256] = { 0 };
	struct batch b = { .fd = fd, .out = cursor, .keys = small, .values = values,
			   .count = 256 };
	int distinct = 0;

	for (int i = 0; i < 256; i++) {
		uint8_t key = (uint8_t)i;
		uint64_t value = key;

		bpf_map_update_elem(fd, &key, &value, BPF_ANY);
	}
	memset(cursor, 0xa5, sizeof(cursor));
	equal(batch(BPF_MAP_LOOKUP_BATCH, &b), ENOENT, "[case 11] keys of one byte: one call");
	for (uint32_t i = 0; i < b.count; i++)
		distinct += !seen[small[i]]++;
	equal(distinct, 256, "[case 11] gives all 256 keys");
	check(memcmp(cursor, "\0\1\0\0\xa5\xa5\xa5\xa5", 8) == 0,
	      "[case 11] and writes a cursor of 4 bytes, not of the key's size");
	close(fd);
}

/* Whether each of the flags is refused, the count left as it was. */
static bool refused(enum bpf_cmd cmd, int fd, const uint64_t *flags, int n)
{
	uint32_t cursor;

	for (int i = 0; i < n; i++) {
		struct batch b = scan_of(fd, &cursor, 7);

		b.elem_flags = flags[i];
		if (batch(cmd, &b) != EINVAL || b.count != 7)
			return false;
	}
	return true;
}

static void flags(void)
{
	const uint64_t bad[] = { BPF_NOEXIST, BPF_EXIST, 8, 16 }, lock[] = { BPF_F_LOCK };
	int hash = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	int array = new_map(BPF_MAP_TYPE_ARRAY, 4, 8, 10, 0);
	uint32_t cursor;
	struct batch b;

	fill(hash, 10);
	check(refused(BPF_MAP_LOOKUP_BATCH, hash, bad, 4),
	      "[case 12] lookup refuses element flags, and leaves the count at the request");
	check(refused(BPF_MAP_LOOKUP_AND_DELETE_BATCH, hash, bad, 4),
	      "[case 12] so does lookup and delete");
	check(refused(BPF_MAP_UPDATE_BATCH, hash, bad, 4), "[case 12] so does update");
	check(refused(BPF_MAP_DELETE_BATCH, hash, bad, 4), "[case 12] so does delete");
	check(refused(BPF_MAP_LOOKUP_BATCH, hash, lock, 1) &&
	      refused(BPF_MAP_UPDATE_BATCH, hash, lock, 1),
	      "[case 40] BPF_F_LOCK is refused where the value has no lock");
	b = scan_of(hash, &cursor, N);
	b.flags = 1;
	equal(batch(BPF_MAP_LOOKUP_BATCH, &b), EINVAL, "[case 13] flags are refused by a hash");
	b = scan_of(array, &cursor, 5);
	b.flags = 1;
	equal(batch(BPF_MAP_LOOKUP_BATCH, &b), 0, "[case 13] and ignored by an array");
	keys[0] = 3, values[0] = 99;
	b = (struct batch){ .fd = hash, .keys = keys, .values = values, .count = 1,
			    .flags = BPF_NOEXIST };
	check(batch(BPF_MAP_UPDATE_BATCH, &b) == 0 && b.count == 1 &&
	      bpf_map_lookup_elem(hash, keys, values) == 0 && values[0] == 99,
	      "[case 24] update ignores them: what is there is replaced under \"noexist\"");
	close(hash);
	close(array);
}

static void bad_pointers(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	bool faults = true;
	uint32_t cursor;

	fill(fd, N);
	for (int i = 0; i < 3; i++) {
		struct batch b = scan_of(fd, &cursor, N);

		b.keys = i == 0 ? NULL : b.keys;
		b.values = i == 1 ? NULL : b.values;
		b.out = i == 2 ? NULL : b.out;
		faults = faults && batch(BPF_MAP_LOOKUP_BATCH, &b) == EFAULT && b.count != N;
	}
	check(faults, "[case 14] keys, values or cursor at NULL: EFAULT, no count");
	close(fd);
}

static void faulting_drain(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, 1000, 0);
	uint8_t *end = edge();
	uint64_t delivered = 0, left;
	uint32_t cursor;
	struct batch b = scan_of(fd, &cursor, 1000);

	fill(fd, 1000);
	memset(values, 0xff, sizeof(values));
	memset(end - 512 * 8, 0xff, 512 * 8);
	b.values = end - 512 * 8;
	check(batch(BPF_MAP_LOOKUP_AND_DELETE_BATCH, &b) == EFAULT && b.count == 0,
	      "[case 18] a drain into memory that faults half way: EFAULT, count 0");
	left = count_keys(fd);
	for (int i = 0; i < 512; i++)
		delivered += ((uint64_t *)(void *)(end - 512 * 8))[i] != UINT64_MAX;
	check(left < 1000 && left + delivered < 1000,
	      "[case 18] and entries are gone that nobody was given");
	close(fd);
}

/* The module's own buffers are written once before the kernel sees them. */
static void own_drain(void)
{
	struct lb_source s;
	struct lb_kmap m;
	uint64_t got = 0;
	int n;

	if (lb_kmap_adopt(&m, new_map(BPF_MAP_TYPE_HASH, 8, 8, 1000, 0)) < 0)
		give_up("the map's info");
	fill(m.fd, 1000);
	if (lb_source_open(&s, &m, 64, true, false) < 0)
		give_up("a drain");
	while ((n = lb_source_next(&s)) > 0)
		got += (uint64_t)n;
	check(n == 0 && got == 1000 && count_keys(m.fd) == 0,
	      "[case 18] the module's drain delivers every entry");
	lb_source_close(&s);
	lb_kmap_close(&m);
}

static void faulting_keys(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, 1000, 0);
	uint8_t *end = edge();
	uint64_t *half = (uint64_t *)(void *)(end - 512 * 8);
	struct batch b = { .fd = fd, .keys = half, .values = values, .count = 600 };

	for (uint64_t i = 0; i < 512; i++)
		half[i] = i;
	check(batch(BPF_MAP_UPDATE_BATCH, &b) == EFAULT && b.count == 512,
	      "[case 25] update of 600 keys of which 512 can be read: EFAULT, count 512");
	equal((int64_t)count_keys(fd), 512, "[case 25] and 512 are stored");
	b.count = 600;
	check(batch(BPF_MAP_DELETE_BATCH, &b) == EFAULT && b.count == 512,
	      "[case 25] delete of the same: EFAULT, count 512");
	equal((int64_t)count_keys(fd), 0, "[case 25] and 512 are deleted");
	close(fd);
}

static void array_cursors(void)
{
	const uint32_t past[] = { 10, 0xffffffff };
	uint32_t indexes[16], cursor, first = 0;
	struct lb_source s;
	struct lb_kmap m;
	bool restarts = true, refuses = true;

	if (lb_kmap_adopt(&m, new_map(BPF_MAP_TYPE_ARRAY, 4, 8, 10, 0)) < 0)
		give_up("the map's info");
	if (lb_source_open(&s, &m, 4, false, false) < 0)
		give_up("a scan");
	for (int i = 0; i < 2; i++) {
		struct batch b = { .fd = m.fd, .in = &past[i], .out = &cursor, .keys = indexes,
				   .values = values, .count = 4 };

		restarts = restarts && batch(BPF_MAP_LOOKUP_BATCH, &b) == 0 && b.count == 4 &&
			   indexes[0] == first;
		refuses = refuses && lb_source_seek(&s, &past[i], false) == -EINVAL && s.refused;
	}
	check(restarts, "[case 33] an array cursor past the end begins again at index 0");
	check(refuses, "[case 33] the module refuses such a position");
	lb_source_close(&s);
	lb_kmap_close(&m);
}

/* Positions that come from elsewhere end a scan of a hash map, or are a bucket. */
static void hash_positions(void)
{
	const uint32_t past[] = { BUCKETS, 0xffffffff };
	struct lb_source s;
	struct lb_kmap m;
	bool ends = true;

	if (lb_kmap_adopt(&m, new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0)) < 0)
		give_up("the map's info");
	fill(m.fd, N);
	for (int i = 0; i < 2; i++) {
		if (lb_source_open(&s, &m, 16, false, false) < 0)
			give_up("a scan");
		ends = ends && lb_source_seek(&s, &past[i], false) == 0 &&
		       lb_source_next(&s) == 0 && s.ended;
		lb_source_close(&s);
	}
	check(ends, "[case 9] a scan from past the last bucket is empty");
	lb_kmap_close(&m);
}

static void map_info(void)
{
	int fd = new_map(BPF_MAP_TYPE_HASH, 8, 8, N, 0);
	uint8_t info[256] = { 0 };
	uint32_t size = sizeof(info);
	struct lb_mapinfo ours;

	check(bpf_obj_get_info_by_fd(fd, info, &size) == 0 && size < sizeof(info),
	      "[case 42] info into more zeros than the kernel fills");
	memset(info, 0xff, sizeof(info));
	size = sizeof(info);
	check(bpf_obj_get_info_by_fd(fd, info, &size) < 0 && errno == E2BIG,
	      "[case 42] is refused when they are not zeros");
	memset(&ours, 0xff, sizeof(ours));
	check(lb_kmap_info(fd, &ours) == 0 && ours.max_entries == N,
	      "[case 42] the module passes zeros");
	close(fd);
}

static void bad_descriptors(void)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct lb_kmap m;
	uint32_t cursor;
	struct batch b = scan_of(-1, &cursor, 7);

	check(batch(BPF_MAP_LOOKUP_BATCH, &b) == EBADF && b.count == 7,
	      "[case 43] descriptor -1: EBADF, the count left at the request");
	b.fd = file;
	check(batch(BPF_MAP_LOOKUP_BATCH, &b) == EINVAL && b.count == 7,
	      "[case 43] a file: EINVAL, the count left at the request");
	check(lb_kmap_adopt(&m, file) == -EINVAL && m.fd == -1,
	      "[case 43] no handle comes of a file");
	check(fcntl(file, F_GETFD) < 0, "[case 43] and it is closed, as promised");
}

int main(void)
{
	nothing_asked();
	cursors();
	buckets_are_a_partition();
	small_keys();
	flags();
	bad_pointers();
	faulting_drain();
	own_drain();
	faulting_keys();
	array_cursors();
	hash_positions();
	map_info();
	bad_descriptors();
	return done();
}
