/* sorted.h -- cells on their way into RocksDB: put in key order, and parted into files.
 *
 * Internal to core/state, and pure. The cells of one part lie in one file, and the files of
 * parts do not overlap. What parts them is where they may lie in RocksDB: a stretch of new
 * children of one parent mostly has little between its ends of what is there already, so its
 * file can go below most others and is hardly ever written again. One changed cell in it,
 * such as the parent itself, would hold all of it up. So each long enough stretch is a part
 * of its own, and so is what lies between two of them:
 *
 *     mapplied  n/a\0b  n/a/b\0 1 ... n/a/b\0 9000  r... s...
 *     [ a part        ] [ a part                  ] [ a part ]
 *
 * New results are no such stretch: they are deleted soon, and that is best met early.
 *
 * Invariant: F1 the parts together are all cells, each once, in key order. */
#ifndef CORE_STATE_SORTED_H
#define CORE_STATE_SORTED_H

#include "core/kv/kv.h"

enum {
    SORTED_PARTS_MAX = 16,    /* each costs some syncs */
    SORTED_STRETCH_MIN = 500, /* nodes; a shorter one is written again sooner or later */
};

struct sorted {
    struct kv_change *cells; /* they borrow */
    size_t count, room;
    size_t bytes; /* keys and values */
};

void sorted_fini(struct sorted *s); /* it is empty and usable again */
/* No key is added twice. */
void sorted_add(struct sorted *s, const struct kv_change *cell);
/* Orders the cells; `first[i]` is where part i begins. Returns how many parts there are. */
size_t sorted_part(struct sorted *s, size_t first[SORTED_PARTS_MAX]);

#endif
