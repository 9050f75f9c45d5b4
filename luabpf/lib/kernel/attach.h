/* SPDX-License-Identifier: MIT */
/*
 * Attaching programs to what runs them, and what then keeps them attached: a
 * link. No Lua here.
 *
 * A link is a descriptor of a kernel link (its last reference gone, the
 * kernel detaches), or a tc filter, which has no descriptor and is deleted on
 * close, or a probe that libbpf holds by a perf event.
 *
 * Functions return 0 or -errno; log->reason says more where it can.
 */
#ifndef LUABPF_LIB_KERNEL_ATTACH_H
#define LUABPF_LIB_KERNEL_ATTACH_H

#include "lib/kernel/log.h"
#include "lib/kernel/tcfilter.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

enum lb_direction { LB_ANY_DIRECTION, LB_INGRESS, LB_EGRESS };

struct lb_prog {
	int fd;				/* -1: closed */
	enum bpf_prog_type type;
	int attach_type;		/* as its section says; -1: not known */
};

struct lb_link {
	int fd;				/* -1: none */
	struct bpf_link *held;		/* libbpf's, for probes by perf event; or NULL */
	struct lb_tcfilter tc;		/* its ifindex 0: not a tc filter */
};

static inline bool lb_link_is_open(const struct lb_link *link)
{
	return link->fd >= 0 || link->held || link->tc.ifindex;
}

/* The closed state, to begin with. */
void lb_link_init(struct lb_link *link);

/* path: a folder of a cgroup2 file system. Linux 5.7. */
int lb_attach_cgroup(struct lb_link *link, const struct lb_prog *p, const char *path,
		     enum lb_direction dir, struct lb_log *log);
/* Natively if the driver can, else generically. Linux 5.9. */
int lb_attach_xdp(struct lb_link *link, const struct lb_prog *p, const char *ifname,
		  struct lb_log *log);
/*
 * A filter with direct action; the clsact qdisc is added if there is none, and left there. Where
 * it fails and the link is open all the same, a filter may be there, which closing takes away.
 */
int lb_attach_tc(struct lb_link *link, const struct lb_prog *p, const char *ifname,
		 enum lb_direction dir, struct lb_log *log);
/* name: "category:event"; for raw tracepoint programs the event alone is what counts. Linux 5.15. */
int lb_attach_tracepoint(struct lb_link *link, const struct lb_prog *p, const char *name,
			 struct lb_log *log);
/*
 * As the section of the program says. -EOPNOTSUPP for sections that do not
 * say where to, such as "xdp". The object must still be open.
 */
int lb_attach_section(struct lb_link *link, const struct bpf_program *prog, struct lb_log *log);

/* A link that is pinned at path. */
int lb_link_open(struct lb_link *link, const char *path, struct lb_log *log);
int lb_link_pin(const struct lb_link *link, const char *path, struct lb_log *log);
/*
 * Detaches now, whoever else has the link open, and closes. Kernel links that
 * cannot be detached by force (probes, tracing) are closed only: the kernel
 * detaches them with their last pin and descriptor.
 */
int lb_link_detach(struct lb_link *link);
/*
 * Lets go of it: a kernel link that is pinned stays attached, all else is detached. 0; or -errno
 * where a tc filter is still there: the link is open as before.
 */
int lb_link_close(struct lb_link *link);
/* What the kernel tells; -EOPNOTSUPP for what is not a kernel link. */
int lb_link_info(const struct lb_link *link, struct bpf_link_info *info);

#endif
