/* SPDX-License-Identifier: MIT */
/* Which CPUs are there, and being on one of them. No Lua here. */
#ifndef LUABPF_LIB_KERNEL_CPUS_H
#define LUABPF_LIB_KERNEL_CPUS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The list of CPUs online, "0-3,8": 0 or -errno. */
int lb_cpus_online(char *text, size_t size);
bool lb_cpu_is_in(const char *list, uint32_t cpu);

/* As many CPUs as Linux can have, 8,192. */
struct lb_cpuset {
	cpu_set_t part[8];
};

/* This thread's stay on a CPU. */
struct lb_stay {
	struct lb_cpuset before;
	bool there;
};

/*
 * Moves this thread to a CPU. 0, also where it is offline, as nothing runs there then; -EPERM
 * where this process may not run there; -errno.
 */
int lb_cpu_enter(struct lb_stay *s, uint32_t cpu);
/* Lets it run where it could before. */
void lb_cpu_leave(const struct lb_stay *s);

#endif
