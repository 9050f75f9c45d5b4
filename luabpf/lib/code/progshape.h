/* SPDX-License-Identifier: MIT */
/*
 * What the program shapes of scan.c and keyed.c have in common: the registers
 * and the stack that fragments are given, and the reductions over CPUs that are
 * computed before them. No Lua here.
 *
 * A callback that runs fragments keeps the key in r6, the value in r7, the
 * context (parameters from its start) in r8 and the per-CPU slots in r9. On its
 * stack lie, from r10 down: the fragments' frame, LB_OWN bytes of
 * its own, and the block that the reductions use.
 */
#ifndef LUABPF_LIB_CODE_PROGSHAPE_H
#define LUABPF_LIB_CODE_PROGSHAPE_H

#include "lib/code/program.h"

/* The callback's own stack: 32 bytes below the frame. */
#define LB_OWN(env, slot) (-(int)lb_frame_size(env) - 8 * (int)((slot) + 1))
#define LB_OWN_SLOTS 4

/* CPUs whose values are read by straight code; more are read in a loop (bpf_loop, Linux 5.17). */
#define LB_UNROLLED_CPUS 16
/* Values above this are copied by dynptr where there is one, by straight code elsewhere. */
#define LB_STRAIGHT_COPY 512
/* Straight code for more is not written: each 8 bytes are two instructions. */
#define LB_MAX_STRAIGHT 16384

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

/* The live value of an entry, or those of all CPUs, as a whole. */
struct lb_live {
	const struct lb_env *env;
	int map_fd;
	const struct lb_span *zeros;
	uint32_t nzeros;
	bool straight;			/* no dynptrs */
};

/* NULL if a program can copy such values; else why not. */
const char *lb_live_check(const struct lb_live *live);
/* Whether they are copied by dynptr unless straight is set. */
bool lb_live_by_dynptr(const struct lb_live *live);
/*
 * Copies the value (r7, or by the key in r6 in per-CPU maps) to the address in
 * one of the own stack's slots, laid out as in a block. Uses r0 to r5 and the
 * slots from slot on.
 */
void lb_emit_live_copy(struct lb_code *c, const struct lb_live *live, unsigned int slot,
		       struct lb_label *vanished);

/* A copy of size bytes at *p, which moves on by lb_kept(size). */
size_t lb_kept(size_t size);
void *lb_keep(uint8_t **p, const void *from, size_t size);

#endif
