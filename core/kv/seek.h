/* seek.h -- inside of an overlay: the next key of its view. For core/kv/ only.
 *
 * The own changes are merged with what is below. An overlay that remembers asks its gaps
 * first, and tells them what it found (gaps.h). */
#ifndef CORE_KV_SEEK_H
#define CORE_KV_SEEK_H

#include "core/kv/kv.h"

/* The `seek` of an overlay's view. */
bool overlay_seek(struct kv_view *v, struct bytes prefix, struct bytes from,
                  enum kv_direction direction, struct buf *key);

/* Brings what is loose into key order. */
void overlay_order(struct kv_overlay *o);

/* The key comes to be there, or goes; what was found is not to be relied on any more. */
void seek_note(struct kv_overlay *o, struct bytes key, bool there);
void seek_forget(struct kv_overlay *o);

/* G1 and G2 of gaps.h. */
void seek_check(struct kv_overlay *o);

#endif
