/* stream_writer.c -- many threads that share one client, one session and one lock, and
 * write all the time: each counts upwards in a node of its own.
 *
 *     TIDELOCK_SERVERS=host:port,... example-stream_writer SUMMARY
 *
 * It goes on until SIGTERM. SUMMARY then gets a line for each thread: its node, how many
 * of its writes were acknowledged, and 1 if there is one more whose outcome is unknown. A
 * node's version counts its writes, so it tells whether each was done, and done once. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

enum { STREAMS = 48, ENTRY_BYTES = 1024, SESSION_MS = 10000, CALL_MS = 10000 };

struct stream {
    pthread_t thread;
    tl_client *client;
    const tl_guard *guard;
    char path[32];
    unsigned long long acknowledged;
    int code; /* that ended it; 0: it was asked to stop */
};

static volatile sig_atomic_t stopping;

static void on_term(int signo)
{
    (void) signo;
    stopping = 1;
}

static int write_next(struct stream *s)
{
    char entry[ENTRY_BYTES];
    const int len = snprintf(entry, sizeof entry, "%llu", s->acknowledged + 1);

    memset(entry + len, ' ', sizeof entry - (size_t) len);
    return tl_set(s->client, s->path, entry, sizeof entry, -1, s->guard, NULL);
}

static void *run_stream(void *arg)
{
    struct stream *s = arg;

    s->code = tl_create(s->client, s->path, "0", 1, TL_PARENTS, s->guard, NULL, NULL);
    while (s->code == 0 && !stopping) {
        s->code = write_next(s);
        if (s->code == 0) s->acknowledged++;
    }
    if (s->code != 0) {
        fprintf(stderr, "%s: %s: %s\n", s->path, tl_error_name(s->code), tl_message());
    }
    return NULL;
}

/* Runs all streams to their end; 0 or the code of one that failed. */
static int run_streams(struct stream *streams, tl_client *client, const tl_guard *guard)
{
    int code = 0;

    for (int i = 0; i < STREAMS; i++) {
        struct stream *s = &streams[i];

        *s = (struct stream){ .client = client, .guard = guard };
        snprintf(s->path, sizeof s->path, "/streams/%02d", i);
        if (pthread_create(&s->thread, NULL, run_stream, s) != 0) {
            perror("pthread_create");
            exit(EXIT_FAILURE);
        }
    }
    for (int i = 0; i < STREAMS; i++) {
        pthread_join(streams[i].thread, NULL);
        if (streams[i].code != 0) code = streams[i].code;
    }
    return code;
}

static int write_summary(const struct stream *streams, const char *path)
{
    FILE *file = fopen(path, "w");

    if (file == NULL) {
        perror(path);
        return -1;
    }
    for (int i = 0; i < STREAMS; i++) {
        const struct stream *s = &streams[i];
        const bool unknown = s->code == TL_PENDING || s->code == TL_SESSION_EXPIRED;

        fprintf(file, "%s %llu %d\n", s->path, s->acknowledged, unknown);
    }
    return fclose(file);
}

int main(int argc, char **argv)
{
    static struct stream streams[STREAMS];
    const struct sigaction on_signal = { .sa_handler = on_term, .sa_flags = SA_RESTART };
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .timeout_ms = CALL_MS,
                                 .session_timeout_ms = SESSION_MS };
    tl_client *client = NULL;
    tl_lock lock;
    int code;

    if (argc != 2) {
        fprintf(stderr, "usage: %s SUMMARY\n", argv[0]);
        return 2;
    }
    sigaction(SIGTERM, &on_signal, NULL);
    code = tl_connect(&options, &client);
    if (code == 0) code = tl_lock_acquire(client, "/jobs/streams", 0, &lock);
    if (code != 0) {
        fprintf(stderr, "%s: %s\n", tl_error_name(code), tl_message());
        tl_close(client);
        return EXIT_FAILURE;
    }
    const tl_guard guard = { lock.path, lock.token };

    code = run_streams(streams, client, &guard);
    if (write_summary(streams, argv[1]) != 0) code = TL_IO;
    tl_close(client); /* and the session, and the lock with it */
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
