/* SPDX-License-Identifier: MIT */
/*
 * luabpf.core: opens the bindings. The Lua side (lua/luabpf/init.lua) builds
 * the public module on it.
 */
#include "bind/base.h"

LUABPF_EXPORT int luaopen_luabpf_core(lua_State *L);

LUABPF_EXPORT int luaopen_luabpf_core(lua_State *L)
{
	luaL_checkversion(L);	/* another Lua than it was built for is refused */
	lua_newtable(L);
	lb_open_base(L);
	lb_open_options(L);
	lb_open_system(L);
	lb_open_help(L);
	lb_open_layout(L);
	lb_open_address(L);
	lb_open_map(L);
	lb_open_open(L);
	lb_open_info(L);
	lb_open_pin(L);
	lb_open_entry(L);
	lb_open_keys(L);
	lb_open_batch(L);
	lb_open_cursor(L);
	lb_open_view(L);
	lb_open_object(L);
	lb_open_globals(L);
	lb_open_program(L);
	lb_open_link(L);
	lb_open_rowset(L);
	lb_open_query(L);
	lb_open_deletions(L);
	lb_open_changes(L);
	lb_open_folds(L);
	lb_open_sums(L);
	lb_open_output(L);
	lb_open_input(L);
	lb_open_reader(L);
	lb_open_events(L);
	lb_open_kinds(L);
	lb_open_writer(L);
	lb_open_symbol(L);
	lb_open_wait(L);
	lb_open_snapshot(L);
	lb_open_diff(L);
	lb_open_store(L);
	lb_open_workers(L);
	lb_open_crew(L);
	lb_open_interrupt(L);
	lb_open_editor(L);
	lb_open_noted(L);
	return 1;
}
