/* t_frame.c -- the bytes between replicas, one rule a test.
 *
 * Method: one sample of each kind, whole, cut short, with wrong numbers in it; then random
 * bytes and damaged samples, where the sanitizers are the judge. Replay with:
 * SEED=<n> ./t_frame  */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/replica/frame.h"
#include "tests/lib/tap.h"

static struct buf bytes;
static uint64_t seed;

static const enum frame_kind kinds[] = { FRAME_PAXOS, FRAME_FORWARD, FRAME_FORWARD_NEXT,
                                         FRAME_READ_ASK, FRAME_READ_OK,
                                         FRAME_SNAPSHOT_OFFER, FRAME_SNAPSHOT_ASK,
                                         FRAME_SNAPSHOT_CHUNK, FRAME_DIGEST, FRAME_FULL,
                                         FRAME_ATTACHED };
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* Of those that tell of slots and states. */
static struct frame sample_of_state(enum frame_kind kind)
{
    struct frame f = { .kind = kind, .again = true };

    if (kind == FRAME_FULL) return f;
    if (kind == FRAME_ATTACHED) return (struct frame){ .kind = kind, .id = 300, .index = 7 };
    f.slot = UINT64_C(1) << 40;
    if (kind == FRAME_DIGEST) f.sum = UINT64_MAX - 1;
    if (kind == FRAME_SNAPSHOT_OFFER) f.again = false;
    if (kind == FRAME_SNAPSHOT_ASK) {
        f.number = 300;
        f.limit = 304;
        f.sum = 77;
        f.cursor = BYTES_LIT("n/a");
    }
    if (kind == FRAME_SNAPSHOT_CHUNK) {
        f.again = false;
        f.number = 300;
        f.sum_before = 77;
        f.sum = 78;
        f.last = true;
    }
    return f;
}

static struct frame sample(enum frame_kind kind)
{
    struct frame f = { .kind = kind };

    if (kind == FRAME_PAXOS) {
        f.paxos = (struct paxos_message){
            .kind = PAXOS_HEARTBEAT, .ballot = { 900, 2 }, .round = 300, .yes = true
        };
        return f;
    }
    if (kind >= FRAME_SNAPSHOT_OFFER) return sample_of_state(kind);
    f.boot = 1 << 20;
    if (kind == FRAME_FORWARD || kind == FRAME_FORWARD_NEXT) {
        f.reign = (struct ballot){ UINT64_C(1) << 40, NODES_MAX };
        f.number = 1000;
        f.again = kind == FRAME_FORWARD_NEXT;
    } else {
        f.id = UINT64_MAX;
    }
    if (kind == FRAME_READ_OK) f.index = 12345;
    if (kind == FRAME_FORWARD || kind == FRAME_READ_ASK) f.count = 2;
    return f;
}

static void encode(const struct frame *f)
{
    buf_clear(&bytes);
    frame_encode(&bytes, f);
    if (f->kind == FRAME_FORWARD && f->count == 2) {
        frame_put_request(&bytes, UINT64_MAX, 7, BYTES_LIT("a request"));
        frame_put_request(&bytes, 5, 0, BYTES_LIT(""));
    }
    if (f->kind == FRAME_READ_ASK && f->count == 2) {
        frame_put_session(&bytes, 1);
        frame_put_session(&bytes, UINT64_MAX);
    }
}

static int decode(size_t len, struct frame *f)
{
    int code = frame_decode(bytes_of(bytes.ptr, len), f);

    if (code == 0) blob_unref(f->paxos.vote.proposal.batch);
    return code;
}

static bool refused(const struct frame *f)
{
    struct frame got;

    encode(f);
    return decode(bytes.len, &got) == ERR_BAD_MESSAGE;
}

static void items_are_whole(const struct frame *f)
{
    struct reader items = reader_of(f->items);
    struct bytes request;
    uint64_t tag, flow;

    if (f->kind == FRAME_READ_ASK) {
        IS(frame_next_session(&items), 1);
        OK(frame_next_session(&items) == UINT64_MAX);
    } else {
        frame_next_request(&items, &tag, &flow, &request);
        OK(tag == UINT64_MAX);
        IS(flow, 7);
        OK(bytes_equal(request, BYTES_LIT("a request")));
        frame_next_request(&items, &tag, &flow, &request);
        IS(tag, 5);
        OK(request.ptr != NULL && request.len == 0);
    }
    OK(reader_done(&items));
}

static void every_kind_survives_the_round_trip(void)
{
    for (int i = 0; i < KINDS; i++) {
        const struct frame f = sample(kinds[i]);
        struct frame got;

        encode(&f);
        IS(decode(bytes.len, &got), 0);
        IS(got.kind, f.kind);
        IS(got.paxos.kind, f.paxos.kind);
        IS(got.paxos.round, f.paxos.round);
        IS(ballot_cmp(got.paxos.ballot, f.paxos.ballot), 0);
        IS(ballot_cmp(got.reign, f.reign), 0);
        IS(got.boot, f.boot);
        IS(got.number, f.number);
        IS(got.id, f.id);
        IS(got.index, f.index);
        IS(got.slot, f.slot);
        IS(got.limit, f.limit);
        IS(got.sum, f.sum);
        IS(got.sum_before, f.sum_before);
        IS(got.again, f.again);
        IS(got.last, f.last);
        OK(bytes_equal(got.cursor, f.cursor));
        IS(got.count, f.count);
        if (f.count > 0) items_are_whole(&got);
    }
}

static void every_kind_has_a_name(void)
{
    static const char *const names[] = { "HEARTBEAT", "forward", "forward_next", "read_ask",
                                         "read_ok", "snapshot_offer", "snapshot_ask",
                                         "snapshot_chunk", "digest", "full",
                                         "attached" };

    for (int i = 0; i < KINDS; i++) {
        const struct frame f = sample(kinds[i]);

        STR(frame_name(&f), names[i]);
    }
}

static void whatever_is_cut_short_is_refused(void)
{
    for (int i = 0; i < KINDS; i++) {
        const struct frame f = sample(kinds[i]);

        encode(&f);
        for (size_t len = 0; len < bytes.len; len++) {
            struct frame got;

            IS(decode(len, &got), ERR_BAD_MESSAGE);
        }
    }
}

static void a_byte_too_many_is_refused(void)
{
    for (int i = 0; i < KINDS; i++) {
        const struct frame f = sample(kinds[i]);
        struct frame got;

        if (f.kind == FRAME_SNAPSHOT_CHUNK) continue; /* its cells go to the end */
        encode(&f);
        buf_put_u8(&bytes, 0);
        IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    }
}

static void another_version_or_kind_is_refused(void)
{
    const struct frame f = sample(FRAME_READ_OK);
    struct frame got;

    encode(&f);
    bytes.ptr[0]++;
    IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    bytes.ptr[0]--;
    for (unsigned kind = 0; kind < 256; kind++) {
        if (kind == FRAME_READ_OK) continue;
        bytes.ptr[1] = (uint8_t) kind;
        IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    }
}

static void numbers_out_of_range_are_refused(void)
{
    const enum frame_kind both[] = { FRAME_FORWARD, FRAME_FORWARD_NEXT };

    for (int i = 0; i < 2; i++) {
        struct frame f = sample(both[i]);

        f.reign.round = 0;
        OK(refused(&f));
        f = sample(both[i]);
        f.reign.node = 0;
        OK(refused(&f));
        f.reign.node = NODES_MAX + 1;
        OK(refused(&f));
        f = sample(both[i]);
        f.number = 0;
        OK(refused(&f));
        f = sample(both[i]);
        f.boot = 0; /* an answer to it would be refused as well, at the other end */
        OK(refused(&f));
    }
}

static void an_ask_for_a_snapshot_is_sound_in_itself(void)
{
    struct frame f = sample(FRAME_SNAPSHOT_ASK);

    f.limit = f.number - 1;
    OK(refused(&f));
    f = sample(FRAME_SNAPSHOT_ASK);
    f.number = f.limit = UINT64_C(1) << 60;
    OK(refused(&f));
    f = sample(FRAME_SNAPSHOT_CHUNK);
    f.number = 0;
    OK(refused(&f));
    f = sample(FRAME_SNAPSHOT_OFFER);
    f.slot = 0;
    OK(refused(&f));
}

static void the_cells_of_a_chunk_go_to_the_end(void)
{
    const struct frame f = sample(FRAME_SNAPSHOT_CHUNK);
    struct frame got;

    encode(&f);
    buf_put_bytes_raw(&bytes, BYTES_LIT("cells"));
    IS(decode(bytes.len, &got), 0);
    OK(bytes_equal(got.items, BYTES_LIT("cells")));
}

static void a_node_that_does_not_fit_its_field_is_refused(void)
{
    struct frame got;

    buf_clear(&bytes);
    buf_put_u8(&bytes, 1);
    buf_put_u8(&bytes, FRAME_FORWARD_NEXT);
    buf_put_uint(&bytes, 7);
    buf_put_uint(&bytes, (UINT64_C(1) << 32) + 1); /* 1, were it cut to 32 bits */
    buf_put_uint(&bytes, 1);
    buf_put_uint(&bytes, 1);
    IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
}

static void a_count_of_more_than_there_is_is_refused(void)
{
    struct frame f = sample(FRAME_FORWARD);

    f.count = UINT32_MAX;
    OK(refused(&f));
    f = sample(FRAME_READ_ASK);
    f.count = 1 << 30;
    OK(refused(&f));
}

static void a_count_that_does_not_fit_its_field_is_refused(void)
{
    struct frame got;

    buf_clear(&bytes);
    buf_put_u8(&bytes, 1);
    buf_put_u8(&bytes, FRAME_READ_ASK);
    buf_put_uint(&bytes, 1);
    buf_put_uint(&bytes, 1);
    buf_put_uint(&bytes, (UINT64_C(1) << 32) + 1);
    frame_put_session(&bytes, 7);
    IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
}

static void a_null_request_and_session_0_are_refused(void)
{
    struct frame f = sample(FRAME_FORWARD), got;

    f.count = 1;
    encode(&f);
    frame_put_request(&bytes, 1, 0, (struct bytes){ 0 });
    IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    f = sample(FRAME_READ_ASK);
    f.count = 1;
    encode(&f);
    frame_put_session(&bytes, 0);
    IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
}

static void an_ask_that_renews_nothing_is_fine(void)
{
    struct frame f = sample(FRAME_READ_ASK), got;

    f.count = 0;
    encode(&f);
    IS(decode(bytes.len, &got), 0);
    IS(got.count, 0);
}

/* What is not refused is walked, as its reader would. */
static void walk(const struct frame *f)
{
    struct reader items = reader_of(f->items);
    struct bytes request;
    uint64_t tag, flow;

    for (uint32_t i = 0; i < f->count; i++) {
        if (f->kind == FRAME_FORWARD) {
            frame_next_request(&items, &tag, &flow, &request);
        } else {
            frame_next_session(&items);
        }
    }
    OK(reader_done(&items));
}

static void random_bytes_are_refused_or_whole(void)
{
    const struct frame any = sample(FRAME_READ_OK);
    struct rng rng;
    struct frame got;
    int good = 0;

    rng_init(&rng, seed);
    encode(&any);
    for (int i = 0; i < 100000; i++) {
        uint64_t len = rng_below(&rng, 40);

        bytes.len = 1; /* the version stands there */
        buf_put_u8(&bytes, (uint8_t) (1 + rng_below(&rng, KINDS)));
        while (bytes.len < len) buf_put_u8(&bytes, (uint8_t) (rng_next(&rng) >> 40));
        if (decode(bytes.len, &got) != 0) continue;
        good++;
        if (got.count > 0) walk(&got);
    }
    OK(good > 0);
}

static void damaged_samples_are_refused_or_whole(void)
{
    struct rng rng;
    struct frame got;
    int bad = 0;

    rng_init(&rng, seed + 1);
    for (int i = 0; i < 100000; i++) {
        const struct frame f = sample(kinds[rng_below(&rng, KINDS)]);

        encode(&f);
        for (uint64_t flips = 1 + rng_below(&rng, 3); flips > 0; flips--) {
            bytes.ptr[rng_below(&rng, bytes.len)] ^= (uint8_t) (1u << rng_below(&rng, 8));
        }
        if (decode(bytes.len, &got) != 0) {
            bad++;
        } else if (got.count > 0) {
            walk(&got);
        }
    }
    OK(bad > 0);
}

int main(void)
{
    const char *given = getenv("SEED");

    seed = given == NULL ? 1 : strtoull(given, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    TEST(every_kind_survives_the_round_trip);
    TEST(every_kind_has_a_name);
    TEST(whatever_is_cut_short_is_refused);
    TEST(a_byte_too_many_is_refused);
    TEST(another_version_or_kind_is_refused);
    TEST(numbers_out_of_range_are_refused);
    TEST(an_ask_for_a_snapshot_is_sound_in_itself);
    TEST(the_cells_of_a_chunk_go_to_the_end);
    TEST(a_node_that_does_not_fit_its_field_is_refused);
    TEST(a_count_of_more_than_there_is_is_refused);
    TEST(a_count_that_does_not_fit_its_field_is_refused);
    TEST(a_null_request_and_session_0_are_refused);
    TEST(an_ask_that_renews_nothing_is_fine);
    TEST(random_bytes_are_refused_or_whole);
    TEST(damaged_samples_are_refused_or_whole);
    buf_fini(&bytes);
    return tap_done();
}
