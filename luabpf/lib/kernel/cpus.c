/* SPDX-License-Identifier: MIT */
/* CPUs. See cpus.h. */
#include "lib/kernel/cpus.h"

#include "lib/kernel/readfile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int lb_cpus_online(char *text, size_t size)
{
	ssize_t n = lb_read_file("/sys/devices/system/cpu/online", text, size - 1);

	text[n > 0 ? n : 0] = 0;
	return n < 0 ? (int)n : 0;
}

bool lb_cpu_is_in(const char *list, uint32_t cpu)
{
	unsigned int first, last;
	int used;

	for (; sscanf(list, "%u%n", &first, &used) == 1; list += *list == ',') {
		list += used;
		last = first;
		if (sscanf(list, "-%u%n", &last, &used) == 1)
			list += used;
		if (cpu >= first && cpu <= last)
			return true;
	}
	return false;
}

/* Why this thread cannot be moved there: 0 where the CPU is offline. */
static int refusal(uint32_t cpu, int err)
{
	char list[4096];

	if (err != EINVAL)
		return -err;
	if (lb_cpus_online(list, sizeof(list)) == 0 && !lb_cpu_is_in(list, cpu))
		return 0;
	return -EPERM;
}

int lb_cpu_enter(struct lb_stay *s, uint32_t cpu)
{
	struct lb_cpuset there = { 0 };

	s->there = false;
	if (sched_getaffinity(0, sizeof(s->before), s->before.part) < 0)
		return -errno;
	CPU_SET_S(cpu, sizeof(there), there.part);
	if (sched_setaffinity(0, sizeof(there), there.part) < 0)
		return refusal(cpu, errno);
	s->there = true;
	return 0;
}

void lb_cpu_leave(const struct lb_stay *s)
{
	if (s->there)
		sched_setaffinity(0, sizeof(s->before), s->before.part);
}
