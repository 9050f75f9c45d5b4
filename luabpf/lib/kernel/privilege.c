/* SPDX-License-Identifier: MIT */
/*
 * Capabilities of the calling thread, read from /proc: EPERM alone does not
 * tell which one the kernel asked for. See privilege.h.
 */
#include "lib/kernel/privilege.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* linux/capability.h of older headers lacks these. */
#ifndef CAP_PERFMON
#define CAP_PERFMON 38
#endif
#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static const struct {
	unsigned int bit;
	unsigned int number;
	const char *name;
} caps[] = {
	{ LB_CAP_BPF, CAP_BPF, "CAP_BPF" },
	{ LB_CAP_PERFMON, CAP_PERFMON, "CAP_PERFMON" },
	{ LB_CAP_NET_ADMIN, CAP_NET_ADMIN, "CAP_NET_ADMIN" },
	{ LB_CAP_SYS_ADMIN, CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
};

#define NCAPS (sizeof(caps) / sizeof(caps[0]))

/* The effective set; all of them if it cannot be read, so that nothing is said to be missing. */
static uint64_t effective(void)
{
	FILE *f = fopen("/proc/thread-self/status", "re");
	unsigned long long set = ~0ull;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %llx", &set) == 1)
			break;
	if (f)
		fclose(f);
	return set;
}

/* Writes the names of wanted that have does not hold; returns how long they are. */
static size_t names_of(unsigned int wanted, uint64_t have, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < NCAPS && len < size; i++)
		if (wanted & caps[i].bit && !(have >> caps[i].number & 1))
			len += (size_t)snprintf(buf + len, size - len, "%s%s",
						len ? " and " : "", caps[i].name);
	return len;
}

const char *lb_missing_privileges(unsigned int wanted, char *buf, size_t size)
{
	uint64_t have = effective();

	buf[0] = '\0';
	if (have >> CAP_SYS_ADMIN & 1)
		return NULL;
	return names_of(wanted, have, buf, size) ? buf : NULL;
}

/* Whether this is a user namespace: all ids of the initial one are its own. */
static bool in_user_namespace(void)
{
	FILE *f = fopen("/proc/self/uid_map", "re");
	unsigned int inside = 0, outside = 0, count = ~0u;

	if (!f)
		return false;
	if (fscanf(f, "%u %u %u", &inside, &outside, &count) != 3)
		count = 0;
	fclose(f);
	return inside != 0 || outside != 0 || count != ~0u;
}

const char *lb_why_refused(unsigned int wanted, char *buf, size_t size)
{
	char missing[64], needed[64];

	if (lb_missing_privileges(wanted, missing, sizeof(missing))) {
		snprintf(buf, size, "this process lacks %s", missing);
		return buf;
	}
	if (!in_user_namespace())
		return NULL;
	names_of(wanted, 0, needed, sizeof(needed));
	snprintf(buf, size, "in a user namespace %s %s not count: run it outside", needed,
		 strstr(needed, " and ") ? "do" : "does");
	return buf;
}

int lb_refused(int err, unsigned int wanted, struct lb_log *log)
{
	char buf[LB_WHY];

	if (err == EPERM && lb_why_refused(wanted, buf, sizeof(buf)))
		lb_log_reason(log, "%s (%s)", strerrordesc_np(err), buf);
	return -err;
}
