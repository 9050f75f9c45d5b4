/* SPDX-License-Identifier: MIT */
/*
 * What the bindings share: errors, classes, options. Each class has its name
 * and its functions for others in the header of its own file.
 */
#ifndef LUABPF_BIND_BASE_H
#define LUABPF_BIND_BASE_H

#include "lib/kernel/log.h"

#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#if LUA_VERSION_NUM != 504
#error "luabpf is for Lua 5.4"
#endif

/* The only symbols that leave the module; the rest is built with -fvisibility=hidden. */
#define LUABPF_EXPORT __attribute__((visibility("default")))

/*
 * The system refused: pushes nil, "WHAT: reason", errno and returns 3. err is
 * a positive errno. What is formatted with lua_pushfstring's directives.
 */
int lb_fail(lua_State *L, int err, const char *what, ...);
/* The same; when it was not permitted, with those of the capabilities wanted that are missing. */
int lb_fail_unprivileged(lua_State *L, int err, unsigned int wanted, const char *what);
/*
 * Pushes nil, "WHAT: reason" with what libbpf and the verifier said on the
 * lines after it, errno, and returns 3. err is a negative errno.
 */
int lb_log_fail(lua_State *L, int err, struct lb_log *log, const char *what, ...);
/* lb_fail without WHAT, for callers that name it themselves. LB_INTERRUPTED: raises the top. */
int lb_refuse(lua_State *L, int err);
/*
 * For struct lb_asked, with the state as data: calls the debug hook that a signal's handler may
 * have set, as lua5.4 does for Ctrl-C. If it raises, its error is left at the top: -LB_INTERRUPTED.
 */
#define LB_INTERRUPTED ERESTART
int lb_ask_hook(void *L);
/* Replaces nil, message, errno at the top by an error object and raises it. */
int lb_throw(lua_State *L);
/* Raises an error object of that message and errno. */
int lb_throw_text(lua_State *L, int err, const char *message);
/* The errno of the error object at idx; 0 for any other value. */
int lb_error_errno(lua_State *L, int idx);
/* lb_throw_text where malloc has given nothing; what Lua cannot allocate it raises itself. */
int lb_throw_no_memory(lua_State *L);

/*
 * Registers a class: methods go into a table that is the metatable's __index
 * (and core.classes[name], where Lua adds its own), metamethods beside it.
 */
void lb_newclass(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/* Adds methods to a class that was registered before: classes may be spread over files. */
void lb_add_methods(lua_State *L, const char *name, const luaL_Reg *methods);

/* The handles of a class have their descriptor, an int that is -1 when closed, at that offset. */
void lb_class_fd(lua_State *L, const char *name, size_t offset);
/* The descriptor of the handle at idx, of any class that has one; else -1. Raises if closed. */
int lb_handle_fd(lua_State *L, int idx);

/* Memory for one operation: local if it is large enough, else a userdata left on the stack. */
void *lb_scratch(lua_State *L, size_t size, void *local, size_t room);

/*
 * Raises a message for who called luabpf wrongly: at the line of the closest function on the stack
 * that is none of luabpf's own. What is formatted with lua_pushfstring's directives.
 */
int lb_misuse(lua_State *L, const char *what, ...);
/* luaL_argerror; where luabpf's own Lua has passed the argument on, lb_misuse of what was called. */
int lb_argerror(lua_State *L, int arg, const char *why);
/* luaL_checkudata, with lb_argerror. */
void *lb_checkudata(lua_State *L, int arg, const char *class);
/* The name of what that function called: of luabpf, "lookup"; NULL where it has none. */
const char *lb_called(lua_State *L);
/* Raises where a table of options stands at idx, of a function that takes none. */
void lb_no_options(lua_State *L, int idx);
/* The same for a handle: "lookup: map is closed", by the name of what was called. */
int lb_is_closed(lua_State *L, const char *what);

/*
 * Fields of the table at idx, which the Lua side has made, or whose names are
 * checked: whether it is true; its integer, def for nil; its integer from 0 to
 * max, 0 for nil. Anything else raises, naming the field.
 */
bool lb_opt_flag(lua_State *L, int idx, const char *name);
lua_Integer lb_opt_int(lua_State *L, int idx, const char *name, lua_Integer def);
uint32_t lb_opt_upto(lua_State *L, int idx, const char *name, uint32_t max);

/* Set a field of the table at the top. */
void lb_set_int(lua_State *L, const char *name, lua_Integer v);
/* Puts the value at the top into that field of the holder at idx; does nothing if that is nil. */
void lb_hold(lua_State *L, int idx, const char *name);
void lb_set_text(lua_State *L, const char *name, const char *text);

/* The path at arg; raises for anything else, and where a NUL byte would cut it. */
const char *lb_check_path(lua_State *L, int arg);

/* Raises for a value at arg that is not an integer within [min, max]; floats with an exact
 * integer value pass, strings do not. */
lua_Integer lb_check_int(lua_State *L, int arg, lua_Integer min, lua_Integer max);

/* Why what has threads cannot be used in a child that was forked. */
#define LB_FOREIGN_THREADS "the threads stayed in the process that this one was forked from"

/*
 * Each adds its class and its functions to the module table at the top of the stack: one a
 * binding, which luaopen_luabpf_core (luabpf/core.c) calls, and nobody else.
 */
void lb_open_base(lua_State *L);
void lb_open_options(lua_State *L);
void lb_open_system(lua_State *L);
void lb_open_help(lua_State *L);
void lb_open_layout(lua_State *L);
void lb_open_address(lua_State *L);
void lb_open_map(lua_State *L);
void lb_open_open(lua_State *L);
void lb_open_info(lua_State *L);
void lb_open_pin(lua_State *L);
void lb_open_entry(lua_State *L);
void lb_open_keys(lua_State *L);
void lb_open_batch(lua_State *L);
void lb_open_cursor(lua_State *L);
void lb_open_view(lua_State *L);
void lb_open_object(lua_State *L);
void lb_open_globals(lua_State *L);
void lb_open_program(lua_State *L);
void lb_open_link(lua_State *L);
void lb_open_rowset(lua_State *L);
void lb_open_query(lua_State *L);
void lb_open_deletions(lua_State *L);
void lb_open_changes(lua_State *L);
void lb_open_folds(lua_State *L);
void lb_open_sums(lua_State *L);
void lb_open_output(lua_State *L);
void lb_open_input(lua_State *L);
void lb_open_snapshot(lua_State *L);
void lb_open_diff(lua_State *L);
void lb_open_reader(lua_State *L);
void lb_open_events(lua_State *L);
void lb_open_kinds(lua_State *L);
void lb_open_writer(lua_State *L);
void lb_open_symbol(lua_State *L);
void lb_open_wait(lua_State *L);
void lb_open_store(lua_State *L);
void lb_open_workers(lua_State *L);
void lb_open_crew(lua_State *L);
void lb_open_interrupt(lua_State *L);
void lb_open_editor(lua_State *L);
void lb_open_noted(lua_State *L);

#endif
