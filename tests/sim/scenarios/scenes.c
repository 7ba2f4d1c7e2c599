/* scenes.c -- the steps of scenarios, and how they are run. */
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "tests/sim/guests.h"
#include "tests/sim/scenarios/scenarios.h"

enum {
    GUESTS = 6,
    WRITES_LIMIT_MS = 10000,
    LEADER_LIMIT_MS = 10000,
    CHANGE_LIMIT_MS = 20000,
};

void scene_run(struct world *w, uint64_t ms)
{
    uint64_t end_us = w->now_us + 1000 * ms;

    while (w->now_us < end_us)
        world_step(w);
}

uint32_t scene_leader(struct world *w)
{
    uint64_t limit_us = w->now_us + 1000 * LEADER_LIMIT_MS;

    while (world_leader(w) == 0) {
        world_step(w);
        if (w->now_us > limit_us) broken(w, "nobody leads");
    }
    return world_leader(w);
}

uint32_t scene_other(struct world *w, uint32_t a, uint32_t b)
{
    uint32_t id = 1;

    while (id == a || id == b)
        id++;
    CHECK(id <= w->options.nodes);
    return id;
}

uint32_t scene_follower(struct world *w)
{
    return scene_other(w, scene_leader(w), 0);
}

struct server *scene_node(struct world *w, uint32_t id)
{
    return &w->nodes[id - 1];
}

void scene_cut(struct world *w, uint32_t from, uint32_t to)
{
    w->cut[from - 1][to - 1] = true;
}

void scene_isolate(struct world *w, uint32_t id)
{
    for (uint32_t other = 1; other <= w->options.nodes; other++) {
        if (other == id) continue;
        scene_cut(w, id, other);
        scene_cut(w, other, id);
    }
}

void scene_mend(struct world *w)
{
    partitions_mend(w);
}

void scene_crash(struct world *w, uint32_t id)
{
    if (scene_node(w, id)->up) node_crash(scene_node(w, id));
}

void scene_start(struct world *w, uint32_t id)
{
    if (!scene_node(w, id)->up) node_start(scene_node(w, id));
}

void scene_expect_writes(struct world *w, uint32_t id)
{
    uint64_t limit_us = w->now_us + 1000 * WRITES_LIMIT_MS;

    clients_prove(w);
    clients_move(w, id);
    while (!clients_proved(w)) {
        world_step(w);
        if (w->now_us < limit_us) continue;
        world_print(w);
        broken(w, "no write went through node %u in %u s", id, WRITES_LIMIT_MS / 1000);
    }
}

/* --- members --- */

static void step_until_late(struct world *w, uint64_t since_us, const char *what, uint32_t id)
{
    world_step(w);
    if (w->now_us < since_us + 1000 * CHANGE_LIMIT_MS) return;
    world_print(w);
    broken(w, "%s %u: not in %u s", what, id, CHANGE_LIMIT_MS / 1000);
}

void scene_await_change(struct world *w, uint32_t id)
{
    const uint64_t since_us = w->now_us;

    while (admin_busy(w))
        step_until_late(w, since_us, "a change that concerns server", id);
}

void scene_change(struct world *w, enum member_action action, uint32_t id)
{
    admin_begin(w, action, scene_node(w, id));
    scene_await_change(w, id);
}

void scene_await_vote(struct world *w, uint32_t id)
{
    const struct server *n = scene_node(w, id);
    const uint64_t since_us = w->now_us;

    while (!admin_counts(n) || (roster_sets(admin_roster(w)).voters & node_bit(id)) == 0)
        step_until_late(w, since_us, "a seat for server", id);
}

void scene_await_end(struct world *w, uint32_t id)
{
    const uint64_t since_us = w->now_us;

    while (scene_node(w, id)->up)
        step_until_late(w, since_us, "the end of server", id);
}

void scene_replace(struct world *w, uint32_t id, enum member_action how)
{
    admin_wipe(scene_node(w, id));
    scene_change(w, how, id);
    scene_await_vote(w, id);
}

static void run(const struct scenario *s, bool with_guests, uint64_t seed, bool traced)
{
    struct world *w = mem_zalloc(sizeof *w);
    struct options o = options_calm(seed);

    o.nodes = o.founders = s->nodes;
    o.bulk_bytes = 0;
    if (with_guests) o.guests = GUESTS;
    o.trace = traced;
    o.scenario = s->name;
    watch_over(w, &o);
    world_init(w, &o);
    clients_start(w);
    guests_start(w);
    scene_run(w, 500);
    s->act(w);
    life_end(w);
    guests_fini(w);
    clients_fini(w);
    world_fini(w);
    free(w);
}

static const struct scenario *const rooms[] = { scenarios_consensus, scenarios_storage,
                                                scenarios_sessions, scenarios_disks,
                                                scenarios_clients, scenarios_members };
enum { ROOMS = sizeof rooms / sizeof rooms[0] };

int scenarios_run(const char *name, uint64_t first, uint64_t seeds, bool traced)
{
    const bool all = strcmp(name, "all") == 0, list = strcmp(name, "list") == 0;
    uint32_t ran = 0;

    for (uint32_t room = 0; room < ROOMS; room++) {
        for (const struct scenario *s = rooms[room]; s->name != NULL; s++) {
            if (list) printf("%s\n", s->name);
            if (!list && !all && strcmp(name, s->name) != 0) continue;
            for (uint64_t i = 0; i < seeds && !list; i++)
                run(s, rooms[room] == scenarios_clients, first + i, traced);
            ran++;
        }
    }
    if (ran == 0) fprintf(stderr, "tidelock-sim: no scenario has this name; try list\n");
    return ran == 0 ? 2 : 0;
}
