/* SPDX-License-Identifier: MIT */
/*
 * Running a loaded program once or many times on data of the caller's, with
 * BPF_PROG_TEST_RUN: nothing is attached and no traffic is needed. No Lua here.
 */
#ifndef LUABPF_LIB_KERNEL_TESTRUN_H
#define LUABPF_LIB_KERNEL_TESTRUN_H

#include "lib/kernel/attach.h"

/* What a run of a type of program may be given, and what it gives back. */
enum {
	LB_RUN_DATA = 1 << 0,		/* needs a packet, gives one back */
	LB_RUN_CTX = 1 << 1,		/* takes a context */
	LB_RUN_CTX_OUT = 1 << 2,	/* gives the context back, in memory of its own */
	LB_RUN_CTX_SAME = 1 << 3,	/* gives the context back where it was */
	LB_RUN_TIMES = 1 << 4,		/* can be repeated, and is timed */
};

struct lb_runtype {
	enum bpf_prog_type type;
	unsigned int can;		/* LB_RUN_* */
	const char *since;		/* kernel version that brought it */
};

struct lb_run {
	const void *data, *ctx;		/* NULL: none */
	uint32_t data_size, ctx_size;
	uint32_t times;			/* 0 where the type has no LB_RUN_TIMES */
	void *data_out, *ctx_out;	/* NULL: not wanted */
	uint32_t data_out_size, ctx_out_size;	/* room, then bytes written */
	int32_t retval;			/* what the program returned last */
	uint32_t ns;			/* nanoseconds a run, on average */
};

/* What the type can do; NULL for types that no kernel known here runs this way. */
const struct lb_runtype *lb_runtype(enum bpf_prog_type type);
/* Bytes to offer for what comes back of size bytes: a program may enlarge a packet to 64 KiB. */
uint32_t lb_run_room(uint32_t size);
/* Runs it. 0, or -errno with log->reason where more can be said. */
int lb_testrun(const struct lb_prog *p, struct lb_run *run, struct lb_log *log);

#endif
