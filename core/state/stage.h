/* stage.h -- a whole new state on its way in from a peer, in a directory of its own.
 *
 * Internal to core/state. The loop queues work and goes on; a thread does it in order, and
 * wakes the loop after each piece. The thread is there from the first begin on. What failed
 * is told by stage_done() until the next begin, and the work queued behind it is skipped.
 *
 *     begin, put ..., seal   then the directory is whole, on disk, and nobody uses it
 *     begin, put ..., drop   then it is gone
 *
 * Nothing here touches the state in use. */
#ifndef CORE_STATE_STAGE_H
#define CORE_STATE_STAGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/base/list.h"
#include "core/state/dirs.h"
#include "core/state/rocks.h"

enum { STAGE_WHY_MAX = 512 };

struct stage {
    const struct state_dirs *dirs;
    void (*on_done)(void *ctx); /* on its thread */
    void *ctx;

    bool started;   /* the thread; the loop's */
    uint64_t asked; /* pieces of work; the loop's */
    uint64_t begun; /* the number of the last begin; the loop's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list work; /* under `lock` */
    bool stopping;    /* under `lock` */
    uint64_t done;    /* under `lock` */
    int code;         /* under `lock`: of the first that failed since the last begin */
    char why[STAGE_WHY_MAX];
    bool open; /* the thread's: `rocks` is */
    struct rocks rocks;
};

void stage_init(struct stage *s, const struct state_dirs *dirs);
void stage_fini(struct stage *s); /* drops what is there; waits */

void stage_begin(struct stage *s);
void stage_put(struct stage *s, struct bytes cells); /* copied */
void stage_seal(struct stage *s);
void stage_drop(struct stage *s);
void stage_sweep(struct stage *s); /* removes DIR.old */

/* How many puts and seals since the last begin are done; or a code, and why. */
int stage_done(struct stage *s, uint64_t *done, char *why, size_t why_size);

#endif
