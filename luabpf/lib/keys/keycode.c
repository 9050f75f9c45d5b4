/* SPDX-License-Identifier: MIT */
/*
 * The instructions of keyed programs. See keyed.h for what they do, progshape.h
 * for the registers.
 *
 *	program:  bpf_loop(n, each, &context, 0)
 *	each:     addresses of the key, the value, the status byte in the region
 *	          the operation; its status; next
 *	          another result than those an operation knows: keep it; stop
 *
 * The key is used where it lies. Only the number of the key, which bpf_loop
 * gives, is an index; it is bounded before it is multiplied.
 */
#include "lib/keys/keycode.h"
#include "lib/code/progshape.h"

#include "lib/layout/layout.h"

#include <errno.h>

#define R(n) BPF_REG_##n

/* Slots of the callback's own stack. A dynptr takes the two after the value. */
enum { OWN_STATUS, OWN_VALUE };

struct writer {
	const struct lb_keyed *k;
	const struct lb_keyed_spec *spec;
	int region_fd;
	struct lb_image *image;
	struct lb_code *c;
	struct lb_keyed_parts parts;
	struct lb_reducer reducer;
	struct lb_label missing, next, failed;
};

/* ---- the region ------------------------------------------------------- */

/* Whether there are values in it. */
static bool has_values(const struct lb_keyed_spec *spec)
{
	bool judges = spec->op == LB_KEYED_DECIDE || spec->op == LB_KEYED_CHANGE;

	return spec->op != LB_KEYED_DELETE && (!judges || spec->copy);
}

uint32_t lb_keyed_value_size(const struct lb_keyed_spec *spec)
{
	if (!has_values(spec))
		return 0;
	return lb_env_stride(&spec->env) * (spec->op == LB_KEYED_EXCHANGE ? 2 : 1);
}

uint32_t lb_keyed_chunk(const struct lb_keyed *k)
{
	return lb_can(k->map, LB_PREFIX_KEY) ? LB_KEYED_CHUNK_ATOMIC : LB_KEYED_CHUNK;
}

size_t lb_keyed_key_room(const struct lb_keyed_spec *spec)
{
	return spec->env.key_size + lb_keyed_value_size(spec) + 1;
}

size_t lb_keyed_head_room(const struct lb_keyed_spec *spec)
{
	size_t scratch = spec->op == LB_KEYED_CHANGE ? lb_edit_room(&spec->env) : 0;

	return LB_KEYED_HEAD + 8 * (size_t)spec->env.ntables + scratch;
}

/* Tables behind the head; values, from a multiple of 8 on; then keys, then statuses. */
struct lb_keyed_parts lb_keyed_parts_in(const struct lb_keyed *k, size_t size)
{
	size_t head = lb_keyed_head_room(&k->spec);
	size_t n = size < head ? 0 : (size - head) / lb_keyed_key_room(&k->spec);
	struct lb_keyed_parts parts;

	parts.capacity = n < lb_keyed_chunk(k) ? (uint32_t)n : lb_keyed_chunk(k);
	parts.scratch = LB_KEYED_HEAD + 8 * k->spec.env.ntables;
	parts.values = (uint32_t)head;
	parts.keys = parts.values + parts.capacity * lb_keyed_value_size(&k->spec);
	parts.status = parts.keys + parts.capacity * k->spec.env.key_size;
	return parts;
}

/* ---- parts of the callback -------------------------------------------- */

static void emit_address(struct writer *w, unsigned int dst, uint32_t offset, uint32_t stride)
{
	lb_emit(w->c, LB_MOV(R(3), R(1)));
	lb_emit(w->c, LB_ALU_K(BPF_MUL, R(3), stride));
	lb_emit_map_value(w->c, dst, w->region_fd, offset);
	lb_emit(w->c, LB_ALU(BPF_ADD, dst, R(3)));
}

/* r6: the key; on the stack: where the status and the value go. */
static void emit_begin(struct writer *w)
{
	const struct lb_env *env = &w->spec->env;

	lb_emit(w->c, LB_LOAD(BPF_DW, R(8), R(2), 0));
	lb_jump(w->c, LB_JUMP_K(BPF_JGE, R(1), w->parts.capacity), &w->failed);
	emit_address(w, R(6), w->parts.keys, env->key_size);
	emit_address(w, R(4), w->parts.status, 1);
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), LB_OWN(&w->spec->env, OWN_STATUS), R(4)));
	if (!has_values(w->spec))
		return;
	emit_address(w, R(4), w->parts.values, lb_keyed_value_size(w->spec));
	lb_emit(w->c, LB_STORE(BPF_DW, R(10), LB_OWN(&w->spec->env, OWN_VALUE), R(4)));
}

static void emit_status(struct writer *w, enum lb_status status)
{
	lb_emit(w->c, LB_LOAD(BPF_DW, R(1), R(10), LB_OWN(&w->spec->env, OWN_STATUS)));
	lb_emit(w->c, LB_STORE_K(BPF_B, R(1), 0, status));
	lb_jump(w->c, LB_JUMP(), &w->next);
}

/* r0 = r7 = the live value; in per-CPU maps that of the CPU in the head. */
static void emit_lookup(struct writer *w)
{
	bool one = w->k->map->ncpu > 0;

	if (one) {
		lb_emit_map_value(w->c, R(3), w->region_fd, offsetof(struct lb_keyed_head, cpu));
		lb_emit(w->c, LB_LOAD(BPF_DW, R(3), R(3), 0));
	}
	lb_emit_map(w->c, R(1), w->k->map->fd);
	lb_emit(w->c, LB_MOV(R(2), R(6)));
	lb_emit(w->c, LB_CALL(one ? BPF_FUNC_map_lookup_percpu_elem : BPF_FUNC_map_lookup_elem));
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), 0), &w->missing);
	lb_emit(w->c, LB_MOV(R(7), R(0)));
}

/* r0 = the result of storing the value. */
static void emit_update(struct writer *w, int flags)
{
	lb_emit_map(w->c, R(1), w->k->map->fd);
	lb_emit(w->c, LB_MOV(R(2), R(6)));
	lb_emit(w->c, LB_LOAD(BPF_DW, R(3), R(10), LB_OWN(&w->spec->env, OWN_VALUE)));
	lb_emit(w->c, LB_MOV_K(R(4), flags | (int)lb_lock_flag(w->k->map)));
	lb_emit(w->c, LB_CALL(BPF_FUNC_map_update_elem));
}

/* If r0 is the result, the key is done with that status. */
static void emit_case(struct writer *w, int result, enum lb_status status)
{
	struct lb_label other = { .n = 0 };

	lb_jump(w->c, LB_JUMP32_K(BPF_JNE, R(0), result), &other);
	emit_status(w, status);
	lb_here(w->c, &other);
}

static void emit_fail(struct writer *w)
{
	lb_jump(w->c, LB_JUMP(), &w->failed);
}

static void emit_delete(struct writer *w)
{
	lb_emit_map(w->c, R(1), w->k->map->fd);
	lb_emit(w->c, LB_MOV(R(2), R(6)));
	lb_emit(w->c, LB_CALL(BPF_FUNC_map_delete_elem));
	emit_case(w, 0, LB_ST_DELETED);
	lb_jump(w->c, LB_JUMP32_K(BPF_JEQ, R(0), -ENOENT), &w->missing);
	emit_fail(w);
}

/* ---- the operations --------------------------------------------------- */

/* In per-CPU maps a value is read CPU by CPU where it is used. */
static void emit_copy(struct writer *w)
{
	struct lb_live live = { .env = &w->spec->env, .map_fd = w->k->map->fd,
				.zeros = w->spec->zeros, .nzeros = w->spec->nzeros,
				.straight = w->k->straight };

	lb_emit_live_copy(w->c, &live, OWN_VALUE, &w->missing);
}

static void emit_get(struct writer *w)
{
	if (!w->spec->env.ncpu)
		emit_lookup(w);
	emit_copy(w);
	emit_status(w, LB_ST_FOUND);
}

static void emit_decide(struct writer *w)
{
	struct lb_label holds = { .n = 0 };

	lb_emit_slots(w->c, &w->spec->env);
	if (!w->spec->env.ncpu)
		emit_lookup(w);
	lb_emit_reductions(w->c, &w->reducer, &w->missing);
	if (w->spec->where.n) {
		lb_emit_fragment(w->c, &w->spec->where);
		lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), LB_YES), &holds);
		emit_status(w, LB_ST_CHANGED);
		lb_here(w->c, &holds);
	}
	if (w->spec->copy)
		emit_copy(w);
	emit_delete(w);
}

/* Ors what differs between the value at r0 and the one given into r7. */
static void emit_differences(struct writer *w, uint32_t offset)
{
	lb_emit(w->c, LB_LOAD(BPF_DW, R(2), R(10), LB_OWN(&w->spec->env, OWN_VALUE)));
	lb_emit_differences(w->c,
			    &(struct lb_copy){ .src = R(0), .dst = R(2), .dst_off = offset,
					       .scratch = R(1), .size = w->spec->env.value_size,
					       .spans = w->spec->zeros,
					       .nspans = w->spec->nzeros },
			    R(7), R(3));
}

static void emit_compare(struct writer *w)
{
	const struct lb_env *env = &w->spec->env;
	struct lb_label equal = { .n = 0 };

	if (!env->ncpu)
		emit_lookup(w);
	lb_emit(w->c, LB_MOV_K(R(7), 0));
	if (!env->ncpu)
		emit_differences(w, 0);
	for (uint32_t cpu = 0; cpu < env->ncpu; cpu++) {
		lb_emit_percpu_lookup(w->c, w->k->map->fd, cpu, &w->missing);
		emit_differences(w, cpu * lb_cpu_stride(env->value_size));
	}
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(7), 0), &equal);
	emit_status(w, LB_ST_CHANGED);
	lb_here(w->c, &equal);
	emit_delete(w);
}

static void emit_change(struct writer *w)
{
	struct lb_editor x = { .env = &w->spec->env, .change = &w->spec->change,
				.where = &w->spec->where, .own = OWN_VALUE + 1,
				.zeros = w->spec->zeros, .nzeros = w->spec->nzeros,
				.region_fd = w->region_fd, .scratch = w->parts.scratch,
				.dry = -1, .left = -1 };
	struct lb_label changed = { .n = 0 };

	emit_lookup(w);
	lb_emit_edit(w->c, &x);
	lb_jump(w->c, LB_JUMP_K(BPF_JEQ, R(0), LB_YES), &changed);
	emit_status(w, LB_ST_CHANGED);
	lb_here(w->c, &changed);
	if (w->spec->copy)
		emit_copy(w);
	emit_status(w, LB_ST_UPDATED);
}

/* ---- exchange --------------------------------------------------------- */

static void emit_lock(struct writer *w, int helper)
{
	if (!w->k->map->lock)
		return;
	lb_emit(w->c, LB_MOV(R(1), R(7)));
	lb_emit(w->c, LB_ADD_K(R(1), (int)w->spec->change.lock));
	lb_emit(w->c, LB_CALL(helper));
}

static bool is_special(const struct lb_keyed_spec *spec, uint32_t at, uint32_t size)
{
	for (uint32_t i = 0; i < spec->nzeros; i++)
		if (at < spec->zeros[i].offset + spec->zeros[i].size &&
		    spec->zeros[i].offset < at + size)
			return true;
	return false;
}

/*
 * The word at `at` of the live value (r7) is what the first value at r6 has: what the second
 * has takes its place. Else on at `lost`.
 */
static void emit_exchange_word(struct writer *w, uint32_t at, uint32_t size,
			       struct lb_label *lost)
{
	uint32_t second = lb_env_stride(&w->spec->env) + at;
	struct lb_label same = { .n = 0 };

	lb_emit(w->c, LB_LOAD(lb_size_code(size), R(2), R(6), at));
	lb_emit(w->c, LB_LOAD(lb_size_code(size), R(3), R(6), second));
	lb_jump(w->c, LB_JUMP_X(BPF_JEQ, R(2), R(3)), &same);
	if (w->k->map->lock || size < 4) {
		lb_emit(w->c, LB_STORE(lb_size_code(size), R(7), at, R(3)));
	} else {
		lb_emit(w->c, LB_MOV(R(0), R(2)));
		lb_emit(w->c, LB_ATOMIC(lb_size_code(size), R(7), at, R(3), BPF_CMPXCHG));
		lb_jump(w->c, LB_JUMP_X(BPF_JNE, R(0), R(2)), lost);
	}
	lb_here(w->c, &same);
}

/* Where there is a special field the word is cut. */
static uint32_t word_at(const struct lb_keyed_spec *spec, uint32_t at)
{
	uint32_t size = 8;

	while (size > 1 && (at % size || size > spec->env.value_size - at ||
			    is_special(spec, at, size)))
		size /= 2;
	return size;
}

static void emit_exchange(struct writer *w)
{
	const struct lb_keyed_spec *spec = w->spec;
	struct lb_label lost = { .n = 0 };

	emit_lookup(w);
	emit_lock(w, BPF_FUNC_spin_lock);
	lb_emit(w->c, LB_MOV_K(R(8), 0));
	lb_emit(w->c, LB_LOAD(BPF_DW, R(6), R(10), LB_OWN(&spec->env, OWN_VALUE)));
	lb_emit_differences(w->c,
			    &(struct lb_copy){ .src = R(7), .dst = R(6), .scratch = R(1),
					       .size = spec->env.value_size, .spans = spec->zeros,
					       .nspans = spec->nzeros },
			    R(8), R(3));
	lb_jump(w->c, LB_JUMP_K(BPF_JNE, R(8), 0), &lost);
	for (uint32_t at = 0, size; at < spec->env.value_size; at += size) {
		size = word_at(spec, at);
		if (!is_special(spec, at, size))
			emit_exchange_word(w, at, size, &lost);
	}
	emit_lock(w, BPF_FUNC_spin_unlock);
	emit_status(w, LB_ST_UPDATED);
	lb_here(w->c, &lost);
	emit_lock(w, BPF_FUNC_spin_unlock);
	emit_status(w, LB_ST_CHANGED);
}

/* ---- storing ---------------------------------------------------------- */

/* A key that another writer inserts in between exists at the next attempt. */
static void emit_upsert(struct writer *w)
{
	emit_update(w, BPF_EXIST);
	emit_case(w, 0, LB_ST_UPDATED);
	lb_jump(w->c, LB_JUMP32_K(BPF_JNE, R(0), -ENOENT), &w->failed);
	emit_update(w, BPF_NOEXIST);
	emit_case(w, 0, LB_ST_INSERTED);
	lb_jump(w->c, LB_JUMP32_K(BPF_JNE, R(0), -EEXIST), &w->failed);
	emit_update(w, BPF_EXIST);
	emit_case(w, 0, LB_ST_UPDATED);
	emit_fail(w);
}

static void emit_noexist(struct writer *w)
{
	emit_update(w, BPF_NOEXIST);
	emit_case(w, 0, LB_ST_STORED);
	emit_case(w, -EEXIST, LB_ST_EXISTS);
	emit_fail(w);
}

static void emit_exist(struct writer *w)
{
	emit_update(w, BPF_EXIST);
	emit_case(w, 0, LB_ST_STORED);
	lb_jump(w->c, LB_JUMP32_K(BPF_JEQ, R(0), -ENOENT), &w->missing);
	emit_fail(w);
}

/* ---- the program ------------------------------------------------------ */

static void emit_end(struct writer *w)
{
	if (w->missing.n) {
		lb_here(w->c, &w->missing);
		emit_status(w, LB_ST_MISSING);
	}
	lb_here(w->c, &w->next);
	lb_emit(w->c, LB_MOV_K(R(0), 0));
	lb_emit(w->c, LB_EXIT());
	lb_here(w->c, &w->failed);
	lb_emit_map_value(w->c, R(1), w->region_fd, offsetof(struct lb_keyed_head, error));
	lb_emit(w->c, LB_STORE(BPF_DW, R(1), 0, R(0)));
	lb_emit(w->c, LB_MOV_K(R(0), 1));
	lb_emit(w->c, LB_EXIT());
}

static void write_callback(struct writer *w)
{
	static void (*const operations[])(struct writer *) = {
		[LB_KEYED_GET] = emit_get,	   [LB_KEYED_DECIDE] = emit_decide,
		[LB_KEYED_COMPARE] = emit_compare, [LB_KEYED_UPSERT] = emit_upsert,
		[LB_KEYED_NOEXIST] = emit_noexist, [LB_KEYED_EXIST] = emit_exist,
		[LB_KEYED_DELETE] = emit_delete,   [LB_KEYED_CHANGE] = emit_change,
		[LB_KEYED_EXCHANGE] = emit_exchange,
	};

	lb_image_function(w->image, 2);
	/* What failed means where no helper was called yet. */
	lb_emit(w->c, LB_MOV_K(R(0), -E2BIG));
	emit_begin(w);
	operations[w->spec->op](w);
	emit_end(w);
}

/* Returns where the callback's address is taken. */
static uint32_t write_program(struct writer *w)
{
	struct lb_code *c = w->c;
	uint32_t callback;

	lb_image_function(w->image, 1);
	lb_emit(c, LB_STORE(BPF_DW, R(10), -8, R(1)));
	lb_emit_map_value(c, R(7), w->region_fd, 0);
	lb_emit(c, LB_LOAD(BPF_DW, R(1), R(7), offsetof(struct lb_keyed_head, n)));
	callback = lb_emit_function(c, R(2));
	lb_emit(c, LB_MOV(R(3), R(10)));
	lb_emit(c, LB_ADD_K(R(3), -8));
	lb_emit(c, LB_MOV_K(R(4), 0));
	lb_emit(c, LB_CALL(BPF_FUNC_loop));
	lb_emit(c, LB_STORE(BPF_DW, R(7), offsetof(struct lb_keyed_head, went), R(0)));
	lb_emit(c, LB_MOV_K(R(0), 0));
	lb_emit(c, LB_EXIT());
	return callback;
}

void lb_keyed_write(const struct lb_keyed *k, const struct lb_region *region,
		    struct lb_image *image)
{
	struct writer w = { .k = k, .spec = &k->spec, .region_fd = region->fd, .image = image,
			    .c = &image->code, .parts = lb_keyed_parts_in(k, region->size) };
	uint32_t callback;

	w.c->tables_fd = region->fd;
	w.c->tables_at = LB_KEYED_HEAD;
	w.reducer = (struct lb_reducer){ .env = &k->spec.env, .map_fd = k->map->fd,
					 .unrolled = k->spec.unrolled };
	image->name = "luabpf_keyed";
	image->type = lb_can(k->map, LB_PREFIX_KEY) ? BPF_PROG_TYPE_RAW_TRACEPOINT
						    : BPF_PROG_TYPE_SYSCALL;
	callback = write_program(&w);
	lb_function(w.c, callback);
	write_callback(&w);
	lb_emit_reducer_callback(image, &w.reducer);
}
