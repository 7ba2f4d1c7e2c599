/* inside.h -- what the files of the resolver share; nobody else includes it, but a test
 * that judges V1.
 *
 *     resolver.c    the public functions, the order of work, which kind goes where
 *     open_batch.c  the transaction at hand and the batch it goes into
 *     writes.c      wants -> tx
 *     events.c      functions that are bound to paths: the table of them, their runs
 *     recipes.c     the source of a recipe: checked, and kept when it is replaced
 *     leases.c      sessions: opened, closed, expired
 *     lanes.c       what one session has here: calls that wait, requests held at a gap
 *     calls.c       recipe calls: run, wait, end
 *     watches.c     which calls a changed path wakes
 *     deadlines.c   calls by their time limit
 *     expiring.c    nodes that expire
 *     changes.c     changes of the members */
#ifndef CORE_MACHINE_INSIDE_H
#define CORE_MACHINE_INSIDE_H

#include "core/base/list.h"
#include "core/machine/request.h"
#include "core/machine/resolver.h"
#include "core/machine/result.h"
#include "core/machine/table.h"
#include "core/session/expiry.h"

/* A session that ends answers all that it still has here in the same batch as its end. */
enum { ENDINGS_BYTES_MAX = 1 << 20, ENDING_BYTES_MAX = 96 };
static_assert(2 * SESSION_RESULTS_MAX * ENDING_BYTES_MAX <= ENDINGS_BYTES_MAX,
              "every call and every held request of one session");

/* A batch that has room has it for one transaction of this size. */
enum { TXN_BYTES_MAX = BATCH_BYTES_MAX - BATCH_BYTES_AIM - ENDINGS_BYTES_MAX - 1024 };
static_assert(TXN_BYTES_MAX > 2 * REQUEST_BYTES_MAX, "a resolved request fits");

enum {
    ROUND_RUNS_MAX = 1000,    /* put-off work done after one submit or tick */
    CALL_PATHS_MAX = 1024,    /* paths that one call may wait for */
    CALL_ASKERS_MAX = 16,     /* connections on which one call is waited for */
    EVENT_BINDINGS_MAX = 1024, /* of all recipes */
    EVENT_BUCKETS = 64,
    EVENT_RUNS_MAX = 64, /* of one transaction: functions may wake each other */
};

struct binding; /* events.c */

/* Whom a transaction answers, and where its result is kept. */
struct asker {
    uint32_t origin;
    uint64_t tag;
    uint64_t session, seq, ack;
    uint64_t began; /* zxid of the first commit of a call that waited before; else 0 */
};

/* The same call was asked on another connection too. Connections take turns, and after a
 * change of leaders every server sends what it has, so what comes last need not be the
 * newest, and only the client knows where it listens: all are answered. */
struct also {
    struct list link;
    struct asker asker;
};

struct call {
    struct asker asker;
    struct list also;     /* of struct also */
    uint32_t also_count;  /* at most CALL_ASKERS_MAX; then the first is forgotten */
    uint64_t order;       /* rises with the first wait: woken calls run in this order */
    uint64_t deadline_ms; /* 0 = none */
    size_t deadline_at;   /* place in the heap, from 1; 0 = not in it */
    bool waits;           /* it is in its session's lane */
    bool recorded;        /* this reign has put it into a batch */
    bool woken;
    struct list by_lane, by_ready;
    struct list watches;
    struct bytes request; /* the bytes that follow this struct */
};

/* A request that came before one with a smaller seq. */
struct held {
    struct asker asker;
    struct list by_lane; /* in seq order */
    struct list by_ripe; /* linked once the one before it is resolved */
    struct bytes request;
};

struct lane {
    struct table_link link;
    struct list by_all;
    uint64_t session;
    struct list calls;    /* in the order of their first wait */
    uint32_t calls_count; /* at most SESSION_RESULTS_MAX */
    struct list helds;
};

struct resolver {
    struct scripts *scripts;
    uint64_t seed;
    struct machine *machine;
    bool started;
    uint64_t now_ms; /* of the step at hand */
    int64_t wall_ms;

    struct kv_overlay pending; /* resolved, not yet applied */
    uint64_t zxid;             /* the newest given out */
    struct tree_tally tally; /* of the tree as pending shows it */
    struct tx_limits limits;
    uint64_t clock_ms;       /* as time_ms below; it is clock_base_ms at clock_from_ms */
    uint64_t clock_base_ms, clock_from_ms;
    struct expiry *expiry;

    struct buf txns; /* the open batch */
    uint32_t txns_count;
    uint64_t zxid_first;
    int64_t time_ms; /* of the open batch, or of the newest one taken */
    uint32_t origins;

    struct tx tx; /* the transaction at hand */
    struct script_result out, spare; /* while event functions run: the call's own result */
    struct buf result, parts, created, message;
    struct buf kept, kept_source, event; /* of recipes.c, events.c */
    struct binding *bindings[EVENT_BUCKETS + 1]; /* the last: any first part */
    size_t bindings_count;
    bool events_changed; /* the bindings in the tree: load them before the next write */

    struct table lanes, watch_paths;
    struct list lanes_all;
    struct list ready; /* calls that were woken, in the order to run them */
    struct list ripe;  /* helds whose turn has come */
    struct call **woken;
    size_t woken_count, woken_cap;
    struct call **deadlines;
    size_t deadlines_count, deadlines_cap;
    uint64_t calls_begun; /* the next call's `order` */
    uint64_t calls_count, helds_count, runs, expiries;
    uint64_t fuel; /* what scripts cost in this turn */
    size_t kept_bytes; /* requests of waiting calls and held ones */
};

/* open_batch.c */
void batch_times_set(struct resolver *r);
void txn_begin(struct resolver *r, uint64_t session, uint32_t ops_max);
bool txn_fits(const struct resolver *r, size_t result_len);
/* Ends the transaction at hand: into the batch, into the pending state. It fits (CHECK). */
void txn_commit(struct resolver *r, const struct asker *a, unsigned flags,
                struct bytes result);
/* Commits with this result, whose zxid is set here; refuses if it is too large. */
void txn_answer(struct resolver *r, const struct asker *a, struct result *result);
/* Drops what the transaction wrote and commits the refusal; index -1 = of no one want. */
void txn_refuse(struct resolver *r, const struct asker *a, int code, struct bytes detail,
                int64_t index);
/* The same for a script that failed, in its own words and with its details. */
void txn_refuse_script(struct resolver *r, const struct asker *a);
/* The same, stored nowhere: for what is no answer to (session, seq) itself. */
void txn_refuse_unstored(struct resolver *r, const struct asker *a, int code,
                         struct bytes detail);
struct asker asker_unstored(const struct asker *a);
/* Commits an answer to who asks again: the result that is stored. */
void txn_repeat(struct resolver *r, const struct asker *a);

/* resolver.c */
int request_resolve(struct resolver *r, const struct asker *a, const struct request *q,
                    struct bytes request);

/* writes.c */
void write_resolve(struct resolver *r, const struct asker *a, const struct request *q);
/* Every want is a guard that passes; else refuses and is false. */
bool guards_pass(struct resolver *r, const struct asker *a, const struct request *q);

/* recipes.c */
/* A recipe that does not load is not stored, whoever writes it: 0, or a code with r->out's
 * message. `fuel_first` is what was spent before this request: one may cost as much as a turn,
 * and then some. */
int recipe_check(struct resolver *r, const struct want *w, uint64_t fuel_first);
/* Before the want is resolved: what it replaces goes into the history, and what the new
 * source is bound to into the index. */
int recipe_keep(struct resolver *r, const struct want *w);

/* events.c */
/* Runs the functions that are bound to what the transaction at hand wrote. 0, or the code of
 * the one that refused it, in r->out: then the transaction is to be refused by
 * txn_refuse_script(). */
int events_run(struct resolver *r, const struct asker *a);
void events_load(struct resolver *r);
void events_clear(struct resolver *r);
int recipe_bind(struct resolver *r, struct bytes name, struct bytes bindings);

/* leases.c */
void lease_open(struct resolver *r, const struct asker *a, const struct request *q);
/* ERR_BUSY: more ephemerals than one batch holds; it will end in parts. */
int lease_close(struct resolver *r, const struct asker *a);
void leases_load(struct resolver *r);
void leases_expire_due(struct resolver *r);

/* expiring.c */
void nodes_expire_due(struct resolver *r);

/* lanes.c */
struct lane *lane_find(const struct resolver *r, uint64_t session);
struct lane *lane_make(struct resolver *r, uint64_t session);
void lane_release(struct resolver *r, struct lane *lane); /* frees it if it is empty */
/* All that the session still has here is answered with ERR_SESSION_EXPIRED. */
void lane_end(struct resolver *r, uint64_t session);
void lanes_clear(struct resolver *r);
bool kept_has_room(const struct resolver *r, struct bytes request);
int held_add(struct resolver *r, const struct asker *a, struct bytes request);
void held_ripen(struct resolver *r, uint64_t session, uint64_t seq);
void held_run_first(struct resolver *r);

/* calls.c */
int call_start(struct resolver *r, const struct asker *a, struct bytes request);
/* The call that waits will answer this one too. False: it does not wait here. */
bool call_attach(struct resolver *r, const struct asker *a);
/* All who asked are answered with this, which is stored nowhere. */
void call_refuse_all(struct resolver *r, const struct call *c, int code);
void call_cancel(struct resolver *r, const struct asker *a, uint64_t target_seq);
void call_run_first(struct resolver *r);
void calls_time_out(struct resolver *r);
/* Takes it out of everything and frees it; its lane may be empty then. */
void call_drop(struct resolver *r, struct call *c);

/* watches.c */
void watches_set(struct resolver *r, struct call *c, struct bytes paths);
void watches_drop(struct resolver *r, struct call *c);
/* The calls that wait for what these ops change become ready. */
void watches_wake(struct resolver *r, struct bytes ops);

/* deadlines.c */
void deadline_add(struct resolver *r, struct call *c);
void deadline_remove(struct resolver *r, struct call *c);
struct call *deadline_due(const struct resolver *r, uint64_t now_ms); /* NULL: none */

#endif
