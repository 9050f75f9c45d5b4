/* SPDX-License-Identifier: MIT */
/* Names of addresses in the kernel. See kallsyms.h. */
#include "lib/kernel/kallsyms.h"

#include "lib/kernel/clock.h"
#include "lib/kernel/symtab.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a symbol of modules and programs ends within, as sizes are not told. */
#define MOST_OFFSET (1u << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lb_symtab table;
static uint64_t first, end;	/* of the kernel's own code */
static uint64_t read_at;

/* One line, "ffffffff81000000 T _stext" or "... t name\t[module]". 1: it has an address. */
static int take_line(struct lb_symtab *t, char *line, uint64_t *text, uint64_t *etext)
{
	char *name, *module;
	uint64_t address = strtoull(line, &name, 16);

	/* " T name" */
	if (name == line || strnlen(name, 4) < 4)
		return 0;
	name += 3;
	name[strcspn(name, "\n")] = '\0';
	module = strchr(name, '\t');
	if (module)
		*module = ' ';	/* "name [module]": split again when it is shown */
	if (strcmp(name, "_stext") == 0)
		*text = address;
	else if (strcmp(name, "_etext") == 0)
		*etext = address;
	if (!address)
		return 0;
	return lb_symtab_add(t, address, 0, name, strlen(name)) < 0 ? -ENOMEM : 1;
}

/* Reads all of it: 0 or -errno. */
static int read_all(void)
{
	struct lb_symtab t = { 0 };
	uint64_t text = 0, etext = 0;
	char *line = NULL;
	size_t room = 0, n = 0;
	int err = 0;
	FILE *f = fopen("/proc/kallsyms", "re");

	if (!f)
		return -errno;
	while (err >= 0 && getline(&line, &room, f) > 0) {
		err = take_line(&t, line, &text, &etext);
		n += err > 0;
	}
	if (err >= 0 && ferror(f))
		err = -EIO;
	fclose(f);
	free(line);
	if (err >= 0)
		err = n ? 0 : -EACCES;
	if (err < 0) {
		lb_symtab_free(&t);
		return err;
	}
	lb_symtab_sort(&t);
	lb_symtab_free(&table);
	table = t;
	first = text;
	end = etext;
	return 0;
}

/* Reads it if it was not, or if it may have changed where the address is. */
static int refresh(uint64_t address)
{
	uint64_t now = lb_monotonic();
	int err = 0;

	if (table.n && ((address >= first && address < end) || now - read_at < LB_SECOND))
		return 0;
	err = read_all();
	if (!err)
		read_at = now;
	return err;
}

static int write_name(uint64_t address, char *text, size_t size)
{
	uint64_t offset = 0;
	const char *name = lb_symtab_find(&table, address, &offset);
	size_t n;

	if (!name || (offset > MOST_OFFSET && (address < first || address >= end)))
		return 0;
	n = strcspn(name, " ");
	snprintf(text, size, "%.*s+0x%" PRIx64 "%s", (int)n, name, offset, name + n);
	return 1;
}

int lb_kallsyms_name(uint64_t address, char *text, size_t size)
{
	int err;

	pthread_mutex_lock(&lock);
	err = refresh(address);
	if (!err)
		err = write_name(address, text, size);
	pthread_mutex_unlock(&lock);
	return err;
}
