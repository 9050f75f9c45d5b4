/* SPDX-License-Identifier: MIT */
/*
 * Names used twice. See distinct.h. Names are sorted, so that equal ones stand side by
 * side; the work of renaming is done only where there are any.
 */
#include "lib/layout/distinct.h"

#include "lib/layout/record.h"

#include <stdio.h>
#include <stdlib.h>

/* A name, and which of all it is. */
struct entry {
	const char *name;
	uint32_t order;
};

struct list {
	struct lb_layout *layout;
	struct entry *at;
	uint32_t n;
	const char **renamed;	/* by order: the new name, or NULL */
};

static int compare(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->order > y->order) - (x->order < y->order);
}

static void sort(struct list *l)
{
	if (l->n)
		qsort(l->at, l->n, sizeof(*l->at), compare);
}

static void add(struct list *l, const char *name)
{
	l->at[l->n] = (struct entry){ name, l->n };
	l->n++;
}

static bool same(const struct list *l, uint32_t i)
{
	return i > 0 && strcmp(l->at[i - 1].name, l->at[i].name) == 0;
}

static bool has_same(const struct list *l)
{
	for (uint32_t i = 1; i < l->n; i++)
		if (same(l, i))
			return true;
	return false;
}

/* ---- members ---------------------------------------------------------- */

static uint32_t count_names(const struct lb_field *fields, uint32_t n)
{
	uint32_t names = 0;

	for (uint32_t i = 0; i < n; i++)
		names += fields[i].name ? 1 : fields[i].type->nmembers;
	return names;
}

/* Those of anonymous members are in members[], in the order of rename_fields. */
static void add_names(struct list *l, const struct lb_field *fields, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (fields[i].name)
			add(l, fields[i].name);
		else
			for (uint32_t k = 0; k < fields[i].type->nmembers; k++)
				add(l, fields[i].type->members[k].name);
	}
}

/* Whether a name is one of the list, which is sorted. */
static bool is_taken(const struct list *l, const char *name)
{
	uint32_t low = 0, high = l->n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = strcmp(l->at[mid].name, name);

		if (order == 0)
			return true;
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* The name with the next number that is free. */
static const char *new_name(const struct list *l, const char *name, uint32_t *number)
{
	size_t room = strlen(name) + 12;
	char *text = lb_layout_alloc(l->layout, room);

	do {
		++*number;
		if (text)
			snprintf(text, room, "%s_%u", name, *number);
	} while (text && is_taken(l, text));
	return text;
}

static bool find_new_names(struct list *l)
{
	uint32_t number = 1;

	for (uint32_t i = 0; i < l->n; i++) {
		if (!same(l, i)) {
			number = 1;
			continue;
		}
		l->renamed[l->at[i].order] = new_name(l, l->at[i].name, &number);
		if (!l->renamed[l->at[i].order])
			return false;
	}
	return true;
}

static bool rename_fields(const struct list *l, struct lb_field *fields, uint32_t n, uint32_t *at);

/* A copy of an anonymous member's type, whose fields have their new names. NULL: out of memory. */
static const struct lb_type *renamed_copy(const struct list *l, const struct lb_type *type,
					  uint32_t *at)
{
	struct lb_type *copy = lb_layout_alloc(l->layout, sizeof(*copy));
	struct lb_field *fields = lb_layout_alloc(l->layout, type->nfields * sizeof(*fields));

	if (!copy || !fields)
		return NULL;
	*copy = *type;
	if (type->nfields)
		memcpy(fields, type->fields, type->nfields * sizeof(*fields));
	copy->fields = fields;
	if (!rename_fields(l, fields, type->nfields, at) || !lb_type_finish(l->layout, copy))
		return NULL;
	return copy;
}

static bool rename_fields(const struct list *l, struct lb_field *fields, uint32_t n, uint32_t *at)
{
	for (uint32_t i = 0; i < n; i++) {
		struct lb_field *f = &fields[i];

		if (!f->name) {
			f->type = renamed_copy(l, f->type, at);
			if (!f->type)
				return false;
		} else if (l->renamed[(*at)++]) {
			f->name = l->renamed[*at - 1];
		}
	}
	return true;
}

bool lb_distinct_fields(struct lb_layout *layout, struct lb_field *fields, uint32_t n)
{
	uint32_t names = count_names(fields, n), at = 0;
	struct list l = { .layout = layout, .at = malloc((names + 1) * sizeof(*l.at)) };
	bool done = l.at != NULL;

	if (done) {
		add_names(&l, fields, n);
		sort(&l);
	}
	if (done && has_same(&l)) {
		l.renamed = calloc(names, sizeof(*l.renamed));
		done = l.renamed && find_new_names(&l) && rename_fields(&l, fields, n, &at);
	}
	free(l.at);
	free(l.renamed);
	return done;
}

/* ---- values of enums -------------------------------------------------- */

bool lb_distinct_values(struct lb_enumerator *values, uint32_t *n)
{
	struct list l = { .at = malloc((*n + (size_t)1) * sizeof(*l.at)) };
	uint32_t left = 0;

	if (!l.at)
		return false;
	for (uint32_t i = 0; i < *n; i++)
		add(&l, values[i].name);
	sort(&l);
	for (uint32_t i = 0; i < l.n; i++)
		if (same(&l, i))
			values[l.at[i].order].name = NULL;
	for (uint32_t i = 0; i < *n; i++)
		if (values[i].name)
			values[left++] = values[i];
	*n = left;
	free(l.at);
	return true;
}
