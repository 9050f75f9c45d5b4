/* SPDX-License-Identifier: MIT */
/*
 * Function ids (kfunc.h) against what libbpf finds, and in files that are no BTF,
 * cut off, or damaged.
 */
#include "lib/kernel/kfunc.h"
#include "tap.h"

#include <bpf/btf.h>
#include <string.h>
#include <unistd.h>

#define VMLINUX "/sys/kernel/btf/vmlinux"

static void agrees(const struct btf *btf, const char *name)
{
	int32_t want = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	want = want < 0 ? 0 : want;
	ok(lb_kfunc_id(name) == want && lb_kfunc_id_in(VMLINUX, name, 0) == want &&
	   lb_kfunc_id_in(VMLINUX, name, 1) == want, "%s: %d", name, want);
}

/* The functions of the kernel, a few of them from all over the types. */
static void all_over(const struct btf *btf)
{
	uint32_t n = btf__type_cnt(btf), good = 0, looked = 0;

	for (uint32_t id = 1; id < n && looked < 40; id++) {
		const struct btf_type *t = btf__type_by_id(btf, id);
		const char *name = btf__name_by_offset(btf, t->name_off);

		if (!btf_is_func(t) || below(n / 300) != 0)
			continue;
		looked++;
		good += lb_kfunc_id_in(VMLINUX, name, (int)(looked & 1)) ==
			btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	}
	ok(looked && good == looked, "%u of %u functions found under libbpf's numbers", good, looked);
}

static int32_t id_in(const void *bytes, size_t n, int mapped)
{
	char path[] = "/tmp/luabpf-kfunc-XXXXXX";
	int fd = mkstemp(path);
	int32_t id = -1;

	if (fd >= 0 && write(fd, bytes, n) == (ssize_t)n)
		id = lb_kfunc_id_in(path, "f", mapped);
	close(fd);
	unlink(path);
	return id;
}

/*
 * Small BTF with a function f, cut off at every byte, and with every byte changed. What was
 * the inside of a type may be taken for types then: there are no more than have room.
 */
static void damaged(void)
{
	struct btf *btf = btf__new_empty();
	const uint8_t *data;
	uint8_t copy[512];
	int32_t most;
	uint32_t n;
	bool sound = true;

	btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	btf__add_struct(btf, "s", 4);
	btf__add_field(btf, "m", 1, 0, 0);
	btf__add_func_proto(btf, 1);
	btf__add_func_param(btf, "a", 1);
	btf__add_func(btf, "f", BTF_FUNC_STATIC, 3);
	data = btf__raw_data(btf, &n);
	ok(n < sizeof(copy) && id_in(data, n, 0) == 4 && id_in(data, n, 1) == 4, "small BTF");
	most = (int32_t)(n / sizeof(struct btf_type));
	for (uint32_t i = 0; i < n; i++) {
		memcpy(copy, data, n);
		sound = sound && id_in(data, i, (int)(i & 1)) <= 4;
		copy[i] = (uint8_t)rnd();
		sound = sound && id_in(copy, n, (int)(i & 1)) <= most;
	}
	ok(sound, "damaged BTF has the function or not, and nothing else happens");
	ok(id_in("", 0, 0) == 0 && id_in("", 0, 1) == 0, "an empty file has none");
	btf__free(btf);
}

int main(void)
{
	struct btf *btf = btf__load_vmlinux_btf();

	rnd_seed();

	if (ok(btf != NULL, "the kernel has BTF")) {
		agrees(btf, "bpf_map_sum_elem_count");
		agrees(btf, "schedule");
		agrees(btf, "no_function_of_this_name");
		agrees(btf, "map_sum_elem_count");
		all_over(btf);
	}
	btf__free(btf);
	damaged();
	ok(lb_kfunc_id_in("/nonexistent", "f", 0) == -2, "an absent file is an error");
	return tap_end();
}
