/* SPDX-License-Identifier: MIT */
/*
 * Layouts: what the bytes of a key or a value mean.
 *
 * A layout is a tree of types, built from BTF (btf.c) or from a description
 * made in Lua (codec.c reads it; lua/luabpf/layout/layout.lua writes it). It is
 * immutable once built, so threads may share it. All of its memory hangs on
 * the lb_layout and goes with it. No Lua here: engines use these types too.
 */
#ifndef LUABPF_LIB_LAYOUT_LAYOUT_H
#define LUABPF_LIB_LAYOUT_LAYOUT_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum lb_kind {
	LB_INT,		/* 1, 2, 4 or 8 bytes; is_signed, big */
	LB_BOOL,	/* 1 byte */
	LB_FLOAT,	/* 4 or 8 bytes */
	LB_TEXT,	/* char or char[N]: a string up to its NUL, whole where more than zeros follows */
	LB_BYTES,	/* any number of bytes: a binary string */
	LB_IPV4,	/* 4 bytes, network order: "10.0.0.1" */
	LB_IPV6,	/* 16 bytes */
	LB_IP,		/* 16 bytes, IPv4-mapped shown as IPv4 */
	LB_MAC,		/* 6 bytes */
	LB_PREFIX4,	/* u32 prefix length and 4 bytes: "10.0.0.0/8" */
	LB_PREFIX6,	/* u32 prefix length and 16 bytes */
	LB_ENUM,	/* 1, 2, 4 or 8 bytes; values[]; is_signed */
	LB_POINTER,	/* 8 bytes, an address as integer */
	LB_SPECIAL,	/* spin lock, timer, kernel pointer...: reads as zeros */
	LB_ARRAY,	/* n elements of elem */
	LB_STRUCT,
	LB_UNION,
};

/* One declared member of a struct or union. */
struct lb_field {
	const char *name;		/* NULL: anonymous struct or union */
	const struct lb_type *type;
	uint32_t bit;			/* offset in bits from the start of the parent */
	uint32_t bits;			/* width of a bitfield; 0: not one */
};

/*
 * A member as a user sees it: those of anonymous members appear in the
 * parent, padding does not appear. Byte offset plus bit offset (0 to 7).
 */
struct lb_member {
	const char *name;
	const struct lb_type *type;
	uint32_t offset;
	uint32_t bit;
	uint32_t bits;
};

/* Bytes of a struct or union that no member covers, or not all bits of: mask has those bits. */
struct lb_gap {
	uint32_t offset, n;		/* n is 1 unless mask is 0xff */
	uint8_t mask;
};

struct lb_enumerator {
	const char *name;
	int64_t value;
};

struct lb_type {
	enum lb_kind kind;
	uint32_t size;			/* bytes */
	uint32_t align;			/* bytes */
	bool is_signed;
	bool big;			/* big-endian integer */
	bool has_union;			/* here or below members share bits */
	const char *name;		/* "u32", "ipv4", tag of a struct, typedef; never NULL */
	const struct lb_type *elem;	/* LB_ARRAY */
	uint32_t n;			/* its length; of LB_TEXT, 0 for a single char */
	bool ends;			/* LB_ARRAY: the zeros at its end are no elements */
	const struct lb_field *fields;	/* LB_STRUCT, LB_UNION */
	uint32_t nfields;
	const struct lb_member *members;
	uint32_t nmembers;
	const struct lb_gap *gaps;	/* its padding, in order */
	uint32_t ngaps;
	uint32_t padding;		/* bytes of all gaps */
	const char *padding_name;	/* what they are called in tables: "_padding" */
	const struct lb_enumerator *values;	/* LB_ENUM */
	uint32_t nvalues;
};

struct lb_layout {
	const struct lb_type *root;
	void *memory;			/* the arena's chunks; NULL: in one piece */
};

struct lb_builder;

/* How one key or one value lies in a buffer. */
struct lb_shape {
	const struct lb_type *type;	/* NULL: bytes without a layout */
	uint32_t size;			/* bytes of one value */
	uint32_t ncpu;			/* 0: a plain value; else a list of that many */
	uint32_t stride;		/* bytes from one entry to the next */
	struct lb_builder *builder;	/* makes and reads its tables; NULL: none */
};

/* Bytes from one CPU's value to the next. Source: kernel/bpf/hashtab.c, round_up(value_size, 8). */
static inline uint32_t lb_cpu_stride(uint32_t size)
{
	return (size + 7u) & ~7u;
}

/* Whether it is what follows the fields of a record: char name[] in C. */
static inline bool lb_is_rest(const struct lb_type *t)
{
	return t->size == 0 && (t->kind == LB_TEXT || t->kind == LB_BYTES || t->kind == LB_ARRAY);
}

/* The member of a struct that is the rest of a record, whose size is open then; or NULL. */
const struct lb_member *lb_find_rest(const struct lb_type *t);

struct lb_layout *lb_layout_new(void);			/* NULL: out of memory */
void lb_layout_free(struct lb_layout *layout);
/* Zeroed memory that lives as long as the layout; NULL: out of memory. */
/* The member with that name; NULL where there is none, as of what is no struct or union. */
const struct lb_member *lb_find_member(const struct lb_type *type, const char *name);
void *lb_layout_alloc(struct lb_layout *layout, size_t size);
const char *lb_layout_strdup(struct lb_layout *layout, const char *s);
/* Bytes that it takes in one piece. */
size_t lb_layout_size(const struct lb_layout *layout);
/*
 * Moves it, complete, into memory of so many bytes: what it was is freed. What comes
 * back goes with that memory, and lb_layout_free is not for it.
 */
struct lb_layout *lb_layout_pack(struct lb_layout *layout, void *memory);
const char *lb_kind_name(enum lb_kind kind);

/*
 * Raw access, shared by the codec and the interpreter; any alignment. Integers
 * have 1 to 8 bytes; bitfields 1 to 64 bits, from bit (0 to any) after p.
 */
static inline uint64_t lb_load_int(const void *p, const struct lb_type *type)
{
	uint32_t unused = 64 - 8 * type->size;
	uint64_t v = 0;

	/* Sizes known to the compiler make a copy one load. */
	switch (type->size) {
	case 1:
		memcpy(&v, p, 1);
		break;
	case 2:
		memcpy(&v, p, 2);
		break;
	case 4:
		memcpy(&v, p, 4);
		break;
	case 8:
		memcpy(&v, p, 8);
		break;
	default:
		memcpy(&v, p, type->size);
	}
	if (type->big)
		v = be64toh(v) >> unused;
	if (type->is_signed)
		v = (uint64_t)((int64_t)(v << unused) >> unused);
	return v;
}

static inline void lb_store_int(void *p, const struct lb_type *type, uint64_t v)
{
	if (type->big)
		v = htobe64(v << (64 - 8 * type->size));
	switch (type->size) {
	case 2:
		memcpy(p, &v, 2);
		break;
	case 4:
		memcpy(p, &v, 4);
		break;
	case 8:
		memcpy(p, &v, 8);
		break;
	default:
		memcpy(p, &v, type->size);
	}
}

uint64_t lb_load_bits(const void *p, uint32_t bit, uint32_t bits, bool is_signed);
void lb_store_bits(void *p, uint32_t bit, uint32_t bits, uint64_t v);

/* The integer that a member of the struct at base is, bitfield or not. */
static inline uint64_t lb_load_member(const void *base, const struct lb_member *m)
{
	const uint8_t *p = (const uint8_t *)base + m->offset;

	return m->bits ? lb_load_bits(p, m->bit, m->bits, m->type->is_signed)
		       : lb_load_int(p, m->type);
}

#endif
