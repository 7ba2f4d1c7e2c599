/* lock.c -- takes a lock, does guarded work, and gives the lock back.
 *
 *     TIDELOCK_SERVERS=host:port,... example-lock NAME
 *
 * However many run at once: /examples/counter is raised by one by each. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

#define COUNTER "/examples/counter"

/* Read, add one, write. The lock keeps others away meanwhile. The guard makes the service
 * refuse the write when the lock is ours no more, however long we were stopped. */
static int count(tl_client *c, const char *name, const tl_lock *lock)
{
    const tl_guard guard = { lock->path, lock->token };
    char *data = NULL, text[32];
    size_t len;
    int code = tl_get(c, COUNTER, &data, &len, NULL);

    if (code != 0 && code != TL_NO_NODE) return code;
    const long number = (data == NULL ? 0 : atol(data)) + 1;
    snprintf(text, sizeof text, "%ld", number);

    tl_free(data);
    if (code == 0) {
        code = tl_set(c, COUNTER, text, strlen(text), -1, &guard, NULL);
    } else {
        code = tl_create(c, COUNTER, text, strlen(text), TL_PARENTS, &guard, NULL, NULL);
    }
    if (code == 0) printf("%s counted %ld, token %" PRIu64 "\n", name, number, lock->token);
    return code;
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .session_timeout_ms = 10000 };
    tl_client *c = NULL;
    tl_lock lock;

    if (argc != 2) {
        fprintf(stderr, "usage: %s NAME\n", argv[0]);
        return 2;
    }
    int code = tl_connect(&options, &c);
    if (code == 0) code = tl_lock_acquire(c, "/examples/lock", 0, &lock); /* waits */
    if (code == 0) code = count(c, argv[1], &lock);
    if (code == 0) code = tl_lock_release(c, &lock);
    if (code != 0) fprintf(stderr, "%s: %s\n", tl_error_name(code), tl_message());
    tl_close(c); /* a lock that could not be released goes with the session */
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
