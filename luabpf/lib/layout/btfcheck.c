/* SPDX-License-Identifier: MIT */
/*
 * Checking of BTF. See btfcheck.h.
 *
 * libbpf follows ids and offsets of BTF without looking, and chains of types without an end. A
 * first pass finds where each type begins, a second one follows what they refer to. The format is
 * that of Documentation/bpf/btf.rst.
 */
#include "lib/layout/btfcheck.h"

#include <bpf/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Types that are one another under another name. The kernel allows 32 (MAX_RESOLVE_DEPTH). */
#define MAX_CHAIN 64u

struct types {
	const uint8_t *data;
	uint32_t len;
	uint32_t str_len;
	uint32_t *at;			/* where the type of each id begins */
	uint32_t n;			/* the highest id */
};

static const char damaged_header[] = ".BTF: a damaged header";

/* Whether len bytes from off lie within size. */
static bool within(uint32_t off, uint32_t len, size_t size)
{
	return (uint64_t)off + len <= size;
}

/* ---- where types begin -------------------------------------------------- */

/* Bytes behind the common ones of a type; -1 for a kind that there is not. */
static int64_t more_bytes(const struct btf_type *t)
{
	static const struct {
		uint8_t fixed, each;	/* each: for as many as btf_vlen says */
	} sizes[] = {
		[BTF_KIND_INT] = { 4, 0 }, [BTF_KIND_PTR] = { 0, 0 },
		[BTF_KIND_ARRAY] = { sizeof(struct btf_array), 0 },
		[BTF_KIND_STRUCT] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_UNION] = { 0, sizeof(struct btf_member) },
		[BTF_KIND_ENUM] = { 0, sizeof(struct btf_enum) },
		[BTF_KIND_FUNC_PROTO] = { 0, sizeof(struct btf_param) },
		[BTF_KIND_VAR] = { sizeof(struct btf_var), 0 },
		[BTF_KIND_DATASEC] = { 0, sizeof(struct btf_var_secinfo) },
		[BTF_KIND_DECL_TAG] = { sizeof(struct btf_decl_tag), 0 },
		[BTF_KIND_ENUM64] = { 0, sizeof(struct btf_enum64) },
	};
	uint32_t kind = btf_kind(t);

	if (kind == BTF_KIND_UNKN || kind >= sizeof(sizes) / sizeof(sizes[0]))
		return -1;
	return sizes[kind].fixed + (int64_t)sizes[kind].each * btf_vlen(t);
}

static const struct btf_type *type_at(const struct types *s, uint32_t id)
{
	return (const struct btf_type *)(s->data + s->at[id]);
}

/* Fills s->at, which has room for as many types as the bytes may hold. */
static const char *find_types(struct types *s)
{
	uint32_t off = 0;

	while (off < s->len) {
		const struct btf_type *t = (const struct btf_type *)(s->data + off);
		int64_t more;

		if (s->len - off < sizeof(*t))
			return ".BTF: its types end in the middle of one";
		more = more_bytes(t);
		if (more < 0)
			return ".BTF: a type of a kind that there is not";
		if (sizeof(*t) + (uint64_t)more > s->len - off)
			return ".BTF: its types end in the middle of one";
		s->at[++s->n] = off;
		off += (uint32_t)(sizeof(*t) + (uint64_t)more);
	}
	return NULL;
}

/* ---- what types refer to ------------------------------------------------ */

static bool is_type(const struct types *s, uint32_t id)
{
	return id <= s->n;
}

static bool is_name(const struct types *s, uint32_t offset)
{
	return offset < s->str_len;
}

static bool is_kind(const struct types *s, uint32_t id, uint32_t kind)
{
	return id > 0 && id <= s->n && btf_kind(type_at(s, id)) == kind;
}

static bool members_fit(const struct types *s, const struct btf_type *t)
{
	const struct btf_member *m = btf_members(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (!is_type(s, m[i].type) || !is_name(s, m[i].name_off))
			return false;
	return true;
}

static bool values_fit(const struct types *s, const struct btf_type *t)
{
	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (!is_name(s, btf_is_enum64(t) ? btf_enum64(t)[i].name_off
						 : btf_enum(t)[i].name_off))
			return false;
	return true;
}

static bool params_fit(const struct types *s, const struct btf_type *t)
{
	const struct btf_param *p = btf_params(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++)
		if (!is_type(s, p[i].type) || !is_name(s, p[i].name_off))
			return false;
	return is_type(s, t->type);
}

/* clang leaves offsets and sizes of variables to whoever reads the file: zero. */
static bool variables_fit(const struct types *s, const struct btf_type *t)
{
	const struct btf_var_secinfo *v = btf_var_secinfos(t);

	for (uint32_t i = 0; i < btf_vlen(t); i++) {
		if (!is_kind(s, v[i].type, BTF_KIND_VAR) && !is_kind(s, v[i].type, BTF_KIND_FUNC))
			return false;
		if (t->size && !within(v[i].offset, v[i].size, t->size))
			return false;
	}
	return true;
}

static bool fits(const struct types *s, const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_ARRAY:
		return is_type(s, btf_array(t)->type) && is_type(s, btf_array(t)->index_type);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return members_fit(s, t);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return values_fit(s, t);
	case BTF_KIND_FUNC_PROTO:
		return params_fit(s, t);
	case BTF_KIND_DATASEC:
		return variables_fit(s, t);
	case BTF_KIND_FUNC:
		return is_kind(s, t->type, BTF_KIND_FUNC_PROTO);
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
	case BTF_KIND_FWD:
		return true;
	default:
		return is_type(s, t->type);
	}
}

/* The type that a type is, or is made of one of; 0 at the end. */
static uint32_t behind(const struct btf_type *t)
{
	switch (btf_kind(t)) {
	case BTF_KIND_ARRAY:
		return btf_array(t)->type;
	case BTF_KIND_PTR:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
	case BTF_KIND_TYPE_TAG:
		return t->type;
	default:
		return 0;
	}
}

static bool ends(const struct types *s, uint32_t id)
{
	for (uint32_t i = 0; i < MAX_CHAIN; i++) {
		if (id == 0)
			return true;
		id = behind(type_at(s, id));
	}
	return false;
}

static const char *check_types(const struct types *s)
{
	for (uint32_t id = 1; id <= s->n; id++)
		if (!is_name(s, type_at(s, id)->name_off) || !fits(s, type_at(s, id)))
			return ".BTF: a type refers to what there is not";
	for (uint32_t id = 1; id <= s->n; id++)
		if (!ends(s, id))
			return ".BTF: a type that is made of itself";
	return NULL;
}

/* ---- the sections ------------------------------------------------------- */

/* What libbpf looks at itself is left to it: order and holes. */
static bool header_fits(const struct btf_header *h, size_t size)
{
	size_t room;

	if (size < sizeof(*h) || h->magic != BTF_MAGIC || h->version != BTF_VERSION ||
	    h->hdr_len < sizeof(*h) || h->hdr_len > size || h->hdr_len % 4 || size > UINT32_MAX)
		return false;
	room = size - h->hdr_len;
	return within(h->type_off, h->type_len, room) && within(h->str_off, h->str_len, room) &&
	       h->type_off % 4 == 0;
}

const char *lb_btf_check(const void *data, size_t size, struct lb_btfcheck *found)
{
	const struct btf_header *h = data;
	const uint8_t *body, *strings;
	struct types s = { .n = 0 };
	const char *wrong;

	*found = (struct lb_btfcheck){ 0, 0 };
	if (!header_fits(h, size))
		return damaged_header;
	body = (const uint8_t *)data + h->hdr_len;
	strings = body + h->str_off;
	if (h->str_len == 0 || strings[0] || strings[h->str_len - 1])
		return ".BTF: its strings do not begin and end with a zero byte";
	s.data = body + h->type_off;
	s.len = h->type_len;
	s.str_len = h->str_len;
	s.at = calloc(s.len / sizeof(struct btf_type) + 1, sizeof(*s.at));
	if (!s.at)
		return "out of memory";
	wrong = find_types(&s);
	if (!wrong)
		wrong = check_types(&s);
	free(s.at);
	*found = (struct lb_btfcheck){ s.n, s.str_len };
	return wrong;
}

/* ---- .BTF.ext ----------------------------------------------------------- */

/* What a record of a part refers to. */
enum part { FUNC_INFO, LINE_INFO, RELOCATIONS };

/* Source: linux/bpf.h, struct bpf_func_info, bpf_line_info, bpf_core_relo. */
static const uint32_t least_bytes[] = {
	[FUNC_INFO] = 8, [LINE_INFO] = 16, [RELOCATIONS] = 16,
};

static bool record_fits(enum part part, const uint32_t *words, const struct lb_btfcheck *btf)
{
	switch (part) {
	case FUNC_INFO:
		return words[1] <= btf->ntypes;
	case LINE_INFO:
		return words[1] < btf->str_len && words[2] < btf->str_len;
	case RELOCATIONS:
		return words[1] <= btf->ntypes && words[2] < btf->str_len;
	}
	return false;
}

/* The records of one section of programs; the bytes that they take, 0 if they do not fit. */
static size_t check_section(enum part part, const uint8_t *p, size_t left, uint32_t each,
			    const struct lb_btfcheck *btf)
{
	const uint32_t *head = (const uint32_t *)p;	/* the section's name, and how many */
	uint64_t bytes;

	if (left < 8 || head[1] == 0 || head[0] >= btf->str_len)
		return 0;
	bytes = 8 + (uint64_t)each * head[1];
	if (bytes > left)
		return 0;
	for (uint64_t at = 8; at < bytes; at += each)
		if (!record_fits(part, (const uint32_t *)(p + at), btf))
			return 0;
	return bytes;
}

/* One part of the section, len bytes: the size of its records, and these by section. */
static bool part_fits(enum part part, const uint8_t *p, uint32_t len, const struct lb_btfcheck *btf)
{
	uint32_t each;
	size_t used;

	if (len == 0)
		return true;
	if (len < sizeof(each))
		return false;
	memcpy(&each, p, sizeof(each));
	if (each < least_bytes[part] || each % 4)
		return false;
	for (size_t at = sizeof(each); at < len; at += used) {
		used = check_section(part, p + at, len - at, each, btf);
		if (used == 0)
			return false;
	}
	return true;
}

/* The header up to where relocations were added to it, and with them. */
struct ext_header {
	uint16_t magic;
	uint8_t version, flags;
	uint32_t hdr_len;
	struct {
		uint32_t off, len;
	} parts[3];
};

const char *lb_btfext_check(const void *data, size_t size, const struct lb_btfcheck *btf)
{
	const uint32_t old = offsetof(struct ext_header, parts[RELOCATIONS]);
	const struct ext_header *given = data;
	struct ext_header h = { 0 };

	if (size < old || given->magic != BTF_MAGIC || given->version != BTF_VERSION ||
	    given->hdr_len < old || given->hdr_len > size || given->hdr_len % 4)
		return ".BTF.ext: a damaged header";
	memcpy(&h, data, given->hdr_len < sizeof(h) ? given->hdr_len : sizeof(h));
	if (h.hdr_len < sizeof(h))
		h.parts[RELOCATIONS].len = 0;
	for (int i = FUNC_INFO; i <= RELOCATIONS; i++) {
		const uint8_t *body = (const uint8_t *)data + h.hdr_len;

		if (!within(h.parts[i].off, h.parts[i].len, size - h.hdr_len) ||
		    h.parts[i].off % 4 ||
		    !part_fits((enum part)i, body + h.parts[i].off, h.parts[i].len, btf))
			return ".BTF.ext: a record refers to what there is not";
	}
	return NULL;
}
