#include "core/watch/events.h"

#include "core/base/check.h"
#include "core/tree/op.h"
#include "core/tree/path.h"

static void parent_event(struct bytes path, event_fn each, void *ctx)
{
    each(ctx, &(struct event){ .kind = EVENT_CHILDREN, .path = path_parent(path) });
}

static void op_events(const struct op *op, event_fn each, void *ctx)
{
    switch (op->kind) {
    case OP_CREATE:
        each(ctx, &(struct event){ EVENT_CREATED, op->path, op->data });
        parent_event(op->path, each, ctx);
        break;
    case OP_SET:
        each(ctx, &(struct event){ EVENT_CHANGED, op->path, op->data });
        break;
    case OP_DELETE:
        each(ctx, &(struct event){ .kind = EVENT_DELETED, .path = op->path });
        parent_event(op->path, each, ctx);
        break;
    case OP_SESSION_OPEN:
    case OP_SESSION_CLOSE:
    case OP_SESSION_END:
    case OP_MEMBERS:
    case OP_TOUCH:
    case OP_QUOTA:
        break;
    }
}

void events_each(struct bytes ops, event_fn each, void *ctx)
{
    struct reader r = reader_of(ops);
    struct op op;

    while (reader_left(&r) > 0) {
        CHECK(op_decode(&r, &op) == 0);
        op_events(&op, each, ctx);
    }
}

const char *event_name(enum event_kind kind)
{
    switch (kind) {
    case EVENT_CREATED:
        return "created";
    case EVENT_CHANGED:
        return "changed";
    case EVENT_DELETED:
        return "deleted";
    case EVENT_CHILDREN:
        return "children";
    }
    return "unknown";
}
