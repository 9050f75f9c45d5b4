/* SPDX-License-Identifier: MIT */
/*
 * What libbpf and the verifier say while something is loaded, kept for the
 * error message instead of going to stderr. No Lua here.
 *
 *	struct lb_log log;
 *
 *	lb_log_begin(&log);
 *	err = bpf_object__load(obj);
 *	lb_log_end(&log);
 *
 * Between begin and end the warnings of the calling thread go to that log;
 * outside of them, and on other threads, they are dropped. Logs nest. A log
 * usually lies on the caller's stack, so nothing that may raise a Lua error
 * stands between begin and end.
 */
#ifndef LUABPF_LIB_KERNEL_LOG_H
#define LUABPF_LIB_KERNEL_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* A verifier log can be megabytes; the reason stands at its end. */
#define LB_LOG_SIZE 16384
/* Lines that an error message carries: a refused instruction and how it was reached. */
#define LB_LOG_LINES 40

struct lb_log {
	struct lb_log *outer;
	char reason[512];		/* in place of strerror's text; "": none */
	char text[LB_LOG_SIZE];		/* the last of what was said, NUL-terminated */
	size_t len;
	bool cut;			/* text is not from the beginning */
};

/* From now on libbpf prints nothing to stderr. Done once; lb_log_begin does it too. */
void lb_log_install(void);
/* Empties the log and makes it the calling thread's. */
void lb_log_begin(struct lb_log *log);
void lb_log_end(struct lb_log *log);
/* Drops what was said so far. */
void lb_log_clear(struct lb_log *log);
/* Adds text that did not come through libbpf's print function: a verifier's log. */
void lb_log_append(struct lb_log *log, const char *text);
/* States the reason of a failure in the caller's words. */
void lb_log_reason(struct lb_log *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The last lines of the log, no newline at the end; "" if nothing was said. */
const char *lb_log_tail(struct lb_log *log, unsigned int lines);

#endif
