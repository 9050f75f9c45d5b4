/* SPDX-License-Identifier: MIT */
/*
 * Fragments: expressions compiled to BPF instructions, and what they may do.
 * interp.c runs them over blocks, scan.c and keyed.c put them into programs.
 * No Lua here.
 *
 * A fragment finds in its registers
 *
 *	r6	the key
 *	r7	the value (not in per-CPU maps, where there is no single one)
 *	r8	the parameters, u64 slots
 *	-	tables, u64 slots that come after the parameters: LD_IMM64 with
 *		BPF_PSEUDO_MAP_VALUE in src_reg and 0 in imm gives the address of the byte
 *		that the second half's imm says. In programs they lie in the region
 *	r9	the per-CPU slots, u64, one for each reduction
 *	r10	the frame: [r10-208, r10) are 26 u64 slots of its own; in per-CPU maps
 *		[r10-128, r10), sixteen
 *
 * and leaves its result in r0, an enum lb_answer if it is a condition. r0 to r5 are
 * scratch, r6 to r10 are never written. The first parameters may be writable: it
 * stores its numbers there too. It calls nothing, jumps forward only
 * and ends by running off its end. Loads end inside the key or the value and
 * may be unaligned; the slots are loaded and stored whole. An index is added to
 * the address of a table only where it was bounded: by AND with a constant that
 * is not negative, after which it may be shifted. Its instructions are
 * those of Linux 5.15: none of the ISA's version 4.
 */
#ifndef LUABPF_LIB_CODE_FRAGMENT_H
#define LUABPF_LIB_CODE_FRAGMENT_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

/* Half of what a jump's 16-bit offset can span, so that a program has room around it. */
#define LB_MAX_FRAGMENT 16384
/* Per-CPU slots lie on the 512-byte stack of a program next to the frame, which is smaller then. */
#define LB_FRAME_SIZE 208
#define LB_FRAME_PERCPU 128
#define LB_MAX_REDUCTIONS 32
/* They are addressed by a 16-bit offset from r8, with a scan's counters behind them. */
#define LB_MAX_PARAMS 2048
/* 8 MiB of region. */
#define LB_MAX_TABLES (1u << 20)

/* What a condition says of an entry. Of expressions only the first two. */
enum lb_answer {
	LB_NO,
	LB_YES,
	LB_ASK,				/* somebody else has to judge it: for a Lua function, Lua */
};

struct lb_fragment {
	const struct bpf_insn *code;
	uint32_t n;			/* instructions */
};

enum lb_reduce_op {
	LB_REDUCE_SUM,			/* modulo 2^64 */
	LB_REDUCE_MAX,			/* by the field's signedness */
	LB_REDUCE_MIN,
	LB_REDUCE_CPU,			/* the field of one CPU */
};

/*
 * How one field of all CPUs' values becomes one u64. The field is read as an
 * integer of size bytes; a bitfield is bits [bit, bit + bits) of that integer,
 * counted from its lowest; signed fields are sign-extended.
 */
struct lb_reduction {
	enum lb_reduce_op op;
	uint32_t cpu;			/* LB_REDUCE_CPU: from 0, in the order of values */
	uint32_t offset;		/* bytes from the start of the value */
	uint32_t size;			/* 1, 2, 4 or 8 */
	uint32_t bit, bits;		/* bits 0: the whole field, bit is 0 too */
	bool is_signed, big;
};

/* What a fragment is given to work on. */
struct lb_env {
	uint32_t key_size, value_size;	/* bytes */
	uint32_t ncpu;			/* per-CPU maps: possible CPUs; else 0 */
	uint32_t nparams;		/* u64 slots */
	uint32_t ntables;		/* u64 slots of tables, which come after them */
	uint32_t nwritable;		/* the first of them that fragments may store to */
	const struct lb_reduction *reductions;
	uint32_t nreductions;		/* 0 unless ncpu */
};

static inline uint32_t lb_frame_size(const struct lb_env *env)
{
	return env->ncpu ? LB_FRAME_PERCPU : LB_FRAME_SIZE;
}

/* Bytes from one entry's value to the next in a block. */
uint32_t lb_env_stride(const struct lb_env *env);

/* NULL if the environment is sound: sizes, reductions, limits; else why not, static text. */
const char *lb_env_check(const struct lb_env *env);

/*
 * Proves that a fragment keeps the contract above in an environment that
 * lb_env_check passed. NULL if it does; else why not, static text, with *at
 * (may be NULL) set to the instruction's index. What passes here can be run
 * without a check of its loads, whatever the data.
 */
const char *lb_fragment_check(const struct lb_fragment *f, const struct lb_env *env, uint32_t *at);

/* What that says where there is no memory to check with. */
extern const char lb_fragment_no_memory[];
/* What a refusal for that reason is: 0 for none, -ENOMEM, which may pass, or -EINVAL. */
int lb_fragment_error(const char *why);

#endif
