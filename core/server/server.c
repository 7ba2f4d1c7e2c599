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

enum { STOP_LIMIT_MS = 1000, STOP_LOOK_MS = 10 };

struct server {
    struct config *config;
    struct datadir datadir;
    uv_loop_t loop;
    uv_signal_t term, interrupt;
    uv_timer_t stop;
    uint64_t stop_ms; /* when to stop waiting; 0 = not stopping */
    struct address client, advertise;
    struct driver *driver;
    struct service service;
};

/* --- stopping --- */

static void on_stop_look(uv_timer_t *timer)
{
    struct server *s = timer->data;

    if (service_idle(&s->service) || uv_now(&s->loop) >= s->stop_ms) uv_stop(&s->loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    if (s->stop_ms != 0) _exit(EXIT_FAILURE); /* asked twice: in a hurry */
    log_line(LOG_INFO, "server", "msg=\"stopping\" signal=%d", number);
    service_stop(&s->service);
    s->stop_ms = uv_now(&s->loop) + STOP_LIMIT_MS;
    uv_timer_start(&s->stop, on_stop_look, 0, STOP_LOOK_MS);
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
                                          .clients = service_clients(&s->service) };
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
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
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
