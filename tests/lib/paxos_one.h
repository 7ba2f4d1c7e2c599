/* paxos_one.h -- one Paxos instance, stepped by hand: server 1, and what tests of its rules
 * have in common.  All of it is static, so that a test reads without prefixes. */
#ifndef TESTS_LIB_PAXOS_ONE_H
#define TESTS_LIB_PAXOS_ONE_H

#include <stdlib.h>

#include "core/base/check.h"
#include "core/paxos/paxos.h"
#include "tests/lib/tap.h"

static struct paxos *p;
static struct paxos_output out;
static uint64_t now_ms;
static uint64_t seq_last; /* of the newest write handed out */
static uint64_t seed;
static struct blob *batches[10];
static uint32_t lease_ms; /* of the next instance */

/* The instance under test. */

static inline void step(struct paxos_input in)
{
    in.now_ms = now_ms;
    paxos_step(p, &in, &out);
    seq_last += out.writes_count;
}

static inline struct paxos *server_new(uint32_t self)
{
    return paxos_new(&(struct paxos_config){
        .self = self,
        .heartbeat_ms = HEARTBEAT_MS,
        .election_min_ms = ELECTION_MIN_MS,
        .election_max_ms = ELECTION_MAX_MS,
        .lease_ms = lease_ms,
        .seed = 1,
    });
}

static inline void restarted_among(struct members members, struct ballot promised,
                                   uint64_t chosen)
{
    paxos_free(p);
    p = server_new(1);
    now_ms = 1000;
    seq_last = 0;
    paxos_init(p, promised, &(struct run){ .slot = chosen }, &members, now_ms);
}

static inline void restarted(nodes_set voters, struct ballot promised, uint64_t chosen)
{
    restarted_among((struct members){ .number = 1, .voters = voters }, promised, chosen);
}

static inline void fresh(nodes_set voters)
{
    restarted(voters, (struct ballot){ 0 }, 0);
}

static inline void tick(uint64_t ms)
{
    now_ms += ms;
    step((struct paxos_input){ .kind = PAXOS_IN_TICK });
}

static inline void receive(uint32_t from, struct paxos_message m)
{
    m.from = from;
    step((struct paxos_input){ .kind = PAXOS_IN_MESSAGE, .message = &m });
}

static inline void durable(void)
{
    step((struct paxos_input){ .kind = PAXOS_IN_DURABLE, .seq = seq_last });
}

static inline void propose(int value, nodes_set urgent)
{
    step((struct paxos_input){
        .kind = PAXOS_IN_PROPOSE,
        .batch = batches[value],
        .urgent = urgent,
    });
}

static inline void change(struct members members)
{
    step((struct paxos_input){
        .kind = PAXOS_IN_PROPOSE,
        .batch = batches[0],
        .members = members,
    });
}

static inline uint64_t read_round(void)
{
    step((struct paxos_input){ .kind = PAXOS_IN_READ });
    return out.round;
}

/* The n-th message of a kind in the last output, or NULL. */
static inline const struct paxos_send *sent_nth(enum paxos_message_kind kind, uint32_t nth)
{
    for (uint32_t i = 0; i < out.sends_count; i++) {
        if (out.sends[i].message.kind == kind && nth-- == 0) return &out.sends[i];
    }
    return NULL;
}

static inline const struct paxos_send *sent(enum paxos_message_kind kind)
{
    return sent_nth(kind, 0);
}

/* Ways to where a rule begins. */

static const nodes_set THREE = 7;

static inline struct ballot own(void)
{
    return paxos_ballot(p);
}

static inline void become_asking(void)
{
    tick(ELECTION_MAX_MS);
    CHECK(paxos_role(p) == PAXOS_ASKING);
}

static inline void say_yes(uint32_t from, uint64_t nonce)
{
    receive(from,
            (struct paxos_message){ .kind = PAXOS_WOULD, .round = nonce, .yes = true });
}

static inline void become_preparing(void)
{
    become_asking();
    say_yes(2, sent(PAXOS_WOULD_YOU)->message.round);
    CHECK(paxos_role(p) == PAXOS_PREPARING);
}

static inline void promise(uint32_t from, uint32_t count, uint32_t index, struct vote vote)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_PROMISE,
                      .ballot = own(),
                      .slot = paxos_chosen(p) + 1,
                      .count = count,
                      .index = index,
                      .vote = vote,
                  });
}

static inline void become_leading(void)
{
    become_preparing();
    durable();
    promise(2, 0, 0, (struct vote){ 0 });
    CHECK(paxos_role(p) == PAXOS_LEADING);
}

static inline void accepted(uint32_t from, uint64_t slot)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_ACCEPTED, .ballot = own(), .slot = slot });
}

static inline void heartbeat_ok(uint32_t from, uint64_t round)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_HEARTBEAT_OK,
                      .ballot = own(),
                      .round = round,
                  });
}

static inline void heartbeat(uint32_t from, uint64_t round, uint64_t chosen)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_HEARTBEAT,
                      .ballot = { round, from },
                      .chosen = chosen,
                      .yes = true,
                  });
}

static inline struct vote vote_of(uint64_t slot, uint64_t round, uint32_t node, int value)
{
    return (struct vote){
        .slot = slot,
        .ballot = { round, node },
        .proposal = { .reign = { round, node }, .reign_first = 1, .batch = batches[value] },
    };
}

static inline void accept_from(uint32_t from, uint64_t round, uint64_t slot, int value)
{
    receive(from, (struct paxos_message){
                      .kind = PAXOS_ACCEPT,
                      .ballot = { round, from },
                      .slot = slot,
                      .vote = vote_of(slot, round, from, value),
                  });
}

/* Before and after all tests; prints the seed of the random ones. */
static inline void rig_begin(void)
{
    const char *env = getenv("SEED");

    seed = env == NULL ? 1 : strtoull(env, NULL, 10);
    printf("# SEED=%" PRIu64 "\n", seed);
    for (uint8_t i = 0; i < 10; i++) {
        const uint8_t digit = (uint8_t)('0' + i);

        batches[i] = blob_new(bytes_of(&digit, 1));
    }
}

static inline int rig_end(void)
{
    paxos_free(p);
    for (int i = 0; i < 10; i++)
        blob_unref(batches[i]);
    return tap_done();
}

#endif
