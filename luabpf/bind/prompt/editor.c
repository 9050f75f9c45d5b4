/* SPDX-License-Identifier: MIT */
/*
 * Lines that are edited: the system's readline or libedit, which has the same functions. Neither is
 * linked: what the interpreter has itself is taken, else one is looked for when the prompt begins;
 * with none the prompt reads plain lines.
 *
 * A line is read by the library's callbacks, a key at a time as this waits for it, so that Ctrl-C
 * can end a line: it is blocked but for the wait. While a line is read nothing may raise across the
 * library's frames: its completion calls Lua protected.
 *
 * The library is called in the locale of the environment, by which it knows what bytes make a
 * character; without one libedit drops all that is not ASCII. It is this thread's for that time
 * alone: what scripts see, as string.upper and the classes of patterns, stays what it was.
 */
#include "bind/base.h"
#include "bind/prompt/interrupt.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

typedef char **completion_fn(const char *text, int start, int end);

/* Of a prompt: readline does not bound what it copies. */
#define LONGEST_PROMPT 200

/* Words of Lua that are completed end at these. */
#define BREAKS " \t\n\"'`()[]{}<>=~+-*/%^#&|;:,.@$!?\\"

static struct {
	bool tried, there;
	void *library; /* RTLD_DEFAULT where it is the interpreter's */
	void (*install)(const char *prompt, void (*line)(char *));
	void (*remove)(void);
	void (*read_char)(void);
	void (*add_history)(const char *line);
	char **buffer;
	int *point;
	completion_fn **attempted;
	int *attempted_over, *append;
	const char **breaks;
	/* What not all versions have. */
	void (*free_line_state)(void), (*sigcleanup)(void), (*cleanup)(void);
	int (*check_signals)(void);
	void (*bind)(const char *variable, const char *value);
	int *catch_signals;
	const char **quotes, **version;
	locale_t locale; /* of the environment; NULL where that names none */
} rl;

/* The line that is read: L is NULL between lines. */
static struct {
	lua_State *L;
	int complete; /* the index of the function that completes */
	bool done;
	char *line; /* of malloc; NULL at the end of input */
} reading;

static const char *const libraries[] = { "libreadline.so.8", "libreadline.so.7",
					 "libreadline.so",   "libedit.so.2",
					 "libedit.so.0",     "libedit.so" };

/* ---- finding it ---------------------------------------------------------- */

/* dlsym gives functions and variables alike, as POSIX has it. */
static void find(const char *name, void *at)
{
	void *symbol = dlsym(rl.library, name);

	memcpy(at, &symbol, sizeof(symbol));
}

static bool found(void *library)
{
	rl.library = library;
	find("rl_callback_handler_install", &rl.install);
	find("rl_callback_handler_remove", &rl.remove);
	find("rl_callback_read_char", &rl.read_char);
	find("add_history", &rl.add_history);
	find("rl_line_buffer", &rl.buffer);
	find("rl_point", &rl.point);
	find("rl_attempted_completion_function", &rl.attempted);
	find("rl_attempted_completion_over", &rl.attempted_over);
	find("rl_completion_append_character", &rl.append);
	find("rl_completer_word_break_characters", &rl.breaks);
	find("rl_free_line_state", &rl.free_line_state);
	find("rl_callback_sigcleanup", &rl.sigcleanup);
	find("rl_cleanup_after_signal", &rl.cleanup);
	find("rl_check_signals", &rl.check_signals);
	find("rl_variable_bind", &rl.bind);
	find("rl_catch_signals", &rl.catch_signals);
	find("rl_basic_quote_characters", &rl.quotes);
	find("rl_library_version", &rl.version);
	return rl.install && rl.remove && rl.read_char && rl.add_history && rl.buffer && rl.point &&
	       rl.attempted && rl.attempted_over && rl.append && rl.breaks;
}

/*
 * Finds a library whose name begins as wanted, or any. Its own symbols come first: the
 * interpreter may have those of another one.
 */
static bool find_library(const char *wanted)
{
	if (!wanted && found(RTLD_DEFAULT))
		return true;
	for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		void *library;

		if (wanted && strncmp(libraries[i] + 3, wanted, strlen(wanted)) != 0)
			continue;
		library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
		if (library && found(library))
			return true;
		if (library)
			dlclose(library);
	}
	return false;
}

/* ---- completion ------------------------------------------------------------- */

struct request {
	int start;
	char **matches;
	size_t n;
};

static void forget(struct request *r)
{
	for (size_t i = 0; i < r->n; i++)
		free(r->matches[i]);
	free(r->matches);
	r->matches = NULL;
	r->n = 0;
}

static void add(struct request *r, const char *text)
{
	r->matches[r->n] = strdup(text);
	if (r->matches[r->n])
		r->n++;
}

/* matches[0] is to be what all of them begin with; without memory, what it is. */
static void set_common(struct request *r)
{
	size_t same = strlen(r->matches[1]);
	char *common;

	for (size_t i = 2; i < r->n; i++) {
		size_t k = 0;

		while (k < same && r->matches[i][k] == r->matches[1][k])
			k++;
		same = k;
	}
	common = strndup(r->matches[1], same);
	if (!common)
		return;
	free(r->matches[0]);
	r->matches[0] = common;
}

/* The bytes before a place in the line: libedit counts characters, readline bytes. */
static size_t bytes_before(int place)
{
	const char *at = *rl.buffer;

	if (!rl.version || !strstr(*rl.version, "EditLine"))
		return (size_t)place;
	for (; place > 0 && *at; place--) {
		int n = mblen(at, MB_CUR_MAX);

		at += n > 0 ? n : 1;
	}
	return (size_t)(at - *rl.buffer);
}

/* With the request as light userdata: asks Lua; may raise. */
static int ask(lua_State *L)
{
	struct request *r = lua_touserdata(L, 1);
	lua_Integer n;

	lua_pushvalue(L, 2);
	lua_pushlstring(L, *rl.buffer, bytes_before(*rl.point));
	lua_pushinteger(L, (lua_Integer)bytes_before(r->start));
	lua_pushstring(L, *rl.buffer + bytes_before(*rl.point));
	lua_call(L, 3, 1);
	if (!lua_istable(L, -1) || lua_rawlen(L, -1) == 0)
		return 0;
	n = (lua_Integer)lua_rawlen(L, -1);
	r->matches = calloc((size_t)n + 2, sizeof(char *));
	if (!r->matches)
		return 0;
	add(r, ""); /* the place of what they have in common */
	for (lua_Integer i = 1; i <= n; i++) {
		lua_rawgeti(L, -1, i);
		if (lua_type(L, -1) == LUA_TSTRING)
			add(r, lua_tostring(L, -1));
		lua_pop(L, 1);
	}
	return 0;
}

static char **complete(const char *text, int start, int end)
{
	struct request r = { .start = start };
	lua_State *L = reading.L;

	(void)text;
	(void)end;
	*rl.attempted_over = 1;
	*rl.append = '\0';
	if (!L || !lua_checkstack(L, 4))
		return NULL;
	lua_pushcfunction(L, ask);
	lua_pushlightuserdata(L, &r);
	lua_pushvalue(L, reading.complete);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
		lua_pop(L, 1);
		forget(&r);
	}
	if (r.n < 2) {
		forget(&r);
		return NULL;
	}
	set_common(&r);
	if (r.n == 2) {
		free(r.matches[1]);
		r.matches[1] = NULL;
	}
	return r.matches;
}

/* ---- the locale ---------------------------------------------------------------- */

struct locales {
	locale_t thread;
	char process[64]; /* readline sets that of the process when it begins */
};

static void enter_locale(struct locales *before)
{
	snprintf(before->process, sizeof(before->process), "%s", setlocale(LC_CTYPE, NULL));
	before->thread = uselocale(rl.locale ? rl.locale : (locale_t)0);
}

static void leave_locale(const struct locales *before)
{
	uselocale(before->thread);
	if (strcmp(setlocale(LC_CTYPE, NULL), before->process) != 0)
		setlocale(LC_CTYPE, before->process);
}

/* ---- reading a line ------------------------------------------------------------ */

static void got_line(char *line)
{
	reading.line = line;
	reading.done = true;
	rl.remove();
}

/* Waits for a key with Ctrl-C let through: false if that came. */
static bool key_comes(const sigset_t *mask)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };

	while (!lb_interrupted()) {
		if (ppoll(&input, 1, NULL, mask) > 0)
			return true;
		if (rl.check_signals)
			rl.check_signals(); /* the window was resized */
	}
	return false;
}

/* Whether nothing can come any more: a terminal that is gone, a pipe that is empty and closed. */
static bool input_is_gone(void)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	int left;

	if (poll(&input, 1, 0) <= 0 || !(input.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return false;
	return ioctl(STDIN_FILENO, FIONREAD, &left) < 0 || left == 0;
}

/* The mark stands at the end of what was typed: the library goes to the begin of the line. */
static void give_up(void)
{
	static const char mark[] = "^C";
	ssize_t n = write(STDOUT_FILENO, mark, sizeof(mark) - 1);

	(void)n;
	if (rl.free_line_state)
		rl.free_line_state();
	if (rl.sigcleanup)
		rl.sigcleanup();
	if (rl.cleanup)
		rl.cleanup();
	rl.remove();
}

/* Whether a line was read, or the end of input; false for Ctrl-C. */
static bool read_keys(const char *prompt)
{
	sigset_t blocked, mask;
	struct locales before;
	bool came = true;

	enter_locale(&before);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	pthread_sigmask(SIG_BLOCK, &blocked, &mask);
	sigdelset(&mask, SIGINT);
	rl.install(prompt, got_line);
	while (!reading.done && (came = key_comes(&mask))) {
		rl.read_char();
		/* libedit does not say that the input has ended. */
		if (!reading.done && input_is_gone())
			got_line(NULL);
	}
	if (!came)
		give_up();
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	leave_locale(&before);
	return came;
}

/*
 * core.read_line(prompt, complete): a line; nil at the end of input, false for Ctrl-C. complete is
 * called with what stands before the cursor, where the word begins that is to be completed, from
 * 0, and what stands after the cursor; it gives a list of what may stand in that word's place.
 */
static int read_line(lua_State *L)
{
	size_t length;
	const char *prompt = luaL_checklstring(L, 1, &length);
	bool came;

	luaL_argcheck(L, length <= LONGEST_PROMPT, 1, "the prompt is too long");
	luaL_checktype(L, 2, LUA_TFUNCTION);
	if (!rl.there || reading.L)
		return luaL_error(L, "read_line: no library, or a line is being read");
	free(reading.line);
	reading.line = NULL;
	reading.done = false;
	reading.complete = 2;
	lua_settop(L, 2);
	reading.L = L;
	came = read_keys(prompt);
	reading.L = NULL;
	if (!came)
		lua_pushboolean(L, false);
	else if (!reading.line)
		luaL_pushfail(L);
	else
		lua_pushstring(L, reading.line);
	return 1;
}

/* core.add_history(line) */
static int add_history(lua_State *L)
{
	const char *line = luaL_checkstring(L, 1);
	struct locales before;

	if (!rl.there)
		return 0;
	enter_locale(&before);
	rl.add_history(line);
	leave_locale(&before);
	return 0;
}

static void set_up(void)
{
	rl.locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	*rl.attempted = complete;
	*rl.breaks = BREAKS;
	if (rl.catch_signals)
		*rl.catch_signals = 0;
	if (rl.quotes) /* a word after one would be closed, whatever it is the begin of */
		*rl.quotes = "";
	if (rl.bind) {
		rl.bind("show-all-if-ambiguous", "on");
		rl.bind("enable-bracketed-paste", "on");
		rl.bind("blink-matching-paren", "off");
	}
}

/* core.editor([name]): whether lines can be edited; by "readline" or "edit" if one is named. */
static int editor(lua_State *L)
{
	const char *wanted = luaL_optstring(L, 1, NULL);

	if (!rl.tried) {
		rl.tried = true;
		rl.there = find_library(wanted);
		if (rl.there)
			set_up();
	}
	lua_pushboolean(L, rl.there);
	return 1;
}

/*
 * core.append_private(path, text): whether it was added to the file, which is made for its owner
 * alone, and is none of somebody else's.
 */
static int append_private(lua_State *L)
{
	const char *path = lb_check_path(L, 1);
	size_t n;
	const char *text = luaL_checklstring(L, 2, &n);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat st;
	bool ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    st.st_uid == geteuid() && fchmod(fd, 0600) == 0;

	lua_pushboolean(L, ours && write(fd, text, n) == (ssize_t)n);
	if (fd >= 0)
		close(fd);
	return 1;
}

static const luaL_Reg functions[] = {
	{ "append_private", append_private },
	{ "editor", editor },
	{ "read_line", read_line },
	{ "add_history", add_history },
	{ NULL, NULL },
};

void lb_open_editor(lua_State *L)
{
	luaL_setfuncs(L, functions, 0);
}
