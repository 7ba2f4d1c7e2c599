/* output.h -- how the parts of paxos add to the output of the running step. */
#ifndef CORE_PAXOS_OUTPUT_H
#define CORE_PAXOS_OUTPUT_H

#include "core/paxos/paxos.h"

/* Empties `out`.  Only the counts and the single values: the arrays behind them are large
 * and nobody reads past the counts. */
void output_begin(struct paxos_output *out);

void output_write(struct paxos_output *out, const struct paxos_write *w);

/* Sends a copy of `m` to each of `to` when the write `after` is on disk; an empty `to`
 * sends nothing. */
void output_send(struct paxos_output *out, nodes_set to, uint64_t after,
                 const struct paxos_message *m);

void output_chosen(struct paxos_output *out, uint64_t slot, const struct proposal *p);

#endif
