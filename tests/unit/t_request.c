/* t_request.c -- requests as bytes: what comes back, and what is refused.
 *
 * Method: every kind is encoded and decoded; then each rule is broken by hand; then seeded
 * random damage, which must end in a code and never in a read past the end. Replay with
 *     SEED=<n> ./t_request */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/base/rng.h"
#include "core/machine/request.h"
#include "core/tree/tx.h"
#include "tests/lib/tap.h"

static struct buf encoded, wants;
static struct request got;

static int round_trip(const struct request *r)
{
    buf_clear(&encoded);
    request_encode(&encoded, r);
    return request_decode(buf_bytes(&encoded), &got);
}

static void put_want(struct want w)
{
    want_encode(&wants, &w);
}

/* All six wants. */
static struct request full_write(void)
{
    const struct bytes path = BYTES_LIT("/a/b"), data = BYTES_LIT("some data");

    buf_clear(&wants);
    put_want((struct want){ .kind = WANT_CHECK, .path = path, .version = 7 });
    put_want((struct want){ .kind = WANT_CHECK_ABSENT, .path = path });
    put_want((struct want){ .kind = WANT_GUARD, .path = path, .token = 1ull << 60 });
    put_want((struct want){ .kind = WANT_CREATE, .path = path, .flags = TX_EPHEMERAL });
    put_want((struct want){ .kind = WANT_SET, .path = path, .data = data, .version = -1 });
    put_want((struct want){ .kind = WANT_DELETE, .path = path, .version = INT32_MIN });
    return (struct request){ .kind = REQUEST_WRITE,
                             .session = 5,
                             .seq = 3,
                             .ack = 2,
                             .wants_count = 6,
                             .wants = buf_bytes(&wants) };
}

static struct request guarded_call(void)
{
    buf_clear(&wants);
    put_want((struct want){ .kind = WANT_GUARD, .path = BYTES_LIT("/l"), .token = 9 });
    return (struct request){ .kind = REQUEST_CALL,
                             .session = 5,
                             .seq = 3,
                             .recipe = BYTES_LIT("lock"),
                             .function = BYTES_LIT("acquire"),
                             .args = BYTES_LIT("\x80"),
                             .timeout_ms = 1500,
                             .wants_count = 1,
                             .wants = buf_bytes(&wants) };
}

static void every_want_comes_back_as_it_was(void)
{
    struct request r = full_write();
    struct reader reader;
    struct want w;

    IS(round_trip(&r), 0);
    IS(got.session, 5);
    IS(got.seq, 3);
    IS(got.ack, 2);
    IS(got.wants_count, 6);
    reader = reader_of(got.wants);
    IS(want_next(&reader, &w), 0);
    IS(w.version, 7);
    IS(want_next(&reader, &w), 0);
    IS(w.kind, WANT_CHECK_ABSENT);
    IS(want_next(&reader, &w), 0);
    IS(w.token, 1ll << 60);
    IS(want_next(&reader, &w), 0);
    IS(w.flags, TX_EPHEMERAL);
    OK(w.data.ptr == NULL);
    IS(want_next(&reader, &w), 0);
    IS(w.version, -1);
    OK(bytes_equal(w.data, BYTES_LIT("some data")));
    IS(want_next(&reader, &w), 0);
    IS(w.version, INT32_MIN);
    OK(bytes_equal(w.path, BYTES_LIT("/a/b")));
    OK(reader_done(&reader));
}

static void wants_of_the_second_version_come_back(void)
{
    const struct bytes path = BYTES_LIT("/a"), to = BYTES_LIT("/b");
    struct request r = { .kind = REQUEST_WRITE };
    struct reader reader;
    struct want w;

    buf_clear(&wants);
    put_want((struct want){ .kind = WANT_ALIVE, .token = 77 });
    put_want((struct want){ .kind = WANT_GET, .path = path });
    put_want((struct want){ .kind = WANT_STAT, .path = path });
    put_want((struct want){ .kind = WANT_TOUCH, .path = path });
    put_want((struct want){ .kind = WANT_CREATE_AS,
                            .path = path,
                            .flags = TX_CONTAINER,
                            .ttl_ms = 5,
                            .linger_ms = 6 });
    put_want((struct want){ .kind = WANT_DELETE_TREE, .path = path, .partly = true });
    put_want((struct want){ .kind = WANT_COPY, .path = path, .to = to });
    put_want((struct want){
        .kind = WANT_QUOTA, .path = path, .nodes_max = 8, .bytes_max = UINT64_MAX });
    r.wants = buf_bytes(&wants);
    r.wants_count = 8;
    IS(round_trip(&r), 0);
    reader = reader_of(got.wants);
    IS(want_next(&reader, &w), 0);
    IS(w.kind, WANT_ALIVE);
    IS(w.token, 77);
    for (int kind = WANT_GET; kind <= WANT_TOUCH; kind++) {
        IS(want_next(&reader, &w), 0);
        IS(w.kind, kind);
        OK(bytes_equal(w.path, path));
    }
    IS(want_next(&reader, &w), 0);
    IS(w.flags, TX_CONTAINER);
    IS(w.ttl_ms, 5);
    IS(w.linger_ms, 6);
    IS(want_next(&reader, &w), 0);
    OK(w.partly);
    IS(want_next(&reader, &w), 0);
    OK(bytes_equal(w.to, to));
    IS(want_next(&reader, &w), 0);
    IS(w.nodes_max, 8);
    OK(w.bytes_max == UINT64_MAX);
    OK(reader_done(&reader));
}

/* As a follower of the version before forwards them. */
static void a_request_of_the_first_version_is_read(void)
{
    struct request r = full_write();

    IS(round_trip(&r), 0);
    encoded.ptr[0] = 1;
    IS(request_decode(buf_bytes(&encoded), &got), 0);
}

static void a_call_and_its_guards_come_back(void)
{
    struct request r = guarded_call();

    IS(round_trip(&r), 0);
    OK(bytes_equal(got.recipe, BYTES_LIT("lock")));
    OK(bytes_equal(got.function, BYTES_LIT("acquire")));
    OK(bytes_equal(got.args, BYTES_LIT("\x80")));
    IS(got.timeout_ms, 1500);
    IS(got.wants_count, 1);
}

static void a_session_opens_with_a_whole_secret_only(void)
{
    struct request r = { .kind = REQUEST_SESSION_OPEN,
                         .timeout_ms = 5000,
                         .secret = BYTES_LIT("0123456789abcdef") };

    IS(round_trip(&r), 0);
    IS(got.timeout_ms, 5000);
    OK(bytes_equal(got.secret, r.secret));
    r.secret.len--;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
}

static void what_a_session_writes_needs_a_seq(void)
{
    struct request r = full_write();

    r.seq = 0;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
    r.session = r.ack = 0;
    IS(round_trip(&r), 0);
    r = guarded_call();
    r.seq = 0;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
}

static void cancel_and_close_need_a_session(void)
{
    struct request r = { .kind = REQUEST_CANCEL, .session = 4, .target_seq = 2 };

    IS(round_trip(&r), 0);
    IS(got.target_seq, 2);
    r.session = 0;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
    r = (struct request){ .kind = REQUEST_SESSION_CLOSE };
    IS(round_trip(&r), ERR_BAD_MESSAGE);
    r.session = 4;
    IS(round_trip(&r), 0);
}

static void a_call_carries_guards_only(void)
{
    struct request r = guarded_call();

    put_want((struct want){ .kind = WANT_CHECK_ABSENT, .path = BYTES_LIT("/x") });
    r.wants = buf_bytes(&wants);
    r.wants_count = 2;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
}

static void a_single_write_has_one_op_apart_from_guards(void)
{
    struct request r = full_write();

    r.single = true;
    IS(round_trip(&r), ERR_BAD_MESSAGE);
    buf_clear(&wants);
    put_want((struct want){ .kind = WANT_GUARD, .path = BYTES_LIT("/l"), .token = 9 });
    put_want((struct want){ .kind = WANT_DELETE, .path = BYTES_LIT("/x"), .version = -1 });
    r.wants = buf_bytes(&wants);
    r.wants_count = 2;
    IS(round_trip(&r), 0);
    OK(got.single);
}

static void too_many_wants_are_too_large(void)
{
    struct request r = full_write();

    buf_clear(&wants);
    for (uint32_t i = 0; i <= MULTI_OPS_MAX; i++) {
        put_want((struct want){ .kind = WANT_CHECK_ABSENT, .path = BYTES_LIT("/x") });
    }
    r.wants = buf_bytes(&wants);
    r.wants_count = MULTI_OPS_MAX + 1;
    IS(round_trip(&r), ERR_TOO_LARGE);
    r.wants_count = MULTI_OPS_MAX;
    r.wants.len -= 4;
    IS(round_trip(&r), 0);
}

static void another_version_and_left_over_bytes_are_refused(void)
{
    struct request r = full_write();

    IS(round_trip(&r), 0);
    buf_put_u8(&encoded, 0);
    IS(request_decode(buf_bytes(&encoded), &got), ERR_BAD_MESSAGE);
    encoded.ptr[0] = 3;
    IS(request_decode(buf_bytes(&encoded), &got), ERR_OTHER_VERSION);
    IS(request_decode((struct bytes){ 0 }, &got), ERR_BAD_MESSAGE);
}

static void no_shorter_request_is_a_request(void)
{
    struct request requests[] = { full_write(), guarded_call() };

    for (size_t k = 0; k < 2; k++) {
        requests[0] = full_write();
        if (k == 1) requests[1] = guarded_call();
        IS(round_trip(&requests[k]), 0);
        for (size_t len = 0; len < encoded.len; len++) {
            uint8_t *exact = mem_alloc(len);

            memcpy(exact, encoded.ptr, len);
            OK(request_decode(bytes_of(exact, len), &got) != 0);
            free(exact);
        }
    }
}

static void damage_never_reads_past_the_end(void)
{
    const char *given = getenv("SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : 1;
    struct request r = full_write();
    struct rng rng;
    int accepted = 0;

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    for (int i = 0; i < 20000; i++) {
        uint8_t *exact;

        round_trip(&r);
        exact = mem_alloc(encoded.len);
        memcpy(exact, encoded.ptr, encoded.len);
        for (uint64_t n = rng_below(&rng, 4) + 1; n > 0; n--) {
            exact[rng_below(&rng, encoded.len)] = (uint8_t)rng_next(&rng);
        }
        if (request_decode(bytes_of(exact, encoded.len), &got) == 0) accepted++;
        free(exact);
    }
    OK(accepted < 20000);
}

int main(void)
{
    TEST(every_want_comes_back_as_it_was);
    TEST(wants_of_the_second_version_come_back);
    TEST(a_request_of_the_first_version_is_read);
    TEST(a_call_and_its_guards_come_back);
    TEST(a_session_opens_with_a_whole_secret_only);
    TEST(what_a_session_writes_needs_a_seq);
    TEST(cancel_and_close_need_a_session);
    TEST(a_call_carries_guards_only);
    TEST(a_single_write_has_one_op_apart_from_guards);
    TEST(too_many_wants_are_too_large);
    TEST(another_version_and_left_over_bytes_are_refused);
    TEST(no_shorter_request_is_a_request);
    TEST(damage_never_reads_past_the_end);
    buf_fini(&encoded);
    buf_fini(&wants);
    return tap_done();
}
