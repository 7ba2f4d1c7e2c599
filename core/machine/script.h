/* script.h -- how a recipe is run, without knowing what it is written in: by the leader as
 * a call (resolver.h), by any server to read only (query.h).
 *
 * The Lua host (lua/host.h) implements it; tests may bring their own. A run reads and writes
 * through `tx` only. It must be bounded in time and memory by itself. */
#ifndef CORE_MACHINE_SCRIPT_H
#define CORE_MACHINE_SCRIPT_H

#include "core/tree/tx.h"

/* A child of this node with data is the recipe of that name. */
#define SCRIPT_DIRECTORY "/tidelock/recipes"

/* <here>/<name>/<zxid, 20 digits> holds the source that was put by that transaction and has
 * been replaced since; null: from that transaction on there was none in the tree. The newest
 * ones are kept. */
#define SCRIPT_HISTORY "/tidelock/history"
enum { SCRIPT_HISTORY_MAX = 20 };

/* <here>/<name> lists what the recipe of that name is bound to: script_bindings, encoded. */
#define SCRIPT_EVENTS "/tidelock/events"

/* A function that runs when a path that fits the pattern is written. */
struct script_binding {
    bool validates; /* it may only read: it judges. Else it may write, too */
    struct bytes pattern, function;
};

static inline void script_binding_put(struct buf *out, const struct script_binding *b)
{
    buf_put_u8(out, b->validates ? 1 : 0);
    buf_put_bytes(out, b->pattern);
    buf_put_bytes(out, b->function);
}

/* False at the end, and when the bytes are none. */
static inline bool script_binding_next(struct reader *r, struct script_binding *b)
{
    if (reader_left(r) == 0) return false;
    b->validates = read_u8(r) == 1;
    b->pattern = read_bytes(r, PATH_BYTES_MAX);
    b->function = read_bytes(r, PATH_BYTES_MAX);
    return !r->bad && b->pattern.len > 1 && b->pattern.ptr[0] == '/' && b->function.len > 0;
}

/* What was written, for an event function. */
struct script_event {
    enum op_kind kind; /* CREATE, SET, DELETE */
    struct bytes path;
    struct bytes data;   /* what is there now; null: null data, or nothing */
    struct bytes before; /* what was there before the transaction */
};

struct script_call {
    struct bytes recipe, function; /* "lock", "acquire" */
    struct bytes args;             /* one MessagePack value */
    uint64_t session, seq;         /* tx.id is made of them; of a query: 0 */
    uint64_t began; /* zxid of the first commit of a call that waited before; else 0 */
    const struct script_event *event; /* instead of args, for an event function; else NULL */
    uint64_t fuel_max; /* 0: the normal budget */
    bool cancel; /* run the module's cancel(tx, args, function) instead, if it has one */
};

enum script_outcome {
    SCRIPT_DONE = 1, /* value: the call's answer */
    SCRIPT_WAIT,     /* paths: run again when one of them changes */
    SCRIPT_ERROR,    /* code, message: nothing may be written */
};

struct script_result {
    enum script_outcome outcome;
    int code;
    struct buf value;   /* one MessagePack value; of an error: its details, or nothing */
    struct buf message; /* text for a person */
    struct buf paths;   /* each as buf_put_bytes(); empty = what tx read (tx->reads) */
    uint64_t fuel;      /* what the run cost; SCRIPT_FUEL_MAX is near 10 ms */
};

static inline void script_result_clear(struct script_result *out)
{
    buf_clear(&out->value);
    buf_clear(&out->message);
    buf_clear(&out->paths);
    out->code = 0;
    out->fuel = 0;
}

struct scripts {
    /* `tx` is fresh; of a call track_reads is set, of a query read_only; `out` is empty.
     * Never fails otherwise. */
    void (*run)(struct scripts *s, const struct script_call *call, struct tx *tx,
                struct script_result *out);
    /* Would this source do as the recipe of that name? Before it is stored, so that a call
     * never finds one that does not load. Ends with SCRIPT_DONE and its bindings as the value
     * (script_binding_put()), or with SCRIPT_ERROR; `out` is empty. NULL: anything may be
     * stored. */
    void (*check)(struct scripts *s, struct bytes name, struct bytes source,
                  struct script_result *out);
};

#endif
