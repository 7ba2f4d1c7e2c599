/* requests_inside.h -- what the files behind requests.h share; nobody else includes it.
 *
 *     requests.c         which method goes where; sessions
 *     requests_writes.c  what is common to all writes, and those with one op
 *     requests_multi.c   the ops of a multi
 *     requests_calls.c   recipes' functions: calls, cancels, queries
 *     requests_reads.c   reads
 *     requests_watches.c watches
 *
 * Each file names the positions of its methods' values in the rows of methods.h, and
 * compares them in its requests_check_...(). */
#ifndef CORE_SERVER_REQUESTS_INSIDE_H
#define CORE_SERVER_REQUESTS_INSIDE_H

#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/server/requests.h"

/* requests.c */
void requests_check(enum method method, const char *name, unsigned position);
int requests_refuse(struct rpc_values *v, int code, const char *text); /* returns `code` */

/* requests_writes.c. `options` is the position of the first of the options of every write.
 */
void requests_check_writes(void);
void requests_check_write(enum method method, unsigned options);
int write_begin(struct requests *q, struct rpc_values *v, unsigned options,
                struct request *r, struct job *j);
void write_put_want(struct requests *q, struct request *r, const struct want *w);
/* A create, from the options that were given; the kind is the one that needs no more. */
struct create_options {
    bool ephemeral, sequential, parents, container;
    uint64_t ttl_ms, linger_ms;
};
void write_create_want(struct want *w, const struct create_options *o);
int write_end(struct requests *q, struct rpc_values *v, struct request *r, struct job *j);
int requests_create(struct requests *q, struct rpc_values *v, struct job *j);
int requests_set(struct requests *q, struct rpc_values *v, struct job *j);
int requests_delete(struct requests *q, struct rpc_values *v, struct job *j);
int requests_touch(struct requests *q, struct rpc_values *v, struct job *j);
int requests_delete_tree(struct requests *q, struct rpc_values *v, struct job *j);
int requests_copy(struct requests *q, struct rpc_values *v, struct job *j);
int requests_quota_set(struct requests *q, struct rpc_values *v, struct job *j);

/* requests_multi.c */
void requests_check_multi(void);
int requests_multi(struct requests *q, struct rpc_values *v, struct job *j);

/* requests_calls.c */
void requests_check_calls(void);
int requests_call(struct requests *q, struct rpc_values *v, struct job *j);
int requests_cancel(struct requests *q, struct rpc_values *v, struct job *j);
int requests_query(struct requests *q, struct rpc_values *v, struct job *j);

/* requests_reads.c */
void requests_check_reads(void);
void requests_check_read(enum method method, unsigned options);
int requests_level(struct rpc_values *v, unsigned options, struct job *j);
int requests_consistency(struct rpc_values *v, const struct rpc_value *level,
                         struct job *j);
int requests_read(struct rpc_values *v, struct job *j);

/* requests_watches.c */
void requests_check_watches(void);
int requests_watch(struct rpc_values *v, struct job *j);
int requests_watch_many(struct rpc_values *v, struct job *j);
int requests_unwatch(struct rpc_values *v, struct job *j);

#endif
