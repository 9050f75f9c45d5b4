/* SPDX-License-Identifier: MIT */
/*
 * Work on many given keys: lookup, update, delete, delete if unchanged,
 * upsert. Updates and deletes by batch calls where the type has them, all else
 * by single calls, the same answer either way. No Lua here.
 *
 * Keys lie key_size apart, values value_stride apart. Each function returns 0
 * or -errno; the tally counts what was done until then, and tally->done how
 * many keys from the first were dealt with. status, if not NULL, gets one
 * enum lb_status per key dealt with.
 */
#ifndef LUABPF_LIB_KEYS_BULK_H
#define LUABPF_LIB_KEYS_BULK_H

#include "lib/kernel/kmap.h"

enum lb_mode { LB_ANY, LB_NOEXIST, LB_EXIST };

enum lb_status {
	LB_ST_NONE,		/* not dealt with: an error came first */
	LB_ST_FOUND,
	LB_ST_MISSING,
	LB_ST_STORED,
	LB_ST_EXISTS,		/* not stored: mode noexist */
	LB_ST_INSERTED,
	LB_ST_UPDATED,
	LB_ST_DELETED,
	LB_ST_CHANGED,		/* not deleted, not stored: the value is another one */
};

struct lb_tally {
	uint32_t done, found, missing, stored, inserted, updated, deleted, changed;
};

struct lb_keys {
	const uint8_t *keys;
	const uint8_t *values;	/* NULL where none are needed */
	uint32_t n;
	uint8_t *status;	/* n bytes, or NULL */
};

/* Values of found keys are written to values, the others left alone. */
int lb_bulk_lookup(struct lb_kmap *m, const struct lb_keys *in, uint8_t *values,
		   struct lb_tally *t);
/* Modes other than LB_ANY go by single calls: the kernel has no conditional batch update. */
int lb_bulk_update(struct lb_kmap *m, const struct lb_keys *in, enum lb_mode mode,
		   struct lb_tally *t);
/* Goes on past missing keys. */
int lb_bulk_delete(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t);
/*
 * Deletes the entries that still have the value given: each is read again and
 * compared immediately before its own delete, about a microsecond earlier.
 */
int lb_bulk_delete_equal(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t);
/* Replaces what exists, inserts what does not, and counts which. */
int lb_bulk_upsert(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t);

/* Whether two values are equal, per-CPU padding left out. */
bool lb_value_equal(const struct lb_kmap *m, const uint8_t *a, const uint8_t *b);

#endif
