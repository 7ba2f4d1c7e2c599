/* The replica's effects. */
#include <stdlib.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/log.h"
#include "core/server/driver_inside.h"

static void io_send(void *ctx, nodes_set to, uint64_t after, struct bytes frame)
{
    struct driver *d = ctx;

    peers_send(d->peers, to, after, frame);
}

static enum log_record_kind record_kind(enum paxos_write_kind kind)
{
    switch (kind) {
    case PAXOS_WRITE_PROMISE:
        return LOG_PROMISE;
    case PAXOS_WRITE_VOTE:
        return LOG_VOTE;
    case PAXOS_WRITE_CHOSEN:
        return LOG_CHOSEN;
    case PAXOS_WRITE_INSTALLED:
        return LOG_INSTALLED;
    }
    CHECK(false);
}

static void io_write(void *ctx, const struct paxos_write *w)
{
    struct driver *d = ctx;
    const struct log_record record = { .kind = record_kind(w->kind),
                                       .promised = w->promised,
                                       .chosen = w->chosen,
                                       .vote = w->vote };

    CHECK(log_append(d->log, &record) == w->seq);
    d->appended = true;
}

static int io_read_log(void *ctx, uint64_t slot, struct proposal *p)
{
    struct driver *d = ctx;

    return log_read(d->log, slot, p);
}

static void io_txn(void *ctx, const struct txn *t, uint64_t zxid)
{
    struct driver *d = ctx;

    d->config.clients.txn(d->config.clients.ctx, t, zxid);
}

static void io_answer(void *ctx, uint64_t tag, int code, struct bytes result)
{
    struct driver *d = ctx;

    d->config.clients.answer(d->config.clients.ctx, tag, code, result);
}

static void io_ready(void *ctx, uint64_t tag, int code)
{
    struct driver *d = ctx;

    d->config.clients.ready(d->config.clients.ctx, tag, code);
}

static void io_role(void *ctx)
{
    struct driver *d = ctx;

    d->role_changed = true;
}

static void io_applied(void *ctx, uint64_t slot, const struct proposal *p, bool counted)
{
    struct driver *d = ctx;

    (void)p;
    (void)counted; /* the transactions were told of one by one */
    d->config.clients.applied(d->config.clients.ctx, slot);
}

/* Connections are made and left at the end of the turn: not within the replica. */
static void io_members(void *ctx)
{
    struct driver *d = ctx;

    d->members_changed = true;
}

static void io_removed(void *ctx)
{
    struct driver *d = ctx;

    d->removed = true;
}

static void io_recalled(void *ctx, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    struct driver *d = ctx;

    d->config.clients.recalled(d->config.clients.ctx, slot, zxid_first, zxid_last);
}

static void io_attached(void *ctx, uint64_t session, uint64_t zxid)
{
    struct driver *d = ctx;

    d->config.clients.attached(d->config.clients.ctx, session, zxid);
}

/* At once and without any tidying: what this process believes must not reach the disk. */
static void io_stop(void *ctx, uint64_t slot, const char *why)
{
    (void)ctx;
    log_line(LOG_ERROR, "server", "msg=\"stopped\" slot=%llu why=\"%s\"",
             (unsigned long long)slot, why);
    _exit(EXIT_FAILURE);
}

struct replica_io driver_io(struct driver *d)
{
    return (struct replica_io){ .ctx = d,
                                .send = io_send,
                                .write = io_write,
                                .read_log = io_read_log,
                                .txn = io_txn,
                                .answer = io_answer,
                                .ready = io_ready,
                                .role = io_role,
                                .applied = io_applied,
                                .recalled = io_recalled,
                                .attached = io_attached,
                                .members = io_members,
                                .removed = io_removed,
                                .stop = io_stop };
}
