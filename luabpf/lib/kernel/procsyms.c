/* SPDX-License-Identifier: MIT */
/* Names of addresses in a process. See procsyms.h. */
#include "lib/kernel/procsyms.h"

#include "lib/kernel/elfsyms.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the mapping that an address is in ------------------------------------ */

struct mapped {
	uint64_t start, end, offset;
	char path[PATH_MAX];
};

/* A line of /proc/PID/maps, if the address is in it. */
static bool is_in(const char *line, uint64_t address, struct mapped *m)
{
	int at = 0;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %n", &m->start, &m->end,
		   &m->offset, &at) != 3 || address < m->start || address >= m->end)
		return false;
	snprintf(m->path, sizeof(m->path), "%s", at ? line + at : "");
	m->path[strcspn(m->path, "\n")] = '\0';
	return true;
}

/* 1; 0: nothing is mapped there; -errno, -ESRCH: there is no such process. */
static int find_mapping(int pid, uint64_t address, struct mapped *m)
{
	char line[PATH_MAX + 128];
	bool found = false;
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	f = fopen(line, "re");
	if (!f)
		return errno == ENOENT ? -ESRCH : -errno;
	while (!found && fgets(line, sizeof(line), f))
		found = is_in(line, address, m);
	fclose(f);
	return found;
}

/*
 * The file of a mapping as the process sees it: itself, also where it was replaced or
 * deleted since, for who may follow the kernel's link; else what has its name now.
 */
static int open_mapped(int pid, const struct mapped *m)
{
	char path[PATH_MAX + 64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, m->start,
		 m->end);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(path, sizeof(path), "/proc/%d/root%s", pid, m->path);
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	}
	return fd < 0 ? -errno : fd;
}

/* ---- files that were read ---------------------------------------------------- */

#define MOST_FILES 16

struct file {
	dev_t device;
	ino_t inode;
	struct timespec changed;
	struct lb_elfsyms symbols;
	bool used;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[MOST_FILES];
static unsigned int oldest;

static struct file *find_file(const struct stat *st)
{
	for (unsigned int i = 0; i < MOST_FILES; i++) {
		struct file *f = &files[i];

		if (f->used && f->device == st->st_dev && f->inode == st->st_ino &&
		    f->changed.tv_sec == st->st_mtim.tv_sec &&
		    f->changed.tv_nsec == st->st_mtim.tv_nsec)
			return f;
	}
	return NULL;
}

/* The file's symbols, read or kept; NULL, with *err set. Of what is no ELF file: none. */
static const struct lb_elfsyms *symbols_of(int fd, int *err)
{
	struct stat st;
	struct file *f;

	*err = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOEXEC;
	if (*err)
		return NULL;
	f = find_file(&st);
	if (f)
		return &f->symbols;
	f = &files[oldest++ % MOST_FILES];
	lb_elfsyms_free(&f->symbols);
	f->used = false;
	*err = lb_elfsyms_read(&f->symbols, fd);
	if (*err)
		return NULL;
	f->device = st.st_dev;
	f->inode = st.st_ino;
	f->changed = st.st_mtim;
	f->used = true;
	return &f->symbols;
}

/* ---- names ---------------------------------------------------------------------- */

static int write_name(int pid, const struct mapped *m, uint64_t at, char *text, size_t size)
{
	int fd = m->path[0] == '/' ? open_mapped(pid, m) : -1, err = 0;
	const struct lb_elfsyms *symbols = fd >= 0 ? symbols_of(fd, &err) : NULL;
	uint64_t offset = 0;
	const char *name = symbols ? lb_elfsyms_find(symbols, at, &offset) : NULL;
	const char *file = strrchr(m->path, '/');

	if (fd >= 0)
		close(fd);
	if (err == -ENOMEM)
		return err;
	if (name)
		snprintf(text, size, "%s+0x%" PRIx64, name, offset);
	else if (m->path[0] == '[')
		snprintf(text, size, "%s+0x%" PRIx64, m->path, at);
	else
		snprintf(text, size, "[%s]+0x%" PRIx64, file ? file + 1 : m->path, at);
	return 1;
}

int lb_procsyms_name(int pid, uint64_t address, char *text, size_t size)
{
	struct mapped m;
	int found = find_mapping(pid, address, &m);

	if (found <= 0 || !m.path[0])
		return found < 0 ? found : 0;
	pthread_mutex_lock(&lock);
	found = write_name(pid, &m, address - m.start + m.offset, text, size);
	pthread_mutex_unlock(&lock);
	return found;
}
