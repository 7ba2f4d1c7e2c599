/* watch_inside.h -- what the two files of the table of watches share, for them only.
 *
 *     watch.c       places, ids, paths, owners: arming, and the end of a watch
 *     watch_fire.c  what a transaction fires */
#ifndef CORE_WATCH_WATCH_INSIDE_H
#define CORE_WATCH_WATCH_INSIDE_H

#include <assert.h>

#include "core/watch/watch.h"

enum { WATCH_CHUNK = 1024 };

enum list_of { OF_PATH = 0, OF_OWNER = 1 };

struct watch_path { /* goes with its last watch */
    struct table_link link;
    struct watch_place watches; /* in the order of arming */
    uint16_t len;
    bool tree; /* watches of the tree below it: apart from those of the node */
    uint8_t bytes[];
};

struct watch_owner { /* goes with its last watch */
    struct table_link link;
    uint64_t handle;
    struct watch_place watches; /* in the order of arming */
    size_t count;
    uint32_t group; /* its group of the transaction at hand + 1; 0 = not concerned yet */
    uint8_t reading; /* changes whenever the owner has read all */
};

struct watch {
    struct watch_path *path; /* NULL: the place is free */
    struct watch_owner *owner;
    struct watch_run *run;
    uint64_t id, since;
    uint32_t next[2], before[2]; /* by enum list_of */
    uint32_t chain;              /* the next of its chain of ids, or the next free place */
    uint16_t unread;             /* units told in the owner's reading that is named here: */
    uint8_t reading;             /* of another one nothing counts any more */
    unsigned what : 3;
    unsigned once : 1, value : 1;
    unsigned fired : 1; /* by the transaction at hand */
};

static_assert(WATCH_UNREAD_MAX / WATCH_UNREAD_UNIT <= UINT16_MAX, "units fit");

static_assert(sizeof(struct watch) == 64, "what a million of them take");

static inline struct watch *watch_at(const struct watch_table *t, uint32_t place)
{
    return &t->chunks[(place - 1) / WATCH_CHUNK][(place - 1) % WATCH_CHUNK];
}

void watch_release(struct watch_table *t, uint32_t place);

/* Paths are hashed part by part, from the table's seed for the root, so that those above a
 * path are hashed on the way: `*at` moves to the end of the part. */
uint64_t watch_hash_part(struct bytes path, size_t *at, uint64_t hash);
uint64_t watch_hash_path(const struct watch_table *t, struct bytes path);
struct watch_path *watch_path_find(const struct watch_table *t, struct bytes path,
                                   uint64_t hash, bool tree);

#endif
