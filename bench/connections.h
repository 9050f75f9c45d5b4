/* SPDX-License-Identifier: MIT */
/*
 * The data that the C baseline works with: N connections made from their number,
 * so that everything is repeatable: entry i is the same in every run. Numbers
 * from N upwards are the connections that are not in the map.
 */
#ifndef LUABPF_BENCH_CONNECTIONS_H
#define LUABPF_BENCH_CONNECTIONS_H

#include "side.h"

#include <stdint.h>
#include <stdlib.h>

#define BATCH 4096u	/* unless walk is told another size */
#define CUT 1000000000ull	/* an entry last seen before is idle: one in ten */
#define PORTS 16
#define GIVEN 100000u		/* keys of get, update, upsert, at most a tenth of the map */
#define FIRST 10

struct key {
	uint32_t src_addr, dst_addr;
	uint16_t src_port, dst_port;
	uint32_t protocol;
};

struct value {
	uint64_t last_seen, packets, bytes, flags;
};

_Static_assert(sizeof(struct key) == 16, "as the layout in bench.lua");
_Static_assert(sizeof(struct value) == 32, "as the layout in bench.lua");

struct entries {
	struct key *keys;
	struct value *values;
	uint32_t n;
};

static uint32_t entries;	/* N */
static struct entries first;	/* for one: entries 0 to 9 */
static struct entries present;	/* for update: all are in the map, as they are there */
static struct entries wanted;	/* for get: nine of ten are in the map */
static struct entries written;	/* for upsert: six of ten are in the map, with other values */
static struct entries original;	/* what restore writes back: the idle ones, and those of written */
static struct entries held;	/* scratch of one batch */

/* splitmix64 (Vigna, https://prng.di.unimi.it/splitmix64.c), as a function of the number. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static struct key make_key(uint32_t i)
{
	static const uint16_t ports[PORTS] = { 22,	 25,  53,  80,	 110,  123,  143,  443,
					    465, 587, 853, 3306, 5432, 6379, 8080, 8443 };
	uint64_t r = mix(i);

	return (struct key){
		.src_addr = i * 2654435761u,	/* odd, so no two are equal */
		.dst_addr = (uint32_t)r,
		.src_port = (uint16_t)(32768 + (r >> 32) % 28232),
		.dst_port = ports[r >> 60],
		.protocol = (r >> 59) & 1 ? 6 : 17,
	};
}

static struct value make_value(uint32_t i, uint64_t salt)
{
	uint64_t r = mix(i ^ salt << 32), packets = 1 + r % 1000;

	return (struct value){
		.last_seen = mix(r) % 10 ? CUT + r % 100000 * CUT : r % CUT,
		.packets = packets,
		.bytes = packets * (60 + (r >> 32) % 1400),
		.flags = r >> 48,
	};
}

static struct entries reserve(uint32_t n)
{
	struct entries e = { .keys = calloc(n + 1, sizeof(*e.keys)),
			     .values = calloc(n + 1, sizeof(*e.values)) };

	if (!e.keys || !e.values)
		die("out of memory");
	return e;
}

static void append(struct entries *e, uint32_t i, uint64_t salt)
{
	e->keys[e->n] = make_key(i);
	e->values[e->n++] = make_value(i, salt);
}

/* Every so-manieth number, in an order that has nothing to do with the map's. */
static uint32_t pick(uint32_t j, uint32_t given)
{
	return (uint32_t)((uint64_t)j * (entries / given) + mix(j) % (entries / given));
}

static void make_data(void)
{
	uint32_t given = entries / 10 < GIVEN ? entries / 10 : GIVEN;

	first = reserve(FIRST);
	for (uint32_t i = 0; i < FIRST; i++)
		append(&first, i, 0);
	present = reserve(given);
	wanted = reserve(given);
	written = reserve(given);
	original = reserve(entries);
	held = reserve(BATCH);
	for (uint32_t j = 0; j < given; j++) {
		append(&present, pick(j, given), 0);
		append(&wanted, mix(j) % 10 ? pick(j, given) : entries + j, 0);
		append(&written, j % 10 < 6 ? pick(j, given) : entries + j, 1);
		if (j % 10 < 6)
			append(&original, pick(j, given), 0);
	}
	for (uint32_t i = 0; i < entries; i++)
		if (make_value(i, 0).last_seen < CUT)
			append(&original, i, 0);
}

#endif
