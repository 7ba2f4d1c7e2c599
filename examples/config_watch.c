/* config_watch.c -- prints each version of a configuration value as it is stored.
 *
 *     TIDELOCK_SERVERS=host:port,... example-config_watch PATH [COUNT]
 *
 * It ends after COUNT versions, else never. Who stores them: recipe config.put, or a plain
 * `tidelock set PATH DATA`. No version is missed while the recipe keeps it (20, if nobody
 * said otherwise), whatever fails. */
#include <inttypes.h>
#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tidelock.h"

struct version {
    uint64_t number;
    const char *data;
    uint32_t len;
    bool skipped; /* versions before it are not kept any more */
};

static void pack_text(msgpack_packer *pk, const char *text)
{
    msgpack_pack_str_with_body(pk, text, strlen(text));
}

static void take_member(struct version *v, const msgpack_object_str *key,
                        const msgpack_object *value)
{
    if (key->size == 7 && memcmp(key->ptr, "version", 7) == 0) v->number = value->via.u64;
    if (key->size == 7 && memcmp(key->ptr, "skipped", 7) == 0) v->skipped = true;
    if (key->size == 4 && memcmp(key->ptr, "data", 4) == 0) {
        v->data = value->via.bin.ptr; /* str when it is UTF-8, else bin: laid out alike */
        v->len = value->via.bin.size;
    }
}

/* Waits for the version after `after`, without limit, and prints it. */
static int print_next(tl_client *c, const char *path, uint64_t *after)
{
    struct version v = { 0 };
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
    const int code =
        tl_call(c, "config.watch", args.data, args.size, 0, NULL, &value, &len);

    if (code == 0 &&
        msgpack_unpack_next(&answer, value, len, NULL) == MSGPACK_UNPACK_SUCCESS &&
        answer.data.type == MSGPACK_OBJECT_MAP) {
        for (uint32_t i = 0; i < answer.data.via.map.size; i++) {
            take_member(&v, &answer.data.via.map.ptr[i].key.via.str,
                        &answer.data.via.map.ptr[i].val);
        }
        if (v.skipped) printf("(versions %" PRIu64 " and on are gone)\n", *after + 1);
        printf("%" PRIu64 " %.*s\n", v.number, (int) v.len, v.data);
        fflush(stdout);
        *after = v.number;
    }
    tl_free(value);
    msgpack_sbuffer_destroy(&args);
    msgpack_unpacked_destroy(&answer);
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
    return follow(argv[1], argc == 3 ? atol(argv[2]) : -1) == 0 ? EXIT_SUCCESS
                                                                : EXIT_FAILURE;
}
