/* SPDX-License-Identifier: MIT */
/*
 * Loading and running of generated programs. See program.h.
 *
 * A callback needs BTF with a function's prototype, or the kernel refuses it
 * ("missing btf func_info", kernel/bpf/verifier.c, check_ld_imm). The verifier
 * is asked for its log only after a refusal, since writing it costs time.
 */
#include "lib/code/program.h"

#include "lib/kernel/momentary.h"
#include "lib/kernel/signals.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Before Linux 6.4 a log that does not fit is cut at its end, where the reason stands. */
#define VERIFIER_LOG (4u << 20)

void lb_image_function(struct lb_image *image, uint32_t nparams)
{
	image->functions[image->nfunctions].at = image->code.n;
	image->functions[image->nfunctions++].nparams = nparams;
}

void lb_image_free(struct lb_image *image)
{
	lb_code_free(&image->code);
}

/* ---- BTF -------------------------------------------------------------- */

/* A function of u64 parameters: its type's id, or a negative number. */
static int add_function(struct btf *btf, uint32_t i, uint32_t nparams, int ret, int arg)
{
	static const char *const names[] = { "program", "entry", "each" };
	int proto = btf__add_func_proto(btf, ret);
	char name[16];

	for (uint32_t n = 0; n < nparams && proto > 0; n++) {
		snprintf(name, sizeof(name), "arg%u", n + 1);
		if (btf__add_func_param(btf, name, arg) < 0)
			return -1;
	}
	return btf__add_func(btf, names[i], i == 0 ? BTF_FUNC_GLOBAL : BTF_FUNC_STATIC, proto);
}

static bool fill_btf(struct btf *btf, const struct lb_image *image, struct bpf_func_info *info)
{
	int ret = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	int arg = btf__add_int(btf, "unsigned long long", 8, 0);

	for (uint32_t i = 0; i < image->nfunctions; i++) {
		int id = add_function(btf, i, image->functions[i].nparams, ret, arg);

		if (id < 0)
			return false;
		info[i].insn_off = image->functions[i].at;
		info[i].type_id = (uint32_t)id;
	}
	return true;
}

/* The descriptor of BTF in the kernel is *btf's, which the caller frees. 0 or -errno. */
static int load_btf(const struct lb_image *image, struct btf **btf, struct bpf_func_info *info)
{
	*btf = btf__new_empty();
	if (!*btf || !fill_btf(*btf, image, info))
		return -ENOMEM;
	return btf__load_into_kernel(*btf);
}

/* ---- loading ---------------------------------------------------------- */

struct attempt {
	const struct lb_image *image;
	struct bpf_prog_load_opts opts;
	char *text;		/* the verifier's log, NULL if there is none */
};

static int try_load(struct attempt *a)
{
	sigset_t before;
	int fd;

	lb_signals_hold(&before);
	fd = bpf_prog_load(a->image->type, a->image->name, "Dual MIT/GPL",
			   a->image->code.insns, a->image->code.n, &a->opts);
	lb_signals_release(&before);
	return fd < 0 ? -errno : fd;
}

/* The same again, for the log. Success is as good. */
static int try_with_log(struct attempt *a, int err)
{
	int fd;

	a->text = malloc(VERIFIER_LOG);
	if (!a->text)
		return err;
	a->text[0] = '\0';
	a->opts.log_level = 1;
	a->opts.log_buf = a->text;
	a->opts.log_size = VERIFIER_LOG;
	fd = try_load(a);
	return fd >= 0 ? fd : err;
}

/* The number of the helper that the kernel does not know, 0 if that is not the reason. */
static int unknown_helper(const char *text)
{
	static const char *const phrases[] = { "unknown func ", "invalid func ",
					       "cannot use helper " };
	const char *at = NULL;

	for (int i = 0; i < 3 && !at; i++)
		at = strstr(text, phrases[i]);
	at = at ? strchr(at, '#') : NULL;
	return at ? atoi(at + 1) : 0;
}

static const char *helper_version(int helper)
{
	switch (helper) {
	case BPF_FUNC_for_each_map_elem:
		return "bpf_for_each_map_elem needs Linux 5.13";
	case BPF_FUNC_loop:
		return "bpf_loop needs Linux 5.17";
	case BPF_FUNC_map_lookup_percpu_elem:
		return "bpf_map_lookup_percpu_elem needs Linux 5.19";
	case BPF_FUNC_dynptr_from_mem:
	case BPF_FUNC_dynptr_read:
		return "dynptrs need Linux 5.19";
	default:
		return NULL;
	}
}

static const char *reason_of(const struct attempt *a, int err)
{
	const char *text = a->text ? a->text : "";
	const char *why = helper_version(unknown_helper(text));
	bool tracing = a->image->type == BPF_PROG_TYPE_RAW_TRACEPOINT;

	if (lb_momentary(err))
		return NULL;
	if (why)
		return why;
	if (err == -EPERM)
		return tracing ? "loading this program needs CAP_BPF and CAP_PERFMON"
			       : "loading programs needs CAP_BPF";
	if (err == -EINVAL && text[0] == '\0' && !tracing)
		return "programs of type syscall need Linux 5.14";
	if (strstr(text, "Sleepable programs can only use"))
		return "maps without preallocation can be used by programs since Linux 6.1";
	if (strstr(text, "sleepable progs cannot use bpf_spin_lock"))
		return "values with a spin lock can be used by programs since Linux 6.6";
	if (strstr(text, "not allowed for map"))
		return "the kernel does not walk this type of map";
	if (err == -E2BIG || strstr(text, "too complex") || strstr(text, "too large"))
		return "the program is too complex for the kernel's verifier";
	return text[0] ? "the kernel's verifier refuses the program" : NULL;
}

/* A loaded program's descriptor or -errno. */
static int load_image(const struct lb_image *image, const char **refused, struct lb_log *log)
{
	struct bpf_func_info info[LB_MAX_FUNCTIONS] = { 0 };
	struct attempt a = { .image = image, .opts = { .sz = sizeof(a.opts) } };
	struct btf *btf = NULL;
	int err = load_btf(image, &btf, info);

	if (image->type == BPF_PROG_TYPE_SYSCALL)
		a.opts.prog_flags = BPF_F_SLEEPABLE;
	a.opts.prog_btf_fd = btf ? (uint32_t)btf__fd(btf) : 0;
	a.opts.func_info = info;
	a.opts.func_info_cnt = image->nfunctions;
	a.opts.func_info_rec_size = sizeof(info[0]);
	if (!err)
		err = try_load(&a);
	/* That of a program that was followed for a million instructions takes many seconds. */
	if (err < 0 && err != -EPERM && err != -E2BIG && btf && btf__fd(btf) >= 0)
		err = try_with_log(&a, err);
	if (err < 0)
		*refused = reason_of(&a, err);
	if (err < 0 && a.text)
		lb_log_append(log, a.text);
	free(a.text);
	btf__free(btf);
	return err;
}

void lb_program_init(struct lb_program *p)
{
	memset(p, 0, sizeof(*p));
	p->fd = -1;
}

static void region_gone(struct lb_region_user *user)
{
	/* user is the first member. */
	lb_program_close((struct lb_program *)user);
}

int lb_program_load(struct lb_program *p, struct lb_image *image, struct lb_region *region,
		    const char **refused, struct lb_log *log)
{
	int fd = image->code.err;
	sigset_t before;

	*refused = fd == -E2BIG ? "the program is too long" : NULL;
	lb_program_close(p);
	lb_log_begin(log);
	lb_signals_hold(&before);
	if (!fd)
		fd = load_image(image, refused, log);
	lb_signals_release(&before);
	lb_log_end(log);
	if (fd < 0)
		return fd;
	p->fd = fd;
	p->region = region;
	p->user.gone = region_gone;
	if (region)
		lb_region_join(region, &p->user);
	return 0;
}

int lb_program_run(const struct lb_program *p, void *ctx, uint32_t size)
{
	/* A context of no bytes must not have an address. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = size ? ctx : NULL, .ctx_size_in = size);

	return bpf_prog_test_run_opts(p->fd, &opts) < 0 ? -errno : 0;
}

void lb_program_close(struct lb_program *p)
{
	int fd = p->fd;

	lb_region_leave(&p->user);
	p->region = NULL;
	p->fd = -1;
	if (fd >= 0)
		close(fd);
}

bool lb_cpus_in_order(void)
{
	FILE *f = fopen("/sys/devices/system/cpu/possible", "re");
	char line[256] = "";

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return line[0] == '0' && !strchr(line, ',');
}
