#include "core/server/event_pack.h"

#include "core/rpc/rpc.h"

enum { KEEP_BYTES = 1 << 20 }; /* of a large transaction, until the next one */

struct place {
    size_t at, len; /* len 0: not packed yet */
};

void event_pack_fini(struct event_pack *p)
{
    buf_fini(&p->bytes);
    buf_fini(&p->places);
}

static bool carries_data(const struct event *e, bool value)
{
    return value && (e->kind == EVENT_CREATED || e->kind == EVENT_CHANGED);
}

static struct place *place_of(struct event_pack *p, const struct watch_firing *f)
{
    return (struct place *)(void *)p->places.ptr + 2 * (size_t)f->event + f->value;
}

static void begin(struct event_pack *p, uint64_t zxid, const struct changes *changes)
{
    const size_t size = 2 * changes_count(changes) * sizeof(struct place);

    if (p->zxid == zxid) return;
    if (p->bytes.cap > KEEP_BYTES) buf_fini(&p->bytes);
    if (p->places.cap > KEEP_BYTES) buf_fini(&p->places);
    buf_clear(&p->bytes);
    buf_clear(&p->places);
    buf_reserve(&p->places, size);
    p->places.len = size;
    memset(p->places.ptr, 0, size);
    p->zxid = zxid;
}

/* An event behind its watches: kind, path and, if it is carried, the data. */
static struct bytes tail_of(struct event_pack *p, const struct changes *changes,
                            const struct watch_firing *f)
{
    const struct event *e = changes_at(changes, f->event);
    struct place *place = place_of(p, f);

    if (place->len == 0) {
        place->at = p->bytes.len;
        pack_cstr(&p->bytes, event_name(e->kind));
        pack_str(&p->bytes, e->path);
        if (carries_data(e, f->value)) pack_bin(&p->bytes, e->data);
        place->len = p->bytes.len - place->at;
    }
    return bytes_of(p->bytes.ptr + place->at, place->len);
}

/* How many firings from `f` on tell of the same in the same way. */
static size_t alike(const struct watch_firing *f, size_t count)
{
    size_t n = 1;

    while (n < count && f[n].event == f->event && f[n].value == f->value)
        n++;
    return n;
}

static void put_event(struct event_pack *p, struct buf *out, const struct changes *changes,
                      const struct watch_firing *f, size_t watches)
{
    const struct event *e = changes_at(changes, f->event);

    pack_array(out, 3u + carries_data(e, f->value));
    if (watches > 1) pack_array(out, (uint32_t)watches);
    for (size_t i = 0; i < watches; i++)
        pack_uint(out, f[i].id);
    buf_put_bytes_raw(out, tail_of(p, changes, f));
}

void event_pack_put(struct event_pack *p, struct buf *out, uint64_t zxid,
                    const struct changes *changes, const struct watch_firing *f,
                    size_t count)
{
    uint32_t events = 0;

    begin(p, zxid, changes);
    for (size_t i = 0; i < count; i += alike(f + i, count - i))
        events++;
    pack_array(out, events);
    for (size_t i = 0, n; i < count; i += n) {
        n = alike(f + i, count - i);
        put_event(p, out, changes, f + i, n);
    }
}

size_t event_pack_size(struct event_pack *p, uint64_t zxid, const struct changes *changes,
                       const struct watch_firing *f, size_t count)
{
    size_t size = 5;

    begin(p, zxid, changes);
    for (size_t i = 0, n; i < count; i += n) {
        n = alike(f + i, count - i);
        size += 6 + 9 * n + tail_of(p, changes, f + i).len;
    }
    return size;
}
