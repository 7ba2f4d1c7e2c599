#include "core/server/out.h"

#include "core/base/check.h"

enum { KEEP_BYTES = 64 << 10 }; /* of an idle connection's buffers */

void out_init(struct out *o, uv_stream_t *stream, struct list *dirties)
{
    *o = (struct out){ .stream = stream, .dirties = dirties };
    list_init(&o->dirty);
    o->request.data = o;
}

void out_fini(struct out *o)
{
    CHECK(!o->busy);
    list_remove(&o->dirty);
    buf_fini(&o->pending);
    buf_fini(&o->writing);
}

struct buf *out_buf(struct out *o)
{
    if (list_empty(&o->dirty)) list_push(o->dirties, &o->dirty);
    return &o->pending;
}

size_t out_queued(const struct out *o)
{
    return o->pending.len + o->writing.len;
}

void out_drop(struct out *o)
{
    buf_clear(&o->pending);
}

static void forget(struct buf *b)
{
    if (b->cap > KEEP_BYTES) {
        buf_fini(b);
    } else {
        buf_clear(b);
    }
}

static void on_written(uv_write_t *request, int status)
{
    struct out *o = request->data;

    MAYBE(status < 0); /* then the reading side hears of it too, and the owner closes */
    o->busy = false;
    o->written += o->writing.len;
    forget(&o->writing);
    (void)out_buf(o); /* the owner's next flush goes on, and sees that there is room */
}

static int write_rest(struct out *o, size_t done)
{
    struct buf taken = o->pending;

    o->pending = o->writing;
    o->writing = taken;
    const uv_buf_t rest =
        uv_buf_init((char *)taken.ptr + done, (unsigned)(taken.len - done));
    int code = uv_write(&o->request, o->stream, &rest, 1, on_written);
    o->busy = code == 0;
    if (code != 0) forget(&o->writing);
    return code;
}

int out_flush(struct out *o)
{
    list_remove(&o->dirty);
    if (o->busy || o->pending.len == 0) return 0;
    const uv_buf_t all = uv_buf_init((char *)o->pending.ptr, (unsigned)o->pending.len);
    int done = uv_try_write(o->stream, &all, 1);
    if (done == UV_EAGAIN) done = 0;
    if (done < 0) return done;
    o->written += (size_t)done;
    if ((size_t)done < o->pending.len) return write_rest(o, (size_t)done);
    forget(&o->pending);
    return 0;
}

void out_flush_all(struct list *dirties, void (*each)(struct out *o, int code))
{
    while (!list_empty(dirties)) {
        struct out *o = LIST_FIRST(dirties, struct out, dirty);
        each(o, out_flush(o));
    }
}
