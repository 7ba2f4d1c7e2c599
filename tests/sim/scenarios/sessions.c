/* sessions.c -- scenarios 29 to 41 of the catalogue: sessions, locks, fencing. */
#include "core/base/check.h"
#include "tests/sim/scenarios/scenarios.h"

/* 29, 31: sessions end while leaders change. */
static void sessions_end_amid_elections(struct world *w)
{
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t leader;

        clients_pause(w, 2 * w->options.session_ms);
        scene_run(w, w->options.session_ms);
        leader = scene_leader(w);
        scene_crash(w, leader);
        scene_run(w, 500);
        scene_start(w, leader);
        scene_run(w, w->options.session_ms);
    }
}

/* 32: a leader that did not run for long gives everybody the time back. */
static void mass_expiry_after_a_stall(struct world *w)
{
    for (uint32_t i = 1; i <= 4; i++) {
        struct server *n = scene_node(w, scene_leader(w));

        node_freeze(n);
        scene_run(w, 100 * i);
        node_thaw(n);
        scene_run(w, 1000);
    }
}

/* 34: each request is asked at two servers at once. */
static void asked_at_two_servers(struct world *w)
{
    for (uint32_t i = 0; i < 100; i++) {
        clients_ask_twice(w);
        scene_run(w, 20);
    }
}

/* 40: a holder sleeps past its session and then writes under its lock. */
static void holder_sleeps_past_its_session(struct world *w)
{
    for (uint32_t i = 0; i < 3; i++) {
        clients_pause(w, w->options.session_ms + 500);
        scene_run(w, w->options.session_ms + 1000);
    }
}

/* 41: tokens rise over restarts of all servers. */
static void tokens_rise_over_restarts(struct world *w)
{
    for (uint32_t i = 0; i < 5; i++) {
        for (uint32_t id = 1; id <= w->options.nodes; id++)
            scene_crash(w, id);
        for (uint32_t id = 1; id <= w->options.nodes; id++)
            scene_start(w, id);
        scene_run(w, 1000);
    }
}

const struct scenario scenarios_sessions[] = {
    { "29-sessions-end-amid-elections", 3, sessions_end_amid_elections },
    { "32-mass-expiry-after-a-stall", 3, mass_expiry_after_a_stall },
    { "34-asked-at-two-servers", 3, asked_at_two_servers },
    { "40-holder-sleeps-past-its-session", 3, holder_sleeps_past_its_session },
    { "41-tokens-rise-over-restarts", 3, tokens_rise_over_restarts },
    { NULL, 0, NULL },
};
