/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.link: what keeps a program attached.
 *
 * A link needs neither the program's handle nor the object. Closing it lets
 * go of it; detaching ends the attachment whoever else has it. attach.c
 * knows what a link is made of.
 *
 * @module luabpf.bind.object.link
 */
#include "bind/object/link.h"

#include "bind/base.h"

#include <errno.h>
#include <net/if.h>

#define LB_LINK "luabpf.link"

/* User values: what is attached to what, for messages. */
enum { DESCRIPTION = 1, UVALUES = DESCRIPTION };

static struct lb_link *to_link(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_LINK);
}

static struct lb_link *check_link(lua_State *L, int arg)
{
	struct lb_link *link = to_link(L, arg);

	if (!lb_link_is_open(link))
		lb_is_closed(L, "link");
	return link;
}

struct lb_link *lb_link_push(lua_State *L, const char *description)
{
	struct lb_link *link = lua_newuserdatauv(L, sizeof(*link), UVALUES);

	lb_link_init(link);
	luaL_setmetatable(L, LB_LINK);
	lua_pushstring(L, description);
	lua_setiuservalue(L, -2, DESCRIPTION);
	return link;
}

/* The description, which stays with the link. */
static const char *description_of(lua_State *L, int arg)
{
	const char *text;

	lua_getiuservalue(L, arg, DESCRIPTION);
	text = lua_tostring(L, -1);
	lua_pop(L, 1);
	return text;
}

/***
 * Opens a link that is pinned.
 * @function bpf.open_link
 * @tparam string path the pin, in a bpffs
 * @treturn link the link
 * @error there is no such pin, or it is of something else
 * @kernel 5.7
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * assert(link:pin "/sys/fs/bpf/flows")
 * local again <close> = assert(bpf.open_link "/sys/fs/bpf/flows")
 * os.remove "/sys/fs/bpf/flows"
 */
static int link_open(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	struct lb_link *link = lb_link_push(L, path);
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_link_open(link, path, &log);
	lb_log_end(&log);
	return err ? lb_log_fail(L, err, &log, "open_link") : 1;
}

/* ---- info ------------------------------------------------------------- */

static void set_attach_type(lua_State *L, uint32_t type)
{
	const char *name = libbpf_bpf_attach_type_str((enum bpf_attach_type)type);

	if (name)
		lb_set_text(L, "attach_type", name);
	else
		lb_set_int(L, "attach_type", type);
}

/* ifindex, and the name it has in this network namespace, if any. */
static void set_interface(lua_State *L, uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	lb_set_int(L, "ifindex", ifindex);
	if (if_indextoname(ifindex, name))
		lb_set_text(L, "interface", name);
}

/* What the types of links have beside id and prog_id. */
static void set_target(lua_State *L, const struct bpf_link_info *i)
{
	switch (i->type) {
	case BPF_LINK_TYPE_CGROUP:
		lb_set_int(L, "cgroup_id", i->cgroup.cgroup_id);
		set_attach_type(L, i->cgroup.attach_type);
		break;
	case BPF_LINK_TYPE_TRACING:
		set_attach_type(L, i->tracing.attach_type);
		lb_set_int(L, "target_obj_id", i->tracing.target_obj_id);
		lb_set_int(L, "target_btf_id", i->tracing.target_btf_id);
		break;
	case BPF_LINK_TYPE_NETNS:
		lb_set_int(L, "netns_ino", i->netns.netns_ino);
		set_attach_type(L, i->netns.attach_type);
		break;
	case BPF_LINK_TYPE_XDP:
		set_interface(L, i->xdp.ifindex);
		break;
	default:
		break;
	}
}

static void push_info(lua_State *L, const struct bpf_link_info *i)
{
	const char *type = libbpf_bpf_link_type_str((enum bpf_link_type)i->type);

	lua_createtable(L, 0, 6);
	if (type)
		lb_set_text(L, "type", type);
	else
		lb_set_int(L, "type", i->type);
	lb_set_int(L, "id", i->id);
	lb_set_int(L, "prog_id", i->prog_id);
	set_target(L, i);
}

static void push_tc_info(lua_State *L, const struct lb_link *link)
{
	lua_createtable(L, 0, 6);
	lb_set_text(L, "type", "tc");
	set_interface(L, (uint32_t)link->tc.ifindex);
	lb_set_text(L, "direction", link->tc.egress ? "egress" : "ingress");
	lb_set_int(L, "handle", link->tc.handle);
	lb_set_int(L, "priority", link->tc.priority);
}

/***
 * A program that is attached to something.
 * @table link
 */

/***
 * What the kernel tells of the link. By type: `cgroup_id`, `attach_type` (cgroup); `ifindex`,
 * `interface` (xdp); `attach_type`, `target_obj_id`, `target_btf_id` (tracing); `netns_ino`,
 * `attach_type` (netns). A tc filter is no kernel link and has `type` "tc", `ifindex`,
 * `interface`, `direction`, `handle`, `priority`.
 * @function link:info
 * @treturn table `type`, `id`, `prog_id`, and what the type has
 * @error the kernel refuses
 * @kernel 5.8
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * print(link:info().interface) -- lo
 */
static int link_info(lua_State *L)
{
	const struct lb_link *link = check_link(L, 1);
	struct bpf_link_info info;
	int err;

	if (link->tc.ifindex) {
		push_tc_info(L, link);
		return 1;
	}
	err = lb_link_info(link, &info);
	if (err)
		return lb_fail(L, -err, "%s: info", description_of(L, 1));
	push_info(L, &info);
	return 1;
}

/* ---- pins, detaching, closing ----------------------------------------- */

/***
 * The descriptor of a kernel link, which stays the handle's.
 * @function link:fd
 * @treturn integer|nil the descriptor; nil for what is no kernel link (tc filters, probes)
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * print(link:fd())
 */
static int link_fd(lua_State *L)
{
	const struct lb_link *link = check_link(L, 1);

	if (link->fd >= 0)
		lua_pushinteger(L, link->fd);
	else
		luaL_pushfail(L);
	return 1;
}

/***
 * Pins the link: the program stays attached after this process, until the pin is removed and no
 * handle is left. Not for tc filters and probes, which are no kernel links.
 * @function link:pin
 * @tparam string path where, in a bpffs; names there have no dots
 * @treturn true the link is pinned
 * @error there is something at that path, no bpffs, or the link is none of the kernel's
 * @kernel 5.7
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * assert(link:pin "/sys/fs/bpf/flows")
 * os.remove "/sys/fs/bpf/flows"
 */
static int link_pin(lua_State *L)
{
	const struct lb_link *link = check_link(L, 1);
	const char *path = lb_check_path(L, 2);
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_link_pin(link, path, &log);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s: pin %s", description_of(L, 1), path);
	lua_pushboolean(L, true);
	return 1;
}

/***
 * Detaches the program now, whoever else holds the link, and closes the handle. Tracing links and
 * probes the kernel cannot detach by force: they end with their last pin and handle.
 * @function link:detach
 * @treturn true the program is detached
 * @error the kernel refuses; the handle stays open
 * @kernel 5.9
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * assert(link:detach())
 */
static int link_detach(lua_State *L)
{
	struct lb_link *link = check_link(L, 1);
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_link_detach(link);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s: detach", description_of(L, 1));
	lua_pushboolean(L, true);
	return 1;
}

/* A filter that could not be removed is tried again at the next collection. */
static int link_gc(lua_State *L)
{
	lua_settop(L, 1);
	if (lb_link_close(to_link(L, 1)))
		luaL_setmetatable(L, LB_LINK);
	return 0;
}

/* 0, or 3 with nil, message, errno: the link is still there. */
static int close_link(lua_State *L)
{
	struct lb_link *link = to_link(L, 1);
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_link_close(link);
	lb_log_end(&log);
	return err ? lb_log_fail(L, err, &log, "%s: close", description_of(L, 1)) : 0;
}

static int link_closer(lua_State *L)
{
	return close_link(L) ? lb_throw(L) : 0;
}

/***
 * Closes the handle; again does nothing. The program is detached unless the link is pinned or
 * open elsewhere.
 * @function link:close
 * @treturn true the handle is closed
 * @error a tc filter could not be removed: the handle stays open, to be tried again
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * link:close()
 */
static int link_close(lua_State *L)
{
	int refused = close_link(L);

	if (refused)
		return refused;
	lua_pushboolean(L, true);
	return 1;
}

static int link_tostring(lua_State *L)
{
	const struct lb_link *link = to_link(L, 1);

	if (lb_link_is_open(link))
		lua_pushfstring(L, "luabpf.link (%s)", description_of(L, 1));
	else
		lua_pushliteral(L, "luabpf.link (closed)");
	return 1;
}

static const luaL_Reg methods[] = {
	{ "close", link_close },
	{ "detach", link_detach },
	{ "fd", link_fd },
	{ "info", link_info },
	{ "pin", link_pin },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", link_gc },
	{ "__close", link_closer },
	{ "__tostring", link_tostring },
	{ NULL, NULL },
};

void lb_open_link(lua_State *L)
{
	lb_newclass(L, LB_LINK, methods, meta);
	lua_pushcfunction(L, link_open);
	lua_setfield(L, -2, "open_link");
}
