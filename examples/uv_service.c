/* uv_service.c -- a service in an event loop (libuv): it stands for election, and while it
 * leads it works; its settings come as they are stored. Nothing in it ever waits.
 *
 *     TIDELOCK_SERVERS=host:port,... example-uv_service NAME
 *
 * cc uv_service.c -ltidelock -lmsgpackc -lxxhash -lpthread -luv. It ends by SIGTERM, and
 * resigns; as soon as its session is in jeopardy it stops its work: another may lead. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "tidelock.h"

enum { WORK_MS = 20 };

static const char *name;
static tl_client *client;
static tl_election *election;
static tl_guard term;
static bool leads;
static uv_timer_t work_timer;

static void on_worked(void *ctx, const tl_result *r)
{
    (void) ctx;
    if (r->code != 0) fprintf(stderr, "%s: work: %s\n", name, r->message);
}

/* The guard makes the service refuse it from a leader of the past. */
static void work(uv_timer_t *timer)
{
    (void) timer;
    tl_create_async(client, "/uv/work-", name, strlen(name), TL_SEQUENTIAL | TL_PARENTS,
                    &term, on_worked, NULL);
}

static void on_term(void *ctx, const tl_term *t)
{
    (void) ctx;
    leads = t->leads;
    term = t->guard;
    if (leads) {
        printf("%s leads by token %" PRIu64 "\n", name, term.token);
        uv_timer_start(&work_timer, work, 0, WORK_MS);
    } else {
        printf("%s leads no more: %s\n", name, t->message);
        uv_timer_stop(&work_timer);
        if (t->code == TL_NO_NODE) tl_election_stand(election);
    }
    fflush(stdout);
}

static void on_session(void *ctx, tl_session_state state)
{
    (void) ctx;
    if (state == TL_SESSION_JEOPARDY) uv_timer_stop(&work_timer);
    if (state == TL_SESSION_SAFE && leads) uv_timer_start(&work_timer, work, 0, WORK_MS);
    if (state == TL_SESSION_OVER) uv_stop(uv_default_loop());
}

static void on_settings(void *ctx, const tl_version *v)
{
    (void) ctx;
    if (v->code == 0) printf("%s settings %" PRIu64 " %s\n", name, v->number, v->data);
    fflush(stdout);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void) status, (void) events;
    if (tl_process(client) != 0) uv_stop(poll->loop);
}

static void on_sigterm(uv_signal_t *handle, int signo)
{
    (void) handle, (void) signo;
    tl_end_session(client); /* the term and all else goes with it, and OVER is told */
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .session_timeout_ms = 5000,
                                 .on_session = on_session };
    uv_loop_t *loop = uv_default_loop();
    uv_signal_t sigterm;
    tl_config *settings;
    uv_poll_t poll;

    name = argc == 2 ? argv[1] : "service";
    uv_timer_init(loop, &work_timer);
    uv_signal_init(loop, &sigterm);
    uv_signal_start(&sigterm, on_sigterm, SIGTERM);
    if (tl_open(&options, &client) != 0 ||
        tl_election_open(client, "/uv/election", name, on_term, NULL, &election) != 0 ||
        tl_config_open(client, "/uv/settings", on_settings, NULL, &settings) != 0) {
        fprintf(stderr, "%s: %s\n", name, tl_message());
        return EXIT_FAILURE;
    }
    uv_poll_init(loop, &poll, tl_fd(client)); /* these three lines are all it takes: */
    uv_poll_start(&poll, UV_READABLE, on_readable);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_poll_stop(&poll);
    tl_close(client);
    return EXIT_SUCCESS;
}
