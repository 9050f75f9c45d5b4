/* SPDX-License-Identifier: MIT */
/*
 * The records of a snapshot file as they are on disk, for those that write and
 * read it. docs/snapshot-format.md explains them. Numbers are little-endian.
 */
#ifndef LUABPF_LIB_SNAPSHOT_SNAPFORMAT_H
#define LUABPF_LIB_SNAPSHOT_SNAPFORMAT_H

#include "lib/file/crc32c.h"

#include <endian.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a transfer as text would change, as PNG has them. */
#define LB_SNAP_MAGIC "\x89LBS\r\n\x1a\n"
#define LB_SNAP_BLOCK_MAGIC "\x89" "BLK"
#define LB_SNAP_FOOTER_MAGIC "\x89" "END"

/* crc is always of the bytes of the record before it. */
struct lb_snap_preface {
	char magic[8];
	uint32_t version;
	uint32_t header_size;
	uint32_t key_size, value_size;
	uint32_t header_crc;
	uint32_t crc;
};

struct lb_snap_block {
	char magic[4];
	uint32_t n;
	uint64_t first;		/* entries in the blocks before it */
	uint32_t data_crc;	/* of keys and values */
	uint32_t crc;
};

struct lb_snap_footer {
	char magic[4];
	uint32_t head_size;
	uint64_t blocks, entries;
	uint64_t size;		/* of the file */
	uint32_t chain;		/* of the blocks' headers, see LB_SNAP_CHAIN */
	uint32_t crc;
};

_Static_assert(sizeof(struct lb_snap_preface) == 32, "as documented");
_Static_assert(sizeof(struct lb_snap_block) == 24, "as documented");
_Static_assert(sizeof(struct lb_snap_footer) == 40, "as documented");

/* The crc of a record, whose last member it is. */
#define LB_SNAP_CRC(record) lb_crc32c(0, (record), offsetof(__typeof__(*(record)), crc))

/*
 * The chain goes on with the header of a block, without its crc: the CRC of
 * bytes that their own CRC follows is the same whatever they are.
 */
#define LB_SNAP_CHAIN(chain, block) \
	lb_crc32c((chain), (block), offsetof(struct lb_snap_block, crc))

#endif
