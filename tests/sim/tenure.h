/* tenure.h -- how sessions live and end, known from what was chosen (I6).
 *
 *     T1  a session opens once, and ends once
 *     T2  an ephemeral node is made for a session that lives
 *     T3  a session's end leaves none of its ephemeral nodes
 *     T4  nobody but a client deletes an ephemeral node whose session lives
 *     T5  a session is closed by who knows its secret, else it expires; never early (A4)
 *     T6  every node that a client was told it made for its session is there, and no other
 *     T7  in the end no session lives but those of clients that do (life.c) */
#ifndef TESTS_SIM_TENURE_H
#define TESTS_SIM_TENURE_H

#include "core/base/bytes.h"
#include "tests/sim/base.h"

struct op;
struct txn;

void tenure_init(struct world *w);
void tenure_fini(struct world *w);

/* The history. */
void tenure_txn(struct world *w, const struct txn *t);
void tenure_op(struct world *w, const struct op *op);
void tenure_txn_end(struct world *w);

/* Its owner is about to close it. */
void tenure_condemn(struct world *w, uint64_t session);
uint64_t tenure_open(const struct world *w); /* sessions that live */
bool tenure_is_condemned(const struct world *w, uint64_t session);
bool tenure_lives(const struct world *w, uint64_t session);
uint64_t tenure_ephemerals(const struct world *w, uint64_t session);
/* How often the node of this path was set since it was made. */
uint64_t tenure_sets(const struct world *w, struct bytes path);

#endif
