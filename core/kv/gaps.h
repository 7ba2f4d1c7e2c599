/* gaps.h -- inside of an overlay: stretches of keys that are known to be empty. For
 * core/kv/ only.
 *
 * A queue asks for its first element again and again. What was taken before has left marks
 * of its deletion, thousands of them at times, in the overlays and in RocksDB, and a seek
 * that walked over all of them each time would make each take dearer than the one before.
 * So what seeks have passed is remembered, until a key is put there:
 *
 *     /queue/         first element       last element         the family's end
 *       |---- front ------->|                  |------- back ------->|
 *
 * A seek that begins in a gap is answered by its end. When that key was deleted meanwhile,
 * the seek goes on from there, and the gap grows: each mark is passed once.
 *
 * A FAMILY is what is asked for together: the children of one node, or all cells of another
 * kind (kv.h). It has three gaps: at its front, at its back, and the most recent elsewhere.
 *
 * Invariants: G1 no key lies strictly between the ends of a gap. G2 an end is a key itself,
 * or is free, or nobody has looked. G3 a gap does not reach beyond its family. Families
 * that meet in one place of the table displace each other. */
#ifndef CORE_KV_GAPS_H
#define CORE_KV_GAPS_H

#include "core/kv/kv.h"

enum kv_end_kind { KV_END_UNKNOWN = 0, KV_END_KEY, KV_END_FREE };

struct kv_end {
    struct buf key;
    enum kv_end_kind kind;
};

struct kv_gap {
    bool known;
    struct kv_end low, high;
};

struct kv_gaps;

struct kv_gaps *
gaps_new(uint64_t seed);           /* of the hashes of families: clients choose keys */
void gaps_free(struct kv_gaps *g); /* NULL is fine */
void gaps_clear(struct kv_gaps *g);

/* How many bytes of the key name its family; 0: it lies in none. */
size_t gaps_family(struct bytes key);

/* The gap of the family of `prefix` in which a seek from `from` begins, or NULL: forward
 * low <= from < high, backward low < from <= high. Borrowed until the next call that may
 * change it, which all others are. */
struct kv_gap *gaps_find(struct kv_gaps *g, struct bytes prefix, struct bytes from,
                         enum kv_direction direction);

/* No key lies between these two, both copied, which are in the family of `prefix` or at its
 * ends. */
struct kv_gap_range {
    struct bytes low, high;
    enum kv_end_kind low_kind, high_kind;
};
void gaps_learn(struct kv_gaps *g, struct bytes prefix, const struct kv_gap_range *range);

/* The key is there from now on; it is there no more. */
void gaps_put(struct kv_gaps *g, struct bytes key);
void gaps_deleted(struct kv_gaps *g, struct bytes key);

/* Calls `each` for every gap. */
typedef void (*gaps_each_fn)(void *ctx, const struct kv_gap *gap);
void gaps_each(const struct kv_gaps *g, gaps_each_fn each, void *ctx);

#endif
