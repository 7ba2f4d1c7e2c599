/* path.h -- what a path is.
 *
 * "/" is the root; any other path is "/" and parts joined by "/", without an empty part,
 * "." or "..", without a trailing "/", at most PATH_BYTES_MAX bytes, valid UTF-8 without the
 * characters that ZooKeeper forbids (U+0000-001F, 007F-009F, D800-F8FF, FFF0-FFFF), so that a
 * ZooKeeper-compatible port can be added. Pure. */
#ifndef CORE_TREE_PATH_H
#define CORE_TREE_PATH_H

#include "core/base/bytes.h"

/* 0, ERR_BAD_PATH, or ERR_TOO_LARGE. */
int path_check(struct bytes path);

/* "/a/b" -> "/a" and "b"; "/a" -> "/" and "a". Not for the root. Borrowed from `path`. */
struct bytes path_parent(struct bytes path);
struct bytes path_name(struct bytes path);
bool path_is_root(struct bytes path);

/* True when `path` is `top` or lies below it. */
bool path_is_within(struct bytes path, struct bytes top);

/* The paths below /tidelock are the server's own: recipes and later configuration. */
bool path_is_reserved(struct bytes path);

/* parent + "/" + name into `out` (cleared first), without doubling the root's slash. */
void path_join(struct buf *out, struct bytes parent, struct bytes name);

#endif
