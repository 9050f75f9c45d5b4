/* SPDX-License-Identifier: MIT */
/*
 * The kernel's own count of entries. See elemcount.h.
 */
#include "lib/keys/elemcount.h"

#include "lib/kernel/kfunc.h"
#include "lib/kernel/momentary.h"

#include <errno.h>
#include <string.h>

/* Of bpf_map_sum_elem_count in the kernel's BTF; negative if it has none, 0 before it was found. */
static int32_t function_id;

/* Several threads may find it at once: they find the same. */
static int32_t find_function(void)
{
	int32_t id = __atomic_load_n(&function_id, __ATOMIC_RELAXED);

	if (id)
		return id;
	id = lb_kfunc_id("bpf_map_sum_elem_count");
	if (!lb_momentary(id))
		__atomic_store_n(&function_id, id ? id : -ENOENT, __ATOMIC_RELAXED);
	return id ? id : -ENOENT;
}

static void write_program(struct lb_image *image, int map_fd, int32_t function)
{
	struct lb_code *c = &image->code;

	image->name = "luabpf_count";
	image->type = BPF_PROG_TYPE_SYSCALL;
	lb_image_function(image, 1);
	lb_emit(c, LB_MOV(BPF_REG_6, BPF_REG_1));
	lb_emit_map(c, BPF_REG_1, map_fd);
	lb_emit(c, LB_INSN(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, function));
	lb_emit(c, LB_STORE(BPF_DW, BPF_REG_6, 0, BPF_REG_0));
	lb_emit(c, LB_MOV_K(BPF_REG_0, 0));
	lb_emit(c, LB_EXIT());
}

int lb_elemcount_open(struct lb_elemcount *e, struct lb_kmap *map, struct lb_log *log)
{
	struct lb_image image = { 0 };
	int32_t function;
	int err;

	memset(e, 0, sizeof(*e));
	lb_program_init(&e->program);
	if (!lb_can(map, LB_SUM_COUNT)) {
		e->refused = "the kernel does not count the entries of this type of map";
		return -LB_ENOTSUPP;
	}
	function = find_function();
	if (function < 0) {
		e->refused = "bpf_map_sum_elem_count needs Linux 6.6 with BTF";
		return lb_momentary(function) ? function : -LB_ENOTSUPP;
	}
	write_program(&image, map->fd, function);
	err = lb_program_load(&e->program, &image, NULL, &e->refused, log);
	lb_image_free(&image);
	return err;
}

int lb_elemcount_run(const struct lb_elemcount *e, uint64_t *count)
{
	*count = 0;
	return lb_program_run(&e->program, count, sizeof(*count));
}

void lb_elemcount_close(struct lb_elemcount *e)
{
	lb_program_close(&e->program);
}
