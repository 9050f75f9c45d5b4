/* SPDX-License-Identifier: MIT */
/*
 * Maps whose BTF no compiler makes, as far as the kernel takes it: names used twice,
 * members without a name that are no struct, members that share bytes, bits between
 * members. Filled with random entries and pinned, for spec/layout/odd_btf_spec.lua.
 *
 *	fuzz_btf SEED MAPS PREFIX	prints PREFIX_1, PREFIX_2, ...: those that are there
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENTRIES 24
#define MAX_BYTES 512

static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 33) % n;
}

/* ---- types ------------------------------------------------------------ */

/* A type that has been added. */
struct made {
	int id;
	uint32_t size;
	bool number;	/* may be a bitfield */
};

static const char *const names[] = { "a", "b", "c", "a_2", "_padding", "x", "count" };

static const char *any_name(void)
{
	return names[below(sizeof(names) / sizeof(names[0]))];
}

static struct made make_type(struct btf *btf, int depth);

static struct made make_int(struct btf *btf)
{
	static const char *const of_size[] = { "unsigned char", "short", "unsigned int", "long long" };
	uint32_t power = below(5), size = 1u << power;

	if (power == 4)
		return (struct made){ btf__add_int(btf, "__int128", 16, 0), 16, false };
	if (below(8) == 0)
		return (struct made){ btf__add_int(btf, "char", 1, BTF_INT_SIGNED), 1, true };
	if (below(8) == 0)
		return (struct made){ btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL), 1, true };
	return (struct made){ btf__add_int(btf, of_size[power], (int)size,
					   below(2) ? BTF_INT_SIGNED : 0), size, true };
}

static struct made make_enum(struct btf *btf)
{
	uint32_t size = 1u << below(4), n = below(5);
	int id = btf__add_enum(btf, below(2) ? "state" : NULL, size);

	for (uint32_t i = 0; i < n; i++)
		btf__add_enum_value(btf, any_name(), below(4));
	return (struct made){ id, size, size < 8 };
}

static struct made make_array(struct btf *btf, int depth)
{
	int index = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	struct made elem = make_type(btf, depth + 1);
	uint32_t n = below(5);

	return (struct made){ btf__add_array(btf, index, elem.id, n), elem.size * n, false };
}

static struct made make_typedef(struct btf *btf, int depth)
{
	static const char *const called[] = { "be16", "__be32", "ipv4", "ipv6", "mac", "u8",
					      "s64", "bytes", "bool", "my_t" };
	struct made of = make_type(btf, depth + 1);

	of.id = below(4) ? btf__add_typedef(btf, called[below(10)], of.id)
			 : btf__add_const(btf, of.id);
	return of;
}

/* What a record is to have; its types are added before it. */
struct member {
	struct made type;
	const char *name;
	uint32_t bit, bits;
};

static uint32_t place(struct member *m, uint32_t at)
{
	if (m->bits)
		at += below(3) ? 0 : below(4);
	else
		at = (at + 7) / 8 * 8 + 8 * below(3);
	m->bit = at;
	return at + (m->bits ? m->bits : m->type.size * 8);
}

static struct made make_record(struct btf *btf, int depth)
{
	struct member m[6];
	uint32_t n = 1 + below(6), size = 0, at = 0;
	bool is_union = below(3) == 0;
	int id;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t end;

		m[i].type = make_type(btf, depth + 1);
		m[i].name = below(4) ? any_name() : NULL;
		m[i].bits = m[i].type.number && below(3) == 0
			    ? 1 + below(m[i].type.size * 8) : 0;
		end = place(&m[i], is_union ? 0 : at);
		/* The next one may lie on the same bytes. */
		at = below(12) ? end : m[i].bit;
		size = end > size ? end : size;
	}
	size = (size + 7) / 8 + below(3);
	id = is_union ? btf__add_union(btf, below(2) ? "u" : NULL, size)
		      : btf__add_struct(btf, below(2) ? "s" : NULL, size);
	for (uint32_t i = 0; i < n; i++)
		btf__add_field(btf, m[i].name, m[i].type.id, is_union ? 0 : m[i].bit,
			       (uint8_t)m[i].bits);
	return (struct made){ id, size, false };
}

static struct made make_type(struct btf *btf, int depth)
{
	switch (depth > 3 ? below(3) : below(9)) {
	case 0:
	case 1:
		return make_int(btf);
	case 2:
		return make_enum(btf);
	case 3:
		return make_array(btf, depth);
	case 4:
		return make_typedef(btf, depth);
	case 5:
		return (struct made){ btf__add_float(btf, "float", 4), 4, false };
	case 6:
		return (struct made){ btf__add_ptr(btf, 0), 8, false };
	default:
		return make_record(btf, depth);
	}
}

/* ---- maps ------------------------------------------------------------- */

static void fill(int fd, uint32_t key_size, uint32_t value_size)
{
	uint8_t key[MAX_BYTES], value[MAX_BYTES];

	for (int i = 0; i < ENTRIES; i++) {
		for (uint32_t k = 0; k < key_size; k++)
			key[k] = below(3) ? 0 : (uint8_t)below(256);
		for (uint32_t k = 0; k < value_size; k++)
			value[k] = below(3) ? 0 : (uint8_t)below(256);
		bpf_map_update_elem(fd, key, value, BPF_ANY);
	}
}

/* A map of two records; -1 where the kernel refuses their BTF. */
static int make_map(void)
{
	struct btf *btf = btf__new_empty();
	struct made key = make_record(btf, 0), value = make_record(btf, 0);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .btf_key_type_id = (uint32_t)key.id,
		    .btf_value_type_id = (uint32_t)value.id);
	int fd = -1;

	if (key.size && key.size <= MAX_BYTES && value.size && value.size <= MAX_BYTES &&
	    btf__load_into_kernel(btf) == 0) {
		opts.btf_fd = (uint32_t)btf__fd(btf);
		fd = bpf_map_create(BPF_MAP_TYPE_HASH, "odd", key.size, value.size, 2 * ENTRIES,
				    &opts);
	}
	if (fd >= 0)
		fill(fd, key.size, value.size);
	btf__free(btf);
	return fd;
}

static int silent(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

int main(int argc, char **argv)
{
	uint32_t made = 0, wanted;

	if (argc != 4)
		return 2;
	libbpf_set_print(silent);
	state = strtoull(argv[1], NULL, 0);
	wanted = (uint32_t)strtoul(argv[2], NULL, 0);
	for (uint32_t tries = 0; made < wanted && tries < 100 * wanted; tries++) {
		int fd = make_map();
		char path[256];

		if (fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s_%u", argv[3], ++made);
		if (bpf_obj_pin(fd, path) < 0)
			return 1;
		puts(path);
		close(fd);
	}
	return made == wanted ? 0 : 1;
}
