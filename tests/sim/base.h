/* base.h -- what every room of the simulator knows of its world: time, chance, options of the
 * seed, counters, and how to say that a rule is broken. Rooms that speak with the client
 * library include this one only: its words (server, request) mean other things than ours. */
#ifndef TESTS_SIM_BASE_H
#define TESTS_SIM_BASE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

enum { SIM_NODES_MAX = 5 };

struct world;

/* --- options of one seed --- */

/* Every kind of fault that strikes at a moment; the weather (frames lost, doubled, late;
 * syncs torn by crashes) comes on top. fault_<name>() is in faults.c or partitions.c. */
#define FAULTS(X)                                                                          \
    X(CRASH, crash)                                                                        \
    X(CRASH_LEADER, crash_leader)                                                          \
    X(CRASH_EFFECT, crash_effect)                                                          \
    X(CRASH_SYNCED, crash_synced)                                                          \
    X(SYNC_ERROR, sync_error)                                                              \
    X(POWER_CUT, power_cut)                                                                \
    X(CRASH_LOOP, crash_loop)                                                              \
    X(LOST_SERVER, lost_server)                                                            \
    X(BIT_ROT, bit_rot)                                                                    \
    X(LOST_WRITE, lost_write)                                                              \
    X(MISDIRECTED_WRITE, misdirected_write)                                                \
    X(ROTTEN_STATE, rotten_state)                                                          \
    X(FULL_DISK, full_disk)                                                                \
    X(SLOW_DISK, slow_disk)                                                                \
    X(FLUSH_STALL, flush_stall)                                                            \
    X(PAUSE, pause)                                                                        \
    X(PAUSE_LEADER, pause_leader)                                                          \
    X(WALL_CLOCK, wall_clock)                                                              \
    X(CLOCK_RATE, clock_rate)                                                              \
    X(CONNECTION, connection)                                                              \
    X(DUEL, duel)                                                                          \
    X(CLOG, clog)                                                                          \
    X(REPLAY, replay)                                                                      \
    X(HALVES, halves)                                                                      \
    X(ISOLATE, isolate)                                                                    \
    X(ONE_WAY, one_way)                                                                    \
    X(RING, ring)                                                                          \
    X(CHAIN, chain)                                                                        \
    X(BRIDGE, bridge)                                                                      \
    X(STAR, star)                                                                          \
    X(HAND_OVER, hand_over)                                                                \
    X(PAUSE_CLIENT, pause_client)                                                          \
    X(ASK_TWICE, ask_twice)                                                                \
    X(GUEST_NAPS, guest_naps)                                                              \
    X(GUESTS_CUT, guests_cut)                                                              \
    X(GUESTS_STALL, guests_stall)                                                          \
    X(GUEST_DIES, guest_dies)

enum fault_kind {
#define X(constant, name) FAULT_##constant,
    FAULTS(X)
#undef X
        FAULT_KINDS
};
#define FAULT_BIT(constant) ((uint64_t) 1 << FAULT_##constant)

struct options {
    uint64_t seed;
    const char *scenario; /* NULL: a life as life.c has it */
    bool trace;
    uint32_t nodes, clients;
    uint32_t guests;       /* clients that are the client library */
    uint32_t nap_permille; /* of a guest's moves: it sleeps for about a session's time */
    uint32_t bulk_bytes;   /* of what guests write, at most; 0 = a few */
    bool crowd;            /* many guests, whose sessions expire again and again */
    uint32_t founders;     /* of the nodes; the others may join */
    uint32_t admin_gap_ms; /* 0 = nobody changes who belongs */
    uint64_t faults; /* FAULT_BITs of the kinds that may strike */
    uint32_t life_ms, fault_gap_ms, client_gap_us;
    uint32_t loss_permille, double_permille, slow_permille; /* of frames */
    bool ordered;                /* frames of one link do not overtake each other */
    uint32_t flight_us, sync_us; /* at most, when nothing is slow */
    uint32_t session_ms;
    uint32_t log_slots;          /* that are kept below the flushed ones; 0 = all */
    uint32_t drift_permille;     /* how far a clock's rate may be off */
    uint32_t lease_ms;           /* of leaders; 0 = every read asks a quorum */
};

struct options options_draw(uint64_t seed);
void options_crowd(struct options *o); /* makes it one: for long runs */
struct options options_calm(uint64_t seed); /* nothing goes wrong by itself */
void options_print(const struct options *o);

struct stats { /* only counts: main.c adds them up as an array */
    uint64_t events, frames, lost, doubled, late, torn;
    uint64_t ops, answers, reads, faults, restarts, leaders, slots, voids, expiries;
    uint64_t guest_ops, events_told, rearmed, lagged, attached, taken_over, thefts;
    uint64_t grants, guarded, guards_refused, installs, rosters, joins, spared, virtual_ms;
    uint64_t by_kind[FAULT_KINDS];
};

/* --- time and chance --- */

typedef void (*happen_fn)(struct world *w, void *ctx);
void world_at(struct world *w, uint64_t delay_us, happen_fn run, void *ctx);
uint64_t world_now_us(const struct world *w);
bool chance(struct world *w, uint32_t permille);
uint64_t draw(struct world *w, uint64_t below); /* 0 .. below - 1 */
const struct options *world_options(const struct world *w);
struct stats *world_stats(struct world *w);
/* Anyone, or during the healing one of those that are whole; from 0. */
uint32_t world_some_server(struct world *w);
/* So much has happened that nobody asks for more: what the checks note has its bounds. */
bool world_is_full(const struct world *w);
struct guests;
struct guests **world_guests(struct world *w);

/* --- telling --- */

void trace(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
_Noreturn void broken(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
