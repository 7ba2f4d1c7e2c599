/* walk.h -- reads all segments of a log in order and judges them as one chain.
 *
 * Internal to core/log; log_open() and log_dump() see the same log because both walk here.
 * What makes a chain good: each segment's header names itself, the cluster and the node; it
 * goes on with the number and checksum that the segment before it ended with; and only the
 * newest segment may end in a tear, since a segment is left only behind a synced group. */
#ifndef CORE_LOG_WALK_H
#define CORE_LOG_WALK_H

#include "core/log/files.h"

struct log_visitor {
    /* A segment begins. 0, or an error; errno tells more. */
    int (*segment)(void *ctx, const struct log_segment_header *h, uint64_t bytes);
    /* One record, at scan->record .. scan->records.at. NULL, or what makes it damage. */
    const char *(*record)(void *ctx, const struct log_scan *scan, const struct log_record *r,
                          struct bytes batch);
    /* A file whose header is zero: it was being recycled. */
    void (*retired)(void *ctx, uint64_t generation);
    void *ctx;
};

/* Where the log ends. */
struct log_walked {
    uint64_t generation; /* 0: there is no segment */
    uint64_t at, number, sum;
    uint64_t torn_bytes; /* behind `at` */
};

int log_walk(const struct log_files *f, const struct log_visitor *visitor,
             struct log_walked *end, char *why, size_t why_size);

#endif
