/* SPDX-License-Identifier: MIT */
/*
 * Asking the kernel about programs. See kprog.h.
 */
#include "lib/kernel/kprog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_info(int fd, struct bpf_prog_info *info)
{
	uint32_t size = sizeof(*info);

	if (bpf_obj_get_info_by_fd(fd, info, &size) < 0)
		return -errno;
	info->name[sizeof(info->name) - 1] = '\0';
	return 0;
}

int lb_kprog_info(int fd, struct bpf_prog_info *info)
{
	memset(info, 0, sizeof(*info));
	return read_info(fd, info);
}

int lb_kprog_maps(int fd, struct bpf_prog_info *info, uint32_t *ids, uint32_t room)
{
	int err;

	*info = (struct bpf_prog_info){ .nr_map_ids = room, .map_ids = (uintptr_t)ids };
	err = read_info(fd, info);
	if (!err && info->nr_map_ids > room)
		info->nr_map_ids = room;
	return err;
}

/* Whether the program uses the map: 1, 0, or -errno. */
static int uses(int fd, uint32_t map_id, struct bpf_prog_info *info)
{
	uint32_t *ids;
	int found = 0, err = lb_kprog_info(fd, info);

	if (err || info->nr_map_ids == 0)
		return err;
	ids = calloc(info->nr_map_ids, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	err = lb_kprog_maps(fd, info, ids, info->nr_map_ids);
	for (uint32_t i = 0; !err && i < info->nr_map_ids && !found; i++)
		found = ids[i] == map_id;
	free(ids);
	return err ? err : found;
}

int lb_kprog_next_user(uint32_t map_id, struct bpf_prog_info *info)
{
	uint32_t id = info->id;

	while (bpf_prog_get_next_id(id, &id) == 0) {
		int fd = bpf_prog_get_fd_by_id(id), found;

		if (fd < 0 && errno == ENOENT)	/* it went meanwhile */
			continue;
		if (fd < 0)
			return -errno;
		found = uses(fd, map_id, info);
		close(fd);
		if (found)
			return found;
	}
	return errno == ENOENT ? 0 : -errno;
}
