/* disks.c -- scenario 13 of the catalogue: disks without space. */
#include "core/base/check.h"
#include "tests/sim/scenarios/scenarios.h"

enum { LONG_MS = 60000, ROOM = 30000 };

static uint64_t acknowledged(const struct world *w)
{
    return w->stats.answers;
}

/* All are full: no write is taken, reads go on, and all goes on by itself with space. */
static void every_disk_is_full(struct world *w)
{
    uint64_t leader = scene_leader(w), answers, reads;

    for (uint32_t id = 1; id <= w->options.nodes; id++)
        disk_fill(scene_node(w, id), ROOM, LONG_MS);
    scene_run(w, 2000);
    answers = acknowledged(w);
    reads = w->stats.reads;
    scene_run(w, 3000);
    if (acknowledged(w) != answers) broken(w, "a write was taken on full disks");
    if (w->stats.reads == reads) broken(w, "nobody reads while the disks are full");
    if (scene_leader(w) != leader) broken(w, "full disks cost an election");
    for (uint32_t id = 1; id <= w->options.nodes; id++)
        disk_free(scene_node(w, id));
    scene_expect_writes(w, scene_follower(w));
}

/* The leader alone is full: another one takes over, and writes go on. */
static void the_leaders_disk_is_full(struct world *w)
{
    uint32_t full = scene_leader(w);

    disk_fill(scene_node(w, full), ROOM, LONG_MS);
    scene_run(w, 3000);
    if (scene_leader(w) == full) broken(w, "a leader without space goes on leading");
    scene_expect_writes(w, scene_leader(w));
    disk_free(scene_node(w, full));
    scene_expect_writes(w, full);
}

/* A follower is full, and then falls: it comes back full, and catches up with space. */
static void a_follower_is_full_and_falls(struct world *w)
{
    uint32_t full = scene_follower(w);

    disk_fill(scene_node(w, full), 0, LONG_MS);
    scene_expect_writes(w, scene_leader(w));
    scene_crash(w, full);
    scene_run(w, 500);
    scene_start(w, full);
    scene_run(w, 500);
    scene_expect_writes(w, scene_leader(w));
    disk_free(scene_node(w, full));
    scene_expect_writes(w, full);
}

const struct scenario scenarios_disks[] = {
    { "13-every-disk-is-full", 3, every_disk_is_full },
    { "13-the-leaders-disk-is-full", 3, the_leaders_disk_is_full },
    { "13-a-follower-is-full-and-falls", 5, a_follower_is_full_and_falls },
    { NULL, 0, NULL },
};
