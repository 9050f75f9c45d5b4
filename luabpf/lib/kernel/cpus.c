/* SPDX-License-Identifier: MIT */
/* CPUs. See cpus.h. */
#include "lib/kernel/cpus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int lb_cpus_online(char *text, size_t size)
{
	int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	do
		n = read(fd, text, size - 1);
	while (n < 0 && errno == EINTR);
	err = n < 0 ? -errno : 0;
	close(fd);
	text[n > 0 ? n : 0] = 0;
	return err;
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
