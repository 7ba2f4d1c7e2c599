/* answers.h -- from results and nodes to MessagePack-RPC responses. Pure.
 *
 * A stat is a map with ZooKeeper's names. An error's details are nil, or a map of: zxid (of
 * the refusing transaction), index (of the op of a multi that failed; -1 when a guard did),
 * value (what a recipe refused with). */
#ifndef CORE_SERVER_ANSWERS_H
#define CORE_SERVER_ANSWERS_H

#include "core/kv/kv.h"
#include "core/machine/result.h"
#include "core/machine/roster.h"
#include "core/server/job.h"
#include "core/session/session.h"
#include "core/tree/tree.h"

/* A write's or a call's stored result; what a query came to. */
void answer_result(struct buf *out, const struct job *j, const struct result *r);

/* get, stat, children and the two renewals of sessions, on the applied state at `zxid`.
 * Returns 0 or the code that was answered. `scratch` is work space. */
int answer_read(struct buf *out, const struct job *j, struct kv_view *view, uint64_t zxid,
                struct buf *scratch);

/* For the files of answers: a stat under its name; how old a local read's state may be. */
void answer_put_stat(struct buf *out, const struct stat_view *s);
void answer_put_age(struct buf *out, const struct job *j);

/* A page of a subtree, whose top is there. */
void answer_tree(struct buf *out, const struct job *j, struct kv_view *view, uint64_t zxid,
                 struct buf *scratch);

/* All quotas, and what the whole tree adds up to. */
void answer_quotas(struct buf *out, const struct job *j, struct kv_view *view,
                   const struct tree_tally *tally, uint64_t zxid);

/* The roster in force at `zxid`, in answers_members.c; and what changed it. */
void answer_member_list(struct buf *out, const struct job *j, const struct roster *roster,
                        uint64_t zxid);
/* `roster` is the result's value; `founding` of identity.h and the cluster's name: what a server that joins wants to know. */
void answer_member(struct buf *out, const struct job *j, const struct result *r,
                   const struct roster *roster, const char *cluster, uint64_t founding);

/* An armed watch: the zxid from which on it fires, and the node's stat or nil. */
void answer_watch(struct buf *out, const struct job *j, struct kv_view *view,
                  uint64_t zxid);

struct watch_refusal { /* of one watch among many */
    uint64_t id;
    int code;
};
/* Many armed watches, but for those in `refused`: an array of struct watch_refusal. */
void answer_watch_many(struct buf *out, const struct job *j, struct bytes refused,
                       uint64_t zxid);

#endif
