/* SPDX-License-Identifier: MIT */
/*
 * What the tests of kernel scans share.
 */
#ifndef LUABPF_SCANS_H
#define LUABPF_SCANS_H

#include "asm.h"
#include "maps.h"
#include "lib/scan/scan.h"

/* One run of the scan s into r, with the arguments given. */
#define RUN(region, ...) lb_scan_run(&s, &(struct lb_scan_args){ __VA_ARGS__ }, region, &r, &elog)

static struct lb_log elog;
static struct lb_pool pool;

static inline struct lb_env env_of(const struct filled *f)
{
	return (struct lb_env){ .key_size = f->ks, .value_size = f->m.info.value_size,
				.ncpu = f->m.ncpu };
}

static inline void explain(const struct lb_scan *s, int err)
{
	note("%d: %s", err, s->refused ? s->refused : strerror(-err));
	note("%s", lb_log_tail(&elog, 25));
}

#endif
