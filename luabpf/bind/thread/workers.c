/* SPDX-License-Identifier: MIT */
/*
 * The class luabpf.workers: threads that run Lua, each in a state of its own.
 * lua/luabpf/parallel/parallel.lua is the only caller; what a worker runs is
 * lua/luabpf/parallel/worker.lua.
 *
 *	w = core.workers{ n =, jobs = { text... }, path =, cpath = }
 *	w:push(batch, ns)	a copy of the batch for any worker: true, false if there
 *				was no room for so many ns, nil when one has failed
 *	w:finish()		no more batches come
 *	w:wait(ns)		true once all have ended
 *	w:results()		list of { ok =, text = }, of those that have ended
 *	w:close()		cancels what runs, and waits for it
 *
 * Nothing but text passes between the states, and batches one way.
 */
#include "bind/map/batch.h"
#include "lib/thread/threads.h"

#include <errno.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#define LB_WORKERS "luabpf.workers"
#define LB_PARCEL "luabpf.parcel"

int luaopen_luabpf_core(lua_State *L);

/* Text of its own, so that no Lua state has to keep it. */
struct text {
	char *s;
	size_t len;
};

struct workers {
	struct lb_workers pool;
	uint32_t n;
	bool open;
	struct text path, cpath;
	struct text *jobs;		/* n of each */
	struct text *results;
	int *errs;			/* why the system refused, 0 for what else was raised */
	bool *ok;
};

static bool keep(struct text *t, const char *s, size_t len)
{
	t->s = malloc(len + 1);
	if (!t->s)
		return false;
	memcpy(t->s, s, len);
	t->s[len] = '\0';
	t->len = len;
	return true;
}

/* ---- in the worker's state ------------------------------------------------ */

static struct workers *owner(lua_State *L)
{
	return lua_touserdata(L, lua_upvalueindex(1));
}

static int hook_cancelled(lua_State *L)
{
	lua_pushboolean(L, lb_workers_cancelled(&owner(L)->pool));
	return 1;
}

static int parcel_gc(lua_State *L)
{
	struct lb_parcel **box = lb_checkudata(L, 1, LB_PARCEL);

	free(*box);
	*box = NULL;
	return 0;
}

/* take(map): the next batch for this worker, nil when there are no more. */
static int hook_take(lua_State *L)
{
	struct lb_map *m = lb_check_map(L, 1);
	struct lb_parcel **box = lua_newuserdatauv(L, sizeof(*box), 0), *p;

	*box = NULL;
	if (luaL_newmetatable(L, LB_PARCEL)) {
		lua_pushcfunction(L, parcel_gc);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	*box = p = lb_workers_take(&owner(L)->pool);
	if (!p)
		return 0;
	if (p->key_bytes != (size_t)p->n * m->key.size ||
	    p->value_bytes != (size_t)p->n * m->value.stride)
		return luaL_error(L, "the batch is of a map with other sizes");
	lb_batch_borrow(L, 2, 1, NULL, p->bytes, p->bytes + p->key_bytes, p->n);
	return 1;
}

static void set_text(lua_State *L, const char *name, const struct text *t)
{
	lua_pushlstring(L, t->s, t->len);
	lua_setfield(L, -2, name);
}

static void push_hook(lua_State *L, const char *name, lua_CFunction f, struct workers *w)
{
	lua_pushlightuserdata(L, w);
	lua_pushcclosure(L, f, 1);
	lua_setfield(L, -2, name);
}

/*
 * Replaces what require has raised at the top by text for people: which module it was, of luabpf's
 * own, and not where it was asked for and looked for.
 */
static const char *loading_problem(lua_State *L, int err)
{
	const char *text = luaL_tolstring(L, -1, NULL), *module = strstr(text, "module '");
	char buf[128];

	if (!module)
		return text;
	lua_pushlstring(L, module, strcspn(module, ":\n"));
	return lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), lb_strerror(err, buf, sizeof(buf)));
}

/* Pushes the worker's function. Files that cannot be read now are the system's refusal. */
static void load_worker(lua_State *L)
{
	int status, err;

	lua_getglobal(L, "require");
	lua_pushliteral(L, "luabpf.parallel.worker");
	errno = 0;
	status = lua_pcall(L, 1, 1, 0);
	if (status == LUA_ERRMEM)
		lua_error(L);
	err = errno ? errno : EIO;
	if (status != LUA_OK)
		lb_throw_text(L, err, loading_problem(L, err));
}

/* Arguments: the workers, the index. Returns the text of the result. */
static int worker_main(lua_State *L)
{
	struct workers *w = lua_touserdata(L, 1);
	const struct text *job = &w->jobs[lua_tointeger(L, 2)];

	luaL_openlibs(L);
	lua_getglobal(L, "package");
	set_text(L, "path", &w->path);
	set_text(L, "cpath", &w->cpath);
	luaL_requiref(L, "luabpf.core", luaopen_luabpf_core, 0);
	load_worker(L);
	lua_pushlstring(L, job->s, job->len);
	lua_createtable(L, 0, 2);
	push_hook(L, "take", hook_take, w);
	push_hook(L, "cancelled", hook_cancelled, w);
	lua_call(L, 2, 1);
	luaL_checktype(L, -1, LUA_TSTRING);
	return 1;
}

/* What the system refused goes on as the error object that it is. */
static int add_traceback(lua_State *L)
{
	const char *message;

	if (lb_error_errno(L, 1))
		return 1;
	message = luaL_tolstring(L, 1, NULL);
	luaL_traceback(L, L, message, 1);
	return 1;
}

/* Runs the job; the text that is left belongs to result. */
static bool run_job(lua_State *L, struct workers *w, uint32_t index, struct text *result)
{
	const char *s;
	size_t len;
	int status;

	lua_pushcfunction(L, add_traceback);
	lua_pushcfunction(L, worker_main);
	lua_pushlightuserdata(L, w);
	lua_pushinteger(L, index);
	status = lua_pcall(L, 2, 1, 1);
	w->errs[index] = status == LUA_ERRMEM ? ENOMEM : status ? lb_error_errno(L, -1) : 0;
	if (status != LUA_OK)
		luaL_tolstring(L, -1, NULL);
	s = lua_tolstring(L, -1, &len);
	if (!keep(result, s ? s : "an error without a text", s ? len : 23)) {
		w->errs[index] = ENOMEM;
		return false;
	}
	return status == LUA_OK;
}

static void work(struct lb_workers *pool, uint32_t index)
{
	struct workers *w = pool->data;
	struct text result = { NULL, 0 };
	lua_State *L = luaL_newstate();

	w->errs[index] = ENOMEM;
	w->ok[index] = L && run_job(L, w, index, &result);
	if (L)
		lua_close(L);
	if (!w->ok[index])
		lb_workers_cancel(pool);
	w->results[index] = result;
}

/* ---- in the caller's state ------------------------------------------------- */

static void drop(struct text *t)
{
	free(t->s);
	t->s = NULL;
}

static void close_workers(struct workers *w)
{
	bool foreign = lb_workers_foreign(&w->pool);

	lb_workers_stop(&w->pool);
	for (uint32_t i = 0; i < w->n && !foreign; i++) {
		if (w->jobs)
			drop(&w->jobs[i]);
		if (w->results)
			drop(&w->results[i]);
	}
	free(w->jobs);
	free(w->results);
	free(w->ok);
	free(w->errs);
	w->jobs = w->results = NULL;
	w->ok = NULL;
	w->errs = NULL;
	drop(&w->path);
	drop(&w->cpath);
	w->n = 0;
	w->open = false;
}

static struct workers *check_workers(lua_State *L)
{
	struct workers *w = lb_checkudata(L, 1, LB_WORKERS);

	luaL_argcheck(L, w->open, 1, "workers are closed");
	if (lb_workers_foreign(&w->pool))
		lb_throw_text(L, ECHILD, LB_FOREIGN_THREADS);
	return w;
}

/* Copies a field of the table at 1 into a text. */
static bool keep_field(lua_State *L, const char *name, struct text *t)
{
	const char *s;
	size_t len;
	bool ok;

	lua_getfield(L, 1, name);
	s = luaL_checklstring(L, -1, &len);
	ok = keep(t, s, len);
	lua_pop(L, 1);
	return ok;
}

static bool keep_jobs(lua_State *L, struct workers *w, uint32_t n)
{
	bool ok = true;

	w->jobs = calloc(n, sizeof(*w->jobs));
	w->results = calloc(n, sizeof(*w->results));
	w->ok = calloc(n, sizeof(*w->ok));
	w->errs = calloc(n, sizeof(*w->errs));
	if (!w->jobs || !w->results || !w->ok || !w->errs)
		return false;
	w->n = n;
	for (uint32_t i = 0; i < n && ok; i++) {
		const char *s;
		size_t len;

		lua_rawgeti(L, 2, (lua_Integer)i + 1);
		s = luaL_checklstring(L, -1, &len);
		ok = keep(&w->jobs[i], s, len);
		lua_pop(L, 1);
	}
	return ok;
}

/* core.workers{ jobs = { text for each }, path =, cpath = } */
static int workers_new(lua_State *L)
{
	struct workers *w;
	lua_Integer n;
	int err;

	luaL_checktype(L, 1, LUA_TTABLE);
	lua_settop(L, 1);
	lua_getfield(L, 1, "jobs");
	luaL_checktype(L, 2, LUA_TTABLE);
	n = (lua_Integer)lua_rawlen(L, 2);
	luaL_argcheck(L, n >= 1 && n <= LB_MAX_WORKERS, 1, "from 1 to 256 workers");
	w = lua_newuserdatauv(L, sizeof(*w), 0);
	memset(w, 0, sizeof(*w));
	luaL_setmetatable(L, LB_WORKERS);
	if (!keep_field(L, "path", &w->path) || !keep_field(L, "cpath", &w->cpath) ||
	    !keep_jobs(L, w, (uint32_t)n))
		return lb_throw_no_memory(L);
	err = lb_workers_start(&w->pool, w->n, work, w);
	if (err)
		return lb_fail(L, -err, "parallel: threads");
	w->open = true;
	return 1;
}

/* A copy of the batch at 2; NULL: out of memory. */
static struct lb_parcel *parcel_of(lua_State *L)
{
	const struct lb_batch *b = lb_check_batch(L, 2);
	size_t key_bytes = (size_t)b->n * b->map->key.size;
	size_t value_bytes = (size_t)b->n * b->map->value.stride;
	struct lb_parcel *p = malloc(sizeof(*p) + key_bytes + value_bytes);

	if (!p)
		return NULL;
	*p = (struct lb_parcel){ .n = b->n, .key_bytes = key_bytes, .value_bytes = value_bytes };
	memcpy(p->bytes, b->keys, key_bytes);
	memcpy(p->bytes + key_bytes, b->values, value_bytes);
	return p;
}

static int workers_push(lua_State *L)
{
	struct workers *w = check_workers(L);
	uint64_t ns = (uint64_t)lb_check_int(L, 3, 0, LUA_MAXINTEGER);
	struct lb_parcel *p = parcel_of(L);
	bool cancelled, pushed;

	if (!p)
		return lb_throw_no_memory(L);
	pushed = lb_workers_push(&w->pool, p, ns, &cancelled);
	if (cancelled)
		luaL_pushfail(L);
	else
		lua_pushboolean(L, pushed);
	if (!pushed && !cancelled)
		free(p);
	return 1;
}

static int workers_finish(lua_State *L)
{
	lb_workers_finish(&check_workers(L)->pool);
	return 0;
}

static int workers_wait(lua_State *L)
{
	struct workers *w = check_workers(L);

	lua_pushboolean(L, lb_workers_wait(&w->pool, (uint64_t)lb_check_int(L, 2, 0,
									   LUA_MAXINTEGER)));
	return 1;
}

static int workers_results(lua_State *L)
{
	struct workers *w = check_workers(L);

	if (!lb_workers_wait(&w->pool, 0))
		return luaL_error(L, "workers are running");
	lua_createtable(L, (int)w->n, 0);
	for (uint32_t i = 0; i < w->n; i++) {
		const struct text *t = &w->results[i];

		lua_createtable(L, 0, 2);
		lua_pushboolean(L, w->ok[i]);
		lua_setfield(L, -2, "ok");
		lua_pushlstring(L, t->s ? t->s : "not enough memory", t->s ? t->len : 17);
		lua_setfield(L, -2, "text");
		if (w->errs[i])
			lb_set_int(L, "errno", w->errs[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	return 1;
}

static int workers_close(lua_State *L)
{
	close_workers(lb_checkudata(L, 1, LB_WORKERS));
	return 0;
}

static const luaL_Reg methods[] = {
	{ "push", workers_push },
	{ "finish", workers_finish },
	{ "wait", workers_wait },
	{ "results", workers_results },
	{ "close", workers_close },
	{ NULL, NULL },
};

static const luaL_Reg meta[] = {
	{ "__gc", workers_close },
	{ "__close", workers_close },
	{ NULL, NULL },
};

void lb_open_workers(lua_State *L)
{
	lb_newclass(L, LB_WORKERS, methods, meta);
	lua_pushcfunction(L, workers_new);
	lua_setfield(L, -2, "workers");
}
