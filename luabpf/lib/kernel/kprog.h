/* SPDX-License-Identifier: MIT */
/*
 * Programs as the kernel tells of them, and which of them use a map.
 */
#ifndef LUABPF_LIB_KERNEL_KPROG_H
#define LUABPF_LIB_KERNEL_KPROG_H

#include <bpf/bpf.h>
#include <stdint.h>

/* What the kernel tells of the program with that descriptor, without lists: 0 or -errno. */
int lb_kprog_info(int fd, struct bpf_prog_info *info);
/* The same, and the ids of its maps: info->nr_map_ids of them in ids, which has room for so many. */
int lb_kprog_maps(int fd, struct bpf_prog_info *info, uint32_t *ids, uint32_t room);
/*
 * The next program after info->id (0: the first) that uses the map: 1, what the kernel tells of it
 * in *info. 0 at the end; -errno, -EPERM without CAP_SYS_ADMIN.
 */
int lb_kprog_next_user(uint32_t map_id, struct bpf_prog_info *info);

#endif
