/* SPDX-License-Identifier: MIT */
/*
 * The check of fragments. See fragment.h.
 *
 * HOW IT WORKS. Jumps go forward only, so one pass in the order of the
 * instructions sees every path before it comes to where paths meet. For each
 * instruction there is the state in which it is reached: what r0 to r5 hold
 * (nothing, a number, or a pointer at a known offset into something, in tables
 * one of known bounds) and which slots of the frame were written. An
 * instruction's effect is applied to its state, and the result joined to the
 * state of each instruction that may come next: what two paths do not agree on
 * is nothing. An instruction that no path has reached when the pass comes to it
 * is unreachable, and refused as the kernel's verifier does.
 */
#include "lib/code/fragment.h"
#include "lib/layout/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NSCRATCH 6
#define NSLOTS (LB_FRAME_SIZE / 8)

enum kind { NOTHING, NUMBER, KEY, VALUE, PARAMS, SLOTS, FRAME, TABLES };

#define UNBOUNDED UINT32_MAX

struct reg {
	uint8_t kind;
	int32_t off;		/* pointers: from the start of what it points into */
	uint32_t span;		/* of a number the largest it can be; how far past off a pointer */
};

struct state {
	struct reg r[NSCRATCH];
	uint32_t written;	/* slots of the frame, bit 0 the lowest */
	bool reached;
};

struct check {
	const struct lb_env *env;
	const struct bpf_insn *code;
	uint32_t n;
	struct state *in;	/* n + 1: the state before each instruction, and at the end */
};

uint32_t lb_env_stride(const struct lb_env *env)
{
	return env->ncpu ? lb_cpu_stride(env->value_size) * env->ncpu : env->value_size;
}

static bool power_of_two_size(uint32_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static const char *check_reduction(const struct lb_reduction *r, const struct lb_env *env)
{
	if (r->op > LB_REDUCE_CPU)
		return "unknown reduction";
	if (!power_of_two_size(r->size) || r->size > env->value_size ||
	    r->offset > env->value_size - r->size)
		return "reduction outside the value";
	if (r->bits ? r->bits > r->size * 8 || r->bit > r->size * 8 - r->bits : r->bit != 0)
		return "reduction outside its field";
	if (r->op == LB_REDUCE_CPU && r->cpu >= env->ncpu)
		return "no such CPU";
	return NULL;
}

const char *lb_env_check(const struct lb_env *env)
{
	const char *why = NULL;

	if (env->key_size > INT32_MAX / 2 || env->value_size > INT32_MAX / 2)
		return "key or value too large";
	if (env->nparams > LB_MAX_PARAMS || env->ntables > LB_MAX_TABLES ||
	    env->nwritable > env->nparams)
		return "too many parameters";
	if (env->nreductions > LB_MAX_REDUCTIONS)
		return "too many per-CPU fields";
	if (env->nreductions && !env->ncpu)
		return "reductions without CPUs";
	for (uint32_t i = 0; i < env->nreductions && !why; i++)
		why = check_reduction(&env->reductions[i], env);
	return why;
}

/* What is known of a register on both of two paths. */
static struct reg common(struct reg a, struct reg b)
{
	if (a.kind != b.kind || a.off != b.off)
		return (struct reg){ NOTHING, 0, 0 };
	return a.span > b.span ? a : b;
}

static void join(struct state *to, const struct state *from)
{
	if (!to->reached) {
		*to = *from;
		return;
	}
	for (int i = 0; i < NSCRATCH; i++)
		to->r[i] = common(to->r[i], from->r[i]);
	to->written &= from->written;
}

static struct reg reg_at(const struct check *c, const struct state *s, unsigned int i)
{
	static const uint8_t fixed[] = { KEY, VALUE, PARAMS, SLOTS, FRAME };

	if (i < NSCRATCH)
		return s->r[i];
	if (i > BPF_REG_10 || (i == BPF_REG_7 && c->env->ncpu))
		return (struct reg){ NOTHING, 0, 0 };
	return (struct reg){ fixed[i - NSCRATCH], 0, 0 };
}

static bool is_number(const struct check *c, const struct state *s, unsigned int i)
{
	return reg_at(c, s, i).kind == NUMBER;
}

static void set_number(struct state *s, unsigned int i)
{
	s->r[i] = (struct reg){ NUMBER, 0, UNBOUNDED };
}

static uint32_t access_size(const struct bpf_insn *insn)
{
	static const uint8_t bytes[] = { 4, 2, 1, 8 };	/* BPF_W, BPF_H, BPF_B, BPF_DW */

	return bytes[BPF_SIZE(insn->code) >> 3];
}

static bool inside(int64_t off, uint32_t size, uint32_t limit)
{
	return off >= 0 && off + size <= limit;
}

static bool inside_slots(int64_t off, uint32_t size, uint32_t n)
{
	return size == 8 && off % 8 == 0 && inside(off, size, n * 8);
}

/* The frame's slot that a whole, aligned access at off from r10 means; NSLOTS: none. */
static unsigned int frame_slot(const struct lb_env *env, int64_t off, uint32_t size)
{
	off += lb_frame_size(env);
	return inside_slots(off, size, lb_frame_size(env) / 8) ? (unsigned int)(off / 8) : NSLOTS;
}

static const char *check_load(const struct check *c, struct state *s, const struct bpf_insn *insn)
{
	struct reg src = reg_at(c, s, insn->src_reg);
	int64_t off = (int64_t)src.off + insn->off;
	uint32_t size = access_size(insn);
	unsigned int slot;

	if (BPF_MODE(insn->code) != BPF_MEM || insn->imm || insn->dst_reg >= NSCRATCH)
		return "bad load";
	set_number(s, insn->dst_reg);
	switch (src.kind) {
	case KEY:
		return inside(off, size, c->env->key_size) ? NULL : "load outside the key";
	case VALUE:
		return inside(off, size, c->env->value_size) ? NULL : "load outside the value";
	case PARAMS:
		return inside_slots(off, size, c->env->nparams) ? NULL : "no such parameter";
	case SLOTS:
		return inside_slots(off, size, c->env->nreductions) ? NULL : "no such per-CPU slot";
	case TABLES:
		return inside(off, src.span + size, 8 * c->env->ntables) ? NULL : "load outside the tables";
	case FRAME:
		slot = frame_slot(c->env, off, size);
		return slot < NSLOTS && s->written >> slot & 1 ? NULL : "load of an unwritten slot";
	default:
		return "load from what is no pointer";
	}
}

static const char *check_store(const struct check *c, struct state *s, const struct bpf_insn *insn)
{
	bool imm = BPF_CLASS(insn->code) == BPF_ST;
	unsigned int slot = frame_slot(c->env, insn->off, access_size(insn));
	bool writable = insn->dst_reg == BPF_REG_8 &&
			inside_slots(insn->off, access_size(insn), c->env->nwritable);

	if (BPF_MODE(insn->code) != BPF_MEM || (imm ? insn->src_reg != 0 : insn->imm != 0))
		return "bad store";
	if (insn->dst_reg == BPF_REG_8 && !writable)
		return "store to a parameter that is not writable";
	if (!writable && (insn->dst_reg != BPF_REG_10 || slot == NSLOTS))
		return "store outside the frame";
	if (!imm && !is_number(c, s, insn->src_reg))
		return "store of what is no number";
	if (!writable)
		s->written |= 1u << slot;
	return NULL;
}

/* Adds a number that is bounded to the address of a table. */
static const char *check_index(struct reg *dst, uint32_t index)
{
	if (index > 8 * LB_MAX_TABLES || dst->span > 8 * LB_MAX_TABLES)
		return "an index without bounds";
	dst->span += index;
	return NULL;
}

/* Copies of the pointers to key and value may be moved, so that offsets past 32767 are in reach. */
static const char *check_pointer(struct state *s, const struct bpf_insn *insn, struct reg src)
{
	struct reg *dst = &s->r[insn->dst_reg];
	int64_t off = (int64_t)dst->off + insn->imm;

	if (insn->code == (BPF_ALU64 | BPF_MOV | BPF_X)) {
		*dst = src;
		return NULL;
	}
	if (insn->code == (BPF_ALU64 | BPF_ADD | BPF_X) && dst->kind == TABLES && src.kind == NUMBER)
		return check_index(dst, src.span);
	if (insn->code != (BPF_ALU64 | BPF_ADD | BPF_K) || (dst->kind != KEY && dst->kind != VALUE))
		return "arithmetic on a pointer";
	if (off < 0 || off > INT32_MAX / 2)
		return "pointer out of range";
	dst->off = (int32_t)off;
	return NULL;
}

static const char *check_swap(const struct check *c, struct state *s, const struct bpf_insn *insn)
{
	if (BPF_CLASS(insn->code) != BPF_ALU || insn->src_reg ||
	    (insn->imm != 16 && insn->imm != 32 && insn->imm != 64))
		return "bad byte swap";
	return is_number(c, s, insn->dst_reg) ? NULL : "byte swap of what is no number";
}

static const char *check_constant(const struct bpf_insn *insn)
{
	int32_t width = BPF_CLASS(insn->code) == BPF_ALU64 ? 64 : 32;

	switch (BPF_OP(insn->code)) {
	case BPF_DIV:
	case BPF_MOD:
		return insn->imm ? NULL : "division by the constant zero";
	case BPF_LSH:
	case BPF_RSH:
	case BPF_ARSH:
		return insn->imm >= 0 && insn->imm < width ? NULL : "constant shift out of range";
	case BPF_NEG:
		return insn->imm ? "bad negation" : NULL;
	default:
		return NULL;
	}
}

/* The largest that a number of at most `before` can be after an operation with one up to `by`. */
static uint32_t bound_after(const struct bpf_insn *insn, uint32_t before, uint32_t by)
{
	switch (insn->code) {
	case BPF_ALU64 | BPF_MOV | BPF_X:
	case BPF_ALU64 | BPF_MOV | BPF_K:
		return by;
	case BPF_ALU64 | BPF_AND | BPF_K:
		return by < before ? by : before;
	case BPF_ALU64 | BPF_LSH | BPF_K:
		return by < 32 && before <= UNBOUNDED >> 1 >> by ? before << by : UNBOUNDED;
	default:
		return UNBOUNDED;
	}
}

static const char *check_alu(const struct check *c, struct state *s, const struct bpf_insn *insn)
{
	bool x = BPF_SRC(insn->code) == BPF_X;
	uint8_t op = BPF_OP(insn->code);
	uint32_t imm = insn->imm < 0 ? UNBOUNDED : (uint32_t)insn->imm;
	struct reg src = x ? reg_at(c, s, insn->src_reg) : (struct reg){ NUMBER, 0, imm };
	uint32_t bound;

	if (insn->dst_reg >= NSCRATCH || op > BPF_END || insn->off)
		return "bad arithmetic";
	if (op == BPF_END)
		return check_swap(c, s, insn);
	if (x ? insn->imm != 0 || op == BPF_NEG : insn->src_reg != 0)
		return "bad arithmetic";
	if (src.kind == NOTHING || (op != BPF_MOV && s->r[insn->dst_reg].kind == NOTHING))
		return "use of a register that holds nothing";
	if (src.kind != NUMBER || (op != BPF_MOV && s->r[insn->dst_reg].kind != NUMBER))
		return check_pointer(s, insn, src);
	bound = bound_after(insn, s->r[insn->dst_reg].span, src.span);
	s->r[insn->dst_reg] = (struct reg){ NUMBER, 0, bound };
	return x ? NULL : check_constant(insn);
}

/* The address of a byte of the tables. */
static const char *check_table(const struct check *c, struct reg *dst, const struct bpf_insn *insn)
{
	if (insn->imm || !inside(insn[1].imm, 1, 8 * c->env->ntables))
		return "no such table";
	*dst = (struct reg){ TABLES, insn[1].imm, 0 };
	return NULL;
}

static const char *check_imm64(const struct check *c, struct state *s, uint32_t i)
{
	const struct bpf_insn *insn = &c->code[i];

	if (insn->code != (BPF_LD | BPF_IMM | BPF_DW) || insn->dst_reg >= NSCRATCH ||
	    (insn->src_reg && insn->src_reg != BPF_PSEUDO_MAP_VALUE) || insn->off)
		return "bad instruction";
	if (i + 1 >= c->n || insn[1].code || insn[1].dst_reg || insn[1].src_reg || insn[1].off)
		return "64-bit constant without its second half";
	if (insn->src_reg)
		return check_table(c, &s->r[insn->dst_reg], insn);
	set_number(s, insn->dst_reg);
	return NULL;
}

static const char *check_operands(const struct check *c, const struct state *s,
				  const struct bpf_insn *insn)
{
	bool x = BPF_SRC(insn->code) == BPF_X;

	if (x ? insn->imm != 0 : insn->src_reg != 0)
		return "bad jump";
	if (!is_number(c, s, insn->dst_reg) || (x && !is_number(c, s, insn->src_reg)))
		return "comparison of what is no number";
	return NULL;
}

/* *falls is set to whether the next instruction is reached too. */
static const char *check_jump(struct check *c, const struct state *s, uint32_t i, bool *falls)
{
	const struct bpf_insn *insn = &c->code[i];
	uint8_t op = BPF_OP(insn->code);
	const char *why = NULL;

	*falls = op != BPF_JA;
	if (op == BPF_CALL || op == BPF_EXIT || op > BPF_JSLE)
		return "call, exit or unknown jump";
	if (*falls)
		why = check_operands(c, s, insn);
	else if (insn->code != (BPF_JMP | BPF_JA) || insn->imm || insn->dst_reg || insn->src_reg)
		return "bad jump";
	if (insn->off < 0 || (uint32_t)insn->off > c->n - i - 1)
		return "jump that is not forward and inside";
	if (!why)
		join(&c->in[i + 1 + (uint32_t)insn->off], s);
	return why;
}

/* Checks instruction i and joins its effect to what comes next; *i moves on. */
static const char *check_one(struct check *c, uint32_t *i)
{
	const struct bpf_insn *insn = &c->code[*i];
	struct state s = c->in[*i];
	const char *why;
	bool falls = true;
	uint32_t step = 1;

	switch (BPF_CLASS(insn->code)) {
	case BPF_LDX:
		why = check_load(c, &s, insn);
		break;
	case BPF_ST:
	case BPF_STX:
		why = check_store(c, &s, insn);
		break;
	case BPF_ALU:
	case BPF_ALU64:
		why = check_alu(c, &s, insn);
		break;
	case BPF_LD:
		why = check_imm64(c, &s, *i);
		step = 2;
		break;
	default:
		why = check_jump(c, &s, *i, &falls);
	}
	if (why)
		return why;
	if (step == 2 && c->in[*i + 1].reached)
		return "jump into a 64-bit constant";
	if (falls)
		join(&c->in[*i + step], &s);
	*i += step;
	return NULL;
}

static const char *check_all(struct check *c, uint32_t *i)
{
	const char *why = NULL;

	c->in[0].reached = true;
	while (*i < c->n && !why)
		why = c->in[*i].reached ? check_one(c, i) : "unreachable instruction";
	if (!why && c->in[c->n].r[0].kind != NUMBER)
		why = "no result in r0";
	return why;
}

const char lb_fragment_no_memory[] = "out of memory";

int lb_fragment_error(const char *why)
{
	if (!why)
		return 0;
	return why == lb_fragment_no_memory ? -ENOMEM : -EINVAL;
}

const char *lb_fragment_check(const struct lb_fragment *f, const struct lb_env *env, uint32_t *at)
{
	struct check c = { env, f->code, f->n, NULL };
	const char *why;
	uint32_t i = 0;

	if (at)
		*at = 0;
	if (f->n == 0 || f->n > LB_MAX_FRAGMENT)
		return f->n ? "fragment too long" : "empty fragment";
	c.in = calloc((size_t)f->n + 1, sizeof(*c.in));
	if (!c.in)
		return lb_fragment_no_memory;
	why = check_all(&c, &i);
	free(c.in);
	if (at)
		*at = i;
	return why;
}
