/* SPDX-License-Identifier: MIT */
/*
 * BTF to layout and back, on BTF that no compiler here makes: broken, cyclic,
 * old, newer than the clang at hand. What layouts of real objects look like is
 * in spec/layout/btf_spec.lua.
 *
 * A layout is compared in the form that write_type gives it, such as
 * "struct s 8/4 { u32 a @0; s32 b @32:3; }": size/alignment, offsets in bits.
 */
#include "check.h"

#include "lib/layout/btf.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <sys/resource.h>

/* ---- layouts as text ---------------------------------------------------- */

struct text {
	char s[2048];
	size_t n;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->s + t->n, sizeof(t->s) - t->n, fmt, ap);
	va_end(ap);
	if (n < 0 || t->n + (size_t)n >= sizeof(t->s))
		give_up("room for the text of a layout");
	t->n += (size_t)n;
}

static void write_type(struct text *t, const struct lb_type *type)
{
	if (type->kind == LB_ARRAY) {
		write_type(t, type->elem);
		add(t, "[%u]", type->n);
		return;
	}
	add(t, "%s", lb_kind_name(type->kind));
	if (strcmp(type->name, lb_kind_name(type->kind)) != 0)
		add(t, " %s", type->name);
	add(t, " %u/%u", type->size, type->align);
	for (uint32_t i = 0; i < type->nvalues; i++)
		add(t, "%s%s=%lld", i ? "," : type->is_signed ? " signed " : " ",
		    type->values[i].name, (long long)type->values[i].value);
	if (type->kind != LB_STRUCT && type->kind != LB_UNION)
		return;
	add(t, " {");
	for (uint32_t i = 0; i < type->nfields; i++) {
		const struct lb_field *f = &type->fields[i];

		add(t, " ");
		write_type(t, f->type);
		add(t, " %s@%u", f->name ? f->name : "", f->bit);
		if (f->bits)
			add(t, ":%u", f->bits);
		add(t, ";");
	}
	add(t, " }");
}

/* ---- checks ------------------------------------------------------------- */

static void reads_as(struct btf *btf, int id, const char *want, const char *what)
{
	struct lb_layout *layout = lb_btf_layout(btf, (uint32_t)id);
	struct text got = { .n = 0 };

	if (layout)
		write_type(&got, layout->root);
	else
		add(&got, "errno %d", errno);
	if (!check(strcmp(got.s, want) == 0, "%s", what))
		printf("# got  %s\n# want %s\n", got.s, want);
	lb_layout_free(layout);
}

static void is_refused(struct btf *btf, int id, int err, const char *what)
{
	struct lb_layout *layout = lb_btf_layout(btf, (uint32_t)id);

	check(!layout && errno == err, "%s is refused", what);
	lb_layout_free(layout);
}

/* Loads a layout of that type into the kernel and reads it from there. */
static void survives(struct btf *btf, int id, const char *what)
{
	struct lb_layout *layout = lb_btf_layout(btf, (uint32_t)id);
	struct bpf_btf_info info = { .id = 0 };
	uint32_t key, value, size = sizeof(info);
	struct text want = { .n = 0 };
	struct btf *loaded;
	int fd;

	if (!layout)
		give_up(what);
	write_type(&want, layout->root);
	fd = lb_btf_load(NULL, layout->root, &key, &value);
	lb_layout_free(layout);
	if (!check(fd >= 0 && key == 0, "%s loads", what))
		printf("# %s: %s\n", want.s, strerror(-fd));
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return;
	loaded = btf__load_from_kernel_by_id(info.id);
	reads_as(loaded, (int)value, want.s, "and comes back the same");
	btf__free(loaded);
	close(fd);
}

static struct btf *new_btf(void)
{
	struct btf *btf = btf__new_empty();

	if (!btf)
		give_up("BTF");
	return btf;
}

/* The type of that id, to be changed in ways that libbpf has no call for. */
static struct btf_type *open_type(struct btf *btf, int id)
{
	return (struct btf_type *)(uintptr_t)btf__type_by_id(btf, (uint32_t)id);
}

static int u8(struct btf *btf)
{
	return btf__add_int(btf, "unsigned char", 1, 0);
}

static int u32(struct btf *btf)
{
	return btf__add_int(btf, "unsigned int", 4, 0);
}

static int u64(struct btf *btf)
{
	return btf__add_int(btf, "unsigned long", 8, 0);
}

static int c_char(struct btf *btf)
{
	return btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
}

static int array(struct btf *btf, int elem, uint32_t n)
{
	return btf__add_array(btf, u32(btf), elem, n);
}

/* A struct with one field. Fields are those of the type that was added last. */
static int wrap(struct btf *btf, const char *name, uint32_t size, int type)
{
	int id = btf__add_struct(btf, name, size);

	btf__add_field(btf, "f", type, 0, 0);
	return id;
}

/* ---- what is what --------------------------------------------------------- */

static void numbers(void)
{
	struct btf *btf = new_btf();

	reads_as(btf, u8(btf), "int u8 1/1", "unsigned char");
	reads_as(btf, btf__add_int(btf, "signed char", 1, BTF_INT_SIGNED), "int s8 1/1",
		 "signed char");
	reads_as(btf, u64(btf), "int u64 8/8", "unsigned long");
	reads_as(btf, btf__add_int(btf, "long", 8, BTF_INT_SIGNED), "int s64 8/8", "long");
	reads_as(btf, btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL), "bool 1/1", "_Bool");
	reads_as(btf, btf__add_int(btf, "__int128", 16, BTF_INT_SIGNED), "bytes 16/8", "__int128");
	reads_as(btf, btf__add_float(btf, "float", 4), "float 4/4", "float");
	reads_as(btf, btf__add_float(btf, "double", 8), "float double 8/8", "double");
	reads_as(btf, btf__add_float(btf, "long double", 16), "bytes 16/8", "long double");
	reads_as(btf, btf__add_ptr(btf, 0), "pointer 8/8", "void *");
	reads_as(btf, btf__add_const(btf, btf__add_volatile(btf, btf__add_restrict(btf,
		 btf__add_typedef(btf, "size_t", u64(btf))))), "int u64 8/8",
		 "const, volatile, restrict and typedef are passed over");
	reads_as(btf, btf__add_var(btf, "v", BTF_VAR_STATIC, u32(btf)), "int u32 4/4",
		 "a variable is of its type");
	btf__free(btf);
}

static void texts(void)
{
	struct btf *btf = new_btf();

	reads_as(btf, c_char(btf), "text char 1/1", "char");
	reads_as(btf, array(btf, c_char(btf), 16), "text char 16/1", "char[16]");
	reads_as(btf, array(btf, array(btf, c_char(btf), 16), 2), "text char 16/1[2]",
		 "char[2][16]: two texts");
	reads_as(btf, array(btf, array(btf, c_char(btf), 1), 2), "text char 1/1[2]",
		 "char[2][1] too");
	reads_as(btf, array(btf, array(btf, c_char(btf), 0), 2), "text char 0/1[2]",
		 "char[2][0] too");
	reads_as(btf, array(btf, u8(btf), 16), "int u8 1/1[16]", "unsigned char[16]: numbers");
	reads_as(btf, array(btf, array(btf, u32(btf), 3), 2), "int u32 4/4[3][2]",
		 "u32[2][3]: two lists of three");
	btf__free(btf);
}

static void typedefs(void)
{
	static const struct { const char *name; uint32_t size; const char *want; } aliases[] = {
		{ "__be16", 2, "int be16 2/1" }, { "be32", 4, "int be32 4/1" },
		{ "__be64", 8, "int be64 8/1" }, { "ipv4", 4, "ipv4 4/1" },
		{ "ipv6", 16, "ipv6 16/1" }, { "ip", 16, "ip 16/1" }, { "mac", 6, "mac 6/1" },
		{ "prefix4", 8, "prefix4 8/1" }, { "prefix6", 20, "prefix6 20/1" },
		{ "bytes", 3, "bytes 3/1" }, { "s16", 2, "int s16 2/1" }, { "bool", 1, "bool 1/1" },
		{ "ip", 4, "int u8 1/1[4]" }, { "mac", 8, "int u8 1/1[8]" },
		{ "be32", 8, "int u8 1/1[8]" }, { "unknown", 4, "int u8 1/1[4]" },
	};
	struct btf *btf = new_btf();
	char what[64];

	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		int base = array(btf, u8(btf), aliases[i].size);

		snprintf(what, sizeof(what), "typedef %s of %u bytes", aliases[i].name,
			 aliases[i].size);
		reads_as(btf, btf__add_typedef(btf, aliases[i].name, base), aliases[i].want, what);
	}
	reads_as(btf, btf__add_typedef(btf, "__be32", u32(btf)), "int be32 4/4",
		 "__be32 of unsigned int has its alignment");
	reads_as(btf, btf__add_typedef(btf, "tuple", wrap(btf, NULL, 4, u32(btf))),
		 "struct tuple 4/4 { int u32 4/4 f@0; }",
		 "a struct without a tag has its typedef's name");
	reads_as(btf, btf__add_typedef(btf, "tuple_t", wrap(btf, "tuple", 4, u32(btf))),
		 "struct tuple 4/4 { int u32 4/4 f@0; }", "and with one its own");
	btf__free(btf);
}

static int an_enum(struct btf *btf, uint32_t size, int64_t value)
{
	int id = btf__add_enum(btf, "e", size);

	btf__add_enum_value(btf, "A", 1);
	btf__add_enum_value(btf, "B", value);
	return id;
}

static void enums(void)
{
	struct btf *btf = new_btf();
	int id = an_enum(btf, 4, -2);

	reads_as(btf, an_enum(btf, 1, 200), "enum e 1/1 A=1,B=200", "an enum of one byte");
	reads_as(btf, id, "enum e 4/4 signed A=1,B=-2", "a signed enum");
	open_type(btf, id)->info &= 0x7fffffff;
	reads_as(btf, id, "enum e 4/4 signed A=1,B=-2", "one that does not say so");
	id = btf__add_enum(btf, "e", 4);
	btf__add_enum_value(btf, "A", 0xffffffff);
	open_type(btf, id)->info |= 0x80000000;
	reads_as(btf, id, "enum e 4/4 signed A=-1", "one with a single value");
	id = btf__add_enum64(btf, "e", 8, false);
	btf__add_enum64_value(btf, "A", 1ull << 40);
	reads_as(btf, id, "enum e 8/8 A=1099511627776", "an enum of 64 bits");
	reads_as(btf, btf__add_enum(btf, "empty", 4), "enum empty 4/4", "an enum without values");
	btf__free(btf);
}

static void specials(void)
{
	static const char *const names[] = { "bpf_spin_lock", "bpf_timer", "bpf_list_head",
					     "bpf_rb_root", "bpf_refcount", "bpf_wq" };
	static const char *const tags[] = { "kptr", "kptr_untrusted", "percpu_kptr", "uptr" };
	struct btf *btf = new_btf();
	char want[64];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(want, sizeof(want), "special %s 16/8", names[i]);
		reads_as(btf, wrap(btf, names[i], 16, array(btf, u64(btf), 2)), want, names[i]);
	}
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		int tag = btf__add_type_tag(btf, "other", btf__add_type_tag(btf, tags[i],
					    wrap(btf, "task_struct", 4, u32(btf))));

		reads_as(btf, btf__add_ptr(btf, tag), "special kptr 8/8", tags[i]);
	}
	reads_as(btf, btf__add_ptr(btf, btf__add_type_tag(btf, "user", 0)), "pointer 8/8",
		 "a pointer with another tag is one");
	btf__free(btf);
}

/* ---- structs ------------------------------------------------------------------ */

static void structs(void)
{
	struct btf *btf = new_btf();
	int number = u32(btf), byte = u8(btf), none = array(btf, number, 0), inner, id;

	id = btf__add_struct(btf, "packed", 5);
	btf__add_field(btf, "a", byte, 0, 0);
	btf__add_field(btf, "b", number, 8, 0);
	reads_as(btf, id, "struct packed 5/1 { int u8 1/1 a@0; int u32 4/4 b@8; }",
		 "a struct with a member off its alignment is packed");
	id = btf__add_struct(btf, "packed", 5);
	btf__add_field(btf, "b", number, 0, 0);
	btf__add_field(btf, "a", byte, 32, 0);
	reads_as(btf, id, "struct packed 5/1 { int u32 4/4 b@0; int u8 1/1 a@32; }",
		 "and one of a size that is");
	inner = btf__add_union(btf, NULL, 4);
	btf__add_field(btf, "x", number, 0, 0);
	btf__add_field(btf, "y", byte, 0, 0);
	id = btf__add_struct(btf, "outer", 12);
	btf__add_field(btf, "a", byte, 0, 0);
	btf__add_field(btf, NULL, inner, 32, 0);
	btf__add_field(btf, "tail", none, 96, 0);
	reads_as(btf, id, "struct outer 12/4 { int u8 1/1 a@0; union 4/4 { int u32 4/4 x@0; "
		 "int u8 1/1 y@0; } @32; int u32 4/4[0] tail@96; }",
		 "anonymous members, and an array of no length at the end");
	btf__free(btf);
}

static void bitfields(void)
{
	struct btf *btf = new_btf();
	int number = u32(btf), be = btf__add_typedef(btf, "__be32", number);
	int narrow = btf__add_int(btf, "int", 4, BTF_INT_SIGNED), letter = c_char(btf), id;
	int old = btf__add_typedef(btf, "t", narrow);

	id = btf__add_struct(btf, "new", 4);
	btf__add_field(btf, "a", number, 0, 3);
	btf__add_field(btf, "b", be, 3, 20);
	btf__add_field(btf, "c", letter, 23, 2);
	reads_as(btf, id, "struct new 4/4 { int u32 4/4 a@0:3; int u32 4/4 b@3:20; "
		 "int s8 1/1 c@23:2; }", "bitfields are numbers of the machine's order");
	/* BTF_KIND_INT: encoding << 24, offset << 16, bits. */
	*(uint32_t *)(open_type(btf, narrow) + 1) = BTF_INT_SIGNED << 24 | 2 << 16 | 5;
	id = btf__add_struct(btf, "old", 4);
	btf__add_field(btf, "a", old, 8, 0);
	reads_as(btf, id, "struct old 4/4 { int s32 4/4 a@10:5; }",
		 "the old encoding: width and offset in the integer");
	reads_as(btf, narrow, "int s32 4/4", "which is an integer elsewhere");
	btf__free(btf);
}

static void globals(void)
{
	struct btf *btf = new_btf();
	int number = btf__add_var(btf, "n", BTF_VAR_GLOBAL_ALLOCATED, u32(btf));
	int text = btf__add_var(btf, "s", BTF_VAR_GLOBAL_ALLOCATED, array(btf, c_char(btf), 4));
	int id = btf__add_datasec(btf, ".bss", 12);

	btf__add_datasec_var_info(btf, number, 0, 4);
	btf__add_datasec_var_info(btf, text, 8, 4);
	reads_as(btf, id, "struct .bss 12/4 { int u32 4/4 n@0; text char 4/1 s@64; }",
		 "a section of globals is a struct of them");
	btf__free(btf);
}

/* ---- what is no layout --------------------------------------------------------- */

static void nothing_to_read(void)
{
	struct btf *btf = new_btf();

	u32(btf);
	is_refused(btf, 0, ENOTSUP, "void");
	is_refused(btf, 1000, EINVAL, "an id past the end");
	is_refused(btf, btf__add_func_proto(btf, 0), ENOTSUP, "a function");
	is_refused(btf, btf__add_fwd(btf, "f", BTF_FWD_STRUCT), ENOTSUP, "a forward declaration");
	is_refused(btf, wrap(btf, "s", 4, btf__add_fwd(btf, "f", BTF_FWD_STRUCT)), ENOTSUP,
		   "a struct with a member without a size");
	btf__free(btf);
}

static void broken(void)
{
	struct btf *btf = new_btf();
	int number = u32(btf), wide = btf__add_int(btf, "__int128", 16, 0);
	int list = array(btf, number, 1), id;

	is_refused(btf, wrap(btf, "s", 3, number), EINVAL, "a member longer than its struct");
	id = btf__add_struct(btf, "s", 4);
	btf__add_field(btf, "a", number, 8, 0);
	is_refused(btf, id, EINVAL, "a member past the end of its struct");
	id = btf__add_struct(btf, "s", 4);
	btf__add_field(btf, "a", number, 30, 3);
	is_refused(btf, id, EINVAL, "a bitfield past the end of its struct");
	id = btf__add_struct(btf, "s", 8);
	btf__add_field(btf, "a", number, 0, 33);
	is_refused(btf, id, EINVAL, "a bitfield wider than its type");
	id = btf__add_struct(btf, "s", 16);
	btf__add_field(btf, "a", wide, 0, 65);
	is_refused(btf, id, EINVAL, "a bitfield of more than 64 bits");
	id = btf__add_struct(btf, "s", 8);
	btf__add_field(btf, "a", list, 0, 3);
	is_refused(btf, id, EINVAL, "a bitfield of an array");
	is_refused(btf, array(btf, array(btf, number, 1u << 20), 1u << 12), E2BIG,
		   "an array of 16 GiB");
	id = an_enum(btf, 4, 1);
	open_type(btf, id)->size = 3;
	is_refused(btf, id, EINVAL, "an enum of 3 bytes");
	btf__free(btf);
}

static void circles(void)
{
	struct btf *btf = new_btf();
	int next = (int)btf__type_cnt(btf);

	is_refused(btf, wrap(btf, "s", 4, next), ELOOP, "a struct within itself");
	next = (int)btf__type_cnt(btf);
	is_refused(btf, btf__add_typedef(btf, "t", next), ELOOP, "a typedef of itself");
	next = (int)btf__type_cnt(btf);
	btf__add_const(btf, next + 1);
	is_refused(btf, btf__add_volatile(btf, next), ELOOP, "a circle of modifiers");
	next = (int)btf__type_cnt(btf);
	btf__add_struct(btf, "s", 8);
	btf__add_field(btf, "f", next + 1, 0, 3);
	is_refused(btf, btf__add_typedef(btf, "t", next + 1) - 1, EINVAL,
		   "a bitfield of a typedef of itself");
	next = (int)btf__type_cnt(btf);
	btf__add_ptr(btf, next + 1);
	btf__add_type_tag(btf, "tag", next + 1);
	reads_as(btf, next, "pointer 8/8", "a pointer to a tag of itself is a pointer");
	btf__free(btf);
}

/* Levels of struct within struct, each with two of the one below, without a byte in them. */
static int tower(struct btf *btf, const char *name, int levels)
{
	int id = btf__add_struct(btf, "s", 0);

	for (int i = 0; i < levels; i++) {
		int below = id;

		id = btf__add_struct(btf, "s", 0);
		btf__add_field(btf, name, below, 0, 0);
		btf__add_field(btf, name ? "other" : NULL, below, 0, 0);
	}
	return id;
}

static void towers(void)
{
	struct btf *btf = new_btf();
	struct lb_layout *layout;
	struct rusage usage;
	uint32_t key, value;
	int leaf = wrap(btf, "s", 0, array(btf, u32(btf), 0));
	int one = leaf;

	is_refused(btf, tower(btf, "f", 100), ELOOP, "nesting a hundred deep");
	for (int i = 0; i < 60; i++) {
		int below = one;

		one = btf__add_struct(btf, "s", 0);
		btf__add_field(btf, NULL, below, 0, 0);
		btf__add_field(btf, NULL, below, 0, 0);
	}
	is_refused(btf, one, E2BIG, "2^60 members");
	/* ru_maxrss is in KiB; all that came before counts too. */
	getrusage(RUSAGE_SELF, &usage);
	check(usage.ru_maxrss < 512 * 1024, "which takes no memory to speak of");
	layout = lb_btf_layout(btf, (uint32_t)tower(btf, "f", 50));
	check(layout != NULL, "2^50 nested structs of no size are read");
	check(layout && lb_btf_load(layout->root, NULL, &key, &value) == -E2BIG,
	      "and are too much to be written");
	lb_layout_free(layout);
	btf__free(btf);
}

/* ---- to the kernel and back ------------------------------------------------------- */

static void all_kinds(void)
{
	static const char *const names[] = { "__be16", "__be32", "__be64", "ipv4", "ipv6", "ip",
					     "mac", "bytes" };
	static const uint32_t sizes[] = { 2, 4, 8, 4, 16, 16, 6, 5 };
	struct btf *btf = new_btf();
	int lock = wrap(btf, "bpf_spin_lock", 4, u32(btf));

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		survives(btf, btf__add_typedef(btf, names[i], array(btf, u8(btf), sizes[i])),
			 names[i]);
	survives(btf, btf__add_typedef(btf, "__be32", u32(btf)), "__be32, aligned");
	survives(btf, btf__add_typedef(btf, "ipv6", array(btf, u32(btf), 4)), "ipv6, aligned");
	survives(btf, c_char(btf), "char");
	survives(btf, array(btf, c_char(btf), 7), "char[7]");
	survives(btf, array(btf, array(btf, c_char(btf), 7), 3), "char[3][7]");
	survives(btf, btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL), "bool");
	survives(btf, btf__add_float(btf, "double", 8), "double");
	survives(btf, btf__add_ptr(btf, 0), "pointer");
	survives(btf, wrap(btf, "with_lock", 4, lock), "bpf_spin_lock");
	survives(btf, an_enum(btf, 2, 300), "an enum of 2 bytes");
	survives(btf, an_enum(btf, 4, -2), "a signed enum");
	survives(btf, an_enum(btf, 4, 0xfffffffe), "an enum with a large value");
	btf__free(btf);
}

static void enums_that_say_more(void)
{
	struct btf *btf = new_btf();
	int id = btf__add_enum64(btf, "wide", 8, true);

	btf__add_enum64_value(btf, "A", 1ull << 40);
	survives(btf, id, "an enum of 64 bits");
	id = btf__add_enum64(btf, "large", 4, false);
	btf__add_enum64_value(btf, "A", 0xfffffffe);
	survives(btf, id, "an unsigned enum above 2^31");
	id = btf__add_enum64(btf, "small", 4, true);
	btf__add_enum64_value(btf, "A", 1);
	survives(btf, id, "a signed enum without a negative value");
	btf__free(btf);
}

static void all_structs(void)
{
	struct btf *btf = new_btf();
	int number = u32(btf), byte = u8(btf), f4 = btf__add_float(btf, "float", 4);
	int wide = u64(btf), grid = array(btf, array(btf, byte, 2), 3), inner, id;
	int name = array(btf, c_char(btf), 16), in = wrap(btf, NULL, 4, number);
	int flag = btf__add_int(btf, "_Bool", 1, BTF_INT_BOOL), e = an_enum(btf, 4, 3);
	int whole = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);

	inner = btf__add_union(btf, NULL, 8);
	btf__add_field(btf, "x", wide, 0, 0);
	btf__add_field(btf, "y", grid, 0, 0);
	id = btf__add_struct(btf, "all", 40);
	btf__add_field(btf, "a", number, 0, 3);
	btf__add_field(btf, "b", whole, 3, 7);
	btf__add_field(btf, "flag", flag, 16, 1);
	btf__add_field(btf, "e", e, 32, 2);
	btf__add_field(btf, NULL, inner, 64, 0);
	btf__add_field(btf, "name", name, 128, 0);
	btf__add_field(btf, "in", in, 256, 0);
	survives(btf, id, "a struct of everything");
	id = btf__add_struct(btf, "packed", 9);
	btf__add_field(btf, "a", byte, 0, 0);
	btf__add_field(btf, "f", f4, 8, 0);
	btf__add_field(btf, "n", number, 40, 0);
	survives(btf, id, "a packed struct with a float off its alignment");
	survives(btf, btf__add_struct(btf, "empty", 0), "a struct without members");
	survives(btf, btf__add_typedef(btf, "prefix4", wrap(btf, NULL, 8, array(btf, number, 2))),
		 "prefix4");
	btf__free(btf);
}

/* A name that the kernel does not take is left out, rather than the fields with it. */
static void odd_names(void)
{
	const struct lb_type number = { .kind = LB_INT, .size = 4, .align = 4, .name = "u32" };
	const struct lb_field field = { .name = "f", .type = &number };
	const struct lb_type type = { .kind = LB_STRUCT, .size = 4, .align = 4, .name = "a b-c",
				      .fields = &field, .nfields = 1 };
	uint32_t key, value;
	int fd = lb_btf_load(&type, &type, &key, &value);

	check(fd >= 0 && key > 0 && value > key, "a struct with a name that is none loads");
	close(fd);
}

/* A trie takes a prefix for its key with the BTF that is made for one. */
static void trie(void)
{
	const struct lb_type number = { .kind = LB_INT, .size = 4, .align = 4, .name = "u32" };
	const struct lb_type prefix = { .kind = LB_PREFIX6, .size = 20, .align = 4,
					.name = "prefix6" };
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int btf_fd = lb_btf_load(&prefix, &number, &opts.btf_key_type_id,
				 &opts.btf_value_type_id);
	int fd;

	opts.btf_fd = (uint32_t)btf_fd;
	fd = bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "engine_test", 20, 4, 10, &opts);
	check(btf_fd >= 0 && fd >= 0, "a trie takes prefix6 as its key");
	close(fd);
	close(btf_fd);
}

int main(void)
{
	libbpf_set_print(NULL);
	numbers();
	texts();
	typedefs();
	enums();
	specials();
	structs();
	bitfields();
	globals();
	nothing_to_read();
	broken();
	circles();
	towers();
	all_kinds();
	enums_that_say_more();
	all_structs();
	odd_names();
	trie();
	return done();
}
