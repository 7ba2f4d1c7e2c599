#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/base/errors.h"
#include "core/log/log.h"
#include "core/log/walk.h"

struct dump {
    void (*line)(void *ctx, const char *text);
    void *ctx;
};

static void __attribute__((format(printf, 2, 3)))
print(const struct dump *d, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->line(d->ctx, text);
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

static void dump_retired(void *ctx, uint64_t generation)
{
    print(ctx, "segment=%016" PRIx64 " retired", generation);
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
    }
    return "unknown";
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
    return NULL;
}

int log_dump(const char *dir, void (*line)(void *ctx, const char *text), void *ctx,
             char *why, size_t why_size)
{
    struct dump d = { .line = line, .ctx = ctx };
    struct log_visitor visitor = { .segment = dump_segment,
                                   .record = dump_record,
                                   .retired = dump_retired,
                                   .ctx = &d };
    struct log_files files;
    struct log_walked end;

    int err = log_files_open(&files, dir, false);
    if (err != 0) {
        return log_why(why, why_size, err, "%s: cannot be opened: %s", dir,
                       strerror(errno));
    }
    err = log_walk(&files, &visitor, &end, why, why_size);
    if (err == 0 && end.torn_bytes > 0) {
        print(&d, "torn=%" PRIu64 " at=%" PRIu64, end.torn_bytes, end.at);
    }
    log_files_close(&files);
    return err;
}
