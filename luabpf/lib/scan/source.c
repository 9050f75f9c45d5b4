/* SPDX-License-Identifier: MIT */
/*
 * The batch cursor and the key walk. See source.h for how they work; the
 * kernel's side is kernel/bpf/hashtab.c, __htab_map_lookup_and_delete_batch,
 * and kernel/bpf/syscall.c, generic_map_lookup_batch.
 */
#include "lib/scan/source.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Entries a block when the caller has no wish: over 256 gains little. */
#define DEFAULT_BATCH 4096u
/* A first buffer larger than this is not taken unasked. */
#define DEFAULT_BYTES (64u << 20)
/* Repeated calls before a busy bucket is reported. */
#define MAX_RETRIES 64
/* A key walk gives up after this many times max_entries steps. */
#define MAX_ROUNDS 10u

/*
 * A call that is refused before the map is looked at (a signal, memory, an LSM,
 * a seccomp filter) leaves count and position as they were. A position that no
 * kernel gives tells that from a call that did all it was asked for: there is no
 * bucket, index or prefix length of that number.
 */
#define UNTOUCHED UINT32_MAX

static bool looked(uint32_t count, const void *position)
{
	uint32_t at;

	memcpy(&at, position, sizeof(at));
	return count == 0 || at != UNTOUCHED;
}

static bool moved(const void *position)
{
	return looked(1, position);
}

/* Whether keys that vanish under the scan have sent it back too often. */
static bool too_long(const struct lb_source *s)
{
	uint64_t bound = (uint64_t)MAX_ROUNDS * 2 * s->map->info.max_entries + 1000;

	return s->stats.calls > bound;
}

static uint32_t key_room(const struct lb_kmap *m)
{
	return m->info.key_size > 8 ? m->info.key_size : 8;
}

static enum lb_position position(const struct lb_source *s)
{
	return s->walk ? LB_POS_KEY : s->map->type->position;
}

static uint32_t first_size(const struct lb_kmap *m, uint32_t want)
{
	uint64_t entry = (uint64_t)m->info.key_size + m->value_stride;
	uint32_t n = want ? want : DEFAULT_BATCH;

	if (!want && n * entry > DEFAULT_BYTES)
		n = (uint32_t)(DEFAULT_BYTES / entry) + 1;
	if (m->info.max_entries && n > m->info.max_entries)
		n = m->info.max_entries;
	return lb_kmap_call_limit(m, n);
}

static const char *refusal(const struct lb_source *s)
{
	const struct lb_kmap *m = s->map;

	if (lb_can(m, LB_WIDE_VALUES) && m->info.value_size != sizeof(uint64_t))
		return "values of this type of map are read where they have 8 bytes: create it with "
		       "value_size = 8";
	switch (position(s)) {
	case LB_POS_NONE:
		return "entries of this type of map cannot be enumerated";
	case LB_POS_POP:
		return s->drain ? NULL : "a queue or stack is read by drain or pop";
	case LB_POS_BUCKET:
		return NULL;
	default:
		if (s->drain)
			return "the kernel has no atomic lookup and delete for this type of map";
		return lb_can(m, LB_CAN_LOOKUP) ? NULL
						: "values of this type of map cannot be read";
	}
}

int lb_source_open(struct lb_source *s, struct lb_kmap *map, uint32_t want, bool drain, bool walk)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->map = map;
	s->drain = drain;
	s->walk = walk && map->type->position != LB_POS_NONE && !drain &&
		  map->type->position != LB_POS_POP;
	s->refused = refusal(s);
	if (s->refused)
		return -LB_ENOTSUPP;
	s->want = first_size(map, want);
	s->pos = calloc(3, key_room(map));
	if (!s->pos)
		return -ENOMEM;
	s->next = s->pos + key_room(map);
	s->seen = s->next + key_room(map);
	err = lb_buffer_get(map, &s->buf, s->want);
	if (err)
		lb_source_close(s);
	return err;
}

void lb_source_close(struct lb_source *s)
{
	if (s->map && s->buf.capacity)
		lb_buffer_put(s->map, &s->buf);
	free(s->pos);
	s->pos = NULL;
	s->n = 0;
	s->ended = true;
}

/* ---- the batch calls -------------------------------------------------- */

static int batch_call(struct lb_source *s, uint32_t *count)
{
	struct lb_kmap *m = s->map;
	void *in = s->started ? s->pos : NULL;
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	int rc;

	if (m->lock)
		opts.elem_flags = BPF_F_LOCK;
	s->stats.calls++;
	if (s->drain)
		rc = bpf_map_lookup_and_delete_batch(m->fd, in, s->next, s->buf.keys,
						     s->buf.values, count, &opts);
	else
		rc = bpf_map_lookup_batch(m->fd, in, s->next, s->buf.keys, s->buf.values, count,
					  &opts);
	return rc < 0 ? errno : 0;
}

static void advance(struct lb_source *s)
{
	memcpy(s->pos, s->next, key_room(s->map));
	s->started = true;
}

static int grow(struct lb_source *s)
{
	struct lb_buffer bigger = { 0 };
	uint32_t n = lb_kmap_call_limit(s->map, s->want * 2);
	int err;

	if (n <= s->want)
		return -E2BIG;
	err = lb_buffer_get(s->map, &bigger, n);
	if (err)
		return err;
	lb_buffer_put(s->map, &s->buf);
	s->buf = bigger;
	s->want = n;
	s->stats.grown++;
	return 0;
}

/*
 * After an error that passes: what the call did, 0 to be called again. The
 * kernel's count holds if it looked at the map.
 */
static int after_trouble(struct lb_source *s, uint32_t count)
{
	s->stats.retried++;
	if (count == 0 || !moved(s->next)) {
		sched_yield();
		return 0;
	}
	advance(s);
	return (int)count;
}

/*
 * One call. The number of entries, 0 to be called again, or -errno. Sets
 * ended. ENOSPC is about a bucket only if the kernel says which; then the count
 * is 0.
 */
static int batch_step(struct lb_source *s, unsigned int *retries)
{
	uint32_t count = lb_kmap_call_limit(s->map, s->want), untouched = UNTOUCHED;
	int err;

	memcpy(s->next, &untouched, sizeof(untouched));
	err = batch_call(s, &count);
	if (err == 0 || (err == ENOENT && looked(count, s->next))) {
		s->ended = err == ENOENT;
		if (moved(s->next))
			advance(s);
		return (int)count;
	}
	if (err == ENOSPC && moved(s->next)) {
		advance(s);
		return grow(s);
	}
	if (!lb_transient(err) || ++*retries > MAX_RETRIES)
		return -err;
	return after_trouble(s, count);
}

/* ---- part of a table --------------------------------------------------- */

void lb_source_range(struct lb_source *s, uint32_t first, uint32_t end)
{
	memcpy(s->pos, &first, sizeof(first));
	s->started = first > 0;
	s->end = end;
}

static uint32_t bucket_at(const struct lb_source *s)
{
	uint32_t at;

	memcpy(&at, s->pos, sizeof(at));
	return at;
}

/* Reads what lies from bucket s->end on, at least one bucket: entries in beyond, or -errno. */
static int read_beyond(struct lb_source *s, struct lb_buffer *beyond, uint32_t n)
{
	struct lb_kmap *m = s->map;
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = lb_lock_flag(m));

	for (unsigned int tries = 0; tries < MAX_RETRIES; tries++) {
		uint32_t count = n, in = s->end, out = UNTOUCHED;
		int err = lb_buffer_get(m, beyond, n);

		if (err)
			return err;
		s->stats.calls++;
		err = bpf_map_lookup_batch(m->fd, &in, &out, beyond->keys, beyond->values, &count,
					   &opts) < 0 ? errno : 0;
		if (err == 0 || (err == ENOENT && looked(count, &out)))
			return (int)count;
		lb_buffer_put(m, beyond);
		if (err == ENOSPC && moved(&out))
			n = lb_kmap_call_limit(m, n * 2);
		else if (!lb_transient(err))
			return -err;
	}
	return -EBUSY;
}

static int compare_keys(const void *a, const void *b, void *size)
{
	return memcmp(a, b, *(uint32_t *)size);
}

/* How many of the first n keys come before any of the count keys, which are sorted here. */
static uint32_t before_any(const struct lb_source *s, uint32_t n, uint8_t *keys, uint32_t count)
{
	uint32_t size = s->map->info.key_size, i = 0;

	qsort_r(keys, count, size, compare_keys, &size);
	for (; i < n; i++) {
		const uint8_t *key = s->buf.keys + (size_t)i * size;
		uint32_t low = 0, high = count;

		while (low < high) {
			uint32_t middle = low + (high - low) / 2;
			int order = memcmp(key, keys + (size_t)middle * size, size);

			if (order == 0)
				return i;
			if (order < 0)
				high = middle;
			else
				low = middle + 1;
		}
	}
	return i;
}

/*
 * A call does not stop at a bucket. What it read past the end is found by
 * reading from there on: entries come in the order of buckets.
 */
static int range_step(struct lb_source *s, unsigned int *retries)
{
	struct lb_buffer beyond = { 0 };
	int n = batch_step(s, retries), count;

	if (n < 0 || bucket_at(s) < s->end)
		return n;
	s->ended = true;
	if (n == 0 || bucket_at(s) == s->end)
		return n;
	count = read_beyond(s, &beyond, (uint32_t)n);
	if (count < 0)
		return count;
	n = (int)before_any(s, (uint32_t)n, beyond.keys, (uint32_t)count);
	lb_buffer_put(s->map, &beyond);
	return n;
}

/* ---- tries ------------------------------------------------------------ */

static uint32_t prefix_length(const uint8_t *key)
{
	uint32_t n;

	memcpy(&n, key, sizeof(n));
	return n;
}

static bool bit_at(const uint8_t *key, uint32_t i)
{
	return key[sizeof(uint32_t) + i / 8] >> (7 - i % 8) & 1;
}

/*
 * True when prefix a comes before b in the kernel's order: it walks the trie
 * in post-order, child 0 before child 1 (kernel/bpf/lpm_trie.c,
 * trie_get_next_key).
 */
static bool trie_before(const uint8_t *a, const uint8_t *b)
{
	uint32_t la = prefix_length(a), lb = prefix_length(b);
	uint32_t n = la < lb ? la : lb;

	for (uint32_t i = 0; i < n; i++)
		if (bit_at(a, i) != bit_at(b, i))
			return bit_at(b, i);
	return la > lb;
}

/* Drops the entries of the block that were passed already: those not after s->seen. */
static uint32_t trie_drop_seen(struct lb_source *s, uint32_t n)
{
	uint32_t size = s->map->info.key_size, stride = s->map->value_stride, skip = 0;

	while (skip < n && !trie_before(s->seen, s->buf.keys + (size_t)skip * size))
		skip++;
	if (skip == 0)
		return n;
	n -= skip;
	memmove(s->buf.keys, s->buf.keys + (size_t)skip * size, (size_t)n * size);
	memmove(s->buf.values, s->buf.values + (size_t)skip * stride, (size_t)n * stride);
	return n;
}

static int trie_step(struct lb_source *s, unsigned int *retries)
{
	uint32_t size = s->map->info.key_size, n;
	int got = batch_step(s, retries);

	if (got <= 0)
		return got;
	n = (uint32_t)got;
	if (s->has_seen && !trie_before(s->seen, s->buf.keys)) {
		s->stats.restarted++;
		n = trie_drop_seen(s, n);
	}
	if (too_long(s))
		return -ELOOP;
	if (n == 0)
		return 0;
	memcpy(s->seen, s->buf.keys + (size_t)(n - 1) * size, size);
	s->has_seen = true;
	return (int)n;
}

/* ---- the key walk ----------------------------------------------------- */

/* Whether a single call is worth another try; waits a little then. */
static bool again(struct lb_source *s, int err, unsigned int *retries)
{
	if (!lb_transient(err) || ++*retries > MAX_RETRIES)
		return false;
	s->stats.retried++;
	sched_yield();
	return true;
}

/*
 * 1 with the key's value stored, 0 if it has none (deleted meanwhile, empty
 * slot), -errno.
 */
static int walk_lookup(struct lb_source *s, const uint8_t *key, uint8_t *value)
{
	unsigned int retries = 0;
	int err;

	do {
		s->stats.calls++;
		err = bpf_map_lookup_elem_flags(s->map->fd, key, value,
						lb_lock_flag(s->map)) < 0 ? errno : 0;
	} while (err && again(s, err, &retries));
	return err == 0 ? 1 : err == ENOENT ? 0 : -err;
}

/* The key after the one stood on into s->next: 0, or -errno. */
static int walk_next(struct lb_source *s)
{
	unsigned int retries = 0;
	int err;

	do {
		s->stats.calls++;
		err = bpf_map_get_next_key(s->map->fd, s->started ? s->pos : NULL, s->next) < 0
			      ? errno : 0;
	} while (err && again(s, err, &retries));
	return -err;
}

/* Whether the kernel has to begin again because the key stood on is gone. */
static bool walk_lost(struct lb_source *s)
{
	if (!s->started || lb_can(s->map, LB_KEY_INDEX))
		return false;
	return walk_lookup(s, s->pos, s->buf.values) == 0;
}

static int walk_step(struct lb_source *s)
{
	const struct lb_kmap *m = s->map;
	uint32_t n = 0;

	if (walk_lost(s))
		s->stats.restarted++;
	while (n < s->want) {
		int rc;

		if (too_long(s))
			return -ELOOP;
		rc = walk_next(s);
		s->ended = rc == -ENOENT;
		if (s->ended)
			break;
		if (rc < 0)
			return rc;
		advance(s);
		rc = walk_lookup(s, s->pos, s->buf.values + (size_t)n * m->value_stride);
		if (rc < 0)
			return rc;
		memcpy(s->buf.keys + (size_t)n * m->info.key_size, s->pos, m->info.key_size);
		n += (uint32_t)rc;
	}
	return (int)n;
}

/* ---- queues and stacks ------------------------------------------------ */

static int pop_step(struct lb_source *s)
{
	uint32_t n = 0;

	while (n < s->want && !s->ended) {
		uint8_t *value = s->buf.values + (size_t)n * s->map->value_stride;

		s->stats.calls++;
		if (bpf_map_lookup_and_delete_elem(s->map->fd, NULL, value) == 0)
			n++;
		else if (errno == ENOENT)
			s->ended = true;
		else if (n > 0)
			break;
		else
			return -errno;
	}
	return (int)n;
}

/* ---- mapped arrays ----------------------------------------------------- */

/* The position is the last index read, as the kernel's is. */
static int mapped_step(struct lb_source *s)
{
	struct lb_kmap *m = s->map;
	uint32_t index = 0, n = 0;

	if (s->started)
		memcpy(&index, s->pos, sizeof(index));
	for (index += s->started; index < m->info.max_entries && n < s->want; index++, n++) {
		memcpy(s->buf.keys + (size_t)n * sizeof(index), &index, sizeof(index));
		lb_mapping_copy(s->buf.values + (size_t)n * m->value_stride,
				m->mapping.mem + (size_t)index * m->mapping.stride,
				m->info.value_size);
	}
	s->ended = index >= m->info.max_entries;
	if (n) {
		memcpy(s->next, s->buf.keys + (size_t)(n - 1) * sizeof(index), sizeof(index));
		advance(s);
	}
	return (int)n;
}

static int step(struct lb_source *s, unsigned int *retries)
{
	if (position(s) == LB_POS_INDEX && lb_kmap_mapped(s->map, false))
		return mapped_step(s);
	switch (position(s)) {
	case LB_POS_POP:
		return pop_step(s);
	case LB_POS_KEY:
		return walk_step(s);
	case LB_POS_TRIE:
		return trie_step(s, retries);
	default:
		return s->end ? range_step(s, retries) : batch_step(s, retries);
	}
}

int lb_source_next(struct lb_source *s)
{
	unsigned int retries = 0;
	int n = 0;

	s->n = 0;
	if (s->map->fd < 0)
		return -EBADF;
	while (n == 0 && !s->ended)
		n = step(s, &retries);
	if (n <= 0)
		return n;
	s->n = (uint32_t)n;
	s->stats.batches++;
	s->stats.entries += s->n;
	return n;
}

/* ---- saved positions -------------------------------------------------- */

uint32_t lb_source_pos_size(const struct lb_source *s)
{
	return position(s) == LB_POS_BUCKET ? sizeof(uint32_t) : s->map->info.key_size;
}

/*
 * A prefix that is gone makes the kernel begin again: the key after it is then
 * the first of all, which otherwise follows nothing.
 */
static bool trie_gone(struct lb_source *s, const uint8_t *pos)
{
	uint8_t *first = s->next, *after = s->buf.keys;

	return bpf_map_get_next_key(s->map->fd, NULL, first) < 0 ||
	       (bpf_map_get_next_key(s->map->fd, pos, after) == 0 &&
		memcmp(first, after, s->map->info.key_size) == 0);
}

static const char *bad_position(struct lb_source *s, const uint8_t *pos)
{
	uint32_t index;

	switch (position(s)) {
	case LB_POS_INDEX:
		memcpy(&index, pos, sizeof(index));
		return index < s->map->info.max_entries ? NULL : "index past the end of the map";
	case LB_POS_TRIE:
		if (prefix_length(pos) > (s->map->info.key_size - sizeof(uint32_t)) * 8)
			return "prefix length too large";
		return trie_gone(s, pos) ? "the prefix it stands on was deleted" : NULL;
	case LB_POS_KEY:
		return lb_can(s->map, LB_KEY_INDEX) || walk_lookup(s, pos, s->buf.values) > 0
			       ? NULL : "the key it stands on was deleted";
	case LB_POS_BUCKET:
		return NULL;
	default:
		return "this scan has no position";
	}
}

int lb_source_seek(struct lb_source *s, const void *pos, bool ended)
{
	s->refused = ended ? NULL : bad_position(s, pos);
	if (s->refused)
		return -EINVAL;
	memcpy(s->pos, pos, lb_source_pos_size(s));
	memcpy(s->seen, s->pos, lb_source_pos_size(s));
	s->has_seen = true;
	s->started = true;
	s->ended = ended;
	return 0;
}
