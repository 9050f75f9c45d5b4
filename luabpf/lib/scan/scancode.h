/* SPDX-License-Identifier: MIT */
/*
 * The instructions of a kernel scan, and where things lie in its context and its
 * region: what scan.c asks of scancode.c.
 */
#ifndef LUABPF_LIB_SCAN_SCANCODE_H
#define LUABPF_LIB_SCAN_SCANCODE_H

#include "lib/scan/scanspec.h"

/* Slots of the context, after the parameters. The sums follow. */
enum {
	LB_AT_VISITED,
	LB_AT_MATCHED,
	LB_AT_DELETED,
	LB_AT_MISSING,
	LB_AT_CUT,
	LB_AT_UPDATED,
	LB_AT_KEPT,
	LB_AT_ROWS,		/* stored */
	LB_AT_LEFT,		/* matches still to be acted on */
	LB_AT_COUNT_ON,
	LB_AT_DRY,
	LB_AT_DEADLINE,
	LB_AT_MAX_VISITS,
	LB_AT_STOP,		/* enum lb_stop */
	LB_AT_ERROR,		/* what the deletion returned */
	LB_AT_ASKED,		/* entries left to others, stored */
	LB_AT_WALKED,		/* what bpf_for_each_map_elem returned */
	LB_AT_SUMS,
};

/* Where the rows lie in a region. */
struct lb_row_areas {
	uint32_t capacity;
	uint32_t columns, values, keys;	/* offsets */
	uint32_t asked_values, asked_keys;	/* the same, of entries that others judge */
	uint32_t scratch;			/* where changes are decided */
};

/* Bytes of a row in all. */
uint32_t lb_row_size(const struct lb_scan_spec *spec);
/* Records of groups; 0 where there are rows. */
uint32_t lb_records(const struct lb_scan_spec *spec);
/* Bytes of region for what others judge, and for changes. */
size_t lb_asked_room(const struct lb_scan_spec *spec);
/* Bytes of region before the rows: for tables, and for what others judge. */
size_t lb_scan_head(const struct lb_scan_spec *spec);
struct lb_row_areas lb_row_areas_in(const struct lb_scan_spec *spec, size_t size);
/* Writes the program into an empty image. region: NULL if there are no rows. */
void lb_scan_write(const struct lb_scan *s, const struct lb_region *region,
		   struct lb_image *image);

#endif
