/* config_watch.c -- prints each version of a configuration value as it is stored.
 *
 *     TIDELOCK_SERVERS=host:port,... example-config_watch PATH [COUNT]
 *
 * It ends after COUNT versions, else never. No version is missed while it is kept (20 are,
 * if nobody said otherwise), whatever fails. */
#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

/* That member of the answer; NULL when it has none. */
static const msgpack_object *member(const msgpack_object *answer, const char *name)
{
    if (answer->type != MSGPACK_OBJECT_MAP) return NULL;
    for (uint32_t i = 0; i < answer->via.map.size; i++) {
        const msgpack_object_kv *m = &answer->via.map.ptr[i];
        const msgpack_object_str *key = &m->key.via.str;
        if (key->size == strlen(name) && !memcmp(key->ptr, name, key->size)) return &m->val;
    }
    return NULL;
}

/* Data is text when it is UTF-8, else bytes: both are laid out alike. */
static int print_version(const msgpack_object *answer, uint64_t *after)
{
    const msgpack_object *number = member(answer, "version");
    const msgpack_object *data = member(answer, "data");

    if (number == NULL || data == NULL) return TL_BAD_MESSAGE;
    if (member(answer, "skipped") != NULL) printf("(some before it are gone)\n");
    *after = number->via.u64;
    printf("%" PRIu64 " %.*s\n", *after, (int) data->via.str.size, data->via.str.ptr);
    fflush(stdout);
    return 0;
}

/* Waits for the version after `after`, without limit, and prints it. */
static int print_next(tl_client *c, const char *path, uint64_t *after)
{
    msgpack_unpacked answer;
    msgpack_sbuffer args;
    msgpack_packer pk;
    void *value;
    size_t len;

    msgpack_unpacked_init(&answer);
    msgpack_sbuffer_init(&args);
    msgpack_packer_init(&pk, &args, msgpack_sbuffer_write);
    msgpack_pack_map(&pk, 2);
    pack_text(&pk, "path"), pack_text(&pk, path);
    pack_text(&pk, "after"), msgpack_pack_uint64(&pk, *after);
    int code = tl_call(c, "config.watch", args.data, args.size, 0, NULL, &value, &len);

    if (code == 0) msgpack_unpack_next(&answer, value, len, NULL);
    if (code == 0) code = print_version(&answer.data, after);
    tl_free(value);
    msgpack_sbuffer_destroy(&args), msgpack_unpacked_destroy(&answer);
    return code;
}

/* A call that waits needs a session. One that is over is replaced, and nothing is missed:
 * the next call says what we have. */
static int follow(const char *path, long count)
{
    const tl_options options = { .servers = getenv("TIDELOCK_SERVERS"),
                                 .session_timeout_ms = 10000 };
    tl_client *c = NULL;
    uint64_t after = 0;
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
