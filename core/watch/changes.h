/* changes.h -- what one transaction adds up to for those who watch: its events, in order,
 * without what only repeats.
 *
 * A transaction may touch a path several times. A CHANGED of what was CREATED or CHANGED in
 * it before only replaces that event's data; CHILDREN of a path stands once, where it came
 * first. Pure; one object is used again and again and keeps its memory. */
#ifndef CORE_WATCH_CHANGES_H
#define CORE_WATCH_CHANGES_H

#include "core/watch/events.h"

struct changes {
    struct buf events; /* struct event each */
    struct buf places; /* u32 each, by the hash of a path: its event's index + 1 */
    uint64_t seed;     /* clients choose paths */
};

void changes_init(struct changes *c, uint64_t seed);
void changes_fini(struct changes *c);

/* The events of `ops`, from which they borrow; those of before are forgotten. */
void changes_gather(struct changes *c, struct bytes ops);

/* The same by hand: forgets all; adds an event, unless it only repeats. */
void changes_clear(struct changes *c);
void changes_add(struct changes *c, const struct event *e);

static inline size_t changes_count(const struct changes *c)
{
    return c->events.len / sizeof(struct event);
}

static inline struct event *changes_at(const struct changes *c, size_t i)
{
    return (struct event *) (void *) c->events.ptr + i;
}

#endif
