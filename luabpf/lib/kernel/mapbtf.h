/* SPDX-License-Identifier: MIT */
/*
 * The BTF of the programs that use a map: what the records are that they write
 * into it. No map says so itself.
 */
#ifndef LUABPF_MAPBTF_H
#define LUABPF_MAPBTF_H

#include <stdint.h>

/*
 * The next program after *program (0: the first) that uses the map and has
 * BTF: 1, its id in *program, that of its BTF in *btf_id. 0 at the end;
 * -errno, -EPERM without CAP_SYS_ADMIN.
 */
int lb_map_btf_next(uint32_t map_id, uint32_t *program, uint32_t *btf_id);

#endif
