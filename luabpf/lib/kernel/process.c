/* SPDX-License-Identifier: MIT */
/*
 * The number of a process lies in a page that the kernel wipes in children
 * (MADV_WIPEONFORK, Linux 4.14), however they were forked, which handlers of
 * pthread_atfork do not see. A child that finds 0 there takes the next number.
 */
#include "lib/kernel/process.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t *page;		/* NULL: not asked for yet; MAP_FAILED: there is none */
static uint64_t forks;		/* numbers given so far: this is copied to children */

static uint64_t *new_page(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t *none = NULL;

	if (p != MAP_FAILED && madvise(p, size, MADV_WIPEONFORK) < 0) {
		munmap(p, size);
		p = MAP_FAILED;
	}
	/* Several threads may be here: the first one's counts. */
	if (__atomic_compare_exchange_n(&page, &none, p, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return p;
	if (p != MAP_FAILED)
		munmap(p, size);
	return none;
}

static uint64_t take_number(uint64_t *p)
{
	uint64_t mine = __atomic_add_fetch(&forks, 1, __ATOMIC_RELAXED), none = 0;

	if (__atomic_compare_exchange_n(p, &none, mine, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		return mine;
	return none;
}

uint64_t lb_process(void)
{
	uint64_t *p = __atomic_load_n(&page, __ATOMIC_ACQUIRE);
	uint64_t number;

	if (!p)
		p = new_page();
	if (p == MAP_FAILED)
		return (uint64_t)getpid();
	number = __atomic_load_n(p, __ATOMIC_ACQUIRE);
	return number ? number : take_number(p);
}
