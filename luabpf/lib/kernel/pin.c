/* SPDX-License-Identifier: MIT */
/*
 * Pins of maps. See pin.h.
 */
#include "lib/kernel/pin.h"

#include "lib/kernel/kmap.h"
#include "lib/kernel/kprog.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A map may be there, or nothing. */
static int check_place(const char *path, struct lb_log *log)
{
	int fd = lb_pin_open(path, LB_FD_MAP, false, log);

	if (fd >= 0)
		close(fd);
	else if (fd != -ENOENT)
		return fd;
	log->reason[0] = '\0';
	return 0;
}

int lb_pin_renew(int fd, const char *path, struct lb_log *log)
{
	char beside[4096];
	int err = check_place(path, log);

	if (err)
		return err;
	if ((size_t)snprintf(beside, sizeof(beside), "%s~%d", path, getpid()) >= sizeof(beside))
		return -ENAMETOOLONG;
	err = lb_pin_make(fd, beside, log);
	/* One that a process of the same number has left. */
	if (err == -EEXIST && unlink(beside) == 0)
		err = lb_pin_make(fd, beside, log);
	if (!err && rename(beside, path) < 0) {
		err = -errno;
		unlink(beside);
	}
	return err;
}

/* For reading where it cannot be opened for both. */
static int open_any(const char *path)
{
	LIBBPF_OPTS(bpf_obj_get_opts, opts, .file_flags = BPF_F_RDONLY);
	int fd = bpf_obj_get(path);

	if (fd < 0 && (errno == EPERM || errno == EACCES))
		fd = bpf_obj_get_opts(path, &opts);
	return fd < 0 ? -errno : fd;
}

/* ---- what is there ------------------------------------------------------ */

static void fill(struct lb_pinned *out, uint32_t id, uint32_t type, const char *name)
{
	out->id = id;
	out->type = type;
	snprintf(out->name, sizeof(out->name), "%s", name);
}

static int read_map(int fd, struct lb_pinned *out)
{
	struct lb_mapinfo info;
	int err = lb_kmap_info(fd, &info);

	if (!err)
		fill(out, info.id, info.type, info.name);
	return err;
}

static int read_program(int fd, struct lb_pinned *out)
{
	struct bpf_prog_info info;
	int err = lb_kprog_info(fd, &info);

	if (!err)
		fill(out, info.id, info.type, info.name);
	return err;
}

static int read_link(int fd, struct lb_pinned *out)
{
	struct bpf_link_info info = { 0 };
	uint32_t len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	fill(out, info.id, info.type, "");
	return 0;
}

int lb_pin_read(const char *path, struct lb_pinned *out)
{
	int fd = open_any(path), err = 0;

	if (fd < 0)
		return fd;
	*out = (struct lb_pinned){ .kind = lb_fdkind(fd) };
	if (out->kind == LB_FD_MAP)
		err = read_map(fd, out);
	else if (out->kind == LB_FD_PROGRAM)
		err = read_program(fd, out);
	else if (out->kind == LB_FD_LINK)
		err = read_link(fd, out);
	close(fd);
	return err;
}
