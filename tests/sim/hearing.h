/* hearing.h -- what watches must tell, known from what was chosen (I5).
 *
 *     H1  a watch tells of every transaction that concerns it, from the zxid on at which it
 *         was armed: in order, none left out, none twice; LAGGED alone may jump
 *     H2  it tells of nothing that did not happen, nor before it was chosen
 *     H3  no answer on a connection names a zxid whose events an armed watch has not told
 *     H4  it tells what happened: the kind, the path, the data
 *
 * Which transactions concern a watch is judged here from the ops, in a few lines of its own. */
#ifndef TESTS_SIM_HEARING_H
#define TESTS_SIM_HEARING_H

#include "core/base/bytes.h"
#include "tests/sim/base.h"

enum hearing_kind { /* bits, so that those of one transaction are a set */
    HEARING_CREATED = 1,
    HEARING_CHANGED = 2,
    HEARING_DELETED = 4,
    HEARING_CHILDREN = 8,
};

void hearing_init(struct world *w);
void hearing_fini(struct world *w);

/* The history, in the order of zxids; a transaction's ops in theirs. */
void hearing_txn(struct world *w, uint64_t zxid);
void hearing_op(struct world *w, enum hearing_kind kind, struct bytes path,
                struct bytes data);

struct heard { /* by one watch */
    struct world *world;
    uint32_t guest; /* for people */
    struct bytes path;
    uint64_t path_hash;
    bool data, children, value;
    bool armed;     /* it has been, once */
    uint64_t at;    /* everything up to here was told */
    uint64_t sure;  /* >= at: and nothing concerns it from there up to here */
    unsigned told;  /* of transaction `at`: the kinds; 0 = it was armed there */
};

void heard_armed(struct heard *h, uint64_t zxid); /* or LAGGED */
void heard_event(struct heard *h, enum hearing_kind kind, uint64_t zxid, struct bytes path,
                 struct bytes data);
/* An answer named this zxid, on a connection where the watch is armed. */
void heard_shown(struct heard *h, uint64_t zxid);
bool heard_all(struct heard *h); /* nothing is left to be told */

#endif
