/* SPDX-License-Identifier: MIT */
/*
 * Test runs. The kernel refuses what a type cannot be given with a bare
 * EINVAL, so a table here knows it beforehand. Source: the test_run functions
 * of net/bpf/test_run.c and kernel/bpf/syscall.c, Linux 6.18. See testrun.h.
 */
#include "lib/kernel/testrun.h"

#include "lib/kernel/kmap.h"
#include "lib/kernel/loader.h"
#include "lib/kernel/privilege.h"

#include <bpf/bpf.h>
#include <errno.h>

#define PACKET (LB_RUN_DATA | LB_RUN_CTX | LB_RUN_CTX_OUT | LB_RUN_TIMES)

static const struct lb_runtype types[] = {
	{ BPF_PROG_TYPE_SOCKET_FILTER, PACKET, "4.12" },
	{ BPF_PROG_TYPE_SCHED_CLS, PACKET, "4.12" },
	{ BPF_PROG_TYPE_SCHED_ACT, PACKET, "4.12" },
	{ BPF_PROG_TYPE_XDP, PACKET, "4.12" },
	{ BPF_PROG_TYPE_CGROUP_SKB, PACKET, "4.12" },
	{ BPF_PROG_TYPE_LWT_IN, PACKET, "4.12" },
	{ BPF_PROG_TYPE_LWT_OUT, PACKET, "4.12" },
	{ BPF_PROG_TYPE_LWT_XMIT, PACKET, "4.12" },
	{ BPF_PROG_TYPE_LWT_SEG6LOCAL, PACKET, "4.18" },
	{ BPF_PROG_TYPE_FLOW_DISSECTOR, PACKET, "5.1" },
	{ BPF_PROG_TYPE_SK_LOOKUP, LB_RUN_CTX | LB_RUN_CTX_OUT | LB_RUN_TIMES, "5.13" },
	{ BPF_PROG_TYPE_RAW_TRACEPOINT, LB_RUN_CTX, "5.10" },
	{ BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, LB_RUN_CTX, "5.10" },
	{ BPF_PROG_TYPE_TRACING, 0, "5.7" },
	{ BPF_PROG_TYPE_SYSCALL, LB_RUN_CTX | LB_RUN_CTX_SAME, "5.14" },
};

const struct lb_runtype *lb_runtype(enum bpf_prog_type type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

uint32_t lb_run_room(uint32_t size)
{
	const uint32_t grown = 65536 + 256;

	return size > grown ? size : grown;
}

static void explain_einval(const struct lb_prog *p, const struct lb_run *run, struct lb_log *log)
{
	const struct lb_runtype *t = lb_runtype(p->type);

	if (t && t->can & LB_RUN_DATA)
		lb_log_reason(log, "the kernel does not take this packet of %u bytes%s", run->data_size,
			      run->ctx_size ? ", or ctx is not zero in fields that cannot be set"
					    : " (a frame has to fit into a page)");
	else if (t && t->can & LB_RUN_CTX)
		lb_log_reason(log, "the kernel does not take these %u bytes of ctx: "
				   "the program reads past them, or they are too many",
			      run->ctx_size);
}

static int explain(int err, const struct lb_prog *p, const struct lb_run *run,
		   struct lb_log *log)
{
	const struct lb_runtype *t = lb_runtype(p->type);
	char buf[24];
	const char *name = lb_progtype_name(p->type, buf, sizeof(buf));

	if (err == LB_ENOTSUPP || err == EOPNOTSUPP) {
		if (t)
			lb_log_reason(log, "running programs of type %s needs Linux %s", name,
				      t->since);
		else
			lb_log_reason(log, "programs of type %s cannot be run without being "
					   "attached", name);
	} else if (err == EINVAL) {
		explain_einval(p, run, log);
	}
	return lb_refused(err, LB_CAP_BPF, log);
}

int lb_testrun(const struct lb_prog *p, struct lb_run *run, struct lb_log *log)
{
	/* An XDP context of zeros is not that of the packet: the kernel reads the end from it. */
	const struct xdp_md md = { .data_end = run->data_size };
	bool own = p->type == BPF_PROG_TYPE_XDP && run->ctx && !run->ctx_size;
	/* The kernel refuses an address without bytes. */
	const void *ctx = own ? &md : run->ctx_size ? run->ctx : NULL;
	LIBBPF_OPTS(bpf_test_run_opts, opts,
		.data_in = run->data, .data_size_in = run->data_size,
		.data_out = run->data_out, .data_size_out = run->data_out_size,
		.ctx_in = ctx, .ctx_size_in = own ? sizeof(md) : run->ctx_size,
		.ctx_out = run->ctx_out, .ctx_size_out = run->ctx_out_size,
		.repeat = (int)run->times);

	if (bpf_prog_test_run_opts(p->fd, &opts) < 0)
		return explain(errno, p, run, log);
	run->data_out_size = opts.data_size_out;
	run->ctx_out_size = opts.ctx_size_out;
	run->retval = (int32_t)opts.retval;
	run->ns = opts.duration;
	return 0;
}
