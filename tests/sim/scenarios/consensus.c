/* consensus.c -- scenarios 14 to 27 of the catalogue: ballots, leaders, links. */
#include "core/base/check.h"
#include "tests/sim/scenarios/scenarios.h"

/* 14: what one server voted for is chosen by the next leader, and by nobody else. */
static void open_slots_outlive_their_leader(struct world *w)
{
    uint32_t leader = scene_leader(w);

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if (id != leader && id != scene_other(w, leader, 0)) scene_cut(w, leader, id);
    }
    scene_run(w, 5);
    scene_crash(w, leader);
    scene_expect_writes(w, scene_leader(w));
    scene_start(w, leader);
}

/* 14: the leader dies at each place between two effects, again and again. */
static void leader_dies_at_every_effect(struct world *w)
{
    for (uint32_t effect = 1; effect <= 24; effect++) {
        struct server *n = scene_node(w, scene_leader(w));

        node_crash_at_effect(n, effect);
        while (n->up)
            world_step(w);
        scene_run(w, 400);
        scene_start(w, n->id);
        scene_run(w, 100);
    }
}

/* 15: the old leader's accepts arrive when a new one leads. */
static void old_accepts_come_late(struct world *w)
{
    uint32_t leader = scene_leader(w);

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        w->clogged_until_us[leader - 1][id - 1] = w->now_us + 1500000;
    }
    scene_run(w, 3000);
}

/* 16: a leader with a lease is paused, others lead and write, and clients ask it to read: it
 * wakes up with these reads at hand, and its lease long over. */
static void lease_outlives_its_leader(struct world *w)
{
    w->options.lease_ms = LEASE_MS_MAX;
    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        scene_crash(w, id);
        scene_start(w, id); /* now with leases */
    }
    for (uint32_t i = 0; i < 8; i++) {
        const uint32_t leader = scene_leader(w);

        scene_run(w, 100);
        node_freeze(scene_node(w, leader));
        clients_move(w, scene_other(w, leader, 0));
        scene_run(w, 1000);
        clients_move(w, leader);
        scene_run(w, 20 + 10 * i);
        node_thaw(scene_node(w, leader));
        scene_run(w, 300);
    }
}

/* 17: only one server hears all others; it must come to lead. */
static void quorum_loss(struct world *w)
{
    uint32_t leader = scene_leader(w), center = scene_other(w, leader, 0);

    for (uint32_t a = 1; a <= w->options.nodes; a++) {
        for (uint32_t b = 1; b <= w->options.nodes; b++) {
            if (a != b && a != center && b != center) scene_cut(w, a, b);
        }
    }
    scene_expect_writes(w, center);
}

/* 17: the only one with a quorum lacks what the cut off leader had chosen with the others.
 */
static void constrained_election(struct world *w)
{
    uint32_t leader = scene_leader(w), center = scene_other(w, leader, 0);

    scene_cut(w, leader, center);
    scene_run(w, 100);
    for (uint32_t a = 1; a <= w->options.nodes; a++) {
        for (uint32_t b = 1; b <= w->options.nodes; b++) {
            if (a == b || ((a == center || b == center) && a != leader && b != leader))
                continue;
            scene_cut(w, a, b);
        }
    }
    scene_expect_writes(w, center);
}

/* 17: a chain of three, whose ends take the lead from each other in other systems. */
static void chained(struct world *w)
{
    uint32_t leader = scene_leader(w), middle = scene_other(w, leader, 0);
    uint32_t end = scene_other(w, leader, middle);
    uint64_t reigns;

    scene_cut(w, leader, end);
    scene_cut(w, end, leader);
    scene_expect_writes(w, middle);
    reigns = w->stats.leaders;
    scene_run(w, 5000);
    if (w->stats.leaders > reigns + 1) broken(w, "a chain of servers changes leaders");
}

/* 18: a server that hears and is not heard must not depose anybody for ever. */
static void one_is_not_heard(struct world *w)
{
    uint32_t mute = scene_follower(w);
    uint64_t reigns = w->stats.leaders;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if (id != mute) scene_cut(w, mute, id);
    }
    scene_run(w, 4000);
    if (w->stats.leaders != reigns) broken(w, "a server that nobody hears changed leaders");
}

/* 18: nor one that is heard and hears nothing. */
static void one_hears_nothing(struct world *w)
{
    uint32_t deaf = scene_follower(w);
    uint64_t reigns = w->stats.leaders;

    for (uint32_t id = 1; id <= w->options.nodes; id++) {
        if (id != deaf) scene_cut(w, id, deaf);
    }
    scene_run(w, 4000);
    if (w->stats.leaders != reigns) broken(w, "a server that hears nobody changed leaders");
}

/* 18: nor one that comes back after a long time alone. */
static void rejoining_disturbs_nobody(struct world *w)
{
    uint32_t away = scene_follower(w);
    uint64_t reigns = w->stats.leaders;

    scene_isolate(w, away);
    scene_run(w, 5000);
    scene_mend(w);
    scene_run(w, 3000);
    if (w->stats.leaders != reigns) broken(w, "a server that came back changed leaders");
}

/* 19: all want to lead at the same moment, ten times. */
static void duelling_proposers(struct world *w)
{
    for (uint32_t i = 0; i < 10; i++) {
        fault_duel(w);
        scene_run(w, 300);
    }
    scene_expect_writes(w, scene_leader(w));
}

/* 23, 32: a leader sleeps over the end of sessions and wakes as one of the past. */
static void paused_leader_expires_nobody(struct world *w)
{
    uint32_t leader = scene_leader(w);

    node_freeze(scene_node(w, leader));
    scene_run(w, 3 * w->options.session_ms);
    node_thaw(scene_node(w, leader));
    scene_run(w, 1000);
}

/* 24: a cut off leader has clients, and they read: nothing old may be shown. */
static void cut_off_leader_answers_no_reads(struct world *w)
{
    uint32_t leader = scene_leader(w);

    clients_move(w, leader);
    scene_isolate(w, leader);
    scene_run(w, 100);
    clients_move(w, scene_other(w, leader, 0));
    scene_run(w, 1000);
    clients_move(w, leader);
    scene_run(w, 1000);
}

/* 26: one comes back while slots are being chosen, and the leader dies. */
static void follower_joins_amid_commits(struct world *w)
{
    for (uint32_t i = 1; i <= 8; i++) {
        uint32_t leader = scene_leader(w), joins = scene_other(w, leader, 0);

        scene_crash(w, joins);
        scene_run(w, 400);
        scene_start(w, joins);
        scene_run(w, 5 * i);
        scene_crash(w, leader);
        scene_run(w, 500);
        scene_start(w, leader);
    }
}

/* 28: one state is not like the others. Its server stops, and no other one. */
static void who_differs_stops(struct world *w)
{
    struct server *n = scene_node(w, scene_follower(w));
    const uint64_t limit_us = w->now_us + 5000000;

    n->applied.digest ^= 1;
    n->differs = true;
    while (n->up) {
        world_step(w);
        if (w->now_us > limit_us) broken(w, "a server whose state differs goes on");
    }
    scene_expect_writes(w, scene_leader(w));
}

const struct scenario scenarios_consensus[] = {
    { "14-open-slots-outlive-their-leader", 3, open_slots_outlive_their_leader },
    { "14-leader-dies-at-every-effect", 3, leader_dies_at_every_effect },
    { "15-old-accepts-come-late", 3, old_accepts_come_late },
    { "16-lease-outlives-its-leader", 3, lease_outlives_its_leader },
    { "17-quorum-loss", 5, quorum_loss },
    { "17-quorum-loss-of-three", 3, quorum_loss },
    { "17-constrained-election", 5, constrained_election },
    { "17-chained", 3, chained },
    { "18-one-is-not-heard", 3, one_is_not_heard },
    { "18-one-hears-nothing", 3, one_hears_nothing },
    { "18-rejoining-disturbs-nobody", 5, rejoining_disturbs_nobody },
    { "19-duelling-proposers", 5, duelling_proposers },
    { "23-paused-leader-expires-nobody", 3, paused_leader_expires_nobody },
    { "24-cut-off-leader-answers-no-reads", 3, cut_off_leader_answers_no_reads },
    { "26-follower-joins-amid-commits", 3, follower_joins_amid_commits },
    { "28-who-differs-stops", 3, who_differs_stops },
    { NULL, 0, NULL },
};
