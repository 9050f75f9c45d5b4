/* SPDX-License-Identifier: MIT */
/*
 * BTF to layout. See btf.h; the way back is in btfload.c.
 *
 * read_type() turns a type id into a lb_type, each id once: types that several
 * fields share are shared in the layout too. What BTF says is not trusted:
 * members lie within their struct, sizes fit, and nesting ends at MAX_DEPTH, so
 * a type that contains itself is an error. Sizes and alignment come out as C
 * has them; a struct that breaks the alignment of a member is packed. Integers
 * get the names of declarations ("u32"), and so does a typedef whose name is
 * one of them and whose size fits (aliases[]): that is how "ip" and "be16"
 * survive the way through the kernel. Names are made distinct (distinct.h).
 */
#include "lib/layout/btf.h"

#include "lib/layout/distinct.h"
#include "lib/layout/record.h"

#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Levels of nesting, modifiers and typedefs counted. The kernel allows 32 (MAX_RESOLVE_DEPTH). */
#define MAX_DEPTH 64
/*
 * Of one struct, those of its anonymous members counted. BTF has room for as many without
 * those (BTF_MAX_VLEN); names used twice cost a copy at each level (distinct.h), so that a
 * small file with more would take gigabytes.
 */
#define MAX_MEMBERS (1u << 16)
/* What integers have as their alignment at most. */
#define MAX_ALIGN 8u

/* Typedefs that are types of declarations. size 0: any. */
static const struct alias {
	const char *name;
	const char *becomes;
	enum lb_kind kind;
	uint32_t size;
	bool is_signed, big;
} aliases[] = {
	{ .name = "u8", .becomes = "u8", .kind = LB_INT, .size = 1 },
	{ .name = "u16", .becomes = "u16", .kind = LB_INT, .size = 2 },
	{ .name = "u32", .becomes = "u32", .kind = LB_INT, .size = 4 },
	{ .name = "u64", .becomes = "u64", .kind = LB_INT, .size = 8 },
	{ .name = "s8", .becomes = "s8", .kind = LB_INT, .size = 1, .is_signed = true },
	{ .name = "s16", .becomes = "s16", .kind = LB_INT, .size = 2, .is_signed = true },
	{ .name = "s32", .becomes = "s32", .kind = LB_INT, .size = 4, .is_signed = true },
	{ .name = "s64", .becomes = "s64", .kind = LB_INT, .size = 8, .is_signed = true },
	{ .name = "__be16", .becomes = "be16", .kind = LB_INT, .size = 2, .big = true },
	{ .name = "__be32", .becomes = "be32", .kind = LB_INT, .size = 4, .big = true },
	{ .name = "__be64", .becomes = "be64", .kind = LB_INT, .size = 8, .big = true },
	{ .name = "be16", .becomes = "be16", .kind = LB_INT, .size = 2, .big = true },
	{ .name = "be32", .becomes = "be32", .kind = LB_INT, .size = 4, .big = true },
	{ .name = "be64", .becomes = "be64", .kind = LB_INT, .size = 8, .big = true },
	{ .name = "bool", .becomes = "bool", .kind = LB_BOOL, .size = 1 },
	{ .name = "float", .becomes = "float", .kind = LB_FLOAT, .size = 4 },
	{ .name = "double", .becomes = "double", .kind = LB_FLOAT, .size = 8 },
	{ .name = "bytes", .becomes = "bytes", .kind = LB_BYTES },
	{ .name = "ipv4", .becomes = "ipv4", .kind = LB_IPV4, .size = 4 },
	{ .name = "ipv6", .becomes = "ipv6", .kind = LB_IPV6, .size = 16 },
	{ .name = "ip", .becomes = "ip", .kind = LB_IP, .size = 16 },
	{ .name = "mac", .becomes = "mac", .kind = LB_MAC, .size = 6 },
	{ .name = "prefix4", .becomes = "prefix4", .kind = LB_PREFIX4, .size = 8 },
	{ .name = "prefix6", .becomes = "prefix6", .kind = LB_PREFIX6, .size = 20 },
};

/*
 * Structs whose bytes the kernel keeps to itself in map values. Source:
 * kernel/bpf/btf.c, btf_get_field_type.
 */
static const char *const special_structs[] = {
	"bpf_spin_lock", "bpf_res_spin_lock", "bpf_timer", "bpf_wq", "bpf_task_work",
	"bpf_list_head", "bpf_rb_root", "bpf_refcount", NULL,
};

/* Tags of pointers that are kernel pointers in map values. Source: as above. */
static const char *const special_tags[] = {
	"kptr", "kptr_ref", "kptr_untrusted", "percpu_kptr", "uptr", NULL,
};

static bool is_one_of(const char *name, const char *const list[])
{
	while (*list && strcmp(*list, name) != 0)
		list++;
	return *list != NULL;
}

bool lb_btf_is_special(const char *name)
{
	return is_one_of(name, special_structs);
}

static bool is_record(const struct lb_type *type)
{
	return type->kind == LB_STRUCT || type->kind == LB_UNION;
}

/* ---- reading ---------------------------------------------------------- */

struct reader {
	const struct btf *btf;
	struct lb_layout *layout;
	const struct lb_type **done;	/* by type id */
	unsigned int depth;
};

/* These give NULL with errno set when they fail. */
static const struct lb_type *read_type(struct reader *r, uint32_t id);

static void *refuse(int err)
{
	errno = err;
	return NULL;
}

/* A name in the BTF; "" if it has none. */
static const char *name_at(const struct reader *r, uint32_t offset)
{
	const char *name = btf__name_by_offset(r->btf, offset);

	return name ? name : "";
}

static struct lb_type *new_type(struct reader *r, enum lb_kind kind, uint32_t size, uint32_t align,
				const char *name)
{
	struct lb_type *type = lb_layout_alloc(r->layout, sizeof(*type));

	if (!type)
		return refuse(ENOMEM);
	type->kind = kind;
	type->size = size;
	type->align = align ? align : 1;
	type->name = lb_layout_strdup(r->layout, *name ? name : lb_kind_name(kind));
	return type->name ? type : refuse(ENOMEM);
}

static const char *int_name(uint32_t size, bool is_signed)
{
	static const char *const names[2][9] = {
		{ [1] = "u8", [2] = "u16", [4] = "u32", [8] = "u64" },
		{ [1] = "s8", [2] = "s16", [4] = "s32", [8] = "s64" },
	};

	return names[is_signed][size];
}

static struct lb_type *new_int(struct reader *r, uint32_t size, bool is_signed)
{
	struct lb_type *type = new_type(r, LB_INT, size, size, int_name(size, is_signed));

	if (type)
		type->is_signed = is_signed;
	return type;
}

/* What no number of Lua holds, such as __int128 and long double. */
static const struct lb_type *new_bytes(struct reader *r, uint32_t size)
{
	return new_type(r, LB_BYTES, size, size % MAX_ALIGN ? 1 : MAX_ALIGN, "bytes");
}

/* char is the C type of that name, whatever its encoding; the kernel's u8 is "unsigned char". */
static const struct lb_type *read_int(struct reader *r, const struct btf_type *t)
{
	if (t->size == 1 && (btf_int_encoding(t) & BTF_INT_BOOL))
		return new_type(r, LB_BOOL, 1, 1, "bool");
	if (t->size == 1 && strcmp(name_at(r, t->name_off), "char") == 0)
		return new_type(r, LB_TEXT, 1, 1, "char");
	if (!lb_is_int_size(t->size))
		return new_bytes(r, t->size);
	return new_int(r, t->size, (btf_int_encoding(t) & BTF_INT_SIGNED) != 0);
}

static const struct lb_type *read_float(struct reader *r, const struct btf_type *t)
{
	if (t->size != 4 && t->size != 8)
		return new_bytes(r, t->size);
	return new_type(r, LB_FLOAT, t->size, t->size, t->size == 4 ? "float" : "double");
}

/*
 * Compilers before LLVM 15 do not say whether the values are signed: they are
 * if one is negative.
 */
static bool has_negative(const struct btf_type *t)
{
	for (uint32_t i = 0; btf_is_enum(t) && i < btf_vlen(t); i++)
		if (btf_enum(t)[i].val < 0)
			return true;
	return false;
}

static bool read_enumerator(struct reader *r, const struct btf_type *t, uint32_t i, bool is_signed,
			    struct lb_enumerator *e)
{
	uint32_t name;

	if (btf_is_enum64(t)) {
		name = btf_enum64(t)[i].name_off;
		e->value = (int64_t)btf_enum64_value(&btf_enum64(t)[i]);
	} else {
		name = btf_enum(t)[i].name_off;
		e->value = is_signed ? btf_enum(t)[i].val : (int64_t)(uint32_t)btf_enum(t)[i].val;
	}
	e->name = lb_layout_strdup(r->layout, name_at(r, name));
	return e->name != NULL;
}

static const struct lb_type *read_enum(struct reader *r, const struct btf_type *t)
{
	struct lb_enumerator *values = lb_layout_alloc(r->layout, btf_vlen(t) * sizeof(*values));
	struct lb_type *type;

	if (!lb_is_int_size(t->size))
		return refuse(EINVAL);
	type = new_type(r, LB_ENUM, t->size, t->size, name_at(r, t->name_off));
	if (!type || !values)
		return refuse(ENOMEM);
	type->is_signed = btf_kflag(t) || has_negative(t);
	type->values = values;
	type->nvalues = btf_vlen(t);
	for (uint32_t i = 0; i < type->nvalues; i++)
		if (!read_enumerator(r, t, i, type->is_signed, &values[i]))
			return refuse(ENOMEM);
	return lb_distinct_values(values, &type->nvalues) ? type : refuse(ENOMEM);
}

/* What is pointed to does not matter, but for the tags before it. */
static const struct lb_type *read_pointer(struct reader *r, const struct btf_type *t)
{
	uint32_t size = sizeof(uint64_t);

	for (unsigned int i = 0; i < MAX_DEPTH; i++) {
		t = btf__type_by_id(r->btf, t->type);
		if (!t || !btf_is_type_tag(t))
			break;
		if (is_one_of(name_at(r, t->name_off), special_tags))
			return new_type(r, LB_SPECIAL, size, size, "kptr");
	}
	return new_type(r, LB_POINTER, size, size, "pointer");
}

static const struct lb_type *read_array(struct reader *r, const struct btf_type *t)
{
	const struct lb_type *elem = read_type(r, btf_array(t)->type);
	uint32_t n = btf_array(t)->nelems;
	bool is_text = elem && elem->kind == LB_TEXT && elem->size == 1 && !elem->n;
	struct lb_type *type;

	if (!elem)
		return NULL;
	if ((uint64_t)n * elem->size > UINT32_MAX)
		return refuse(E2BIG);
	type = new_type(r, is_text ? LB_TEXT : LB_ARRAY, n * elem->size, elem->align, elem->name);
	if (!type)
		return NULL;
	/* char[4][8] is a list of texts: n tells a text that is an array already. */
	type->n = n;
	type->elem = is_text ? NULL : elem;
	return lb_type_finish(r->layout, type) ? type : refuse(ENOMEM);
}

const struct btf_type *lb_btf_plain(const struct btf *btf, uint32_t *id)
{
	const struct btf_type *t = btf__type_by_id(btf, *id);

	for (unsigned int i = 0; t && i < MAX_DEPTH; i++) {
		if (!btf_is_mod(t) && !btf_is_typedef(t) && !btf_is_type_tag(t))
			return t;
		*id = t->type;
		t = btf__type_by_id(btf, *id);
	}
	return NULL;
}

/*
 * The type of a bitfield: the integer or enum itself, since a typedef's
 * meaning (be16, char as text) is of whole bytes.
 */
static const struct lb_type *read_bitfield(struct reader *r, uint32_t id)
{
	const struct lb_type *type = lb_btf_plain(r->btf, &id) ? read_type(r, id) : refuse(EINVAL);

	if (!type)
		return NULL;
	if (type->kind == LB_TEXT && type->size == 1)
		return new_int(r, 1, true);
	if (type->kind != LB_INT && type->kind != LB_BOOL && type->kind != LB_ENUM)
		return refuse(EINVAL);
	return type;
}

/*
 * Before kind_flag, the width of a bitfield and a part of its offset were the
 * integer's own. Source: Documentation/bpf/btf.rst, BTF_KIND_INT.
 */
static void old_bitfield(const struct reader *r, const struct btf_type *t, uint32_t id,
			 struct lb_field *f)
{
	const struct btf_type *base = lb_btf_plain(r->btf, &id);

	if (btf_kflag(t) || !base || !btf_is_int(base))
		return;
	if (btf_int_offset(base) || btf_int_bits(base) != base->size * 8 || f->bit % 8) {
		f->bit += btf_int_offset(base);
		f->bits = btf_int_bits(base);
	}
}

static bool fits(const struct lb_field *f, uint32_t size)
{
	uint64_t whole = (uint64_t)f->type->size * 8;

	if (f->bits > 64 || f->bits > whole || (!f->bits && f->bit % 8))
		return false;
	return f->bit + (f->bits ? f->bits : whole) <= (uint64_t)size * 8;
}

static bool name_field(struct reader *r, struct lb_field *f, const char *name)
{
	if (!*name)
		return true;
	f->name = lb_layout_strdup(r->layout, name);
	return f->name || refuse(ENOMEM);
}

static bool read_member(struct reader *r, const struct btf_type *t, uint32_t i, struct lb_field *f)
{
	const struct btf_member *m = btf_members(t) + i;

	f->bit = btf_member_bit_offset(t, i);
	f->bits = btf_member_bitfield_size(t, i);
	old_bitfield(r, t, m->type, f);
	f->type = f->bits ? read_bitfield(r, m->type) : read_type(r, m->type);
	return f->type && name_field(r, f, name_at(r, m->name_off));
}

/* A variable of a section of globals. */
static bool read_variable(struct reader *r, const struct btf_type *t, uint32_t i,
			  struct lb_field *f)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(t) + i;
	const struct btf_type *var = btf__type_by_id(r->btf, info->type);

	if (!var || !btf_is_var(var) || info->offset > UINT32_MAX / 8)
		return refuse(EINVAL);
	f->bit = info->offset * 8;
	f->type = read_type(r, var->type);
	return f->type && name_field(r, f, name_at(r, var->name_off));
}

/* The alignment of a struct in C; 1 if it is packed. BTF does not say. */
static uint32_t record_align(const struct lb_field *fields, uint32_t n, uint32_t size)
{
	uint32_t align = 1;

	for (uint32_t i = 0; i < n; i++) {
		if (!fields[i].bits && fields[i].bit / 8 % fields[i].type->align)
			return 1;
		if (fields[i].type->align > align)
			align = fields[i].type->align;
	}
	return size % align ? 1 : align;
}

static struct lb_field *read_fields(struct reader *r, const struct btf_type *t)
{
	uint32_t n = btf_vlen(t), members = 0;
	struct lb_field *fields = lb_layout_alloc(r->layout, n * sizeof(*fields));

	if (!fields)
		return refuse(ENOMEM);
	for (uint32_t i = 0; i < n; i++) {
		struct lb_field *f = &fields[i];

		if (!(btf_is_datasec(t) ? read_variable(r, t, i, f) : read_member(r, t, i, f)))
			return NULL;
		if (!fits(f, t->size))
			return refuse(EINVAL);
		members += f->name ? 1 : f->type->nmembers;
		if (members > MAX_MEMBERS)
			return refuse(E2BIG);
	}
	return fields;
}

/* What is neither named nor has members of its own fills space, as unnamed bitfields do. */
static uint32_t drop_unnamed(struct lb_field *fields, uint32_t n)
{
	uint32_t left = 0;

	for (uint32_t i = 0; i < n; i++)
		if (fields[i].name || is_record(fields[i].type))
			fields[left++] = fields[i];
	return left;
}

/* Structs, unions, and sections of globals, which are structs of variables. */
static const struct lb_type *read_record(struct reader *r, const struct btf_type *t)
{
	enum lb_kind kind = btf_is_union(t) ? LB_UNION : LB_STRUCT;
	const char *name = name_at(r, t->name_off);
	struct lb_field *fields = read_fields(r, t);
	struct lb_type *type;
	uint32_t align;

	if (!fields)
		return NULL;
	align = record_align(fields, btf_vlen(t), t->size);
	if (lb_btf_is_special(name))
		return new_type(r, LB_SPECIAL, t->size, align, name);
	/* Structs of C that are addresses. */
	if (strcmp(name, "in_addr") == 0 && t->size == 4)
		return new_type(r, LB_IPV4, t->size, align, "ipv4");
	if (strcmp(name, "in6_addr") == 0 && t->size == 16)
		return new_type(r, LB_IPV6, t->size, align, "ipv6");
	type = new_type(r, kind, t->size, align, name);
	if (!type)
		return NULL;
	type->fields = fields;
	type->nfields = drop_unnamed(fields, btf_vlen(t));
	if (!lb_distinct_fields(r->layout, fields, type->nfields))
		return refuse(ENOMEM);
	return lb_type_finish(r->layout, type) ? type : refuse(ENOMEM);
}

/* A float is of bytes where the kernel would refuse its place (emit_field_type). */
static const struct lb_type *apply_alias(struct reader *r, const struct alias *a,
					 const struct lb_type *base)
{
	uint32_t align = a->kind == LB_FLOAT ? a->size : base->align;
	struct lb_type *type = new_type(r, a->kind, base->size, align, a->becomes);

	if (!type)
		return NULL;
	type->is_signed = a->is_signed;
	type->big = a->big;
	return type;
}

/* What has no tag is called by its typedef. */
static const struct lb_type *rename_type(struct reader *r, const struct lb_type *base,
					 const char *name)
{
	struct lb_type *type = new_type(r, base->kind, base->size, base->align, name);
	const char *copy = type ? type->name : NULL;

	if (!type)
		return NULL;
	*type = *base;
	type->name = copy;
	return type;
}

static const struct lb_type *read_typedef(struct reader *r, const struct btf_type *t)
{
	const struct lb_type *base = read_type(r, t->type);
	const char *name = name_at(r, t->name_off);

	if (!base || base->kind == LB_SPECIAL)
		return base;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		const struct alias *a = &aliases[i];

		if (strcmp(a->name, name) == 0 && (!a->size || a->size == base->size))
			return apply_alias(r, a, base);
	}
	if ((is_record(base) || base->kind == LB_ENUM) &&
	    strcmp(base->name, lb_kind_name(base->kind)) == 0)
		return rename_type(r, base, name);
	return base;
}

static const struct lb_type *read_kind(struct reader *r, const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_INT:
		return read_int(r, t);
	case BTF_KIND_FLOAT:
		return read_float(r, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return read_enum(r, t);
	case BTF_KIND_PTR:
		return read_pointer(r, t);
	case BTF_KIND_ARRAY:
		return read_array(r, t);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
		return read_record(r, t);
	case BTF_KIND_TYPEDEF:
		return read_typedef(r, t);
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
	case BTF_KIND_VAR:
		return read_type(r, t->type);
	default:
		return refuse(ENOTSUP);
	}
}

static const struct lb_type *read_type(struct reader *r, uint32_t id)
{
	const struct btf_type *t = id ? btf__type_by_id(r->btf, id) : NULL;
	const struct lb_type *type;

	if (!t)
		return refuse(id ? EINVAL : ENOTSUP);
	if (r->done[id])
		return r->done[id];
	if (r->depth >= MAX_DEPTH)
		return refuse(ELOOP);
	r->depth++;
	type = read_kind(r, t);
	r->depth--;
	r->done[id] = type;
	return type;
}

struct lb_layout *lb_btf_layout(const struct btf *btf, uint32_t type_id)
{
	struct reader r = { .btf = btf };
	int err = ENOMEM;

	r.layout = lb_layout_new();
	r.done = calloc(btf__type_cnt(btf), sizeof(*r.done));
	if (r.layout && r.done) {
		r.layout->root = read_type(&r, type_id);
		err = errno;
	}
	free(r.done);
	if (r.layout && r.layout->root)
		return r.layout;
	lb_layout_free(r.layout);
	return refuse(err);
}
