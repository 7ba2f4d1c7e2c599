/* watch.c -- prints every change of a node, in order, none left out, whoever fails.
 *
 *     TIDELOCK_SERVERS=host:port,... example-watch PATH [COUNT]
 *
 * A line is "ZXID KIND PATH [DATA]"; ZXID numbers the transaction that made the change. The
 * node need not be there. It ends after COUNT changes, else never. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long left;     /* changes to come; it never ends when it begins below 0 */
static int ended = 1; /* the code with which the watch ended; 1: it goes on */

static const char *kind_name(tl_event_kind kind)
{
    switch (kind) {
    case TL_EVENT_CREATED: return "created";
    case TL_EVENT_CHANGED: return "changed";
    case TL_EVENT_DELETED: return "deleted";
    case TL_EVENT_CHILDREN: return "children";
    case TL_EVENT_ARMED: return "armed";   /* from here on nothing is missed: read now */
    case TL_EVENT_LAGGED: return "lagged"; /* something may be missing: read again */
    case TL_EVENT_NODE:
    case TL_EVENT_READY: /* of snapshots only */
    case TL_EVENT_ENDED: break;
    }
    return "ended";
}

/* On the client's thread, which must not be kept waiting: a program with more to do than to
 * print hands the event on to another thread. */
static void on_event(void *ctx, const tl_event *e)
{
    (void) ctx;
    printf("%" PRIu64 " %s %s", e->zxid, kind_name(e->kind), e->path);
    if (e->data != NULL) printf(" %.*s", (int) e->len, (const char *) e->data);
    printf("\n");
    fflush(stdout);

    pthread_mutex_lock(&lock);
    if (e->kind == TL_EVENT_ENDED) ended = e->code;
    if (e->kind <= TL_EVENT_CHILDREN && left > 0) left--;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static int watch(tl_client *c, const char *path)
{
    uint64_t handle;
    const int code = tl_watch(c, path, TL_WATCH_DATA | TL_WATCH_VALUE, on_event, NULL,
                              &handle);

    if (code != 0) return code;
    pthread_mutex_lock(&lock);
    while (left != 0 && ended == 1) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    tl_unwatch(c, handle);
    return ended == 1 ? 0 : ended;
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS") };
    tl_client *c = NULL;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s PATH [COUNT]\n", argv[0]);
        return 2;
    }
    left = argc == 3 ? atol(argv[2]) : -1;
    int code = tl_connect(&options, &c);
    if (code == 0) code = watch(c, argv[1]);
    if (code != 0) fprintf(stderr, "%s: %s\n", tl_error_name(code), tl_error_text(code));
    tl_close(c);
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
