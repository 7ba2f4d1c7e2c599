/* clients.c -- scenarios of what servers owe to their clients: 10, and those on sessions and
 * watches, 29 to 39 of the catalogue, with the client library as the clients. */
#include "core/base/check.h"
#include "tests/sim/guests.h"
#include "tests/sim/scenarios/scenarios.h"

/* 10: what a follower had forwarded is lost on the way, and it takes up a snapshot; what its
 * clients ask afterwards must not wait for what it forgot. */
static void writes_after_a_snapshot(struct world *w)
{
    uint32_t away = scene_follower(w);

    w->options.log_slots = 1;
    clients_move(w, away);
    scene_run(w, 30);
    scene_isolate(w, away);
    scene_run(w, 4000);
    scene_mend(w);
    scene_run(w, 1000);
    scene_expect_writes(w, away);
    clients_move(w, scene_other(w, away, 0));
    scene_run(w, 1000);
    /* A call may wait for the lock still. */
    if (replica_status(scene_node(w, away)->replica).pending_writes >
        w->options.guests + w->options.clients) {
        broken(w, "node %u never gets its writes through", away);
    }
}

/* 36: watches on servers that fall, one after the other, while what they watch changes. */
static void watches_outlive_their_servers(struct world *w)
{
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t id = 1 + i % w->options.nodes;

        scene_crash(w, id);
        scene_run(w, 300);
        scene_start(w, id);
        scene_run(w, 400);
    }
}

/* 36: connections are cut again and again. */
static void watches_outlive_their_connections(struct world *w)
{
    for (uint32_t i = 0; i < 30; i++) {
        guests_cut(w);
        scene_run(w, 100);
    }
}

/* 36, 10: the server that a watch comes back to has taken up a snapshot meanwhile. */
static void watches_meet_a_snapshot(struct world *w)
{
    w->options.log_slots = 1;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t away = scene_follower(w);

        scene_isolate(w, away);
        scene_run(w, 3000);
        scene_mend(w);
        scene_run(w, 300);
        guests_cut(w);
        scene_run(w, 500);
    }
}

/* 39: who does not read what it watches is told that it lags, and catches up from the log. */
static void who_does_not_read_lags(struct world *w)
{
    w->options.bulk_bytes = 300000;
    w->options.nap_permille = 0;
    for (uint32_t i = 0; i < 4; i++) {
        guests_sleep(w, 3000);
        scene_run(w, 1500);
    }
}

/* 30, 40: programs die, and their heirs begin only when what they held is free. */
static void heirs_find_it_free(struct world *w)
{
    for (uint32_t i = 0; i < 20; i++) {
        guests_die(w);
        if (i % 5 == 4) scene_crash(w, scene_leader(w));
        scene_run(w, 150);
        for (uint32_t id = 1; id <= w->options.nodes; id++)
            scene_start(w, id);
    }
}

/* 29 to 32: all sleep for about as long as their sessions live, while leaders fall. */
static void renewals_race_expiry(struct world *w)
{
    for (uint32_t i = 0; i < 12; i++) {
        for (uint32_t k = 0; k < w->options.guests; k++)
            guests_nap(w);
        if (i % 3 == 2) scene_crash(w, scene_leader(w));
        scene_run(w, w->options.session_ms / 2);
        for (uint32_t id = 1; id <= w->options.nodes; id++)
            scene_start(w, id);
    }
}

const struct scenario scenarios_clients[] = {
    { "10-writes-after-a-snapshot", 3, writes_after_a_snapshot },
    { "29-renewals-race-expiry", 3, renewals_race_expiry },
    { "30-heirs-find-it-free", 3, heirs_find_it_free },
    { "36-watches-outlive-their-servers", 3, watches_outlive_their_servers },
    { "36-watches-outlive-their-connections", 3, watches_outlive_their_connections },
    { "36-watches-meet-a-snapshot", 3, watches_meet_a_snapshot },
    { "39-who-does-not-read-lags", 3, who_does_not_read_lags },
    { NULL, 0, NULL },
};
