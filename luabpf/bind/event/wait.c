/* SPDX-License-Identifier: MIT */
/***
 * The classes luabpf.signals and luabpf.timer, descriptors that become
 * readable (signalfd(2), timerfd_create(2)), and core.poll, which waits for
 * several. lua/luabpf/event/wait.lua adds timeouts.
 *
 * @module luabpf.bind.event.wait
 */
#include "bind/base.h"
#include "lib/kernel/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define LB_SIGNALS "luabpf.signals"
#define LB_TIMER "luabpf.timer"
/* More descriptors than these are in memory of Lua's. */
#define LOCAL_FDS 64

struct signals {
	int fd;			/* -1: closed */
	sigset_t taken;
};

/*
 * How many handles of this thread take a signal, and whether it was the first of them
 * that blocked it: the last one lets it through again then.
 */
static _Thread_local struct {
	unsigned int handles;
	bool blocked;
} takers[NSIG];

struct timer {
	int fd;
};

static const struct {
	const char *name;
	int number;
} known[] = {
	{ "ALRM", SIGALRM }, { "CHLD", SIGCHLD }, { "CONT", SIGCONT }, { "HUP", SIGHUP },
	{ "INT", SIGINT },   { "PIPE", SIGPIPE }, { "QUIT", SIGQUIT }, { "TERM", SIGTERM },
	{ "TSTP", SIGTSTP }, { "TTIN", SIGTTIN }, { "TTOU", SIGTTOU }, { "URG", SIGURG },
	{ "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "WINCH", SIGWINCH },
};

#define NKNOWN (sizeof(known) / sizeof(known[0]))

/* ---- signals ---------------------------------------------------------------- */

static int check_signal(lua_State *L, int arg)
{
	const char *name = lua_tostring(L, arg);

	if (!name)
		return lb_misuse(L, "signals: name of a signal expected, got %s",
				 luaL_typename(L, arg));
	for (size_t i = 0; i < NKNOWN; i++)
		if (strcmp(known[i].name, name) == 0 && strlen(name) == lua_rawlen(L, arg))
			return known[i].number;
	return lb_misuse(L, "signals: no signal \"%s\" (as in \"TERM\")", name);
}

static sigset_t check_signals(lua_State *L)
{
	sigset_t wanted;
	int n = lua_gettop(L);

	if (lua_isnone(L, 1))
		lb_misuse(L, "signals: name of a signal expected");
	sigemptyset(&wanted);
	for (int i = 1; i <= n; i++)
		sigaddset(&wanted, check_signal(L, i));
	return wanted;
}

/* Blocks the signals, for one handle more. */
static void take(const sigset_t *wanted)
{
	sigset_t before;

	pthread_sigmask(SIG_BLOCK, wanted, &before);
	for (int i = 1; i < NSIG; i++)
		if (sigismember(wanted, i) == 1 && takers[i].handles++ == 0)
			takers[i].blocked = !sigismember(&before, i);
}

/* One handle fewer: lets through what the handles had blocked. */
static void give_back(const sigset_t *taken)
{
	sigset_t freed;

	sigemptyset(&freed);
	for (int i = 1; i < NSIG; i++)
		if (sigismember(taken, i) == 1 && --takers[i].handles == 0 && takers[i].blocked)
			sigaddset(&freed, i);
	pthread_sigmask(SIG_UNBLOCK, &freed, NULL);
}

/*
 * core.signals(name...): takes the signals in place of their handlers, in this
 * thread, until it is closed; nil, message, errno.
 */
static int signals_new(lua_State *L)
{
	sigset_t wanted = check_signals(L);
	struct signals *s = lua_newuserdatauv(L, sizeof(*s), 0);

	s->fd = -1;
	luaL_setmetatable(L, LB_SIGNALS);
	s->fd = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->fd < 0)
		return lb_fail(L, errno, "signals");
	s->taken = wanted;
	take(&wanted);
	return 1;
}

static struct signals *check_open_signals(lua_State *L)
{
	struct signals *s = lb_checkudata(L, 1, LB_SIGNALS);

	if (s->fd < 0)
		lb_is_closed(L, "handle of signals");
	return s;
}

/* What came of reading: nothing as long as nothing is there; else nil, the reason and errno. */
static int nothing_read(lua_State *L)
{
	return errno == EAGAIN || errno == EINTR ? 0 : lb_refuse(L, errno);
}

/* core.signals_take(signals): the name of one that came, or nil; nil, reason, errno. */
static int signals_take(lua_State *L)
{
	struct signals *s = check_open_signals(L);
	struct signalfd_siginfo info;

	if (read(s->fd, &info, sizeof(info)) != sizeof(info))
		return nothing_read(L);
	for (size_t i = 0; i < NKNOWN; i++) {
		if (known[i].number == (int)info.ssi_signo) {
			lua_pushstring(L, known[i].name);
			return 1;
		}
	}
	return 0;
}

/***
 * The descriptor that is readable when a signal has come.
 * @function signals:pollfd
 * @treturn integer the descriptor, which stays the handle's
 * @usage
 * local stop <close> = bpf.signals "USR1"
 * print(stop:pollfd())
 */
static int signals_pollfd(lua_State *L)
{
	lua_pushinteger(L, check_open_signals(L)->fd);
	return 1;
}

static void close_signals(struct signals *s)
{
	if (s->fd < 0)
		return;
	close(s->fd);
	s->fd = -1;
	give_back(&s->taken);
}

/***
 * Lets the signals through again, unless another handle takes them; one that has come and was not
 * taken is delivered. Again does nothing.
 * @function signals:close
 * @treturn true it is closed
 * @usage
 * bpf.signals("USR1"):close()
 */
static int signals_close(lua_State *L)
{
	close_signals(lb_checkudata(L, 1, LB_SIGNALS));
	lua_pushboolean(L, true);
	return 1;
}

static int signals_closer(lua_State *L)
{
	close_signals(lb_checkudata(L, 1, LB_SIGNALS));
	return 0;
}

/* ---- timers ------------------------------------------------------------------ */

/* core.timer(ns): due every ns nanoseconds, first after as many; nil, message, errno. */
static int timer_new(lua_State *L)
{
	lua_Integer ns = lb_check_int(L, 1, 1, LUA_MAXINTEGER);
	struct timespec every = lb_timespec((uint64_t)ns);
	struct itimerspec spec = { .it_interval = every, .it_value = every };
	struct timer *t = lua_newuserdatauv(L, sizeof(*t), 0);

	t->fd = -1;
	luaL_setmetatable(L, LB_TIMER);
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (t->fd < 0 || timerfd_settime(t->fd, 0, &spec, NULL) < 0)
		return lb_fail(L, errno, "timer");
	return 1;
}

static struct timer *check_open_timer(lua_State *L)
{
	struct timer *t = lb_checkudata(L, 1, LB_TIMER);

	if (t->fd < 0)
		lb_is_closed(L, "timer");
	return t;
}

/* core.timer_take(timer): how often it was due since it was asked, or nil; nil, reason, errno. */
static int timer_take(lua_State *L)
{
	struct timer *t = check_open_timer(L);
	uint64_t n;

	if (read(t->fd, &n, sizeof(n)) != sizeof(n))
		return nothing_read(L);
	lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

/***
 * The descriptor that is readable when the timer is due.
 * @function timer:pollfd
 * @treturn integer the descriptor, which stays the timer's
 * @usage
 * local tick <close> = bpf.timer "1s"
 * print(tick:pollfd())
 */
static int timer_pollfd(lua_State *L)
{
	lua_pushinteger(L, check_open_timer(L)->fd);
	return 1;
}

static void close_timer(struct timer *t)
{
	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
}

/***
 * Ends the timer. Again does nothing.
 * @function timer:close
 * @treturn true it is closed
 * @usage
 * bpf.timer("1s"):close()
 */
static int timer_close(lua_State *L)
{
	close_timer(lb_checkudata(L, 1, LB_TIMER));
	lua_pushboolean(L, true);
	return 1;
}

static int timer_closer(lua_State *L)
{
	close_timer(lb_checkudata(L, 1, LB_TIMER));
	return 0;
}

/* ---- waiting for several ------------------------------------------------------ */

static int push_ready(lua_State *L, const struct pollfd *fds, int n)
{
	lua_Integer found = 0;

	lua_newtable(L);
	for (int i = 0; i < n; i++) {
		if (!fds[i].revents)
			continue;
		lua_pushinteger(L, i + 1);
		lua_rawseti(L, -2, ++found);
	}
	return 1;
}

/* What the text at the top says, which it pops: of "r", "w" and "p"; readable where there is none. */
static short pop_events(lua_State *L)
{
	const char *s = lua_tostring(L, -1);
	short events = s ? 0 : POLLIN;

	for (; s && *s; s++)
		events |= *s == 'r' ? POLLIN : *s == 'w' ? POLLOUT : *s == 'p' ? POLLPRI : 0;
	lua_pop(L, 1);
	return events;
}

static struct pollfd to_pollfd(lua_State *L, int i)
{
	struct pollfd fd = { .events = POLLIN };

	lua_rawgeti(L, 1, i);
	fd.fd = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (lua_istable(L, 3)) {
		lua_rawgeti(L, 3, i);
		fd.events = pop_events(L);
	}
	return fd;
}

static bool has_invalid(const struct pollfd *fds, int n)
{
	for (int i = 0; i < n; i++)
		if (fds[i].revents & POLLNVAL)
			return true;
	return false;
}

/*
 * core.poll(fds, ms, events): the list of places in fds that are ready for what their text in
 * the list of events says; without that list, to be read. nil, message, errno.
 */
static int system_poll(lua_State *L)
{
	struct pollfd local[LOCAL_FDS], *fds;
	int ms = (int)lb_check_int(L, 2, 0, INT32_MAX), n, rc;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 3);
	n = (int)lua_rawlen(L, 1);
	fds = lb_scratch(L, (size_t)n * sizeof(*fds), local, sizeof(local));
	for (int i = 0; i < n; i++)
		fds[i] = to_pollfd(L, i + 1);
	rc = poll(fds, (nfds_t)n, ms);
	if (rc >= 0 && !has_invalid(fds, n))
		return push_ready(L, fds, n);
	return lb_fail(L, rc < 0 ? errno : EBADF, "poll");
}

static const luaL_Reg signals_methods[] = {
	{ "pollfd", signals_pollfd },
	{ "close", signals_close },
	{ NULL, NULL },
};

static const luaL_Reg signals_meta[] = {
	{ "__gc", signals_closer },
	{ "__close", signals_closer },
	{ NULL, NULL },
};

static const luaL_Reg timer_methods[] = {
	{ "pollfd", timer_pollfd },
	{ "close", timer_close },
	{ NULL, NULL },
};

static const luaL_Reg timer_meta[] = {
	{ "__gc", timer_closer },
	{ "__close", timer_closer },
	{ NULL, NULL },
};

static const luaL_Reg functions[] = {
	{ "signals", signals_new },
	{ "signals_take", signals_take },
	{ "timer", timer_new },
	{ "timer_take", timer_take },
	{ "poll", system_poll },
	{ NULL, NULL },
};

void lb_open_wait(lua_State *L)
{
	lb_newclass(L, LB_SIGNALS, signals_methods, signals_meta);
	lb_newclass(L, LB_TIMER, timer_methods, timer_meta);
	luaL_setfuncs(L, functions, 0);
}
