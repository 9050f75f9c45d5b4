/* SPDX-License-Identifier: MIT */
/*
 * Finding the programs that use a map. See mapbtf.h.
 */
#include "lib/kernel/mapbtf.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the program uses the map; its BTF id. 0, 1, or -errno. */
static int uses(int fd, uint32_t map_id, uint32_t *btf_id)
{
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(info), n, *ids;
	int found = 0;

	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return -errno;
	n = info.nr_map_ids;
	*btf_id = info.btf_id;
	if (n == 0 || info.btf_id == 0)
		return 0;
	ids = calloc(n, sizeof(*ids));
	if (!ids)
		return -ENOMEM;
	memset(&info, 0, sizeof(info));
	info.nr_map_ids = n;
	info.map_ids = (uint64_t)(uintptr_t)ids;
	size = sizeof(info);
	if (bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		found = -errno;
	for (uint32_t i = 0; i < n && found == 0; i++)
		found = ids[i] == map_id;
	free(ids);
	return found;
}

int lb_map_btf_next(uint32_t map_id, uint32_t *program, uint32_t *btf_id)
{
	int found = 0;

	while (found == 0 && bpf_prog_get_next_id(*program, program) == 0) {
		int fd = bpf_prog_get_fd_by_id(*program);

		if (fd < 0 && errno == ENOENT)	/* it went meanwhile */
			continue;
		if (fd < 0)
			return -errno;
		found = uses(fd, map_id, btf_id);
		close(fd);
	}
	if (found == 0 && errno != ENOENT)
		return -errno;
	return found < 0 ? found : found ? 1 : 0;
}
