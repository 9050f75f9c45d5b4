/* SPDX-License-Identifier: MIT */
/*
 * The instructions of a kernel scan. See scan.h for what it does, progshape.h for
 * the registers.
 *
 *	program:  bpf_for_each_map_elem(map, entry, &context, 0)
 *	entry:    every 256 entries: stop if it is late or takes too long
 *	          compute the per-CPU slots; where; not matched: next
 *	          left to others: store the entry; next
 *	          limit reached: count; next
 *	          rows: copy into the region, not counted yet
 *	          delete: gone already: count; next
 *	          count the row; sums; limit reached: stop
 *	changes:  where and what follows it up to here are edit.c's, over a copy
 *
 * Whatever is counted, compared or used as an index lies in the context: the
 * verifier knows nothing of what it loads from there. In a register or on the
 * stack it would follow the numbers from entry to entry and give up.
 */
#include "lib/scan/scancode.h"

#include "lib/code/progshape.h"

#include <errno.h>

#define R(n) BPF_REG_##n
#define STOPS (LB_STOP_ASKED + 1)

struct writer {
	const struct lb_scan *s;
	const struct lb_scan_spec *spec;
	const struct lb_region *region;
	struct lb_image *image;
	struct lb_code *c;
	struct lb_row_areas rows;
	struct lb_reducer reducer;
	struct lb_label next;			/* the entry is done with */
	struct lb_label stops[STOPS];
};

uint32_t lb_records(const struct lb_scan_spec *spec)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < spec->nindex; i++)
		bits += spec->bits[i];
	return spec->nindex ? 1u << bits : 0;
}

uint32_t lb_row_size(const struct lb_scan_spec *spec)
{
	if (spec->nindex)
		return 8 * (1 + spec->ncolumns - spec->nindex);
	return (spec->keys ? spec->env.key_size : 0) +
	       (spec->values ? lb_env_stride(&spec->env) : 0) + 8 * spec->ncolumns;
}

static uint32_t scratch_room(const struct lb_scan_spec *spec)
{
	return spec->change.nwords ? lb_edit_room(&spec->env) : 0;
}

size_t lb_asked_room(const struct lb_scan_spec *spec)
{
	size_t entry = (size_t)spec->env.key_size + lb_env_stride(&spec->env);

	return scratch_room(spec) + (spec->asked ? (spec->asked * entry + 16) & ~(size_t)7 : 0);
}

size_t lb_scan_head(const struct lb_scan_spec *spec)
{
	return 8 * (size_t)spec->env.ntables + lb_asked_room(spec);
}

/*
 * Tables; where changes are decided; values of what others judge, then their keys; then columns,
 * values and keys of rows; values and columns from a multiple of 8 on.
 */
struct lb_row_areas lb_row_areas_in(const struct lb_scan_spec *spec, size_t size)
{
	uint32_t row = lb_row_size(spec);
	size_t head = lb_scan_head(spec);
	struct lb_row_areas rows = { 0 };

	rows.scratch = 8 * spec->env.ntables;
	rows.asked_values = rows.scratch + scratch_room(spec);
	rows.asked_keys = rows.asked_values + spec->asked * lb_env_stride(&spec->env);
	rows.columns = (uint32_t)head;
	if (row == 0 || size < head + row + 16)
		return rows;
	rows.capacity = (uint32_t)((size - head - 16) / row);
	if (spec->nindex) {
		rows.capacity = rows.capacity < lb_records(spec) ? 0 : lb_records(spec);
		return rows;
	}
	rows.values = rows.columns + rows.capacity * 8 * spec->ncolumns;
	rows.keys = rows.values + (spec->values ? rows.capacity * lb_env_stride(&spec->env) : 0);
	rows.keys = (rows.keys + 7) & ~7u;
	return rows;
}

/* ---- the context ------------------------------------------------------ */

static uint32_t offset_of(const struct writer *w, uint32_t slot)
{
	return 8 * (w->spec->env.nparams + slot);
}

static void get(struct writer *w, unsigned int reg, uint32_t slot)
{
	lb_emit(w->c, LB_LOAD(BPF_DW, reg, R(8), offset_of(w, slot)));
}

static void put(struct writer *w, uint32_t slot, unsigned int reg)
{
	lb_emit(w->c, LB_STORE(BPF_DW, R(8), offset_of(w, slot), reg));
}

/* Adds to a slot, through r1. */
static void add(struct writer *w, uint32_t slot, int n)
{
	get(w, R(1), slot);
	lb_emit(w->c, LB_ADD_K(R(1), n));
	put(w, slot, R(1));
}

/* ---- parts of the callback -------------------------------------------- */

static void emit_begin(struct writer *w)
{
	lb_emit(w->c, LB_MOV(R(6), R(2)));
	lb_emit(w->c, LB_MOV(R(7), R(3)));
	lb_emit(w->c, LB_LOAD(BPF_DW, R(8), R(4), 0));
	lb_emit_slots(w->c, &w->spec->env);
}

static void emit_clock(struct writer *w)
{
	struct lb_label go = { .n = 0 };

	get(w, R(1), LB_AT_VISITED);
	lb_emit(w->c, LB_ALU_K(BPF_AND, R(1), 255));
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &go);
	lb_emit(w->c, LB_CALL(BPF_FUNC_ktime_get_ns));
	get(w, R(1), LB_AT_DEADLINE);
	lb_jump(w->c, LB_JUMP_X(BPF_JGT, R(0), R(1)), &w->stops[LB_STOP_DEADLINE]);
	get(w, R(1), LB_AT_VISITED);
	get(w, R(2), LB_AT_MAX_VISITS);
	lb_jump(w->c, LB_JUMP_X(BPF_JGE, R(1), R(2)), &w->stops[LB_STOP_VISITS]);
	lb_here(w->c, &go);
	add(w, LB_AT_VISITED, 1);
}

static void emit_where(struct writer *w)
{
	if (!w->spec->where.n)
		return;
	lb_emit_fragment(w->c, &w->spec->where);
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), LB_NO), &w->next);
}

static void emit_limit(struct writer *w)
{
	struct lb_label act = { .n = 0 };

	get(w, R(1), LB_AT_LEFT);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &act);
	add(w, LB_AT_MATCHED, 1);
	add(w, LB_AT_CUT, 1);
	lb_jump(w->c, LB_JUMP(), &w->next);
	lb_here(w->c, &act);
}

/* ---- rows ------------------------------------------------------------- */

/* A list in the region: the slot that counts it, and how many it has room for. */
struct list {
	uint32_t count, capacity;
	struct lb_label *full;
};

/*
 * r2 = where the next one's part begins, of stride bytes each, from offset in
 * the region. The test is for the verifier: the slot is loaded anew.
 */
static void emit_row_address(struct writer *w, const struct list *l, uint32_t offset,
			     uint32_t stride)
{
	get(w, R(1), l->count);
	lb_jump(w->c, LB_JUMP_K(BPF_JGE, R(1), l->capacity), l->full);
	lb_emit(w->c, LB_ALU_K(BPF_MUL, R(1), stride));
	lb_emit_map_value(w->c, R(2), w->region->fd, offset);
	lb_emit(w->c, LB_ALU(BPF_ADD, R(2), R(1)));
}

static void emit_columns(struct writer *w, const struct list *l)
{
	int own = LB_OWN(&w->spec->env, 0);

	if (!w->spec->ncolumns)
		return;
	emit_row_address(w, l, w->rows.columns, 8 * w->spec->ncolumns);
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), own, R(2)));
	for (uint32_t i = 0; i < w->spec->ncolumns; i++) {
		lb_emit_fragment(w->c, &w->spec->columns[i]);
		lb_emit(w->c, LB_LOAD(BPF_DW, R(2), R(10), own));
		lb_emit(w->c, LB_STORE(BPF_DW, R(2), 8 * i, R(0)));
	}
}

static void emit_key(struct writer *w, const struct list *l, uint32_t offset)
{
	emit_row_address(w, l, offset, w->spec->env.key_size);
	lb_emit_copy(w->c, &(struct lb_copy){ .dst = R(2), .src = R(6), .scratch = R(1),
					      .size = w->spec->env.key_size });
}

static void emit_value(struct writer *w, const struct list *l, uint32_t offset)
{
	const struct lb_scan_spec *spec = w->spec;
	struct lb_live live = { .env = &spec->env, .map_fd = w->s->map->fd, .zeros = spec->zeros,
				.nzeros = spec->nzeros, .straight = w->s->straight };

	emit_row_address(w, l, offset, lb_env_stride(&spec->env));
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), LB_OWN(&spec->env, 0), R(2)));
	/* What vanishes meanwhile is passed over. */
	lb_emit_live_copy(w->c, &live, 0, &w->next);
}

/* The jump over what an extreme would not change: r0 the new one, r1 what it is so far. */
static const uint8_t keeps[] = { [LB_MIN] = BPF_JGE, [LB_MAX] = BPF_JLE,
				 [LB_SMIN] = BPF_JSGE, [LB_SMAX] = BPF_JSLE };

/* ---- groups ----------------------------------------------------------- */

/* r0 = the number of the entry's record, which the verifier knows the bounds of. */
static void emit_record_number(struct writer *w)
{
	int own = LB_OWN(&w->spec->env, 0);

	for (uint32_t i = 0; i < w->spec->nindex; i++) {
		lb_emit_fragment(w->c, &w->spec->columns[i]);
		lb_emit(w->c, LB_ALU_K(BPF_AND, R(0), (1 << w->spec->bits[i]) - 1));
		if (i > 0) {
			lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(10), own));
			lb_emit(w->c, LB_ALU_K(BPF_LSH, R(1), w->spec->bits[i]));
			lb_emit(w->c, LB_ALU(BPF_OR, R(0), R(1)));
		}
		if (i + 1 < w->spec->nindex)
			lb_emit(w->c, LB_STORE(BPF_DW, R(10), own, R(0)));
	}
	lb_emit(w->c, LB_ALU_K(BPF_AND, R(0), (int)lb_records(w->spec) - 1));
}

/* Adds r0 to a word of the record at r2. */
static void emit_record_word(struct writer *w, uint32_t word, enum lb_sum_op op)
{
	struct lb_label kept = { .n = 0 };

	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(2), 8 * word));
	if (op == LB_SUM)
		lb_emit(w->c, LB_ALU(BPF_ADD, R(0), R(1)));
	else
		lb_jump(w->c, LB_JUMP_X(keeps[op], R(0), R(1)), &kept);
	lb_emit(w->c, LB_STORE(BPF_DW, R(2), 8 * word, R(0)));
	lb_here(w->c, &kept);
}

static void emit_group(struct writer *w)
{
	const struct lb_scan_spec *spec = w->spec;
	int own = LB_OWN(&spec->env, 0);

	emit_record_number(w);
	lb_emit(w->c, LB_ALU_K(BPF_MUL, R(0), lb_row_size(spec)));
	lb_emit_map_value(w->c, R(2), w->region->fd, w->rows.columns);
	lb_emit(w->c, LB_ALU(BPF_ADD, R(2), R(0)));
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), own, R(2)));
	lb_emit(w->c, LB_MOV_K(R(0), 1));
	emit_record_word(w, 0, LB_SUM);
	for (uint32_t i = spec->nindex; i < spec->ncolumns; i++) {
		lb_emit_fragment(w->c, &spec->columns[i]);
		lb_emit(w->c, LB_LOAD(BPF_DW, R(2), R(10), own));
		emit_record_word(w, 1 + i - spec->nindex, (enum lb_sum_op)spec->ops[i - spec->nindex]);
	}
}

/* A full region stops a deletion; a query, or a dry run of a deletion, only stops storing. */
static void emit_row(struct writer *w)
{
	struct lb_label fits = { .n = 0 }, full = { .n = 0 };
	const struct list rows = { LB_AT_ROWS, w->rows.capacity, &full };

	if (!lb_row_size(w->spec))
		return;
	if (w->spec->nindex) {
		emit_group(w);
		return;
	}
	get(w, R(1), LB_AT_ROWS);
	lb_jump(w->c, LB_JUMP_K(BPF_JLT, R(1), w->rows.capacity), &fits);
	if (w->spec->remove) {
		get(w, R(1), LB_AT_DRY);
		lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(1), 0), &w->stops[LB_STOP_FULL]);
	}
	lb_jump(w->c, LB_JUMP(), &full);
	lb_here(w->c, &fits);
	emit_columns(w, &rows);
	if (w->spec->keys)
		emit_key(w, &rows, w->rows.keys);
	if (w->spec->values)
		emit_value(w, &rows, w->rows.values);
	lb_here(w->c, &full);
}

static void emit_row_count(struct writer *w)
{
	struct lb_label full = { .n = 0 };

	if (!lb_row_size(w->spec) || w->spec->nindex)
		return;
	get(w, R(1), LB_AT_ROWS);
	lb_jump(w->c, LB_JUMP_K(BPF_JGE, R(1), w->rows.capacity), &full);
	lb_emit(w->c, LB_ADD_K(R(1), 1));
	put(w, LB_AT_ROWS, R(1));
	lb_here(w->c, &full);
}

/* What where leaves to others: handed over as it is now. The walk ends where it has no room. */
static void emit_asked(struct writer *w)
{
	struct lb_label decided = { .n = 0 };
	const struct list asked = { LB_AT_ASKED, w->spec->asked, &w->stops[LB_STOP_ASKED] };

	if (!w->spec->asked)
		return;
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(0), LB_ASK), &decided);
	emit_key(w, &asked, w->rows.asked_keys);
	emit_value(w, &asked, w->rows.asked_values);
	add(w, LB_AT_ASKED, 1);
	lb_jump(w->c, LB_JUMP(), &w->next);
	lb_here(w->c, &decided);
}

/* ---- deletion, sums, the end ------------------------------------------ */

static void emit_remove(struct writer *w)
{
	struct lb_label done = { .n = 0 }, deleted = { .n = 0 };

	if (!w->spec->remove)
		return;
	get(w, R(1), LB_AT_DRY);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &done);
	lb_emit_map(w->c, R(1), w->s->map->fd);
	lb_emit(w->c, LB_MOV(R(2), R(6)));
	lb_emit(w->c, LB_CALL(BPF_FUNC_map_delete_elem));
	lb_jump(w->c, LB_JUMP32_K(BPF_JEQ, R(0), 0), &deleted);
	put(w, LB_AT_ERROR, R(0));
	lb_jump(w->c, LB_JUMP32_K(BPF_JNE, R(0), -ENOENT), &w->stops[LB_STOP_ERROR]);
	add(w, LB_AT_MATCHED, 1);
	add(w, LB_AT_MISSING, 1);
	lb_jump(w->c, LB_JUMP(), &w->next);
	lb_here(w->c, &deleted);
	add(w, LB_AT_DELETED, 1);
	lb_here(w->c, &done);
}

static void emit_sum(struct writer *w, uint32_t i)
{
	const struct lb_sum *sum = &w->spec->sums[i];
	struct lb_label kept = { .n = 0 };

	lb_emit_fragment(w->c, &sum->of);
	get(w, R(1), LB_AT_SUMS + i);
	if (sum->op == LB_SUM)
		lb_emit(w->c, LB_ALU(BPF_ADD, R(0), R(1)));
	else
		lb_jump(w->c, LB_JUMP_X(keeps[sum->op], R(0), R(1)), &kept);
	put(w, LB_AT_SUMS + i, R(0));
	lb_here(w->c, &kept);
}

static void emit_counted(struct writer *w)
{
	emit_row_count(w);
	add(w, LB_AT_MATCHED, 1);
	add(w, LB_AT_LEFT, -1);
	for (uint32_t i = 0; i < w->spec->nsums; i++)
		emit_sum(w, i);
	get(w, R(1), LB_AT_LEFT);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &w->next);
	get(w, R(1), LB_AT_COUNT_ON);
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(1), 0), &w->stops[LB_STOP_LIMIT]);
}

static void emit_end(struct writer *w)
{
	struct lb_label stop = { .n = 0 };

	lb_here(w->c, &w->next);
	lb_emit(w->c, LB_MOV_K(R(0), 0));
	lb_emit(w->c, LB_EXIT());
	for (int why = 0; why < STOPS; why++) {
		if (!w->stops[why].n)
			continue;
		lb_here(w->c, &w->stops[why]);
		lb_emit(w->c, LB_MOV_K(R(1), why));
		lb_jump(w->c, LB_JUMP(), &stop);
	}
	lb_here(w->c, &stop);
	put(w, LB_AT_STOP, R(1));
	lb_emit(w->c, LB_MOV_K(R(0), 1));
	lb_emit(w->c, LB_EXIT());
}

static void emit_updated(struct writer *w)
{
	struct lb_label dry = { .n = 0 };

	get(w, R(1), LB_AT_DRY);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(1), 0), &dry);
	add(w, LB_AT_UPDATED, 1);
	lb_here(w->c, &dry);
}

static void emit_changed(struct writer *w)
{
	struct lb_editor x = { .env = &w->spec->env, .change = &w->spec->change,
				.where = &w->spec->where, .zeros = w->spec->zeros,
				.nzeros = w->spec->nzeros, .region_fd = w->region->fd,
				.scratch = w->rows.scratch, .dry = (int)offset_of(w, LB_AT_DRY),
				.left = (int)offset_of(w, LB_AT_LEFT) };
	struct lb_label changed = { .n = 0 };

	lb_emit_edit(w->c, &x);
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), LB_NO), &w->next);
	emit_asked(w);
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(0), LB_KEPT), &changed);
	add(w, LB_AT_MATCHED, 1);
	add(w, LB_AT_KEPT, 1);
	lb_jump(w->c, LB_JUMP(), &w->next);
	lb_here(w->c, &changed);
	emit_limit(w);
	emit_row(w);
	emit_updated(w);
	emit_counted(w);
}

static void write_callback(struct writer *w)
{
	lb_image_function(w->image, 4);
	emit_begin(w);
	emit_clock(w);
	if (w->spec->change.nwords) {
		emit_changed(w);
	} else {
		lb_emit_reductions(w->c, &w->reducer, &w->next);
		emit_where(w);
		emit_asked(w);
		emit_limit(w);
		emit_row(w);
		emit_remove(w);
		emit_counted(w);
	}
	emit_end(w);
}

/* Returns where the callback's address is taken. */
static uint32_t write_program(struct writer *w)
{
	struct lb_code *c = w->c;
	uint32_t callback;

	lb_image_function(w->image, 1);
	lb_emit(c, LB_MOV(R(6), R(1)));
	lb_emit(c, LB_STORE(BPF_DW, R(10), -8, R(1)));
	lb_emit_map(c, R(1), w->s->map->fd);
	callback = lb_emit_function(c, R(2));
	lb_emit(c, LB_MOV(R(3), R(10)));
	lb_emit(c, LB_ADD_K(R(3), -8));
	lb_emit(c, LB_MOV_K(R(4), 0));
	lb_emit(c, LB_CALL(BPF_FUNC_for_each_map_elem));
	lb_emit(c, LB_STORE(BPF_DW, R(6), offset_of(w, LB_AT_WALKED), R(0)));
	lb_emit(c, LB_MOV_K(R(0), 0));
	lb_emit(c, LB_EXIT());
	return callback;
}

void lb_scan_write(const struct lb_scan *s, const struct lb_region *region,
		   struct lb_image *image)
{
	struct writer w = { .s = s, .spec = &s->spec, .region = region, .image = image,
			    .c = &image->code };
	uint32_t callback;

	if (region) {
		w.rows = lb_row_areas_in(&s->spec, region->size);
		w.c->tables_fd = region->fd;
	}
	w.reducer = (struct lb_reducer){ .env = &s->spec.env, .map_fd = s->map->fd,
					 .unrolled = s->spec.unrolled };
	image->name = "luabpf_scan";
	image->type = BPF_PROG_TYPE_SYSCALL;
	callback = write_program(&w);
	lb_function(w.c, callback);
	write_callback(&w);
	lb_emit_reducer_callback(image, &w.reducer);
}
