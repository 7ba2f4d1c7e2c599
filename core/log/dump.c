#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/errors.h"
#include "core/log/log.h"
#include "core/log/walk.h"

struct dump {
    const struct log_printer *to;
};

static void __attribute__((format(printf, 2, 3)))
print(const struct dump *d, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->to->line(d->to->ctx, text);
}

/* What belongs to the record above it is set in. */
static void print_inner(void *ctx, const char *text)
{
    print(ctx, "    %s", text);
}

static int dump_segment(void *ctx, const struct log_segment_header *h, uint64_t bytes)
{
    print(ctx,
          "segment=%016" PRIx64 " bytes=%" PRIu64 " cluster=%016" PRIx64 " node=%u "
          "group_first=%" PRIu64 " promised=%" PRIu64 ".%u chosen=%" PRIu64
          " boot=%" PRIu64,
          h->generation, bytes, h->cluster, h->node, h->group_first, h->base.promised.round,
          h->base.promised.node, h->base.chosen, h->base.boot);
    return 0;
}

static void dump_damage(void *ctx, const char *text)
{
    print(ctx, "damage: %s", text);
}

static const char *kind_name(enum log_record_kind kind)
{
    switch (kind) {
    case LOG_PROMISE:
        return "promise";
    case LOG_VOTE:
        return "vote";
    case LOG_CHOSEN:
        return "chosen";
    case LOG_START:
        return "start";
    case LOG_MARK:
        return "mark";
    case LOG_INSTALLED:
        return "installed";
    }
    return "unknown";
}

static void put_set(char *out, size_t size, nodes_set set)
{
    size_t len = 0;

    out[0] = '\0';
    for (uint32_t id = 1; id <= NODES_MAX && len < size; id++) {
        if ((set & node_bit(id)) == 0) continue;
        len += (size_t) snprintf(out + len, size - len, "%s%u", len > 0 ? "," : "", id);
    }
}

/* The configuration from the next slot on, when the batch counts. */
static void dump_members(struct dump *d, const struct members *m)
{
    char voters[128], learners[128];

    if (m->number == 0) return;
    put_set(voters, sizeof voters, m->voters);
    put_set(learners, sizeof learners, m->learners);
    print(d, "    members number=%u voters=%s learners=%s", m->number, voters, learners);
}

static void dump_batch(struct dump *d, struct bytes batch)
{
    if (d->to->batch == NULL || batch.ptr == NULL) return;
    d->to->batch(batch, print_inner, d);
}

static const char *dump_record(void *ctx, const struct log_scan *scan,
                               const struct log_record *r, struct bytes batch)
{
    const struct vote *v = &r->vote;
    char start[128];

    snprintf(start, sizeof start, "segment=%016" PRIx64 " group=%" PRIu64 " kind=%s",
             scan->header.generation, scan->number, kind_name(r->kind));
    switch (r->kind) {
    case LOG_MARK:
        print(ctx, "%s", start);
        break;
    case LOG_START:
        print(ctx, "%s boot=%" PRIu64, start, r->boot);
        break;
    case LOG_PROMISE:
    case LOG_INSTALLED:
        print(ctx, "%s promised=%" PRIu64 ".%u chosen=%" PRIu64, start, r->promised.round,
              r->promised.node, r->chosen);
        break;
    case LOG_VOTE:
    case LOG_CHOSEN:
        print(ctx,
              "%s slot=%" PRIu64 " ballot=%" PRIu64 ".%u reign=%" PRIu64 ".%u@%" PRIu64
              " promised=%" PRIu64 ".%u chosen=%" PRIu64 " bytes=%zu",
              start, v->slot, v->ballot.round, v->ballot.node, v->proposal.reign.round,
              v->proposal.reign.node, v->proposal.reign_first, r->promised.round,
              r->promised.node, r->chosen, batch.len);
        break;
    }
    dump_members(ctx, &v->proposal.members);
    dump_batch(ctx, batch);
    return NULL;
}

static int judge(const struct dump *d, const struct log_walked *end, char *why,
                 size_t why_size)
{
    const struct log_damage *damage = &end->damage;

    if (end->torn_bytes > 0) {
        print(d, "torn=%" PRIu64 " at=%" PRIu64, end->torn_bytes, end->at);
    }
    if (damage->places == 0) return 0;
    if (!damage->proven) {
        return log_why(why, why_size, ERR_DAMAGED,
                       "%s; a promise or a vote may be lost: no server may vote with this "
                       "log (damaged places: %u)",
                       damage->last, damage->places);
    }
    return log_why(why, why_size, ERR_DAMAGED,
                   "%s; harmless for a server whose state holds slot %" PRIu64
                   ", else no server may vote with this log (damaged places: %u)",
                   damage->last, damage->slot_max, damage->places);
}

int log_dump(const char *dir, const struct log_printer *to, char *why, size_t why_size)
{
    struct dump d = { .to = to };
    struct log_visitor visitor = {
        .segment = dump_segment, .record = dump_record, .damage = dump_damage, .ctx = &d
    };
    struct log_files files;
    struct log_walked end;

    int err = log_files_open(&files, dir, false);
    if (err != 0) {
        return log_why(why, why_size, err, "%s: cannot be opened: %s", dir,
                       strerror(errno));
    }
    err = log_walk(&files, &visitor, &end, why, why_size);
    if (err == 0) err = judge(&d, &end, why, why_size);
    log_files_close(&files);
    return err;
}
