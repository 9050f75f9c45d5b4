/* SPDX-License-Identifier: MIT */
/*
 * Reading snapshot files. See snapfile.h.
 *
 * HOW IT WORKS. A file is opened from both ends: head and footer tell where
 * the blocks are and how many; the cursor goes through these and checks each,
 * and at the end their totals. A damaged file is read through when it is
 * opened: where a block is not right the next one is looked for by its magic
 * and checksum, and what lies between becomes a gap, which cursors jump over.
 */
#include "lib/snapshot/snapfile.h"

#include "lib/kernel/readfile.h"
#include "lib/snapshot/snapformat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes looked through at a time for the next block. */
#define WINDOW 65536

static int refuse(struct lb_snap_fault *fault, const char *why, uint64_t offset)
{
	*fault = (struct lb_snap_fault){ why, offset };
	return -EBADMSG;
}

/* All n bytes at the offset: 0, -errno, or -EBADMSG where the file ends before. */
static int read_at(int fd, void *p, size_t n, uint64_t offset, struct lb_snap_fault *fault)
{
	ssize_t got = lb_pread_all(fd, p, n, offset);

	if (got < 0)
		return (int)got;
	return (size_t)got < n ? refuse(fault, "the file is cut short", offset + (uint64_t)got) : 0;
}

/* ---- head and footer ---------------------------------------------------- */

static const char *wrong_preface(const struct lb_snap *s, const struct lb_snap_preface *p)
{
	uint64_t key = le32toh(p->key_size), value = le32toh(p->value_size);

	if (memcmp(p->magic, LB_SNAP_MAGIC, sizeof(p->magic)) != 0)
		return "not a snapshot";
	if (le32toh(p->crc) != LB_SNAP_CRC(p))
		return "the head is damaged";
	if (le32toh(p->version) != LB_SNAP_VERSION)
		return "a version of the format that is not known here";
	if (key > LB_SNAP_ENTRY || value > LB_SNAP_ENTRY || key + value == 0 ||
	    le32toh(p->header_size) > LB_SNAP_HEADER)
		return "the head has impossible sizes";
	return le32toh(p->header_size) > s->size ? "the file is cut short" : NULL;
}

/* Reads the head that stands at the offset. */
static int read_head(struct lb_snap *s, uint64_t offset, struct lb_snap_fault *fault)
{
	struct lb_snap_preface p;
	const char *why;
	int err = read_at(s->fd, &p, sizeof(p), offset, fault);

	if (err)
		return err;
	why = wrong_preface(s, &p);
	if (why)
		return refuse(fault, why, offset);
	s->key_size = le32toh(p.key_size);
	s->value_size = le32toh(p.value_size);
	s->header_size = le32toh(p.header_size);
	free(s->header);
	s->header = malloc(s->header_size + (size_t)1);
	if (!s->header)
		return -ENOMEM;
	s->header[s->header_size] = '\0';
	err = read_at(s->fd, s->header, s->header_size, offset + sizeof(p), fault);
	if (!err && lb_crc32c(0, s->header, s->header_size) != le32toh(p.header_crc))
		err = refuse(fault, "the header is damaged", offset + sizeof(p));
	s->begin = sizeof(p) + (uint64_t)s->header_size;
	return err;
}

/* Whether the copy of the head is as the head: its checksums are those of the same text. */
static int check_copy(const struct lb_snap *s, struct lb_snap_fault *fault)
{
	struct lb_snap copy = { .fd = s->fd, .size = s->size };
	int err = read_head(&copy, s->end, fault);

	if (!err && (copy.header_size != s->header_size || copy.key_size != s->key_size ||
		     copy.value_size != s->value_size ||
		     memcmp(copy.header, s->header, s->header_size) != 0))
		err = refuse(fault, "the copy of the head differs from it", s->end);
	free(copy.header);
	return err;
}

static int read_footer(struct lb_snap *s, struct lb_snap_fault *fault)
{
	struct lb_snap_footer f;
	uint64_t at = s->size - sizeof(f), head;
	int err;

	if (s->size < sizeof(f))
		return refuse(fault, "the file is cut short", s->size);
	err = read_at(s->fd, &f, sizeof(f), at, fault);
	if (err)
		return err;
	head = le32toh(f.head_size);
	if (memcmp(f.magic, LB_SNAP_FOOTER_MAGIC, sizeof(f.magic)) != 0)
		return refuse(fault, "no footer: the file is cut short, was not finished, or "
				     "something was appended", at);
	if (le32toh(f.crc) != LB_SNAP_CRC(&f))
		return refuse(fault, "the footer is damaged", at);
	if (le64toh(f.size) != s->size || head > at / 2)
		return refuse(fault, "the file has another size than its footer says", at);
	s->end = at - head;
	s->blocks = le64toh(f.blocks);
	s->entries = le64toh(f.entries);
	s->chain = le32toh(f.chain);
	return 0;
}

/* Whether blocks and entries of the footer fill the bytes between head and its copy. */
static int check_totals(const struct lb_snap *s, struct lb_snap_fault *fault)
{
	unsigned __int128 all =
		(unsigned __int128)s->entries * (s->key_size + (uint64_t)s->value_size) +
		(unsigned __int128)s->blocks * sizeof(struct lb_snap_block);

	if (s->end < s->begin || all != s->end - s->begin || s->blocks > s->entries)
		return refuse(fault, "the footer's totals do not fit the file", s->end);
	return 0;
}

/* ---- one block ---------------------------------------------------------- */

struct block {
	uint64_t offset, first;
	uint32_t n, data_crc;
	size_t size;			/* of keys and values */
	struct lb_snap_block raw;
};

static uint64_t block_end(const struct block *b)
{
	return b->offset + sizeof(b->raw) + b->size;
}

/* Why the header of b, in b->raw, cannot be one of a block that ends by limit; NULL if it can. */
static const char *wrong_block(const struct lb_snap *s, struct block *b, uint64_t limit)
{
	uint64_t entry = s->key_size + (uint64_t)s->value_size;

	if (memcmp(b->raw.magic, LB_SNAP_BLOCK_MAGIC, sizeof(b->raw.magic)) != 0)
		return "no block where one should begin";
	if (le32toh(b->raw.crc) != LB_SNAP_CRC(&b->raw))
		return "the header of a block is damaged";
	b->n = le32toh(b->raw.n);
	b->first = le64toh(b->raw.first);
	b->data_crc = le32toh(b->raw.data_crc);
	if (b->n == 0 || (b->n > 1 && b->n > LB_SNAP_BLOCK / entry))
		return "a block of an impossible size";
	b->size = (size_t)(b->n * entry);
	return block_end(b) > limit ? "a block is cut short" : NULL;
}

static int read_block(const struct lb_snap *s, struct block *b, uint64_t offset, uint64_t limit,
		      struct lb_snap_fault *fault)
{
	const char *why;
	int err;

	b->offset = offset;
	if (limit - offset < sizeof(b->raw))
		return refuse(fault, "a block is cut short", offset);
	err = read_at(s->fd, &b->raw, sizeof(b->raw), offset, fault);
	if (err)
		return err;
	why = wrong_block(s, b, limit);
	return why ? refuse(fault, why, offset) : 0;
}

/* Reads the keys and values of b into the cursor's memory. */
static int read_data(struct lb_snap_cursor *c, const struct block *b, struct lb_snap_fault *fault)
{
	const struct lb_snap *s = c->snap;
	int err;

	if (b->size > c->room) {
		uint8_t *memory = malloc(b->size);

		if (!memory)
			return -ENOMEM;
		free(c->memory);
		c->memory = memory;
		c->room = b->size;
	}
	err = read_at(s->fd, c->memory, b->size, b->offset + sizeof(b->raw), fault);
	if (!err && lb_crc32c(0, c->memory, b->size) != b->data_crc)
		err = refuse(fault, "a block is damaged", b->offset);
	c->keys = c->memory;
	c->values = c->memory + (size_t)b->n * s->key_size;
	return err;
}

/* ---- cursors ------------------------------------------------------------ */

void lb_snap_start(struct lb_snap_cursor *c, const struct lb_snap *s)
{
	*c = (struct lb_snap_cursor){ .snap = s, .offset = s->begin };
}

void lb_snap_stop(struct lb_snap_cursor *c)
{
	free(c->memory);
	c->memory = NULL;
	c->room = 0;
}

/* Jumps over the gaps that begin here. What is behind the cursor, they have counted. */
static void jump(struct lb_snap_cursor *c)
{
	const struct lb_snap *s = c->snap;

	while (c->gap < s->ngaps && s->gaps[c->gap].from == c->offset)
		c->offset = s->gaps[c->gap++].to;
}

/* At the end of a whole file: whether its blocks are those that were written. */
static int64_t check_end(const struct lb_snap_cursor *c, struct lb_snap_fault *fault)
{
	const struct lb_snap *s = c->snap;

	if (!s->whole)
		return 0;
	if (c->blocks != s->blocks || c->entries != s->entries || c->chain != s->chain)
		return refuse(fault, "the blocks are not those that the footer speaks of", s->end);
	return 0;
}

int64_t lb_snap_next(struct lb_snap_cursor *c, struct lb_snap_fault *fault)
{
	const struct lb_snap *s = c->snap;
	struct block b;
	int err;

	*fault = (struct lb_snap_fault){ 0 };
	jump(c);
	if (c->offset >= s->end)
		return check_end(c, fault);
	err = read_block(s, &b, c->offset, s->end, fault);
	if (!err && !s->ngaps && b.first != c->entries)
		err = refuse(fault, "a block is missing before this one", b.offset);
	if (!err)
		err = read_data(c, &b, fault);
	if (err)
		return err;
	c->chain = LB_SNAP_CHAIN(c->chain, &b.raw);
	c->offset = block_end(&b);
	c->entries += b.n;
	c->blocks++;
	return b.n;
}

/* ---- damaged files ------------------------------------------------------ */

/* Looks through p for the start of a block's header; its offset in it, or n if there is none. */
static size_t find_magic(const uint8_t *p, size_t n)
{
	const uint8_t *hit = memmem(p, n, LB_SNAP_BLOCK_MAGIC, 4);

	return hit ? (size_t)(hit - p) : n;
}

/* The offset of the next header of a block from there on whose checksum is right; s->end: none. */
static int find_block(const struct lb_snap *s, uint64_t offset, uint64_t *found)
{
	uint8_t window[WINDOW];
	struct lb_snap_fault ignored;
	struct block b;

	while (offset < s->end) {
		size_t n = s->end - offset < WINDOW ? (size_t)(s->end - offset) : WINDOW, at;
		int err = read_at(s->fd, window, n, offset, &ignored);

		if (err)
			return err;
		for (at = find_magic(window, n); at < n;
		     at += 1 + find_magic(window + at + 1, n - at - 1)) {
			*found = offset + at;
			if (read_block(s, &b, *found, s->end, &ignored) == 0)
				return 0;
		}
		/* A magic may lie across the end of the window. */
		offset += n < WINDOW ? n : n - 3;
	}
	*found = s->end;
	return 0;
}

/* The gap that ends at the last one's end, or a new one there. NULL: out of memory. */
static struct lb_snap_gap *gap_at(struct lb_snap *s, uint64_t offset, uint64_t first)
{
	struct lb_snap_gap *gaps;

	if (s->ngaps && s->gaps[s->ngaps - 1].to == offset)
		return &s->gaps[s->ngaps - 1];
	gaps = realloc(s->gaps, (s->ngaps + (size_t)1) * sizeof(*gaps));
	if (!gaps)
		return NULL;
	s->gaps = gaps;
	gaps[s->ngaps] = (struct lb_snap_gap){ .from = offset, .to = offset, .first = first,
					       .entries = LB_SNAP_UNKNOWN };
	return &gaps[s->ngaps++];
}

/* Lengthens the gap at the offset: to the next block that may be right. */
static int add_gap(struct lb_snap *s, uint64_t offset, uint64_t first, const struct block *b,
		   const struct lb_snap_fault *fault)
{
	struct lb_snap_gap *gap = gap_at(s, offset, first);
	bool sized = fault->why && b->size;

	if (!gap)
		return -ENOMEM;
	if (!gap->why)
		gap->why = fault->why;
	if (sized) {
		gap->to = block_end(b);
		return 0;
	}
	return find_block(s, offset + 1, &gap->to);
}

/*
 * Before the entry number next, at the offset, there should be those from
 * expected on: ends the gap that is open there, or makes one of no bytes.
 */
static int settle(struct lb_snap *s, uint64_t offset, uint64_t expected, uint64_t next,
		  const char *why)
{
	bool open = s->ngaps && s->gaps[s->ngaps - 1].to == offset;
	struct lb_snap_gap *gap;

	if (!open && next <= expected)
		return 0;
	gap = gap_at(s, offset, expected);
	if (!gap)
		return -ENOMEM;
	if (!gap->why)
		gap->why = why;
	gap->entries = next <= expected ? 0 : next - expected;
	if (next == LB_SNAP_UNKNOWN)
		gap->entries = next;
	return 0;
}

/* The block at the cursor: 0 if it is right; expected: entries that come before it. */
static int check_block(struct lb_snap_cursor *c, struct block *b, uint64_t expected,
		       struct lb_snap_fault *fault)
{
	int err = read_block(c->snap, b, c->offset, c->snap->end, fault);

	if (err)
		b->size = 0;
	else if (b->first < expected)
		err = refuse(fault, "a block that was there already", c->offset);
	else
		err = read_data(c, b, fault);
	return err;
}

/* Steps over a block and counts it, or makes a gap of what is not one. *expected goes on. */
static int step_through(struct lb_snap *s, struct lb_snap_cursor *c, uint64_t *expected)
{
	struct lb_snap_fault fault = { 0 };
	struct block b = { 0 };
	int err = check_block(c, &b, *expected, &fault);

	if (err == -EBADMSG) {
		err = add_gap(s, c->offset, *expected, &b, &fault);
		if (!err)
			c->offset = s->gaps[s->ngaps - 1].to;
		return err;
	}
	if (!err)
		err = settle(s, b.offset, *expected, b.first, "a block is missing before this one");
	*expected = b.first + b.n;
	s->entries += b.n;
	s->blocks++;
	c->offset = block_end(&b);
	return err;
}

/*
 * Reads all blocks, and makes gaps of what is not one. total: entries that
 * there should be, LB_SNAP_UNKNOWN without a footer.
 */
static int read_through(struct lb_snap *s, uint64_t total)
{
	struct lb_snap_cursor c;
	uint64_t expected = 0;
	int err = 0;

	lb_snap_start(&c, s);
	while (!err && c.offset < s->end)
		err = step_through(s, &c, &expected);
	lb_snap_stop(&c);
	return err ? err : settle(s, s->end, expected, total, "the last blocks are missing");
}

/* ---- opening ------------------------------------------------------------ */

static int open_whole(struct lb_snap *s, struct lb_snap_fault *fault)
{
	int err = read_head(s, 0, fault);

	if (!err)
		err = read_footer(s, fault);
	if (!err)
		err = check_totals(s, fault);
	if (!err)
		err = check_copy(s, fault);
	s->whole = !err;
	return err;
}

/* Head, or its copy, and footer if it is right; total as read_through takes it. */
static int open_ends(struct lb_snap *s, uint64_t *total, struct lb_snap_fault *fault)
{
	struct lb_snap_fault ignored;
	int no_footer = read_footer(s, &ignored), err;

	if (no_footer && no_footer != -EBADMSG)
		return no_footer;
	if (no_footer)
		s->end = s->size;
	*total = no_footer ? LB_SNAP_UNKNOWN : s->entries;
	err = read_head(s, 0, fault);
	if (err == -EBADMSG && !no_footer && read_head(s, s->end, &ignored) == 0)
		err = 0;
	if (s->end < s->begin)
		s->end = s->begin;
	return err;
}

static int open_damaged(struct lb_snap *s, struct lb_snap_fault *fault)
{
	uint64_t total;
	int err = open_whole(s, &s->fault);

	if (err && err != -EBADMSG)
		return err;
	err = open_ends(s, &total, fault);
	if (err)
		return err;
	s->whole = false;
	s->entries = s->blocks = 0;
	return read_through(s, total);
}

static int file_size(int fd, uint64_t *size)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return -ESPIPE;
	*size = (uint64_t)st.st_size;
	return 0;
}

int lb_snap_open(struct lb_snap *s, int fd, bool damaged, struct lb_snap_fault *fault)
{
	int err;

	*fault = (struct lb_snap_fault){ 0 };
	*s = (struct lb_snap){ .fd = fd };
	err = file_size(fd, &s->size);
	if (!err)
		err = damaged ? open_damaged(s, fault) : open_whole(s, fault);
	if (err)
		lb_snap_close(s);
	return err;
}

int lb_snap_open_part(struct lb_snap *s, int fd, const struct lb_snap_position *to,
		      struct lb_snap_fault *fault)
{
	int err;

	*s = (struct lb_snap){ .fd = fd };
	err = file_size(fd, &s->size);
	if (!err)
		err = read_head(s, 0, fault);
	if (!err && (to->offset < s->begin || to->offset > s->size))
		err = refuse(fault, "the file is shorter than it was", s->size);
	if (err) {
		s->fd = -1;
		lb_snap_close(s);
	}
	s->end = to->offset;
	s->entries = to->entries;
	s->blocks = to->blocks;
	return err;
}

void lb_snap_close(struct lb_snap *s)
{
	int fd = s->fd;

	s->fd = -1;
	free(s->header);
	free(s->gaps);
	s->header = NULL;
	s->gaps = NULL;
	s->ngaps = 0;
	if (fd >= 0)
		close(fd);
}
