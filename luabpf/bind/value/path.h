/* SPDX-License-Identifier: MIT */
/* Errors that say where in the caller's arguments a value stands. */
#ifndef LUABPF_BIND_VALUE_PATH_H
#define LUABPF_BIND_VALUE_PATH_H

#include <lua.h>

/* Where in the caller's arguments a value stands: "keys[17].src_port". */
struct lb_path {
	const struct lb_path *up;	/* NULL: this is the start */
	const char *name;		/* NULL: an index */
	lua_Integer index;
};

/* Raises "PATH: message". */
int lb_path_error(lua_State *L, const struct lb_path *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif

