/* memo.h -- what seeks in RocksDB found, until it changes.
 *
 * A queue asks for its first element again and again, and RocksDB then walks over the marks
 * of all that was deleted before it, thousands of them at times. Between two writes the
 * answer is the same: what a seek finds depends on its arguments and on RocksDB alone, since
 * whatever is newer stands in the overlays above.
 *
 * Invariant O1: an answer is the one that a seek at the moment of the last clear, or later,
 * gave. Direct-mapped: a question takes the place of another with the same hash. */
#ifndef CORE_STATE_MEMO_H
#define CORE_STATE_MEMO_H

#include "core/kv/kv.h"

enum { MEMO_COUNT = 512 };

struct memo {
    struct memo_answer {
        uint64_t generation; /* not the memo's: it is over */
        enum kv_direction direction;
        size_t prefix_len;
        struct buf from;
        bool found;
        struct buf key;
    } *answers; /* MEMO_COUNT of them */
    uint64_t generation;
};

struct memo_question {
    struct bytes prefix, from;
    enum kv_direction direction;
};

void memo_init(struct memo *m);
void memo_fini(struct memo *m);
void memo_clear(struct memo *m);

/* Where the answer to this question stands, or is to be kept by memo_keep(). */
struct memo_answer *memo_place(const struct memo *m, const struct memo_question *q);
bool memo_knows(const struct memo *m, const struct memo_answer *a,
                const struct memo_question *q);
void memo_keep(const struct memo *m, struct memo_answer *a, const struct memo_question *q,
               bool found, struct bytes key);

#endif
