/* SPDX-License-Identifier: MIT */
/*
 * The interpreter: runs a fragment over the entries of a block in user space,
 * with the answers that the kernel gives. No Lua here.
 *
 *	struct lb_interp ip;
 *	const char *why = lb_interp_init(&ip, &fragment, &env, NULL);
 *
 *	if (!why)
 *		matched = lb_interp_match(&ip, &block, params, match);
 */
#ifndef LUABPF_LIB_CODE_INTERP_H
#define LUABPF_LIB_CODE_INTERP_H

#include "lib/code/fragment.h"

#include <stddef.h>

/* n keys, key_size apart, and their values, lb_env_stride apart. */
struct lb_block {
	const uint8_t *keys, *values;
	uint32_t n;
};

/* A fragment that was checked. Code and reductions are the caller's, kept and left as they are. */
struct lb_interp {
	struct lb_fragment f;
	struct lb_env env;
};

/*
 * NULL and ip ready; else why the environment or the fragment is refused
 * (static text, *at as lb_fragment_check sets it).
 */
const char *lb_interp_init(struct lb_interp *ip, const struct lb_fragment *f,
			   const struct lb_env *env, uint32_t *at);

/*
 * The result for one entry. params: env.nparams and env.ntables slots, NULL if there are none. A
 * fragment that stores does so there: they have to be the caller's to write.
 */
uint64_t lb_interp_entry(const struct lb_interp *ip, const uint8_t *key, const uint8_t *value,
			 const uint64_t *params);

/*
 * Runs a condition over a block: match[i] is its answer, an enum lb_answer.
 * Returns for how many that is yes.
 */
uint32_t lb_interp_match(const struct lb_interp *ip, const struct lb_block *b,
			 const uint64_t *params, uint8_t *match);

/*
 * The results for the entries that match says yes to (NULL: all), one after the
 * other, step slots apart in out. Returns how many there are.
 */
uint32_t lb_interp_column(const struct lb_interp *ip, const struct lb_block *b,
			  const uint64_t *params, const uint8_t *match, uint64_t *out,
			  size_t step);

/*
 * The columns of the entries that match says yes to: out has their words, column_step slots from
 * one column to the next and row_step from one row to the next. What where (NULL: there is none)
 * stores in the writable parameters of an entry is what its columns find there.
 */
void lb_interp_rows(const struct lb_interp *where, const struct lb_interp *columns,
		    uint32_t ncolumns, const struct lb_block *b, const uint64_t *params,
		    const uint8_t *match, uint64_t *out, size_t column_step, size_t row_step);

/*
 * A condition that goes on from entry to entry with what it stores in the writable parameters:
 * written has them, as they are before the first and after the last. Returns for how many entries
 * it says yes; ends at the first that it leaves to others, with *asked set, and written means
 * nothing.
 */
uint32_t lb_interp_fold(const struct lb_interp *ip, const struct lb_block *b,
			const uint64_t *params, uint64_t *written, bool *asked);

/* One reduction of an entry's value in a block. */
uint64_t lb_reduce(const struct lb_reduction *r, const struct lb_env *env, const uint8_t *value);

#endif
