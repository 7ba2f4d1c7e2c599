/* record.h -- what the Paxos log holds, as bytes, and how to tell a tear from damage.
 *
 * The pure half of the log: it builds groups of records in memory and judges the bytes of a
 * segment. core/log/log.c writes and reads the files; the simulator keeps segments in memory
 * and uses this same code, crashes and torn writes included.
 *
 * SEGMENT (a file; preallocated, zero-filled, recycled)
 *     offset size field                                      all little-endian
 *     0      8    magic "TIDELOG" and format version 2
 *     8      8    generation   rises with every use of a file; keys all checksums in it
 *     16     8    cluster      hash of the cluster's identity
 *     24     4    node
 *     28     4    KiB of the file, rounded down: a shorter one was cut off (0 = not known)
 *     32     8    group_first  number of the first group in this segment
 *     40     8    sum_before   checksum of the group before it (0 for the very first)
 *     48     ..   the run state and promise at its start: see `struct log_base`
 *     120    8    checksum of bytes 0..119, keyed by the generation
 *     128    ..   groups, each starting at a multiple of 8
 * GROUP (one write, one sync)
 *     0      4    magic "GRUP"
 *     4      4    bytes of the whole group, header and padding included
 *     8      8    number       rises by 1
 *     16     8    sum_before   checksum of the group before: the chain
 *     24     8    checksum of the group (this field as 0), keyed by the generation
 *     32     ..   records; zero padding to a multiple of 8
 * RECORD  kind u8, then LEB128 numbers
 *     PROMISE    promised.round promised.node chosen
 *     VOTE       promised.round promised.node chosen slot ballot.round ballot.node proposal
 *     CHOSEN     promised.round promised.node chosen slot proposal
 *     START      boot     the process started for the boot-th time
 *     INSTALLED  promised.round promised.node chosen   the state came from a peer: up to
 *                `chosen` it holds all, and slots need not stand in the log
 *     MARK       (nothing) its group only says that the group before is synced
 *     proposal = reign.round reign.node reign_first batch(length + 1, bytes; 0 = none)
 *                members.number(0 = no change, and nothing follows) voters learners
 *
 * A group is written only when the one before it is synced, so group n + 1 proves that group
 * n was on disk. When idle, a MARK follows within 10 ms. Hence the judgement of a bad group:
 * it is a TEAR (never promised to anybody; cut it) iff no good group of this generation
 * follows it anywhere; else, and for anything bad before it, it is DAMAGE and never cut.
 * What damage costs is judged by the groups behind it: see walk.h.
 *
 * Pure. Invariants: L1 what is cut was never reported durable. L2 bytes of an older use of
 * a segment are never taken for new ones. L3 no input, however hostile, reads out of bounds. */
#ifndef CORE_LOG_RECORD_H
#define CORE_LOG_RECORD_H

#include "core/paxos/run.h"
#include "core/paxos/types.h"

enum {
    LOG_SEGMENT_HEADER = 128,
    LOG_GROUP_HEADER = 32,
    LOG_ALIGN = 8,
};

/* What a segment's header carries over, so that older segments can go. */
struct log_base {
    struct ballot promised;
    uint64_t chosen;
    uint64_t boot;
};

struct log_segment_header {
    uint64_t generation, cluster, group_first, sum_before;
    uint32_t node, size_kib;
    struct log_base base;
};

enum log_record_kind {
    LOG_PROMISE = 1,
    LOG_VOTE,
    LOG_CHOSEN,
    LOG_START,
    LOG_MARK,
    LOG_INSTALLED,
};

struct log_record {
    enum log_record_kind kind;
    struct ballot promised;
    uint64_t chosen;
    struct vote vote; /* VOTE; CHOSEN: slot and proposal. See each function on the blob */
    uint64_t boot;    /* START */
};

void log_segment_header_encode(uint8_t at[LOG_SEGMENT_HEADER],
                               const struct log_segment_header *h);
/* 0, ERR_DAMAGED, ERR_OTHER_VERSION; an all-zero header (a spare) is ERR_CLOSED. */
int log_segment_header_decode(struct bytes at, struct log_segment_header *h);

/* Building one group: begin, records, end. `out` is appended to; begin and end fix up the
 * header. The place of each record's bytes inside the group can be had from out->len. */
struct log_group {
    struct buf *out;
    size_t start;
    uint64_t generation, number, sum_before;
};
void log_group_begin(struct log_group *g, struct buf *out);
void log_group_put(struct log_group *g, const struct log_record *r); /* blob borrowed */
uint64_t log_group_end(struct log_group *g); /* the group's checksum: the next sum_before */

/* Walks the groups of one segment. */
struct log_scan {
    struct bytes segment;
    struct log_segment_header header;
    size_t at;            /* where the next group would start */
    size_t record;        /* where the record just read starts; it ends at records.at */
    uint64_t number, sum; /* of the last good group */
    struct reader records; /* of the current group */
};
enum log_verdict {
    LOG_GOOD = 1, /* a record (next) or a group was read */
    LOG_END,      /* zeros, or bytes of an older use: a clean end */
    LOG_TEAR,     /* the last group is bad and nothing follows it in this segment */
    LOG_BAD,      /* damage: never to be cut */
};
/* 0 or the error of the header. */
int log_scan_init(struct log_scan *s, struct bytes segment);
/* Moves to the next record, crossing groups. On LOG_GOOD `r` is filled; its batch is NULL
 * and `batch` borrows the bytes instead (ptr NULL = none), so that a scan copies nothing. */
enum log_verdict log_scan_next(struct log_scan *s, struct log_record *r, struct bytes *batch);
/* After LOG_BAD: moves to the next sound group of this use that is not the next one in the
 * chain; the groups before it are lost. False when there is none, and then `s` is where it
 * was. What the loss means is judged in walk.h. */
bool log_scan_skip(struct log_scan *s);
/* How many bytes the torn group claims, within the segment; after LOG_TEAR. */
size_t log_scan_torn(const struct log_scan *s);

/* One record, as log_scan_next() gives it; false when it is none. */
bool log_record_read(struct reader *from, struct log_record *r, struct bytes *batch);

#endif
