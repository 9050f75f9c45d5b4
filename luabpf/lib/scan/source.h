/* SPDX-License-Identifier: MIT */
/*
 * Sources: everything that reads a whole map gives blocks, n raw keys and n
 * raw values in two flat buffers. No Lua here.
 *
 * HOW IT WORKS. What a step does depends on the position kind of the map's
 * type (maptype.h):
 *
 *   bucket   LOOKUP_BATCH, or LOOKUP_AND_DELETE_BATCH for a drain. A call
 *            returns whole buckets, copied under their locks, so a key that
 *            stays is seen exactly once. ENOSPC means that the first bucket
 *            does not fit: the buffer doubles and the scan goes on from the
 *            same bucket. ENOENT is the end, and comes with the last entries.
 *   index    LOOKUP_BATCH; the position is the last index read.
 *   trie     LOOKUP_BATCH; the position is the last prefix read. When that
 *            prefix has been deleted the kernel starts again at the first
 *            one. The order of prefixes is known (deeper before shallower,
 *            0 before 1), so what was passed already is dropped.
 *   key      get_next_key and a lookup for each key. When the key it stands
 *            on is deleted, the kernel starts again at the first: counted as
 *            a restart, and bounded.
 *   pop      Drains of queues and stacks.
 */
#ifndef LUABPF_LIB_SCAN_SOURCE_H
#define LUABPF_LIB_SCAN_SOURCE_H

#include "lib/kernel/kmap.h"

/* What a scan did, for reports. */
struct lb_scan_stats {
	uint64_t batches;	/* blocks handed out */
	uint64_t entries;
	uint64_t calls;		/* system calls */
	uint64_t grown;		/* times the buffer was doubled */
	uint64_t retried;	/* calls repeated after EINTR, EBUSY, ENOMEM and the like */
	uint64_t restarted;	/* times the kernel began again at the first key */
};

struct lb_source {
	struct lb_kmap *map;
	struct lb_buffer buf;
	uint32_t n;			/* entries of the current block */
	uint32_t want;			/* batch size asked for */
	bool drain;
	bool walk;			/* key walk although the type has batches */
	bool started, ended;
	uint8_t *pos;			/* position: max(8, key_size) bytes, where the next block begins */
	uint8_t *next;			/* scratch of the same size */
	uint8_t *seen;			/* tries: the last prefix handed out, if has_seen */
	bool has_seen;
	uint32_t end;			/* bucket to stop before; 0: none */
	struct lb_scan_stats stats;
	const char *refused;		/* why open or seek returned -EINVAL, static text */
};

/*
 * Starts a scan. want: entries a block, 0 for the default; rounded to what one
 * call may cover. drain: read and delete. walk: use get_next_key.
 * 0, -ENOMEM, or -LB_ENOTSUPP with s->refused set if the type cannot do that.
 */
int lb_source_open(struct lb_source *s, struct lb_kmap *map, uint32_t want, bool drain, bool walk);
/* The next block into s->buf: its entries (s->n), 0 at the end, -errno. */
int lb_source_next(struct lb_source *s);
/* Gives the buffer back to the map. May be called twice, also after the map was closed. */
void lb_source_close(struct lb_source *s);

/*
 * Makes a scan that has not begun one of the buckets from first to end - 1,
 * so that several scans share a map: each key that stays is seen by one of
 * them. (A key deleted meanwhile may be seen by two neighbours.) Only where the
 * position is a bucket.
 */
void lb_source_range(struct lb_source *s, uint32_t first, uint32_t end);

/* Bytes of a saved position. */
uint32_t lb_source_pos_size(const struct lb_source *s);
/*
 * Goes on after a saved position. -EINVAL with s->refused set: the position is
 * not one of this map, or the prefix it names is gone.
 */
int lb_source_seek(struct lb_source *s, const void *pos, bool ended);

#endif
