/* SPDX-License-Identifier: MIT */
/*
 * Changes of entries where they are: which fields get which values, and how. No
 * Lua here.
 *
 * HOW IT WORKS. An entry's value is copied, a word at a time, to a scratch copy that
 * nobody else writes to. Condition and new values are computed on the copy, so that
 * all of them are of one reading. Then each word that changes is compared with the
 * copy and exchanged; where another writer was quicker, the copy gets what is there
 * now and everything is computed again, except what has been stored. Nothing is stored
 * before all new values are known to fit their fields.
 *
 * What is computed lies in the writable slots of the parameters, one for each store. A fragment that
 * decides fills all of them; words that it leaves as they are are not stored.
 */
#ifndef LUABPF_LIB_CODE_CHANGE_H
#define LUABPF_LIB_CODE_CHANGE_H

#include "lib/code/interp.h"
#include "lib/code/emit.h"

#define LB_MAX_PUTS 30
/* Attempts before another writer is left alone. */
#define LB_EDIT_TRIES 8

enum lb_cell_how {
	LB_CELL_EXCHANGE,	/* compare and exchange with what was read; aligned, 4 or 8 bytes */
	LB_CELL_PLAIN,		/* a store like any other: at offsets that take no atomic one */
	LB_CELL_ADD,		/* atomic addition of what its only store has; 4 or 8 bytes */
	LB_CELL_TAKE,		/* exchange with zero: the copy gets what was there; 4 or 8 bytes */
};

struct lb_cell {
	uint32_t offset, size;		/* bytes; size 1, 2, 4 or 8 */
	enum lb_cell_how how;
};

/* A field of a word, which is read as a little-endian integer. */
struct lb_put {
	uint32_t word;			/* its number */
	uint32_t bit, bits;
	bool is_signed;			/* what fits in it */
	bool positive;			/* ... and is not negative: the value has no sign */
	bool big;			/* stored big-endian */
};

struct lb_edit {
	const struct lb_cell *words;
	uint32_t nwords;		/* 0: changes nothing */
	const struct lb_put *puts;	/* in the order of their words */
	uint32_t nputs;
	struct lb_fragment decide;	/* fills the slots with what fits, and answers; n 0: values do */
	const struct lb_fragment *values;	/* one a store; n 0: it needs none */
	uint32_t lock;			/* offset of the value's spin lock */
	bool locked;			/* there is one */
};

/* What became of an entry; the first three are those of enum lb_answer. */
enum { LB_KEPT = LB_ASK + 1 };

/* Writable slots that it needs. */
static inline uint32_t lb_edit_slots(const struct lb_edit *x)
{
	return x->nwords ? x->nputs : 0;
}

/* Bytes of memory shared with the program: the copy, and what is done. */
static inline uint32_t lb_edit_room(const struct lb_env *env)
{
	return ((env->value_size + 7) & ~7u) + 8;
}

/* NULL if it is sound, in that environment; else why not, static text. */
const char *lb_edit_check(const struct lb_edit *x, const struct lb_env *env);

/* A copy of what it points to, at *p, which moves on; and the bytes that takes. */
void lb_edit_keep(struct lb_edit *to, const struct lb_edit *from, uint8_t **p);
size_t lb_edit_kept(const struct lb_edit *x);

/* ---- in a program ------------------------------------------------------ */

/* Where a program has what a change needs. */
struct lb_editor {
	const struct lb_env *env;
	const struct lb_edit *change;
	const struct lb_fragment *where;	/* n 0: every entry */
	const struct lb_span *zeros;	/* special fields */
	uint32_t nzeros;
	unsigned int own;		/* the first of three own slots of the callback */
	int region_fd;
	uint32_t scratch;		/* offset of lb_edit_room() bytes in the region */
	int dry, left;			/* offsets in the context: nothing is stored where the
					 * first is not 0 or the second is; -1: no such */
};

/*
 * Changes the entry of r6 (key) and r7 (live value); r8 is the context. Leaves in r0 an
 * enum lb_answer or LB_KEPT, in r7 the copy that it was decided on.
 */
void lb_emit_edit(struct lb_code *c, const struct lb_editor *x);

/* ---- here --------------------------------------------------------------- */

/* The same over copies. params: all slots; the writable ones are used. */
struct lb_edit_interp {
	const struct lb_edit *change;
	const struct lb_interp *where;	/* NULL: every entry */
	const struct lb_interp *decide, *values;	/* prepared from the change's */
};

/* enum lb_answer. YES: value, one entry's, is changed. *store: LB_ASK for a value that does not fit. */
int lb_edit_apply(const struct lb_edit_interp *x, const uint8_t *key, uint8_t *value,
		    uint64_t *params, uint32_t *store);

#endif
