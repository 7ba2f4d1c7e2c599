/* receive.h -- one message: who may say it, and what it moves.  Of the parent. */
#ifndef CORE_PAXOS_RECEIVE_H
#define CORE_PAXOS_RECEIVE_H

#include "core/paxos/inside.h"

void paxos_receive(struct paxos *p, const struct paxos_message *m, bool strange,
                   struct paxos_output *out);

#endif
