/* script.h -- how the leader runs a recipe, without knowing what a recipe is written in.
 *
 * The Lua host (lua/host.h) implements it; tests may bring their own. A run reads and writes
 * through `tx` only. It must be bounded in time and memory by itself. */
#ifndef CORE_MACHINE_SCRIPT_H
#define CORE_MACHINE_SCRIPT_H

#include "core/tree/tx.h"

struct script_call {
    struct bytes recipe, function; /* "lock", "acquire" */
    struct bytes args;             /* one MessagePack value */
    uint64_t session, seq;         /* tx.id is made of them */
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

struct scripts {
    /* `tx` is fresh, track_reads set; `out` is empty. Never fails otherwise. */
    void (*run)(struct scripts *s, const struct script_call *call, struct tx *tx,
                struct script_result *out);
};

#endif
