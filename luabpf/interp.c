/* SPDX-License-Identifier: MIT */
/*
 * The interpreter of fragments. See interp.h.
 *
 * HOW IT WORKS. lb_fragment_check has proved that every load and store stays
 * inside what it addresses and that jumps go forward, so registers hold plain
 * addresses and numbers, and nothing is checked here. What the instructions
 * mean is the kernel's Documentation/bpf/standardization/instruction-set.rst:
 * 32-bit results are zero-extended, division by zero gives zero, the remainder
 * of it the dividend, shift counts are taken modulo the width.
 */
#include "interp.h"
#include "layout.h"

#include <endian.h>
#include <string.h>

const char *lb_interp_init(struct lb_interp *ip, const struct lb_fragment *f,
			   const struct lb_env *env, uint32_t *at)
{
	const char *why = lb_env_check(env);

	if (at)
		*at = 0;
	if (!why)
		why = lb_fragment_check(f, env, at);
	ip->f = *f;
	ip->env = *env;
	return why;
}

/* The low and high half of a 64-bit constant stand in two instructions. */
static uint64_t imm64(const struct bpf_insn *insn)
{
	return (uint32_t)insn[0].imm | (uint64_t)(uint32_t)insn[1].imm << 32;
}

static uint64_t load(uint64_t address, uint8_t code)
{
	const void *p = (const void *)(uintptr_t)address;
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (BPF_SIZE(code)) {
	case BPF_B:
		return *(const uint8_t *)p;
	case BPF_H:
		memcpy(&v16, p, sizeof(v16));
		return v16;
	case BPF_W:
		memcpy(&v32, p, sizeof(v32));
		return v32;
	default:
		memcpy(&v64, p, sizeof(v64));
		return v64;
	}
}

static uint64_t swap(uint64_t v, const struct bpf_insn *insn)
{
	bool big = BPF_SRC(insn->code) == BPF_TO_BE;

	switch (insn->imm) {
	case 16:
		return big ? htobe16((uint16_t)v) : htole16((uint16_t)v);
	case 32:
		return big ? htobe32((uint32_t)v) : htole32((uint32_t)v);
	default:
		return big ? htobe64(v) : htole64(v);
	}
}

static uint64_t alu64(uint64_t a, uint64_t b, uint8_t op)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return b ? a / b : 0;
	case BPF_MOD:
		return b ? a % b : a;
	case BPF_OR:
		return a | b;
	case BPF_AND:
		return a & b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & 63);
	case BPF_RSH:
		return a >> (b & 63);
	case BPF_ARSH:
		return (uint64_t)((int64_t)a >> (b & 63));
	case BPF_NEG:
		return -a;
	default: /* BPF_MOV */
		return b;
	}
}

/* Only the right shifts differ from the low half of the 64-bit result, and the counts. */
static uint64_t alu32(uint32_t a, uint32_t b, uint8_t op)
{
	switch (op) {
	case BPF_LSH:
		return (uint32_t)(a << (b & 31));
	case BPF_RSH:
		return a >> (b & 31);
	case BPF_ARSH:
		return (uint32_t)((int32_t)a >> (b & 31));
	default:
		return (uint32_t)alu64(a, b, op);
	}
}

static bool jumps64(uint64_t a, uint64_t b, uint8_t op)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JNE:
		return a != b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	case BPF_JLT:
		return a < b;
	case BPF_JLE:
		return a <= b;
	case BPF_JSET:
		return a & b;
	case BPF_JSGT:
		return (int64_t)a > (int64_t)b;
	case BPF_JSGE:
		return (int64_t)a >= (int64_t)b;
	case BPF_JSLT:
		return (int64_t)a < (int64_t)b;
	case BPF_JSLE:
		return (int64_t)a <= (int64_t)b;
	default: /* BPF_JA */
		return true;
	}
}

static bool jumps32(uint32_t a, uint32_t b, uint8_t op)
{
	if (op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE)
		return jumps64((uint64_t)(int32_t)a, (uint64_t)(int32_t)b, op);
	return jumps64(a, b, op);
}

/* The constants of 64-bit operations are sign-extended. */
static uint64_t operand(const struct bpf_insn *insn, const uint64_t *r)
{
	return BPF_SRC(insn->code) == BPF_X ? r[insn->src_reg] : (uint64_t)(int64_t)insn->imm;
}

static void run_alu(const struct bpf_insn *insn, uint64_t *r)
{
	uint64_t *dst = &r[insn->dst_reg];
	uint8_t op = BPF_OP(insn->code);

	if (op == BPF_END)
		*dst = swap(*dst, insn);
	else if (BPF_CLASS(insn->code) == BPF_ALU64)
		*dst = alu64(*dst, operand(insn, r), op);
	else
		*dst = alu32((uint32_t)*dst, (uint32_t)operand(insn, r), op);
}

static bool run_jump(const struct bpf_insn *insn, const uint64_t *r)
{
	uint64_t a = r[insn->dst_reg], b = operand(insn, r);

	if (BPF_CLASS(insn->code) == BPF_JMP)
		return jumps64(a, b, BPF_OP(insn->code));
	return jumps32((uint32_t)a, (uint32_t)b, BPF_OP(insn->code));
}

static void store(const struct bpf_insn *insn, const uint64_t *r)
{
	uint64_t v = BPF_CLASS(insn->code) == BPF_STX ? r[insn->src_reg]
						      : (uint64_t)(int64_t)insn->imm;

	*(uint64_t *)(uintptr_t)(r[insn->dst_reg] + (uint64_t)(int64_t)insn->off) = v;
}

static uint64_t run(const struct lb_fragment *f, uint64_t *r)
{
	const struct bpf_insn *insn = f->code, *end = f->code + f->n;

	for (; insn < end; insn++) {
		switch (BPF_CLASS(insn->code)) {
		case BPF_LDX:
			r[insn->dst_reg] = load(r[insn->src_reg] + (uint64_t)(int64_t)insn->off,
						insn->code);
			break;
		case BPF_ALU:
		case BPF_ALU64:
			run_alu(insn, r);
			break;
		case BPF_ST:
		case BPF_STX:
			store(insn, r);
			break;
		case BPF_LD:
			r[insn->dst_reg] = imm64(insn);
			insn++;
			break;
		default:
			if (run_jump(insn, r))
				insn += insn->off;
		}
	}
	return r[BPF_REG_0];
}

/* ---- per-CPU values --------------------------------------------------- */

static uint64_t load_sized(const uint8_t *p, uint32_t size, bool big)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < size; i++)
		v |= (uint64_t)p[i] << 8 * (big ? size - 1 - i : i);
	return v;
}

static uint64_t reduced_field(const struct lb_reduction *r, const uint8_t *value)
{
	uint32_t width = r->bits ? r->bits : r->size * 8;
	uint64_t v = load_sized(value + r->offset, r->size, r->big) << (64 - r->bit - width);

	return r->is_signed ? (uint64_t)((int64_t)v >> (64 - width)) : v >> (64 - width);
}

static bool replaces(const struct lb_reduction *r, uint64_t v, uint64_t old)
{
	bool greater = r->is_signed ? (int64_t)v > (int64_t)old : v > old;

	return r->op == LB_REDUCE_MAX ? greater : v != old && !greater;
}

uint64_t lb_reduce(const struct lb_reduction *r, const struct lb_env *env, const uint8_t *value)
{
	uint32_t step = lb_cpu_stride(env->value_size);
	uint64_t all = reduced_field(r, value);

	if (r->op == LB_REDUCE_CPU)
		return reduced_field(r, value + (size_t)r->cpu * step);
	for (uint32_t cpu = 1; cpu < env->ncpu; cpu++) {
		uint64_t v = reduced_field(r, value + (size_t)cpu * step);

		if (r->op == LB_REDUCE_SUM)
			all += v;
		else if (replaces(r, v, all))
			all = v;
	}
	return all;
}

uint64_t lb_interp_entry(const struct lb_interp *ip, const uint8_t *key, const uint8_t *value,
			 const uint64_t *params)
{
	uint64_t frame[LB_FRAME_SIZE / 8], slots[LB_MAX_REDUCTIONS], r[11] = { 0 };

	for (uint32_t i = 0; i < ip->env.nreductions; i++)
		slots[i] = lb_reduce(&ip->env.reductions[i], &ip->env, value);
	r[BPF_REG_6] = (uintptr_t)key;
	r[BPF_REG_7] = (uintptr_t)value;
	r[BPF_REG_8] = (uintptr_t)params;
	r[BPF_REG_9] = (uintptr_t)slots;
	r[BPF_REG_10] = (uintptr_t)(frame + LB_FRAME_SIZE / 8);
	return run(&ip->f, r);
}

/* ---- blocks ----------------------------------------------------------- */

uint32_t lb_interp_match(const struct lb_interp *ip, const struct lb_block *b,
			 const uint64_t *params, uint8_t *match)
{
	uint32_t stride = lb_env_stride(&ip->env), n = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		match[i] = lb_interp_entry(ip, b->keys + (size_t)i * ip->env.key_size,
					   b->values + (size_t)i * stride, params) != 0;
		n += match[i];
	}
	return n;
}

uint32_t lb_interp_column(const struct lb_interp *ip, const struct lb_block *b,
			  const uint64_t *params, const uint8_t *match, uint64_t *out, size_t step)
{
	uint32_t stride = lb_env_stride(&ip->env), n = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (match && !match[i])
			continue;
		out[n++ * step] = lb_interp_entry(ip, b->keys + (size_t)i * ip->env.key_size,
						  b->values + (size_t)i * stride, params);
	}
	return n;
}
