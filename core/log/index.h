/* index.h -- where each slot's newest record is: in memory still, or at a place on disk.
 *
 * Internal to core/log; the loop's own, so without locks. A ring of slots from `first` on.
 * Invariants: X1 first <= chosen + 1. X2 every slot in first .. chosen is present: when
 * `chosen` passes a slot that is not (a snapshot filled it), all up to that slot is dropped. */
#ifndef CORE_LOG_INDEX_H
#define CORE_LOG_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/log/record.h"

struct log_item;

/* A record's bytes; the checksum is of these bytes alone, since a group's covers all of it. */
struct log_place {
    uint32_t segment; /* its serial number, see log_segments */
    uint32_t at;
    uint32_t len; /* 0: there is none */
    uint32_t sum;
};

struct log_entry {
    struct log_item *item; /* not on disk yet: read it from here */
    struct log_place place;
};

struct log_index {
    struct log_entry *ring;
    size_t size; /* a power of 2 */
    uint64_t first, end; /* the slots held: first .. end - 1 */
    uint64_t chosen;
};

void log_index_init(struct log_index *ix, uint64_t chosen);
void log_index_fini(struct log_index *ix);
/* NULL when the slot has no record here. Borrowed until the next call that changes. */
struct log_entry *log_index_at(const struct log_index *ix, uint64_t slot);
/* Takes note of a record, in log order, that is found at `e`. False when its slot lies
 * beyond the window: then nothing changed but `chosen`. */
bool log_index_note(struct log_index *ix, const struct log_record *r, struct log_entry e);
/* Forgets the slots whose place is in a segment before `segment`, and all below them. */
void log_index_drop(struct log_index *ix, uint32_t segment);
/* All up to `slot` is chosen, and can be read here no more. */
void log_index_forget(struct log_index *ix, uint64_t slot);
uint64_t log_index_first(const struct log_index *ix); /* 0: nothing can be read */

#endif
