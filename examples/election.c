/* election.c -- stands for election, does a leader's work under the guard of its token, and
 * steps down.
 *
 *     TIDELOCK_SERVERS=host:port,... example-election NAME
 *
 * Arguments and answers of recipes are MessagePack, here by msgpack-c, which libtidelock
 * needs anyway (cc election.c -ltidelock -lmsgpackc -lxxhash -lpthread). */
#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

#define ELECTION "/examples/election"

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

/* The token in the answer {path, token, value}; 0 if it has none. */
static uint64_t token_of(const void *answer, size_t len)
{
    msgpack_unpacked u;
    uint64_t token = 0;

    msgpack_unpacked_init(&u);
    if (msgpack_unpack_next(&u, answer, len, NULL) == MSGPACK_UNPACK_SUCCESS &&
        u.data.type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; i < u.data.via.map.size; i++) {
            const msgpack_object_kv *m = &u.data.via.map.ptr[i];

            if (m->key.via.str.size == 5 && memcmp(m->key.via.str.ptr, "token", 5) == 0) {
                token = m->val.via.u64;
            }
        }
    }
    msgpack_unpacked_destroy(&u);
    return token;
}

/* Waits until we lead, however long that takes. */
static int campaign(tl_client *c, const char *name, tl_guard *term)
{
    msgpack_sbuffer args;
    msgpack_packer pk;
    void *answer;
    size_t len;

    msgpack_sbuffer_init(&args);
    msgpack_packer_init(&pk, &args, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 2);
    pack_text(&pk, "path"), pack_text(&pk, ELECTION);
    pack_text(&pk, "value"), pack_text(&pk, name);
    const int code = tl_call(c, "election.campaign", args.data, args.size, 0, NULL,
                             &answer, &len);

    if (code == 0) *term = (tl_guard){ ELECTION "/leader", token_of(answer, len) };
    tl_free(answer);
    msgpack_sbuffer_destroy(&args);
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
