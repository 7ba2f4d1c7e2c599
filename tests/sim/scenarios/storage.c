/* storage.c -- scenarios 1 to 11 of the catalogue: disks, logs, snapshots. */
#include "core/base/check.h"
#include "tests/sim/scenarios/scenarios.h"

static void crash_all(struct world *w)
{
    for (uint32_t id = 1; id <= w->options.nodes; id++)
        scene_crash(w, id);
}

static void start_all(struct world *w)
{
    for (uint32_t id = 1; id <= w->options.nodes; id++)
        scene_start(w, id);
}

/* 1: the power goes out everywhere right after an answer, and takes what was not synced. */
static void answered_then_power_cut(struct world *w)
{
    for (uint32_t i = 0; i < 10; i++) {
        uint64_t answers = w->stats.answers;

        while (w->stats.answers == answers)
            world_step(w);
        crash_all(w);
        start_all(w);
        scene_run(w, 600);
    }
}

/* 2: a sync that fails ends the server; what it was to say is never said. */
static void failed_sync_ends_the_server(struct world *w)
{
    struct server *n = scene_node(w, scene_leader(w));

    n->disk.sync_fails = true;
    while (n->up)
        world_step(w);
    scene_expect_writes(w, scene_leader(w));
    scene_start(w, n->id);
}

static void harm(struct world *w, bool (*how)(struct world *w, struct disk *d))
{
    struct server *n = scene_node(w, scene_leader(w));

    scene_crash(w, n->id);
    n->disk.damaged = how(w, &n->disk);
    scene_start(w, n->id); /* disk_recover() judges whether it noticed */
    scene_expect_writes(w, scene_leader(w));
}

/* 3, 4: a bit of the log flips: nothing is cut, the server stays away, the others go on. */
static void flipped_bit_is_noticed(struct world *w)
{
    harm(w, disk_rot);
}

/* 7: so with a write that never reached the disk, */
static void lost_write_is_noticed(struct world *w)
{
    harm(w, disk_lose_write);
}

/* 7: and with one that went to the place of another. */
static void misdirected_write_is_noticed(struct world *w)
{
    harm(w, disk_misdirect_write);
}

/* 6: crashes in the middle of elections tear promises, again and again. */
static void torn_promises(struct world *w)
{
    for (uint32_t i = 0; i < 12; i++) {
        uint32_t leader = scene_leader(w);

        scene_crash(w, leader);
        scene_run(w, 10 * i);
        crash_all(w);
        start_all(w);
        scene_run(w, 300);
    }
}

/* 8: what is applied and what says how far are written in one: a crash at any time. */
static void crash_around_flushes(struct world *w)
{
    for (uint32_t i = 0; i < 10; i++) {
        uint32_t id = scene_follower(w);

        scene_run(w, 70 * i);
        scene_crash(w, id);
        scene_start(w, id);
    }
}

/* 10: the log is cut while a follower is away, who then needs a snapshot; and he dies while
 * it is being sent. */
static void log_cut_under_a_follower(struct world *w)
{
    uint32_t away = scene_follower(w);

    for (uint32_t i = 0; i < 3; i++) {
        scene_isolate(w, away);
        scene_run(w, 4000);
        scene_mend(w);
        scene_run(w, 10 + 20 * i);
        scene_crash(w, away);
        scene_start(w, away);
    }
    scene_run(w, 1000);
}

/* 11: a second snapshot soon after the first. */
static void two_snapshots_in_a_row(struct world *w)
{
    uint32_t away = scene_follower(w);

    for (uint32_t i = 0; i < 2; i++) {
        scene_isolate(w, away);
        scene_run(w, 4000);
        scene_mend(w);
        scene_run(w, 300);
    }
}

/* 5: a server whose disk is lost never comes back to vote. */
static void lost_disk_never_votes(struct world *w)
{
    struct server *n = scene_node(w, scene_leader(w));

    scene_crash(w, n->id);
    n->lost = true;
    scene_expect_writes(w, scene_leader(w));
}

const struct scenario scenarios_storage[] = {
    { "01-answered-then-power-cut", 3, answered_then_power_cut },
    { "02-failed-sync-ends-the-server", 3, failed_sync_ends_the_server },
    { "03-flipped-bit-is-noticed", 3, flipped_bit_is_noticed },
    { "05-lost-disk-never-votes", 3, lost_disk_never_votes },
    { "06-torn-promises", 3, torn_promises },
    { "07-lost-write-is-noticed", 3, lost_write_is_noticed },
    { "07-misdirected-write-is-noticed", 3, misdirected_write_is_noticed },
    { "08-crash-around-flushes", 3, crash_around_flushes },
    { "10-log-cut-under-a-follower", 3, log_cut_under_a_follower },
    { "11-two-snapshots-in-a-row", 3, two_snapshots_in_a_row },
    { NULL, 0, NULL },
};
