/* SPDX-License-Identifier: MIT */
/*
 * The assembler of program shapes. See emit.h.
 */
#include "lib/code/emit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void lb_code_free(struct lb_code *c)
{
	free(c->insns);
	memset(c, 0, sizeof(*c));
}

static bool reserve(struct lb_code *c, uint32_t n)
{
	uint32_t capacity = c->capacity ? c->capacity : 128;
	struct bpf_insn *insns;

	while (capacity < c->n + n)
		capacity *= 2;
	if (c->err || capacity == c->capacity)
		return !c->err;
	insns = realloc(c->insns, capacity * sizeof(*insns));
	if (!insns) {
		c->err = -ENOMEM;
		return false;
	}
	c->insns = insns;
	c->capacity = capacity;
	return true;
}

void lb_emit(struct lb_code *c, struct bpf_insn insn)
{
	if (reserve(c, 1))
		c->insns[c->n++] = insn;
}

void lb_jump(struct lb_code *c, struct bpf_insn insn, struct lb_label *to)
{
	if (to->n == sizeof(to->jumps) / sizeof(to->jumps[0])) {
		c->err = c->err ? c->err : -E2BIG;
		return;
	}
	to->jumps[to->n++] = c->n;
	lb_emit(c, insn);
}

void lb_jump_back(struct lb_code *c, struct bpf_insn insn, uint32_t to)
{
	if (c->n - to >= INT16_MAX && !c->err)
		c->err = -E2BIG;
	insn.off = (int16_t)((int32_t)to - (int32_t)c->n - 1);
	lb_emit(c, insn);
}

void lb_here(struct lb_code *c, struct lb_label *label)
{
	for (uint32_t i = 0; i < label->n && !c->err; i++) {
		uint32_t distance = c->n - label->jumps[i] - 1;

		if (distance > INT16_MAX)
			c->err = -E2BIG;
		else
			c->insns[label->jumps[i]].off = (int16_t)distance;
	}
	label->n = 0;
}

/* Addresses of tables become those of where they lie. */
static void bind_tables(const struct lb_code *c, struct bpf_insn *insns, uint32_t n)
{
	for (uint32_t i = 0; i + 1 < n; i++) {
		if (insns[i].code != (BPF_LD | BPF_IMM | BPF_DW) ||
		    insns[i].src_reg != BPF_PSEUDO_MAP_VALUE)
			continue;
		insns[i].imm = c->tables_fd;
		insns[i + 1].imm += (int32_t)c->tables_at;
	}
}

void lb_emit_fragment(struct lb_code *c, const struct lb_fragment *f)
{
	if (!reserve(c, f->n))
		return;
	memcpy(c->insns + c->n, f->code, f->n * sizeof(*f->code));
	bind_tables(c, c->insns + c->n, f->n);
	c->n += f->n;
}

static void wide(struct lb_code *c, unsigned int dst, unsigned int what, uint32_t low,
		 uint32_t high)
{
	lb_emit(c, LB_INSN(BPF_LD | BPF_IMM | BPF_DW, dst, what, 0, low));
	lb_emit(c, LB_INSN(0, 0, 0, 0, high));
}

void lb_emit_imm64(struct lb_code *c, unsigned int dst, uint64_t v)
{
	wide(c, dst, 0, (uint32_t)v, (uint32_t)(v >> 32));
}

void lb_emit_map(struct lb_code *c, unsigned int dst, int fd)
{
	wide(c, dst, BPF_PSEUDO_MAP_FD, (uint32_t)fd, 0);
}

void lb_emit_map_value(struct lb_code *c, unsigned int dst, int fd, uint32_t off)
{
	wide(c, dst, BPF_PSEUDO_MAP_VALUE, (uint32_t)fd, off);
}

uint32_t lb_emit_function(struct lb_code *c, unsigned int dst)
{
	wide(c, dst, BPF_PSEUDO_FUNC, 0, 0);
	return c->n - 2;
}

void lb_function(struct lb_code *c, uint32_t at)
{
	if (!c->err)
		c->insns[at].imm = (int32_t)(c->n - at - 1);
}

const char *lb_spans_check(const struct lb_span *spans, uint32_t n, uint32_t size)
{
	uint64_t from = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (spans[i].offset < from || spans[i].size == 0)
			return "spans out of order";
		from = (uint64_t)spans[i].offset + spans[i].size;
		if (from > size)
			return "span outside the value";
	}
	return NULL;
}

/* ---- runs of bytes ---------------------------------------------------- */

/*
 * The next part of a run of size bytes at *at: its length, 8, 4, 2 or 1. The
 * last part of a run of 8 or more overlaps the one before.
 */
static uint32_t next_part(uint32_t *at, uint32_t size)
{
	uint32_t left = size - *at, part = 8;

	if (size >= 8 && left < 8) {
		*at = size - 8;
		return 8;
	}
	while (part > left)
		part /= 2;
	return part;
}

static void copy_run(struct lb_code *c, const struct lb_copy *o, uint32_t from, uint32_t size)
{
	for (uint32_t at = 0, part; at < size; at += part) {
		part = next_part(&at, size);
		lb_emit(c, LB_LOAD(lb_size_code(part), o->scratch, o->src, o->src_off + from + at));
		lb_emit(c, LB_STORE(lb_size_code(part), o->dst, o->dst_off + from + at, o->scratch));
	}
}

static void zero_run(struct lb_code *c, const struct lb_copy *o, uint32_t from, uint32_t size)
{
	for (uint32_t at = 0, part; at < size; at += part) {
		part = next_part(&at, size);
		lb_emit(c, LB_STORE_K(lb_size_code(part), o->dst, o->dst_off + from + at, 0));
	}
}

void lb_emit_copy(struct lb_code *c, const struct lb_copy *o)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < o->nspans; i++) {
		copy_run(c, o, at, o->spans[i].offset - at);
		zero_run(c, o, o->spans[i].offset, o->spans[i].size);
		at = o->spans[i].offset + o->spans[i].size;
	}
	copy_run(c, o, at, o->size - at);
	zero_run(c, o, o->size, o->pad);
}

static void differ_run(struct lb_code *c, const struct lb_copy *o, uint32_t from, uint32_t size,
		       unsigned int acc, unsigned int other)
{
	for (uint32_t at = 0, part; at < size; at += part) {
		part = next_part(&at, size);
		lb_emit(c, LB_LOAD(lb_size_code(part), o->scratch, o->src, o->src_off + from + at));
		lb_emit(c, LB_LOAD(lb_size_code(part), other, o->dst, o->dst_off + from + at));
		lb_emit(c, LB_ALU(BPF_XOR, o->scratch, other));
		lb_emit(c, LB_ALU(BPF_OR, acc, o->scratch));
	}
}

void lb_emit_differences(struct lb_code *c, const struct lb_copy *o, unsigned int acc,
			 unsigned int other)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < o->nspans; i++) {
		differ_run(c, o, at, o->spans[i].offset - at, acc, other);
		at = o->spans[i].offset + o->spans[i].size;
	}
	differ_run(c, o, at, o->size - at, acc, other);
}
