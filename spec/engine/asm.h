/* SPDX-License-Identifier: MIT */
/*
 * BPF instructions for the engine tests, and random fragments made of them.
 */
#ifndef LUABPF_TEST_ASM_H
#define LUABPF_TEST_ASM_H

#include "lib/code/fragment.h"
#include "tap.h"

/* A fragment of these instructions. */
#define FRAGMENT(...) ((struct lb_fragment){ (struct bpf_insn[]){ __VA_ARGS__ }, \
	sizeof((struct bpf_insn[]){ __VA_ARGS__ }) / sizeof(struct bpf_insn) })

#define INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), \
						.off = (o), .imm = (i) })
#define ALU_K(op, d, i) INSN(BPF_ALU64 | BPF_##op | BPF_K, d, 0, 0, i)
#define ALU_X(op, d, s) INSN(BPF_ALU64 | BPF_##op | BPF_X, d, s, 0, 0)
#define ALU32_K(op, d, i) INSN(BPF_ALU | BPF_##op | BPF_K, d, 0, 0, i)
#define ALU32_X(op, d, s) INSN(BPF_ALU | BPF_##op | BPF_X, d, s, 0, 0)
#define JMP_K(op, d, i, o) INSN(BPF_JMP | BPF_##op | BPF_K, d, 0, o, i)
#define JMP_X(op, d, s, o) INSN(BPF_JMP | BPF_##op | BPF_X, d, s, o, 0)
#define JMP32_K(op, d, i, o) INSN(BPF_JMP32 | BPF_##op | BPF_K, d, 0, o, i)
#define JUMP(o) INSN(BPF_JMP | BPF_JA, 0, 0, o, 0)
#define LOAD(sz, d, s, o) INSN(BPF_LDX | BPF_MEM | BPF_##sz, d, s, o, 0)
#define STORE(s, o) INSN(BPF_STX | BPF_MEM | BPF_DW, 10, s, o, 0)
#define STORE_K(o, i) INSN(BPF_ST | BPF_MEM | BPF_DW, 10, 0, o, i)
#define BSWAP(d, bits) INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, bits)

/* ---- random fragments ------------------------------------------------- */

#define GEN_MAX 256
#define GEN_SLOTS 3	/* slots of the frame in use, all written at the start */

struct gen {
	struct bpf_insn code[GEN_MAX];
	bool half[GEN_MAX + 1];		/* second halves of 64-bit constants; no jump leads there */
	uint32_t n;
	const struct lb_env *env;
};

static inline void gen_emit(struct gen *g, struct bpf_insn insn)
{
	g->half[g->n] = false;
	g->code[g->n++] = insn;
}

static inline int32_t gen_imm(void)
{
	return below(3) ? (int32_t)below(9) - 4 : (int32_t)rnd();
}

/* One load of a random part of base into dst; false if base has nothing to load. */
static inline bool gen_load_from(struct gen *g, uint8_t dst, uint8_t base, uint32_t size)
{
	static const uint8_t sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
	uint32_t log = below(4);

	while (log && (1u << log) > size)
		log--;
	if (size == 0)
		return false;
	gen_emit(g, INSN(BPF_LDX | BPF_MEM | sizes[log], dst, base,
			 (int16_t)below(size - (1u << log) + 1), 0));
	return true;
}

static inline bool gen_slot_from(struct gen *g, uint8_t dst, uint8_t base, uint32_t n)
{
	if (n == 0)
		return false;
	gen_emit(g, LOAD(DW, dst, base, (int16_t)(8 * below(n))));
	return true;
}

static inline void gen_imm64(struct gen *g, uint8_t dst)
{
	uint64_t v = below(2) ? rnd() : 1ull << below(64);

	gen_emit(g, INSN(BPF_LD | BPF_IMM | BPF_DW, dst, 0, 0, (int32_t)v));
	gen_emit(g, INSN(0, 0, 0, 0, (int32_t)(v >> 32)));
	g->half[g->n - 1] = true;
}

/* A slot of the tables into dst, by an index that is bounded; at once, with no way into it. */
static inline void gen_table(struct gen *g, uint8_t dst)
{
	uint8_t index = (uint8_t)((dst + 1) % 6);
	uint32_t slots = 1, from = g->n + 1;

	while (2 * slots <= g->env->ntables)
		slots *= 2;
	gen_emit(g, ALU_K(AND, index, (int32_t)slots - 1));
	gen_emit(g, ALU_K(LSH, index, 3));
	gen_emit(g, INSN(BPF_LD | BPF_IMM | BPF_DW, dst, BPF_PSEUDO_MAP_VALUE, 0, 0));
	gen_emit(g, INSN(0, 0, 0, 0, (int32_t)(8 * below(g->env->ntables - slots + 1))));
	gen_emit(g, ALU_X(ADD, dst, index));
	gen_emit(g, LOAD(DW, dst, dst, 0));
	for (uint32_t i = from; i < g->n; i++)
		g->half[i] = true;
}

/* A number from anywhere into dst. */
static inline void gen_number(struct gen *g, uint8_t dst)
{
	const struct lb_env *e = g->env;

	switch (below(6)) {
	case 0:
		if (gen_load_from(g, dst, BPF_REG_6, e->key_size < 32000 ? e->key_size : 32000))
			return;
		break;
	case 1:
	case 2:
		if (!e->ncpu && gen_load_from(g, dst, BPF_REG_7,
					      e->value_size < 32000 ? e->value_size : 32000))
			return;
		if (gen_slot_from(g, dst, BPF_REG_9, e->nreductions))
			return;
		break;
	case 3:
		if (gen_slot_from(g, dst, BPF_REG_8, e->nparams))
			return;
		break;
	case 4:
		gen_imm64(g, dst);
		return;
	case 5:
		/* Not at the beginning, where its index holds nothing. */
		if (e->ntables && g->n > 16) {
			gen_table(g, dst);
			return;
		}
		break;
	}
	gen_emit(g, ALU_K(MOV, dst, gen_imm()));
}

static inline void gen_alu(struct gen *g)
{
	static const uint8_t ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND,
				       BPF_LSH, BPF_RSH, BPF_NEG, BPF_MOD, BPF_XOR, BPF_MOV,
				       BPF_ARSH, BPF_END };
	static const int32_t widths[] = { 16, 32, 64 };
	uint8_t class = below(2) ? BPF_ALU64 : BPF_ALU, op = ops[below(14)], dst = below(6);
	int32_t imm = gen_imm();

	if (op == BPF_END) {
		gen_emit(g, INSN(BPF_ALU | BPF_END | (below(2) ? BPF_TO_BE : BPF_TO_LE), dst, 0, 0,
				 widths[below(3)]));
		return;
	}
	if (op == BPF_NEG) {
		gen_emit(g, INSN(class | op, dst, 0, 0, 0));
		return;
	}
	if (op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH) {
		/* What a program does with a count past the width is the machine's: mask it. */
		uint8_t count = below(6);

		gen_emit(g, ALU_K(AND, count, 63));
		if (class == BPF_ALU64 && below(2)) {
			gen_emit(g, INSN(class | op | BPF_X, dst, count, 0, 0));
			return;
		}
		imm = (int32_t)below(class == BPF_ALU64 ? 64 : 32);
	}
	if ((op == BPF_DIV || op == BPF_MOD) && imm == 0)
		imm = 3;
	if (below(2) || op == BPF_LSH || op == BPF_RSH || op == BPF_ARSH)
		gen_emit(g, INSN(class | op | BPF_K, dst, 0, 0, imm));
	else
		gen_emit(g, INSN(class | op | BPF_X, dst, below(6), 0, 0));
}

/* A jump whose target is chosen when the rest is there. */
static inline void gen_jump(struct gen *g)
{
	static const uint8_t ops[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT,
				       BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE };
	uint8_t code = (uint8_t)((below(2) ? BPF_JMP : BPF_JMP32) | ops[below(11)]);

	if (below(2))
		gen_emit(g, INSN(code | BPF_K, below(6), 0, -1, gen_imm()));
	else
		gen_emit(g, INSN(code | BPF_X, below(6), below(6), -1, 0));
}

static inline void gen_slot(struct gen *g)
{
	int16_t off = (int16_t)(-8 * (int)(1 + below(GEN_SLOTS)));

	if (below(2))
		gen_emit(g, LOAD(DW, below(6), BPF_REG_10, off));
	else if (below(4))
		gen_emit(g, STORE((uint8_t)below(6), off));
	else
		gen_emit(g, STORE_K(off, gen_imm()));
}

static inline void gen_aim(struct gen *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t room = g->n - i - 1, over;
		uint8_t class = BPF_CLASS(g->code[i].code);

		if (g->half[i] || g->code[i].off != -1)
			continue;
		if (class != BPF_JMP && class != BPF_JMP32)
			continue;
		over = room ? below(room < 12 ? room + 1 : 12) : 0;
		while (g->half[i + 1 + over])
			over++;
		g->code[i].off = (int16_t)over;
	}
}

/* A fragment of about that many instructions that keeps the contract; condition: 0 or 1. */
static inline struct lb_fragment gen_fragment(struct gen *g, const struct lb_env *env,
					      uint32_t size, bool condition)
{
	g->n = 0;
	g->env = env;
	for (uint8_t r = 0; r < 6; r++)
		gen_number(g, r);
	for (int i = 1; i <= GEN_SLOTS; i++)
		gen_emit(g, STORE((uint8_t)below(6), (int16_t)(-8 * i)));
	while (g->n < size && g->n < GEN_MAX - 12) {
		switch (below(8)) {
		case 0:
		case 1:
			gen_number(g, (uint8_t)below(6));
			break;
		case 2:
			gen_jump(g);
			break;
		case 3:
			gen_slot(g);
			break;
		default:
			gen_alu(g);
		}
	}
	g->half[g->n] = false;
	gen_aim(g);
	if (condition) {
		gen_emit(g, ALU_X(MOV, 1, 0));
		gen_emit(g, ALU_K(MOV, 0, 1));
		gen_emit(g, JMP_K(JSET, 1, 1, 1));
		gen_emit(g, ALU_K(MOV, 0, 0));
	}
	return (struct lb_fragment){ g->code, g->n };
}

#endif
