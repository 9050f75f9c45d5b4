/* SPDX-License-Identifier: MIT */
/*
 * Snapshots for the binding files: snapshot.c opens and reads them, diff.c
 * compares two.
 */
#ifndef LUABPF_BIND_SNAPSHOT_SNAPSHOT_H
#define LUABPF_BIND_SNAPSHOT_SNAPSHOT_H

#include "bind/map/map.h"
#include "lib/snapshot/snapfile.h"

struct lb_snapshot {
	struct lb_snap s;
	struct lb_map *map;	/* detached: how entries are decoded; NULL: not bound yet */
};

/* The open snapshot at arg, which is bound; raises otherwise. */
struct lb_snapshot *lb_check_snapshot(lua_State *L, int arg);
/* The writer at arg; NULL: it is something else. Raises where it is closed. */
struct lb_snap_writer *lb_test_snapshot_writer(lua_State *L, int arg);
/* Raises an error object: reading the snapshot at arg failed. */
int lb_snapshot_throw(lua_State *L, int arg, int err, const struct lb_snap_fault *fault);

#endif
