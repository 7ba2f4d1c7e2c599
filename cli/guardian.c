#include "cli/guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/report.h"
#include "core/base/check.h"
#include "core/base/errors.h"

enum { EXIT_UNNEEDED = 0, EXIT_STOPPED = 3 };
enum { STOP_MS_MAX = 5000, LOOK_MS = 20, MOVE_MS_MIN = 20 };

enum message_kind { MESSAGE_WATCH = 1, MESSAGE_DEADLINE, MESSAGE_DONE };

/* Shorter than PIPE_BUF: written whole or not at all. */
struct message {
    uint32_t kind;
    pid_t group;
    uint64_t deadline_ms;
};

/* The guardian's own state, in its process. */
struct guard {
    const char *command;
    int control, go, timer;
    uint32_t lease_ms;
    pid_t group; /* 0: no command yet */
    uint64_t deadline_ms;
    bool stopping;
    uint64_t kill_at_ms; /* stopping */
};

uint64_t guardian_kill_margin_ms(uint32_t lease_ms)
{
    return lease_ms / 10;
}

/* --- in the guardian's process --- */

static uint64_t before(uint64_t time_ms, uint64_t margin_ms)
{
    return time_ms > margin_ms ? time_ms - margin_ms : 0;
}

/* SIGTERM leaves the command a part of the lease to end well. */
static uint64_t stop_at_ms(const struct guard *g)
{
    return before(g->deadline_ms, g->lease_ms / 4);
}

static void group_stop(struct guard *g, uint64_t now_ms, const char *why)
{
    const uint64_t last = before(g->deadline_ms, guardian_kill_margin_ms(g->lease_ms));

    report_note(g->command, "%s: stopping the command", why);
    kill(-g->group, SIGTERM);
    kill(-g->group, SIGCONT); /* a stopped process sees no SIGTERM */
    g->stopping = true;
    g->kill_at_ms = now_ms + STOP_MS_MAX < last ? now_ms + STOP_MS_MAX : last;
}

static void wait_until(struct guard *g, uint64_t time_ms)
{
    const struct itimerspec at = {
        .it_value = { .tv_sec = (time_t) (time_ms / 1000),
                      .tv_nsec = (long) (time_ms % 1000) * 1000000 + 1 },
    };
    struct pollfd fds[2] = { { .fd = g->control, .events = POLLIN },
                             { .fd = g->timer, .events = POLLIN } };

    timerfd_settime(g->timer, TFD_TIMER_ABSTIME, &at, NULL);
    (void) poll(fds, 2, -1); /* an error means: look at once */
}

/* Takes one message if there is one. */
static void take_message(struct guard *g)
{
    const uint8_t go = 1;
    struct message m;
    const ssize_t n = read(g->control, &m, sizeof m);

    if (n < 0) return; /* none yet */
    if (n == 0) {
        if (g->group == 0) _exit(EXIT_UNNEEDED);
        if (!g->stopping)
            group_stop(g, clock_now_ms(), "the process that holds the session is gone");
        close(g->control);
        g->control = -1;
        return;
    }
    CHECK(n == (ssize_t) sizeof m);
    if (m.kind == MESSAGE_DONE) _exit(g->stopping ? EXIT_STOPPED : EXIT_UNNEEDED);
    g->deadline_ms = m.deadline_ms;
    if (m.kind == MESSAGE_DEADLINE) return;
    g->group = m.group;
    if (write(g->go, &go, 1) != 1) _exit(EXIT_STOPPED); /* G1: the child sees the end */
}

static void guard_step(struct guard *g)
{
    const uint64_t now = clock_now_ms();

    if (g->stopping) {
        const bool late = now >= g->kill_at_ms;
        if (late) kill(-g->group, SIGKILL);
        if (late || (kill(-g->group, 0) != 0 && errno == ESRCH)) _exit(EXIT_STOPPED);
        wait_until(g, now + LOOK_MS);
    } else if (g->group != 0 && now >= stop_at_ms(g)) {
        group_stop(g, now,
                   g->deadline_ms == 0 ? "the session is over"
                                       : "the session could not be renewed");
    } else {
        wait_until(g, g->group == 0 ? UINT32_MAX * UINT64_C(1000) : stop_at_ms(g));
    }
    if (g->control >= 0) take_message(g);
}

_Noreturn static void guard(struct guard *g)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGTTOU };
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;

    setsid(); /* what is done to the terminal or our parent's group is not done to us */
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (null >= 0) dup2(null, STDIN_FILENO);
    if (null >= 0) dup2(null, STDOUT_FILENO);
    g->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    CHECK(g->timer >= 0);
    for (;;) guard_step(g);
}

/* --- in the process that holds the session --- */

int guardian_start(struct guardian *g, const char *command, uint32_t lease_ms)
{
    int control[2], go[2];

    *g = (struct guardian){ 0 };
    if (pipe2(control, O_CLOEXEC | O_NONBLOCK) != 0) return ERR_IO;
    if (pipe2(go, O_CLOEXEC) != 0) return ERR_IO;
    g->pid = fork();
    if (g->pid < 0) return ERR_IO;
    if (g->pid == 0) {
        struct guard own = { .command = command,
                             .control = control[0],
                             .go = go[1],
                             .lease_ms = lease_ms };
        close(control[1]);
        close(go[0]);
        guard(&own);
    }
    close(control[0]);
    close(go[1]);
    g->control = control[1];
    g->go = go[0];
    return 0;
}

/* A guardian that does not read is stopped or gone; its pipe is never waited for. */
static void tell(struct guardian *g, enum message_kind kind, pid_t group,
                 uint64_t deadline_ms)
{
    const struct message m = { .kind = kind, .group = group, .deadline_ms = deadline_ms };

    if (write(g->control, &m, sizeof m) == (ssize_t) sizeof m) g->told_ms = deadline_ms;
}

void guardian_watch(struct guardian *g, pid_t group, uint64_t deadline_ms)
{
    tell(g, MESSAGE_WATCH, group, deadline_ms);
    close(g->go);
    g->go = -1;
}

void guardian_deadline(struct guardian *g, uint64_t deadline_ms)
{
    const bool moved =
        deadline_ms == 0 ? g->told_ms != 0 : deadline_ms > g->told_ms + MOVE_MS_MIN;
    if (moved) tell(g, MESSAGE_DEADLINE, 0, deadline_ms);
}

bool guardian_wait_go(struct guardian *g)
{
    uint8_t go;

    close(g->control); /* or its other end would never be seen to close */
    while (true) {
        const ssize_t n = read(g->go, &go, 1);
        if (n == 1) return true;
        if (n == 0 || errno != EINTR) return false;
    }
}

bool guardian_is_gone(struct guardian *g)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t) g->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == g->pid;
}

bool guardian_finish(struct guardian *g)
{
    int status = 0;

    tell(g, MESSAGE_DONE, 0, 0);
    kill(g->pid, SIGCONT);
    while (waitpid(g->pid, &status, 0) < 0 && errno == EINTR) continue;
    close(g->control);
    return !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_UNNEEDED;
}
