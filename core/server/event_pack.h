/* event_pack.h -- the events of one transaction as bytes of the wire, packed once for all
 * connections and watches that hear of them. */
#ifndef CORE_SERVER_EVENT_PACK_H
#define CORE_SERVER_EVENT_PACK_H

#include "core/watch/watch.h"

struct event_pack {
    uint64_t zxid;      /* of the transaction; 0 = none yet */
    struct buf bytes;   /* what is packed */
    struct buf places;  /* of each event: without and with its data */
};

void event_pack_fini(struct event_pack *p);

/* The firings of one connection, as the params' list of events: [[watch, kind, path, data]]
 * with an array of watches where several hear of the same. */
void event_pack_put(struct event_pack *p, struct buf *out, uint64_t zxid,
                    const struct changes *changes, const struct watch_firing *f,
                    size_t count);
/* How many bytes that will be at most. */
size_t event_pack_size(struct event_pack *p, uint64_t zxid, const struct changes *changes,
                       const struct watch_firing *f, size_t count);

#endif
