/* SPDX-License-Identifier: MIT */
/*
 * The capture of libbpf's log. libbpf has one print function per process; it
 * is ours from lb_log_install on, and it finds the calling thread's log in a
 * thread-local variable. See log.h.
 */
#include "lib/kernel/log.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Initial-exec: its memory is there with the thread. Other models take it at the first use,
 * where the process is ended if there is none.
 */
static __thread struct lb_log *current __attribute__((tls_model("initial-exec")));

/* Keeps the last LB_LOG_SIZE - 1 bytes of all that is appended. */
static void append(struct lb_log *log, const char *s, size_t n)
{
	size_t room = sizeof(log->text) - 1, drop;

	if (n > room) {
		s += n - room;
		n = room;
		log->cut = true;
	}
	if (log->len + n > room) {
		drop = log->len + n - room;
		memmove(log->text, log->text + drop, log->len - drop);
		log->len -= drop;
		log->cut = true;
	}
	memcpy(log->text + log->len, s, n);
	log->len += n;
	log->text[log->len] = '\0';
}

__attribute__((format(printf, 2, 0)))
static int print(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	static const char prefix[] = "libbpf: ";
	char *line = NULL;
	int n;

	if (!current || level != LIBBPF_WARN)
		return 0;
	n = vasprintf(&line, fmt, ap);
	if (n < 0)
		return 0;
	if (strncmp(line, prefix, sizeof(prefix) - 1) == 0)
		append(current, line + sizeof(prefix) - 1, (size_t)n - (sizeof(prefix) - 1));
	else
		append(current, line, (size_t)n);
	free(line);
	return n;
}

static libbpf_print_fn_t before;
static bool installed;

static void install(void)
{
	before = libbpf_set_print(print);
	installed = true;
}

/* The module may be unloaded while the process goes on to use libbpf. */
__attribute__((destructor)) static void uninstall(void)
{
	if (installed)
		libbpf_set_print(before);
}

void lb_log_install(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, install);
}

void lb_log_clear(struct lb_log *log)
{
	log->text[0] = '\0';
	log->len = 0;
	log->cut = false;
}

void lb_log_begin(struct lb_log *log)
{
	lb_log_install();
	lb_log_clear(log);
	log->reason[0] = '\0';
	log->outer = current;
	current = log;
}

void lb_log_end(struct lb_log *log)
{
	current = log->outer;
}

void lb_log_append(struct lb_log *log, const char *text)
{
	append(log, text, strlen(text));
}

void lb_log_reason(struct lb_log *log, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(log->reason, sizeof(log->reason), fmt, ap);
	va_end(ap);
}

const char *lb_log_tail(struct lb_log *log, unsigned int lines)
{
	char *p;

	while (log->len && log->text[log->len - 1] == '\n')
		log->text[--log->len] = '\0';
	for (p = log->text + log->len; p > log->text; p--)
		if (p[-1] == '\n' && lines-- == 1)
			break;
	/* The first line left may be half of one. */
	if (p == log->text && log->cut && strchr(p, '\n'))
		p = strchr(p, '\n') + 1;
	return p;
}
