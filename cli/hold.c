/* One thread and three processes: this one (the session, the renewals, the signals), the
 * guardian, and the command in a process group of its own. The guardian is forked first and
 * learns every move of the session's local deadline; guardian.h says what it promises. */
#include "cli/hold.h"

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
#include "cli/guardian.h"
#include "cli/report.h"
#include "core/base/check.h"
#include "core/base/limits.h"

enum { GIVE_BACK_MS_MAX = 2000 };

struct hold {
    const struct options *o;
    const struct hold_kind *kind;
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
static void block_signals(struct hold *h)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGHUP);
    sigaddset(&mask, SIGCHLD);
    h->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    CHECK(h->signals >= 0);
    sigaddset(&mask, SIGTTOU);
    sigprocmask(SIG_BLOCK, &mask, &h->mask_old);
}

/* The next signal to pass on, 0 when there is none. SIGCHLD only wakes us. */
static int next_signal(struct hold *h)
{
    struct signalfd_siginfo info;

    while (read(h->signals, &info, sizeof info) == (ssize_t) sizeof info) {
        if (info.ssi_signo != SIGCHLD) return (int) info.ssi_signo;
    }
    return 0;
}

static void wait_for_anything(struct hold *h, uint64_t until_ms)
{
    struct pollfd fds[2] = { { .fd = -1 }, { .fd = h->signals, .events = POLLIN } };

    remote_poll(&h->remote, fds, 2, until_ms);
}

/* --- the grant --- */

static void take_grant(void *ctx, const msgpack_object *result)
{
    struct hold *h = ctx;
    const msgpack_object *value = rpc_member(result, "value");
    const struct bytes path = rpc_bytes(rpc_member(value, "path"));

    h->token = rpc_uint(rpc_member(value, "token"), 0);
    snprintf(h->path, sizeof h->path, "%.*s", (int) path.len, (const char *) path.ptr);
}

/* Waits for the answer. A signal ends the wait: then the code is ERR_CANCELLED, and the
 * exit status stands in h->status. */
static int await_grant(struct hold *h, struct remote_question *q)
{
    while (!remote_done(q)) {
        const uint64_t now = clock_now_ms();
        const int signo = next_signal(h);

        if (signo != 0) {
            remote_withdraw(q);
            h->status = 128 + signo;
            return ERR_CANCELLED;
        }
        wait_for_anything(h, q->ready_by_ms > now ? q->ready_by_ms : q->until_ms);
    }
    return q->code;
}

/* --wait 0 is no time limit: kind->pack_take() tells the recipe not to wait. */
static int take(struct hold *h)
{
    const uint64_t wait_ms = options_number(h->o, FLAG_WAIT, 0);
    struct remote_question q = { .fn = take_grant, .ctx = h };
    struct client_request request = { .method = METHOD_CALL,
                                      .args_count = 2,
                                      .write = true };
    struct buf params = { 0 }, options = { 0 };
    int code;

    pack_cstr(&params, h->kind->take);
    h->kind->pack_take(&params, h->o);
    if (wait_ms != 0) {
        pack_cstr(&options, "timeout_ms");
        pack_uint(&options, wait_ms);
        request.options_count = 1;
    }
    request.params = buf_bytes(&params);
    request.options = buf_bytes(&options);
    remote_begin(&h->remote, &q, &request,
                 options_given(h->o, FLAG_WAIT) ? h->o->timeout_ms + wait_ms : 0);
    code = await_grant(h, &q);
    buf_fini(&params);
    buf_fini(&options);
    return code;
}

static void give_back(struct hold *h)
{
    struct client_request request = { .method = METHOD_CALL,
                                      .args_count = 2,
                                      .write = true };
    struct buf params = { 0 };
    int code;

    pack_cstr(&params, h->kind->give_back);
    pack_map(&params, 2);
    pack_cstr(&params, "path");
    pack_cstr(&params, h->path);
    pack_cstr(&params, "token");
    pack_uint(&params, h->token);
    request.params = buf_bytes(&params);
    code = remote_ask(&h->remote, &request, GIVE_BACK_MS_MAX, NULL, NULL);
    if (code != 0) {
        report_note(h->o->command,
                    "%s: %s was not given back; it is free when the session has expired",
                    error_name(code), h->kind->name);
    }
    buf_fini(&params);
}

/* --- the command --- */

/* For the command: the servers that we were given, and those that we have heard of. */
static void set_servers(const struct hold *h)
{
    struct servers all = h->remote.channel.link.given;
    char name[SERVER_TEXT_MAX];
    struct buf text = { 0 };

    servers_add_members(&all, &h->remote.channel.link.learnt);
    for (size_t i = 0; i < all.count; i++) {
        report_printf(&text, "%s%s", i == 0 ? "" : ",", server_text(&all.at[i], name));
    }
    buf_put_u8(&text, 0);
    setenv("TIDELOCK_SERVERS", (const char *) text.ptr, 1);
    buf_fini(&text);
}

_Noreturn static void run_command(struct hold *h)
{
    char token[32];

    setpgid(0, 0);
    if (!guardian_wait_go(&h->guardian)) _exit(CLI_FAILED);
    snprintf(token, sizeof token, "%llu", (unsigned long long) h->token);
    setenv(h->kind->variable_path, h->path, 1);
    setenv(h->kind->variable_token, token, 1);
    set_servers(h);
    sigprocmask(SIG_SETMASK, &h->mask_old, NULL);
    signal(SIGPIPE, SIG_DFL); /* an ignored signal would stay so in the command */
    execvp(h->o->rest[0], h->o->rest);
    report_note(h->o->command, "%s: %s", h->o->rest[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* The command reads the terminal, and gets its ^C, as if it had been started by the
 * shell. */
static void give_terminal(struct hold *h)
{
    if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp()) return;
    h->terminal = tcsetpgrp(STDIN_FILENO, h->child) == 0;
}

static int start_command(struct hold *h)
{
    h->child = fork();
    if (h->child < 0) return ERR_IO;
    if (h->child == 0) run_command(h);
    setpgid(h->child, h->child); /* here too: whoever comes first */
    give_terminal(h);
    guardian_watch(&h->guardian, h->child, client_core_deadline_ms(h->remote.channel.core));
    return 0;
}

/* Looks after the command without reaping it: its number stays its own until the guardian
 * has ended. */
static void look_at_command(struct hold *h)
{
    siginfo_t info = { 0 };

    if (waitid(P_PID, (id_t) h->child, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        info.si_pid == h->child) {
        h->ended = true;
        h->status = info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
        return;
    }
    info.si_pid = 0;
    if (waitid(P_PID, (id_t) h->child, &info, WSTOPPED | WNOHANG) != 0) return;
    if (info.si_pid == h->child && info.si_status == SIGTSTP) {
        report_note(h->o->command, "a command that holds %s is not suspended",
                    h->kind->name);
        kill(-h->child, SIGCONT);
    }
}

/* We are the guardian's own guard, in case that it is stopped or killed. */
static void guard_ourselves(struct hold *h, uint64_t deadline_ms)
{
    const uint64_t margin = guardian_kill_margin_ms(h->lease_ms);

    if (h->killed) return;
    if (guardian_is_gone(&h->guardian)) {
        h->killed = true; /* when it stopped the group by itself this changes nothing */
    } else if (clock_now_ms() + margin >= deadline_ms) {
        h->killed = true;
    }
    if (h->killed) kill(-h->child, SIGKILL);
}

static void keep(struct hold *h)
{
    const struct client_core *core = h->remote.channel.core;

    while (!h->ended) {
        const bool over = client_core_session_over(core) || client_core_ready(core) < 0;
        const uint64_t deadline = over ? 0 : client_core_deadline_ms(core);
        const int signo = next_signal(h);

        guardian_deadline(&h->guardian, deadline);
        guard_ourselves(h, over ? UINT64_MAX : deadline);
        if (signo != 0) kill(-h->child, signo);
        look_at_command(h);
        if (!h->ended) wait_for_anything(h, clock_now_ms() + h->lease_ms / 10);
    }
}

/* Runs the command under what was granted; returns the exit status. */
static int run_guarded(struct hold *h)
{
    const int code = start_command(h);
    bool stopped;

    if (code != 0) {
        guardian_finish(&h->guardian);
        give_back(h);
        return report_error(h->o->command, code, strerror(errno));
    }
    keep(h);
    stopped = guardian_finish(&h->guardian) || h->killed;
    waitpid(h->child, NULL, 0);
    if (h->terminal) tcsetpgrp(STDIN_FILENO, getpgrp());
    if (!client_core_session_over(h->remote.channel.core)) give_back(h);
    if (!stopped) return h->status;
    report_note(h->o->command, "the command was stopped: %s could not be held",
                h->kind->name);
    return CLI_FAILED;
}

static int run_with_session(struct hold *h)
{
    int code = take(h);

    if (code == 0 && h->token == 0) {
        code = ERR_REFUSED;
        snprintf(h->remote.message, sizeof h->remote.message, "another one holds %s",
                 h->kind->name);
    }
    if (code == 0) return run_guarded(h);
    guardian_finish(&h->guardian);
    return h->status != 0 ? h->status : ask_fail(h->o, code, h->remote.message);
}

int hold_run(const struct options *o, const struct hold_kind *kind)
{
    struct hold h = {
        .o = o,
        .kind = kind,
        .lease_ms =
            (uint32_t) options_number(o, FLAG_SESSION_TIMEOUT, SESSION_TIMEOUT_DEFAULT_MS),
    };
    int code, status;

    if (o->rest[0] == NULL) {
        return report_usage(o->command, "name the command to run behind --");
    }
    code = guardian_start(&h.guardian, o->command, h.lease_ms);
    if (code != 0) return report_error(o->command, code, strerror(errno));
    block_signals(&h);
    code = remote_open(&h.remote, o, h.lease_ms);
    if (code != 0) {
        guardian_finish(&h.guardian);
        return ask_fail(o, code, h.remote.message);
    }
    status = run_with_session(&h);
    remote_close(&h.remote);
    close(h.signals);
    return status;
}
