/* SPDX-License-Identifier: MIT */
/*
 * Checking of object files. See elfcheck.h.
 *
 * libbpf follows most offsets and indices of a file without looking. Each check here is of one
 * kind of table, of those that clang writes; a file that has others is refused. Source: elf(5).
 */
#include "lib/kernel/elfcheck.h"

#include "lib/layout/btfcheck.h"

#include <linux/bpf.h>
#include <stdbool.h>
#include <string.h>

/* Sections that take no room in the file end up in maps. */
#define MAX_NOBITS (1u << 30)
/* The first of the two instructions that load 8 bytes. */
#define LOAD_WIDE (BPF_LD | BPF_DW | BPF_IMM)

static const char section_outside[] = "a section lies outside of the file";
static const char no_strings[] = "a table of strings is damaged";

static bool within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

static const void *content(const struct lb_elf *elf, const Elf64_Shdr *s)
{
	return elf->data + s->sh_offset;
}

/* The section that another one names; NULL if there is none of that type. */
static const Elf64_Shdr *linked(const struct lb_elf *elf, uint32_t i, uint32_t type)
{
	if (i == 0 || i >= elf->header->e_shnum || elf->sections[i].sh_type != type)
		return NULL;
	return &elf->sections[i];
}

/* ---- headers ------------------------------------------------------------ */

static const char *check_header(struct lb_elf *elf)
{
	const Elf64_Ehdr *h = (const Elf64_Ehdr *)elf->data;
	const unsigned char order = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB
									      : ELFDATA2MSB;

	elf->header = h;
	if (h->e_ident[EI_DATA] != order)
		return "it is of the other byte order";
	if (h->e_ident[EI_VERSION] != EV_CURRENT || h->e_version != EV_CURRENT ||
	    h->e_ehsize != sizeof(*h) || h->e_shentsize != sizeof(Elf64_Shdr) ||
	    h->e_shoff % 8 || h->e_phnum)
		return "its header is damaged";
	if (h->e_shnum == 0 || h->e_shoff < sizeof(*h) ||
	    !within(h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), elf->size))
		return "it has no sections";
	elf->sections = (const Elf64_Shdr *)(elf->data + h->e_shoff);
	return NULL;
}

static bool is_strings(const struct lb_elf *elf, const Elf64_Shdr *s)
{
	const char *text = content(elf, s);

	return s->sh_size > 0 && text[0] == '\0' && text[s->sh_size - 1] == '\0';
}

static const char *check_place(const struct lb_elf *elf, const Elf64_Shdr *s)
{
	if (s->sh_addralign & (s->sh_addralign - 1))
		return "a section has an odd alignment";
	if (s->sh_type == SHT_NOBITS)
		return s->sh_size > MAX_NOBITS ? "a section is too large" : NULL;
	if (s->sh_type == SHT_NULL)
		return NULL;
	if (s->sh_flags & SHF_COMPRESSED)
		return "a section is compressed";
	if (!within(s->sh_offset, s->sh_size, elf->size))
		return section_outside;
	return s->sh_type == SHT_STRTAB && !is_strings(elf, s) ? no_strings : NULL;
}

static const char *check_sections(struct lb_elf *elf)
{
	const Elf64_Shdr *names;
	const char *wrong;

	for (uint32_t i = 0; i < elf->header->e_shnum; i++) {
		wrong = check_place(elf, &elf->sections[i]);
		if (wrong)
			return wrong;
	}
	names = linked(elf, elf->header->e_shstrndx, SHT_STRTAB);
	if (!names || elf->sections[0].sh_type != SHT_NULL)
		return no_strings;
	elf->names = content(elf, names);
	for (uint32_t i = 0; i < elf->header->e_shnum; i++)
		if (elf->sections[i].sh_name >= names->sh_size)
			return "a section has no name";
	return NULL;
}

/* ---- symbols ------------------------------------------------------------ */

/* Each wide load has its other half within the bytes. */
static bool loads_whole(const uint8_t *code, uint64_t size)
{
	for (uint64_t at = 0; at < size; at += sizeof(struct bpf_insn)) {
		if (code[at] == LOAD_WIDE)
			at += sizeof(struct bpf_insn);
		if (at >= size)
			return false;
	}
	return true;
}

static bool function_fits(const struct lb_elf *elf, const Elf64_Shdr *s, const Elf64_Sym *sym)
{
	const size_t insn = sizeof(struct bpf_insn);

	if (sym->st_value % insn || sym->st_size % insn || s->sh_type != SHT_PROGBITS)
		return false;
	return loads_whole((const uint8_t *)content(elf, s) + sym->st_value, sym->st_size);
}

static const char *check_symbol(const struct lb_elf *elf, const Elf64_Sym *sym,
				uint64_t names_size)
{
	const unsigned char type = ELF64_ST_TYPE(sym->st_info);
	const Elf64_Shdr *s;

	if (sym->st_name >= names_size)
		return "a symbol has no name";
	if (sym->st_shndx == SHN_UNDEF || sym->st_shndx == SHN_ABS || sym->st_shndx == SHN_COMMON)
		return NULL;
	if (sym->st_shndx >= elf->header->e_shnum)
		return "a symbol is of a section that there is not";
	s = &elf->sections[sym->st_shndx];
	if (!within(sym->st_value, sym->st_size, s->sh_size) ||
	    (type == STT_FUNC && !function_fits(elf, s, sym)))
		return "a symbol lies outside of its section";
	return NULL;
}

static const char *check_symbols(const struct lb_elf *elf, const Elf64_Shdr *s)
{
	const Elf64_Shdr *names = linked(elf, s->sh_link, SHT_STRTAB);
	const Elf64_Sym *symbols = content(elf, s);
	const char *wrong;

	if (!names || s->sh_entsize != sizeof(*symbols) || s->sh_size % sizeof(*symbols) ||
	    s->sh_offset % 8)
		return "the table of symbols is damaged";
	for (uint64_t i = 0; i < s->sh_size / sizeof(*symbols); i++) {
		wrong = check_symbol(elf, &symbols[i], names->sh_size);
		if (wrong)
			return wrong;
	}
	return NULL;
}

/* ---- relocations -------------------------------------------------------- */

static const char *check_relocations(const struct lb_elf *elf, const Elf64_Shdr *s)
{
	const Elf64_Shdr *symbols = linked(elf, s->sh_link, SHT_SYMTAB), *target;
	const Elf64_Rel *rel = content(elf, s);

	if (!symbols || s->sh_entsize != sizeof(*rel) || s->sh_size % sizeof(*rel) ||
	    s->sh_offset % 8 || s->sh_info == 0 || s->sh_info >= elf->header->e_shnum)
		return "a table of relocations is damaged";
	target = &elf->sections[s->sh_info];
	for (uint64_t i = 0; i < s->sh_size / sizeof(*rel); i++)
		if (rel[i].r_offset >= target->sh_size ||
		    ELF64_R_SYM(rel[i].r_info) >= symbols->sh_size / sizeof(Elf64_Sym))
			return "a relocation refers to what there is not";
	return NULL;
}

static const char *check_tables(const struct lb_elf *elf)
{
	const char *wrong = NULL;
	uint32_t symbols = 0;

	for (uint32_t i = 0; !wrong && i < elf->header->e_shnum; i++) {
		const Elf64_Shdr *s = &elf->sections[i];

		if (s->sh_type == SHT_SYMTAB)
			wrong = ++symbols > 1 ? "it has two tables of symbols"
					      : check_symbols(elf, s);
		else if (s->sh_type == SHT_REL)
			wrong = check_relocations(elf, s);
		else if (s->sh_flags & SHF_EXECINSTR &&
			 (s->sh_size % sizeof(struct bpf_insn) || s->sh_offset % 8))
			wrong = "a section of programs is damaged";
	}
	if (!wrong && symbols == 0)
		return "it has no symbols";
	return wrong;
}

/* ---- BTF ---------------------------------------------------------------- */

uint32_t lb_elf_section(const struct lb_elf *elf, const char *name)
{
	for (uint32_t i = 1; i < elf->header->e_shnum; i++)
		if (strcmp(elf->names + elf->sections[i].sh_name, name) == 0)
			return i;
	return 0;
}

static const char *check_btf(const struct lb_elf *elf)
{
	const uint32_t btf = lb_elf_section(elf, ".BTF"), ext = lb_elf_section(elf, ".BTF.ext");
	const Elf64_Shdr *s = &elf->sections[btf];
	struct lb_btfcheck found;
	const char *wrong;

	if (!btf)
		return ext ? ".BTF.ext: there is no .BTF" : NULL;
	if (s->sh_type != SHT_PROGBITS || s->sh_offset % 4)
		return ".BTF: it is of another type";
	wrong = lb_btf_check(content(elf, s), s->sh_size, &found);
	if (wrong || !ext)
		return wrong;
	s = &elf->sections[ext];
	if (s->sh_type != SHT_PROGBITS || s->sh_offset % 4)
		return ".BTF.ext: it is of another type";
	return lb_btfext_check(content(elf, s), s->sh_size, &found);
}

const char *lb_elf_check(struct lb_elf *elf, const void *data, size_t size)
{
	const char *wrong;

	*elf = (struct lb_elf){ .data = data, .size = size };
	wrong = check_header(elf);
	if (!wrong)
		wrong = check_sections(elf);
	if (!wrong)
		wrong = check_tables(elf);
	return wrong ? wrong : check_btf(elf);
}
