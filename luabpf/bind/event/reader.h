/* SPDX-License-Identifier: MIT */
/*
 * The handle behind luabpf.reader for the batches it lends: what records look
 * like, and where those of the last look lie.
 */
#ifndef LUABPF_BIND_EVENT_READER_H
#define LUABPF_BIND_EVENT_READER_H

#include "bind/map/lender.h"
#include "bind/map/map.h"
#include "lib/event/reader.h"

#define LB_READER "luabpf.reader"
#define LB_EVENTS "luabpf.events"

/* More kinds of records than this have no reader. */
#define LB_MAX_EVENT_TYPES 256

/* User values of a reader: the map, the list of layouts, the memory of types and their builders. */
enum {
	LB_READER_MAP = 1,
	LB_READER_LAYOUTS,
	LB_READER_TYPES,
	LB_READER_BUILDERS,
	LB_READER_UVALUES = LB_READER_BUILDERS
};

/* One kind of record. */
struct lb_event_type {
	struct lb_shape shape;
	const struct lb_member *rest;	/* a struct's last member, what follows the others; or NULL */
	int64_t tag;			/* what the tag field says of this kind */
};

struct lb_event_reader {
	struct lb_reader r;
	struct lb_lender lender;
	struct lb_map *map;
	struct lb_event_type *types;
	uint32_t ntypes;		/* 0: records are bytes */
	const struct lb_member *tag;	/* NULL: one kind */
	struct lb_record *records;	/* of the last look; malloc'd */
	uint32_t room;
	uint32_t found;			/* of them, by the last look, and not given yet */
	bool perf, open;
	struct lb_event_reader *next;	/* of the process's open readers */
};

/* The reader at arg; an open one. Raises otherwise. */
struct lb_event_reader *lb_to_reader(lua_State *L, int arg);
struct lb_event_reader *lb_check_reader(lua_State *L, int arg);

#endif
