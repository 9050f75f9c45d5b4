/* SPDX-License-Identifier: MIT */
/*
 * Layout to BTF, loaded into the kernel. See btf.h.
 *
 * emit_type() adds the types from the leaves up. What C has no type for is a
 * typedef of the declaration's name over integers of the same size and
 * alignment, which btf.c reads as what it was. The rules that BTF must keep
 * are those of kernel/bpf/btf.c.
 */
#include "lib/layout/btf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* Types of one map; shared types are written once for each use. */
#define MAX_TYPES (1u << 18)
/* Source: include/uapi/linux/btf.h, BTF_MAX_VLEN. */
#define MAX_VLEN 0xffffu
/* In a struct with bitfields. Source: include/uapi/linux/btf.h, BTF_MEMBER_BIT_OFFSET. */
#define MAX_BIT_OFFSET 0xffffffu

/* These return the id of a type, or -errno. */
static int emit_type(struct btf *btf, const struct lb_type *type);

static int emit_basic(struct btf *btf, const char *name, uint32_t size, int encoding)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_INT);

	return id > 0 ? id : btf__add_int(btf, name, size, encoding);
}

static int emit_int(struct btf *btf, uint32_t size, bool is_signed)
{
	static const char *const names[2][9] = {
		{ [1] = "unsigned char", [2] = "unsigned short", [4] = "unsigned int",
		  [8] = "unsigned long long" },
		{ [1] = "signed char", [2] = "short", [4] = "int", [8] = "long long" },
	};

	return emit_basic(btf, names[is_signed][size], size, is_signed ? BTF_INT_SIGNED : 0);
}

static int emit_array(struct btf *btf, int elem, uint32_t n)
{
	int index = elem < 0 ? elem : emit_int(btf, 4, false);

	return index < 0 ? index : btf__add_array(btf, index, elem, n);
}

/* size bytes with that alignment: an unsigned integer, or an array of them. */
static int emit_raw(struct btf *btf, uint32_t size, uint32_t align)
{
	int elem;

	if (!lb_is_int_size(align) || size % align)
		align = 1;
	elem = emit_int(btf, align, false);
	return size == align ? elem : emit_array(btf, elem, size / align);
}

static int emit_typedef(struct btf *btf, const char *name, int id)
{
	return id < 0 ? id : btf__add_typedef(btf, name, id);
}

static int emit_number(struct btf *btf, const struct lb_type *type)
{
	char name[8] = "__be";

	if (!lb_is_int_size(type->size))
		return -EINVAL;
	if (!type->big)
		return emit_int(btf, type->size, type->is_signed);
	strcat(name, type->size == 2 ? "16" : type->size == 4 ? "32" : "64");
	return emit_typedef(btf, name, emit_raw(btf, type->size, type->align));
}

static int emit_float(struct btf *btf, uint32_t size)
{
	const char *name = size == 4 ? "float" : "double";
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FLOAT);

	return id > 0 ? id : btf__add_float(btf, name, size);
}

static int emit_text(struct btf *btf, const struct lb_type *type)
{
	int elem = emit_basic(btf, "char", 1, BTF_INT_SIGNED);

	return type->size == 1 && !type->n ? elem : emit_array(btf, elem, type->size);
}

/* A prefix is a struct, or the kernel does not take it as the key of a trie. */
static int emit_prefix(struct btf *btf, const struct lb_type *type)
{
	int length = emit_int(btf, 4, false);
	int data = length < 0 ? length : emit_raw(btf, type->size - 4, 1);
	int id = data < 0 ? data : btf__add_struct(btf, NULL, type->size);
	int err = id < 0 ? id : btf__add_field(btf, "prefixlen", length, 0, 0);

	if (!err)
		err = btf__add_field(btf, "data", data, 32, 0);
	return emit_typedef(btf, lb_kind_name(type->kind), err < 0 ? err : id);
}

/*
 * A struct of the special one's name and size, which is what the kernel
 * looks for; a kernel pointer has no such form.
 */
static int emit_special(struct btf *btf, const struct lb_type *type)
{
	int data, id, err;

	if (!lb_btf_is_special(type->name))
		return btf__add_ptr(btf, 0);
	data = emit_raw(btf, type->size, type->align);
	id = data < 0 ? data : btf__add_struct(btf, type->name, type->size);
	err = id < 0 ? id : btf__add_field(btf, "__opaque", data, 0, 0);
	return err < 0 ? err : id;
}

/*
 * A name for a tag: none for the stand-in of an anonymous type, nor for what
 * is no identifier. Source: kernel/bpf/btf.c, btf_name_valid_identifier.
 */
static const char *tag(const struct lb_type *type)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
				      "0123456789";

	if (strcmp(type->name, lb_kind_name(type->kind)) == 0)
		return NULL;
	if (type->name[0] >= '0' && type->name[0] <= '9')
		return NULL;
	return type->name[strspn(type->name, allowed)] ? NULL : type->name;
}

/* Whether the kind that all kernels know says the same. It is signed if a value is negative. */
static bool is_plain_enum(const struct lb_type *type)
{
	bool negative = false;

	for (uint32_t i = 0; i < type->nvalues; i++) {
		if (type->values[i].value != (int32_t)type->values[i].value)
			return false;
		negative = negative || type->values[i].value < 0;
	}
	return negative == type->is_signed;
}

/* BTF_KIND_ENUM64, for any size: Linux 6.0. */
static int emit_wide_enum(struct btf *btf, const struct lb_type *type)
{
	int id = btf__add_enum64(btf, tag(type), type->size, type->is_signed), err = 0;

	for (uint32_t i = 0; id > 0 && !err && i < type->nvalues; i++)
		err = btf__add_enum64_value(btf, type->values[i].name,
					    (uint64_t)type->values[i].value);
	return err ? err : id;
}

static int emit_enum(struct btf *btf, const struct lb_type *type)
{
	int id, err = 0;

	if (type->nvalues > MAX_VLEN)
		return -E2BIG;
	if (!is_plain_enum(type))
		return emit_wide_enum(btf, type);
	id = btf__add_enum(btf, tag(type), type->size);
	for (uint32_t i = 0; id > 0 && !err && i < type->nvalues; i++)
		err = btf__add_enum_value(btf, type->values[i].name, type->values[i].value);
	return err ? err : id;
}

/* The kernel wants floats in structs aligned. Source: kernel/bpf/btf.c, btf_float_check_member. */
static int emit_field_type(struct btf *btf, const struct lb_field *f)
{
	const struct lb_type *type = f->type;

	if (type->kind == LB_FLOAT && f->bit / 8 % type->size)
		return emit_typedef(btf, type->name, emit_raw(btf, type->size, 1));
	return emit_type(btf, type);
}

static int emit_fields(struct btf *btf, const struct lb_type *type, const int *ids)
{
	bool bitfields = false;
	int err = 0;

	for (uint32_t i = 0; i < type->nfields; i++)
		bitfields = bitfields || type->fields[i].bits;
	for (uint32_t i = 0; !err && i < type->nfields; i++) {
		const struct lb_field *f = &type->fields[i];

		if (bitfields && f->bit > MAX_BIT_OFFSET)
			return -E2BIG;
		err = btf__add_field(btf, f->name, ids[i], f->bit, (uint8_t)f->bits);
	}
	return err;
}

static int emit_record(struct btf *btf, const struct lb_type *type)
{
	int *ids = calloc(type->nfields + 1, sizeof(*ids)), id = 0, err = 0;

	if (!ids)
		return -ENOMEM;
	if (type->nfields > MAX_VLEN)
		err = -E2BIG;
	for (uint32_t i = 0; !err && i < type->nfields; i++) {
		ids[i] = emit_field_type(btf, &type->fields[i]);
		err = ids[i] < 0 ? ids[i] : 0;
	}
	if (!err) {
		id = type->kind == LB_UNION ? btf__add_union(btf, tag(type), type->size)
					    : btf__add_struct(btf, tag(type), type->size);
		err = id < 0 ? id : emit_fields(btf, type, ids);
	}
	free(ids);
	return err ? err : id;
}

static int emit_type(struct btf *btf, const struct lb_type *type)
{
	if (btf__type_cnt(btf) > MAX_TYPES)
		return -E2BIG;
	switch (type->kind) {
	case LB_INT:
		return emit_number(btf, type);
	case LB_BOOL:
		return emit_basic(btf, "_Bool", 1, BTF_INT_BOOL);
	case LB_FLOAT:
		return emit_float(btf, type->size);
	case LB_TEXT:
		return emit_text(btf, type);
	case LB_BYTES:
	case LB_IPV4:
	case LB_IPV6:
	case LB_IP:
	case LB_MAC:
		return emit_typedef(btf, lb_kind_name(type->kind),
				    emit_raw(btf, type->size, type->align));
	case LB_PREFIX4:
	case LB_PREFIX6:
		return emit_prefix(btf, type);
	case LB_ENUM:
		return emit_enum(btf, type);
	case LB_POINTER:
		return btf__add_ptr(btf, 0);
	case LB_SPECIAL:
		return emit_special(btf, type);
	case LB_ARRAY:
		return emit_array(btf, emit_type(btf, type->elem), type->n);
	case LB_STRUCT:
	case LB_UNION:
		return emit_record(btf, type);
	}
	return -EINVAL;
}

static int emit_root(struct btf *btf, const struct lb_type *type, uint32_t *id)
{
	int emitted = type ? emit_type(btf, type) : 0;

	*id = emitted > 0 ? (uint32_t)emitted : 0;
	return emitted < 0 ? emitted : 0;
}

/* A descriptor that outlives btf__free. */
static int load(struct btf *btf)
{
	int err = btf__load_into_kernel(btf);
	int fd = err ? err : fcntl(btf__fd(btf), F_DUPFD_CLOEXEC, 0);

	return fd < 0 && !err ? -errno : fd;
}

int lb_btf_load(const struct lb_type *key, const struct lb_type *value, uint32_t *key_id,
		uint32_t *value_id)
{
	struct btf *btf = btf__new_empty();
	int fd;

	if (!btf)
		return -errno;
	fd = emit_root(btf, key, key_id);
	if (!fd)
		fd = emit_root(btf, value, value_id);
	if (!fd)
		fd = load(btf);
	btf__free(btf);
	return fd;
}
