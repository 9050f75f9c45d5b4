/* SPDX-License-Identifier: MIT */
/* A walk over the map of the C baseline, a batch at a time. */
#ifndef LUABPF_BENCH_WALK_H
#define LUABPF_BENCH_WALK_H

#include "connections.h"
#include "side.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static int fd;
static const char *argument;	/* of the command: how many entries a batch has, 0 for BATCH */

struct walk {
	struct key *keys;
	struct value *values;
	uint32_t room, cursor;
	bool started, ended;
};

static void walk_reserve(struct walk *w, uint32_t room)
{
	free(w->keys);
	free(w->values);
	w->room = room;
	w->keys = malloc(room * sizeof(*w->keys));
	w->values = malloc(room * sizeof(*w->values));
	if (!w->keys || !w->values)
		die("out of memory");
}

static struct walk walk_open(void)
{
	uint32_t room = (uint32_t)strtoul(argument, NULL, 10);
	struct walk w = { 0 };

	walk_reserve(&w, room ? room : BATCH);
	return w;
}

static void walk_close(struct walk *w)
{
	free(w->keys);
	free(w->values);
}

/* The number of entries read into w->keys and w->values, 0 at the end. */
static uint32_t walk_next(struct walk *w)
{
	while (!w->ended) {
		uint32_t n = w->room, next;
		int err = bpf_map_lookup_batch(fd, w->started ? &w->cursor : NULL, &next, w->keys,
					       w->values, &n, NULL);

		if (err && errno == ENOSPC) {	/* a bucket larger than the buffer */
			walk_reserve(w, w->room * 2);
			continue;
		}
		if (err && errno != ENOENT)
			die("lookup_batch: %s", strerror(errno));
		w->ended = err != 0;
		w->started = true;
		w->cursor = next;
		if (n)
			return n;
	}
	return 0;
}

#endif
