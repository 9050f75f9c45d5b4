/* SPDX-License-Identifier: MIT */
/*
 * Giving up capabilities, in a child process of an engine test.
 */
#ifndef LUABPF_TEST_CAPABILITY_H
#define LUABPF_TEST_CAPABILITY_H

#include <linux/capability.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Permitted and effective set: CAP_BPF (39) and nothing else, or nothing. */
static inline bool only_capability(bool bpf)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { 0, 0, 0 }, { 0, 0, 0 } };

	data[1].effective = data[1].permitted = bpf ? 1u << (39 - 32) : 0;
	return syscall(SYS_capset, &header, data) == 0;
}

#endif
