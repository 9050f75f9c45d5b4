/* SPDX-License-Identifier: MIT */
/* Fields that are the kernel's own. See special.h. */
#include "lib/layout/special.h"

#include <string.h>

static void add_spans(const struct lb_type *t, uint32_t at, struct lb_span *spans, uint32_t max,
		      uint32_t *n)
{
	if (t->kind == LB_SPECIAL) {
		if (*n < max)
			spans[*n] = (struct lb_span){ at, t->size };
		(*n)++;
	}
	for (uint32_t i = 0; t->kind == LB_ARRAY && i < t->n && *n <= max; i++)
		add_spans(t->elem, at + i * t->elem->size, spans, max, n);
	for (uint32_t i = 0; i < t->nmembers; i++)
		add_spans(t->members[i].type, at + t->members[i].offset, spans, max, n);
}

uint32_t lb_special_spans(const struct lb_type *type, struct lb_span *spans, uint32_t max)
{
	uint32_t n = 0;

	if (type)
		add_spans(type, 0, spans, max, &n);
	return n;
}

bool lb_has_lock(const struct lb_type *type)
{
	for (uint32_t i = 0; type && i < type->nmembers; i++)
		if (strcmp(type->members[i].type->name, "bpf_spin_lock") == 0)
			return true;
	return false;
}
