/* SPDX-License-Identifier: MIT */
/*
 * Files read at once: a call that is interrupted, or gives less than there is, is
 * made again.
 */
#ifndef LUABPF_LIB_KERNEL_READFILE_H
#define LUABPF_LIB_KERNEL_READFILE_H

#include <stdint.h>
#include <sys/types.h>

/* At most size bytes from where fd is: how many, which is less at the end of the file only; -errno. */
ssize_t lb_read_all(int fd, void *p, size_t size);
/* The same from that offset on; where fd is does not matter, and stays. */
ssize_t lb_pread_all(int fd, void *p, size_t size, uint64_t offset);
/* The same of the file of that name. */
ssize_t lb_read_file(const char *path, void *p, size_t size);

#endif
