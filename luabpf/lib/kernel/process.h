/* SPDX-License-Identifier: MIT */
/*
 * Which process this is. A child that was forked has its parent's memory, and
 * with it handles on what only the parent may use: shared memory, threads, files
 * that are being written. They remember the process they were made in.
 */
#ifndef LUABPF_LIB_KERNEL_PROCESS_H
#define LUABPF_LIB_KERNEL_PROCESS_H

#include <stdint.h>

/* A number that is another one in each child, never 0; a few instructions. */
uint64_t lb_process(void);

#endif
