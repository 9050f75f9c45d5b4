/* SPDX-License-Identifier: MIT */
/*
 * The snapshot file: entries of a map on disk. docs/snapshot-format.md defines
 * the format. No Lua here.
 *
 *	head      preface (sizes, version) and header (text)
 *	block*    a header of 24 bytes, n keys, n values
 *	head      once more
 *	footer    totals
 *
 * Every byte is under a CRC32C, and the sizes add up to the file's: whoever
 * reads a file to its end has seen that all of it is as it was written. A
 * reader trusts no length before its checksum was found right and what it
 * speaks of lies within the file.
 *
 * Functions return 0 or a count, or -errno; -EBADMSG for what is no snapshot,
 * or a damaged one: the fault says what is wrong, and where.
 */
#ifndef LUABPF_LIB_SNAPSHOT_SNAPFILE_H
#define LUABPF_LIB_SNAPSHOT_SNAPFILE_H

#include "lib/file/fdwrite.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LB_SNAP_VERSION 1
/* Bytes of keys and values in one block, which may only be more if it has one entry. */
#define LB_SNAP_BLOCK (4u << 20)
/* Bytes of the header's text. */
#define LB_SNAP_HEADER (16u << 20)
/* Bytes of a key, of an entry's value. */
#define LB_SNAP_ENTRY (1u << 30)

struct lb_snap_fault {
	const char *why;		/* static text */
	uint64_t offset;		/* in the file */
};

/* How far a file has come: offset, entries and blocks of its writer. */
struct lb_snap_position {
	uint64_t offset, entries, blocks;
};

/* ---- writing ------------------------------------------------------------ */

/*
 * A file that is being written. Where fd can seek, what fails leaves the position
 * as it was and may be tried again; a pipe that took some of it is broken, and so is
 * a file that was opened for appending.
 */
struct lb_snap_writer {
	int fd;				/* the caller's */
	bool seekable, broken, finished;
	uint32_t key_size, value_size;	/* bytes of an entry's key and value */
	uint8_t *head;			/* malloc'd */
	uint32_t head_size;
	uint64_t offset;		/* of the end of the last whole block */
	uint64_t entries, blocks;
	uint32_t chain;			/* CRC of the headers of the blocks */
	struct lb_asked asked;		/* where a pipe is full; set after it was begun */
};

/*
 * Begins a file, and writes its head: at offset 0 of fd, or where that is if it cannot seek, as
 * one opened for appending, which is at the file's end. header: UTF-8 text.
 */
int lb_snap_begin(struct lb_snap_writer *w, int fd, uint32_t key_size, uint32_t value_size,
		  const char *header, size_t header_size);
/*
 * Goes on with a file of the same sizes that was written up to there: reads
 * all of it again, and cuts off what follows. fd must be open for reading too.
 */
int lb_snap_resume(struct lb_snap_writer *w, int fd, uint32_t key_size, uint32_t value_size,
		   const struct lb_snap_position *from, struct lb_snap_fault *fault);
/* Appends n entries, key_size and value_size apart, as one block or several. */
int lb_snap_add(struct lb_snap_writer *w, const uint8_t *keys, const uint8_t *values, uint32_t n);
/* The checksum of a block's data. */
uint32_t lb_snap_sum(const uint8_t *keys, size_t key_bytes, const uint8_t *values,
		     size_t value_bytes);
/* Appends a block whose sum is known. n: 1, or no more than LB_SNAP_BLOCK bytes: else -EINVAL. */
int lb_snap_add_block(struct lb_snap_writer *w, const uint8_t *keys, const uint8_t *values,
		      uint32_t n, uint32_t sum);
/* Writes the end of the file; nothing may be added afterwards. Does not sync. */
int lb_snap_finish(struct lb_snap_writer *w);
/* Frees the writer's memory; fd stays open. May be called twice. */
void lb_snap_writer_free(struct lb_snap_writer *w);

/* ---- reading ------------------------------------------------------------ */

/* A place where entries are missing. */
struct lb_snap_gap {
	uint64_t from, to;		/* offsets in the file */
	uint64_t first;			/* how many entries come before it */
	uint64_t entries;		/* missing ones; LB_SNAP_UNKNOWN: the end is gone */
	const char *why;		/* static text */
};

#define LB_SNAP_UNKNOWN UINT64_MAX

struct lb_snap {
	int fd;				/* -1: closed */
	uint64_t size;			/* of the file, as it was opened */
	uint32_t key_size, value_size;
	char *header;			/* malloc'd, with a NUL after its end */
	uint32_t header_size;
	uint64_t begin, end;		/* offsets of the blocks */
	uint64_t entries, blocks;	/* that can be read */
	uint32_t chain;
	bool whole;			/* totals are the footer's: cursors check them */
	struct lb_snap_fault fault;	/* why: head or footer are damaged; of damaged files only */
	struct lb_snap_gap *gaps;	/* malloc'd; of damaged files only */
	uint32_t ngaps;
};

/*
 * Opens a file of which it owns the descriptor from then on; closes it on
 * failure. damaged: whatever is intact of a damaged file, which is read
 * through once; without it, blocks are checked when they are read.
 */
int lb_snap_open(struct lb_snap *s, int fd, bool damaged, struct lb_snap_fault *fault);
/* Opens what a writer had written of a file up to there; fd stays the caller's. */
int lb_snap_open_part(struct lb_snap *s, int fd, const struct lb_snap_position *to,
		      struct lb_snap_fault *fault);
/* May be called twice. */
void lb_snap_close(struct lb_snap *s);

/* A scan of the blocks from the first on. */
struct lb_snap_cursor {
	const struct lb_snap *snap;
	uint64_t offset, entries, blocks;	/* behind it */
	uint32_t chain, gap;
	uint8_t *memory;			/* malloc'd: one block */
	size_t room;
	const uint8_t *keys, *values;		/* of the current block */
};

void lb_snap_start(struct lb_snap_cursor *c, const struct lb_snap *s);
/* Reads the next block into c->keys and c->values: its entries, 0 at the end. */
int64_t lb_snap_next(struct lb_snap_cursor *c, struct lb_snap_fault *fault);
/* Frees the block. May be called twice. */
void lb_snap_stop(struct lb_snap_cursor *c);

#endif
