/* SPDX-License-Identifier: MIT */
/*
 * Damaged object files, opened and loaded: none may crash the process.
 *
 *	fuzz_object FIRST COUNT FILE...	cases FIRST, FIRST + 1, ...: prints how many were
 *	refused by the check, by libbpf or the kernel, and loaded
 *	fuzz_object FIRST 0 SECONDS FILE...	as many as that takes
 *
 * A case is made of its number alone: one that crashes is named, and can be run again by itself.
 * Damage is done where files have tables rather than in debug information. Maps that damage made
 * large are not created.
 */
#include "lib/kernel/objfile.h"
#include "lib/layout/btf.h"
#include "lib/layout/datasec.h"

#include <bpf/btf.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAX_MAP (1u << 20)

struct file {
	uint8_t *data;
	size_t size;
};

static uint64_t state;
static volatile unsigned long long number;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(state >> 33) % n;
}

/* libbpf's calls come through here. */
__attribute__((visibility("default"))) long syscall(long call, ...)
{
	static long (*real)(long call, ...);
	long a[6];
	va_list ap;

	va_start(ap, call);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	if (call == __NR_bpf && a[0] == BPF_MAP_CREATE) {
		const union bpf_attr *attr = (const union bpf_attr *)(uintptr_t)a[1];
		uint64_t entry = (uint64_t)attr->key_size + attr->value_size + 64;

		if (entry > MAX_MAP || entry * attr->max_entries > MAX_MAP * 16) {
			errno = E2BIG;
			return -1;
		}
	}
	return real(call, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void crashed(int sig)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "case %llu: signal %d\n", number, sig);

	if (write(STDOUT_FILENO, text, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

/* ---- damage ------------------------------------------------------------- */

static uint32_t odd_number(void)
{
	static const uint32_t odd[] = {
		0, 1, 2, 3, 8, 24, 0x7f, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8,
		0xfffffffe, 0xffffffff,
	};

	return below(4) ? odd[below(sizeof(odd) / sizeof(odd[0]))] : below(1u << 31);
}

/* A place in a table of the file: its header, the headers of sections, one of these. */
static size_t place(const struct file *f)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)f->data;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(f->data + h->e_shoff), *s;
	const char *names = (const char *)f->data + sections[h->e_shstrndx].sh_offset;

	switch (below(8)) {
	case 0:
		return below(sizeof(*h));
	case 1:
		return h->e_shoff + below(h->e_shnum * (uint32_t)sizeof(*s));
	}
	for (int tries = 0; tries < 100; tries++) {
		s = &sections[below(h->e_shnum)];
		if (s->sh_type != SHT_NOBITS && s->sh_size && !strstr(names + s->sh_name, "debug"))
			return s->sh_offset + below((uint32_t)s->sh_size);
	}
	return below((uint32_t)f->size);
}

/* The file as it is, damaged in places which the undamaged one says. */
static void damage(const struct file *f, struct file *to)
{
	memcpy(to->data, f->data, f->size);
	to->size = f->size;
	for (uint32_t hits = 1 + below(4); hits > 0; hits--) {
		size_t at = place(f);
		uint32_t n = odd_number();

		switch (below(3)) {
		case 0:
			to->data[at] ^= (uint8_t)(1u << below(8));
			break;
		case 1:
			to->data[at] = (uint8_t)n;
			break;
		default:
			at &= ~(size_t)3;
			if (at + sizeof(n) <= f->size)
				memcpy(to->data + at, &n, sizeof(n));
		}
	}
	if (below(20) == 0)
		to->size = below((uint32_t)f->size);
}

/* ---- a case ------------------------------------------------------------- */

static void look_at(struct bpf_object *obj)
{
	struct lb_var v = { 0 };
	struct bpf_map *map;

	while (lb_var_next(obj, &v))
		lb_layout_free(lb_btf_layout(bpf_object__btf(obj), v.type_id));
	bpf_object__for_each_map(map, obj) {
		const struct btf *btf = bpf_object__btf(obj);
		uint32_t ids[] = { bpf_map__btf_key_type_id(map), bpf_map__btf_value_type_id(map) };

		for (int i = 0; btf && i < 2; i++)
			if (ids[i])
				lb_layout_free(lb_btf_layout(btf, ids[i]));
	}
}

enum { BY_CHECK, BY_LIBBPF, BY_KERNEL, LOADED, OUTCOMES };

static int try_file(const char *path)
{
	struct bpf_object *obj = NULL;
	struct lb_loaded loaded;
	struct lb_log log;
	int err, how = LOADED;

	lb_log_begin(&log);
	err = lb_object_open(path, &obj, &loaded, &log);
	if (err) {
		how = strchr(log.reason, '(') || err == -ENOEXEC ? BY_CHECK : BY_LIBBPF;
	} else {
		look_at(obj);
		how = lb_object_load(obj, &loaded, &log) ? BY_KERNEL : LOADED;
		look_at(obj);
	}
	lb_log_end(&log);
	bpf_object__close(obj);
	return how;
}

static int run_case(const struct file *f, struct file *room, int fd, const char *path)
{
	damage(f, room);
	if (ftruncate(fd, 0) < 0 || pwrite(fd, room->data, room->size, 0) != (ssize_t)room->size) {
		perror(path);
		exit(2);
	}
	return try_file(path);
}

/* ---- the program -------------------------------------------------------- */

static struct file read_whole(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size = fd < 0 ? -1 : lseek(fd, 0, SEEK_END);
	struct file f = { size > 0 ? malloc((size_t)size) : NULL, (size_t)size };

	if (!f.data || pread(fd, f.data, f.size, 0) != size) {
		perror(path);
		exit(2);
	}
	close(fd);
	return f;
}

static void watch_signals(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], crashed);
}

int main(int argc, char **argv)
{
	unsigned long long first = argc > 3 ? strtoull(argv[1], NULL, 10) : 0, count;
	int fd = memfd_create("object", MFD_CLOEXEC), outcomes[OUTCOMES] = { 0 }, files;
	struct file f[16], room = { NULL, 0 };
	char path[40];
	time_t end;

	if (argc < 4 || fd < 0)
		return 2;
	count = strtoull(argv[2], NULL, 10);
	end = count ? 0 : time(NULL) + atoi(argv[3]);
	for (files = 0; files < 16 && files + 3 + !count < argc; files++) {
		f[files] = read_whole(argv[files + 3 + !count]);
		room.size = f[files].size > room.size ? f[files].size : room.size;
	}
	room.data = malloc(room.size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	watch_signals();
	for (number = first; count ? number < first + count : time(NULL) < end; number++) {
		state = number * 0x9e3779b97f4a7c15ULL;
		alarm(60);
		outcomes[run_case(&f[below((uint32_t)files)], &room, fd, path)]++;
	}
	printf("%llu cases: %d refused by the check, %d by libbpf, %d by the kernel, %d loaded\n",
	       number - first, outcomes[BY_CHECK], outcomes[BY_LIBBPF], outcomes[BY_KERNEL],
	       outcomes[LOADED]);
	while (files > 0)
		free(f[--files].data);
	free(room.data);
	return 0;
}
