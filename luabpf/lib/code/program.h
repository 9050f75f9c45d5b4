/* SPDX-License-Identifier: MIT */
/*
 * Programs that are put together in memory, loaded and run by this process.
 * scan.c, keyed.c and elemcount.c write the instructions; this is what they
 * have in common: BTF, loading, the reason of a refusal, running. No Lua here.
 *
 * Programs are of type SYSCALL (Linux 5.14), which CAP_BPF alone may load, or
 * RAW_TRACEPOINT where the map may not be used in a sleepable program. They
 * are run by BPF_PROG_TEST_RUN and are attached to nothing.
 */
#ifndef LUABPF_LIB_CODE_PROGRAM_H
#define LUABPF_LIB_CODE_PROGRAM_H

#include "lib/code/emit.h"
#include "lib/kernel/log.h"
#include "lib/kernel/region.h"

#define LB_MAX_FUNCTIONS 3

/* A program before it is loaded. */
struct lb_image {
	const char *name;		/* 15 bytes at most */
	enum bpf_prog_type type;
	struct lb_code code;
	struct {
		uint32_t at;		/* its first instruction */
		uint32_t nparams;
	} functions[LB_MAX_FUNCTIONS];	/* the first is the program, others are callbacks */
	uint32_t nfunctions;
};

/* A loaded program, bound to a region if its code has the address of one. */
struct lb_program {
	struct lb_region_user user;	/* leaves when the region goes, and unloads the program */
	struct lb_region *region;
	int fd;				/* -1: not loaded */
};

/* The next instruction begins a function. */
void lb_image_function(struct lb_image *image, uint32_t nparams);
void lb_image_free(struct lb_image *image);

/* Not loaded. Zeroed memory is not a valid program. */
void lb_program_init(struct lb_program *p);
/*
 * Loads the image in place of what p had, bound to region (NULL: none). 0 or
 * -errno, with *refused set to the reason where more can be said than the
 * errno says (static text, NULL otherwise). log is begun and ended here; the
 * verifier's log is in it if the program was refused.
 */
int lb_program_load(struct lb_program *p, struct lb_image *image, struct lb_region *region,
		    const char **refused, struct lb_log *log);
/* Runs it with a context of size bytes, written back in place. 0 or -errno. */
int lb_program_run(const struct lb_program *p, void *ctx, uint32_t size);
/* May be called twice. */
void lb_program_close(struct lb_program *p);

/*
 * Whether the possible CPUs are 0 to n - 1: programs address CPUs by number,
 * values list them in order.
 */
bool lb_cpus_in_order(void);

#endif
