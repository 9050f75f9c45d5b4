/* SPDX-License-Identifier: MIT */
/* The class luabpf.link for program.c, which makes links. */
#ifndef LUABPF_BIND_OBJECT_LINK_H
#define LUABPF_BIND_OBJECT_LINK_H

#include "lib/kernel/attach.h"

#include <lua.h>

/* Pushes a closed link, to be filled by an lb_attach_*; description is for tostring. */
struct lb_link *lb_link_push(lua_State *L, const char *description);

#endif
