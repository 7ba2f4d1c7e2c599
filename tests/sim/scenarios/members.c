/* members.c -- scenarios 20 to 22 of the catalogue: who belongs, and changes of that. */
#include "core/base/check.h"
#include "tests/sim/scenarios/scenarios.h"

/* It has voted for a change of which it does not know whether it is chosen. */
static bool votes_for_a_change(const struct server *n)
{
    const uint64_t chosen = replica_status(n->replica).chosen;

    for (uint32_t i = 0; i < SIM_SLOTS_MAX; i++) {
        const struct slot_memory *m = &n->slots[i];

        if (m->slot > chosen && m->proposal.members.number != 0) return true;
    }
    return false;
}

/* 20: of two servers the one that goes gets its own removal chosen, and nothing that it says
 * about it arrives: the other one has voted for it and knows no more. */
static void removed_in_recovery(struct world *w)
{
    uint32_t leader = scene_leader(w), gone = scene_other(w, leader, 0);
    const struct server *n = scene_node(w, gone);

    admin_begin(w, MEMBER_REMOVE, n);
    while (!votes_for_a_change(n))
        world_step(w);
    scene_cut(w, gone, leader);
    scene_run(w, 100);
    scene_crash(w, leader);
    scene_mend(w);
    scene_start(w, leader);
    while (replica_status(n->replica).role != PAXOS_RECOVERING && world_leader(w) == 0)
        world_step(w);
    w->clogged_until_us[gone - 1][leader - 1] = w->now_us + 100000;
    scene_run(w, 50);
    scene_cut(w, gone, leader); /* also what is on its way */
    scene_run(w, 1000);
    scene_mend(w);
    scene_await_end(w, gone);
    scene_expect_writes(w, leader);
}

/* 20: the leader goes, again and again, while clients write; and comes back as another. */
static void leader_is_removed(struct world *w)
{
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t leader = scene_leader(w);

        scene_change(w, MEMBER_REMOVE, leader);
        scene_await_end(w, leader);
        scene_expect_writes(w, scene_leader(w));
        scene_replace(w, leader, MEMBER_ADD);
    }
}

/* 20: the leader dies at any moment of a change, also when it was never chosen. */
static void leader_dies_amid_a_change(struct world *w)
{
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t leader = scene_leader(w), goes = scene_other(w, leader, 0);

        admin_begin(w, MEMBER_REMOVE, scene_node(w, goes));
        scene_run(w, i);
        scene_crash(w, leader);
        scene_run(w, 30 * i);
        scene_start(w, leader);
        scene_await_change(w, goes);
        scene_await_end(w, goes);
        scene_replace(w, goes, MEMBER_ADD);
    }
}

/* 20: two changes at once, at a leader that is cut off with one of them. */
static void changes_of_two_leaders(struct world *w)
{
    const uint32_t leader = scene_leader(w), a = scene_other(w, leader, 0);
    const uint32_t b = scene_other(w, leader, a);

    scene_isolate(w, leader);
    clients_move(w, a);
    admin_begin(w, MEMBER_DEMOTE, scene_node(w, a)); /* asked anywhere, at the leader too */
    scene_run(w, 1500);
    scene_await_change(w, a);
    admin_begin(w, MEMBER_REMOVE, scene_node(w, b));
    scene_mend(w);
    scene_await_change(w, b);
    scene_run(w, 1000); /* what the first leader was asked comes late, and changes no more */
    scene_change(w, MEMBER_PROMOTE, a);
    scene_await_vote(w, a);
}

/* 21: removed and added again, while the others run on. */
static void removed_and_added_again(struct world *w)
{
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t id = scene_follower(w);

        scene_change(w, MEMBER_REMOVE, id);
        scene_await_end(w, id);
        scene_replace(w, id, MEMBER_ADD);
    }
}

/* 22: a server that was cut off does not know that it was removed, and asks for votes. */
static void removed_server_asks_for_votes(struct world *w)
{
    const uint32_t away = scene_follower(w);
    uint64_t reigns;

    scene_isolate(w, away);
    clients_move(w, scene_leader(w));
    scene_change(w, MEMBER_REMOVE, away);
    scene_run(w, 1000);
    reigns = w->stats.leaders;
    scene_mend(w);
    scene_await_end(w, away);
    if (w->stats.leaders != reigns) broken(w, "a server that was removed changed leaders");
}

/* 22: 1 and 3 chose what 2 never saw; 3 is wiped and started as at the first time. 2 and 3
 * are two of three, and must not decide anything. */
static void wiped_server_starts_as_a_founder(struct world *w)
{
    const uint32_t leader = scene_leader(w), blind = scene_other(w, leader, 0);
    const uint32_t wiped = scene_other(w, leader, blind);

    scene_isolate(w, blind);
    scene_expect_writes(w, leader);
    scene_crash(w, leader);
    admin_wipe(scene_node(w, wiped));
    scene_mend(w);
    admin_start_as_founder(scene_node(w, wiped));
    scene_run(w, 3000);
    if (world_leader(w) != 0) broken(w, "a server without its memory was counted");
    scene_start(w, leader);
    scene_expect_writes(w, scene_leader(w));
}

/* 22: who joins under a used id reads in the log of a time when that id voted alone; what
 * comes after is slow. It must not go on as that voter. */
static void successor_is_not_its_predecessor(struct world *w)
{
    struct server *n = scene_node(w, 1);

    w->options.log_slots = 0; /* it learns all, from the beginning */
    scene_node(w, 2)->trimmed = n->trimmed = 0;
    scene_change(w, MEMBER_REMOVE, 2);
    scene_await_end(w, 2);
    scene_run(w, 2000);
    scene_replace(w, 2, MEMBER_ADD);
    scene_change(w, MEMBER_REMOVE, 1);
    scene_await_end(w, 1);
    admin_wipe(n);
    scene_change(w, MEMBER_ADD, 1);
    while (roster_sets(replica_roster(n->replica)).voters != node_bit(1))
        world_step(w);
    scene_isolate(w, 1);
    scene_run(w, 2000);
    if (replica_status(n->replica).role != PAXOS_FOLLOWER) {
        broken(w, "a new server goes on as the one that had its id before");
    }
    scene_mend(w);
    scene_await_vote(w, 1);
}

const struct scenario scenarios_members[] = {
    { "20-removed-in-recovery", 2, removed_in_recovery },
    { "20-leader-is-removed", 3, leader_is_removed },
    { "20-leader-dies-amid-a-change", 5, leader_dies_amid_a_change },
    { "20-changes-of-two-leaders", 5, changes_of_two_leaders },
    { "21-removed-and-added-again", 3, removed_and_added_again },
    { "22-removed-server-asks-for-votes", 3, removed_server_asks_for_votes },
    { "22-wiped-server-starts-as-a-founder", 3, wiped_server_starts_as_a_founder },
    { "22-successor-is-not-its-predecessor", 2, successor_is_not_its_predecessor },
    { NULL, 0, NULL },
};
