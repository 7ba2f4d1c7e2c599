/* history.h -- which of the recent slots hold which transactions: what a watch that comes
 * back needs to find its events in the log.
 *
 * A ring with the newest zxid as of each slot. A slot whose number is that of the slot
 * before it gave nothing: its batch was void or empty. Pure. */
#ifndef CORE_WATCH_HISTORY_H
#define CORE_WATCH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct history {
    uint64_t *zxids;     /* of slot s at s % size */
    size_t size;
    uint64_t slot_first; /* the oldest kept; 0 = nothing is kept yet */
    uint64_t slot_last;
    uint64_t zxid_before; /* as of the slot before slot_first */
};

void history_init(struct history *h, size_t size);
void history_fini(struct history *h);

/* Forgets all: slots go on elsewhere. */
void history_reset(struct history *h);

/* A slot was applied; slots come one by one. zxid_first 0: it gave no transaction. Nothing
 * is kept before the first one that did. */
void history_add(struct history *h, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last);

/* The first slot that holds transactions above `since`; 0 when there is none yet. False:
 * such a slot may be no longer kept. */
bool history_find(const struct history *h, uint64_t since, uint64_t *slot);

/* Of a slot that is kept (CHECK): whether it gave any transaction, the newest zxid then. */
bool history_counted(const struct history *h, uint64_t slot);
uint64_t history_zxid(const struct history *h, uint64_t slot);

#endif
