/* SPDX-License-Identifier: MIT */
/*
 * What those that consume rows share: how columns of u64 lie in memory, and
 * the limit on the memory that one query may take. No Lua here.
 */
#ifndef LUABPF_LIB_SUM_BUDGET_H
#define LUABPF_LIB_SUM_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One u64 of every row: of rows that lie one after another, or an array of its own (stride 1). */
struct lb_column {
	const uint64_t *at;
	size_t stride;		/* words from one row to the next */
};

static inline uint64_t lb_column_get(const struct lb_column *c, size_t row)
{
	return c->at[row * c->stride];
}

/* Memory that may be taken, and what is. */
struct lb_budget {
	size_t limit, used;	/* bytes */
	int err;		/* why the last request failed: -ENOMEM, or -ENOBUFS past the limit */
};

/*
 * realloc within the limit: p holds old bytes (NULL and 0 for none). NULL with
 * b->err set if that fails; p is then as it was. size is not 0.
 */
void *lb_budget_resize(struct lb_budget *b, void *p, size_t old, size_t size);
/* free; size is what p holds. NULL is fine. */
void lb_budget_free(struct lb_budget *b, void *p, size_t size);
/*
 * How many records of size bytes to make room for when there is room for now
 * of them: twice as many, or what the limit leaves, at most max. The same
 * number, with b->err set, if there is no more room.
 */
uint64_t lb_budget_grow(struct lb_budget *b, uint64_t now, uint64_t max, size_t size);
/*
 * What went wrong, as text: "groups need more than 64 MiB (option 'memory')".
 * what names the things that did not fit, in the plural.
 */
const char *lb_budget_error(const struct lb_budget *b, const char *what, char *buf, size_t size);

#endif
