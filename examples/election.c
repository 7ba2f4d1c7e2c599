/* election.c -- stands for election, does a leader's work under the guard of its token, and
 * steps down.
 *
 *     TIDELOCK_SERVERS=host:port,... example-election NAME
 *
 * cc election.c -ltidelock -lmsgpackc -lxxhash -lpthread */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

#define ELECTION "/examples/election"

/* Waits until we lead, however long that takes. */
static int campaign(tl_client *c, const char *name, tl_guard *term)
{
    const tl_pair pairs[] = { { .name = "path", .text = ELECTION },
                              { .name = "value", .text = name } };
    int64_t token = 0;
    size_t args_len, len;
    void *args = tl_map(pairs, 2, &args_len), *answer;
    const int code =
        tl_call(c, "election.campaign", args, args_len, 0, NULL, &answer, &len);

    if (code == 0) (void) tl_value_number(answer, len, "token", &token);
    *term = (tl_guard){ ELECTION "/leader", (uint64_t) token };
    tl_free(answer);
    tl_free(args);
    return code;
}

/* What only the leader may write: the service refuses it from anybody else, even from a
 * leader of the past that does not know it yet. */
static int work(tl_client *c, const char *name, const tl_guard *term)
{
    char *created = NULL;
    const int code = tl_create(c, "/examples/terms/", name, strlen(name),
                               TL_SEQUENTIAL | TL_PARENTS, term, &created, NULL);

    if (code == 0) {
        printf("%s leads by token %" PRIu64 ": %s\n", name, term->token, created);
    }
    tl_free(created);
    return code;
}

int main(int argc, char **argv)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .session_timeout_ms = 10000 };
    tl_client *c = NULL;
    tl_guard term;

    if (argc != 2) {
        fprintf(stderr, "usage: %s NAME\n", argv[0]);
        return 2;
    }
    int code = tl_connect(&options, &c);
    if (code == 0) code = campaign(c, argv[1], &term);
    if (code == 0) code = work(c, argv[1], &term);
    if (code != 0) fprintf(stderr, "%s: %s\n", tl_error_name(code), tl_message());
    tl_close(c); /* the term ends with the session; election.resign would end it earlier */
    return code == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
