/* poll_lock.c -- counts under a lock, in a loop of poll(2), where other descriptors could
 * be waited for as well. Several of them count together, and no count is lost.
 *
 *     TIDELOCK_SERVERS=host:port,... example-poll_lock COUNT */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

#define LOCK "/examples/poll/lock"
#define NUMBER "/examples/poll/number"

static tl_client *client;
static tl_lock lock;
static long left;
static int failed; /* the code that ended it */

static void on_lock(void *ctx, const tl_result *r);

/* True: go on. */
static int went_well(const tl_result *r)
{
    if (r->code == 0) return 1;
    fprintf(stderr, "%s: %s\n", tl_error_name(r->code), r->message);
    failed = r->code;
    return 0;
}

static void on_released(void *ctx, const tl_result *r)
{
    if (!went_well(r)) return;
    left--;
    if (left > 0) tl_lock_acquire_async(client, LOCK, 0, on_lock, ctx);
}

static void on_written(void *ctx, const tl_result *r)
{
    if (went_well(r)) tl_lock_release_async(client, &lock, on_released, ctx);
}

/* Nobody else writes it meanwhile, and the guard would refuse us if the lock were lost. */
static void on_number(void *ctx, const tl_result *r)
{
    const tl_guard guard = { lock.path, lock.token };
    char text[32];

    if (r->code == TL_NO_NODE) {
        tl_create_async(client, NUMBER, "1", 1, TL_PARENTS, &guard, on_written, ctx);
    } else if (went_well(r)) {
        const long number = r->len > 0 ? atol(r->data) : 0;
        const int len = snprintf(text, sizeof text, "%ld", number + 1);

        tl_set_async(client, NUMBER, text, (size_t) len, -1, &guard, on_written, ctx);
    }
}

static void on_lock(void *ctx, const tl_result *r)
{
    if (!went_well(r)) return;
    lock = *r->lock;
    tl_get_async(client, NUMBER, on_number, ctx);
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .timeout_ms = 30000,
                                 .session_timeout_ms = 10000 };

    left = argc == 2 ? atol(argv[1]) : 1;
    if (tl_open(&options, &client) != 0) {
        fprintf(stderr, "%s\n", tl_message());
        return EXIT_FAILURE;
    }
    tl_lock_acquire_async(client, LOCK, 0, on_lock, NULL);
    while (left > 0 && failed == 0) {
        struct pollfd fds[] = { { .fd = tl_fd(client), .events = POLLIN } };

        (void) poll(fds, 1, -1);
        failed = tl_process(client) != 0 ? TL_CLOSED : failed;
    }
    tl_close(client);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
