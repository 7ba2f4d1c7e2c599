/* scenarios.h -- bugs that others had, each acted out in a few lines on our own cluster.
 *
 * A scenario names its number in the catalogue of bugs (README.md here). It steers a calm
 * world: no fault strikes but what it says itself, and a server that crashes stays down
 * until it is started. Clients work all the while, every check runs after every event, and
 * when the scenario returns everything is healed and must come to rest (life_end()). Run
 * each over several seeds: the seed still draws delays, sync times and what clients ask. */
#ifndef TESTS_SIM_SCENARIOS_H
#define TESTS_SIM_SCENARIOS_H

#include "tests/sim/sim.h"

struct scenario {
    const char *name;
    uint32_t nodes;
    void (*act)(struct world *w);
};

extern const struct scenario scenarios_consensus[], scenarios_storage[],
    scenarios_sessions[], scenarios_disks[], scenarios_clients[],
    scenarios_members[]; /* each ends with a name of NULL */

/* Steps. Servers are named by their id. */
void scene_run(struct world *w, uint64_t ms);
uint32_t scene_leader(struct world *w);   /* runs until one serves */
uint32_t scene_follower(struct world *w); /* some server that does not lead */
uint32_t scene_other(struct world *w, uint32_t a, uint32_t b); /* neither of them */
struct server *scene_node(struct world *w, uint32_t id);
void scene_cut(struct world *w, uint32_t from, uint32_t to); /* silently, one direction */
void scene_isolate(struct world *w, uint32_t id);
void scene_mend(struct world *w);
void scene_crash(struct world *w, uint32_t id);
void scene_start(struct world *w, uint32_t id);
/* All clients go to this server and each gets a new write through, without any healing. */
void scene_expect_writes(struct world *w, uint32_t id);

/* The admin changes the members, and is told that it is done. */
void scene_await_change(struct world *w, uint32_t id);
void scene_change(struct world *w, enum member_action action, uint32_t id);
/* Until this server, with the memory that it has, is one of the voters that all know of. */
void scene_await_vote(struct world *w, uint32_t id);
void scene_await_end(struct world *w, uint32_t id); /* of a server that was removed */
/* Another server by this id, without a memory, joins; and votes in the end. */
void scene_replace(struct world *w, uint32_t id, enum member_action how);

#endif
