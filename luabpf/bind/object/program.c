/* SPDX-License-Identifier: MIT */
/***
 * The class luabpf.program: a loaded BPF program.
 *
 * A handle has a descriptor of its own, so it works without the object it
 * came from, and one opened from a pin never had an object. Attaching and
 * running need no more than the descriptor; only attach() by section asks
 * the object, which the handle keeps alive and finds open or closed.
 *
 * @module luabpf.bind.object.program
 */
#include "bind/object/program.h"

#include "bind/map/map.h"
#include "bind/object/link.h"
#include "bind/options.h"
#include "lib/kernel/kprog.h"
#include "lib/kernel/loader.h"
#include "lib/kernel/testrun.h"
#include "lib/layout/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LB_PROGRAM "luabpf.program"

/* User values: the object or nil, the name. */
enum { OBJECT = 1, NAME, UVALUES = NAME };

struct program {
	struct lb_prog p;
	uint32_t id;
	const struct bpf_program *prog;	/* lives as long as the object is open; or NULL */
};

/* ---- the handle ------------------------------------------------------- */

static struct program *to_program(lua_State *L, int arg)
{
	return lb_checkudata(L, arg, LB_PROGRAM);
}

static struct program *check_program(lua_State *L, int arg)
{
	struct program *h = to_program(L, arg);

	if (h->p.fd < 0)
		lb_is_closed(L, "program");
	return h;
}

static struct program *new_handle(lua_State *L)
{
	struct program *h = lua_newuserdatauv(L, sizeof(*h), UVALUES);

	memset(h, 0, sizeof(*h));
	h->p.fd = -1;
	h->p.attach_type = -1;
	luaL_setmetatable(L, LB_PROGRAM);
	return h;
}

/* The name, which stays with the handle. */
static const char *name_of(lua_State *L, int arg)
{
	const char *name;

	lua_getiuservalue(L, arg, NAME);
	name = lua_tostring(L, -1);
	lua_pop(L, 1);
	return name ? name : "program";
}

static int refused(lua_State *L, int err, const char *operation)
{
	return lb_fail(L, -err, "%s: %s", name_of(L, 1), operation);
}

/* ---- making ----------------------------------------------------------- */

static int attach_type_of(const struct bpf_program *prog)
{
	enum bpf_attach_type type;

	return libbpf_attach_type_by_name(bpf_program__section_name(prog), &type) < 0 ? -1
										       : (int)type;
}

/* Fills the handle at the top from fd, which it owns from then on: 0 or -errno. */
static int fill(lua_State *L, struct program *h, int fd)
{
	struct bpf_prog_info info;
	int err = fd < 0 ? -errno : 0;

	if (err)
		return err;
	h->p.fd = fd;
	err = lb_kprog_info(fd, &info);
	if (err)
		return err;
	h->p.type = (enum bpf_prog_type)info.type;
	h->id = info.id;
	lua_pushstring(L, info.name);
	lua_setiuservalue(L, -2, NAME);
	return 0;
}

int lb_program_push(lua_State *L, int object, struct bpf_program *prog)
{
	struct program *h;
	int err;

	object = lua_absindex(L, object);
	h = new_handle(L);
	err = fill(L, h, fcntl(bpf_program__fd(prog), F_DUPFD_CLOEXEC, 0));
	if (err)
		return lb_fail(L, -err, "program %s", bpf_program__name(prog));
	h->prog = prog;
	h->p.attach_type = attach_type_of(prog);
	lua_pushvalue(L, object);
	lua_setiuservalue(L, -2, OBJECT);
	/* The kernel keeps 15 bytes of the name, the object all. */
	lua_pushstring(L, bpf_program__name(prog));
	lua_setiuservalue(L, -2, NAME);
	return 1;
}

/***
 * Opens a program that is pinned.
 * @function bpf.open_program
 * @tparam string path the pin, in a bpffs
 * @treturn program the program
 * @error there is no such pin, or it is of something else
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * assert(object.programs.count_xdp:pin "/sys/fs/bpf/flows")
 * local program <close> = assert(bpf.open_program "/sys/fs/bpf/flows")
 * os.remove "/sys/fs/bpf/flows"
 */
static int program_open(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	struct program *h = new_handle(L);
	struct lb_log log;
	int fd, err;

	lb_log_begin(&log);
	fd = lb_pin_open(path, LB_FD_PROGRAM, false, &log);
	lb_log_end(&log);
	if (fd < 0)
		return lb_log_fail(L, fd, &log, "open_program");
	err = fill(L, h, fd);
	return err ? lb_fail(L, -err, "open_program: %s", path) : 1;
}

/* ---- info, pins, closing ---------------------------------------------- */

static void push_type(lua_State *L, enum bpf_prog_type type)
{
	char buf[24];

	lua_pushstring(L, lb_progtype_name(type, buf, sizeof(buf)));
}

static void set_tag(lua_State *L, const uint8_t *tag)
{
	char text[BPF_TAG_SIZE * 2];

	lb_put_hex(text, tag, BPF_TAG_SIZE);
	lua_pushlstring(L, text, sizeof(text));
	lua_setfield(L, -2, "tag");
}

static void push_info(lua_State *L, const struct bpf_prog_info *i)
{
	lua_createtable(L, 0, 22);
	push_type(L, (enum bpf_prog_type)i->type);
	lua_setfield(L, -2, "type");
	lua_pushstring(L, i->name);
	lua_setfield(L, -2, "name");
	set_tag(L, i->tag);
	lua_pushboolean(L, i->gpl_compatible);
	lua_setfield(L, -2, "gpl_compatible");
	lb_set_int(L, "id", i->id);
	lb_set_int(L, "jited_prog_len", i->jited_prog_len);
	lb_set_int(L, "xlated_prog_len", i->xlated_prog_len);
	lb_set_int(L, "load_time", i->load_time);
	lb_set_int(L, "created_by_uid", i->created_by_uid);
	lb_set_int(L, "ifindex", i->ifindex);
	lb_set_int(L, "netns_dev", i->netns_dev);
	lb_set_int(L, "netns_ino", i->netns_ino);
	lb_set_int(L, "btf_id", i->btf_id);
	lb_set_int(L, "run_time_ns", i->run_time_ns);
	lb_set_int(L, "run_cnt", i->run_cnt);
	lb_set_int(L, "recursion_misses", i->recursion_misses);
	lb_set_int(L, "verified_insns", i->verified_insns);
	lb_set_int(L, "attach_btf_obj_id", i->attach_btf_obj_id);
	lb_set_int(L, "attach_btf_id", i->attach_btf_id);
}

/* Pushes the list of maps that the program uses, and fills info: 0 or -errno. */
static int push_map_ids(lua_State *L, int fd, struct bpf_prog_info *info)
{
	uint32_t local[64], *ids;	/* a loaded program has no more, others may be bound to it */
	int err = lb_kprog_info(fd, info);

	if (err)
		return err;
	ids = lb_scratch(L, info->nr_map_ids * sizeof(*ids), local, sizeof(local));
	err = lb_kprog_maps(fd, info, ids, info->nr_map_ids);
	if (err)
		return err;
	lua_createtable(L, (int)info->nr_map_ids, 0);
	for (uint32_t i = 0; i < info->nr_map_ids; i++) {
		lua_pushinteger(L, ids[i]);
		lua_rawseti(L, -2, i + 1);
	}
	return 0;
}

/***
 * What the kernel tells of the program: the fields of struct bpf_prog_info by their names.
 * `map_ids` is a list. `run_time_ns` and `run_cnt` count while the sysctl
 * kernel.bpf_stats_enabled is 1.
 * @function program:info
 * @treturn table the fields
 * @error the kernel refuses
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * print(object.programs.count_xdp:info().id)
 */
static int program_info(lua_State *L)
{
	struct program *h = check_program(L, 1);
	struct bpf_prog_info info;
	int err = push_map_ids(L, h->p.fd, &info);

	if (err)
		return refused(L, err, "info");
	push_info(L, &info);
	lua_insert(L, -2);
	lua_setfield(L, -2, "map_ids");
	return 1;
}

/***
 * The descriptor of the handle, which stays the handle's and goes with it.
 * @function program:fd
 * @treturn integer the descriptor
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * print(object.programs.count_xdp:fd())
 */
static int program_fd(lua_State *L)
{
	lua_pushinteger(L, check_program(L, 1)->p.fd);
	return 1;
}

/***
 * Pins the program in a BPF file system: it stays loaded. Its links are pinned by themselves.
 * @function program:pin
 * @tparam string path where, in a bpffs; names there have no dots
 * @treturn true the program is pinned
 * @error there is something at that path, or no bpffs
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * assert(object.programs.count_xdp:pin "/sys/fs/bpf/flows")
 * local program <close> = assert(bpf.open_program "/sys/fs/bpf/flows")
 * os.remove "/sys/fs/bpf/flows"
 */
static int program_pin(lua_State *L)
{
	struct program *h = check_program(L, 1);
	const char *path = lb_check_path(L, 2);
	struct lb_log log;
	int err;

	lb_log_begin(&log);
	err = lb_pin_make(h->p.fd, path, &log);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s: pin %s", name_of(L, 1), path);
	lua_pushboolean(L, true);
	return 1;
}

static int program_gc(lua_State *L)
{
	struct program *h = to_program(L, 1);
	int fd = h->p.fd;

	h->p.fd = -1;
	if (fd >= 0)
		close(fd);
	return 0;
}

/***
 * Closes the handle; again does nothing. The program stays loaded while a link, a pin, the open
 * object or another handle has it.
 * @function program:close
 * @treturn true the handle is closed
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * object.programs.count_xdp:close()
 */
static int program_close(lua_State *L)
{
	program_gc(L);
	lua_pushboolean(L, true);
	return 1;
}

static int program_tostring(lua_State *L)
{
	const struct program *h = to_program(L, 1);

	if (h->p.fd < 0) {
		lua_pushliteral(L, "luabpf.program (closed)");
		return 1;
	}
	push_type(L, h->p.type);
	lua_pushfstring(L, "luabpf.program (%s %s id %I)", name_of(L, 1), lua_tostring(L, -1),
			(LUAI_UACINT)h->id);
	return 1;
}

/* name and type, else the methods, which are upvalue 1. */
static int program_index(lua_State *L)
{
	const struct program *h = to_program(L, 1);
	const char *field = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";

	if (strcmp(field, "name") == 0) {
		lua_getiuservalue(L, 1, NAME);
	} else if (strcmp(field, "type") == 0) {
		push_type(L, h->p.type);
	} else {
		lua_settop(L, 2);
		lua_gettable(L, lua_upvalueindex(1));
	}
	return 1;
}

/* ---- attaching -------------------------------------------------------- */

typedef int attach_fn(struct lb_link *link, const struct lb_prog *p, const char *target,
		      enum lb_direction dir, struct lb_log *log);

static int to_xdp(struct lb_link *link, const struct lb_prog *p, const char *target,
		  enum lb_direction dir, struct lb_log *log)
{
	(void)dir;
	return lb_attach_xdp(link, p, target, log);
}

static int to_tracepoint(struct lb_link *link, const struct lb_prog *p, const char *target,
			 enum lb_direction dir, struct lb_log *log)
{
	(void)dir;
	return lb_attach_tracepoint(link, p, target, log);
}

struct target {
	const char *option;
	attach_fn *attach;
	bool directed;
};

static const struct target targets[] = {
	{ "cgroup", lb_attach_cgroup, true },
	{ "xdp", to_xdp, false },
	{ "tc", lb_attach_tc, true },
	{ "tracepoint", to_tracepoint, false },
};

#define NTARGETS (sizeof(targets) / sizeof(targets[0]))

/* The one target that the options at index 2 name, its value pushed. */
static const struct target *check_target(lua_State *L)
{
	const struct target *found = NULL;

	for (size_t i = 0; i < NTARGETS; i++) {
		if (lua_getfield(L, 2, targets[i].option) == LUA_TNIL) {
			lua_pop(L, 1);
			continue;
		}
		if (found)
			luaL_error(L, "attach: options '%s' and '%s': only one target can be "
				   "given", found->option, targets[i].option);
		found = &targets[i];
	}
	if (!found)
		luaL_error(L, "attach: a target is missing: one of cgroup, xdp, tc, tracepoint");
	return found;
}

static const char *const directions[] = { "ingress", "egress", NULL };

static enum lb_direction check_direction(lua_State *L, const struct target *t)
{
	static const enum lb_direction values[] = { LB_INGRESS, LB_EGRESS };
	int i = lb_option_choice(L, 2, "direction", directions, -1);

	if (i < 0)
		return LB_ANY_DIRECTION;
	if (!t->directed)
		luaL_error(L, "attach: option 'direction' goes with 'cgroup' and 'tc', not with "
			      "'%s'", t->option);
	return values[i];
}

/* Returns the link at the top if err is 0. */
static int attached(lua_State *L, int err, struct lb_log *log)
{
	return err ? lb_log_fail(L, err, log, "%s: attach", name_of(L, 1)) : 1;
}

static int attach_once(const struct target *t, struct lb_link *link, const struct program *h,
		       const char *target, enum lb_direction dir, struct lb_log *log)
{
	int err;

	lb_log_begin(log);
	err = t->attach(link, &h->p, target, dir, log);
	lb_log_end(log);
	return err;
}

/* The options' target is at the top. */
static int attach_to(lua_State *L, const struct program *h, const struct target *t,
		     enum lb_direction dir)
{
	static const char *const suffix[] = { "", " ingress", " egress" };
	const char *target = lua_tostring(L, -1);
	struct lb_link *link;
	struct lb_log log;
	int err;

	lua_pushfstring(L, "%s to %s %s%s", name_of(L, 1), t->option, target, suffix[dir]);
	link = lb_link_push(L, lua_tostring(L, -1));
	err = attach_once(t, link, h, target, dir, &log);
	/* What has the place may be a link that a raised error has left, not collected yet. */
	if (err == -EBUSY || err == -EEXIST) {
		lua_gc(L, LUA_GCCOLLECT);
		err = attach_once(t, link, h, target, dir, &log);
	}
	return attached(L, err, &log);
}

static int attach_by_section(lua_State *L, const struct program *h)
{
	const struct lb_object *o;
	struct lb_link *link;
	struct lb_log log;
	int err;

	if (!h->prog)
		luaL_error(L, "a program that was opened from a pin has no section: "
			      "give cgroup, xdp, tc or tracepoint");
	lua_getiuservalue(L, 1, OBJECT);
	o = lua_touserdata(L, -1);
	if (!o || !o->obj)
		luaL_error(L, "object is closed: attaching by section needs it, "
			      "else give cgroup, xdp, tc or tracepoint");
	lua_pushfstring(L, "%s by section %s", name_of(L, 1), bpf_program__section_name(h->prog));
	link = lb_link_push(L, lua_tostring(L, -1));
	lb_log_begin(&log);
	err = lb_attach_section(link, h->prog, &log);
	lb_log_end(&log);
	return attached(L, err, &log);
}

/***
 * A program that is loaded into the kernel.
 * @table program
 * @tfield string name its name in the object file, or the kernel's 15 bytes of it
 * @tfield string type its type, as bpftool names it
 */

/***
 * Attaches the program: it runs from then on, until the link is closed or detached. A link that
 * is pinned keeps it running after that. Without options the section of the program says what to
 * attach to, and the object must still be open. A `tc` filter is no kernel link and outlives this
 * process when it is killed.
 * @function program:attach
 * @tparam[opt] string options.cgroup a folder of a cgroup2 file system
 * @tparam[opt] string options.xdp an interface
 * @tparam[opt] string options.tc an interface
 * @tparam[opt] string options.tracepoint "category:event"; for raw tracepoint programs the event
 *   counts alone
 * @tparam[opt="ingress"] "ingress"|"egress" options.direction of `tc`, and of `cgroup` where the
 *   section does not say it
 * @treturn link the link
 * @error the kernel refuses, or there is no such cgroup, interface or event
 * @raise more than one target, none, and a direction that does not apply
 * @kernel 5.7 for cgroups, 5.9 for XDP, 5.15 for tracepoints
 * @privileges CAP_NET_ADMIN, for tracepoints CAP_PERFMON
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
 * print(link)
 */
static int program_attach(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "cgroup", LUA_TSTRING, NULL }, { "xdp", LUA_TSTRING, NULL },
		{ "tc", LUA_TSTRING, NULL }, { "tracepoint", LUA_TSTRING, NULL },
		{ "direction", LUA_TSTRING, directions }, { NULL, 0, NULL },
	};
	const struct program *h = check_program(L, 1);
	const struct target *t;

	lua_settop(L, 2);
	if (!lb_options(L, 2, "program:attach", known))
		return attach_by_section(L, h);
	t = check_target(L);
	return attach_to(L, h, t, check_direction(L, t));
}

/* ---- running ---------------------------------------------------------- */

/* "programs of type syscall", for messages. */
static const char *these(lua_State *L, const struct program *h)
{
	push_type(L, h->p.type);
	return lua_pushfstring(L, "programs of type %s", lua_tostring(L, -1));
}

/* The string option called name, left on the stack; NULL if not given. */
static const char *check_bytes(lua_State *L, const char *name, uint32_t *size)
{
	size_t len = 0;
	const char *s = NULL;

	if (lua_getfield(L, 2, name) == LUA_TSTRING)
		s = lua_tolstring(L, -1, &len);
	if (len > INT32_MAX)
		luaL_error(L, "run: option '%s': 2 GiB or more cannot be given", name);
	*size = (uint32_t)len;
	return s;
}

/* Raises for what the type cannot be given. */
static void check_fits(lua_State *L, const struct program *h, const struct lb_runtype *t,
		       const struct lb_run *run)
{
	if (t->can & LB_RUN_DATA && !run->data)
		luaL_error(L, "run: option 'data': %s need a packet, an Ethernet frame", these(L, h));
	if (t->can & LB_RUN_DATA && run->data_size < 14)
		luaL_error(L, "run: option 'data': at least 14 bytes, an Ethernet header, expected, got %d",
			   (int)run->data_size);
	if (!(t->can & LB_RUN_DATA) && run->data)
		luaL_error(L, "run: option 'data': %s take none", these(L, h));
	if (!(t->can & LB_RUN_CTX) && run->ctx)
		luaL_error(L, "run: option 'ctx': %s take none", these(L, h));
	if (!(t->can & LB_RUN_TIMES) && run->times > 1)
		luaL_error(L, "run: option 'times': %s run once", these(L, h));
	if (t->can & LB_RUN_CTX_SAME && run->ctx_size > UINT16_MAX)
		luaL_error(L, "run: option 'ctx': at most %d bytes expected, got %d", UINT16_MAX,
			   (int)run->ctx_size);
}

/* Memory for what comes back, left on the stack. */
static void make_room(lua_State *L, const struct lb_runtype *t, struct lb_run *run)
{
	if (t->can & LB_RUN_DATA) {
		run->data_out_size = lb_run_room(run->data_size);
		run->data_out = lua_newuserdatauv(L, run->data_out_size, 0);
	}
	if (t->can & LB_RUN_CTX_OUT && run->ctx) {
		run->ctx_out_size = lb_run_room(run->ctx_size);
		run->ctx_out = lua_newuserdatauv(L, run->ctx_out_size, 0);
	}
	if (t->can & LB_RUN_CTX_SAME && run->ctx) {
		/* The kernel writes the context back to where it was read. */
		void *copy = lua_newuserdatauv(L, (size_t)run->ctx_size + 1, 0);

		run->ctx = memcpy(copy, run->ctx, run->ctx_size);
	}
	if (!(t->can & LB_RUN_TIMES))
		run->times = 0;
}

static void push_result(lua_State *L, const struct lb_runtype *t, const struct lb_run *run)
{
	lua_createtable(L, 0, 4);
	lua_pushinteger(L, run->retval);
	lua_setfield(L, -2, "retval");
	if (t->can & LB_RUN_TIMES)
		lb_set_int(L, "ns", run->ns);
	if (run->data_out) {
		lua_pushlstring(L, run->data_out, run->data_out_size);
		lua_setfield(L, -2, "data");
	}
	if (run->ctx_out)
		lua_pushlstring(L, run->ctx_out, run->ctx_out_size);
	else if (run->ctx && t->can & LB_RUN_CTX_SAME)
		lua_pushlstring(L, run->ctx, run->ctx_size);
	else
		return;
	lua_setfield(L, -2, "ctx");
}

/***
 * What one `program:run` gave back.
 * @table run_result
 * @tfield integer retval what the C program returned, a signed 32-bit integer
 * @tfield[opt] string data the packet as the program left it; nil for types without packets
 * @tfield[opt] string ctx the context as the program left it, if one was given
 * @tfield[opt] integer ns how long a run took on average; nil where the kernel does not time it
 */

/***
 * Runs the program now, on a packet or a context, without attaching it.
 * @function program:run
 * @tparam[opt] string options.data a packet, beginning with its Ethernet header, for the types
 *   that work on packets
 * @tparam[opt] string options.ctx the context: struct __sk_buff or struct xdp_md, where "" stands
 *   for the packet's own; the argument of "syscall" programs; the arguments of raw tracepoints, 8
 *   bytes each
 * @tparam[opt=1] integer options.times how often to run it; types that work on packets only
 * @treturn run_result what the program gave back
 * @error the kernel refuses the packet or the context
 * @raise what the type of program cannot be given
 * @kernel 5.14 for "syscall" programs
 * @usage
 * local object <close> = assert(bpf.load "programs.bpf.o")
 * local result = assert(object.programs.count_xdp:run { data = ("\0"):rep(64) })
 * print(result.retval)
 */
static int program_run(lua_State *L)
{
	static const struct lb_option known[] = {
		{ "data", LUA_TSTRING, lb_any_bytes }, { "ctx", LUA_TSTRING, lb_any_bytes },
		{ "times", LUA_TNUMBER, NULL }, { NULL, 0, NULL },
	};
	static const struct lb_runtype unknown = { .can = LB_RUN_CTX };
	const struct program *h = check_program(L, 1);
	const struct lb_runtype *t = lb_runtype(h->p.type);
	struct lb_run run = { 0 };
	struct lb_log log;
	int err;

	lua_settop(L, 2);
	if (!lb_options(L, 2, "program:run", known)) {
		lua_newtable(L);
		lua_replace(L, 2);
	}
	run.data = check_bytes(L, "data", &run.data_size);
	run.ctx = check_bytes(L, "ctx", &run.ctx_size);
	run.times = (uint32_t)lb_option_integer(L, 2, "program:run", "times", 1, INT32_MAX, 1);
	if (t)
		check_fits(L, h, t, &run);
	else
		t = &unknown;
	make_room(L, t, &run);
	lb_log_begin(&log);
	err = lb_testrun(&h->p, &run, &log);
	lb_log_end(&log);
	if (err)
		return lb_log_fail(L, err, &log, "%s: run", name_of(L, 1));
	push_result(L, t, &run);
	return 1;
}

static const luaL_Reg methods[] = {
	{ "attach", program_attach },
	{ "close", program_close },
	{ "fd", program_fd },
	{ "info", program_info },
	{ "pin", program_pin },
	{ "run", program_run },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", program_gc },
	{ "__close", program_gc },
	{ "__tostring", program_tostring },
	{ NULL, NULL },
};

void lb_open_program(lua_State *L)
{
	lb_newclass(L, LB_PROGRAM, methods, meta);
	lb_class_fd(L, LB_PROGRAM, offsetof(struct program, p.fd));
	luaL_getmetatable(L, LB_PROGRAM);
	lua_getfield(L, -1, "__index");
	lua_pushcclosure(L, program_index, 1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, program_open);
	lua_setfield(L, -2, "open_program");
}
