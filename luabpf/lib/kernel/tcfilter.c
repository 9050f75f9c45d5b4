/* SPDX-License-Identifier: MIT */
/*
 * Filters by libbpf's tc functions, and a dump of a hook's filters, which
 * libbpf has not, for those whose answer was lost. See tcfilter.h.
 */
#include "lib/kernel/tcfilter.h"

#include "lib/kernel/clock.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum bpf_tc_attach_point point_of(const struct lb_tcfilter *f)
{
	return f->egress ? BPF_TC_EGRESS : BPF_TC_INGRESS;
}

/* ---- the filters of a hook ------------------------------------------------ */

static int ask(int fd, const struct lb_tcfilter *f)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg tc;
	} request = {
		.header = { .nlmsg_len = sizeof(request), .nlmsg_type = RTM_GETTFILTER,
			    .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
		.tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = f->ifindex,
			.tcm_parent = TC_H_MAKE(TC_H_CLSACT, f->egress ? TC_H_MIN_EGRESS
								       : TC_H_MIN_INGRESS) },
	};
	ssize_t n;

	do
		n = send(fd, &request, sizeof(request), 0);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The priority, in the upper half, is 0 for no filter of that handle. */
static uint32_t priority_in(struct nlmsghdr *h, uint32_t handle)
{
	const struct tcmsg *tc = NLMSG_DATA(h);

	return h->nlmsg_type == RTM_NEWTFILTER && tc->tcm_handle == handle ? tc->tcm_info >> 16 : 0;
}

/* One answer of the dump: 1 if it was the last, 0, or -errno. */
static int take(int fd, struct lb_tcfilter *f)
{
	/* As much as the kernel puts into one of a dump. */
	union {
		struct nlmsghdr header;
		char bytes[32768];
	} answer;
	struct nlmsghdr *h = &answer.header;
	ssize_t got = recv(fd, &answer, sizeof(answer), 0);
	size_t n = (size_t)got;

	if (got < 0)
		return errno == EINTR ? 0 : -errno;
	for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
		if (h->nlmsg_type == NLMSG_DONE)
			return 1;
		if (h->nlmsg_type == NLMSG_ERROR)
			return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
		if (priority_in(h, f->handle))
			f->priority = priority_in(h, f->handle);
	}
	return got == 0 ? -EIO : 0;
}

/* Finds out the priority of the filter, which stays 0 if it is not there. 0 or -errno. */
static int find(struct lb_tcfilter *f)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), err;

	if (fd < 0)
		return -errno;
	err = ask(fd, f);
	while (err == 0)
		err = take(fd, f);
	close(fd);
	return err < 0 ? err : 0;
}

/* ---- adding, removing ------------------------------------------------------- */

/* One that no other filter is likely to have. */
static uint32_t new_handle(void)
{
	static uint32_t last;
	uint64_t mixed = lb_monotonic();

	mixed += (uint64_t)getpid() << 32 | __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED);
	return (uint32_t)(mixed * 0x9e3779b97f4a7c15u >> 33) | 1;
}

static int add(struct lb_tcfilter *f, struct bpf_tc_hook *hook, int prog_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = f->handle);
	int err = bpf_tc_attach(hook, &opts);

	if (!err)
		f->priority = opts.priority;
	return err;
}

int lb_tcfilter_add(struct lb_tcfilter *f, int prog_fd, struct lb_log *log)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = f->ifindex, .attach_point = point_of(f));
	int err = bpf_tc_hook_create(&hook);

	f->handle = new_handle();
	if (err && err != -EEXIST) {
		f->ifindex = 0;
		return err;
	}
	/* What libbpf said of a qdisc that exists is no reason for anything that follows. */
	lb_log_clear(log);
	err = add(f, &hook, prog_fd);
	if (err && lb_tcfilter_remove(f) == 0)
		f->ifindex = 0;
	else if (err)
		lb_log_reason(log, "%s (a filter may be there all the same: it is removed by a later "
				   "collection)", strerrordesc_np(-err));
	return err;
}

static int remove_known(const struct lb_tcfilter *f)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = f->ifindex, .attach_point = point_of(f));
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = f->handle, .priority = f->priority);

	return bpf_tc_detach(&hook, &opts);
}

int lb_tcfilter_remove(struct lb_tcfilter *f)
{
	int err = f->priority ? 0 : find(f);

	if (!err && f->priority)
		err = remove_known(f);
	/* Gone with its interface or its qdisc. */
	return err == -ENOENT || err == -ENODEV || err == -EINVAL ? 0 : err;
}
