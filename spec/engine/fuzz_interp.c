/* SPDX-License-Identifier: MIT */
/*
 * Fuzzing of the interpreter: whatever bytes are given as code, key, value and
 * parameters, the check refuses them or the interpreter stays inside. Meant
 * to run under AddressSanitizer, with key, value and slots each in an
 * allocation of exactly their size.
 *
 *	clang -DLIBFUZZER -fsanitize=fuzzer,address ...		coverage-guided
 *	make asan; .build/asan/engine/fuzz_interp SECONDS	random, by itself
 *
 * Random code is seldom accepted, so that by itself it starts from random
 * fragments that are, and changes a few bytes of them.
 */
#include "asm.h"
#include "lib/code/interp.h"

#include <string.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes of the input choose sizes and reductions. */
struct header {
	uint8_t key_size, value_size, nparams, ntables, ncpu;
	struct {
		uint8_t op, cpu, offset, size, bit, bits, flags;
	} reductions[2];
	uint8_t nreductions;
};

static uint64_t accepted, refused;

static void *copy_of(const uint8_t **p, size_t *left, size_t n)
{
	uint8_t *mem = malloc(n);
	size_t have = n < *left ? n : *left;

	memset(mem, 0x5a, n);
	memcpy(mem, *p, have);
	*p += have;
	*left -= have;
	return mem;
}

static void describe(const struct header *h, struct lb_env *env, struct lb_reduction *r)
{
	*env = (struct lb_env){ .key_size = h->key_size, .value_size = h->value_size,
				.ncpu = h->ncpu % 5, .nparams = h->nparams % 8, .ntables = h->ntables % 40,
				.reductions = r, .nreductions = h->nreductions % 3 };
	for (int i = 0; i < 2; i++)
		r[i] = (struct lb_reduction){
			.op = h->reductions[i].op % 5, .cpu = h->reductions[i].cpu,
			.offset = h->reductions[i].offset, .size = h->reductions[i].size,
			.bit = h->reductions[i].bit, .bits = h->reductions[i].bits,
			.is_signed = h->reductions[i].flags & 1, .big = h->reductions[i].flags & 2,
		};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct header h;
	struct lb_reduction r[2];
	struct lb_env env;
	struct lb_interp ip;
	struct lb_fragment f;
	uint8_t *key, *value, *params, *code, match;

	if (size < sizeof(h) + sizeof(struct bpf_insn))
		return 0;
	memcpy(&h, data, sizeof(h));
	data += sizeof(h);
	size -= sizeof(h);
	describe(&h, &env, r);
	key = copy_of(&data, &size, env.key_size);
	value = copy_of(&data, &size, lb_env_stride(&env));
	params = copy_of(&data, &size, (env.nparams + env.ntables) * 8);
	f.n = (uint32_t)(size / sizeof(struct bpf_insn));
	code = copy_of(&data, &size, f.n * sizeof(struct bpf_insn));
	f.code = (const struct bpf_insn *)(void *)code;
	if (lb_interp_init(&ip, &f, &env, NULL) == NULL) {
		struct lb_block b = { key, value, 1 };

		lb_interp_match(&ip, &b, (const uint64_t *)(void *)params, &match);
		accepted++;
	} else {
		refused++;
	}
	free(key);
	free(value);
	free(params);
	free(code);
	return 0;
}

#ifndef LIBFUZZER

static void random_header(struct header *h)
{
	h->key_size = (uint8_t)below(24);
	h->value_size = (uint8_t)(8 + below(40));
	h->nparams = (uint8_t)below(8);
	h->ntables = (uint8_t)below(40);
	h->ncpu = (uint8_t)below(5);
	h->nreductions = h->ncpu ? (uint8_t)below(3) : 0;
	for (int i = 0; i < 2; i++) {
		h->reductions[i].op = (uint8_t)below(4);
		h->reductions[i].cpu = h->ncpu ? (uint8_t)below(h->ncpu) : 0;
		h->reductions[i].size = (uint8_t)(1u << below(4));
		h->reductions[i].offset = (uint8_t)below(h->value_size - 7u);
		h->reductions[i].bits = (uint8_t)below(h->reductions[i].size * 8u + 1);
		h->reductions[i].bit = h->reductions[i].bits ? (uint8_t)below(
			h->reductions[i].size * 8u - h->reductions[i].bits + 1) : 0;
		h->reductions[i].flags = (uint8_t)below(4);
	}
}

/* One input: sound to begin with, then damaged in a few places, mostly in the code. */
static size_t random_input(uint8_t *out)
{
	struct lb_reduction r[2];
	struct lb_env env;
	struct header h;
	struct gen g;
	struct lb_fragment f;
	size_t data, code;

	random_header(&h);
	describe(&h, &env, r);
	f = gen_fragment(&g, &env, below(60), below(2));
	data = sizeof(h) + env.key_size + lb_env_stride(&env) + (env.nparams + env.ntables) * 8;
	code = f.n * sizeof(struct bpf_insn);
	memcpy(out, &h, sizeof(h));
	rnd_bytes(out + sizeof(h), data - sizeof(h));
	memcpy(out + data, f.code, code);
	for (uint32_t hits = below(4); hits > 0; hits--) {
		size_t at = below(8) ? data + below((uint32_t)code) : below((uint32_t)data);

		out[at] = below(2) ? (uint8_t)rnd() : (uint8_t)(out[at] + 1 - 2 * (int)below(2));
	}
	return data + code;
}

int main(int argc, char **argv)
{
	static uint8_t input[1 << 16];
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 10);

	rnd_seed();
	while (time(NULL) < end)
		for (int i = 0; i < 1000; i++)
			LLVMFuzzerTestOneInput(input, random_input(input));
	ok(accepted > 0 && refused > 0, "%llu inputs run, %llu refused",
	   (unsigned long long)accepted, (unsigned long long)refused);
	return tap_end();
}

#endif
