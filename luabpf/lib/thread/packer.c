/* SPDX-License-Identifier: MIT */
/*
 * Parcels of rows and of blocks. See packer.h.
 *
 * A block's data is ready in its parcel, with its checksum; its header says how
 * many entries come before it, so whoever writes the file makes that.
 */
#include "lib/thread/packer.h"

#include "lib/snapshot/snapfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of text that are gathered before they are handed over, unless a row needs more. */
#define TEXT_SIZE (64u << 10)
/* Bytes of a block, unless an entry needs more. */
#define BLOCK_SIZE (256u << 10)
/* Between two looks at whether the workers were cancelled; ns. */
#define PATIENCE 100000000u

static size_t value_size(const struct lb_pack_spec *s)
{
	return s->columns ? s->ncolumns * sizeof(uint64_t) : s->value_stride;
}

/* The values of a block lie behind room for as many keys as it might have had. */
static void seal(const struct lb_packer *p, struct lb_parcel *block)
{
	size_t key_size = p->spec->key_size;

	block->key_bytes = block->n * key_size;
	block->value_bytes = block->n * value_size(p->spec);
	if (block->n < p->room)
		memmove(block->bytes + block->key_bytes, block->bytes + p->room * key_size,
			block->value_bytes);
	block->sum = lb_snap_sum(block->bytes, block->key_bytes, block->bytes + block->key_bytes,
				 block->value_bytes);
}

int lb_packer_flush(struct lb_packer *p)
{
	struct lb_parcel *parcel = p->parcel;
	bool cancelled = false;

	p->parcel = NULL;
	if (!parcel)
		return 0;
	if (p->spec->form == LB_PACK_BLOCKS)
		seal(p, parcel);
	while (!lb_workers_push(p->workers, parcel, PATIENCE, &cancelled))
		if (cancelled)
			return -ECANCELED;
	return 0;
}

/* Flushes, and makes an empty parcel of so many bytes. */
static int next_parcel(struct lb_packer *p, size_t bytes)
{
	int err = lb_packer_flush(p);

	if (err)
		return err;
	p->parcel = malloc(sizeof(*p->parcel) + bytes);
	if (!p->parcel)
		return -ENOMEM;
	*p->parcel = (struct lb_parcel){ 0 };
	return 0;
}

/* ---- rows of text --------------------------------------------------------------- */

static int add_row(struct lb_packer *p, const uint8_t *const bases[2])
{
	size_t longest = lb_writer_longest(p->spec->writer);
	char *text, *end;
	int err = 0;

	if (!p->parcel || p->room - p->parcel->key_bytes < longest) {
		p->room = longest > TEXT_SIZE ? longest : TEXT_SIZE;
		err = next_parcel(p, p->room);
	}
	if (err)
		return err;
	text = (char *)p->parcel->bytes;
	end = lb_writer_row(p->spec->writer, bases, text + p->parcel->key_bytes);
	p->parcel->key_bytes = (size_t)(end - text);
	p->parcel->n++;
	return 0;
}

static int add_text(struct lb_packer *p, const struct lb_block *block, const uint8_t *match,
		    const uint64_t *words)
{
	const struct lb_pack_spec *s = p->spec;
	int err = 0;

	for (uint32_t i = 0; i < block->n && !err; i++) {
		const uint8_t *const entry[2] = { block->keys + (size_t)i * s->key_size,
						  block->values + (size_t)i * s->value_stride };
		const uint8_t *const columns[2] = { (const uint8_t *)words };

		if (match[i] != LB_YES)
			continue;
		err = add_row(p, s->columns ? columns : entry);
		words += s->columns ? s->ncolumns : 0;
	}
	return err;
}

/* ---- blocks of a snapshot ---------------------------------------------------------- */

static int add_entries(struct lb_packer *p, const uint8_t *keys, const uint8_t *values, size_t n)
{
	size_t key_size = p->spec->key_size, size = value_size(p->spec);

	while (n) {
		size_t some;
		int err = 0;

		if (!p->parcel || p->parcel->n == p->room) {
			size_t most = BLOCK_SIZE / (key_size + size);

			p->room = most ? most : 1;
			err = next_parcel(p, p->room * (key_size + size));
		}
		if (err)
			return err;
		some = n < p->room - p->parcel->n ? n : p->room - p->parcel->n;
		memcpy(p->parcel->bytes + p->parcel->n * key_size, keys, some * key_size);
		memcpy(p->parcel->bytes + p->room * key_size + p->parcel->n * size, values,
		       some * size);
		p->parcel->n += (uint32_t)some;
		keys += some * key_size;
		values += some * size;
		n -= some;
	}
	return 0;
}

/* By runs of entries that match. */
static int add_blocks(struct lb_packer *p, const struct lb_block *block, const uint8_t *match,
		      const uint64_t *words)
{
	const struct lb_pack_spec *s = p->spec;
	size_t row = 0;
	int err = 0;

	for (uint32_t i = 0, end; i < block->n && !err; i = end) {
		const uint8_t *values = block->values + (size_t)i * s->value_stride;

		for (end = i + 1; end < block->n && match[end] == match[i]; end++)
			;
		if (match[i] != LB_YES)
			continue;
		if (s->columns)
			values = (const uint8_t *)(words + row * s->ncolumns);
		err = add_entries(p, block->keys + (size_t)i * s->key_size, values, end - i);
		row += end - i;
	}
	return err;
}

int lb_packer_add(struct lb_packer *p, const struct lb_block *block, const uint8_t *match,
		  const uint64_t *words)
{
	return p->spec->form == LB_PACK_TEXT ? add_text(p, block, match, words)
					     : add_blocks(p, block, match, words);
}

void lb_packer_close(struct lb_packer *p)
{
	free(p->parcel);
	p->parcel = NULL;
}
