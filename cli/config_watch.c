/* config_watch.c -- `tidelock config watch`: every version of a value, until interrupted.
 *
 * The recipe hands out one version after the other. Who is further behind than versions are
 * kept gets those that are left from the history, and is told what is missing. Versions are
 * gathered from an answer, then told: printed first, then run. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/report.h"
#include "cli/version.h"

struct watching {
    struct follow follow;
    uint64_t version; /* the newest that was gathered */
    bool behind;      /* the one after it is not kept any more */
    bool more;        /* the history has more pages */
    struct buf lines; /* to be printed */
    struct buf runs;  /* for --exec: version and data each */
};

/* --- gather --- */

static void gather(struct watching *w, const msgpack_object *version)
{
    const struct options *o = w->follow.o;
    const struct bytes data = rpc_bytes(rpc_member(version, "data"));

    w->version = rpc_uint(rpc_member(version, "version"), w->version);
    if (o->json) {
        version_put_json(&w->lines, bytes_str(o->words[0]), version);
    } else {
        report_printf(&w->lines, "%llu ", (unsigned long long) w->version);
        version_put_data(&w->lines, data);
        buf_put_u8(&w->lines, '\n');
    }
    if (!options_given(o, FLAG_EXEC)) return;
    buf_put_u64(&w->runs, w->version);
    buf_put_bytes(&w->runs, data);
}

static void on_version(void *ctx, const msgpack_object *value)
{
    struct watching *w = ctx;

    w->behind = rpc_member(value, "skipped") != NULL;
    if (!w->behind && rpc_member(value, "version") != NULL) gather(w, value);
}

static bool is_true(const msgpack_object *o)
{
    return o != NULL && o->type == MSGPACK_OBJECT_BOOLEAN && o->via.boolean;
}

static void on_history(void *ctx, const msgpack_object *value)
{
    struct watching *w = ctx;
    const msgpack_object *versions = rpc_member(value, "versions");
    const uint64_t before = w->version;

    w->more = false;
    if (versions == NULL || versions->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < versions->via.array.size; i++) {
        const msgpack_object *version = &versions->via.array.ptr[i];

        if (i == 0 && is_true(rpc_member(value, "skipped"))) {
            report_note(w->follow.o->command,
                        "versions after %llu and before %llu are not kept any more",
                        (unsigned long long) before,
                        (unsigned long long) rpc_uint(rpc_member(version, "version"), 0));
        }
        gather(w, version);
    }
    w->more = versions->via.array.size > 0 && is_true(rpc_member(value, "more"));
}

/* --- tell --- */

/* In memory, so that a command that does not read it blocks nobody. */
static int file_of(struct bytes data)
{
    const int fd = memfd_create("value", MFD_CLOEXEC);

    while (fd >= 0 && data.len > 0) {
        const ssize_t n = write(fd, data.ptr, data.len);
        if (n <= 0) {
            close(fd);
            return -1;
        }
        data = bytes_of(data.ptr + n, data.len - (size_t) n);
    }
    if (fd >= 0) (void) lseek(fd, 0, SEEK_SET);
    return fd;
}

_Noreturn static void run_shell(const struct options *o, uint64_t version, int input)
{
    char number[24];

    snprintf(number, sizeof number, "%llu", (unsigned long long) version);
    setenv("TIDELOCK_CONFIG_PATH", o->words[0], 1);
    setenv("TIDELOCK_CONFIG_VERSION", number, 1);
    setenv("TIDELOCK_SERVERS", o->servers, 1);
    dup2(input, STDIN_FILENO);
    signal(SIGPIPE, SIG_DFL); /* an ignored signal would stay so in the command */
    execl("/bin/sh", "sh", "-c", o->text[FLAG_EXEC], (char *) NULL);
    report_note(o->command, "--exec: %s", strerror(errno));
    _exit(127);
}

/* Returns 0, or the exit status when the command was interrupted: then we are, too. */
static int run_command(const struct options *o, uint64_t version, struct bytes data)
{
    const int input = file_of(data);
    const pid_t child = input < 0 ? -1 : fork();
    int ended = 0;

    if (child == 0) run_shell(o, version, input);
    if (child < 0) {
        const int status = report_error(o->command, ERR_IO, strerror(errno));
        if (input >= 0) close(input);
        return status;
    }
    close(input);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR) continue;
    return WIFSIGNALED(ended) ? 128 + WTERMSIG(ended) : 0;
}

/* Returns the exit status that ends the command, 0 = none. */
static int tell(struct watching *w)
{
    const struct options *o = w->follow.o;
    struct reader runs = reader_of(buf_bytes(&w->runs));
    int status = report_write(o->command, buf_bytes(&w->lines));

    while (status == 0 && reader_left(&runs) > 0) {
        const uint64_t version = read_u64(&runs);
        status = run_command(o, version, read_bytes(&runs, w->runs.len));
    }
    buf_clear(&w->lines);
    buf_clear(&w->runs);
    return status;
}

/* --- the command --- */

/* One answer, told. Returns the exit status that ends the command, 0 = go on. */
static int step(struct watching *w, const char *function, const uint64_t *after,
                remote_result_fn fn)
{
    const int code = follow_ask(&w->follow, function, after, fn, w);

    if (code == 0) return tell(w);
    return ask_fail(w->follow.o, code, w->follow.remote.message);
}

static int watch_on(struct watching *w)
{
    int status = step(w, "config.watch", &w->version, on_version);

    w->more = w->behind;
    while (status == 0 && w->more) {
        status = step(w, "config.history", &w->version, on_history);
    }
    return status;
}

int command_config_watch(const struct options *o)
{
    struct watching w = { .follow = { .o = o } };
    int status = 0;

    if (options_given(o, FLAG_KEPT)) {
        w.version = o->number[FLAG_KEPT];
    } else {
        status = step(&w, "config.get", NULL, on_version);
    }
    while (status == 0) status = watch_on(&w);
    follow_end(&w.follow);
    buf_fini(&w.lines);
    buf_fini(&w.runs);
    return status;
}
