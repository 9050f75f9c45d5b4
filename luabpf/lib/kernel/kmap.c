/* SPDX-License-Identifier: MIT */
/*
 * Kernel maps for the engines: info, limits, buffers, and a few facts about
 * the machine. See kmap.h.
 */
#include "lib/kernel/kmap.h"

#include "lib/kernel/readfile.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A larger spare is freed rather than kept. */
#define MAX_SPARE (16u << 20)

int lb_kmap_info(int fd, struct lb_mapinfo *info)
{
	uint32_t len = sizeof(*info);

	/* The kernel refuses non-zero bytes past its own struct (E2BIG). */
	memset(info, 0, sizeof(*info));
	if (bpf_obj_get_info_by_fd(fd, info, &len) < 0)
		return -errno;
	info->name[sizeof(info->name) - 1] = '\0';
	return 0;
}

static void describe(struct lb_kmap *m)
{
	m->type = lb_maptype(m->info.type);
	m->ncpu = lb_can(m, LB_PERCPU) ? lb_possible_cpus() : 0;
	m->value_stride = m->ncpu ? lb_cpu_stride(m->info.value_size) * m->ncpu
				  : m->info.value_size;
	/* Maps of maps write descriptors and read ids: 4 bytes either way. */
	if (lb_can(m, LB_MAP_VALUES))
		m->value_stride = sizeof(uint32_t);
}

/*
 * The calls on entries take nothing but maps: EINVAL for other descriptors. Of maps one of the two
 * has another answer: no key is given, and no type refuses both with EINVAL. Neither call changes
 * anything or has where to write to. Source: kernel/bpf/syscall.c, __bpf_map_get.
 */
bool lb_is_map(int fd)
{
	if (bpf_map_lookup_elem(fd, NULL, NULL) == 0 || errno != EINVAL)
		return errno != EBADF;
	return bpf_map_get_next_key(fd, NULL, NULL) == 0 || errno != EINVAL;
}

int lb_kmap_adopt(struct lb_kmap *m, int fd)
{
	int err;

	memset(m, 0, sizeof(*m));
	m->fd = -1;
	/* The info call answers for programs and links too. */
	err = lb_kmap_info(fd, &m->info);
	if (!err && !lb_is_map(fd))
		err = -EINVAL;
	if (err) {
		close(fd);
		return err;
	}
	m->fd = fd;
	describe(m);
	return 0;
}

void lb_kmap_share(struct lb_kmap *m, const struct lb_kmap *from, int fd)
{
	*m = *from;
	m->fd = fd;
	memset(&m->spare, 0, sizeof(m->spare));
	memset(&m->mapping, 0, sizeof(m->mapping));
	m->unmapped = NULL;
}

/*
 * The kernel looks at the permissions before it reads the key and writes the
 * value, which have no address here (kernel/bpf/syscall.c, map_lookup_elem and
 * map_delete_elem).
 */
bool lb_kmap_allows(const struct lb_kmap *m, bool write)
{
	int err = write ? bpf_map_delete_elem(m->fd, NULL)
			: bpf_map_lookup_elem(m->fd, NULL, NULL);

	return err == 0 || errno != EPERM;
}

void lb_kmap_detached(struct lb_kmap *m, const struct lb_mapinfo *info, uint32_t ncpu)
{
	*m = (struct lb_kmap){ .fd = -1, .type = lb_maptype(info->type), .info = *info,
			       .ncpu = ncpu, .value_stride = info->value_size };
	if (ncpu)
		m->value_stride = lb_cpu_stride(info->value_size) * ncpu;
}

/* ---- by mapping -------------------------------------------------------- */

static const char *why_unmapped(const struct lb_kmap *m)
{
	if (!lb_can(m, LB_MAPPABLE) || !(m->info.map_flags & BPF_F_MMAPABLE))
		return "it was not made to be mapped";
	if (m->lock)
		return "its values have a spin lock";
	return lb_kmap_allows(m, true) ? NULL : "it is frozen, or open for reading only";
}

bool lb_kmap_mapped(struct lb_kmap *m, bool write)
{
	if (m->mapping.mem && (m->mapping.writable || !write))
		return true;
	if (m->unmapped || m->fd < 0)
		return false;
	m->unmapped = why_unmapped(m);
	if (m->unmapped)
		return false;
	lb_mapping_close(&m->mapping);
	if (lb_mapping_open(&m->mapping, m->fd, m->info.value_size, m->info.max_entries, write))
		m->unmapped = "the kernel does not map it";
	return m->mapping.mem != NULL;
}

uint8_t *lb_kmap_value(struct lb_kmap *m, const void *key, bool write)
{
	uint32_t index;

	if (!lb_kmap_mapped(m, write))
		return NULL;
	memcpy(&index, key, sizeof(index));
	return index < m->info.max_entries ? m->mapping.mem + (size_t)index * m->mapping.stride
					   : NULL;
}

void lb_kmap_unmap(struct lb_kmap *m)
{
	lb_mapping_close(&m->mapping);
	m->unmapped = NULL;
}

static void buffer_free(struct lb_buffer *b)
{
	free(b->keys);
	memset(b, 0, sizeof(*b));
}

void lb_kmap_close(struct lb_kmap *m)
{
	int fd = m->fd;

	m->fd = -1;
	lb_mapping_close(&m->mapping);
	buffer_free(&m->spare);
	if (fd >= 0)
		close(fd);
}

static uint32_t entry_size(const struct lb_kmap *m)
{
	uint32_t size = m->info.key_size > m->value_stride ? m->info.key_size : m->value_stride;

	return size ? size : 1;
}

uint32_t lb_kmap_call_limit(const struct lb_kmap *m, uint32_t want)
{
	uint32_t most = (LB_MAX_CALL_BYTES - 1) / entry_size(m);

	if (most > LB_MAX_CALL)
		most = LB_MAX_CALL;
	if (most == 0)
		most = 1;
	return want < most ? want : most;
}

uint32_t lb_buckets(uint32_t max_entries)
{
	uint32_t n = 1;

	while (n < max_entries && n < 1u << 31)
		n <<= 1;
	return n;
}

/* Keys and values are one allocation, written once so that the kernel's copies cannot fault. */
static int buffer_new(const struct lb_kmap *m, struct lb_buffer *b, uint32_t n)
{
	size_t keys = ((size_t)n * m->info.key_size + 63) & ~(size_t)63;
	size_t values = (size_t)n * m->value_stride;

	b->keys = malloc(keys + values + 8);
	if (!b->keys)
		return -ENOMEM;
	memset(b->keys, 0, keys + values + 8);
	b->values = b->keys + keys;
	b->capacity = n;
	return 0;
}

int lb_buffer_get(struct lb_kmap *m, struct lb_buffer *b, uint32_t n)
{
	if (m->spare.capacity < n)
		return buffer_new(m, b, n);
	*b = m->spare;
	memset(&m->spare, 0, sizeof(m->spare));
	return 0;
}

void lb_buffer_put(struct lb_kmap *m, struct lb_buffer *b)
{
	size_t size = (size_t)b->capacity * (m->info.key_size + m->value_stride);

	if (m->fd < 0 || b->capacity <= m->spare.capacity || size > MAX_SPARE) {
		buffer_free(b);
		return;
	}
	buffer_free(&m->spare);
	m->spare = *b;
	memset(b, 0, sizeof(*b));
}

uint32_t lb_possible_cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? (uint32_t)n : 1;
}

static char boot_id[40];

static void read_boot_id(void)
{
	ssize_t n = lb_read_file("/proc/sys/kernel/random/boot_id", boot_id, 36);

	boot_id[n > 0 ? n : 0] = '\0';
}

const char *lb_boot_id(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, read_boot_id);
	return boot_id;
}

const char *lb_strerror(int err, char *buf, size_t size)
{
	if (err == LB_ENOTSUPP)
		snprintf(buf, size, "not supported by this type of map on this kernel");
	else
		return strerror_r(err, buf, size);
	return buf;
}

bool lb_transient(int err)
{
	return err == EINTR || err == EBUSY || err == EAGAIN || err == EDEADLK ||
	       err == ETIMEDOUT || err == ENOMEM;
}
