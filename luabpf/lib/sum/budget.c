/* SPDX-License-Identifier: MIT */
/*
 * The memory limit of a query. See budget.h.
 */
#include "lib/sum/budget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Records to begin with. */
#define FIRST 64

static bool fits(const struct lb_budget *b, size_t size)
{
	return size <= b->limit && b->used <= b->limit - size;
}

void *lb_budget_resize(struct lb_budget *b, void *p, size_t old, size_t size)
{
	void *q = NULL;

	if (size > old && !fits(b, size - old))
		b->err = -ENOBUFS;
	else if (!(q = realloc(p, size)))
		b->err = -ENOMEM;
	else
		b->used += size - old;
	return q;
}

void lb_budget_free(struct lb_budget *b, void *p, size_t size)
{
	if (!p)
		return;
	free(p);
	b->used -= size;
}

uint64_t lb_budget_grow(struct lb_budget *b, uint64_t now, uint64_t max, size_t size)
{
	uint64_t room = b->limit > b->used ? (b->limit - b->used) / size : 0;
	uint64_t more = now ? now : FIRST;

	if (more > room)
		more = room;
	if (more > max - now)
		more = max - now;
	if (more == 0)
		b->err = -ENOBUFS;
	return now + more;
}

const char *lb_budget_error(const struct lb_budget *b, const char *what, char *buf, size_t size)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	size_t limit = b->limit, unit = 0;

	if (b->err != -ENOBUFS) {
		snprintf(buf, size, "out of memory for %s", what);
		return buf;
	}
	for (; limit && limit % 1024 == 0 && unit < 4; unit++)
		limit /= 1024;
	snprintf(buf, size, "%s need more than %zu %s (option 'memory')", what, limit, units[unit]);
	return buf;
}
