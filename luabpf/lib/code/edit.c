/* SPDX-License-Identifier: MIT */
/*
 * Changes of entries. See edit.h.
 *
 *	copy the live value
 *	again:	where, decide: no, ask: done
 *		new values; one that does not fit: ask
 *		each word: new value of it, compare and exchange; another one there: the
 *			copy gets it; again, at most so many times
 *		plain words, words that are taken, additions
 *
 * Under a spin lock there is no other writer, and all words are plain.
 */
#include "lib/code/edit.h"

#include "lib/code/progshape.h"

#include <endian.h>
#include <string.h>

#define R(n) BPF_REG_##n

/* The callback's own slots. */
enum { OWN_LIVE, OWN_TRIES, OWN_VERDICT };

/* ---- checks, copies --------------------------------------------------- */

static const char *check_word(const struct lb_cell *w, const struct lb_env *env)
{
	if (w->how > LB_CELL_TAKE)
		return "unknown kind of word";
	if (w->size != 1 && w->size != 2 && w->size != 4 && w->size != 8)
		return "bad size of a word";
	if (w->size > env->value_size || w->offset > env->value_size - w->size)
		return "word outside the value";
	if (w->how != LB_CELL_PLAIN && (w->size < 4 || w->offset % w->size))
		return "word that is not aligned";
	return NULL;
}

static const char *check_store(const struct lb_edit *x, uint32_t i)
{
	const struct lb_put *s = &x->puts[i];
	const struct lb_cell *w;

	if (s->word >= x->nwords || (i > 0 && s->word < x->puts[i - 1].word))
		return "puts out of order";
	w = &x->words[s->word];
	if (s->bits == 0 || s->bits > 8 * w->size || s->bit > 8 * w->size - s->bits)
		return "store outside its word";
	if ((w->how == LB_CELL_ADD || w->how == LB_CELL_TAKE) && s->bits != 8 * w->size)
		return "part of a word that is added to or taken";
	if (s->big && s->bits != 16 && s->bits != 32 && s->bits != 64)
		return "bad order of bytes";
	return NULL;
}

const char *lb_edit_check(const struct lb_edit *x, const struct lb_env *env)
{
	const char *why = NULL;

	if (x->nwords == 0)
		return NULL;
	if (x->nputs == 0 || x->nputs > LB_MAX_PUTS || x->nwords > x->nputs)
		return "too many puts, or none";
	if (env->nwritable < lb_edit_slots(x))
		return "too few writable slots";
	for (uint32_t i = 0; i < x->nwords && !why; i++)
		why = check_word(&x->words[i], env);
	for (uint32_t i = 0; i < x->nputs && !why; i++)
		why = check_store(x, i);
	if (!why && x->decide.n)
		return lb_fragment_check(&x->decide, env, NULL);
	for (uint32_t i = 0; i < x->nputs && !why; i++)
		if (x->values[i].n)
			why = lb_fragment_check(&x->values[i], env, NULL);
	return why;
}

static size_t code_size(const struct lb_fragment *f)
{
	return f->n * sizeof(*f->code);
}

size_t lb_edit_kept(const struct lb_edit *x)
{
	size_t size = lb_kept(x->nwords * sizeof(*x->words)) +
		      lb_kept(x->nputs * sizeof(*x->puts)) + code_size(&x->decide);

	if (!x->values)
		return size;
	size += lb_kept(x->nputs * sizeof(*x->values));
	for (uint32_t i = 0; i < x->nputs; i++)
		size += code_size(&x->values[i]);
	return size;
}

void lb_edit_keep(struct lb_edit *to, const struct lb_edit *from, uint8_t **p)
{
	struct lb_fragment *values;

	*to = *from;
	to->words = lb_keep(p, from->words, from->nwords * sizeof(*from->words));
	to->puts = lb_keep(p, from->puts, from->nputs * sizeof(*from->puts));
	to->decide.code = lb_keep(p, from->decide.code, code_size(&from->decide));
	if (!from->values)
		return;
	to->values = values = lb_keep(p, from->values, from->nputs * sizeof(*values));
	for (uint32_t i = 0; i < from->nputs; i++)
		values[i].code = lb_keep(p, values[i].code, code_size(&values[i]));
}

/* ---- parts of the program --------------------------------------------- */

struct writer {
	const struct lb_editor *x;
	const struct lb_edit *change;
	struct lb_code *c;
	struct lb_label no, ask, yes, kept, conflict, end;
};

static int own(const struct writer *w, unsigned int slot)
{
	return LB_OWN(w->x->env, w->x->own + slot);
}

/* r1: where it is noted which words were stored, behind the copy of the entry. */
static void emit_done(struct writer *w)
{
	lb_emit_map_value(w->c, R(1), w->x->region_fd,
			  w->x->scratch + lb_edit_room(w->x->env) - 8);
}

/* A load or store at any offset from r7 or r5: those past 15 bits go through another register. */
static int reach(struct writer *w, unsigned int *base, unsigned int via, uint32_t offset)
{
	if (offset <= 0x7ff8)
		return (int)offset;
	if (via != *base)
		lb_emit(w->c, LB_MOV(via, *base));
	lb_emit(w->c, LB_ADD_K(via, (int)offset));
	*base = via;
	return 0;
}

/* Copies the bytes from..to of the value at r1 to the one at r2, each once, words whole. */
static void emit_run(struct writer *w, uint32_t from, uint32_t to, uint32_t *moved)
{
	for (uint32_t at = from, part; at < to; at += part) {
		part = 8;
		while (at % part || part > to - at)
			part /= 2;
		if (at - *moved > 0x7ff0) {
			lb_emit(w->c, LB_ADD_K(R(1), (int)(at - *moved)));
			lb_emit(w->c, LB_ADD_K(R(2), (int)(at - *moved)));
			*moved = at;
		}
		lb_emit(w->c, LB_LOAD(lb_size_code(part), R(3), R(1), at - *moved));
		lb_emit(w->c, LB_STORE(lb_size_code(part), R(2), at - *moved, R(3)));
	}
}

/* The value at r1 to the copy at r2; special fields cannot be read, and stay zeros there. */
static void emit_snapshot(struct writer *w)
{
	uint32_t at = 0, moved = 0;

	for (uint32_t i = 0; i < w->x->nzeros; i++) {
		emit_run(w, at, w->x->zeros[i].offset, &moved);
		at = w->x->zeros[i].offset + w->x->zeros[i].size;
	}
	emit_run(w, at, w->x->env->value_size, &moved);
}

static void emit_lock(struct writer *w, int helper)
{
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(10), own(w, OWN_LIVE)));
	lb_emit(w->c, LB_ADD_K(R(1), (int)w->change->lock));
	lb_emit(w->c, LB_CALL(helper));
}

static void emit_begin(struct writer *w)
{
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), own(w, OWN_LIVE), R(7)));
	lb_emit(w->c, LB_STORE_K(BPF_DW, R(10), own(w, OWN_TRIES), 0));
	lb_emit_map_value(w->c, R(7), w->x->region_fd, w->x->scratch);
	if (w->change->locked)
		emit_lock(w, BPF_FUNC_spin_lock);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(10), own(w, OWN_LIVE)));
	lb_emit(w->c, LB_MOV(R(2), R(7)));
	emit_snapshot(w);
	emit_done(w);
	lb_emit(w->c, LB_STORE_K(BPF_DW, R(1), 0, 0));
}

static void emit_condition(struct writer *w, const struct lb_fragment *f)
{
	if (!f->n)
		return;
	lb_emit_fragment(w->c, f);
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), LB_NO), &w->no);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(0), LB_YES), &w->ask);
}

/* Fills the writable slots, where decide has not. */
static void emit_values(struct writer *w)
{
	const struct lb_edit *x = w->change;

	for (uint32_t i = 0; i < x->nputs; i++) {
		if (!x->values[i].n)
			continue;
		lb_emit_fragment(w->c, &x->values[i]);
		lb_emit(w->c, LB_STORE(BPF_DW, R(8), 8 * i, R(0)));
	}
}

static void emit_fits(struct writer *w, uint32_t i)
{
	const struct lb_put *s = &w->change->puts[i];
	bool as_signed = s->is_signed && !s->positive;
	uint32_t bits = s->bits - (s->is_signed && s->positive);

	if (s->bits == 64 || !w->change->values[i].n)
		return;
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(8), 8 * i));
	lb_emit(w->c, LB_MOV(R(2), R(1)));
	if (as_signed) {
		lb_emit(w->c, LB_ALU_K(BPF_LSH, R(2), 64 - bits));
		lb_emit(w->c, LB_ALU_K(BPF_ARSH, R(2), 64 - bits));
		lb_jump(w->c, LB_JUMP_X(BPF_JNE, R(2), R(1)), &w->ask);
	} else {
		lb_emit(w->c, LB_ALU_K(BPF_RSH, R(2), bits));
		lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(2), 0), &w->ask);
	}
}

static void emit_whether(struct writer *w)
{
	if (w->x->dry >= 0) {
		lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(8), w->x->dry));
		lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &w->yes);
	}
	if (w->x->left >= 0) {
		lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(8), w->x->left));
		lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(1), 0), &w->yes);
	}
}

/* ---- words ------------------------------------------------------------ */

static uint32_t puts_of(const struct lb_edit *x, uint32_t word)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < x->nputs; i++)
		bits |= x->puts[i].word == word ? 1u << i : 0;
	return bits;
}

static uint64_t ones(uint32_t bits)
{
	return bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
}

/* Puts the value of store i into the word in r3. Uses r1 and r4. */
static void emit_insert(struct writer *w, uint32_t i)
{
	const struct lb_put *s = &w->change->puts[i];
	const struct lb_cell *word = &w->change->words[s->word];

	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(8), 8 * i));
	if (s->big)
		lb_emit(w->c, LB_BE(R(1), s->bits));
	if (word->how == LB_CELL_ADD) {
		lb_emit(w->c, LB_ALU(BPF_ADD, R(3), R(1)));
	} else if (s->bits == 8 * word->size) {
		lb_emit(w->c, LB_MOV(R(3), R(1)));
	} else {
		lb_emit_imm64(w->c, R(4), ones(s->bits));
		lb_emit(w->c, LB_ALU(BPF_AND, R(1), R(4)));
		lb_emit(w->c, LB_ALU_K(BPF_LSH, R(1), s->bit));
		lb_emit_imm64(w->c, R(4), ~(ones(s->bits) << s->bit));
		lb_emit(w->c, LB_ALU(BPF_AND, R(3), R(4)));
		lb_emit(w->c, LB_ALU(BPF_OR, R(3), R(1)));
	}
}

/* r2: the word as it was read; r3: as it should be; r5 + the result: where it lies. */
static int emit_new_word(struct writer *w, uint32_t number)
{
	const struct lb_edit *x = w->change;
	const struct lb_cell *word = &x->words[number];
	unsigned int from = R(7), to = R(5);
	int off = reach(w, &from, R(5), word->offset);

	lb_emit(w->c, LB_LOAD(lb_size_code(word->size), R(2), from, off));
	lb_emit(w->c, LB_MOV(R(3), R(2)));
	for (uint32_t i = 0; i < x->nputs; i++)
		if (x->puts[i].word == number)
			emit_insert(w, i);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(5), R(10), own(w, OWN_LIVE)));
	return reach(w, &to, R(5), word->offset);
}

/* The word of the copy = the register. Uses r4. */
static void emit_into_copy(struct writer *w, const struct lb_cell *word, unsigned int reg)
{
	unsigned int to = R(7);
	int off = reach(w, &to, R(4), word->offset);

	lb_emit(w->c, LB_STORE(lb_size_code(word->size), to, off, reg));
}

/* What decide leaves as it is is not stored: jumps over what follows where r2 is r3. */
static void emit_unless_same(struct writer *w, struct lb_label *past)
{
	if (w->change->decide.n)
		lb_jump(w->c, LB_JUMP_X(BPF_JEQ, R(2), R(3)), past);
}

static void emit_exchange(struct writer *w, uint32_t number)
{
	const struct lb_cell *word = &w->change->words[number];
	uint32_t bits = puts_of(w->change, number);
	struct lb_label past = { .n = 0 }, stored = { .n = 0 };
	int off;

	emit_done(w);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(1), 0));
	lb_emit(w->c, LB_ALU_K(BPF_AND, R(1), (int)bits));
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &past);
	off = emit_new_word(w, number);
	emit_unless_same(w, &past);
	lb_emit(w->c, LB_MOV(R(0), R(2)));
	lb_emit(w->c, LB_ATOMIC(lb_size_code(word->size), R(5), off, R(3), BPF_CMPXCHG));
	lb_jump(w->c, LB_JUMP_X(BPF_JEQ, R(0), R(2)), &stored);
	emit_into_copy(w, word, R(0));
	lb_jump(w->c, LB_JUMP(), &w->conflict);
	lb_here(w->c, &stored);
	emit_done(w);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(2), R(1), 0));
	lb_emit(w->c, LB_ALU_K(BPF_OR, R(2), (int)bits));
	lb_emit(w->c, LB_STORE(BPF_DW, R(1), 0, R(2)));
	lb_here(w->c, &past);
}

static void emit_plain(struct writer *w, uint32_t number)
{
	const struct lb_cell *word = &w->change->words[number];
	struct lb_label past = { .n = 0 };
	int off = emit_new_word(w, number);

	if (word->how == LB_CELL_TAKE)
		lb_emit(w->c, LB_MOV_K(R(3), 0));
	emit_unless_same(w, &past);
	lb_emit(w->c, LB_STORE(lb_size_code(word->size), R(5), off, R(3)));
	lb_here(w->c, &past);
}

static void emit_add(struct writer *w, uint32_t number)
{
	const struct lb_cell *word = &w->change->words[number];
	struct lb_label past = { .n = 0 };
	uint32_t store = 0;
	unsigned int to = R(5);
	int off;

	while (w->change->puts[store].word != number)
		store++;
	lb_emit(w->c, LB_LOAD(BPF_DW, R(3), R(8), 8 * store));
	if (w->change->decide.n)
		lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(3), 0), &past);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(5), R(10), own(w, OWN_LIVE)));
	off = reach(w, &to, R(5), word->offset);
	lb_emit(w->c, LB_ATOMIC(lb_size_code(word->size), R(5), off, R(3), BPF_ADD));
	lb_here(w->c, &past);
}

static void emit_take(struct writer *w, uint32_t number)
{
	const struct lb_cell *word = &w->change->words[number];
	unsigned int to = R(5);
	int off;

	lb_emit(w->c, LB_MOV_K(R(3), 0));
	lb_emit(w->c, LB_LOAD(BPF_DW, R(5), R(10), own(w, OWN_LIVE)));
	off = reach(w, &to, R(5), word->offset);
	lb_emit(w->c, LB_ATOMIC(lb_size_code(word->size), R(5), off, R(3), BPF_XCHG));
	emit_into_copy(w, word, R(3));
}

/* The words that are compared first: where they are not what they were, nothing else is done. */
static void emit_words(struct writer *w)
{
	static void (*const kinds[])(struct writer *, uint32_t) = {
		[LB_CELL_EXCHANGE] = emit_exchange, [LB_CELL_PLAIN] = emit_plain,
		[LB_CELL_ADD] = emit_add, [LB_CELL_TAKE] = emit_take,
	};

	for (int how = LB_CELL_EXCHANGE; how <= LB_CELL_TAKE; how++)
		for (uint32_t i = 0; i < w->change->nwords; i++)
			if ((int)w->change->words[i].how == how)
				(w->change->locked ? emit_plain : kinds[how])(w, i);
}

/* ---- the end ---------------------------------------------------------- */

static void emit_verdict(struct writer *w, struct lb_label *label, int verdict)
{
	lb_here(w->c, label);
	lb_emit(w->c, LB_MOV_K(R(0), verdict));
	lb_jump(w->c, LB_JUMP(), &w->end);
}

/* Where part of an entry is stored the rest is not asked about, and it has been changed. */
static void emit_half_done(struct writer *w, struct lb_label *label, int verdict, int if_stored)
{
	lb_here(w->c, label);
	emit_done(w);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(1), 0));
	lb_emit(w->c, LB_MOV_K(R(0), verdict));
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(1), 0), &w->end);
	lb_emit(w->c, LB_MOV_K(R(0), if_stored));
	lb_jump(w->c, LB_JUMP(), &w->end);
}

/* Another writer was quicker: again, from the instruction at `again` on. */
static void emit_conflict(struct writer *w, uint32_t again)
{
	if (!w->conflict.n)
		return;
	lb_here(w->c, &w->conflict);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(10), own(w, OWN_TRIES)));
	lb_jump(w->c, LB_JUMP_K(BPF_JGE, R(1), LB_EDIT_TRIES - 1), &w->kept);
	lb_emit(w->c, LB_ADD_K(R(1), 1));
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), own(w, OWN_TRIES), R(1)));
	lb_jump_back(w->c, LB_JUMP(), again);
	emit_verdict(w, &w->kept, LB_KEPT);
}

static void emit_end(struct writer *w)
{
	lb_here(w->c, &w->end);
	if (!w->change->locked)
		return;
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), own(w, OWN_VERDICT), R(0)));
	emit_lock(w, BPF_FUNC_spin_unlock);
	lb_emit(w->c, LB_LOAD(BPF_DW, R(0), R(10), own(w, OWN_VERDICT)));
}

void lb_emit_edit(struct lb_code *c, const struct lb_editor *x)
{
	struct writer w = { .x = x, .change = x->change, .c = c };
	uint32_t again;

	emit_begin(&w);
	again = c->n;
	emit_condition(&w, x->where);
	emit_condition(&w, &w.change->decide);
	emit_values(&w);
	for (uint32_t i = 0; i < w.change->nputs; i++)
		emit_fits(&w, i);
	emit_whether(&w);
	emit_words(&w);
	emit_verdict(&w, &w.yes, LB_YES);
	if (w.no.n)
		emit_half_done(&w, &w.no, LB_NO, LB_YES);
	if (w.ask.n)
		emit_half_done(&w, &w.ask, LB_ASK, LB_KEPT);
	emit_conflict(&w, again);
	emit_end(&w);
}

/* ---- here ------------------------------------------------------------- */

static bool fits(const struct lb_put *s, uint64_t v)
{
	uint32_t bits = s->bits - (s->is_signed && s->positive);

	if (s->bits == 64)
		return true;
	if (s->is_signed && !s->positive)
		return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits)) == v;
	return v >> bits == 0;
}

static uint64_t in_order(const struct lb_put *s, uint64_t v)
{
	if (!s->big)
		return v;
	return s->bits == 16 ? htobe16((uint16_t)v) : s->bits == 32 ? htobe32((uint32_t)v)
								   : htobe64(v);
}

static void put_one(const struct lb_put *s, const struct lb_cell *word, uint8_t *value, uint64_t v)
{
	uint64_t all = 0, mask = ones(s->bits) << s->bit;

	memcpy(&all, value + word->offset, word->size);
	all = le64toh(all);
	if (word->how == LB_CELL_ADD)
		v += all;
	if (word->how == LB_CELL_TAKE)
		v = 0;
	all = htole64((all & ~mask) | ((in_order(s, v) << s->bit) & mask));
	memcpy(value + word->offset, &all, word->size);
}

/* The slots of an entry: an enum lb_answer. */
static uint64_t compute(const struct lb_edit_interp *x, const uint8_t *key, const uint8_t *value,
			uint64_t *params)
{
	const struct lb_edit *change = x->change;
	uint64_t answer = x->where ? lb_interp_entry(x->where, key, value, params) : LB_YES;

	if (answer != LB_YES)
		return answer;
	if (change->decide.n)
		return lb_interp_entry(x->decide, key, value, params);
	for (uint32_t i = 0; i < change->nputs; i++)
		if (change->values[i].n)
			params[i] = lb_interp_entry(&x->values[i], key, value, params);
	return LB_YES;
}

int lb_edit_apply(const struct lb_edit_interp *x, const uint8_t *key, uint8_t *value,
		    uint64_t *params, uint32_t *store)
{
	const struct lb_edit *change = x->change;
	uint64_t answer = compute(x, key, value, params);

	*store = UINT32_MAX;
	if (answer != LB_YES)
		return answer ? LB_ASK : LB_NO;
	for (uint32_t i = 0; i < change->nputs; i++) {
		const struct lb_cell *word = &change->words[change->puts[i].word];

		if (word->how == LB_CELL_TAKE || change->decide.n || fits(&change->puts[i], params[i]))
			continue;
		*store = i;
		return LB_ASK;
	}
	for (uint32_t i = 0; i < change->nputs; i++) {
		const struct lb_put *s = &change->puts[i];

		put_one(s, &change->words[s->word], value, params[i]);
	}
	return LB_YES;
}
