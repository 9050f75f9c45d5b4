/* SPDX-License-Identifier: MIT */
/*
 * What program shapes share. See progshape.h.
 *
 * Per-CPU reductions: lb_reduce in interp.c is the same in C. Up to a number of
 * CPUs each is read by code of its own. For more the loop over the CPUs is
 * bpf_loop, whose callback gets the address of a block on the stack of its
 * caller: the key, a flag that is set when an entry has vanished, and the slots.
 */
#include "lib/code/progshape.h"

#include "lib/layout/layout.h"

#include <string.h>

#define R(n) BPF_REG_##n

/* Offsets in the block. */
enum { BLOCK_KEY = 0, BLOCK_GONE = 8, BLOCK_SLOTS = 16 };

static int block_offset(const struct lb_env *env)
{
	return LB_OWN(env, LB_OWN_SLOTS - 1) - BLOCK_SLOTS - 8 * (int)env->nreductions;
}

void lb_emit_slots(struct lb_code *c, const struct lb_env *env)
{
	if (!env->nreductions)
		return;
	lb_emit(c, LB_MOV(R(9), R(10)));
	lb_emit(c, LB_ADD_K(R(9), block_offset(env) + BLOCK_SLOTS));
}

void lb_emit_percpu_lookup(struct lb_code *c, int map_fd, uint32_t cpu, struct lb_label *vanished)
{
	lb_emit_map(c, R(1), map_fd);
	lb_emit(c, LB_MOV(R(2), R(6)));
	lb_emit(c, LB_MOV_K(R(3), cpu));
	lb_emit(c, LB_CALL(BPF_FUNC_map_lookup_percpu_elem));
	lb_jump(c, LB_JUMP_K(BPF_JEQ, R(0), 0), vanished);
}

/* The field of the value at r0 into r1. */
static void emit_field(struct lb_code *c, const struct lb_reduction *r)
{
	static const uint8_t codes[] = { 0, BPF_B, BPF_H, 0, BPF_W, 0, 0, 0, BPF_DW };
	uint32_t width = r->bits ? r->bits : r->size * 8, above = 64 - r->bit - width;

	lb_emit(c, LB_LOAD(codes[r->size], R(1), R(0), r->offset));
	if (r->big && r->size > 1)
		lb_emit(c, LB_BE(R(1), r->size * 8));
	if (!r->bits && !r->is_signed)
		return;
	if (above)
		lb_emit(c, LB_ALU_K(BPF_LSH, R(1), above));
	if (width < 64)
		lb_emit(c, LB_ALU_K(r->is_signed ? BPF_ARSH : BPF_RSH, R(1), 64 - width));
}

/* Joins the field in r1 to the slot at r2 + off. */
static void emit_join(struct lb_code *c, const struct lb_reduction *r, unsigned int slots,
		      uint32_t off)
{
	static const uint8_t keeps[2][2] = { { BPF_JLE, BPF_JGE }, { BPF_JSLE, BPF_JSGE } };
	struct lb_label kept = { .n = 0 };

	if (r->op != LB_REDUCE_CPU)
		lb_emit(c, LB_LOAD(BPF_DW, R(2), slots, off));
	if (r->op == LB_REDUCE_SUM)
		lb_emit(c, LB_ALU(BPF_ADD, R(1), R(2)));
	else if (r->op != LB_REDUCE_CPU)
		lb_jump(c, LB_JUMP_X(keeps[r->is_signed][r->op == LB_REDUCE_MIN], R(1), R(2)),
			&kept);
	lb_emit(c, LB_STORE(BPF_DW, slots, off, R(1)));
	lb_here(c, &kept);
}

/* What a slot holds before the first CPU. */
static uint64_t identity(const struct lb_reduction *r)
{
	if (r->op == LB_REDUCE_MAX)
		return r->is_signed ? (uint64_t)INT64_MIN : 0;
	if (r->op == LB_REDUCE_MIN)
		return r->is_signed ? (uint64_t)INT64_MAX : UINT64_MAX;
	return 0;
}

static void emit_identities(struct lb_code *c, const struct lb_env *env)
{
	for (uint32_t i = 0; i < env->nreductions; i++) {
		lb_emit_imm64(c, R(1), identity(&env->reductions[i]));
		lb_emit(c, LB_STORE(BPF_DW, R(9), 8 * i, R(1)));
	}
}

static bool concerns(const struct lb_reduction *r, uint32_t cpu)
{
	return r->op != LB_REDUCE_CPU || r->cpu == cpu;
}

/* The reductions that take one CPU's value; all: also those that take every CPU's. */
static void emit_cpu(struct lb_code *c, const struct lb_reducer *r, uint32_t cpu, bool all,
		     struct lb_label *vanished)
{
	const struct lb_env *env = r->env;
	bool found = false;

	for (uint32_t i = 0; i < env->nreductions; i++) {
		const struct lb_reduction *one = &env->reductions[i];

		if (!concerns(one, cpu) || (!all && one->op != LB_REDUCE_CPU))
			continue;
		if (!found)
			lb_emit_percpu_lookup(c, r->map_fd, cpu, vanished);
		found = true;
		emit_field(c, one);
		emit_join(c, one, R(9), 8 * i);
	}
}

/* bpf_loop(ncpu, callback, block, 0), which sets the flag if the entry has vanished. */
static void emit_loop(struct lb_code *c, struct lb_reducer *r, struct lb_label *vanished)
{
	int block = block_offset(r->env);

	lb_emit(c, LB_STORE(BPF_DW, R(10), block + BLOCK_KEY, R(6)));
	lb_emit(c, LB_STORE_K(BPF_DW, R(10), block + BLOCK_GONE, 0));
	lb_emit(c, LB_MOV_K(R(1), r->env->ncpu));
	r->callback = lb_emit_function(c, R(2));
	lb_emit(c, LB_MOV(R(3), R(10)));
	lb_emit(c, LB_ADD_K(R(3), block));
	lb_emit(c, LB_MOV_K(R(4), 0));
	lb_emit(c, LB_CALL(BPF_FUNC_loop));
	lb_emit(c, LB_LOAD(BPF_DW, R(1), R(10), block + BLOCK_GONE));
	lb_jump(c, LB_JUMP_K(BPF_JNE, R(1), 0), vanished);
}

void lb_emit_reductions(struct lb_code *c, struct lb_reducer *r, struct lb_label *vanished)
{
	r->loops = false;
	for (uint32_t i = 0; i < r->env->nreductions; i++)
		if (r->env->reductions[i].op != LB_REDUCE_CPU)
			r->loops = r->env->ncpu > r->unrolled;
	if (r->env->nreductions)
		emit_identities(c, r->env);
	for (uint32_t cpu = 0; cpu < r->env->ncpu; cpu++)
		emit_cpu(c, r, cpu, !r->loops, vanished);
	if (r->loops)
		emit_loop(c, r, vanished);
}

/* callback(r1 = CPU, r2 = block). */
void lb_emit_reducer_callback(struct lb_image *image, struct lb_reducer *r)
{
	struct lb_code *c = &image->code;
	struct lb_label vanished = { .n = 0 };

	if (!r->loops)
		return;
	lb_function(c, r->callback);
	lb_image_function(image, 2);
	lb_emit(c, LB_MOV(R(9), R(2)));
	lb_emit(c, LB_MOV(R(3), R(1)));
	lb_emit_map(c, R(1), r->map_fd);
	lb_emit(c, LB_LOAD(BPF_DW, R(2), R(9), BLOCK_KEY));
	lb_emit(c, LB_CALL(BPF_FUNC_map_lookup_percpu_elem));
	lb_jump(c, LB_JUMP_K(BPF_JEQ, R(0), 0), &vanished);
	for (uint32_t i = 0; i < r->env->nreductions; i++) {
		if (r->env->reductions[i].op == LB_REDUCE_CPU)
			continue;
		emit_field(c, &r->env->reductions[i]);
		emit_join(c, &r->env->reductions[i], R(9), BLOCK_SLOTS + 8 * i);
	}
	lb_emit(c, LB_MOV_K(R(0), 0));
	lb_emit(c, LB_EXIT());
	lb_here(c, &vanished);
	lb_emit(c, LB_MOV_K(R(1), 1));
	lb_emit(c, LB_STORE(BPF_DW, R(9), BLOCK_GONE, R(1)));
	lb_emit(c, LB_MOV_K(R(0), 1));
	lb_emit(c, LB_EXIT());
}

/* ---- whole values ----------------------------------------------------- */

bool lb_live_by_dynptr(const struct lb_live *live)
{
	return live->env->value_size > LB_STRAIGHT_COPY && !live->nzeros && !live->env->ncpu;
}

const char *lb_live_check(const struct lb_live *live)
{
	if (live->env->ncpu > LB_UNROLLED_CPUS)
		return "values of more than 16 CPUs are not copied by a program";
	if (lb_env_stride(live->env) > LB_MAX_STRAIGHT && !lb_live_by_dynptr(live))
		return "the values are too large to be copied by a program";
	return NULL;
}

/* dynptr_from_mem(value, size, 0, dynptr), dynptr_read(to, size, dynptr, 0, 0). */
static void emit_dynptr(struct lb_code *c, const struct lb_live *live, unsigned int slot)
{
	uint32_t size = live->env->value_size;
	int dynptr = LB_OWN(live->env, slot + 2);	/* 16 bytes */

	lb_emit(c, LB_MOV(R(1), R(7)));
	lb_emit(c, LB_MOV_K(R(2), size));
	lb_emit(c, LB_MOV_K(R(3), 0));
	lb_emit(c, LB_MOV(R(4), R(10)));
	lb_emit(c, LB_ADD_K(R(4), dynptr));
	lb_emit(c, LB_CALL(BPF_FUNC_dynptr_from_mem));
	lb_emit(c, LB_LOAD(BPF_DW, R(1), R(10), LB_OWN(live->env, slot)));
	lb_emit(c, LB_MOV_K(R(2), size));
	lb_emit(c, LB_MOV(R(3), R(10)));
	lb_emit(c, LB_ADD_K(R(3), dynptr));
	lb_emit(c, LB_MOV_K(R(4), 0));
	lb_emit(c, LB_MOV_K(R(5), 0));
	lb_emit(c, LB_CALL(BPF_FUNC_dynptr_read));
}

static void emit_straight(struct lb_code *c, const struct lb_live *live, unsigned int slot,
			  unsigned int src, uint32_t cpu)
{
	uint32_t size = live->env->value_size, stride = lb_cpu_stride(size);

	lb_emit(c, LB_LOAD(BPF_DW, R(2), R(10), LB_OWN(live->env, slot)));
	lb_emit_copy(c, &(struct lb_copy){ .dst = R(2), .dst_off = cpu * stride, .src = src,
					   .scratch = R(1), .size = size,
					   .pad = live->env->ncpu ? stride - size : 0,
					   .spans = live->zeros, .nspans = live->nzeros });
}

void lb_emit_live_copy(struct lb_code *c, const struct lb_live *live, unsigned int slot,
		       struct lb_label *vanished)
{
	if (!live->env->ncpu && lb_live_by_dynptr(live) && !live->straight)
		emit_dynptr(c, live, slot);
	else if (!live->env->ncpu)
		emit_straight(c, live, slot, R(7), 0);
	for (uint32_t cpu = 0; cpu < live->env->ncpu; cpu++) {
		lb_emit_percpu_lookup(c, live->map_fd, cpu, vanished);
		emit_straight(c, live, slot, R(0), cpu);
	}
}

/* ---- copies of specs -------------------------------------------------- */

size_t lb_kept(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

void *lb_keep(uint8_t **p, const void *from, size_t size)
{
	void *to = *p;

	if (size)
		memcpy(to, from, size);
	*p += lb_kept(size);
	return to;
}
