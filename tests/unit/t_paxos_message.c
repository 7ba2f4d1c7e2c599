/* t_paxos_message.c -- the bytes of messages between servers.
 *
 * Method: one sample of every kind, whole, cut short, and with wrong numbers in it; then
 * random bytes and damaged samples, where the sanitizers are the judge.  Replay with:
 * SEED=<n> ./t_paxos_message  */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/base/rng.h"
#include "core/paxos/message.h"
#include "tests/lib/tap.h"

static struct buf bytes;
static struct blob *batch;
static struct rng rng;

static struct paxos_message sample(enum paxos_message_kind kind)
{
    const struct proposal proposal = { { 300, 2 }, 70, batch, { 4, 7, 8 } };
    struct paxos_message m = { .kind = kind, .ballot = { 1000, 3 } };

    switch (kind) {
    case PAXOS_WOULD_YOU:
        m.round = UINT64_C(1) << 60;
        m.slot = 77;
        break;
    case PAXOS_WOULD:
        m.round = 5;
        m.yes = true;
        break;
    case PAXOS_PREPARE:
        m.slot = 78;
        m.promised = (struct ballot){ 999, 1 };
        break;
    case PAXOS_TOO_OLD:
    case PAXOS_TAKE_OVER:
    case PAXOS_ACCEPTED:
    case PAXOS_LEARN_REQUEST:
        m.slot = 78;
        break;
    case PAXOS_PROMISE:
        m.slot = 78;
        m.count = 3;
        m.index = 2;
        m.vote = (struct vote){ 80, { 999, 1 }, proposal };
        break;
    case PAXOS_ACCEPT:
        m.slot = 79;
        m.chosen = 77;
        m.vote.proposal = proposal;
        break;
    case PAXOS_NACK:
        m.promised = (struct ballot){ 1001, 1 };
        break;
    case PAXOS_HEARTBEAT:
        m.round = 12;
        m.chosen = 77;
        m.lease = LEASE_MS_MAX;
        m.yes = true;
        break;
    case PAXOS_HEARTBEAT_OK:
        m.round = 12;
        m.chosen = 76;
        m.disk_us = 12345;
        break;
    case PAXOS_LEARN:
        m.slot = 75;
        m.chosen = 77;
        m.yes = true;
        m.vote.proposal = proposal;
        break;
    case PAXOS_MESSAGE_KINDS_END:
        break;
    }
    return m;
}

static void encode(const struct paxos_message *m)
{
    buf_clear(&bytes);
    paxos_message_encode(&bytes, m);
}

static int decode(size_t len, struct paxos_message *m)
{
    return paxos_message_decode(bytes_of(bytes.ptr, len), m);
}

static bool refused(const struct paxos_message *m)
{
    struct paxos_message got;

    encode(m);
    const int code = decode(bytes.len, &got);
    if (code == 0) blob_unref(got.vote.proposal.batch);
    return code == ERR_BAD_MESSAGE;
}

static void same_ballot(struct ballot a, struct ballot b)
{
    IS(ballot_cmp(a, b), 0);
}

static void same_members(const struct members *a, const struct members *b)
{
    IS(a->number, b->number);
    IS(a->voters, b->voters);
    IS(a->learners, b->learners);
}

static void same_message(const struct paxos_message *a, const struct paxos_message *b)
{
    IS(a->kind, b->kind);
    same_ballot(a->ballot, b->ballot);
    IS(a->slot, b->slot);
    IS(a->chosen, b->chosen);
    IS(a->round, b->round);
    same_ballot(a->promised, b->promised);
    IS(a->lease, b->lease);
    IS(a->disk_us, b->disk_us);
    IS(a->yes, b->yes);
    IS(a->count, b->count);
    IS(a->index, b->index);
    IS(a->vote.slot, b->vote.slot);
    same_ballot(a->vote.ballot, b->vote.ballot);
    same_ballot(a->vote.proposal.reign, b->vote.proposal.reign);
    IS(a->vote.proposal.reign_first, b->vote.proposal.reign_first);
    same_members(&a->vote.proposal.members, &b->vote.proposal.members);
    OK(bytes_equal(blob_bytes(a->vote.proposal.batch), blob_bytes(b->vote.proposal.batch)));
}

static void survives(const struct paxos_message *m)
{
    struct paxos_message got;

    encode(m);
    IS(decode(bytes.len, &got), 0);
    same_message(&got, m);
    blob_unref(got.vote.proposal.batch);
}

static void every_kind_survives_the_round_trip(void)
{
    for (int kind = 1; kind < PAXOS_MESSAGE_KINDS_END; kind++) {
        const struct paxos_message m = sample((enum paxos_message_kind)kind);

        survives(&m);
    }
}

static void a_noop_and_an_empty_batch_stay_apart(void)
{
    struct paxos_message m = sample(PAXOS_ACCEPT), got;

    m.vote.proposal = (struct proposal){ 0 };
    survives(&m);
    m = sample(PAXOS_ACCEPT);
    m.vote.proposal.batch = blob_new(bytes_of("", 0));
    encode(&m);
    IS(decode(bytes.len, &got), 0);
    OK(got.vote.proposal.batch != NULL);
    blob_unref(got.vote.proposal.batch);
    blob_unref(m.vote.proposal.batch);
}

static void a_report_of_no_votes_has_none(void)
{
    struct paxos_message m = sample(PAXOS_PROMISE);

    m.count = m.index = 0;
    m.vote = (struct vote){ 0 };
    survives(&m);
}

static void who_promised_nothing_yet_has_no_ballot(void)
{
    struct paxos_message m = sample(PAXOS_WOULD_YOU);

    m.ballot = (struct ballot){ 0 };
    survives(&m);
    m = sample(PAXOS_PREPARE);
    m.ballot = (struct ballot){ 0 };
    OK(refused(&m));
}

static void every_truncation_is_refused(void)
{
    for (int kind = 1; kind < PAXOS_MESSAGE_KINDS_END; kind++) {
        const struct paxos_message m = sample((enum paxos_message_kind)kind);
        struct paxos_message got;

        encode(&m);
        for (size_t len = 0; len < bytes.len; len++) {
            IS(decode(len, &got), ERR_BAD_MESSAGE);
        }
    }
}

static void bytes_left_over_are_refused(void)
{
    for (int kind = 1; kind < PAXOS_MESSAGE_KINDS_END; kind++) {
        const struct paxos_message m = sample((enum paxos_message_kind)kind);
        struct paxos_message got;

        encode(&m);
        buf_put_u8(&bytes, 0);
        IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    }
}

static void an_unknown_kind_is_refused(void)
{
    struct paxos_message got;
    const uint8_t kinds[] = { 0, PAXOS_MESSAGE_KINDS_END, 255 };

    for (size_t i = 0; i < sizeof kinds; i++) {
        buf_clear(&bytes);
        buf_put_u8(&bytes, kinds[i]);
        for (int zeros = 0; zeros < 8; zeros++)
            buf_put_u8(&bytes, 1);
        IS(decode(bytes.len, &got), ERR_BAD_MESSAGE);
    }
}

static void numbers_out_of_range_are_refused(void)
{
    struct paxos_message m = sample(PAXOS_PREPARE);

    m.ballot.node = NODES_MAX;
    OK(!refused(&m));
    m.ballot.node = NODES_MAX + 1;
    OK(refused(&m));
    m.ballot.node = 0;
    OK(refused(&m));
    m = sample(PAXOS_PREPARE);
    m.ballot.round = UINT64_MAX;
    OK(refused(&m));
    m = sample(PAXOS_PREPARE);
    m.slot = 0;
    OK(refused(&m));
    m = sample(PAXOS_NACK);
    m.promised.node = NODES_MAX + 1;
    OK(refused(&m));
    m = sample(PAXOS_WOULD);
    m.round = 0;
    OK(refused(&m));
}

static void a_report_out_of_range_is_refused(void)
{
    struct paxos_message m = sample(PAXOS_PROMISE);

    m.index = m.count;
    OK(refused(&m));
    m.count = WINDOW_MAX + 1;
    OK(refused(&m));
    m = sample(PAXOS_PROMISE);
    m.vote.slot = m.slot - 1;
    OK(refused(&m));
    m.vote.slot = m.slot + WINDOW_MAX;
    OK(refused(&m));
    m = sample(PAXOS_PROMISE);
    m.vote.ballot.round = m.ballot.round + 1;
    OK(refused(&m));
    m = sample(PAXOS_PROMISE);
    m.vote.proposal.reign.round = m.vote.ballot.round + 1;
    OK(refused(&m));
}

static void a_batch_needs_a_reign_and_a_reign_a_batch(void)
{
    struct paxos_message m = sample(PAXOS_ACCEPT);

    m.vote.proposal.reign = (struct ballot){ 0 };
    m.vote.proposal.reign_first = 0;
    OK(refused(&m));
    m = sample(PAXOS_ACCEPT);
    m.vote.proposal.batch = NULL;
    OK(refused(&m));
    m = sample(PAXOS_ACCEPT);
    m.vote.proposal.reign_first = m.slot + 1;
    OK(refused(&m));
    m.vote.proposal.reign_first = 0;
    OK(refused(&m));
}

static void a_change_that_is_no_configuration_is_refused(void)
{
    struct paxos_message m = sample(PAXOS_ACCEPT);

    m.vote.proposal.members = (struct members){ 4, 7, 4 }; /* one in both */
    OK(refused(&m));
    m.vote.proposal.members = (struct members){ 4, 0, 4 }; /* nobody votes */
    OK(refused(&m));
    m.vote.proposal.members = (struct members){ 4, 1u << NODES_MAX, 0 };
    OK(refused(&m));
    m.vote.proposal = (struct proposal){ .members = { 4, 7, 0 } }; /* without a batch */
    OK(refused(&m));
}

static void a_batch_over_the_limit_is_refused(void)
{
    struct paxos_message m = sample(PAXOS_ACCEPT);
    uint8_t *content = mem_zalloc(BATCH_BYTES_MAX + 1);

    m.vote.proposal.batch = blob_new(bytes_of(content, BATCH_BYTES_MAX + 1));
    OK(refused(&m));
    blob_unref(m.vote.proposal.batch);
    m.vote.proposal.batch = blob_new(bytes_of(content, BATCH_BYTES_MAX));
    OK(!refused(&m));
    blob_unref(m.vote.proposal.batch);
    free(content);
}

/* Whatever decodes must encode to something that decodes to the same. */
static void try_bytes(void)
{
    struct paxos_message m;

    if (decode(bytes.len, &m) != 0) return;
    survives(&m);
    blob_unref(m.vote.proposal.batch);
}

static void random_bytes_never_crash(void)
{
    for (int i = 0; i < 200000; i++) {
        buf_clear(&bytes);
        buf_put_u8(&bytes, (uint8_t)(1 + rng_below(&rng, PAXOS_MESSAGE_KINDS_END)));
        for (uint64_t len = rng_below(&rng, 24); len > 0; len--) {
            buf_put_u8(&bytes, (uint8_t)rng_below(&rng, rng_below(&rng, 2) ? 4 : 256));
        }
        try_bytes();
    }
    OK(true);
}

static void damaged_messages_never_crash(void)
{
    for (int i = 0; i < 100000; i++) {
        const struct paxos_message m =
            sample((enum paxos_message_kind)(1 + rng_below(&rng, 12)));

        encode(&m);
        for (uint64_t hits = 1 + rng_below(&rng, 3); hits > 0; hits--) {
            bytes.ptr[rng_below(&rng, bytes.len)] = (uint8_t)rng_next(&rng);
        }
        try_bytes();
    }
    OK(true);
}

int main(void)
{
    const char *env = getenv("SEED");
    const uint64_t seed = env == NULL ? 1 : strtoull(env, NULL, 10);

    printf("# SEED=%" PRIu64 "\n", seed);
    rng_init(&rng, seed);
    batch = blob_new(bytes_of("a batch", 7));
    TEST(every_kind_survives_the_round_trip);
    TEST(a_noop_and_an_empty_batch_stay_apart);
    TEST(a_report_of_no_votes_has_none);
    TEST(who_promised_nothing_yet_has_no_ballot);
    TEST(every_truncation_is_refused);
    TEST(bytes_left_over_are_refused);
    TEST(an_unknown_kind_is_refused);
    TEST(numbers_out_of_range_are_refused);
    TEST(a_report_out_of_range_is_refused);
    TEST(a_batch_needs_a_reign_and_a_reign_a_batch);
    TEST(a_change_that_is_no_configuration_is_refused);
    TEST(a_batch_over_the_limit_is_refused);
    TEST(random_bytes_never_crash);
    TEST(damaged_messages_never_crash);
    blob_unref(batch);
    buf_fini(&bytes);
    return tap_done();
}
