/* SPDX-License-Identifier: MIT */
/*
 * Work on many given keys in one system call: a program that goes through the
 * keys in a region with bpf_loop (Linux 5.17) and looks up, writes or deletes
 * each. What bulk.h does by batch and single calls, and what it cannot do:
 * deletion decided on the live value. No Lua here.
 *
 *	err = lb_keyed_open(&k, map, &spec);
 *	err = lb_region_get(&pool, lb_keyed_room(&k, n), &region);
 *	err = lb_keyed_run(&k, &in, params, values, region, &tally, &log);
 *	lb_keyed_close(&k);
 *
 * A run of the program cannot be interrupted, so that one takes 16,384 keys at
 * most; lb_keyed_run makes as many as are needed. Each key gets its status,
 * with bulk.h's meanings:
 *
 *	LB_KEYED_GET		FOUND MISSING
 *	LB_KEYED_DECIDE		DELETED MISSING CHANGED: the condition does not hold
 *	LB_KEYED_COMPARE	DELETED MISSING CHANGED: the value is another one
 *	LB_KEYED_UPSERT		INSERTED UPDATED
 *	LB_KEYED_NOEXIST	STORED EXISTS
 *	LB_KEYED_EXIST		STORED MISSING
 *	LB_KEYED_DELETE		DELETED MISSING
 *	LB_KEYED_CHANGE		UPDATED MISSING CHANGED: no longer meant, or others were quicker
 *	LB_KEYED_EXCHANGE	UPDATED MISSING CHANGED: the value is another one
 *
 * EXCHANGE takes two values a key, what it should be still and what it shall be, and stores
 * the words in which they differ.
 *
 * Between judging the live value and deleting lies well under a microsecond.
 * In LRU maps the lookups mark entries as used, which system calls do not.
 *
 * Programs are of type SYSCALL; keys with a prefix (LPM tries) can only be
 * looked up, by a RAW_TRACEPOINT program, which needs CAP_PERFMON too, 4096
 * keys at a time.
 */
#ifndef LUABPF_LIB_KEYS_KEYED_H
#define LUABPF_LIB_KEYS_KEYED_H

#include "lib/keys/keyspec.h"

/*
 * Copies and checks the spec. 0, -EINVAL for a bad spec, or -LB_ENOTSUPP where
 * this is not for this map; refused says why. Closed after a failure.
 */
int lb_keyed_open(struct lb_keyed *k, struct lb_kmap *map, const struct lb_keyed_spec *spec);
/* May be called twice. */
void lb_keyed_close(struct lb_keyed *k);

/* Bytes of region that are worth having for n keys; fewer do, in more runs. */
size_t lb_keyed_room(const struct lb_keyed *k, uint32_t n);
/* Keys that one run takes with a region of size bytes. */
uint32_t lb_keyed_capacity(const struct lb_keyed *k, size_t size);

/* Loads the program for a region, unless it is. What lb_keyed_run does first. */
int lb_keyed_load(struct lb_keyed *k, struct lb_region *region, struct lb_log *log);
/*
 * Does the work for all keys, from tally->done on. in->values is read by the
 * operations that store or compare; values is written by GET for keys found
 * and by DECIDE with copy for keys deleted, and left alone for others. params:
 * env.nparams slots. 0, or -errno with the tally counting what was done until
 * then: after a refusal to load nothing was, and the caller may go on with
 * bulk.h from tally->done.
 */
int lb_keyed_run(struct lb_keyed *k, const struct lb_keys *in, const uint64_t *params,
		 uint8_t *values, struct lb_region *region, struct lb_tally *tally,
		 struct lb_log *log);

#endif
