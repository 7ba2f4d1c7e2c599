/* recipe_bench.h -- recipes on a tree in memory, for tests: calls, waiting, waking.
 *
 * A little of what core/machine/resolver.h does, so that a recipe's rules can be tested
 * without it: one call at a time is run and committed; calls that wait run again, in the
 * order in which they came, when a path they wait for was changed by another transaction.
 * The 's' cells of sessions are there, without content. */
#ifndef TESTS_LIB_RECIPE_BENCH_H
#define TESTS_LIB_RECIPE_BENCH_H

#include "core/machine/script.h"
#include "lua/host.h"

enum { BENCH_CALLS_MAX = 12000 };

struct bench_call {
    uint64_t session, seq;
    char function[80]; /* "lock.acquire" */
    struct buf args;
    struct script_result last; /* of its newest run */
    unsigned runs;
    bool due; /* to be run again */
    char text[600]; /* the answer as text, or "code_name: message", or "waits" */
};

struct recipe_bench {
    struct kv_overlay state;
    struct lua_host *host;
    uint64_t zxid;
    int64_t time_ms;
    struct bench_call *calls; /* all ever made; the index is their handle */
    size_t calls_count;
    size_t due_count;
    bool newest_first; /* woken calls run in the wrong order: recipes must not rely on it */
    uint64_t runs, ops;
};

void bench_init(struct recipe_bench *b, struct sandbox_budget budget);
void bench_fini(struct recipe_bench *b);

void bench_recipe_put(struct recipe_bench *b, const char *name, struct bytes source);
void bench_session_open(struct recipe_bench *b, uint64_t id);
/* Deletes the session's nodes, wakes who waited for them, drops its calls. */
void bench_session_close(struct recipe_bench *b, uint64_t id);

/* `args` is a Lua expression. Returns the call's handle. */
size_t bench_call(struct recipe_bench *b, uint64_t session, const char *function,
                  const char *args);
size_t bench_call_packed(struct recipe_bench *b, uint64_t session, const char *function,
                         struct bytes args);
/* As a query: nothing is written. Returns what it came to, as bench_text() would. */
const char *bench_query(struct recipe_bench *b, const char *function, const char *args);
/* What the call stands at now. */
const char *bench_text(struct recipe_bench *b, size_t call);
bool bench_waits(struct recipe_bench *b, size_t call);
void bench_cancel(struct recipe_bench *b, size_t call);

bool bench_node_read(struct recipe_bench *b, const char *path, struct node *n);

#endif
