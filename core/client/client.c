/* A client's life: opened, with a thread of its own or without, and closed. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "core/base/check.h"
#include "core/client/client.h"

enum { TIMEOUT_MS_DEFAULT = 10000 };

static uint64_t now_ms_of(clockid_t clock)
{
    struct timespec t;

    CHECK(clock_gettime(clock, &t) == 0);
    return (uint64_t) t.tv_sec * 1000 + (uint64_t) t.tv_nsec / 1000000;
}

uint64_t client_now_ms(void)
{
    return now_ms_of(CLOCK_BOOTTIME);
}

char *text_dup(const char *text)
{
    const size_t size = strlen(text) + 1;

    return memcpy(mem_alloc(size), text, size);
}

/* --- locking and waiting --- */

void client_lock(tl_client *c)
{
    CHECK(pthread_mutex_lock(&c->lock) == 0);
}

void client_unlock(tl_client *c)
{
    CHECK(pthread_mutex_unlock(&c->lock) == 0);
}

/* Recursive, since callbacks, which run under it, call functions that take it. */
static void lock_init(tl_client *c)
{
    pthread_mutexattr_t attributes;

    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE) == 0);
    CHECK(pthread_mutex_init(&c->lock, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
}

void client_wait_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(cond, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

void client_wait(tl_client *c, pthread_cond_t *cond, uint64_t until_ms)
{
    const uint64_t now = client_now_ms();

    if (until_ms == NEVER_MS) {
        pthread_cond_wait(cond, &c->lock);
        return;
    }
    if (now >= until_ms) return;

    const uint64_t until = now_ms_of(CLOCK_MONOTONIC) + (until_ms - now);
    const struct timespec at = { .tv_sec = (time_t) (until / 1000),
                                 .tv_nsec = (long) (until % 1000) * 1000000 };

    (void) pthread_cond_timedwait(cond, &c->lock, &at);
}

/* --- objects --- */

void object_add(struct object *o, tl_client *c, const struct object_kind *kind)
{
    o->client = c;
    o->kind = kind;
    list_push(&c->objects, &o->link);
}

static void object_free(struct object *o)
{
    list_remove(&o->link);
    o->kind->free(o);
}

void object_close(struct object *o)
{
    tl_client *c = o->client;

    client_lock(c);
    if (!o->closed) {
        o->closed = true;
        o->kind->end(o);
        if (!c->in_turn) object_free(o); /* else one of its callbacks may be running */
    }
    client_unlock(c);
}

void objects_sweep(tl_client *c)
{
    LIST_EACH_SAFE(at, after, &c->objects) {
        struct object *o = CONTAINER_OF(at, struct object, link);

        if (o->closed) object_free(o);
    }
}

void objects_session_over(tl_client *c)
{
    LIST_EACH(at, &c->objects) {
        struct object *o = CONTAINER_OF(at, struct object, link);

        if (!o->closed && o->kind->session_over != NULL) o->kind->session_over(o);
    }
}

/* --- closing --- */

/* Completions and objects hear of it; nothing can be started any more. */
static void client_free(tl_client *c)
{
    client_lock(c);
    c->freeing = c->in_turn = true;
    call_refused_end(c);
    client_core_free(c->core);
    while (!list_empty(&c->objects)) {
        object_free(LIST_FIRST(&c->objects, struct object, link));
    }
    client_unlock(c);
    link_fini(&c->link);
    session_file_close(&c->session_file);
    turn_fini(c);
    pthread_cond_destroy(&c->turned);
    pthread_mutex_destroy(&c->lock);
    free(c->prefix);
    free(c);
}

/* Under the lock: waits for the answer for as long as a call may take. */
static void session_close(tl_client *c)
{
    const uint64_t until = client_now_ms() + c->timeout_ms;
    uint64_t now;

    client_core_close_session(c->core, client_now_ms());
    turn_wake(c);
    while (!client_core_session_over(c->core) && (now = client_now_ms()) < until) {
        if (c->has_thread) {
            client_wait(c, &c->turned, until);
        } else {
            turn_run(c, (int) (until - now));
        }
    }
    if (client_core_session_gone(c->core)) session_file_remove(&c->session_file);
}

static void client_end(tl_client *c, bool closes_session)
{
    if (c == NULL) return;
    client_lock(c);
    if (c->in_turn) {
        c->end_wanted = true;
        c->close_wanted = closes_session;
        turn_wake(c);
        client_unlock(c);
        return;
    }
    if (closes_session && c->has_session) session_close(c);
    c->stopping = true;
    turn_wake(c);
    client_unlock(c);
    if (c->has_thread) pthread_join(c->thread, NULL);
    client_free(c);
}

void tl_close(tl_client *c)
{
    client_end(c, true);
}

void tl_abandon(tl_client *c)
{
    client_end(c, false);
}

/* --- turns --- */

int tl_fd(tl_client *c)
{
    return c->fd;
}

int tl_process(tl_client *c)
{
    int code = ERR_CONFIG;

    client_lock(c);
    const bool mine = !c->has_thread && !c->in_turn;

    if (mine) {
        turn_run(c, 0);
        code = client_core_ready(c->core) < 0 ? client_core_ready(c->core) : c->file_code;
    }
    const bool end = mine && c->end_wanted;
    client_unlock(c);
    if (!mine) return client_fail(code, "the client has a thread, or a callback runs");
    if (end) {
        client_end(c, c->close_wanted);
        return client_fail(ERR_CLOSED, NULL);
    }
    return code == 0 ? 0 : client_fail(code, NULL);
}

static void *client_thread(void *arg)
{
    tl_client *c = arg;

    client_lock(c);
    while (!c->stopping && !c->end_wanted) turn_run(c, -1);
    const bool end = !c->stopping;

    if (end) { /* closed by a callback: nobody waits for this thread */
        pthread_detach(pthread_self());
        c->has_thread = false;
    }
    client_unlock(c);
    if (end) client_end(c, c->close_wanted);
    return NULL;
}

/* The thread takes no signals: they are the program's. */
static int thread_start(tl_client *c)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    c->has_thread = true;
    const int failed = pthread_create(&c->thread, NULL, client_thread, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) c->has_thread = false;
    return failed == 0 ? 0 : ERR_IO;
}

/* --- opening --- */

static const char *options_wrong(const tl_options *o, struct servers *servers)
{
    const uint32_t session_ms = o->session_timeout_ms;

    if (servers_parse(o->servers, servers) != 0) {
        return "servers must be \"host:port,host:port\"";
    }
    if (session_ms != 0 &&
        (session_ms < SESSION_TIMEOUT_MIN_MS || session_ms > SESSION_TIMEOUT_MAX_MS)) {
        return "session_timeout_ms must be 0 or 1000 .. 600000";
    }
    if (o->reads < TL_READS_STRONG || o->reads > TL_READS_BOUNDED ||
        (o->reads == TL_READS_BOUNDED) != (o->max_lag_ms > 0)) {
        return "there are no such reads";
    }
    if (session_ms == 0 && o->session_file != NULL) return "session_file needs a session";
    if (o->prefix != NULL && !prefix_is_good(o->prefix)) {
        return "prefix must be \"/a/b\": no part \".\" or \"..\", no slash at the end";
    }
    return NULL;
}

static uint64_t seed_new(void)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed = client_now_ms();
    return seed;
}

/* Within client_core_input(), so within a turn. */
static void members_came(void *ctx, const struct members *members)
{
    tl_client *c = ctx;

    link_learn(&c->link, members);
}

static tl_client *client_new(const tl_options *o)
{
    tl_client *c = mem_zalloc(sizeof *c);

    c->timeout_ms = o->timeout_ms == 0 ? TIMEOUT_MS_DEFAULT : o->timeout_ms;
    c->has_session = o->session_timeout_ms != 0;
    c->reads = o->reads;
    c->max_lag_ms = o->max_lag_ms;
    c->prefix = text_dup(o->prefix == NULL ? "" : o->prefix);
    c->on_session = o->on_session;
    c->session_ctx = o->session_ctx;
    c->told = c->has_session ? TL_SESSION_OPENING : TL_SESSION_NONE;
    list_init(&c->refused);
    list_init(&c->objects);
    return c;
}

static void core_new(tl_client *c, const tl_options *o,
                     const struct client_session *former)
{
    const struct client_core_config config = { .cluster = o->cluster,
                                               .session_timeout_ms = o->session_timeout_ms,
                                               .replaces = *former,
                                               .members = members_came,
                                               .members_ctx = c,
                                               .seed = seed_new() };

    c->core = client_core_new(&config);
}

int tl_open(const tl_options *options, tl_client **client)
{
    struct client_session former;
    struct servers servers;
    const char *wrong = options_wrong(options, &servers);

    *client = NULL;
    if (wrong != NULL) return client_fail(ERR_CONFIG, wrong);

    tl_client *c = client_new(options);
    const int code = session_file_open(&c->session_file, options->session_file, &former);

    if (code != 0) {
        client_fail(code, c->session_file.why);
        free(c->prefix);
        free(c);
        return code;
    }
    lock_init(c);
    client_wait_init(&c->turned);
    link_init(&c->link, &servers, seed_new());
    core_new(c, options, &former);
    if (turn_init(c) != 0) {
        client_free(c);
        return client_fail(ERR_IO, NULL);
    }
    *client = c;
    return 0;
}

static int wait_ready(tl_client *c)
{
    const uint64_t until = client_now_ms() + c->timeout_ms;
    char why[sizeof c->link.why];
    int ready;

    client_lock(c);
    while ((ready = client_core_ready(c->core)) == 0 && client_now_ms() < until) {
        client_wait(c, &c->turned, until);
    }
    if (ready == 0) ready = client_core_trouble(c->core);
    const int file_code = c->file_code;
    snprintf(why, sizeof why, "%s", c->link.why);
    client_unlock(c);
    if (file_code != 0) return client_fail(file_code, c->session_file.why);
    if (ready == 1) return 0;
    if (ready == 0) return client_fail(ERR_UNREACHABLE, why[0] == '\0' ? NULL : why);
    return client_fail(ready, NULL);
}

int tl_connect(const tl_options *options, tl_client **client)
{
    int code = tl_open(options, client);

    if (code != 0) return code;
    code = thread_start(*client) == 0 ? 0 : client_fail(ERR_IO, NULL);
    if (code == 0) code = wait_ready(*client);
    if (code == 0) return 0;
    tl_abandon(*client);
    *client = NULL;
    return code;
}
