/* blob.h -- bytes that several owners share by count: a batch on its way through Paxos,
 * the log, the peers and the machine is written once and never copied.
 *
 * A blob is immutable once it is shared.  Counts are atomic, because the log thread drops
 * its reference after the write. */
#ifndef CORE_BASE_BLOB_H
#define CORE_BASE_BLOB_H

#include <stdatomic.h>
#include <stdint.h>

#include "core/base/bytes.h"

struct blob {
    atomic_uint refs;
    uint32_t len;
    uint8_t data[];
};

struct blob *blob_new(struct bytes content); /* copies; one reference, the caller's */
struct blob *blob_ref(struct blob *b);       /* NULL stays NULL */
void blob_unref(struct blob *b);             /* NULL is fine; frees at the last one */

/* Borrowed while a reference is held; NULL gives null bytes. */
struct bytes blob_bytes(const struct blob *b);

#endif
