/* SPDX-License-Identifier: MIT */
/*
 * Views for bindings that lend entries or records: a root view shows one at a
 * time, where it lies, for as long as the lender's clock stands still.
 */
#ifndef LUABPF_BIND_MAP_VIEW_H
#define LUABPF_BIND_MAP_VIEW_H

#include "bind/map/lender.h"
#include "bind/map/map.h"

struct lb_view;

/*
 * Pushes a view of entries of the shape, a struct, whose layout is at that
 * stack index; it keeps what is at owner alive, and through it the lender.
 * what names it in errors. It shows nothing yet.
 */
struct lb_view *lb_view_new(lua_State *L, int owner, int layout, const struct lb_shape *shape,
			    struct lb_lender *lender, const char *what);
/* Shows the entry of room bytes; NULL: nothing. */
void lb_view_move(struct lb_view *v, const uint8_t *entry, uint32_t room);
/* The bytes a view at idx shows, and their size; NULL if no view is there. Raises if stale. */
const void *lb_view_bytes(lua_State *L, int idx, size_t *size);

#endif
