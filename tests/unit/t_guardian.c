/* t_guardian.c -- what the guardian of `tidelock lock` promises, with real processes.
 *
 * Method: a command that ignores SIGTERM and has a child of its own in its group is put
 * under a guardian with a lease of two seconds; then the deadline passes, the holder "dies"
 * (its end of the pipe is closed), or the command ends. Times are compared with generous
 * bounds in the one direction that a slow machine can push them; the other is what safety
 * rests on. */
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/guardian.h"
#include "tests/lib/tap.h"

enum { LEASE_MS = 2000, SLOW_MS = 8000 };

static struct guardian guardian;
static int started[2]; /* the command writes a byte when it runs */

_Noreturn static void run_command(bool stubborn)
{
    setpgid(0, 0);
    if (!guardian_wait_go(&guardian)) _exit(1);
    if (stubborn) signal(SIGTERM, SIG_IGN);
    (void) !write(started[1], "", 1);
    if (fork() == 0) (void) !write(started[1], "", 1);
    for (;;) pause();
}

static pid_t start(bool stubborn)
{
    IS(pipe(started), 0);
    IS(guardian_start(&guardian, "test", LEASE_MS), 0);
    const pid_t group = fork();
    if (group == 0) run_command(stubborn);
    setpgid(group, group);
    return group;
}

static void await_start(void)
{
    char bytes[2];

    IS(read(started[0], bytes, 1), 1);
    IS(read(started[0], bytes, 1), 1);
}

/* Waits until nothing is left of the group (we adopt its orphans), and reaps it. */
static bool group_ends(pid_t group)
{
    const uint64_t until = clock_now_ms() + SLOW_MS;

    while (clock_now_ms() < until) {
        const pid_t pid = waitpid(-group, NULL, WNOHANG);
        if (pid < 0) return true;
        if (pid == 0) usleep(2000);
    }
    kill(-group, SIGKILL); /* a failure leaves nothing behind */
    return false;
}

static void finish(void)
{
    close(started[0]);
    close(started[1]);
}

static void a_command_does_not_start_before_its_guardian_knows_it(void)
{
    const pid_t group = start(false);
    int status = 0;

    usleep(100000);
    IS(waitpid(group, &status, WNOHANG), 0); /* it neither ran nor gave up */
    OK(!guardian_finish(&guardian));         /* without a word, so the child sees the end */
    IS(waitpid(group, &status, 0), group);
    IS(WEXITSTATUS(status), 1);
    finish();
}

static void nothing_of_the_group_lives_at_the_deadline(void)
{
    const pid_t group = start(true);
    const uint64_t deadline = clock_now_ms() + LEASE_MS;

    guardian_watch(&guardian, group, deadline);
    await_start();
    OK(group_ends(group));
    OK(clock_now_ms() < deadline - guardian_kill_margin_ms(LEASE_MS) / 4);
    OK(guardian_finish(&guardian));
    finish();
}

static void a_later_deadline_is_waited_for(void)
{
    const pid_t group = start(true);
    const uint64_t first = clock_now_ms() + LEASE_MS;

    guardian_watch(&guardian, group, first);
    guardian_deadline(&guardian, first + LEASE_MS);
    await_start();
    OK(group_ends(group));
    OK(clock_now_ms() > first);
    OK(clock_now_ms() <= first + LEASE_MS);
    OK(guardian_finish(&guardian));
    finish();
}

static void the_group_ends_when_the_holder_dies(void)
{
    const pid_t group = start(false);
    const uint64_t now = clock_now_ms();

    guardian_watch(&guardian, group, now + SLOW_MS + LEASE_MS);
    await_start();
    close(guardian.control);
    OK(group_ends(group));
    OK(clock_now_ms() < now + SLOW_MS);
    IS(waitpid(guardian.pid, NULL, 0), guardian.pid);
    finish();
}

static void a_session_that_is_over_ends_the_group_at_once(void)
{
    const pid_t group = start(true);
    const uint64_t now = clock_now_ms();

    guardian_watch(&guardian, group, now + SLOW_MS + LEASE_MS);
    await_start();
    guardian_deadline(&guardian, 0);
    OK(group_ends(group));
    OK(clock_now_ms() < now + SLOW_MS);
    OK(guardian_finish(&guardian));
    finish();
}

static void a_guardian_that_is_not_needed_stops_nothing(void)
{
    const pid_t group = start(false);

    guardian_watch(&guardian, group, clock_now_ms() + SLOW_MS);
    await_start();
    OK(!guardian_finish(&guardian));
    IS(kill(-group, 0), 0);
    kill(-group, SIGKILL);
    OK(group_ends(group));
    finish();
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    TEST(a_command_does_not_start_before_its_guardian_knows_it);
    TEST(nothing_of_the_group_lives_at_the_deadline);
    TEST(a_later_deadline_is_waited_for);
    TEST(the_group_ends_when_the_holder_dies);
    TEST(a_session_that_is_over_ends_the_group_at_once);
    TEST(a_guardian_that_is_not_needed_stops_nothing);
    return tap_done();
}
