/* SPDX-License-Identifier: MIT */
/*
 * Loading of objects. libbpf does the work; this file finds out beforehand
 * what libbpf would report as a bare EINVAL, and afterwards why the kernel
 * refused, and what it took only in part. See loader.h.
 */
#include "lib/kernel/loader.h"

#include "lib/kernel/kmap.h"
#include "lib/kernel/momentary.h"
#include "lib/kernel/privilege.h"
#include "lib/kernel/signals.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

int lb_libbpf_errno(int err)
{
	err = err < 0 ? -err : err;
	return err >= __LIBBPF_ERRNO__START ? EINVAL : err;
}

/* ---- maps ------------------------------------------------------------- */

int lb_object_set_type(struct bpf_map *map, const struct lb_maptype *type, struct lb_log *log)
{
	bool no_prealloc = bpf_map__map_flags(map) & BPF_F_NO_PREALLOC;

	if (no_prealloc && type->can & LB_EVICTS) {
		lb_log_reason(log, "%s maps cannot have the flag no_prealloc, which the object sets",
			      type->name);
		return -EINVAL;
	}
	if (!no_prealloc && type->can & LB_NEEDS_NO_PREALLOC) {
		lb_log_reason(log, "%s maps need the flag no_prealloc, which the object does not set",
			      type->name);
		return -EINVAL;
	}
	return bpf_map__set_type(map, (enum bpf_map_type)type->id) < 0 ? -errno : 0;
}

/* A list of differences, "max_entries is 10, not 20; ..." */
struct differences {
	char text[384];
	size_t len;
};

static void differ(struct differences *d, const char *what, const char *has, const char *wanted)
{
	if (d->len < sizeof(d->text))
		d->len += (size_t)snprintf(d->text + d->len, sizeof(d->text) - d->len,
					   "%s%s is %s, not %s", d->len ? "; " : "", what, has,
					   wanted);
}

static void compare(struct differences *d, const char *what, uint32_t has, uint32_t wanted)
{
	char a[16], b[16];

	if (has == wanted)
		return;
	snprintf(a, sizeof(a), "%u", has);
	snprintf(b, sizeof(b), "%u", wanted);
	differ(d, what, a, b);
}

/* The same conditions as map_is_reuse_compat of libbpf. */
static int check_same(const struct bpf_map *map, const struct lb_mapinfo *has, struct lb_log *log)
{
	struct differences d = { .len = 0 };

	if (has->type != (uint32_t)bpf_map__type(map))
		differ(&d, "type", lb_maptype(has->type)->name,
		       lb_maptype((uint32_t)bpf_map__type(map))->name);
	compare(&d, "key_size", has->key_size, bpf_map__key_size(map));
	compare(&d, "value_size", has->value_size, bpf_map__value_size(map));
	compare(&d, "max_entries", has->max_entries, bpf_map__max_entries(map));
	compare(&d, "map_flags", has->map_flags, bpf_map__map_flags(map));
	if (!d.len)
		return 0;
	lb_log_reason(log, "maps.%s: the map pinned at %s does not fit: its %s",
		      bpf_map__name(map), bpf_map__pin_path(map), d.text);
	return -EINVAL;
}

/* 1: what is pinned there is the same; 0: nothing is. */
static int check_pin(const struct bpf_map *map, struct lb_log *log)
{
	const char *path = bpf_map__pin_path(map);
	struct lb_mapinfo info;
	int fd, err;

	if (!path || access(path, F_OK) != 0)
		return 0;
	fd = lb_pin_open(path, LB_FD_MAP, false, log);
	if (fd < 0)
		return fd;
	err = lb_kmap_info(fd, &info);
	close(fd);
	if (!err)
		err = check_same(map, &info, log);
	return err ? err : 1;
}

/* ---- loading ---------------------------------------------------------- */

const char *lb_progtype_name(enum bpf_prog_type type, char *buf, size_t size)
{
	const char *name = libbpf_bpf_prog_type_str(type);

	if (name)
		return name;
	snprintf(buf, size, "type %d", (int)type);
	return buf;
}

/* Names a program whose type this kernel does not have. */
static bool lacks_type(struct bpf_object *obj, struct lb_log *log)
{
	struct bpf_program *p;
	char buf[24];

	bpf_object__for_each_program(p, obj) {
		enum bpf_prog_type type = bpf_program__type(p);

		if (!bpf_program__autoload(p) || libbpf_probe_bpf_prog_type(type, NULL) != 0)
			continue;
		lb_log_reason(log, "program %s: this kernel has no programs of type %s",
			      bpf_program__name(p), lb_progtype_name(type, buf, sizeof(buf)));
		return true;
	}
	return false;
}

/* Names the program that the verifier refused, as libbpf's log does at its end. */
static void name_refused(int err, bool has_btf, struct lb_log *log)
{
	static const char begin[] = "prog '", end[] = "': failed to load";
	char *name = NULL, *p, *stop, buf[128];

	for (p = log->text; (p = strstr(p, begin)) != NULL; p += sizeof(begin) - 1)
		name = p + sizeof(begin) - 1;
	stop = name ? strstr(name, end) : NULL;
	if (stop)
		lb_log_reason(log, "the kernel refuses program %.*s: %s%s", (int)(stop - name), name,
			      lb_strerror(err, buf, sizeof(buf)),
			      has_btf ? "" : " (and the object's BTF, which programs with spin "
					     "locks and functions that are called need)");
}

static void explain(struct bpf_object *obj, int err, struct lb_log *log)
{
	const unsigned int wanted = LB_CAP_BPF | LB_CAP_PERFMON | LB_CAP_NET_ADMIN;
	char why[LB_WHY], text[128];

	if (log->reason[0])
		return;
	/* Without CAP_BPF the kernel has not looked at anything yet: libbpf's advice is of memory. */
	if (err == EPERM && lb_why_refused(LB_CAP_BPF, why, sizeof(why)))
		lb_log_clear(log);
	if ((err == EPERM || err == EACCES) && lb_why_refused(wanted, why, sizeof(why)))
		lb_log_reason(log, "%s (%s)", lb_strerror(err, text, sizeof(text)), why);
	else if (err != EINVAL || !lacks_type(obj, log))
		name_refused(err, !bpf_object__btf(obj) || bpf_object__btf_fd(obj) >= 0, log);
}

/* Descriptors that libbpf has open at once, beside those of maps and programs. */
#define SPARE_DESCRIPTORS 16
#define MAX_DESCRIPTORS 256

/* 0 if so many descriptors can be had, else -errno. */
static int have_descriptors(int n)
{
	int fds[MAX_DESCRIPTORS], got = 0, err = 0;

	for (; got < n && got < MAX_DESCRIPTORS && !err; got += !err) {
		fds[got] = got ? fcntl(fds[0], F_DUPFD_CLOEXEC, 0)
			       : open("/", O_PATH | O_CLOEXEC);
		err = fds[got] < 0 ? -errno : 0;
	}
	while (got > 0)
		close(fds[--got]);
	return err;
}

/*
 * What libbpf finds out of the kernel it keeps for good, also what it could not find out for
 * want of a descriptor: then it would load nothing any more.
 */
static int check_descriptors(const struct bpf_object *obj)
{
	int n = SPARE_DESCRIPTORS;
	struct bpf_program *p;
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		n++;
	bpf_object__for_each_program(p, obj)
		n++;
	return have_descriptors(n);
}

/* ---- what was not taken -------------------------------------------------- */

void lb_loaded_warn(struct lb_loaded *loaded, const char *fmt, ...)
{
	const size_t size = sizeof(loaded->warnings);
	size_t len = strlen(loaded->warnings);
	va_list ap;

	if (len && len + 1 < size)
		len += (size_t)snprintf(loaded->warnings + len, size - len, "\n");
	va_start(ap, fmt);
	vsnprintf(loaded->warnings + len, size - len, fmt, ap);
	va_end(ap);
}

/* What libbpf calls an errno in a line, "-12" or "-ENOMEM", if the refusal is one for a moment. */
static int momentary_in(const char *line)
{
	size_t len = strcspn(line, "\n");
	const char *minus = memchr(line, '-', len);

	for (int err = 1; minus && err <= EHWPOISON; err++) {
		const char *name = lb_momentary(-err) ? strerrorname_np(err) : NULL;

		if (name && (atoi(minus) == -err || strncmp(minus + 1, name, strlen(name)) == 0))
			return err;
	}
	return 0;
}

/* The last line of the kernel's log of BTF, which has the reason; "" if it said nothing. */
static void btf_reason(const struct lb_log *log, char *buf, size_t size)
{
	const char *end = strstr(log->text, "-- END BTF LOAD LOG"), *start;

	buf[0] = '\0';
	while (end && end > log->text && (end[-1] == '\n' || end[-1] == ' '))
		end--;
	if (!end)
		return;
	for (start = end; start > log->text && start[-1] != '\n' && start[-1] != '\t';)
		start--;
	snprintf(buf, size, ": %.*s", (int)(end - start), start);
}

/* Whether the kernel has no BTF of the object: 0 with a warning, -errno if for a moment only. */
static int without_btf(const struct bpf_object *obj, struct lb_loaded *loaded,
		       const struct lb_log *log)
{
	const char *said = strstr(log->text, "Error loading .BTF into kernel");
	int moment = said ? momentary_in(said) : 0;
	char reason[256];

	if (!bpf_object__btf(obj) || bpf_object__btf_fd(obj) >= 0)
		return 0;
	if (moment)
		return -moment;
	btf_reason(log, reason, sizeof(reason));
	lb_loaded_warn(loaded, "the kernel refuses the object's BTF%s: its maps are known to "
		       "this process alone, spin locks and functions that are called do not work",
		       reason);
	return 0;
}

/* The same of a map that was created without the BTF that it has in the object. */
static int map_without_btf(const struct bpf_map *map, struct lb_loaded *loaded,
			   const struct lb_log *log)
{
	char begin[96];
	const char *said;
	int moment;

	snprintf(begin, sizeof(begin), "bpf_create_map_xattr(%s)", bpf_map__name(map));
	said = strstr(log->text, begin);
	if (!said)
		return 0;
	moment = momentary_in(said);
	if (moment)
		return -moment;
	lb_loaded_warn(loaded, "maps.%s: the kernel takes it without BTF only",
		       bpf_map__name(map));
	return 0;
}

/* What libbpf went on without, after it has loaded the object. */
static int check_btf(const struct bpf_object *obj, struct lb_loaded *loaded,
		     const struct lb_log *log)
{
	int err = without_btf(obj, loaded, log);
	struct bpf_map *map;

	bpf_object__for_each_map(map, obj)
		if (!err)
			err = map_without_btf(map, loaded, log);
	return err;
}

/* ---- loading an object ---------------------------------------------------- */

/* Not by libbpf, which would want memory for it, and leaves them where it gets none. */
void lb_object_unpin(struct bpf_object *obj, const struct lb_loaded *loaded)
{
	struct bpf_map *map;
	int i = 0;

	bpf_object__for_each_map(map, obj) {
		if (i < LB_PINS_KNOWN && !(loaded->there >> i & 1) && bpf_map__is_pinned(map))
			unlink(bpf_map__pin_path(map));
		i++;
	}
}

/* Looks at what is pinned where the object's maps are to be. */
static int check_pins(const struct bpf_object *obj, struct lb_loaded *loaded, struct lb_log *log)
{
	struct bpf_map *map;
	int i = 0;

	bpf_object__for_each_map(map, obj) {
		int there = check_pin(map, log);

		if (there < 0)
			return there;
		if (there && i < LB_PINS_KNOWN)
			loaded->there |= UINT64_C(1) << i;
		i++;
	}
	return 0;
}

int lb_object_load(struct bpf_object *obj, struct lb_loaded *loaded, struct lb_log *log)
{
	sigset_t before;
	int err = check_descriptors(obj), moment;

	if (!err)
		err = check_pins(obj, loaded, log);
	if (err)
		return err;
	lb_signals_hold(&before);
	err = lb_libbpf_errno(bpf_object__load(obj));
	lb_signals_release(&before);
	/* Programs that need BTF are refused when it was not taken, whatever for. */
	moment = check_btf(obj, loaded, log);
	if (err || moment)
		lb_object_unpin(obj, loaded);
	if (err && !moment)
		explain(obj, err, log);
	return moment ? moment : -err;
}

/* ---- descriptors ------------------------------------------------------ */

enum lb_fdkind lb_fdkind(int fd)
{
	static const struct {
		const char *target;
		enum lb_fdkind kind;
	} kinds[] = {
		{ "anon_inode:bpf-map", LB_FD_MAP },
		{ "anon_inode:bpf-prog", LB_FD_PROGRAM },
		{ "anon_inode:bpf_link", LB_FD_LINK },	/* made by attaching */
		{ "anon_inode:bpf-link", LB_FD_LINK },	/* opened from a pin */
	};
	char path[40], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(target, kinds[i].target) == 0)
			return kinds[i].kind;
	return LB_FD_OTHER;
}

/*
 * Whether the folder that path lies in is one of a BPF file system; where it is not, the reason
 * says what it is. An unmounted /sys/fs/bpf is a folder that nothing can be in: ENOENT.
 */
static bool in_bpffs(const char *path, const char *before, struct lb_log *log)
{
	const char *slash = strrchr(path, '/');
	char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	struct statfs fs;
	int err = !folder || statfs(folder, &fs) < 0 ? errno : 0;

	if (!err && fs.f_type != BPF_FS_MAGIC)
		lb_log_reason(log, "%snot within a BPF file system (mount -t bpf bpffs /sys/fs/bpf)",
			      before);
	else if (err == ENOENT)
		lb_log_reason(log, "%sthere is no folder %s", before, folder);
	free(folder);
	return !err && fs.f_type == BPF_FS_MAGIC;
}

static int no_pin(int err, const char *path, bool readonly, struct lb_log *log)
{
	bool may_read = faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0;
	bool may_write = faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0;
	char before[512], why[LB_WHY];

	snprintf(before, sizeof(before), "%s: ", path);
	if (err == ENOENT && !in_bpffs(path, before, log))
		return -err;
	if (err == EINVAL || (err == EACCES && (may_write || (readonly && may_read))))
		lb_log_reason(log, "%s is not a pin of a map, program or link", path);
	else if (err == EPERM && lb_why_refused(LB_CAP_BPF, why, sizeof(why)))
		lb_log_reason(log, "%s: %s (%s)", path, strerrordesc_np(err), why);
	else if ((err == EACCES || err == EROFS) && may_read && !readonly)
		lb_log_reason(log, "%s: %s (it may be read only: of a map, readonly = true opens it)",
			      path, strerrordesc_np(err));
	else
		lb_log_reason(log, "%s: %s", path, strerrordesc_np(err));
	return -err;
}

const char *lb_fdkind_name(enum lb_fdkind kind)
{
	static const char *const names[] = {
		[LB_FD_OTHER] = "something else", [LB_FD_MAP] = "a map",
		[LB_FD_PROGRAM] = "a program", [LB_FD_LINK] = "a link",
	};

	return names[kind];
}

int lb_pin_open(const char *path, enum lb_fdkind kind, bool readonly, struct lb_log *log)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = readonly ? BPF_F_RDONLY : 0);
	int fd = bpf_obj_get_opts(path, &opts);
	enum lb_fdkind is;

	if (fd < 0)
		return no_pin(errno, path, readonly, log);
	if (kind == LB_FD_MAP && lb_is_map(fd))
		return fd;
	is = lb_fdkind(fd);
	if (is == kind && kind != LB_FD_MAP)
		return fd;
	close(fd);
	lb_log_reason(log, "%s is the pin of %s, not of %s", path, lb_fdkind_name(is),
		      lb_fdkind_name(kind));
	return -EINVAL;
}

int lb_pin_remove(const char *path, uint32_t map_id, struct lb_log *log)
{
	struct lb_mapinfo info;
	int fd = lb_pin_open(path, LB_FD_MAP, true, log);
	int err = fd < 0 ? fd : lb_kmap_info(fd, &info);

	if (fd >= 0)
		close(fd);
	if (fd < 0 && err != -EINVAL)
		return err;
	if (err == -EINVAL || (!err && info.id != map_id)) {
		lb_log_reason(log, "the pin is of something else by now");
		return -ESTALE;
	}
	return !err && unlink(path) < 0 ? -errno : err;
}

/* Source: bpf_obj_do_pin and bpf_lookup, kernel/bpf/inode.c. */
int lb_pin_make(int fd, const char *path, struct lb_log *log)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int err;

	if (bpf_obj_pin(fd, path) == 0)
		return 0;
	err = errno;
	if ((err == EPERM || err == ENOENT) && !in_bpffs(path, "", log))
		return -err;
	if (err == EPERM && strchr(name, '.'))
		lb_log_reason(log, "names of pins have no dots");
	else
		lb_refused(err, LB_CAP_BPF, log);
	return -err;
}
