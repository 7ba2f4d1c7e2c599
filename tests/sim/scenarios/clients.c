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

const struct scenario scenarios_clients[] = {
    { "10-writes-after-a-snapshot", 3, writes_after_a_snapshot },
    { NULL, 0, NULL },
};
