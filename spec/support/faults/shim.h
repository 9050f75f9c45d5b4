/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: what the preloaded library (shim.c) asks before each call,
 * and what its Lua side (control.c) tells it.
 */
#ifndef LUABPF_FAULTS_SHIM_H
#define LUABPF_FAULTS_SHIM_H

#include <stdbool.h>

/* Kinds of calls. Those below KIND_OTHER are commands of bpf(2). */
enum kind {
	KIND_OTHER = 64,
	KIND_MMAP = KIND_OTHER, KIND_MALLOC, KIND_OPEN, KIND_READ, KIND_WRITE, KIND_FSYNC,
	KIND_FDATASYNC, KIND_RENAME, KIND_FLOCK, KIND_STAT, KIND_UNLINK, KIND_SEEK, KIND_TRUNCATE,
	KIND_CLOSE, KIND_THREAD, KIND_SOCKET, KIND_SEND, KIND_RECEIVE, KIND_IOCTL, KIND_DUP,
	KIND_POLL, KIND_SLEEP, KIND_PERF, KIND_SYSINFO, KIND_WAITER, KIND_LIST,
	KIND_LIBBPF,
	KINDS
};

/* In place of an errno: the call does less than it was asked for. */
#define SHORT (-1)

/* Names of the kinds from KIND_OTHER on. */
extern const char *const kind_names[KINDS - KIND_OTHER];

/*
 * From now on the at-th call of a kind (from 1; 0: none) fails with err, and
 * with lasting all after it too. Calls are counted until faults_disarm.
 */
void faults_arm(int kind, long at, int err, bool lasting);
/* Calls pass again. How many failed. */
long faults_disarm(void);
/* Calls of a kind since faults_arm. */
long faults_count(int kind);
/* Whether a file below that folder, "/proc" or "/sys", was asked for since faults_arm. */
bool faults_touched(const char *folder);

#endif
