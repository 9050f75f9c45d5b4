/* SPDX-License-Identifier: MIT */
/*
 * The Lua side of fault injection, in the preloaded library itself:
 * package.loadlib gives it as a table of functions. Besides the faults of
 * shim.c there are allocations of Lua that fail, hooks that raise, signals,
 * limits, seccomp filters, file systems that are gone; and children to try them
 * in, for nothing of it can be undone.
 */
#include "shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <lua.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- faults of calls ------------------------------------------------------------- */

/* What call() begins with. */
static struct {
	int kind, err;
	long at;
	bool lasting;
} calls = { .kind = -1 };

/* arm(kind, at, errno, lasting): see shim.h. */
static int arm(lua_State *L)
{
	calls.kind = (int)luaL_checkinteger(L, 1);
	calls.at = (long)luaL_checkinteger(L, 2);
	calls.err = (int)luaL_optinteger(L, 3, 0);
	calls.lasting = lua_toboolean(L, 4);
	return 0;
}

/* How often each kind was called within call(), by its number. */
static int counts(lua_State *L)
{
	lua_newtable(L);
	for (int kind = 0; kind < KINDS; kind++) {
		lua_pushinteger(L, faults_count(kind));
		lua_rawseti(L, -2, kind);
	}
	return 1;
}

/* Whether a file below path, "/proc" or "/sys", was asked for within call(). */
static int touched(lua_State *L)
{
	lua_pushboolean(L, faults_touched(luaL_checkstring(L, 1)));
	return 1;
}

/* ---- Lua's allocations -------------------------------------------------------------- */

static struct {
	lua_Alloc real;
	void *data;
	long at, n, fired;
	bool lasting;
} memory;

/* What shrinks does not fail: Lua relies on it. */
static void *allocate(void *data, void *p, size_t old, size_t size)
{
	bool turn;

	(void)data;
	if (size == 0 || (p && size <= old))
		return memory.real(memory.data, p, old, size);
	memory.n++;
	turn = memory.at && memory.n >= memory.at && (memory.lasting || memory.n <= memory.at + 1);
	memory.fired += turn;
	return turn ? NULL : memory.real(memory.data, p, old, size);
}

/*
 * The at-th allocation of Lua fails, and the one after it, which Lua makes when
 * it has collected its garbage; with lasting all after it.
 */
static int allocations(lua_State *L)
{
	memory.at = (long)luaL_checkinteger(L, 1);
	memory.lasting = lua_toboolean(L, 2);
	return 0;
}

/* ---- hooks ------------------------------------------------------------------------------ */

static long hook_at, hook_n, hook_fired;
static int call(lua_State *L);

/* Where the hook has raised. */
static struct {
	char text[512];		/* the innermost functions */
	bool last;		/* the end of what was called, what it closes there, or its caller */
} place_of_hook;

/* called: the name of what the outermost function has called. */
static bool is_at_end(const lua_Debug *event, int depth, const char *called)
{
	return depth == 0 || (depth == 1 && event->event == LUA_HOOKRET) ||
	       (depth > 1 && strcmp(called, "close") == 0);
}

/* Who calls luabpf: an operation or a spec. It is not there any more where that was a tail call. */
static bool is_outside(lua_State *L, const lua_Debug *ar)
{
	bool outside = lua_tocfunction(L, -1) == call ||
		       (*ar->what != 'C' && !strstr(ar->short_src, "lua/luabpf/"));

	lua_pop(L, 1);
	return outside;
}

static void note_place(lua_State *L, const lua_Debug *event)
{
	char *text = place_of_hook.text;
	const size_t room = sizeof(place_of_hook.text);
	size_t n = (size_t)snprintf(text, room, "%s of",
				    event->event == LUA_HOOKRET ? "return" : "call");
	char names[2][8] = { "", "" };	/* of the last two levels */
	lua_Debug ar;
	int level = 0;

	for (bool ours = true; ours && lua_getstack(L, level, &ar); level += ours) {
		lua_getinfo(L, "nSlf", &ar);
		ours = !is_outside(L, &ar);
		if (ours)
			snprintf(names[level % 2], sizeof(names[0]), "%s", ar.name ? ar.name : "");
		if (ours && n < room && level < 5)
			n += (size_t)snprintf(text + n, room - n, "%s %s (%s:%d)", level ? "," : "",
					      ar.name ? ar.name : "?", ar.short_src, ar.currentline);
	}
	place_of_hook.last = is_at_end(event, level, names[level % 2]);
}

static void raise_at(lua_State *L, lua_Debug *ar)
{
	if (++hook_n != hook_at)
		return;
	hook_fired++;
	note_place(L, ar);
	lua_sethook(L, NULL, 0, 0);
	luaL_error(L, "raised by the hook");
}

/* Where the hook has raised, as text, and whether that was the end of the call. */
static int place(lua_State *L)
{
	lua_pushstring(L, place_of_hook.text);
	lua_pushboolean(L, place_of_hook.last);
	return 2;
}

/* At the at-th call or return the hook raises. Coroutines made from then on have it too. */
static int hook(lua_State *L)
{
	hook_at = (long)luaL_checkinteger(L, 1);
	return 0;
}

/* ---- the call that the faults are for ----------------------------------------------------- */

static long fired;

static void begin(lua_State *L)
{
	memory.real = lua_getallocf(L, &memory.data);
	memory.n = memory.fired = hook_n = hook_fired = 0;
	lua_setallocf(L, allocate, NULL);
	lua_sethook(L, hook_at ? raise_at : NULL, LUA_MASKCALL | LUA_MASKRET, 0);
	faults_arm(calls.kind, calls.at, calls.err, calls.lasting);
}

static void end(lua_State *L)
{
	fired = faults_disarm() + memory.fired + hook_fired;
	lua_sethook(L, NULL, 0, 0);
	lua_setallocf(L, memory.real, memory.data);
	hook_at = memory.at = 0;
	calls.kind = -1;
}

/* call(f, ...): as pcall, with what was asked for while f runs, and not longer. */
static int call(lua_State *L)
{
	int status;

	luaL_checkany(L, 1);
	luaL_checkstack(L, 200, NULL);
	begin(L);
	status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
	end(L);
	lua_pushboolean(L, status == LUA_OK);
	lua_insert(L, 1);
	return lua_gettop(L);
}

/* How often that fired, and how many allocations and events there were. */
static int counted(lua_State *L)
{
	lua_pushinteger(L, fired);
	lua_pushinteger(L, memory.n);
	lua_pushinteger(L, hook_n);
	return 3;
}

/* ---- signals ------------------------------------------------------------------------------ */

static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

/* A signal that a handler takes, each time so many us have passed. */
static int storm(lua_State *L)
{
	struct sigaction action = { .sa_handler = on_signal };
	long us = (long)luaL_checkinteger(L, 1);
	struct itimerval timer = { { 0, us }, { 0, us } };

	signals = 0;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	return 0;
}

static int storm_end(lua_State *L)
{
	struct itimerval timer = { 0 };

	setitimer(ITIMER_REAL, &timer, NULL);
	lua_pushinteger(L, signals);
	return 1;
}

/* ---- limits, filters, file systems ----------------------------------------------------------- */

/*
 * Another user, whom limits of processes hold, with the capabilities that work
 * on maps and programs needs.
 */
static bool become_another(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { 0 };

	for (int cap = 0; cap <= CAP_BPF; cap++)
		if (cap == CAP_BPF || cap == CAP_PERFMON || cap == CAP_NET_ADMIN)
			data[cap / 32].effective |= 1u << cap % 32;
	data[0].permitted = data[0].effective;
	data[1].permitted = data[1].effective;
	return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setresuid(65534, 65534, 65534) == 0 &&
	       syscall(SYS_capset, &header, data) == 0;
}

/* limit(resource, value): of this process, from now on. */
static int limit(lua_State *L)
{
	static const char *const names[] = { "descriptors", "memory", "filesize", "processes", NULL };
	static const int resources[] = { RLIMIT_NOFILE, RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NPROC };
	int resource = resources[luaL_checkoption(L, 1, NULL, names)];
	rlim_t value = (rlim_t)luaL_checkinteger(L, 2);
	struct rlimit to = { value, value };

	lua_pushboolean(L, (resource != RLIMIT_NPROC || become_another()) &&
			   setrlimit(resource, &to) == 0);
	return 1;
}

/*
 * refuse(system call, argument or -1, errno): the kernel answers so before it
 * looks, if the first argument is that one. Lasts as long as the process.
 */
static int refuse(lua_State *L)
{
	unsigned int number = (unsigned int)luaL_checkinteger(L, 1);
	lua_Integer argument = luaL_checkinteger(L, 2);
	unsigned int err = (unsigned int)luaL_checkinteger(L, 3);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)argument, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (argument < 0)
		code[1].jt = 2;
	lua_pushboolean(L, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
			   syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0);
	return 1;
}

/* An empty folder lies over path, for this process only, until unmask(path). */
static int mask(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);

	lua_pushboolean(L, unshare(CLONE_NEWNS) == 0 &&
			   mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
			   mount("tmpfs", path, "tmpfs", 0, NULL) == 0);
	return 1;
}

static int unmask(lua_State *L)
{
	lua_pushboolean(L, umount2(luaL_checkstring(L, 1), MNT_DETACH) == 0);
	return 1;
}

/* ---- what is left ----------------------------------------------------------------------------- */

static long entries_of(const char *path)
{
	DIR *folder = opendir(path);
	long n = -2;

	if (!folder)
		return 0;
	while (readdir(folder))
		n++;
	closedir(folder);
	return n;
}

static long mappings_of_maps(void)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[4096];
	long n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += strstr(line, "bpf-map") != NULL;
	if (file)
		fclose(file);
	return n;
}

/* No try opens more. */
#define DESCRIPTORS 256

/* What this process holds: descriptors, threads, mapped maps; how many of each. */
static int held(lua_State *L)
{
	int n = 0;

	for (int fd = 0; fd < DESCRIPTORS; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	lua_pushinteger(L, n);
	lua_pushinteger(L, entries_of("/proc/self/task"));
	lua_pushinteger(L, mappings_of_maps());
	return 3;
}

/* What the last descriptor is. */
static int last(lua_State *L)
{
	char path[64], target[256];
	int fd = DESCRIPTORS - 1;
	ssize_t length;

	while (fd > 0 && fcntl(fd, F_GETFD) < 0)
		fd--;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target));
	lua_pushlstring(L, target, length > 0 ? (size_t)length : 0);
	return 1;
}

/* folder(path) makes one; files(path): the names in one. */
static int folder(lua_State *L)
{
	lua_pushboolean(L, mkdir(luaL_checkstring(L, 1), 0700) == 0);
	return 1;
}

static int files(lua_State *L)
{
	DIR *d = opendir(luaL_checkstring(L, 1));
	struct dirent *entry;
	int n = 0;

	lua_newtable(L);
	while (d && (entry = readdir(d)))
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
			lua_pushstring(L, entry->d_name);
			lua_rawseti(L, -2, ++n);
		}
	if (d)
		closedir(d);
	return 1;
}

/* Bytes of address space that this process has. */
static int space(lua_State *L)
{
	FILE *file = fopen("/proc/self/statm", "re");
	long pages = 0;

	if (file && fscanf(file, "%ld", &pages) != 1)
		pages = 0;
	if (file)
		fclose(file);
	lua_pushinteger(L, pages * sysconf(_SC_PAGESIZE));
	return 1;
}

static int pid(lua_State *L)
{
	lua_pushinteger(L, getpid());
	return 1;
}

/* ---- children ------------------------------------------------------------------------------- */

/* Where a child tells its parent something. */
static int telling = -1;

/* tell(text): what run gives in the parent. */
static int tell(lua_State *L)
{
	size_t size;
	const char *text = luaL_checklstring(L, 1, &size);

	for (ssize_t n; size > 0 && (n = write(telling, text, size)) > 0; size -= (size_t)n)
		text += n;
	return 0;
}

/* In the child: what f tells goes to out; what it prints is in noise. */
__attribute__((noreturn))
static void child(lua_State *L, int out, int noise)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	telling = out;
	dup2(noise, 1);
	dup2(noise, 2);
	if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
		lua_pushfstring(L, "problem=the harness: %s\n", lua_tostring(L, -1));
		lua_replace(L, 1);
		tell(L);
	}
	_exit(0);
}

/* What comes out of fd until it is closed; false when nothing does for so many ms. */
static bool collect(lua_State *L, int fd, int ms)
{
	struct pollfd wait = { fd, POLLIN, 0 };
	char part[4096];
	luaL_Buffer b;
	ssize_t n = 1;

	luaL_buffinit(L, &b);
	while (n > 0 && poll(&wait, 1, ms) > 0)
		if ((n = read(fd, part, sizeof(part))) > 0)
			luaL_addlstring(&b, part, (size_t)n);
	luaL_pushresult(&b);
	return n == 0;
}

static void push_noise(lua_State *L, int fd)
{
	char text[2048];
	ssize_t n = pread(fd, text, sizeof(text), 0);

	lua_pushlstring(L, text, n > 0 ? (size_t)n : 0);
}

static void push_end(lua_State *L, bool in_time, int status)
{
	if (!in_time)
		lua_pushliteral(L, "hang");
	else if (WIFSIGNALED(status))
		lua_pushfstring(L, "killed by signal %d", WTERMSIG(status));
	else
		lua_pushfstring(L, "exit %d", WEXITSTATUS(status));
}

/*
 * A child that is forked has its parent's pages, and a fault for each that it
 * writes to: with Lua's heap, which a collection marks all of, that takes longer
 * than most tries, on virtual machines ten times as long. So the heap lies in
 * huge pages, does not come along (fork_bare), and is copied in one go
 * (copy_heap). Before that the child must not touch it: what it calls till then
 * has been looked up, and fork's handlers are left out.
 */
static struct {
	char *from;
	size_t size;
	pid_t owner;
	__typeof__(&_Fork) fork;
	__typeof__(&mmap) map;
	__typeof__(&madvise) advise;
	__typeof__(&process_vm_readv) read;
	__typeof__(&_exit) leave;
} heap;

#define HUGE (2ul << 20)
/* What the heap grows by. */
#define HEAP (2 * HUGE)
/* Newer than some headers. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* What malloc gives from now on is in a heap that huge pages fit, but for large blocks. */
__attribute__((constructor))
static void begin_heap(void)
{
	size_t askew = (uintptr_t)sbrk(0) % HUGE;

	if (sbrk((intptr_t)(HUGE - askew)) == (void *)-1)
		return;
	heap.from = sbrk(0);
	mallopt(M_TOP_PAD, HEAP);
	mallopt(M_TRIM_THRESHOLD, 4 * HEAP);
	heap.fork = dlsym(RTLD_NEXT, "_Fork");
	heap.map = dlsym(RTLD_NEXT, "mmap");
	heap.advise = dlsym(RTLD_NEXT, "madvise");
	heap.read = dlsym(RTLD_NEXT, "process_vm_readv");
	heap.leave = dlsym(RTLD_NEXT, "_exit");
}

/* Once what is loaded is loaded. */
static void settle_heap(void)
{
	size_t size = (size_t)((char *)sbrk(0) - heap.from);

	if (size != heap.size) {
		madvise(heap.from, size, MADV_HUGEPAGE);
		madvise(heap.from, size & ~(HUGE - 1), MADV_COLLAPSE);
	}
	heap.size = size;
	heap.owner = getpid();
}

static void copy_heap(void)
{
	struct iovec part = { heap.from, heap.size };

	if (heap.map(heap.from, heap.size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != heap.from)
		heap.leave(70);
	heap.advise(heap.from, heap.size, MADV_HUGEPAGE);
	if (heap.read(heap.owner, &part, 1, &part, 1, 0) != (ssize_t)heap.size)
		heap.leave(70);
}

static pid_t fork_bare(void)
{
	pid_t one;

	if (!heap.fork)
		return fork();
	settle_heap();
	if (madvise(heap.from, heap.size, MADV_DONTFORK) < 0)
		return fork();
	one = heap.fork();
	if (one == 0)
		copy_heap();
	return one;
}

/* The parent does not touch its heap either, until the child has a copy. */
static void tell_of_heap(int out)
{
	while (write(out, "", 1) < 0 && errno == EINTR)
		;
}

static void wait_for_heap(int in)
{
	char byte;

	while (read(in, &byte, 1) < 0 && errno == EINTR)
		;
}

/*
 * run(f, seconds): calls f in a child. What it told, how it ended ("exit 0",
 * "killed by signal 11"; "hang": it told nothing for so long), what it printed.
 */
static int run(lua_State *L)
{
	int ends[2], noise = memfd_create("noise", MFD_CLOEXEC), status = 0;
	int ms = (int)(luaL_checknumber(L, 2) * 1000);
	bool in_time;
	pid_t one;

	lua_settop(L, 1);
	if (noise < 0 || pipe2(ends, O_CLOEXEC) < 0 || (one = fork_bare()) < 0)
		return luaL_error(L, "no child: %s", strerror(errno));
	if (one == 0) {
		close(ends[0]);
		tell_of_heap(ends[1]);
		child(L, ends[1], noise);
	}
	close(ends[1]);
	wait_for_heap(ends[0]);
	in_time = collect(L, ends[0], ms);
	if (!in_time)
		kill(one, SIGKILL);
	waitpid(one, &status, 0);
	close(ends[0]);
	push_end(L, in_time, status);
	push_noise(L, noise);
	close(noise);
	return 3;
}

/* fork(): 0 in the child; wait(child): how it ended; leave(status) ends it. */
static int fork_here(lua_State *L)
{
	lua_pushinteger(L, fork());
	return 1;
}

static int wait_for(lua_State *L)
{
	int status = 0;

	waitpid((pid_t)luaL_checkinteger(L, 1), &status, 0);
	push_end(L, true, status);
	return 1;
}

__attribute__((noreturn))
static int leave(lua_State *L)
{
	_exit((int)luaL_checkinteger(L, 1));
}

static const luaL_Reg functions[] = {
	{ "arm", arm }, { "counts", counts }, { "allocations", allocations }, { "hook", hook },
	{ "place", place },
	{ "call", call }, { "counted", counted }, { "storm", storm }, { "storm_end", storm_end },
	{ "limit", limit }, { "refuse", refuse }, { "mask", mask }, { "unmask", unmask },
	{ "held", held }, { "last", last }, { "run", run }, { "fork", fork_here }, { "wait", wait_for },
	{ "leave", leave }, { "folder", folder }, { "files", files }, { "space", space },
	{ "pid", pid }, { "tell", tell }, { "touched", touched }, { NULL, NULL },
};

__attribute__((visibility("default"))) int luaopen_faults(lua_State *L);

int luaopen_faults(lua_State *L)
{
	luaL_newlib(L, functions);
	lua_newtable(L);
	for (int kind = KIND_OTHER; kind < KINDS; kind++) {
		lua_pushinteger(L, kind);
		lua_setfield(L, -2, kind_names[kind - KIND_OTHER]);
	}
	lua_setfield(L, -2, "kinds");
	return 1;
}
