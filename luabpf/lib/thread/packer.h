/* SPDX-License-Identifier: MIT */
/*
 * What the threads of a crew hand over of a map: what matches, as rows of text
 * or as blocks of a snapshot, gathered in parcels of a bounded size. No Lua here.
 *
 *	err = lb_packer_add(&p, block, match, words);	fills parcels, pushes full ones
 *	err = lb_packer_flush(&p);			the last one
 */
#ifndef LUABPF_LIB_THREAD_PACKER_H
#define LUABPF_LIB_THREAD_PACKER_H

#include "lib/code/interp.h"
#include "lib/thread/threads.h"
#include "lib/file/rowwriter.h"

enum lb_pack_form { LB_PACK_NOTHING, LB_PACK_TEXT, LB_PACK_BLOCKS };

struct lb_pack_spec {
	enum lb_pack_form form;
	const struct lb_writer *writer;	/* LB_PACK_TEXT: of the rows */
	bool columns;			/* in place of entries; in a block, of their values */
	uint32_t ncolumns;
	uint32_t key_size, value_stride;	/* bytes from one to the next, of entries */
};

struct lb_packer {
	const struct lb_pack_spec *spec;	/* the crew's */
	struct lb_workers *workers;
	struct lb_parcel *parcel;	/* being filled, or NULL */
	size_t room;			/* in it: bytes of text, or entries */
};

/*
 * Adds what match says yes to (an enum lb_answer per entry) of a block; words are the columns of
 * that, row after row. Waits while too many parcels do: -ECANCELED if the workers
 * are cancelled meanwhile, or -ENOMEM.
 */
int lb_packer_add(struct lb_packer *p, const struct lb_block *block, const uint8_t *match,
		  const uint64_t *words);
/* Pushes what was gathered, if anything. */
int lb_packer_flush(struct lb_packer *p);
/* Frees it. May be called twice; zeroed memory is fine. */
void lb_packer_close(struct lb_packer *p);

#endif
