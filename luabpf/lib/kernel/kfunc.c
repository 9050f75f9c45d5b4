/* SPDX-License-Identifier: MIT */
/*
 * Function ids. See kfunc.h.
 *
 * HOW IT WORKS. libbpf parses and checks all of the kernel's BTF, 5 MB in 75 ms,
 * for what takes a look at the names and a walk over the types. The file is
 * mapped where the kernel lets it (Linux 6.16), else it comes through one buffer,
 * whose windows move along with what is looked at.
 *
 * The format is that of Documentation/bpf/btf.rst: a header, types one after the
 * other, which are numbered from 1, and names.
 */
#include "lib/kernel/kfunc.h"

#include "lib/kernel/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUFFER (64 * 1024)

struct file {
	int fd;
	uint64_t size;
	const uint8_t *map;		/* all of the file, or NULL */
	uint8_t *buffer;		/* else: bytes [at, at + n) of it */
	uint64_t at;
	size_t n;
	int err;
};

static void close_file(struct file *f)
{
	if (f->map)
		munmap((void *)(uintptr_t)f->map, f->size);
	free(f->buffer);
	if (f->fd >= 0)
		close(f->fd);
}

static int open_file(struct file *f, const char *path, bool mapped)
{
	struct stat st;

	do
		f->fd = open(path, O_RDONLY | O_CLOEXEC);
	while (f->fd < 0 && errno == EINTR);
	if (f->fd < 0 || fstat(f->fd, &st))
		return -errno;
	f->size = (uint64_t)st.st_size;
	if (mapped && f->size) {
		void *p = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, f->fd, 0);

		f->map = p == MAP_FAILED ? NULL : p;
	}
	f->buffer = f->map ? NULL : malloc(BUFFER);
	return f->map || f->buffer ? 0 : -ENOMEM;
}

static void fill(struct file *f, uint64_t at)
{
	ssize_t n = lb_pread_all(f->fd, f->buffer, BUFFER, at);

	f->at = at;
	f->n = n > 0 ? (size_t)n : 0;
	if (n < 0)
		f->err = (int)n;
}

/*
 * The bytes of the file from at on, of which there are at least least (up to
 * BUFFER); *n is how many. NULL if the file is shorter or cannot be read. Valid
 * until the next call.
 */
static const uint8_t *window(struct file *f, uint64_t at, size_t least, size_t *n)
{
	if (at > f->size || f->size - at < least)
		return NULL;
	if (f->map) {
		*n = (size_t)(f->size - at);
		return f->map + at;
	}
	if (at < f->at || at + least > f->at + f->n)
		fill(f, at);
	*n = (size_t)(f->at + f->n - at);
	return *n < least || f->err ? NULL : f->buffer + (at - f->at);
}

/* Of the name in the names at [at, end), counted from at; 0: it is not there. */
static uint32_t find_name(struct file *f, uint64_t at, uint64_t end, const char *name)
{
	size_t length = strlen(name) + 1, n;
	uint64_t start = at;
	const uint8_t *p;

	/* Each name begins after the NUL of another; the first is empty. */
	while (at + 1 + length <= end && (p = window(f, at, 1 + length, &n))) {
		const uint8_t *first;

		if (n > end - at)
			n = (size_t)(end - at);
		first = memmem(p + 1, n - 1, name, length);
		while (first && first[-1]) {
			size_t past = (size_t)(first - p) + 1;

			first = memmem(p + past, n - past, name, length);
		}
		if (first)
			return (uint32_t)(at + (uint64_t)(first - p) - start);
		at += n - length;
	}
	return 0;
}

/* How many bytes follow the three words of a type; UINT32_MAX: not known. */
static uint32_t bytes_after(const struct btf_type *t)
{
	uint32_t n = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return n * 12;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return n * 8;
	default:
		return BTF_INFO_KIND(t->info) > BTF_KIND_ENUM64 ? UINT32_MAX : 0;
	}
}

/* Of the function of that name among the types at [at, end). */
static int32_t find_function(struct file *f, uint64_t at, uint64_t end, uint32_t name)
{
	struct btf_type t;
	const uint8_t *p;
	size_t n;

	for (int32_t id = 1; at + sizeof(t) <= end && id < INT32_MAX; id++) {
		uint32_t after;

		p = window(f, at, sizeof(t), &n);
		if (!p)
			break;
		memcpy(&t, p, sizeof(t));
		if (t.name_off == name && BTF_INFO_KIND(t.info) == BTF_KIND_FUNC)
			return id;
		after = bytes_after(&t);
		if (after == UINT32_MAX)
			break;
		at += sizeof(t) + after;
	}
	return 0;
}

static int32_t find(struct file *f, const char *name)
{
	struct btf_header h;
	uint64_t types, names;
	const uint8_t *p;
	uint32_t found;
	size_t n;

	p = window(f, 0, sizeof(h), &n);
	if (!p)
		return 0;
	memcpy(&h, p, sizeof(h));
	if (h.magic != BTF_MAGIC)
		return 0;
	types = (uint64_t)h.hdr_len + h.type_off;
	names = (uint64_t)h.hdr_len + h.str_off;
	found = find_name(f, names, names + h.str_len, name);
	return found ? find_function(f, types, types + h.type_len, found) : 0;
}

int32_t lb_kfunc_id_in(const char *path, const char *name, int mapped)
{
	struct file f = { .fd = -1 };
	int32_t id = open_file(&f, path, mapped);

	if (!id)
		id = find(&f, name);
	if (f.err)
		id = f.err;
	close_file(&f);
	return id;
}

int32_t lb_kfunc_id(const char *name)
{
	int32_t id = lb_kfunc_id_in("/sys/kernel/btf/vmlinux", name, true);

	return id == -ENOENT ? 0 : id;
}
