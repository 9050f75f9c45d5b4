/* SPDX-License-Identifier: MIT */
/*
 * BPF objects: changing the maps of one that was opened (objfile.h), loading it, and the
 * reason when that fails. No Lua here; object.c has the handle.
 *
 * Functions return 0 or -errno. log->reason says more than the errno where
 * it can, lb_log_tail(log) is what libbpf and the verifier said.
 */
#ifndef LUABPF_LIB_KERNEL_LOADER_H
#define LUABPF_LIB_KERNEL_LOADER_H

#include "lib/kernel/log.h"
#include "lib/kernel/maptype.h"

#include <bpf/libbpf.h>
#include <stdint.h>

/*
 * Gives a map of an object that is not loaded yet another type. -EINVAL with
 * a reason if its flags do not fit that type.
 */
int lb_object_set_type(struct bpf_map *map, const struct lb_maptype *type, struct lb_log *log);
/* What there is to say of an object that was loaded. */
struct lb_loaded {
	uint64_t there;			/* which of the first LB_PINS_KNOWN maps were pinned before */
	char warnings[2048];		/* what the kernel did not take: a line each; "": nothing */
};
#define LB_PINS_KNOWN 64
/* Adds a line to the warnings; one that does not fit is cut. */
void lb_loaded_warn(struct lb_loaded *loaded, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/*
 * Creates the maps, reusing what is pinned, and loads the programs. A pin
 * whose map differs from the object's is refused; the reason lists in what.
 * Adds to what loaded says, which is zero or from opening. BTF that the kernel
 * refuses is a warning; that it was refused for a moment is a failure.
 */
int lb_object_load(struct bpf_object *obj, struct lb_loaded *loaded, struct lb_log *log);
/* Takes back the pins that loading has made. */
void lb_object_unpin(struct bpf_object *obj, const struct lb_loaded *loaded);

/* "xdp", "cgroup_skb"; "type 99" for numbers libbpf has no name for is written into buf. */
const char *lb_progtype_name(enum bpf_prog_type type, char *buf, size_t size);

/* What a file descriptor of bpf(2) refers to. */
enum lb_fdkind { LB_FD_OTHER, LB_FD_MAP, LB_FD_PROGRAM, LB_FD_LINK };
enum lb_fdkind lb_fdkind(int fd);
/* "a map", "something else": the kind in messages. */
const char *lb_fdkind_name(enum lb_fdkind kind);
/*
 * Opens a pin, which must be of that kind: a descriptor, or -errno with a reason that names the
 * path. readonly: of a map, for reading only.
 */
int lb_pin_open(const char *path, enum lb_fdkind kind, bool readonly, struct lb_log *log);
/*
 * Removes a pin if it is still of the map with that id, which is looked at immediately before:
 * 0, or -errno with a reason; -ESTALE where something else is there.
 */
int lb_pin_remove(const char *path, uint32_t map_id, struct lb_log *log);
/* Pins a descriptor: 0, or -errno with a reason where the kernel's EPERM does not tell it. */
int lb_pin_make(int fd, const char *path, struct lb_log *log);

/* An errno that libbpf returned as one of the system's: its own begin at 4000. */
int lb_libbpf_errno(int err);

#endif
