/* SPDX-License-Identifier: MIT */
/*
 * CRC32C, the checksum of files that luabpf writes. Source: RFC 3720, appendix
 * B.4 (polynomial 0x1EDC6F41, reflected; all ones before and after). No Lua here.
 */
#ifndef LUABPF_LIB_FILE_CRC32C_H
#define LUABPF_LIB_FILE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * The checksum of n bytes that follow those crc is of; 0 for the first. By
 * instructions of the processor where it has them (SSE4.2), else by tables.
 */
uint32_t lb_crc32c(uint32_t crc, const void *p, size_t n);
/* The same by tables only. */
uint32_t lb_crc32c_table(uint32_t crc, const void *p, size_t n);

#endif
