/* SPDX-License-Identifier: MIT */
/*
 * Which capabilities this process lacks, for messages. No Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_PRIVILEGE_H
#define LUABPF_LIB_KERNEL_PRIVILEGE_H

#include "lib/kernel/log.h"

#include <stddef.h>

/* Bits for lb_missing_privileges. */
enum {
	LB_CAP_BPF = 1 << 0,		/* Linux 5.8 */
	LB_CAP_PERFMON = 1 << 1,	/* Linux 5.8 */
	LB_CAP_NET_ADMIN = 1 << 2,
	LB_CAP_SYS_ADMIN = 1 << 3,	/* stands for all of them */
};

/*
 * Writes "CAP_BPF and CAP_NET_ADMIN", those of wanted that the effective set
 * has not got, into buf and returns it; NULL if none is missing.
 */
const char *lb_missing_privileges(unsigned int wanted, char *buf, size_t size);

/* Bytes that hold what lb_why_refused writes. */
#define LB_WHY 128

/*
 * Writes why a call that needs wanted was refused with EPERM into buf and returns it: what this
 * process lacks, or that it is in a user namespace; NULL if neither.
 */
const char *lb_why_refused(unsigned int wanted, char *buf, size_t size);

/*
 * For the errno of a call that needs wanted: returns -err, and if that is
 * EPERM and something is missing, states it as the log's reason.
 */
int lb_refused(int err, unsigned int wanted, struct lb_log *log);

#endif
