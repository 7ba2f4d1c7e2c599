/* walk.h -- reads all segments of a log in order and judges them as one chain.
 *
 * Internal to core/log; log_open() and log_dump() see the same log because both walk here.
 * What makes a chain good: each segment's header names itself; it goes on with the number
 * and checksum that the segment before it ended with; and only the newest segment may end
 * in a tear, since a segment is left only behind a synced group.
 *
 * DAMAGE is walked over where a later sound group or header is found, and bounded by what
 * comes behind it. Standing (promise and chosen prefix) only rises, and a vote is at most
 * WINDOW_MAX slots above the prefix of its time. So the first standing behind the damage
 * tells that nothing that was lost
 *     - promised more than that standing does,
 *     - was of a slot above its prefix + WINDOW_MAX = `slot_max`.
 * Hence the damage is HARMLESS iff such a standing was met (`proven`) and the state at rest
 * holds every slot up to slot_max: then each of those slots is decided and applied, and no
 * vote of theirs will be asked for. All else may have cost a promise or a vote. */
#ifndef CORE_LOG_WALK_H
#define CORE_LOG_WALK_H

#include "core/log/files.h"

struct log_visitor {
    /* A segment begins. 0, or an error; errno tells more. */
    int (*segment)(void *ctx, const struct log_segment_header *h, uint64_t bytes);
    /* One record, at scan->record .. scan->records.at. NULL, or what makes it damage. */
    const char *(*record)(void *ctx, const struct log_scan *scan, const struct log_record *r,
                          struct bytes batch);
    /* Damage was met: one line about it. */
    void (*damage)(void *ctx, const char *text);
    /* A file that is walked over as a whole, since its header is damaged. */
    void (*lost)(void *ctx, uint64_t generation);
    void *ctx;
};

struct log_damage {
    uint32_t places;        /* 0: the log is sound */
    char last[320];         /* what the last of them is: file, offset, what */
    uint64_t groups;        /* lost, as far as their numbers tell */
    bool proven;            /* a standing was met behind the last place */
    uint64_t slot_max;      /* nothing lost was of a higher slot; if proven */
};

/* Where the log ends. */
struct log_walked {
    uint64_t generation; /* 0: there is no segment */
    uint64_t at, number, sum;
    uint64_t torn_bytes; /* behind `at` */
    struct log_damage damage;
};

/* ERR_DAMAGED here means damage that cannot be walked over. */
int log_walk(const struct log_files *f, const struct log_visitor *visitor,
             struct log_walked *end, char *why, size_t why_size);

/* Whether nothing was lost that a server needs whose state at rest holds `slot`. */
bool log_damage_is_harmless(const struct log_damage *damage, uint64_t slot);

#endif
