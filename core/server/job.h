/* job.h -- one request of a client, from its arrival to its answer, and the table of all.
 *
 * A job's tag is what the replica knows it by: its place in the table and how often that
 * place was used, so that a late answer for a job that is gone finds nobody.
 *
 * Invariants: J1 a job is in exactly one list of its connection: queued (may not start
 * yet), started (the replica has it), or confirmed (a read that waits for room in the
 * output); or, a query that is put off, in the service's (query_queue.h). J2 never more
 * than PENDING_COUNT_MAX jobs, nor, one message aside, PENDING_BYTES_MAX bytes in their
 * bodies. */
#ifndef CORE_SERVER_JOB_H
#define CORE_SERVER_JOB_H

#include "core/base/limits.h"
#include "core/base/list.h"
#include "core/rpc/rpc.h"

enum job_class {
    JOB_LOCAL = 1, /* a read at consistency "any": this server's state, at once */
    JOB_READ,      /* strong: the replica confirms it; or of a level that may spare that */
    JOB_LOCAL_LEVEL, /* was a READ, and what is here is new enough for its level */
    JOB_WRITE,
    JOB_CALL, /* a write that may wait for others, so nothing waits for it */
};

/* What lets a READ be answered without asking for it to be confirmed. */
enum job_level { JOB_LEVEL_STRONG = 0, JOB_LEVEL_SESSION, JOB_LEVEL_BOUNDED };

struct conn;

struct job {
    uint64_t tag;
    struct conn *conn;
    struct list member;
    enum job_class class;
    enum job_level level; /* READ */
    enum method method;
    uint32_t msgid;
    uint64_t session;    /* must be attached on the connection; 0 = none */
    uint64_t at_least;   /* SESSION: this zxid must be applied */
    uint64_t lag_ms_max; /* BOUNDED: the state must be no older */
    uint64_t age_ms;     /* LOCAL: how long the server has been without a leader */
    uint64_t renew;      /* READ: the session that it renews; 0 = none */
    uint32_t guards;     /* how many wants before the request's own are its guards */
    uint64_t timeout_ms; /* SESSION_OPEN */
    uint8_t secret[SESSION_SECRET_BYTES]; /* SESSION_OPEN, SESSION_ATTACH */
    size_t held;     /* of the body, here or at the replica, as jobs.bytes counts it */
    struct buf body; /* WRITE, CALL: request.h; reads: requests_*.c */
};

struct jobs {
    struct job **chunks;
    uint32_t places; /* in all chunks */
    uint32_t count;
    size_t bytes; /* in bodies, here and at the replica */
    struct list spare;
};

void jobs_init(struct jobs *t);
void jobs_fini(struct jobs *t); /* every job was ended */

/* NULL: the table is full. The body is empty, the member unlinked. */
struct job *job_new(struct jobs *t, struct conn *conn);
void job_free(struct jobs *t, struct job *j);
void job_keep_body(struct jobs *t, struct job *j); /* counts it; once */
void job_drop_body(struct job *j); /* it lies at the replica now, and counts on */
struct job *job_find(struct jobs *t, uint64_t tag); /* NULL: gone */

#endif
