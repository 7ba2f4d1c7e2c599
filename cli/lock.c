/* lock.c -- `tidelock lock PATH -- command`: runs a command while holding a lock.
 *
 * One thread and three processes: this one (the session, the renewals, the signals), the
 * guardian, and the command in a process group of its own. The guardian is forked first and
 * learns every move of the session's local deadline; guardian.h says what it promises. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/guardian.h"
#include "cli/report.h"
#include "core/base/check.h"
#include "core/base/limits.h"

enum { RELEASE_MS_MAX = 2000 };

struct lock_run {
    const struct options *o;
    struct remote remote;
    struct guardian guardian;
    uint32_t lease_ms;
    int signals; /* a signalfd */
    sigset_t mask_old;
    char path[PATH_BYTES_MAX + 64]; /* of the grant */
    uint64_t token;
    pid_t child;   /* and its process group; 0: not started */
    bool terminal; /* the command was made the terminal's foreground */
    bool killed;   /* by us, because the guardian was not there to do it */
    int status;    /* exit status of the command, once it has ended */
    bool ended;
};

/* --- signals --- */

/* SIGTTOU is only blocked: we take the terminal back from the background. */
static void block_signals(struct lock_run *l)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGCHLD);
    l->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(l->signals >= 0);
    sigaddset(&mask, SIGTTOU);
    sigprocmask(SIG_BLOCK, &mask, &l->mask_old);
}

/* The next signal to pass on, 0 when there is none. SIGCHLD only wakes us. */
static int next_signal(struct lock_run *l)
{
    struct signalfd_siginfo info;

    while (read(l->signals, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo != SIGCHLD) return (int) info.ssi_signo;
    }
    return 0;
}

static void wait_for_anything(struct lock_run *l, uint64_t until_ms)
{
    struct pollfd fds[2] = { { .fd = -1 }, { .fd = l->signals, .events = POLLIN } };

    remote_poll(&l->remote, fds, 2, until_ms);
}

/* --- the lock --- */

static void take_grant(void *ctx, const msgpack_object *result)
{
    struct lock_run *l = ctx;
    const msgpack_object *value = rpc_member(result, "value");
    const struct bytes path = rpc_bytes(rpc_member(value, "path"));

    l->token = rpc_uint(rpc_member(value, "token"), 0);
    snprintf(l->path, sizeof l->path, "%.*s", (int) path.len, (const char *) path.ptr);
}

/* Waits for the answer. A signal ends the wait: then the code is ERR_CANCELLED, and the
 * exit status stands in l->status. */
static int await_grant(struct lock_run *l, struct remote_question *q)
{
    while (!remote_done(q)) {
        const uint64_t now = clock_now_ms();
        const int signo = next_signal(l);

        if (signo != 0) {
            remote_withdraw(q);
            l->status = 128 + signo;
            return ERR_CANCELLED;
        }
        wait_for_anything(l, q->ready_by_ms > now ? q->ready_by_ms : q->until_ms);
    }
    return q->code;
}

/* --wait 0 does not wait at all; a lock that is not free is then answered with nil. */
static int acquire(struct lock_run *l)
{
    const bool wait = options_number(l->o, FLAG_WAIT, 1) != 0;
    const bool limited = options_given(l->o, FLAG_WAIT) && wait;
    struct remote_question q = { .fn = take_grant, .ctx = l };
    struct client_request request = { .method = METHOD_CALL,
                                      .args_count = 2,
                                      .write = true };
    struct buf params = { 0 }, options = { 0 };
    int code;

    pack_cstr(&params, "lock.acquire");
    pack_map(&params, 2);
    pack_cstr(&params, "path");
    pack_cstr(&params, l->o->words[0]);
    pack_cstr(&params, "try");
    pack_bool(&params, !wait);
    if (limited) {
        pack_cstr(&options, "timeout_ms");
        pack_uint(&options, l->o->number[FLAG_WAIT]);
        request.options_count = 1;
    }
    request.params = buf_bytes(&params);
    request.options = buf_bytes(&options);
    remote_begin(&l->remote, &q, &request,
                 wait && !limited ? 0
                                  : l->o->timeout_ms + options_number(l->o, FLAG_WAIT, 0));
    code = await_grant(l, &q);
    buf_fini(&params);
    buf_fini(&options);
    return code;
}

static void release(struct lock_run *l)
{
    struct client_request request = { .method = METHOD_CALL,
                                      .args_count = 2,
                                      .write = true };
    struct buf params = { 0 };
    int code;

    pack_cstr(&params, "lock.release");
    pack_map(&params, 2);
    pack_cstr(&params, "path");
    pack_cstr(&params, l->path);
    pack_cstr(&params, "token");
    pack_uint(&params, l->token);
    request.params = buf_bytes(&params);
    code = remote_ask(&l->remote, &request, RELEASE_MS_MAX, NULL, NULL);
    if (code != 0) {
        report_note(l->o->command,
                    "%s: the lock was not released; it is free when the "
                    "session has expired",
                    error_name(code));
    }
    buf_fini(&params);
}

/* --- the command --- */

_Noreturn static void run_command(struct lock_run *l)
{
    char token[32];

    setpgid(0, 0);
    if (!guardian_wait_go(&l->guardian)) _exit(CLI_FAILED);
    snprintf(token, sizeof token, "%llu", (unsigned long long) l->token);
    setenv("TIDELOCK_LOCK_PATH", l->path, 1);
    setenv("TIDELOCK_LOCK_TOKEN", token, 1);
    setenv("TIDELOCK_SERVERS", l->o->servers, 1);
    sigprocmask(SIG_SETMASK, &l->mask_old, NULL);
    signal(SIGPIPE, SIG_DFL); /* an ignored signal would stay so in the command */
    execvp(l->o->rest[0], l->o->rest);
    report_note(l->o->command, "%s: %s", l->o->rest[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* The command reads the terminal, and gets its ^C, as if it had been started by the
 * shell. */
static void give_terminal(struct lock_run *l)
{
    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
    l->terminal = tcsetpgrp(STDIN_FILENO, l->child) == 0;
}

static int start_command(struct lock_run *l)
{
    l->child = fork();
    if (l->child < 0) return ERR_IO;
    if (l->child == 0) run_command(l);
    setpgid(l->child, l->child); /* here too: whoever comes first */
    give_terminal(l);
    guardian_watch(&l->guardian, l->child, client_core_deadline_ms(l->remote.channel.core));
    return 0;
}

/* Looks after the command without reaping it: its number stays its own until the guardian
 * has ended. */
static void look_at_command(struct lock_run *l)
{
    siginfo_t info = { 0 };

    if (waitid(P_PID, (id_t) l->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == l->child) {
        l->ended = true;
        l->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        return;
    }
    info.si_pid = 0;
    if (waitid(P_PID, (id_t) l->child, &info, WSTOPPED | WNOHANG) != 0) return;
    if (info.si_pid == l->child && info.si_status == SIGTSTP) {
        report_note(l->o->command, "a command that holds a lock is not suspended");
        kill(-l->child, SIGCONT);
    }
}

/* We are the guardian's own guard, in case that it is stopped or killed. */
static void guard_ourselves(struct lock_run *l, uint64_t deadline_ms)
{
    const uint64_t margin = guardian_kill_margin_ms(l->lease_ms);

    if (l->killed) return;
    if (guardian_is_gone(&l->guardian)) {
        l->killed = true; /* when it stopped the group by itself this changes nothing */
    } else if (clock_now_ms() + margin >= deadline_ms) {
        l->killed = true;
    }
    if (l->killed) kill(-l->child, SIGKILL);
}

static void hold(struct lock_run *l)
{
    const struct client_core *core = l->remote.channel.core;

    while (!l->ended) {
        const bool over = client_core_session_over(core) || client_core_ready(core) < 0;
        const uint64_t deadline = over ? 0 : client_core_deadline_ms(core);
        const int signo = next_signal(l);

        guardian_deadline(&l->guardian, deadline);
        guard_ourselves(l, over ? UINT64_MAX : deadline);
        if (signo != 0) kill(-l->child, signo);
        look_at_command(l);
        if (!l->ended) wait_for_anything(l, clock_now_ms() + l->lease_ms / 10);
    }
}

/* Runs the command under the lock that was granted; returns the exit status. */
static int run_guarded(struct lock_run *l)
{
    const int code = start_command(l);
    bool stopped;

    if (code != 0) {
        guardian_finish(&l->guardian);
        release(l);
        return report_error(l->o->command, code, strerror(errno));
    }
    hold(l);
    stopped = guardian_finish(&l->guardian) || l->killed;
    waitpid(l->child, NULL, 0);
    if (l->terminal) tcsetpgrp(STDIN_FILENO, getpgrp());
    if (!client_core_session_over(l->remote.channel.core)) release(l);
    if (!stopped) return l->status;
    report_note(l->o->command, "the command was stopped: the lock could not be held");
    return CLI_FAILED;
}

static int lock_with_session(struct lock_run *l)
{
    int code = acquire(l);

    if (code == 0 && l->token == 0) {
        code = ERR_REFUSED;
        snprintf(l->remote.message, sizeof l->remote.message, "another one holds the lock");
    }
    if (code == 0) return run_guarded(l);
    guardian_finish(&l->guardian);
    return l->status != 0 ? l->status : ask_fail(l->o, code, l->remote.message);
}

int command_lock(const struct options *o)
{
    struct lock_run l = {
        .o = o,
        .lease_ms =
            (uint32_t) options_number(o, FLAG_SESSION_TIMEOUT, SESSION_TIMEOUT_DEFAULT_MS),
    };
    int code, status;

    if (o->rest[0] == NULL) {
        return report_usage(o->command, "name the command to run behind --");
    }
    code = guardian_start(&l.guardian, l.lease_ms);
    if (code != 0) return report_error(o->command, code, strerror(errno));
    block_signals(&l);
    code = remote_open(&l.remote, o, l.lease_ms);
    if (code != 0) {
        guardian_finish(&l.guardian);
        return ask_fail(o, code, l.remote.message);
    }
    status = lock_with_session(&l);
    remote_close(&l.remote);
    close(l.signals);
    return status;
}
