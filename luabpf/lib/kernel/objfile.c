/* SPDX-License-Identifier: MIT */
/*
 * Opening of object files. See objfile.h.
 *
 * The file is read into memory, so that what was checked is what libbpf gets. A float that is a
 * member at an offset which its size does not divide (a packed struct) makes the kernel refuse all
 * BTF of the object, and with it spin locks and functions that are called: its type is replaced by
 * a typedef of its name over bytes, which lib/layout/btf.c reads as a float.
 */
#include "lib/kernel/objfile.h"

#include "lib/kernel/elfcheck.h"
#include "lib/kernel/readfile.h"
#include "lib/layout/btf.h"

#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Older headers lack it. */
#ifndef EM_BPF
#define EM_BPF 247
#endif

/* Object files of clang have kilobytes. */
#define MAX_FILE (256u << 20)

/* Bytes of memory; data NULL: none. */
struct bytes {
	uint8_t *data;
	size_t size;
};

/* ---- reading ------------------------------------------------------------ */

static int refuse(struct lb_log *log, const char *reason)
{
	lb_log_reason(log, "%s", reason);
	return -ENOEXEC;
}

static int check_ident(const struct bytes *file, struct lb_log *log)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)file->data;

	if (file->size < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return refuse(log, "not an ELF file");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_machine != EM_BPF)
		return refuse(log, "an ELF file, but not of BPF programs "
				   "(compile with clang -target bpf)");
	if (h->e_type != ET_REL)
		return refuse(log, "not a relocatable object file");
	return 0;
}

static int read_open(int fd, struct bytes *file, struct lb_log *log)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	if (!S_ISREG(st.st_mode))
		return refuse(log, "not a regular file");
	if (st.st_size > MAX_FILE)
		return -EFBIG;
	file->data = malloc((size_t)st.st_size + 1);
	n = file->data ? lb_read_all(fd, file->data, (size_t)st.st_size) : -ENOMEM;
	file->size = n > 0 ? (size_t)n : 0;	/* one that has become shorter ends early */
	return n < 0 ? (int)n : 0;
}

/* The content of the file, if it may be an object; to be freed whatever comes back. */
static int read_file(const char *path, struct bytes *file, struct lb_log *log)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;

	if (fd < 0)
		return -errno;
	err = read_open(fd, file, log);
	close(fd);
	return err ? err : check_ident(file, log);
}

/* ---- floats that lie askew ------------------------------------------------ */

/* Source: kernel/bpf/btf.c, btf_float_check_member. */
static bool is_askew(const struct btf *btf, const struct btf_type *record, uint32_t i)
{
	uint32_t id = btf_members(record)[i].type;
	const struct btf_type *t = lb_btf_plain(btf, &id);
	uint32_t align = t && btf_is_float(t) ? t->size < 8 ? t->size : 8 : 0;

	return align && btf_member_bit_offset(record, i) % (align * 8) != 0;
}

/* The id of a typedef of the float's name over as many bytes, or -errno. */
static int bytes_like(struct btf *btf, const struct btf_type *t)
{
	const uint32_t size = t->size;
	const char *name = size == 4 ? "float" : size == 8 ? "double" : "bytes";
	int byte = btf__add_int(btf, "unsigned char", 1, 0);
	int id = byte < 0 ? byte : btf__add_array(btf, byte, byte, size);

	return id < 0 ? id : btf__add_typedef(btf, name, id);
}

/* Replaces the type of one member: 1, or -errno. The types move in memory. */
static int replace_member(struct btf *btf, uint32_t record, uint32_t i)
{
	const struct btf_type *t = btf__type_by_id(btf, record);
	uint32_t old = btf_members(t)[i].type;
	int id = bytes_like(btf, lb_btf_plain(btf, &old));
	struct btf_member *m;

	if (id < 0)
		return id;
	m = (struct btf_member *)(uintptr_t)(btf_members(btf__type_by_id(btf, record)) + i);
	m->type = (uint32_t)id;
	return 1;
}

static void warn_of(const struct btf *btf, const struct btf_type *t, uint32_t i,
		    struct lb_loaded *loaded)
{
	const char *record = btf__name_by_offset(btf, t->name_off);

	lb_loaded_warn(loaded, "the kernel refuses BTF with a float that is not aligned (%s.%s): it is "
		       "told of bytes there", *record ? record : "struct",
		       btf__name_by_offset(btf, btf_members(t)[i].name_off));
}

/* Names the members in warnings; how many were replaced, or -errno. */
static int replace_askew(struct btf *btf, struct lb_loaded *loaded)
{
	const uint32_t n = btf__type_cnt(btf);
	int replaced = 0, err = 0;

	for (uint32_t id = 1; id < n; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		for (uint32_t i = 0; btf_is_composite(t) && i < btf_vlen(t); i++) {
			if (!is_askew(btf, t, i))
				continue;
			warn_of(btf, t, i, loaded);
			err = replace_member(btf, id, i);
			if (err < 0)
				return err;
			replaced++;
			t = btf__type_by_id(btf, id);
		}
	}
	return replaced;
}

/* The file with other bytes for that section, behind all the rest. */
static int with_section(struct bytes *file, uint32_t section, const void *data, uint32_t size)
{
	size_t at = (file->size + 7) & ~(size_t)7;
	uint8_t *more = realloc(file->data, at + size);
	Elf64_Shdr *s;

	if (!more)
		return -ENOMEM;
	memset(more + file->size, 0, at - file->size);
	memcpy(more + at, data, size);
	*file = (struct bytes){ more, at + size };
	s = (Elf64_Shdr *)(more + ((Elf64_Ehdr *)more)->e_shoff) + section;
	s->sh_offset = at;
	s->sh_size = size;
	return 0;
}

static int mend_btf(struct bytes *file, const struct lb_elf *elf, struct lb_loaded *loaded)
{
	const uint32_t section = lb_elf_section(elf, ".BTF");
	const Elf64_Shdr *s = &elf->sections[section];
	const void *raw = NULL;
	struct btf *btf;
	uint32_t size;
	int err;

	if (!section)
		return 0;
	btf = btf__new(elf->data + s->sh_offset, (uint32_t)s->sh_size);
	if (!btf)
		return -errno;
	err = replace_askew(btf, loaded);
	if (err > 0)
		raw = btf__raw_data(btf, &size);
	if (err > 0)
		err = raw ? with_section(file, section, raw, size) : -ENOMEM;
	btf__free(btf);
	return err;
}

/* ---- opening ------------------------------------------------------------ */

/* As libbpf calls an object of that path. Source: bpf_object__new, libbpf.c. */
static void name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;

	snprintf(name, size, "%.*s", (int)strcspn(base, "."), base);
}

static int check(struct bytes *file, struct lb_loaded *loaded, struct lb_log *log)
{
	struct lb_elf elf;
	const char *wrong = lb_elf_check(&elf, file->data, file->size);
	int err = 0;

	if (!wrong)
		err = mend_btf(file, &elf, loaded);
	if (wrong || lb_libbpf_errno(err) == EINVAL) {
		lb_log_reason(log, "not a valid BPF object file (%s)", wrong ? wrong : ".BTF");
		return -EINVAL;
	}
	return err;
}

static int open_bytes(const struct bytes *file, const char *path, struct bpf_object **obj,
		      struct lb_log *log)
{
	LIBBPF_OPTS(bpf_object_open_opts, opts);
	char name[64];
	int err;

	name_of(path, name, sizeof(name));
	opts.object_name = name;
	*obj = bpf_object__open_mem(file->data, file->size, &opts);
	if (*obj)
		return 0;
	err = errno;
	if (err >= __LIBBPF_ERRNO__START)
		lb_log_reason(log, "not a valid BPF object file");
	return -lb_libbpf_errno(err);
}

int lb_object_open(const char *path, struct bpf_object **obj, struct lb_loaded *loaded,
		   struct lb_log *log)
{
	struct bytes file = { NULL, 0 };
	int err = read_file(path, &file, log);

	*loaded = (struct lb_loaded){ .there = 0 };
	if (!err)
		err = check(&file, loaded, log);
	if (!err)
		err = open_bytes(&file, path, obj, log);
	free(file.data);
	return err;
}
