/* SPDX-License-Identifier: MIT */
/*
 * Attaching. Everything that needs only the program's descriptor is done with
 * it, so that it works for programs opened from a pin too; what needs the
 * section of the object file is left to libbpf. See attach.h.
 */
#include "lib/kernel/attach.h"

#include "lib/kernel/loader.h"
#include "lib/kernel/privilege.h"

#include <bpf/bpf.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

void lb_link_init(struct lb_link *link)
{
	memset(link, 0, sizeof(*link));
	link->fd = -1;
}

/* ---- what goes where -------------------------------------------------- */


static int wrong_type(const struct lb_prog *p, const char *target, struct lb_log *log)
{
	char buf[24];

	lb_log_reason(log, "a program of type %s cannot be attached to %s",
		      lb_progtype_name(p->type, buf, sizeof(buf)), target);
	return -EINVAL;
}

static int find_interface(const char *name, struct lb_log *log)
{
	unsigned int ifindex = if_nametoindex(name);

	if (ifindex)
		return (int)ifindex;
	lb_log_reason(log, "no network interface '%s'", name);
	return -ENODEV;
}

/* ---- cgroup ----------------------------------------------------------- */

/* Types of programs for cgroups that have one attach type only. */
static int only_attach_type(enum bpf_prog_type type)
{
	switch (type) {
	case BPF_PROG_TYPE_CGROUP_DEVICE:
		return BPF_CGROUP_DEVICE;
	case BPF_PROG_TYPE_CGROUP_SYSCTL:
		return BPF_CGROUP_SYSCTL;
	case BPF_PROG_TYPE_SOCK_OPS:
		return BPF_CGROUP_SOCK_OPS;
	default:
		return -1;
	}
}

static bool for_cgroups(enum bpf_prog_type type)
{
	return type == BPF_PROG_TYPE_CGROUP_SKB || type == BPF_PROG_TYPE_CGROUP_SOCK ||
	       type == BPF_PROG_TYPE_CGROUP_SOCK_ADDR || type == BPF_PROG_TYPE_CGROUP_SOCKOPT ||
	       only_attach_type(type) >= 0;
}

static int skb_attach_type(const struct lb_prog *p, enum lb_direction dir, struct lb_log *log)
{
	int wanted = dir == LB_INGRESS ? BPF_CGROUP_INET_INGRESS : BPF_CGROUP_INET_EGRESS;

	if (dir == LB_ANY_DIRECTION && p->attach_type < 0) {
		lb_log_reason(log, "the section of the program does not say which direction: "
				   "give direction = \"ingress\" or \"egress\"");
		return -EINVAL;
	}
	if (dir == LB_ANY_DIRECTION)
		return p->attach_type;
	if (p->attach_type >= 0 && p->attach_type != wanted) {
		lb_log_reason(log, "the section of the program says the other direction");
		return -EINVAL;
	}
	return wanted;
}

static int cgroup_attach_type(const struct lb_prog *p, enum lb_direction dir, struct lb_log *log)
{
	char buf[24];

	if (!for_cgroups(p->type))
		return wrong_type(p, "a cgroup", log);
	if (p->type == BPF_PROG_TYPE_CGROUP_SKB)
		return skb_attach_type(p, dir, log);
	if (dir != LB_ANY_DIRECTION) {
		lb_log_reason(log, "programs of type %s have no direction",
			      lb_progtype_name(p->type, buf, sizeof(buf)));
		return -EINVAL;
	}
	if (p->attach_type >= 0)
		return p->attach_type;
	if (only_attach_type(p->type) >= 0)
		return only_attach_type(p->type);
	lb_log_reason(log, "only its object file says what a program of type %s attaches to: "
			   "attach it before it is pinned, and pin the link",
		      lb_progtype_name(p->type, buf, sizeof(buf)));
	return -EINVAL;
}

static int open_cgroup(const char *path, struct lb_log *log)
{
	struct statfs fs;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		int err = errno;

		lb_log_reason(log, "%s: %s", path, strerrordesc_np(err));
		return -err;
	}
	if (fstatfs(fd, &fs) == 0 && fs.f_type != CGROUP2_SUPER_MAGIC) {
		close(fd);
		lb_log_reason(log, "%s is not a folder of a cgroup2 file system", path);
		return -EINVAL;
	}
	return fd;
}

int lb_attach_cgroup(struct lb_link *link, const struct lb_prog *p, const char *path,
		     enum lb_direction dir, struct lb_log *log)
{
	int type = cgroup_attach_type(p, dir, log);
	int cgroup, err;

	if (type < 0)
		return type;
	cgroup = open_cgroup(path, log);
	if (cgroup < 0)
		return cgroup;
	link->fd = bpf_link_create(p->fd, cgroup, (enum bpf_attach_type)type, NULL);
	err = errno;
	close(cgroup);
	return link->fd < 0 ? lb_refused(err, LB_CAP_NET_ADMIN, log) : 0;
}

/* ---- interfaces ------------------------------------------------------- */

int lb_attach_xdp(struct lb_link *link, const struct lb_prog *p, const char *ifname,
		  struct lb_log *log)
{
	int ifindex, err;

	if (p->type != BPF_PROG_TYPE_XDP)
		return wrong_type(p, "XDP", log);
	ifindex = find_interface(ifname, log);
	if (ifindex < 0)
		return ifindex;
	link->fd = bpf_link_create(p->fd, ifindex, BPF_XDP, NULL);
	if (link->fd >= 0)
		return 0;
	err = errno;
	if (err == EBUSY || err == EEXIST)
		lb_log_reason(log, "%s already has an XDP program", ifname);
	return lb_refused(err, LB_CAP_NET_ADMIN, log);
}

int lb_attach_tc(struct lb_link *link, const struct lb_prog *p, const char *ifname,
		 enum lb_direction dir, struct lb_log *log)
{
	int ifindex, err;

	if (p->type != BPF_PROG_TYPE_SCHED_CLS && p->type != BPF_PROG_TYPE_SCHED_ACT)
		return wrong_type(p, "tc", log);
	ifindex = find_interface(ifname, log);
	if (ifindex < 0)
		return ifindex;
	link->tc = (struct lb_tcfilter){ .ifindex = ifindex, .egress = dir == LB_EGRESS };
	err = lb_tcfilter_add(&link->tc, p->fd, log);
	return err ? lb_refused(-err, LB_CAP_NET_ADMIN, log) : 0;
}

/* ---- tracepoints ------------------------------------------------------ */

/* Letters, digits and underscores around one colon: the halves become part of a path. */
static bool is_tracepoint(const char *name)
{
	int colons = 0;

	for (const char *c = name; *c; c++) {
		if (*c == ':')
			colons++;
		else if (!isalnum((unsigned char)*c) && *c != '_')
			return false;
	}
	return colons == 1 && name[0] != ':' && name[strlen(name) - 1] != ':';
}

static FILE *open_event(const char *name)
{
	static const char *const roots[] = { "/sys/kernel/tracing", "/sys/kernel/debug/tracing" };
	const char *colon = strchr(name, ':');
	char path[256];
	FILE *f = NULL;

	for (size_t i = 0; !f && i < sizeof(roots) / sizeof(roots[0]); i++) {
		snprintf(path, sizeof(path), "%s/events/%.*s/%s/id", roots[i],
			 (int)(colon - name), name, colon + 1);
		f = fopen(path, "re");
	}
	return f;
}

static int no_event(const char *name, struct lb_log *log)
{
	int err = errno;

	if (err == EACCES)
		lb_log_reason(log, "tracefs may be read by root only");
	else if (access("/sys/kernel/tracing/events", F_OK) != 0 &&
		 access("/sys/kernel/debug/tracing/events", F_OK) != 0)
		lb_log_reason(log, "tracefs is not mounted "
				   "(mount -t tracefs tracefs /sys/kernel/tracing)");
	else
		lb_log_reason(log, "no tracepoint '%s'", name);
	return -err;
}

static int event_id(const char *name, struct lb_log *log)
{
	FILE *f = open_event(name);
	int id;

	if (!f)
		return no_event(name, log);
	if (fscanf(f, "%d", &id) != 1)
		id = -EIO;
	fclose(f);
	return id;
}

static int open_perf_event(int id)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_TRACEPOINT, .size = sizeof(attr), .config = (uint64_t)id,
	};

	/* The program runs on every CPU, whichever the event is opened on. */
	return (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The kernel link keeps the event, so its descriptor can go. */
static int attach_event(struct lb_link *link, const struct lb_prog *p, int id, struct lb_log *log)
{
	int event = open_perf_event(id), err;

	if (event < 0)
		return lb_refused(errno == EACCES ? EPERM : errno, LB_CAP_PERFMON, log);
	link->fd = bpf_link_create(p->fd, event, BPF_PERF_EVENT, NULL);
	err = errno;
	if (link->fd >= 0 && ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		err = errno;
		lb_link_close(link);
	}
	close(event);
	return link->fd < 0 ? lb_refused(err, LB_CAP_PERFMON, log) : 0;
}

static int attach_raw(struct lb_link *link, const struct lb_prog *p, const char *event,
		      struct lb_log *log)
{
	int err;

	link->fd = bpf_raw_tracepoint_open(event, p->fd);
	if (link->fd >= 0)
		return 0;
	err = errno;
	if (err == ENOENT)
		lb_log_reason(log, "no raw tracepoint '%s'", event);
	return lb_refused(err, LB_CAP_PERFMON, log);
}

int lb_attach_tracepoint(struct lb_link *link, const struct lb_prog *p, const char *name,
			 struct lb_log *log)
{
	int id;

	if (!is_tracepoint(name)) {
		lb_log_reason(log, "'%s' is not a tracepoint: \"category:event\"", name);
		return -EINVAL;
	}
	if (p->type == BPF_PROG_TYPE_RAW_TRACEPOINT ||
	    p->type == BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE)
		return attach_raw(link, p, strchr(name, ':') + 1, log);
	if (p->type != BPF_PROG_TYPE_TRACEPOINT)
		return wrong_type(p, "a tracepoint", log);
	id = event_id(name, log);
	return id < 0 ? id : attach_event(link, p, id, log);
}

/* ---- by section ------------------------------------------------------- */

/*
 * Keeps the kernel link without libbpf's object around it. Not for perf
 * events: there libbpf's object has the event's descriptor.
 */
static int take_over(struct lb_link *link, struct bpf_link *from)
{
	struct lb_link probe = { .fd = bpf_link__fd(from) };
	struct bpf_link_info info;

	if (lb_link_info(&probe, &info) || info.type == BPF_LINK_TYPE_PERF_EVENT) {
		link->held = from;
		return 0;
	}
	link->fd = fcntl(probe.fd, F_DUPFD_CLOEXEC, 0);
	if (link->fd < 0) {
		int err = errno;

		bpf_link__destroy(from);
		return -err;
	}
	bpf_link__destroy(from);
	return 0;
}

/* Whether the section is "tracepoint/CATEGORY/EVENT" or "tp/...": name is then "CATEGORY:EVENT". */
static bool section_tracepoint(const char *section, char *name, size_t size)
{
	const char *rest = strchr(section, '/');
	char *slash;

	if (strncmp(section, "tracepoint/", 11) != 0 && strncmp(section, "tp/", 3) != 0)
		return false;
	snprintf(name, size, "%s", rest + 1);
	slash = strchr(name, '/');
	if (slash)
		*slash = ':';
	return slash != NULL;
}

int lb_attach_section(struct lb_link *link, const struct bpf_program *prog, struct lb_log *log)
{
	struct lb_prog p = { bpf_program__fd(prog), bpf_program__type(prog), -1 };
	struct bpf_link *made;
	char event[128];
	int err;

	/* Not by libbpf, so that the link can be pinned. */
	if (section_tracepoint(bpf_program__section_name(prog), event, sizeof(event)))
		return lb_attach_tracepoint(link, &p, event, log);

	/* Their links need the object for as long as they live. */
	if (strncmp(bpf_program__section_name(prog), "usdt", 4) == 0) {
		lb_log_reason(log, "USDT programs are not supported");
		return -EINVAL;
	}
	made = bpf_program__attach(prog);
	if (made)
		return take_over(link, made);
	err = lb_libbpf_errno(errno);
	if (err == EOPNOTSUPP || err == ESRCH)
		lb_log_reason(log, "the program's section, \"%s\", does not say what to attach it to: "
				   "give cgroup, xdp, tc or tracepoint",
			      bpf_program__section_name(prog));
	return lb_refused(err, LB_CAP_BPF | LB_CAP_PERFMON | LB_CAP_NET_ADMIN, log);
}

/* ---- links ------------------------------------------------------------ */

int lb_link_open(struct lb_link *link, const char *path, struct lb_log *log)
{
	int fd = lb_pin_open(path, LB_FD_LINK, false, log);

	if (fd < 0)
		return fd;
	link->fd = fd;
	return 0;
}

int lb_link_pin(const struct lb_link *link, const char *path, struct lb_log *log)
{
	if (link->fd >= 0)
		return lb_pin_make(link->fd, path, log);
	lb_log_reason(log, link->tc.ifindex
		      ? "tc filters are not kernel links and cannot be pinned"
		      : "probes attached through a perf event of libbpf cannot be pinned");
	return -EOPNOTSUPP;
}

int lb_link_detach(struct lb_link *link)
{
	int err = 0;

	if (link->tc.ifindex)
		err = lb_tcfilter_remove(&link->tc);
	else if (link->fd >= 0 && bpf_link_detach(link->fd) < 0 && errno != EOPNOTSUPP)
		err = -errno;
	if (err)
		return err;
	link->tc.ifindex = 0;
	return lb_link_close(link);
}

int lb_link_close(struct lb_link *link)
{
	int err = link->tc.ifindex ? lb_tcfilter_remove(&link->tc) : 0;
	struct lb_link old = *link;

	/* No descriptor keeps a filter: what is not gone stays this link's. */
	if (err)
		return err;
	lb_link_init(link);
	if (old.held)
		bpf_link__destroy(old.held);
	if (old.fd >= 0)
		close(old.fd);
	return 0;
}

int lb_link_info(const struct lb_link *link, struct bpf_link_info *info)
{
	int fd = link->held ? bpf_link__fd(link->held) : link->fd;
	uint32_t len = sizeof(*info);

	if (fd < 0 || lb_fdkind(fd) != LB_FD_LINK)
		return -EOPNOTSUPP;
	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &len) < 0 ? -errno : 0;
}
