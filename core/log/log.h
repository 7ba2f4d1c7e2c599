/* log.h -- the Paxos log on disk: segment files, one writer thread, group commit.
 *
 * Not a general log: it holds promises, votes and chosen slots (record.h), because a server
 * that forgets one of those can let two values be chosen. All calls come from one thread
 * (the loop); the log's own thread writes and syncs: everything queued becomes one write and
 * one fdatasync, and the next group builds up meanwhile.
 *
 * THE CALLER'S DUTY  log_submit() once per turn after log_append(); release what waits for
 * seq n only when log_durable() >= n. Any write or sync error ends the process at once with
 * one line that says so (a failed sync may have lost data that the kernel calls clean; the
 * server must not vote from memory). Running out of space is met only while preallocating:
 * log_full() turns true, new writes are refused upstream, promises still fit the spare.
 *
 * FILES in dir: NNNNNNNNNNNNNNNN.seg, hex of the generation; spare.seg, ready to use.
 * Invariants: L1..L3 of record.h; L4 seq order is disk order; L5 every slot from
 * log_slot_first() to the chosen prefix can be read. */
#ifndef CORE_LOG_LOG_H
#define CORE_LOG_LOG_H

#include "core/log/record.h"

struct log;

struct log_config {
    const char *dir;        /* created if missing */
    uint64_t segment_bytes; /* 64 MiB in production, at least 64 KiB; a group larger than a
                               segment gets a segment of its own size */
    uint64_t cluster;       /* identity, checked against what is there */
    uint32_t node;
    /* Up to here all slots are chosen and applied in the state at rest, durably. Damage that
     * can have cost nothing else is harmless. 0: nothing is known of a state. */
    uint64_t slot_at_rest;
    /* Called on the log's thread after each sync; must only wake the loop. */
    void (*on_durable)(void *ctx);
    void *ctx;
};

/* What the log kept. */
struct log_recovered {
    struct ballot promised;
    uint64_t chosen;     /* every slot up to it is chosen, and readable from slot_first on */
    uint64_t slot_first; /* oldest readable slot; 0 when there is none */
    uint64_t boot;       /* this start's number; its START record is on disk already */
    uint64_t torn_bytes; /* what was cut as a tear; 0 mostly */
    char skipped[512];   /* one line about harmless damage; "" mostly */
    uint32_t votes_count;
    struct vote votes[WINDOW_MAX]; /* above `chosen`; each holds a reference, the caller's */
};

/* Opens or creates. Damage is skipped when later records prove that no promise and no vote
 * of a slot above slot_at_rest was lost (see walk.h), and refused otherwise. On failure
 * returns the code and fills `why` with one line for a person: which file, which offset,
 * what to do. ERR_DAMAGED, ERR_OTHER_VERSION, ERR_WRONG_CLUSTER, ERR_IO, ERR_DISK_FULL,
 * ERR_NOT_PERMITTED. */
int log_open(const struct log_config *config, struct log **log,
             struct log_recovered *recovered, char *why, size_t why_size);
void log_close(struct log *l); /* writes what is queued, syncs, joins the thread */

/* Queues a record; references its batch. Returns its seq: 1, 2, 3, ... from this open. */
uint64_t log_append(struct log *l, const struct log_record *r);
void log_submit(struct log *l);             /* what is queued may be written now */
uint64_t log_durable(const struct log *l);  /* every record up to this seq is on disk */

/* The chosen proposal of a slot, from memory or disk; p->batch is a reference, the caller's.
 * ERR_NO_NODE when the slot is not in log_slot_first() .. the chosen prefix; ERR_DAMAGED when
 * its bytes have rotted since. */
int log_read(struct log *l, uint64_t slot, struct proposal *p);
uint64_t log_slot_first(const struct log *l);

/* The state at rest may stand at a slot above `chosen`, when its write was durable before the
 * log's. A vote between them may be an old one, for something else than what was chosen; it is
 * for the chosen one if it is of the reign whose batch counted in the newest slot, since a slot
 * and a reign have one proposal. Forgets all up to run->slot unless each of those is. */
void log_forget_doubtful(struct log *l, const struct log_recovered *recovered,
                         const struct run *at_rest);

/* Slots below `slot` are needed no more: whole segments under it are recycled. */
void log_trim(struct log *l, uint64_t slot);

/* The first slot of the newest segments that make up `bytes` or more: with log_trim() of that,
 * so much is kept. 0: there is no more than that. */
uint64_t log_slot_within(struct log *l, uint64_t bytes);

/* With log_trim() of that, what was found damaged at the start is gone, and what is older;
 * 0: there is nothing of it. */
uint64_t log_slot_damaged(struct log *l);

bool log_full(const struct log *l);
uint64_t log_bytes(const struct log *l); /* on disk, spares included */

struct log_printer {
    void *ctx;
    void (*line)(void *ctx, const char *text);
    /* Prints what a batch holds, line by line; NULL: it is told by its length only. */
    void (*batch)(struct bytes batch, void (*line)(void *ctx, const char *text), void *ctx);
};

/* Prints a log in a form that a person reads, without changing it (`tidelockd log dump`), and
 * judges it. 0; ERR_DAMAGED, also for damage that a server skips whose state holds enough:
 * `why` says how much; or another code. The directory is not locked. */
int log_dump(const char *dir, const struct log_printer *to, char *why, size_t why_size);

/* Puts a log that must not be voted with out of the way, for analysis: `dir` is renamed to
 * `dir`.damaged, durably, and one that was put there before is removed. Nothing may use it.
 * Whoever does this has lost its votes and promises: it is a new incarnation from then on.
 * ERR_IN_USE, ERR_NOT_PERMITTED, ERR_IO and one line in `why`; then `dir` is as it was. */
int log_set_aside(const char *dir, char *why, size_t why_size);

#endif
