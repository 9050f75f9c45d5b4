/* SPDX-License-Identifier: MIT */
/*
 * What the program shapes of scan.c and keyed.c have in common: the registers
 * and the stack that fragments are given, and the reductions over CPUs that are
 * computed before them. No Lua here.
 *
 * A callback that runs fragments keeps the key in r6, the value in r7, the
 * context (parameters from its start) in r8 and the per-CPU slots in r9. On its
 * stack lie, from r10 down: the fragments' frame (128 bytes), LB_OWN bytes of
 * its own, and the block that the reductions use.
 */
#ifndef LUABPF_SHAPE_H
#define LUABPF_SHAPE_H

#include "program.h"

/* The callback's own stack: 32 bytes below the frame. */
#define LB_OWN(slot) (-LB_FRAME_SIZE - 8 * (int)((slot) + 1))
#define LB_OWN_SLOTS 4

/* How the reductions of an entry are computed. */
struct lb_reducer {
	const struct lb_env *env;
	int map_fd;
	uint32_t unrolled;		/* up to that many CPUs: straight code, else bpf_loop */
	uint32_t callback;		/* where the address of the loop's callback is taken */
	bool loops;
};

/* Sets r9. Nothing if there are no reductions. */
void lb_emit_slots(struct lb_code *c, const struct lb_env *env);
/*
 * Computes the slots of the entry whose key r6 points to; jumps to vanished if
 * the entry is gone meanwhile. Uses r0 to r5.
 */
void lb_emit_reductions(struct lb_code *c, struct lb_reducer *r, struct lb_label *vanished);
/* The loop's callback, after the other functions, if the reductions use one. */
void lb_emit_reducer_callback(struct lb_image *image, struct lb_reducer *r);
/* A helper's lookup of one CPU's value into r0; jumps to vanished if there is none. */
void lb_emit_percpu_lookup(struct lb_code *c, int map_fd, uint32_t cpu, struct lb_label *vanished);

#endif
