/* SPDX-License-Identifier: MIT */
/*
 * The hash table of records: many keys, found again, within the limit.
 */
#include "lib/sum/table.h"
#include "tap.h"

#include <errno.h>

/* So many that some have the same 32 bits of hash, which are compared before the keys. */
#define KEYS 400000

static uint64_t words[KEYS];

/* Keys that differ in their second word only. */
static uint32_t put_all(struct lb_table *t, bool expect_added)
{
	uint32_t right = 0;

	for (uint64_t i = 0; i < KEYS; i++) {
		bool added;
		int64_t number = lb_table_put(t, (uint64_t[]){ 7, words[i] }, &added);

		right += number == (int64_t)i && added == expect_added;
	}
	return right;
}

static void many(void)
{
	struct lb_budget budget = { .limit = 64 << 20 };
	struct lb_table t;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < KEYS; i++)
		words[i] = rnd();
	lb_table_open(&t, &budget, 2, 1);
	ok(put_all(&t, true) == KEYS, "%d keys are numbered as they come", KEYS);
	ok(put_all(&t, false) == KEYS && t.n == KEYS, "... and are found again");
	for (uint32_t i = 0; i < KEYS; i++)
		sum += lb_table_find(&t, (uint64_t[]){ 7, words[i] }) == i &&
		       lb_table_find(&t, (uint64_t[]){ 8, words[i] }) == -1;
	ok(sum == KEYS && t.n == KEYS, "looking for what is not there adds nothing");
	sum = 0;
	for (uint32_t i = 0; i < t.n; i++) {
		const uint64_t *record = lb_table_record(&t, i);

		sum += record[0] == 7 && record[1] == words[i] && record[2] == 0;
	}
	ok(sum == KEYS, "records have their key and zeroes");
	lb_table_close(&t);
	ok(budget.used == 0, "all memory is given back");
	lb_table_close(&t);
}

static void no_key(void)
{
	struct lb_budget budget = { .limit = 1 << 20 };
	struct lb_table t;
	bool added, again;
	uint64_t none = 0;
	int64_t first, second;

	lb_table_open(&t, &budget, 0, 1);
	ok(lb_table_find(&t, &none) == -1, "an empty table has nothing");
	first = lb_table_put(&t, &none, &added);
	second = lb_table_put(&t, &none, &again);
	ok(first == 0 && added && second == 0 && !again, "keys of no words are all the same");
	lb_table_close(&t);
}

static void limit(void)
{
	struct lb_budget budget = { .limit = 100000 };
	struct lb_table t;
	bool added;
	int64_t number = 0;
	uint64_t key = 0;

	lb_table_open(&t, &budget, 1, 0);
	while (number >= 0 && key < KEYS) {
		key++;
		number = lb_table_put(&t, &key, &added);
	}
	ok(number == -ENOBUFS && budget.used <= budget.limit, "the limit holds");
	key = 1;
	ok(t.n > 1000 && lb_table_put(&t, &key, &added) == 0 && !added,
	   "what is there is still found");
	lb_table_close(&t);
	budget.limit = 100;
	lb_table_open(&t, &budget, 1, 0);
	ok(lb_table_put(&t, &key, &added) == -ENOBUFS && budget.used == 0, "no room for anything");
	lb_table_close(&t);
}

int main(void)
{
	rnd_seed();
	many();
	no_key();
	limit();
	return tap_end();
}
