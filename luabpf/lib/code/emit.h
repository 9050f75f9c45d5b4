/* SPDX-License-Identifier: MIT */
/*
 * A small assembler for the programs that C puts together. No Lua here.
 *
 *	struct lb_code c = { 0 };
 *	struct lb_label out = { 0 };
 *
 *	lb_emit(&c, LB_LOAD(BPF_DW, BPF_REG_1, BPF_REG_8, 0));
 *	lb_jump(&c, LB_JUMP_K(BPF_JEQ, BPF_REG_1, 0), &out);
 *	...
 *	lb_here(&c, &out);
 *
 * Errors stick: c.err is 0, -ENOMEM, or -E2BIG for a jump that does not reach.
 */
#ifndef LUABPF_LIB_CODE_EMIT_H
#define LUABPF_LIB_CODE_EMIT_H

#include "lib/code/fragment.h"
#include "lib/layout/special.h"

#include <stddef.h>

struct lb_code {
	struct bpf_insn *insns;
	uint32_t n, capacity;
	int tables_fd;			/* the region with the tables of fragments */
	uint32_t tables_at;		/* where they begin in it */
	int err;
};

/* A place to jump to that is not there yet. */
struct lb_label {
	uint32_t jumps[128];	/* from where; as many as the per-CPU code needs, and some */
	uint32_t n;
};

#define LB_INSN(c, d, s, o, i) ((struct bpf_insn){ .code = (uint8_t)(c), .dst_reg = (d) & 0xf, \
	.src_reg = (s) & 0xf, .off = (int16_t)(o), .imm = (int32_t)(i) })
#define LB_MOV(d, s) LB_INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define LB_ALU(op, d, s) LB_INSN(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define LB_ALU_K(op, d, i) LB_INSN(BPF_ALU64 | (op) | BPF_K, d, 0, 0, i)
#define LB_MOV_K(d, i) LB_ALU_K(BPF_MOV, d, i)
#define LB_ADD_K(d, i) LB_ALU_K(BPF_ADD, d, i)
#define LB_BE(d, bits) LB_INSN(BPF_ALU | BPF_END | BPF_TO_BE, d, 0, 0, bits)
/* BPF_DW, BPF_W, BPF_H or BPF_B. */
static inline unsigned int lb_size_code(uint32_t bytes)
{
	return bytes == 8 ? BPF_DW : bytes == 4 ? BPF_W : bytes == 2 ? BPF_H : BPF_B;
}

#define LB_LOAD(size, d, s, o) LB_INSN(BPF_LDX | BPF_MEM | (size), d, s, o, 0)
#define LB_STORE(size, d, o, s) LB_INSN(BPF_STX | BPF_MEM | (size), d, s, o, 0)
#define LB_STORE_K(size, d, o, i) LB_INSN(BPF_ST | BPF_MEM | (size), d, 0, o, i)
/* op: BPF_ADD, BPF_XCHG, BPF_CMPXCHG; the latter two give what was there in src, in r0. */
#define LB_ATOMIC(size, d, o, s, op) LB_INSN(BPF_STX | BPF_ATOMIC | (size), d, s, o, op)
#define LB_CALL(helper) LB_INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define LB_EXIT() LB_INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
#define LB_JUMP() LB_INSN(BPF_JMP | BPF_JA, 0, 0, 0, 0)
#define LB_JUMP_K(op, d, i) LB_INSN(BPF_JMP | (op) | BPF_K, d, 0, 0, i)
/* On the low 32 bits: before Linux 6.4 map operations returned int. */
#define LB_JUMP32_K(op, d, i) LB_INSN(BPF_JMP32 | (op) | BPF_K, d, 0, 0, i)
#define LB_JUMP_X(op, d, s) LB_INSN(BPF_JMP | (op) | BPF_X, d, s, 0, 0)

void lb_code_free(struct lb_code *c);

void lb_emit(struct lb_code *c, struct bpf_insn insn);
/* A jump to a label that is set later. */
void lb_jump(struct lb_code *c, struct bpf_insn insn, struct lb_label *to);
/* A jump back to an instruction, which has to end by a count that the verifier follows. */
void lb_jump_back(struct lb_code *c, struct bpf_insn insn, uint32_t to);
/* Sets the label: what jumped to it lands here. */
void lb_here(struct lb_code *c, struct lb_label *label);
void lb_emit_fragment(struct lb_code *c, const struct lb_fragment *f);

/* Two instructions each. */
void lb_emit_imm64(struct lb_code *c, unsigned int dst, uint64_t v);
void lb_emit_map(struct lb_code *c, unsigned int dst, int fd);
/* The address of a byte of an array map's only value. */
void lb_emit_map_value(struct lb_code *c, unsigned int dst, int fd, uint32_t off);
/* The address of a function; lb_function sets it where the function begins. */
uint32_t lb_emit_function(struct lb_code *c, unsigned int dst);
void lb_function(struct lb_code *c, uint32_t at);

/* NULL if the spans are in order, apart and inside size; else why not. */
const char *lb_spans_check(const struct lb_span *spans, uint32_t n, uint32_t size);

/*
 * Copies size bytes between two registers' addresses, both moved by their
 * offset, except for the spans, which are filled with zeros, as are pad bytes
 * behind them. To map memory only: parts may overlap, and are not aligned. Uses
 * scratch.
 */
struct lb_copy {
	unsigned int dst, src, scratch;
	uint32_t dst_off, src_off, size, pad;
	const struct lb_span *spans;
	uint32_t nspans;
};
void lb_emit_copy(struct lb_code *c, const struct lb_copy *copy);
/*
 * Ors into acc what differs between two values of size bytes, the spans left
 * out. Uses the two scratch registers.
 */
void lb_emit_differences(struct lb_code *c, const struct lb_copy *of, unsigned int acc,
			 unsigned int scratch2);

#endif
