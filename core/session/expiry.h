/* expiry.h -- when sessions end: deadlines that live on the leader only.
 *
 * A new leader gives every session its full timeout, counted from its first applied slot.
 * What is due is only a proposal: a session ends when its close is applied from the log.
 * Pure: time comes in. Invariants: E1 a renewed session's deadline never moves back. E2 a
 * leader that was not run for STALL_MS gives the lost time back to all (expiry_stalled). */
#ifndef CORE_SESSION_EXPIRY_H
#define CORE_SESSION_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

struct expiry;

struct expiry *expiry_new(void);
void expiry_free(struct expiry *e);
void expiry_clear(struct expiry *e); /* leadership lost: nobody expires here */

/* Known already: it takes the new timeout and is renewed. */
void expiry_add(struct expiry *e, uint64_t id, uint64_t timeout_ms, uint64_t now_ms);
void expiry_remove(struct expiry *e, uint64_t id); /* unknown: nothing */
/* False when the session is unknown here: closed, or its close is resolved. */
bool expiry_renew(struct expiry *e, uint64_t id, uint64_t now_ms);
void expiry_stalled(struct expiry *e, uint64_t lost_ms); /* every deadline moves by it */

/* Takes out and returns the session whose deadline, now or earlier, is the first; 0 when
 * none is due. Ties in the order of ids. */
uint64_t expiry_take_due(struct expiry *e, uint64_t now_ms);
uint64_t expiry_count(const struct expiry *e);

#endif
