/* SPDX-License-Identifier: MIT */
/* The functions of an ELF file. See elfsyms.h. */
#include "lib/kernel/elfsyms.h"

#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>

static void read_segments(struct lb_elfsyms *e, Elf *elf)
{
	size_t n = 0;

	if (elf_getphdrnum(elf, &n) < 0)
		return;
	for (size_t i = 0; i < n && e->nsegments < LB_MOST_SEGMENTS; i++) {
		GElf_Phdr h;

		if (gelf_getphdr(elf, (int)i, &h) && h.p_type == PT_LOAD)
			e->segments[e->nsegments++] = (struct lb_segment){ h.p_offset, h.p_filesz,
									   h.p_vaddr };
	}
}

static int add(struct lb_symtab *t, Elf *elf, size_t strings, const GElf_Sym *s)
{
	int type = GELF_ST_TYPE(s->st_info);
	const char *name;

	if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s->st_shndx == SHN_UNDEF)
		return 0;
	name = elf_strptr(elf, strings, s->st_name);
	if (!name || !*name)
		return 0;
	return lb_symtab_add(t, s->st_value, s->st_size, name, strlen(name));
}

/* The functions of all sections of that type. 0 or -ENOMEM. */
static int read_functions(struct lb_symtab *t, Elf *elf, uint32_t type)
{
	Elf_Scn *section = NULL;
	int err = 0;

	while (!err && (section = elf_nextscn(elf, section))) {
		GElf_Shdr h;
		Elf_Data *data;
		GElf_Sym s;

		if (!gelf_getshdr(section, &h) || h.sh_type != type || !h.sh_entsize)
			continue;
		data = elf_getdata(section, NULL);
		for (size_t i = 0; data && !err && i < data->d_size / h.sh_entsize; i++)
			if (gelf_getsym(data, (int)i, &s))
				err = add(t, elf, h.sh_link, &s);
	}
	return err;
}

int lb_elfsyms_read(struct lb_elfsyms *e, int fd)
{
	Elf *elf;
	int err = -ENOEXEC;

	memset(e, 0, sizeof(*e));
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -ENOSYS;
	/* Not mapped: who truncates the file meanwhile would kill us. */
	elf = elf_begin(fd, ELF_C_READ, NULL);
	if (elf && elf_kind(elf) == ELF_K_ELF) {
		read_segments(e, elf);
		err = read_functions(&e->functions, elf, SHT_SYMTAB);
		if (!err && e->functions.n == 0)
			err = read_functions(&e->functions, elf, SHT_DYNSYM);
	}
	elf_end(elf);
	lb_symtab_sort(&e->functions);
	if (err)
		lb_elfsyms_free(e);
	return err;
}

void lb_elfsyms_free(struct lb_elfsyms *e)
{
	lb_symtab_free(&e->functions);
	memset(e, 0, sizeof(*e));
}

const char *lb_elfsyms_find(const struct lb_elfsyms *e, uint64_t at, uint64_t *offset)
{
	for (uint32_t i = 0; i < e->nsegments; i++) {
		const struct lb_segment *s = &e->segments[i];

		if (at >= s->offset && at - s->offset < s->size)
			return lb_symtab_find(&e->functions, at - s->offset + s->address, offset);
	}
	return NULL;
}
