/* SPDX-License-Identifier: MIT */
/*
 * What a keyed program does (keyed.h), as those see it who write its
 * instructions (keycode.c) and who run it (keyed.c). No Lua here.
 */
#ifndef LUABPF_LIB_KEYS_KEYSPEC_H
#define LUABPF_LIB_KEYS_KEYSPEC_H

#include "lib/code/edit.h"
#include "lib/code/program.h"
#include "lib/keys/bulk.h"

/* Keys of one run of the program: 4 to 14 ms for large maps. */
#define LB_KEYED_CHUNK 16384u
/* Values that are compared and stored by the word, by straight code. */
#define LB_MAX_EXCHANGE 2048u
/* RAW_TRACEPOINT programs run with preemption off. */
#define LB_KEYED_CHUNK_ATOMIC 4096u

enum lb_keyed_op {
	LB_KEYED_GET,
	LB_KEYED_DECIDE,
	LB_KEYED_COMPARE,
	LB_KEYED_UPSERT,
	LB_KEYED_NOEXIST,
	LB_KEYED_EXIST,
	LB_KEYED_DELETE,
	LB_KEYED_CHANGE,
	LB_KEYED_EXCHANGE,
};

struct lb_keyed_spec {
	enum lb_keyed_op op;
	/* key_size, value_size and ncpu are those of the map; CHANGE and EXCHANGE see one value of
	 * per-CPU maps, that of the CPU they are run for: ncpu 0. */
	struct lb_env env;
	struct lb_fragment where;	/* DECIDE, CHANGE: goes where it says yes; n 0: every entry */
	struct lb_edit change;	/* CHANGE */
	bool copy;			/* DECIDE, CHANGE: hand over the value judged, or taken */
	const struct lb_span *zeros;	/* special fields: copied as zeros, not compared */
	uint32_t nzeros;
	uint32_t unrolled;		/* CPUs that are read without a loop; 0: up to 16 */
};

struct lb_keyed {
	struct lb_kmap *map;		/* the caller's, open as long as this is run */
	struct lb_keyed_spec spec;	/* copied, with everything it points to */
	void *memory;
	struct lb_program program;
	bool straight;			/* dynptrs were refused: straight code copies */
	uint32_t cpu;			/* whose value CHANGE and EXCHANGE take; the caller runs there */
	uint32_t ninsns;		/* of the program as loaded last, for reports */
	const char *refused;		/* why open or run failed: static text, or NULL */
};

#endif
