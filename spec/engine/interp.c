/* SPDX-License-Identifier: MIT */
/*
 * The interpreter and the check of fragments, without a kernel: what single
 * instructions give, what is refused, reductions over CPUs. scan.c compares
 * random fragments with the kernel.
 */
#include "asm.h"
#include "lib/code/interp.h"

#include <string.h>

#define N(a) (uint32_t)(sizeof(a) / sizeof((a)[0]))

static const struct lb_env plain = { .key_size = 8, .value_size = 13, .nparams = 2,
				    .ntables = 4 };
static const uint8_t key[8] = { 1, 2, 3, 4, 5, 6, 7, 0x88 };
static const uint8_t value[13] = { 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7,
				   0xf8, 0xf9, 0xfa, 0xfb, 0xfc };
static const uint64_t params[6] = { 1000, UINT64_MAX, 10, 20, 30, 40 };

#define TABLE(d, off) INSN(BPF_LD | BPF_IMM | BPF_DW, d, BPF_PSEUDO_MAP_VALUE, 0, 0), \
	INSN(0, 0, 0, 0, off)
/* r0 = a slot of the tables, by r1 & mask. */
#define INDEXED(mask, off, at) ALU_K(AND, 1, mask), ALU_K(LSH, 1, 3), TABLE(0, off), \
	ALU_X(ADD, 0, 1), LOAD(DW, 0, 0, at)

static void gives(const char *what, struct lb_fragment f, uint64_t want)
{
	struct lb_interp ip;
	const char *why = lb_interp_init(&ip, &f, &plain, NULL);
	uint64_t got = why ? 0 : lb_interp_entry(&ip, key, value, params);

	if (!ok(!why && got == want, "%s", what))
		note("%s, got %#llx, wanted %#llx", why ? why : "accepted",
		     (unsigned long long)got, (unsigned long long)want);
}

static void refuses(const char *what, struct lb_fragment f, const char *reason, uint32_t index)
{
	uint32_t at = 0;
	const char *why = lb_fragment_check(&f, &plain, &at);

	if (!ok(why && strcmp(why, reason) == 0 && at == index, "refuses %s", what))
		note("%s at %u", why ? why : "accepted", at);
}

static void loads(void)
{
	gives("8 bytes of the key", FRAGMENT(LOAD(DW, 0, 6, 0)), 0x8807060504030201);
	gives("4 bytes of the value, unaligned, at its end", FRAGMENT(LOAD(W, 0, 7, 9)),
	      0xfcfbfaf9);
	gives("2 bytes", FRAGMENT(LOAD(H, 0, 7, 1)), 0xf2f1);
	gives("1 byte", FRAGMENT(LOAD(B, 0, 7, 12)), 0xfc);
	gives("a parameter", FRAGMENT(LOAD(DW, 0, 8, 8)), UINT64_MAX);
	gives("a big-endian field", FRAGMENT(LOAD(W, 0, 6, 0), BSWAP(0, 32)), 0x01020304);
	gives("a moved pointer", FRAGMENT(ALU_X(MOV, 1, 7), ALU_K(ADD, 1, 12), LOAD(B, 0, 1, -1)),
	      0xfb);
	gives("a slot of the frame", FRAGMENT(STORE_K(-128, -7), LOAD(DW, 0, 10, -128)),
	      (uint64_t)-7);
}

static void arithmetic(void)
{
	gives("64-bit constants", FRAGMENT(INSN(BPF_LD | BPF_IMM | BPF_DW, 0, 0, 0, -2),
					   INSN(0, 0, 0, 0, 1)), 0x1fffffffe);
	gives("constants are sign-extended", FRAGMENT(ALU_K(MOV, 0, -1)), UINT64_MAX);
	gives("32-bit results are zero-extended", FRAGMENT(ALU_K(MOV, 0, -1), ALU32_K(ADD, 0, 0)),
	      0xffffffff);
	gives("division by zero is 0", FRAGMENT(ALU_K(MOV, 0, 9), ALU_K(MOV, 1, 0),
						ALU_X(DIV, 0, 1)), 0);
	gives("remainder of division by zero is the dividend",
	      FRAGMENT(ALU_K(MOV, 0, -9), ALU_K(MOV, 1, 0), ALU_X(MOD, 0, 1)), (uint64_t)-9);
	gives("... of 32 bits", FRAGMENT(ALU_K(MOV, 0, -9), ALU_K(MOV, 1, 0), ALU32_X(MOD, 0, 1)),
	      0xfffffff7);
	gives("shift counts are taken modulo 64",
	      FRAGMENT(ALU_K(MOV, 0, 3), ALU_K(MOV, 1, 65), ALU_X(LSH, 0, 1)), 6);
	gives("... modulo 32", FRAGMENT(ALU_K(MOV, 0, 3), ALU_K(MOV, 1, 33), ALU32_X(LSH, 0, 1)),
	      6);
	gives("arithmetic shift right", FRAGMENT(ALU_K(MOV, 0, -8), ALU_K(ARSH, 0, 1)),
	      (uint64_t)-4);
	gives("... of 32 bits", FRAGMENT(ALU_K(MOV, 0, -8), ALU32_K(ARSH, 0, 1)), 0xfffffffc);
	gives("negation", FRAGMENT(ALU_K(MOV, 0, 5), ALU_K(NEG, 0, 0)), (uint64_t)-5);
	gives("sign extension by shifts", FRAGMENT(LOAD(B, 0, 7, 0), ALU_K(LSH, 0, 56),
						   ALU_K(ARSH, 0, 56)), (uint64_t)-16);
	gives("16-bit byte swap drops the rest", FRAGMENT(LOAD(DW, 0, 6, 0), BSWAP(0, 16)), 0x0102);
}

static void jumps(void)
{
#define TAKEN(j) FRAGMENT(ALU_K(MOV, 0, 1), ALU_K(MOV, 1, -5), ALU_K(MOV, 2, 3), j, \
			  ALU_K(MOV, 0, 0))
	gives("unsigned greater", TAKEN(JMP_X(JGT, 1, 2, 1)), 1);
	gives("signed greater", TAKEN(JMP_X(JSGT, 1, 2, 1)), 0);
	gives("signed less than a constant", TAKEN(JMP_K(JSLT, 1, -4, 1)), 1);
	gives("32-bit signed less", TAKEN(JMP32_K(JSLT, 1, -4, 1)), 1);
	gives("32-bit unsigned less", TAKEN(JMP32_K(JLT, 1, 5, 1)), 0);
	gives("32-bit equal", TAKEN(JMP32_K(JEQ, 1, -5, 1)), 1);
	gives("bits set", TAKEN(JMP_K(JSET, 2, 4, 1)), 0);
	gives("a jump to the end", TAKEN(JMP_K(JNE, 2, 4, 1)), 1);
	gives("a jump past others", FRAGMENT(ALU_K(MOV, 0, 7), JMP_K(JEQ, 0, 7, 1), JUMP(1),
					     ALU_K(MOV, 0, 8)), 8);
}

static void refusals(void)
{
	struct bpf_insn call = INSN(BPF_JMP | BPF_CALL, 0, 0, 0, 5);
	struct bpf_insn out = INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);

	refuses("nothing", (struct lb_fragment){ NULL, 0 }, "empty fragment", 0);
	refuses("no result", FRAGMENT(ALU_K(MOV, 1, 1)), "no result in r0", 1);
	refuses("a result on one path only", FRAGMENT(LOAD(B, 1, 6, 0), JMP_K(JEQ, 1, 0, 1),
						      ALU_K(MOV, 0, 1)), "no result in r0", 3);
	refuses("a pointer as the result", FRAGMENT(ALU_X(MOV, 0, 6)), "no result in r0", 1);
	refuses("a call", FRAGMENT(call, out), "call, exit or unknown jump", 0);
	refuses("an exit", FRAGMENT(ALU_K(MOV, 0, 0), out), "call, exit or unknown jump", 1);
	refuses("a backward jump", FRAGMENT(ALU_K(MOV, 0, 0), JMP_K(JEQ, 0, 0, -1)),
		"jump that is not forward and inside", 1);
	refuses("a jump out", FRAGMENT(ALU_K(MOV, 0, 0), JMP_K(JEQ, 0, 0, 1)),
		"jump that is not forward and inside", 1);
	refuses("unreachable code", FRAGMENT(ALU_K(MOV, 0, 0), JUMP(1), ALU_K(MOV, 0, 1)),
		"unreachable instruction", 2);
}

static void tables(void)
{
	gives("a slot of the tables", FRAGMENT(TABLE(1, 8), LOAD(DW, 0, 1, 16)), 40);
	gives("a slot by an index", FRAGMENT(ALU_K(MOV, 1, 6), INDEXED(3, 0, 0)), 30);
	gives("a slot behind an index", FRAGMENT(ALU_K(MOV, 1, 3), INDEXED(1, 8, 8)), 40);
	gives("an index that two paths give",
	      FRAGMENT(LOAD(B, 2, 6, 0), ALU_K(MOV, 1, 1), JMP_K(JEQ, 2, 9, 1), ALU_K(MOV, 1, 2),
		       ALU_K(LSH, 1, 3), TABLE(0, 0), ALU_X(ADD, 0, 1), LOAD(DW, 0, 0, 8)), 40);
	refuses("an index past the tables", FRAGMENT(LOAD(B, 1, 6, 0), INDEXED(7, 0, 0)),
		"load outside the tables", 6);
	refuses("a slot past an index", FRAGMENT(LOAD(B, 1, 6, 0), INDEXED(3, 8, 0)),
		"load outside the tables", 6);
	refuses("a load before the tables", FRAGMENT(TABLE(1, 0), LOAD(DW, 0, 1, -8)),
		"load outside the tables", 2);
	refuses("an index without bounds",
		FRAGMENT(LOAD(B, 1, 6, 0), TABLE(0, 0), ALU_X(ADD, 0, 1), LOAD(DW, 0, 0, 0)),
		"an index without bounds", 3);
	refuses("an index whose bounds went",
		FRAGMENT(ALU_K(MOV, 1, 1), ALU_K(SUB, 1, 2), TABLE(0, 0), ALU_X(ADD, 0, 1),
			 LOAD(DW, 0, 0, 0)), "an index without bounds", 4);
	refuses("an index with bounds on one path",
		FRAGMENT(LOAD(B, 1, 6, 0), JMP_K(JEQ, 1, 9, 1), ALU_K(AND, 1, 1), TABLE(0, 0),
			 ALU_X(ADD, 0, 1), LOAD(DW, 0, 0, 0)), "an index without bounds", 5);
	refuses("a mask that is negative", FRAGMENT(LOAD(B, 1, 6, 0), INDEXED(-8, 0, 0)),
		"an index without bounds", 5);
	refuses("an index that is shifted too far",
		FRAGMENT(LOAD(B, 1, 6, 0), ALU_K(AND, 1, 3), ALU_K(LSH, 1, 31), TABLE(0, 0),
			 ALU_X(ADD, 0, 1), LOAD(DW, 0, 0, 0)), "an index without bounds", 5);
	refuses("an index into the key", FRAGMENT(ALU_K(MOV, 1, 1), ALU_X(MOV, 0, 6),
						  ALU_X(ADD, 0, 1)), "arithmetic on a pointer", 2);
	refuses("a table moved by a constant", FRAGMENT(TABLE(0, 0), ALU_K(ADD, 0, 8)),
		"arithmetic on a pointer", 2);
	refuses("a table that is not there", FRAGMENT(TABLE(0, 32)), "no such table", 0);
	refuses("a table before the first", FRAGMENT(TABLE(0, -8)), "no such table", 0);
	refuses("a map", FRAGMENT(INSN(BPF_LD | BPF_IMM | BPF_DW, 0, BPF_PSEUDO_MAP_VALUE, 0, 3),
				  INSN(0, 0, 0, 0, 0)), "no such table", 0);
	refuses("another kind of address", FRAGMENT(INSN(BPF_LD | BPF_IMM | BPF_DW, 0, 1, 0, 0),
						    INSN(0, 0, 0, 0, 0)), "bad instruction", 0);
	refuses("a store to a table", FRAGMENT(TABLE(0, 0), INSN(BPF_STX | BPF_MEM | BPF_DW, 0, 0,
								 0, 0)), "store outside the frame", 2);
}

static void refused_accesses(void)
{
	refuses("a load past the key", FRAGMENT(LOAD(DW, 0, 6, 1)), "load outside the key", 0);
	refuses("a load before the key", FRAGMENT(LOAD(B, 0, 6, -1)), "load outside the key", 0);
	refuses("a load past the value", FRAGMENT(LOAD(W, 0, 7, 10)), "load outside the value", 0);
	refuses("a load through a moved pointer",
		FRAGMENT(ALU_X(MOV, 1, 7), ALU_K(ADD, 1, 6), LOAD(DW, 0, 1, 0)),
		"load outside the value", 2);
	refuses("a pointer that two paths move apart",
		FRAGMENT(ALU_X(MOV, 1, 7), LOAD(B, 0, 6, 0), JMP_K(JEQ, 0, 0, 1), ALU_K(ADD, 1, 1),
			 LOAD(B, 0, 1, 0)), "load from what is no pointer", 4);
	refuses("a third parameter", FRAGMENT(LOAD(DW, 0, 8, 16)), "no such parameter", 0);
	refuses("part of a parameter", FRAGMENT(LOAD(W, 0, 8, 4)), "no such parameter", 0);
	refuses("a per-CPU slot", FRAGMENT(LOAD(DW, 0, 9, 0)), "no such per-CPU slot", 0);
	refuses("an unwritten slot", FRAGMENT(LOAD(DW, 0, 10, -8)), "load of an unwritten slot", 0);
	refuses("a slot below the frame", FRAGMENT(STORE_K(-LB_FRAME_SIZE - 8, 0)), "store outside the frame", 0);
	refuses("half a slot", FRAGMENT(INSN(BPF_ST | BPF_MEM | BPF_W, 10, 0, -8, 0)),
		"store outside the frame", 0);
	refuses("a store to the value", FRAGMENT(INSN(BPF_ST | BPF_MEM | BPF_DW, 7, 0, 0, 0)),
		"store outside the frame", 0);
	refuses("a stored pointer", FRAGMENT(STORE(7, -8)), "store of what is no number", 0);
	refuses("a write to r6", FRAGMENT(ALU_K(MOV, 6, 0)), "bad arithmetic", 0);
	refuses("a load into r9", FRAGMENT(LOAD(DW, 9, 6, 0)), "bad load", 0);
	refuses("an atomic operation", FRAGMENT(INSN(BPF_STX | 0xc0 | BPF_DW, 10, 0, -8, 0)),
		"bad store", 0);
}

static void refused_arithmetic(void)
{
	refuses("arithmetic on pointers", FRAGMENT(ALU_X(MOV, 0, 6), ALU_X(SUB, 0, 6)),
		"arithmetic on a pointer", 1);
	refuses("comparing pointers", FRAGMENT(ALU_K(MOV, 0, 0), JMP_X(JEQ, 6, 7, 0)),
		"comparison of what is no number", 1);
	refuses("an unset register", FRAGMENT(ALU_X(MOV, 0, 3)),
		"use of a register that holds nothing", 0);
	refuses("the constant divisor 0", FRAGMENT(ALU_K(MOV, 0, 1), ALU_K(DIV, 0, 0)),
		"division by the constant zero", 1);
	refuses("a shift by 64", FRAGMENT(ALU_K(MOV, 0, 1), ALU_K(LSH, 0, 64)),
		"constant shift out of range", 1);
	refuses("a 32-bit shift by 32", FRAGMENT(ALU_K(MOV, 0, 1), ALU32_K(RSH, 0, 32)),
		"constant shift out of range", 1);
	refuses("signed division",
		FRAGMENT(ALU_K(MOV, 0, 1), INSN(BPF_ALU64 | BPF_DIV, 0, 0, 1, 2)), "bad arithmetic",
		1);
	refuses("half a 64-bit constant", FRAGMENT(INSN(BPF_LD | BPF_IMM | BPF_DW, 0, 0, 0, 1)),
		"64-bit constant without its second half", 0);
	refuses("a jump into a 64-bit constant",
		FRAGMENT(ALU_K(MOV, 0, 1), JMP_K(JEQ, 0, 1, 1),
			 INSN(BPF_LD | BPF_IMM | BPF_DW, 0, 0, 0, 1), INSN(0, 0, 0, 0, 0)),
		"jump into a 64-bit constant", 2);
	refuses("a map's address", FRAGMENT(INSN(BPF_LD | BPF_IMM | BPF_DW, 0, 1, 0, 1),
					    INSN(0, 0, 0, 0, 0)), "bad instruction", 0);
}

/* ---- per-CPU ---------------------------------------------------------- */

#define NCPU 5

static int64_t field_of(const struct lb_reduction *r, const uint8_t *p)
{
	uint32_t width = r->bits ? r->bits : 8 * r->size;
	unsigned __int128 v = 0;

	for (uint32_t i = 0; i < r->size; i++)
		v |= (unsigned __int128)p[r->offset + i] << (8 * (r->big ? r->size - 1 - i : i));
	v = v >> r->bit & (((unsigned __int128)1 << width) - 1);
	if (r->is_signed && v >> (width - 1))
		v -= (unsigned __int128)1 << width;
	return (int64_t)v;
}

static int64_t reduce_plainly(const struct lb_reduction *r, const uint8_t *values, uint32_t step)
{
	int64_t all = field_of(r, values), v;

	if (r->op == LB_REDUCE_CPU)
		return field_of(r, values + r->cpu * step);
	for (uint32_t cpu = 1; cpu < NCPU; cpu++) {
		bool less;

		v = field_of(r, values + cpu * step);
		less = r->is_signed ? v < all : (uint64_t)v < (uint64_t)all;
		if (r->op == LB_REDUCE_SUM)
			all = (int64_t)((uint64_t)all + (uint64_t)v);
		else if (less == (r->op == LB_REDUCE_MIN))
			all = v;
	}
	return all;
}

static void reductions(void)
{
	struct lb_reduction r;
	struct lb_env env = { .key_size = 8, .value_size = 20, .ncpu = NCPU, .reductions = &r,
			      .nreductions = 1 };
	struct lb_fragment f = FRAGMENT(LOAD(DW, 0, 9, 0));
	uint32_t wrong = 0;
	uint8_t values[NCPU * 24];
	struct lb_interp ip;

	for (int i = 0; i < 20000; i++) {
		r = (struct lb_reduction){.op = below(4),
					  .cpu = below(NCPU),
					  .size = 1u << below(4),
					  .is_signed = below(2),
					  .big = below(2)};
		r.offset = below(20 - r.size + 1);
		if (below(2)) {
			r.bits = 1 + below(r.size * 8);
			r.bit = below(r.size * 8 - r.bits + 1);
		}
		rnd_bytes(values, sizeof(values));
		wrong += lb_interp_init(&ip, &f, &env, NULL) != NULL ||
			 lb_interp_entry(&ip, key, values, NULL) !=
				 (uint64_t)reduce_plainly(&r, values, 24);
	}
	ok(wrong == 0, "20000 random reductions over %d CPUs are as in plain C", NCPU);
	r = (struct lb_reduction){ .op = LB_REDUCE_SUM, .offset = 17, .size = 4 };
	ok(lb_env_check(&env) != NULL, "refuses a reduction past the value");
	r = (struct lb_reduction){ .op = LB_REDUCE_SUM, .size = 2, .bit = 9, .bits = 8 };
	ok(lb_env_check(&env) != NULL, "refuses a reduction past its field");
	r = (struct lb_reduction){ .op = LB_REDUCE_CPU, .size = 2, .cpu = NCPU };
	ok(lb_env_check(&env) != NULL, "refuses a CPU that does not exist");
	r = (struct lb_reduction){ .op = LB_REDUCE_SUM, .size = 8 };
	f = FRAGMENT(LOAD(B, 0, 7, 0));
	ok(lb_fragment_check(&f, &env, NULL) != NULL, "refuses the value of a per-CPU map");
}

static void blocks(void)
{
	struct lb_env env = { .key_size = 3, .value_size = 5, .nparams = 1 };
	struct lb_fragment where = FRAGMENT(LOAD(H, 1, 7, 1), LOAD(DW, 2, 8, 0), ALU_K(MOV, 0, 1),
					    JMP_X(JLT, 1, 2, 1), ALU_K(MOV, 0, 0));
	struct lb_fragment column = FRAGMENT(LOAD(B, 0, 6, 2));
	uint8_t keys[300], values[500], match[100];
	struct lb_block b = { keys, values, 100 };
	uint64_t limit = 20000, out[200];
	uint32_t n = 0, wrong = 0;
	struct lb_interp w, c;

	rnd_bytes(keys, sizeof(keys));
	rnd_bytes(values, sizeof(values));
	ok(!lb_interp_init(&w, &where, &env, NULL) && !lb_interp_init(&c, &column, &env, NULL),
	   "fragments over odd sizes are accepted");
	uint32_t matched = lb_interp_match(&w, &b, &limit, match);
	uint32_t columns = lb_interp_column(&c, &b, &limit, match, out, 2);

	for (uint32_t i = 0; i < 100; i++) {
		bool want = values[i * 5 + 1] + 256u * values[i * 5 + 2] < limit;

		wrong += match[i] != want || (want && out[n * 2] != keys[i * 3 + 2]);
		n += want;
	}
	ok(wrong == 0 && n > 0 && n < 100, "each entry of a block is judged by itself");
	ok(matched == n && columns == n, "the matches are counted");
}

/* The third answer is none of the matches. */
static void answers(void)
{
	struct lb_env env = { .key_size = 1, .value_size = 1 };
	struct lb_fragment where = FRAGMENT(LOAD(B, 0, 6, 0)), column = FRAGMENT(LOAD(B, 0, 7, 0));
	uint8_t keys[] = { LB_NO, LB_YES, LB_ASK, LB_YES }, values[] = { 10, 11, 12, 13 }, match[4];
	struct lb_block b = { keys, values, 4 };
	struct lb_interp w, c;
	uint64_t out[4];

	ok(!lb_interp_init(&w, &where, &env, NULL) && !lb_interp_init(&c, &column, &env, NULL) &&
	   lb_interp_match(&w, &b, NULL, match) == 2 && memcmp(match, keys, 4) == 0,
	   "a condition has three answers");
	ok(lb_interp_column(&c, &b, NULL, match, out, 1) == 2 && out[0] == 11 && out[1] == 13,
	   "columns are of what it says yes to");
}

#define STORE_PARAM(s, o) INSN(BPF_STX | BPF_MEM | BPF_DW, 8, s, o, 0)

/* Fragments that store in parameters: those of the caller stay, from entry to entry they go on. */
static void storing(void)
{
	static const struct lb_env env = { .key_size = 1, .value_size = 1, .nparams = 2,
					   .nwritable = 1 };
	static const uint8_t keys[] = { 3, 4, 9, 5 }, values[4];
	const struct lb_block three = { keys, values, 2 }, all = { keys, values, 4 };
	const uint64_t own[] = { 100, 1000 };
	uint64_t written = 7, out[4] = { 0 };
	uint8_t match[4];
	struct lb_interp sum, slot;
	bool asked;
	/* p[0] += key; 9 is left to others. */
	struct lb_fragment f = FRAGMENT(LOAD(B, 1, 6, 0), ALU_K(MOV, 0, 2), JMP_K(JEQ, 1, 9, 4),
					LOAD(DW, 2, 8, 0), ALU_X(ADD, 2, 1), STORE_PARAM(2, 0),
					ALU_K(MOV, 0, 1));
	struct lb_fragment read = FRAGMENT(LOAD(DW, 0, 8, 0));

	ok(!lb_interp_init(&sum, &f, &env, NULL) && !lb_interp_init(&slot, &read, &env, NULL),
	   "fragments that store are accepted");
	ok(lb_interp_fold(&sum, &three, own, &written, &asked) == 2 && !asked && written == 14,
	   "a fold goes on with what it stored");
	ok(lb_interp_fold(&sum, &all, own, &written, &asked) == 2 && asked,
	   "a fold ends where it asks");
	ok(lb_interp_match(&sum, &all, own, match) == 3 && match[2] == LB_ASK && own[0] == 100,
	   "a condition that stores leaves the parameters of its caller");
	lb_interp_rows(&sum, &slot, 1, &all, own, match, out, 1, 1);
	ok(out[0] == 103 && out[1] == 107 && out[2] == 112 && own[0] == 100,
	   "columns find what the condition of their entry stored");
}

/* What the generator makes keeps the contract: otherwise the tests that use it show nothing. */
static void generator(void)
{
	struct lb_reduction r = { .op = LB_REDUCE_SUM, .size = 4 };
	struct lb_env percpu = { .key_size = 5, .value_size = 9, .nparams = 2, .ncpu = 3,
				 .reductions = &r, .nreductions = 1 };
	uint32_t refused = 0;
	struct gen g;

	for (int i = 0; i < 5000; i++) {
		const struct lb_env *env = i & 1 ? &plain : &percpu;
		struct lb_fragment f = gen_fragment(&g, env, below(200), below(2));
		const char *why = lb_fragment_check(&f, env, NULL);

		refused += why != NULL;
	}
	ok(refused == 0, "5000 random fragments are accepted");
}

int main(void)
{
	rnd_seed();
	loads();
	arithmetic();
	jumps();
	refusals();
	tables();
	refused_accesses();
	refused_arithmetic();
	reductions();
	blocks();
	answers();
	storing();
	generator();
	return tap_end();
}
