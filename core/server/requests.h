/* requests.h -- from a checked message's values to a job: what the replica is asked.
 *
 * Refuses only what makes no sense whatever the state is (options that do not fit each
 * other, an op without a path). All else, malformed paths included, is refused by the
 * leader, so that the refusal is stored under the session's seq like any other answer: a
 * seq that never reached the leader would leave a gap that holds up all after it.
 * Pure but for the secret of a new session, which the operating system draws. */
#ifndef CORE_SERVER_REQUESTS_H
#define CORE_SERVER_REQUESTS_H

#include "core/machine/query.h"
#include "core/server/job.h"

struct requests { /* work space */
    struct buf wants, args;
};

/* Ties the positions used in requests*.c to the method table (CHECK); once, at start. */
void requests_init(struct requests *q);
void requests_fini(struct requests *q);

/* Fills class, session, body, ... of `j`, whose method is set and goes through the replica
 * or reads its state. ERR_BAD_PARAMS, ERR_BAD_OPTION, ERR_TOO_LARGE with values->why. */
int request_read(struct requests *q, struct rpc_values *values, struct job *j);

/* The same for the methods that change the members, in requests_members.c. */
void requests_check_members(void);
int requests_member(struct rpc_values *values, struct job *j);

/* The arguments of a read, out of its job's body; borrowed. */
struct read_args {
    struct bytes path, after;
    uint64_t limit;
    uint64_t depth; /* TREE */
    bool data;
};
struct read_args read_args_of(const struct job *j);

/* The function of a QUERY and its arguments; borrowed. */
struct query query_of(const struct job *j);

/* The watches of a WATCH or WATCH_MANY, one after the other; borrowed. */
struct watch_args {
    struct bytes path;
    uint64_t id, since;
    bool data, children, recursive, once, value, snapshot;
    bool resumes; /* `since` was given */
};
struct watch_list {
    struct reader r;
    uint64_t since;
};
struct watch_list watch_list_of(const struct job *j);
bool watch_list_next(struct watch_list *list, struct watch_args *args); /* false: the end */
uint64_t unwatch_id_of(const struct job *j);

#endif
