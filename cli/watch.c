/* watch.c -- `tidelock watch`: one line per event, until interrupted.
 *
 * Events are gathered while the core takes its input, and told between two waits: a command
 * of --exec takes its time, and meanwhile nothing is read. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "cli/ask.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/report.h"

struct watching {
    const struct options *o;
    bool armed, ended;
    int code;         /* with which it ended; 0 = it fired, and was armed once */
    struct buf lines; /* to be printed */
    struct buf runs;  /* for --exec: zxid, kind, path each */
};

static const char *kind_name(enum client_event_kind kind)
{
    switch (kind) {
    case CLIENT_EVENT_CREATED:
        return "created";
    case CLIENT_EVENT_CHANGED:
        return "changed";
    case CLIENT_EVENT_DELETED:
        return "deleted";
    case CLIENT_EVENT_CHILDREN:
        return "children";
    case CLIENT_EVENT_ARMED:
        return "armed";
    case CLIENT_EVENT_LAGGED:
        return "lagged";
    case CLIENT_EVENT_NODE:
        return "node";
    case CLIENT_EVENT_READY:
        return "ready";
    case CLIENT_EVENT_ENDED:
        break;
    }
    return "ended";
}

static bool carries_data(const struct watching *w, const struct client_event *e)
{
    return options_given(w->o, FLAG_VALUE) &&
           (e->kind == CLIENT_EVENT_CREATED || e->kind == CLIENT_EVENT_CHANGED ||
            e->kind == CLIENT_EVENT_NODE);
}

static void put_data(struct buf *out, struct bytes data)
{
    if (data.ptr == NULL) {
        report_printf(out, "null");
    } else if (json_is_utf8(data)) {
        json_put_string(out, data);
    } else {
        json_put_base64(out, data);
    }
}

static void put_json(struct watching *w, const struct client_event *e)
{
    report_printf(&w->lines, "{\"zxid\":%llu,\"kind\":\"%s\",\"path\":",
                  (unsigned long long) e->zxid, kind_name(e->kind));
    json_put_string(&w->lines, e->path);
    if (carries_data(w, e)) {
        report_printf(&w->lines, ",\"%s\":",
                      json_is_utf8(e->data) ? "data" : "data_base64");
        put_data(&w->lines, e->data);
    }
    report_printf(&w->lines, "}\n");
}

static void put_plain(struct watching *w, const struct client_event *e)
{
    report_printf(&w->lines, "%llu %s ", (unsigned long long) e->zxid, kind_name(e->kind));
    buf_put_bytes_raw(&w->lines, e->path);
    if (carries_data(w, e)) {
        buf_put_u8(&w->lines, ' ');
        put_data(&w->lines, e->data);
    }
    buf_put_u8(&w->lines, '\n');
}

static void on_event(void *ctx, const struct client_event *e)
{
    struct watching *w = ctx;
    const bool change = e->kind <= CLIENT_EVENT_CHILDREN;

    w->armed = true;
    w->ended = e->kind == CLIENT_EVENT_ENDED || (options_given(w->o, FLAG_ONCE) && change);
    w->code = e->code;
    if (e->kind == CLIENT_EVENT_ENDED) return;
    if (w->o->json) {
        put_json(w, e);
    } else {
        put_plain(w, e);
    }
    if (!options_given(w->o, FLAG_EXEC) || e->kind == CLIENT_EVENT_ARMED) return;
    buf_put_u64(&w->runs, e->zxid);
    buf_put_bytes(&w->runs, bytes_str(kind_name(e->kind)));
    buf_put_bytes(&w->runs, e->path);
}

static void set_variable(const char *name, struct bytes value)
{
    char text[PATH_BYTES_MAX + 1];

    snprintf(text, sizeof text, "%.*s", (int) value.len, (const char *) value.ptr);
    setenv(name, text, 1);
}

/* Returns 0, or the exit status when a command was interrupted: then we are, too. */
static int run_commands(struct watching *w)
{
    struct reader r = reader_of(buf_bytes(&w->runs));
    char zxid[24];
    int status = 0;

    signal(SIGPIPE, SIG_DFL); /* an ignored signal would stay so in the command */
    while (reader_left(&r) > 0 && status == 0) {
        snprintf(zxid, sizeof zxid, "%llu", (unsigned long long) read_u64(&r));
        setenv("TIDELOCK_EVENT_ZXID", zxid, 1);
        set_variable("TIDELOCK_EVENT_KIND", read_bytes(&r, PATH_BYTES_MAX));
        set_variable("TIDELOCK_EVENT_PATH", read_bytes(&r, PATH_BYTES_MAX));
        const int ended = system(options_text(w->o, FLAG_EXEC, ""));
        if (ended < 0) report_note(w->o->command, "--exec: %s", strerror(errno));
        if (ended > 0 && WIFSIGNALED(ended)) status = 128 + WTERMSIG(ended);
    }
    signal(SIGPIPE, SIG_IGN);
    buf_clear(&w->runs);
    return status;
}

/* Prints and runs what has come. Returns the exit status that ends us, 0 = none. */
static int tell(struct watching *w)
{
    const int status =
        w->lines.len > 0 ? report_write(w->o->command, buf_bytes(&w->lines)) : 0;

    buf_clear(&w->lines);
    return status != 0 ? status : run_commands(w);
}

/* Until it ends: in time or never, if it was armed; returns the exit status. */
static int watch_on(struct watching *w, struct remote *remote)
{
    const uint64_t until = clock_now_ms() + w->o->timeout_ms;
    struct pollfd fd;
    int status = 0, code = 0;

    while (status == 0 && code == 0 && !w->ended) {
        remote_poll(remote, &fd, 1, w->armed ? UINT64_MAX : until);
        status = tell(w);
        code = remote_hopeless(remote);
        if (code == 0 && !w->armed && clock_now_ms() >= until) code = ERR_UNREACHABLE;
    }
    if (status != 0) return status;
    if (w->ended && w->code != 0) return ask_fail(w->o, w->code, "");
    return code == 0 ? CLI_OK : ask_fail(w->o, code, remote->message);
}

/* NULL: the flags go together. */
static const char *flags_refusal(const struct options *o)
{
    if (options_given(o, FLAG_RECURSIVE) && options_given(o, FLAG_CHILDREN)) {
        return "--recursive tells of children as nodes: leave --children out";
    }
    if (options_given(o, FLAG_SNAPSHOT) &&
        (options_given(o, FLAG_CHILDREN) || options_given(o, FLAG_ONCE) ||
         options_given(o, FLAG_SINCE))) {
        return "--snapshot goes not with --children, --once or --since";
    }
    return NULL;
}

int command_watch(const struct options *o)
{
    const char *why = flags_refusal(o);
    struct watching w = { .o = o };
    const struct client_watch wish = { .path = bytes_str(o->words[0]),
                                       .data = true,
                                       .children = options_given(o, FLAG_CHILDREN),
                                       .recursive = options_given(o, FLAG_RECURSIVE),
                                       .snapshot = options_given(o, FLAG_SNAPSHOT),
                                       .since = options_number(o, FLAG_SINCE, 0),
                                       .once = options_given(o, FLAG_ONCE),
                                       .value = options_given(o, FLAG_VALUE),
                                       .fn = on_event,
                                       .ctx = &w };
    struct remote remote;
    if (why != NULL) return report_usage(o->command, "%s", why);
    const int code = remote_open(&remote, o, 0);

    if (code != 0) return ask_fail(o, code, remote.message);
    (void) client_core_watch(remote.channel.core, clock_now_ms(), &wish);
    const int status = watch_on(&w, &remote);
    remote_close(&remote);
    buf_fini(&w.lines);
    buf_fini(&w.runs);
    return status;
}
