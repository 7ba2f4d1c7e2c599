#include "core/server/server.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/server/datadir.h"
#include "core/server/driver.h"
#include "core/server/service.h"
#include "core/server/version.h"

/* Each step of stopping ends when its work is done, after so long at the latest. */
enum {
    HAND_OVER_MS = 500, /* the leadership: a transfer, and another try if that failed */
    ANSWER_MS = 300,    /* what was asked before */
    PART_MS = 200,      /* until the clients have closed their ends */
    LEFT_MS = LEAVE_MS_MAX + 100, /* until the others can go on without a removed one */
    STOP_LOOK_MS = 10,
};

enum stopping {
    STOP_NOT = 0,
    STOP_HANDING_OVER,
    STOP_ANSWERING,
    STOP_PARTING,
    STOP_LEAVING
};

struct server {
    struct config *config;
    struct datadir datadir;
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    uv_timer_t stop;
    enum stopping stopping;
    uint64_t step_ms; /* when the present step of it ends at the latest */
    bool hands_over;  /* it led when it was told to stop */
    bool ended;       /* it is no member any more */
    struct address client, advertise;
    struct driver *driver;
    struct service service;
};

/* --- stopping --- */

static bool is_only_voter(const struct server *s)
{
    return (roster_sets(driver_roster(s->driver)).voters & ~node_bit(s->config->id)) == 0;
}

/* True when it does not lead, and another one does if it led before: what its clients have
 * asked is answered then, and they find a leader wherever they go. */
static bool handed_over(struct server *s)
{
    const struct replica_status r = driver_status(s->driver);

    if (is_only_voter(s)) return true; /* nobody to hand over to */
    if (r.role == PAXOS_FOLLOWER || r.role == PAXOS_ASKING)
        return r.leader != 0 || !s->hands_over;
    if (driver_transfer(s->driver, 0) == 0) s->hands_over = true;
    return false;
}

static bool step_is_done(struct server *s)
{
    switch (s->stopping) {
    case STOP_HANDING_OVER:
        return handed_over(s);
    case STOP_ANSWERING:
        return service_idle(&s->service);
    case STOP_PARTING:
        return s->service.conns_count == 0;
    case STOP_LEAVING:
        return !driver_status(s->driver).leaving;
    case STOP_NOT:
        break;
    }
    return true;
}

static void step_begin(struct server *s, enum stopping stopping, uint64_t limit_ms)
{
    s->stopping = stopping;
    s->step_ms = uv_now(&s->loop) + limit_ms;
}

static void step_next(struct server *s)
{
    if (s->stopping == STOP_HANDING_OVER) {
        step_begin(s, STOP_ANSWERING, ANSWER_MS);
    } else if (s->stopping == STOP_ANSWERING) {
        service_part(&s->service);
        step_begin(s, STOP_PARTING, PART_MS);
    } else if (s->stopping == STOP_PARTING) {
        step_begin(s, STOP_LEAVING, LEFT_MS);
    } else {
        uv_stop(&s->loop);
    }
}

static void on_stop_look(uv_timer_t *timer)
{
    struct server *s = timer->data;

    if (step_is_done(s) || uv_now(&s->loop) >= s->step_ms) step_next(s);
}

static void stop(struct server *s)
{
    service_stop(&s->service);
    step_begin(s, STOP_HANDING_OVER, HAND_OVER_MS);
    uv_timer_start(&s->stop, on_stop_look, 0, STOP_LOOK_MS);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    if (s->stopping != STOP_NOT) _exit(EXIT_FAILURE); /* asked twice: in a hurry */
    log_line(LOG_INFO, "server", "msg=\"stopping\" signal=%d", number);
    stop(s);
}

/* Clients are told to go elsewhere, as for any other end. */
static void on_ended(void *ctx)
{
    struct server *s = ctx;

    s->ended = true;
    if (s->stopping == STOP_NOT) stop(s);
}

/* --- start --- */

static void handles_start(struct server *s)
{
    CHECK(uv_loop_init(&s->loop) == 0);
    CHECK(uv_signal_init(&s->loop, &s->term) == 0);
    CHECK(uv_signal_init(&s->loop, &s->interrupt) == 0);
    CHECK(uv_timer_init(&s->loop, &s->stop) == 0);
    s->term.data = s->interrupt.data = s->stop.data = s;
    uv_signal_start(&s->term, on_signal, SIGTERM);
    uv_signal_start(&s->interrupt, on_signal, SIGINT);
}

static int parts_open(struct server *s, char *why)
{
    s->client = s->config->client;
    int code = service_listen(&s->service, &s->client, why, CONFIG_WHY_MAX);
    if (code != 0) return code;
    s->advertise = address_given(&s->config->advertise) ? s->config->advertise : s->client;
    const struct driver_config config = { .loop = &s->loop,
                                          .config = s->config,
                                          .datadir = &s->datadir,
                                          .advertise = &s->advertise,
                                          .clients = service_clients(&s->service),
                                          .ended = on_ended,
                                          .ctx = s };
    code = driver_open(&config, &s->driver, why, CONFIG_WHY_MAX);
    if (code == 0) service_start(&s->service, s->driver);
    return code;
}

static void say_listening(const struct server *s)
{
    char client[ADDRESS_TEXT_MAX];

    address_format(&s->client, client);
    log_line(LOG_INFO, "server",
             "msg=\"listening\" client=%s id=%u cluster=%s members=%u "
             "data=%s version=%s pid=%ld",
             client, s->config->id, s->config->cluster, s->config->members_count,
             s->datadir.path, TIDELOCK_VERSION, (long)getpid());
}

/* --- end --- */

static void parts_close(struct server *s)
{
    service_close(&s->service);
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->interrupt, NULL);
    uv_close((uv_handle_t *)&s->stop, NULL);
    if (s->driver != NULL) driver_close(s->driver);
    uv_run(&s->loop, UV_RUN_DEFAULT); /* the close callbacks */
    service_fini(&s->service);
    if (s->driver != NULL) driver_free(s->driver);
    CHECK(uv_loop_close(&s->loop) == 0); /* nothing was left open */
}

static int run(struct server *s)
{
    char why[CONFIG_WHY_MAX] = "";

    handles_start(s);
    service_init(&s->service, &s->loop, s->config);
    int code = parts_open(s, why);
    if (code == 0) {
        say_listening(s);
        uv_run(&s->loop, UV_RUN_DEFAULT);
    } else {
        log_line(LOG_ERROR, "server", "msg=\"cannot start\" why=\"%s\"", why);
    }
    parts_close(s);
    if (code == 0) log_line(LOG_INFO, "server", "msg=\"stopped\"");
    return code == 0 && !s->ended ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the process --- */

/* As many descriptors as the system gives: each client costs one. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE,
                    &limit); /* then fewer clients fit, which they are told */
}

int server_run(struct config *config)
{
    struct server *s = mem_zalloc(sizeof *s);
    char why[CONFIG_WHY_MAX] = "";
    int status = EXIT_FAILURE;

    log_set_level(config->log_level);
    signal(SIGPIPE, SIG_IGN); /* a write to a closed connection is an error, not an end */
    signal(SIGHUP, SIG_IGN);
    raise_descriptors();
    s->config = config;
    if (datadir_open(&s->datadir, config, why) != 0) {
        log_line(LOG_ERROR, "server", "msg=\"cannot start\" why=\"%s\"", why);
    } else {
        status = run(s);
        datadir_close(&s->datadir);
    }
    free(s);
    return status;
}
