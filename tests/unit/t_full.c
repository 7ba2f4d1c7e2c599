/* t_full.c -- a server whose disk is full: what it refuses, what others refuse because of
 * it, and where the leadership goes.
 *
 * Method: the rig of tests/lib/replica_rig.h, told that a disk is full. Server 1 leads. */
#include "core/base/errors.h"
#include "tests/lib/replica_rig.h"
#include "tests/lib/tap.h"

static struct trio *t;

static void begin(void)
{
    t = trio_new(3);
    trio_lead(t, 1);
    trio_mark(t, 1);
    trio_settle(t);
}

static void set_full(uint32_t id, bool full)
{
    replica_full(trio_replica(t, id), full);
    trio_settle(t);
}

/* The code at once of a write at `id`; 0 = taken. */
static int submit(uint32_t id)
{
    trio_mark(t, id);
    return t->code;
}

static bool reads(uint32_t id)
{
    uint64_t tag = trio_read(t, id, 0);

    trio_settle(t);
    return t->answers[tag].count == 1 && t->answers[tag].code == 0;
}

static void a_full_follower_refuses_and_the_others_go_on(void)
{
    begin();
    set_full(3, true);
    IS(submit(3), ERR_DISK_FULL);
    uint64_t tag = trio_mark(t, 2);
    trio_settle(t);
    IS(t->answers[tag].count, 1);
    OK(trio_status(t, 3).applied < trio_status(t, 1).applied); /* it has no room for it */
    OK(reads(1) && reads(2));
    set_full(3, false);
    trio_pass(t, 1000);
    IS(submit(3), 0);
    trio_settle(t);
    IS(trio_status(t, 3).applied, trio_status(t, 1).applied);
    OK(reads(3));
    trio_free(t);
}

static void all_refuse_while_the_leader_is_full_and_it_hands_over(void)
{
    begin();
    t->hold[TRIO_PAXOS + PAXOS_TAKE_OVER] = 7;
    set_full(1, true);
    for (uint32_t id = 1; id <= 3; id++) IS(submit(id), ERR_DISK_FULL);
    OK(reads(1) && reads(2));
    memset(t->hold, 0, sizeof t->hold);
    trio_pass(t, 3000);
    IS(trio_status(t, 1).serving, false);
    IS(submit(1), ERR_DISK_FULL);
    uint64_t tag = trio_mark(t, 2);
    trio_settle(t);
    IS(t->answers[tag].count, 1);
    trio_free(t);
}

static void when_no_majority_has_room_nobody_takes_writes_and_all_read(void)
{
    begin();
    set_full(2, true);
    set_full(3, true);
    for (uint32_t id = 1; id <= 3; id++) IS(submit(id), ERR_DISK_FULL);
    trio_pass(t, 500);
    OK(reads(1) && reads(2) && reads(3));
    set_full(2, false);
    IS(submit(1), 0);
    IS(submit(3), ERR_DISK_FULL);
    trio_free(t);
}

/* Its empty opening batch is all that a new reign needs. */
static void full_servers_can_still_choose_a_leader(void)
{
    begin();
    for (uint32_t id = 1; id <= 3; id++) set_full(id, true);
    trio_crash(t, 1);
    trio_lead(t, 2);
    OK(reads(2) && reads(3));
    trio_free(t);
}

static void what_a_peer_told_is_forgotten_when_it_falls_silent(void)
{
    begin();
    set_full(2, true);
    set_full(3, true);
    IS(submit(1), ERR_DISK_FULL);
    t->cut = node_bit(2) | node_bit(3);
    trio_tick(t, 1, 5000);
    IS(submit(1) == ERR_DISK_FULL, false);
    trio_free(t);
}

/* Their clients find the answers elsewhere: it will not apply them for a while. */
static void a_full_follower_lets_go_of_what_it_cannot_answer(void)
{
    begin();
    t->hold[TRIO_PAXOS + PAXOS_ACCEPT] = node_bit(1);
    uint64_t tag = trio_mark(t, 3);
    trio_settle(t);
    set_full(3, true);
    memset(t->hold, 0, sizeof t->hold);
    trio_settle(t);
    IS(t->answers[tag].count, 0);
    trio_pass(t, 3000);
    IS(t->answers[tag].count, 1);
    IS(t->answers[tag].code, ERR_CLOSED);
    trio_free(t);
}

int main(void)
{
    TEST(a_full_follower_refuses_and_the_others_go_on);
    TEST(all_refuse_while_the_leader_is_full_and_it_hands_over);
    TEST(when_no_majority_has_room_nobody_takes_writes_and_all_read);
    TEST(full_servers_can_still_choose_a_leader);
    TEST(what_a_peer_told_is_forgotten_when_it_falls_silent);
    TEST(a_full_follower_lets_go_of_what_it_cannot_answer);
    return tap_done();
}
