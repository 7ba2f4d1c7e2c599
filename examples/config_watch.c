/* config_watch.c -- prints each version of a configuration value as it is stored.
 *
 *     TIDELOCK_SERVERS=host:port,... example-config_watch PATH [COUNT]
 *
 * It ends after COUNT versions, else never. No version is missed while it is kept (20 are,
 * if nobody said otherwise), whatever fails. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tidelock.h"

static int print_version(const void *answer, size_t len, int64_t *after)
{
    const char *data;
    size_t data_len;
    const int64_t following = *after + 1;

    if (!tl_value_number(answer, len, "version", after) ||
        !tl_value_text(answer, len, "data", &data, &data_len)) {
        return TL_BAD_MESSAGE;
    }
    if (*after > following) printf("(some before it are gone)\n");
    printf("%" PRId64 " %.*s\n", *after, (int) data_len, data);
    fflush(stdout);
    return 0;
}

/* Waits for the version after `after`, without limit, and prints it. */
static int print_next(tl_client *c, const char *path, int64_t *after)
{
    const tl_pair pairs[] = { { .name = "path", .text = path },
                              { .name = "after", .number = *after } };
    size_t args_len, len;
    void *args = tl_map(pairs, 2, &args_len), *answer;
    int code = tl_call(c, "config.watch", args, args_len, 0, NULL, &answer, &len);

    if (code == 0) code = print_version(answer, len, after);
    tl_free(answer);
    tl_free(args);
    return code;
}

/* A call that waits needs a session. One that is over is replaced, and nothing is missed:
 * the next call says what we have. */
static int follow(const char *path, long count)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .session_timeout_ms = 10000 };
    tl_client *c = NULL;
    int64_t after = 0;
    int code = tl_connect(&options, &c);

    while (code == 0 && count != 0) {
        code = print_next(c, path, &after);
        if (code == 0) count--;
        if (code == TL_SESSION_EXPIRED) {
            tl_close(c);
            code = tl_connect(&options, &c);
        }
    }
    if (code != 0) fprintf(stderr, "%s: %s\n", tl_error_name(code), tl_message());
    tl_close(c);
    return code;
}

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s PATH [COUNT]\n", argv[0]);
        return 2;
    }
    return follow(argv[1], argc == 3 ? atol(argv[2]) : -1) == 0 ? 0 : EXIT_FAILURE;
}
