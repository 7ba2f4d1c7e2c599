/* lock_worker.c -- one of several workers that take one lock in turn and append to one
 * ledger under the guard of its fencing token.
 *
 *     TIDELOCK_SERVERS=host:port,... example-lock_worker NAME JOURNAL ACKNOWLEDGED
 *
 * It goes on until SIGTERM, and then finishes its turn. JOURNAL is a file that all workers
 * append to: a line when one has the lock and a line before it gives the lock back, so its
 * order shows whether two held it at once. ACKNOWLEDGED gets a line for each entry that the
 * service said is written. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tidelock.h"

enum { ENTRIES_A_TURN = 3, WORK_US = 1000, SESSION_MS = 10000, CALL_MS = 30000 };

struct worker {
    const char *name;
    FILE *journal, *acknowledged; /* opened to append, one write a line */
    tl_client *client;
};

static volatile sig_atomic_t stopping;

static void on_term(int signo)
{
    (void) signo;
    stopping = 1;
}

static void note(struct worker *w, const char *what, uint64_t token)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    fprintf(w->journal, "%lld %s %s %llu\n",
            (long long) t.tv_sec * 1000 + t.tv_nsec / 1000000, what, w->name,
            (unsigned long long) token);
}

/* The guard makes the service refuse the entry if the lock is ours no more, whatever we
 * believe: we may have been stopped for a minute between two lines. */
static int append(struct worker *w, const tl_lock *lock, int n)
{
    const tl_guard guard = { lock->path, lock->token };
    char entry[128], *created = NULL;
    const int len = snprintf(entry, sizeof entry, "%s %llu %d", w->name,
                             (unsigned long long) lock->token, n);
    const int code = tl_create(w->client, "/ledger/entry-", entry, (size_t) len,
                               TL_SEQUENTIAL | TL_PARENTS, &guard, &created, NULL);

    if (code == 0) fprintf(w->acknowledged, "%s %s\n", created, entry);
    tl_free(created);
    return code;
}

/* The work itself. It stops when the session may be over: from then on another worker may
 * be at it. */
static int work(struct worker *w, const tl_lock *lock)
{
    int code = 0;

    for (int n = 1; n <= ENTRIES_A_TURN && code == 0; n++) {
        usleep(WORK_US);
        code = tl_session_left_ms(w->client) > 0 ? append(w, lock, n) : TL_SESSION_EXPIRED;
    }
    return code;
}

/* How the turn ended, as the journal tells it. A refusal by the guard while the session
 * lives would mean that somebody took the lock away from us. */
static const char *ending(struct worker *w, int code)
{
    if (code == 0) return "leave";
    if (tl_session(w->client) == TL_SESSION_OVER) return "lost";
    return code == TL_PENDING ? "unsure" : "refused";
}

static int take_turn(struct worker *w)
{
    tl_lock lock;
    int code = tl_lock_acquire(w->client, "/jobs/lock", 0, &lock);

    if (code != 0) return code;
    note(w, "enter", lock.token);
    code = work(w, &lock);
    note(w, ending(w, code), lock.token);
    return code == 0 ? tl_lock_release(w->client, &lock) : code;
}

/* A session that is over took its lock along, so the worker begins anew with another. */
static int run(struct worker *w)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .timeout_ms = CALL_MS,
                                 .session_timeout_ms = SESSION_MS };
    int code = 0;

    while (!stopping && (code == 0 || code == TL_SESSION_EXPIRED)) {
        code = tl_connect(&options, &w->client);
        while (!stopping && code == 0) code = take_turn(w);
        if (code != 0) {
            fprintf(stderr, "%s: %s: %s\n", w->name, tl_error_name(code), tl_message());
        }
        tl_close(w->client);
        w->client = NULL;
    }
    return code == TL_SESSION_EXPIRED ? 0 : code;
}

static FILE *open_lines(const char *path)
{
    FILE *file = fopen(path, "a");

    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    setvbuf(file, NULL, _IOLBF, 0); /* a line is one write: they do not mix */
    return file;
}

int main(int argc, char **argv)
{
    const struct sigaction on_signal = { .sa_handler = on_term, .sa_flags = SA_RESTART };
    struct worker w = { 0 };

    if (argc != 4) {
        fprintf(stderr, "usage: %s NAME JOURNAL ACKNOWLEDGED\n", argv[0]);
        return 2;
    }
    sigaction(SIGTERM, &on_signal, NULL);
    w.name = argv[1];
    w.journal = open_lines(argv[2]);
    w.acknowledged = open_lines(argv[3]);
    return run(&w) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
