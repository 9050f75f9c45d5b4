/* SPDX-License-Identifier: MIT */
/*
 * Writing snapshot files. See snapfile.h.
 *
 * Blocks go out as they come, from the memory of whoever read them: header,
 * keys and values in one call. A batch that is larger than a block may be is
 * written in pieces.
 */
#include "lib/snapshot/snapfile.h"

#include "lib/file/fdwrite.h"
#include "lib/snapshot/snapformat.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- bytes out ---------------------------------------------------------- */

/* Whether bytes go where they are told to. Source: pwrite(2), "BUGS": not where O_APPEND is set. */
static bool can_seek(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_APPEND) && lseek(fd, 0, SEEK_CUR) >= 0;
}

/* Writes all of it after the position; the position moves when that is done. */
static int write_out(struct lb_snap_writer *w, struct iovec *v, int n)
{
	uint64_t at = w->offset;
	int err;

	if (w->broken)
		return -EPIPE;
	err = lb_write_all(w->fd, w->seekable, v, n, &at, &w->asked);
	w->broken = err && !w->seekable && at != w->offset;
	if (!err)
		w->offset = at;
	return err;
}

/* ---- beginning ---------------------------------------------------------- */

static bool possible(uint32_t key_size, uint32_t value_size)
{
	return key_size <= LB_SNAP_ENTRY && value_size <= LB_SNAP_ENTRY &&
	       (key_size || value_size);
}

static int make_head(struct lb_snap_writer *w, const char *header, size_t size)
{
	struct lb_snap_preface p = {
		.version = htole32(LB_SNAP_VERSION), .header_size = htole32((uint32_t)size),
		.key_size = htole32(w->key_size), .value_size = htole32(w->value_size),
		.header_crc = htole32(lb_crc32c(0, header, size)),
	};

	memcpy(p.magic, LB_SNAP_MAGIC, sizeof(p.magic));
	p.crc = htole32(LB_SNAP_CRC(&p));
	w->head_size = (uint32_t)(sizeof(p) + size);
	w->head = malloc(w->head_size);
	if (!w->head)
		return -ENOMEM;
	memcpy(w->head, &p, sizeof(p));
	memcpy(w->head + sizeof(p), header, size);
	return 0;
}

int lb_snap_begin(struct lb_snap_writer *w, int fd, uint32_t key_size, uint32_t value_size,
		  const char *header, size_t header_size)
{
	struct iovec v;
	int err;

	*w = (struct lb_snap_writer){ .fd = fd, .key_size = key_size, .value_size = value_size };
	if (!possible(key_size, value_size) || header_size > LB_SNAP_HEADER)
		return -EINVAL;
	w->seekable = can_seek(fd);
	err = make_head(w, header, header_size);
	if (err)
		return err;
	v = lb_iovec(w->head, w->head_size);
	return write_out(w, &v, 1);
}

/* ---- going on ----------------------------------------------------------- */

static int refuse(struct lb_snap_fault *fault, const char *why, uint64_t offset)
{
	*fault = (struct lb_snap_fault){ why, offset };
	return -EBADMSG;
}

/* Reads the blocks up to the position, which must be their end. */
static int read_again(struct lb_snap_writer *w, const struct lb_snap *s,
		      const struct lb_snap_position *from, struct lb_snap_fault *fault)
{
	struct lb_snap_cursor c;
	int64_t n;

	lb_snap_start(&c, s);
	while ((n = lb_snap_next(&c, fault)) > 0)
		;
	w->offset = c.offset;
	w->entries = c.entries;
	w->blocks = c.blocks;
	w->chain = c.chain;
	lb_snap_stop(&c);
	if (n < 0)
		return (int)n;
	if (c.entries != from->entries || c.blocks != from->blocks)
		return refuse(fault, "the file has other entries", from->offset);
	return 0;
}

/* Opens what is there as if it ended at the position. */
static int reopen(struct lb_snap_writer *w, const struct lb_snap_position *from,
		  struct lb_snap_fault *fault)
{
	struct lb_snap s;
	int err = lb_snap_open_part(&s, w->fd, from, fault);

	if (err)
		return err;
	if (s.key_size != w->key_size || s.value_size != w->value_size)
		err = refuse(fault, "the file has entries of another size", 0);
	if (!err)
		err = make_head(w, s.header, s.header_size);
	if (!err)
		err = read_again(w, &s, from, fault);
	s.fd = -1;
	lb_snap_close(&s);
	return err;
}

int lb_snap_resume(struct lb_snap_writer *w, int fd, uint32_t key_size, uint32_t value_size,
		   const struct lb_snap_position *from, struct lb_snap_fault *fault)
{
	int err;

	*fault = (struct lb_snap_fault){ 0 };
	*w = (struct lb_snap_writer){ .fd = fd, .seekable = can_seek(fd), .key_size = key_size,
				      .value_size = value_size };
	if (!possible(key_size, value_size))
		return -EINVAL;
	err = reopen(w, from, fault);
	if (!err && ftruncate(fd, (off_t)w->offset) < 0)
		err = -errno;
	return err;
}

/* ---- blocks ------------------------------------------------------------- */

/* Entries of a block at most. */
static uint32_t most(const struct lb_snap_writer *w)
{
	uint32_t n = LB_SNAP_BLOCK / (w->key_size + w->value_size);

	return n ? n : 1;
}

uint32_t lb_snap_sum(const uint8_t *keys, size_t key_bytes, const uint8_t *values,
		     size_t value_bytes)
{
	return lb_crc32c(lb_crc32c(0, keys, key_bytes), values, value_bytes);
}

int lb_snap_add_block(struct lb_snap_writer *w, const uint8_t *keys, const uint8_t *values,
		      uint32_t n, uint32_t sum)
{
	size_t key_bytes = (size_t)n * w->key_size, value_bytes = (size_t)n * w->value_size;
	struct lb_snap_block b = { .n = htole32(n), .first = htole64(w->entries),
				   .data_crc = htole32(sum) };
	struct iovec v[3];
	int err;

	if (w->finished || n == 0 || n > most(w))
		return -EINVAL;
	memcpy(b.magic, LB_SNAP_BLOCK_MAGIC, sizeof(b.magic));
	b.crc = htole32(LB_SNAP_CRC(&b));
	v[0] = lb_iovec(&b, sizeof(b));
	v[1] = lb_iovec(keys, key_bytes);
	v[2] = lb_iovec(values, value_bytes);
	err = write_out(w, v, 3);
	if (err)
		return err;
	w->chain = LB_SNAP_CHAIN(w->chain, &b);
	w->entries += n;
	w->blocks++;
	return 0;
}

/* As if nothing of a batch had been added, of which some blocks were; a pipe has them. */
static int take_back(struct lb_snap_writer *w, const struct lb_snap_writer *before, int err)
{
	if (w->seekable)
		*w = *before;
	else
		w->broken = w->broken || w->blocks != before->blocks;
	return err;
}

int lb_snap_add(struct lb_snap_writer *w, const uint8_t *keys, const uint8_t *values, uint32_t n)
{
	const struct lb_snap_writer before = *w;

	if (w->finished)
		return -EINVAL;
	while (n) {
		uint32_t some = n < most(w) ? n : most(w);
		size_t key_bytes = (size_t)some * w->key_size;
		size_t value_bytes = (size_t)some * w->value_size;
		uint32_t sum = lb_snap_sum(keys, key_bytes, values, value_bytes);
		int err = lb_snap_add_block(w, keys, values, some, sum);

		if (err)
			return take_back(w, &before, err);
		keys += key_bytes;
		values += value_bytes;
		n -= some;
	}
	return 0;
}

int lb_snap_finish(struct lb_snap_writer *w)
{
	struct lb_snap_footer f = {
		.head_size = htole32(w->head_size), .blocks = htole64(w->blocks),
		.entries = htole64(w->entries), .chain = htole32(w->chain),
		.size = htole64(w->offset + w->head_size + sizeof(f)),
	};
	struct iovec v[2];
	int err;

	if (w->finished)
		return -EINVAL;
	memcpy(f.magic, LB_SNAP_FOOTER_MAGIC, sizeof(f.magic));
	f.crc = htole32(LB_SNAP_CRC(&f));
	v[0] = lb_iovec(w->head, w->head_size);
	v[1] = lb_iovec(&f, sizeof(f));
	err = write_out(w, v, 2);
	/* What was there before may have been longer. */
	if (!err && w->seekable && ftruncate(w->fd, (off_t)w->offset) < 0)
		err = errno == EINVAL ? 0 : -errno;
	w->finished = !err;
	return err;
}

void lb_snap_writer_free(struct lb_snap_writer *w)
{
	free(w->head);
	w->head = NULL;
}
