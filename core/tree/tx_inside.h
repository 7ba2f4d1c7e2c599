/* tx_inside.h -- what tx.c (single nodes) and tx_subtree.c share. */
#ifndef CORE_TREE_TX_INSIDE_H
#define CORE_TREE_TX_INSIDE_H

#include "core/tree/tx.h"

/* What an op may take in the log beyond its path and data: kind, lengths, owner, life. */
enum { OP_HEAD_BYTES_MAX = 48 };

void tx_why(struct tx *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Room for `count` more ops that hold `bytes` of paths and data. */
int tx_check_room(struct tx *t, uint64_t count, uint64_t bytes);
int tx_check_writable(struct tx *t, struct bytes path);
int tx_check_not_root(struct tx *t, struct bytes path);
/* ERR_OVER_QUOTA when so much more at `path` is too much somewhere; tx->why says where. */
int tx_check_quotas(struct tx *t, struct bytes path, uint64_t nodes, uint64_t bytes);

#endif
