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
#include "lib/code/interp.h"
#include "lib/layout/layout.h"

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

static uint64_t load64(uint64_t address)
{
	uint64_t v;

	memcpy(&v, (const void *)(uintptr_t)address, sizeof(v));
	return v;
}

static uint32_t load32(uint64_t address)
{
	uint32_t v;

	memcpy(&v, (const void *)(uintptr_t)address, sizeof(v));
	return v;
}

static uint16_t load16(uint64_t address)
{
	uint16_t v;

	memcpy(&v, (const void *)(uintptr_t)address, sizeof(v));
	return v;
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

/*
 * What the operations give, from a (the destination), b (the other operand),
 * the same signed (sa, sb) and the number of the highest bit (top). DO makes of
 * each the case for 64 bits, and for 32.
 */
#define ALU_OPERATIONS(DO) \
	DO(ADD, a + b) \
	DO(SUB, a - b) \
	DO(MUL, a * b) \
	DO(DIV, b ? a / b : 0) \
	DO(MOD, b ? a % b : a) \
	DO(OR, a | b) \
	DO(AND, a & b) \
	DO(XOR, a ^ b) \
	DO(LSH, a << (b & top)) \
	DO(RSH, a >> (b & top)) \
	DO(ARSH, sa >> (b & top)) \
	DO(NEG, -a) \
	DO(MOV, b)

#define JUMP_CONDITIONS(DO) \
	DO(JEQ, a == b) \
	DO(JNE, a != b) \
	DO(JGT, a > b) \
	DO(JGE, a >= b) \
	DO(JLT, a < b) \
	DO(JLE, a <= b) \
	DO(JSET, a & b) \
	DO(JSGT, sa > sb) \
	DO(JSGE, sa >= sb) \
	DO(JSLT, sa < sb) \
	DO(JSLE, sa <= sb)

/* The cases of a switch over an instruction's code, with a constant or a register as b. */
#define EITHER(class, op) case (class) | BPF_##op | BPF_K: case (class) | BPF_##op | BPF_X
#define OPERANDS(bits) \
	uint##bits##_t a = (uint##bits##_t)*dst, b = (uint##bits##_t)operand; \
	int##bits##_t sa = (int##bits##_t)a, sb = (int##bits##_t)b; \
	enum { top = (bits) - 1 }; \
	(void)a, (void)b, (void)sa, (void)sb

#define ALU64(op, result) \
	EITHER(BPF_ALU64, op): { OPERANDS(64); *dst = (uint64_t)(result); break; }
#define ALU32(op, result) \
	EITHER(BPF_ALU, op): { OPERANDS(32); *dst = (uint32_t)(result); break; }
#define JUMP64(op, holds) \
	EITHER(BPF_JMP, op): { OPERANDS(64); insn += (holds) ? insn->off : 0; break; }
#define JUMP32(op, holds) \
	EITHER(BPF_JMP32, op): { OPERANDS(32); insn += (holds) ? insn->off : 0; break; }

/* Beside the registers: the address of the tables. */
#define TABLES (BPF_REG_10 + 1)

static uint64_t run(const struct lb_fragment *f, uint64_t *r)
{
	const struct bpf_insn *insn = f->code, *end = f->code + f->n;

	for (; insn < end; insn++) {
		uint64_t *dst = &r[insn->dst_reg], imm = (uint64_t)(int64_t)insn->imm;
		uint64_t operand = insn->code & BPF_X ? r[insn->src_reg] : imm;
		uint64_t off = (uint64_t)(int64_t)insn->off;

		switch (insn->code) {
		ALU_OPERATIONS(ALU64)
		ALU_OPERATIONS(ALU32)
		JUMP_CONDITIONS(JUMP64)
		JUMP_CONDITIONS(JUMP32)
		case BPF_JMP | BPF_JA:
			insn += insn->off;
			break;
		case BPF_ALU | BPF_END | BPF_TO_LE:
		case BPF_ALU | BPF_END | BPF_TO_BE:
			*dst = swap(*dst, insn);
			break;
		case BPF_ST | BPF_MEM | BPF_DW:
			*(uint64_t *)(uintptr_t)(*dst + off) = imm;
			break;
		case BPF_STX | BPF_MEM | BPF_DW:
			*(uint64_t *)(uintptr_t)(*dst + off) = r[insn->src_reg];
			break;
		case BPF_LD | BPF_IMM | BPF_DW:
			*dst = insn->src_reg ? r[TABLES] + (uint32_t)insn[1].imm : imm64(insn);
			insn++;
			break;
		case BPF_LDX | BPF_MEM | BPF_DW:
			*dst = load64(r[insn->src_reg] + off);
			break;
		case BPF_LDX | BPF_MEM | BPF_W:
			*dst = load32(r[insn->src_reg] + off);
			break;
		case BPF_LDX | BPF_MEM | BPF_H:
			*dst = load16(r[insn->src_reg] + off);
			break;
		case BPF_LDX | BPF_MEM | BPF_B:
			*dst = *(const uint8_t *)(uintptr_t)(r[insn->src_reg] + off);
			break;
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

/* params: slots that the fragment may store to. tables: those that come after them. */
static uint64_t run_entry(const struct lb_interp *ip, const uint8_t *key, const uint8_t *value,
			  uint64_t *params, const uint64_t *tables)
{
	uint64_t frame[LB_FRAME_SIZE / 8], slots[LB_MAX_REDUCTIONS], r[TABLES + 1] = { 0 };

	for (uint32_t i = 0; i < ip->env.nreductions; i++)
		slots[i] = lb_reduce(&ip->env.reductions[i], &ip->env, value);
	r[BPF_REG_6] = (uintptr_t)key;
	r[BPF_REG_7] = (uintptr_t)value;
	r[BPF_REG_8] = (uintptr_t)params;
	r[TABLES] = (uintptr_t)tables;
	r[BPF_REG_9] = (uintptr_t)slots;
	r[BPF_REG_10] = (uintptr_t)(frame + LB_FRAME_SIZE / 8);
	return run(&ip->f, r);
}

uint64_t lb_interp_entry(const struct lb_interp *ip, const uint8_t *key, const uint8_t *value,
			 const uint64_t *params)
{
	return run_entry(ip, key, value, (uint64_t *)(uintptr_t)params, params + ip->env.nparams);
}

/* ---- blocks ----------------------------------------------------------- */

/* Parameters for fragments that store: copies, so that those of the caller stay. */
struct own {
	uint64_t params[LB_MAX_PARAMS];
	const uint64_t *tables;
};

static void copy_params(struct own *own, const struct lb_env *env, const uint64_t *params)
{
	if (env->nparams)
		memcpy(own->params, params, env->nparams * sizeof(*params));
	own->tables = params + env->nparams;
}

/* The result of entry i of a block. */
static uint64_t run_at(const struct lb_interp *ip, const struct lb_block *b, uint32_t i,
		       struct own *own)
{
	return run_entry(ip, b->keys + (size_t)i * ip->env.key_size,
			 b->values + (size_t)i * lb_env_stride(&ip->env), own->params, own->tables);
}

static uint8_t answer_of(uint64_t result)
{
	return result == LB_ASK ? LB_ASK : result ? LB_YES : LB_NO;
}

static uint32_t match_storing(const struct lb_interp *ip, const struct lb_block *b,
			      const uint64_t *params, uint8_t *match)
{
	struct own own;
	uint32_t n = 0;

	copy_params(&own, &ip->env, params);
	for (uint32_t i = 0; i < b->n; i++) {
		match[i] = answer_of(run_at(ip, b, i, &own));
		n += match[i] == LB_YES;
	}
	return n;
}

uint32_t lb_interp_match(const struct lb_interp *ip, const struct lb_block *b,
			 const uint64_t *params, uint8_t *match)
{
	uint32_t stride = lb_env_stride(&ip->env), n = 0;

	if (ip->env.nwritable)
		return match_storing(ip, b, params, match);
	for (uint32_t i = 0; i < b->n; i++) {
		match[i] = answer_of(lb_interp_entry(ip, b->keys + (size_t)i * ip->env.key_size,
						     b->values + (size_t)i * stride, params));
		n += match[i] == LB_YES;
	}
	return n;
}

uint32_t lb_interp_column(const struct lb_interp *ip, const struct lb_block *b,
			  const uint64_t *params, const uint8_t *match, uint64_t *out, size_t step)
{
	uint32_t stride = lb_env_stride(&ip->env), n = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		if (match && match[i] != LB_YES)
			continue;
		out[n++ * step] = lb_interp_entry(ip, b->keys + (size_t)i * ip->env.key_size,
						  b->values + (size_t)i * stride, params);
	}
	return n;
}

void lb_interp_rows(const struct lb_interp *where, const struct lb_interp *columns,
		    uint32_t ncolumns, const struct lb_block *b, const uint64_t *params,
		    const uint8_t *match, uint64_t *out, size_t column_step, size_t row_step)
{
	struct own own;

	if (!where || !where->env.nwritable) {
		for (uint32_t i = 0; i < ncolumns; i++)
			lb_interp_column(&columns[i], b, params, match, out + i * column_step, row_step);
		return;
	}
	copy_params(&own, &where->env, params);
	for (uint32_t i = 0; i < b->n; i++) {
		if (match[i] != LB_YES)
			continue;
		run_at(where, b, i, &own);
		for (uint32_t c = 0; c < ncolumns; c++)
			out[c * column_step] = run_at(&columns[c], b, i, &own);
		out += row_step;
	}
}

uint32_t lb_interp_fold(const struct lb_interp *ip, const struct lb_block *b,
			const uint64_t *params, uint64_t *written, bool *asked)
{
	size_t size = ip->env.nwritable * sizeof(*written);
	struct own own;
	uint32_t n = 0;

	*asked = false;
	copy_params(&own, &ip->env, params);
	memcpy(own.params, written, size);
	for (uint32_t i = 0; i < b->n && !*asked; i++) {
		uint8_t answer = answer_of(run_at(ip, b, i, &own));

		n += answer == LB_YES;
		*asked = answer == LB_ASK;
	}
	memcpy(written, own.params, size);
	return n;
}
