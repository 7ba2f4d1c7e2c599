#include "core/machine/result.h"

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/machine/request.h"

enum { RESULT_VERSION = 2, RESULT_VERSION_FIRST = 1 };

static void put_stat(struct buf *out, const struct stat_view *s)
{
    buf_put_uint(out, s->czxid);
    buf_put_uint(out, s->mzxid);
    buf_put_uint(out, s->pzxid);
    buf_put_uint(out, (uint64_t)s->ctime);
    buf_put_uint(out, (uint64_t)s->mtime);
    buf_put_u32(out, (uint32_t)s->version);
    buf_put_u32(out, (uint32_t)s->cversion);
    buf_put_u32(out, (uint32_t)s->aversion);
    buf_put_uint(out, s->ephemeral_owner);
    buf_put_uint(out, s->data_length);
    buf_put_uint(out, s->num_children);
    buf_put_uint(out, s->ttl);
    buf_put_u8(out, (uint8_t)s->container);
}

static void read_stat(struct reader *r, struct stat_view *s, uint8_t version)
{
    s->czxid = read_uint(r);
    s->mzxid = read_uint(r);
    s->pzxid = read_uint(r);
    s->ctime = (int64_t)read_uint(r);
    s->mtime = (int64_t)read_uint(r);
    s->version = (int32_t)read_u32(r);
    s->cversion = (int32_t)read_u32(r);
    s->aversion = (int32_t)read_u32(r);
    s->ephemeral_owner = read_uint(r);
    s->data_length = read_uint(r);
    s->num_children = read_uint(r);
    if (version == RESULT_VERSION_FIRST) return;
    s->ttl = read_uint(r);
    s->container = read_u8(r);
}

void result_part_encode(struct buf *out, const struct result_part *p)
{
    buf_put_u8(out, (uint8_t)p->kind);
    buf_put_bytes(out, p->path);
    buf_put_uint(out, p->id);
    buf_put_u8(out, p->has_stat);
    if (p->has_stat) put_stat(out, &p->stat);
    if (p->kind == WANT_GET) buf_put_bytes(out, p->data);
    if (p->kind == WANT_DELETE_TREE) buf_put_u8(out, p->more);
}

struct result_parts result_parts_of(const struct result *r)
{
    return (struct result_parts){ reader_of(r->parts), r->version };
}

int result_part_next(struct result_parts *parts, struct result_part *p)
{
    struct reader *r = &parts->reader;
    uint8_t has_stat;

    *p = (struct result_part){ .kind = read_u8(r) };
    p->path = read_bytes(r, PATH_BYTES_MAX);
    p->id = read_uint(r);
    has_stat = read_u8(r);
    if (p->kind > WANT_QUOTA || has_stat > 1) r->bad = true;
    p->has_stat = has_stat == 1;
    if (p->has_stat) read_stat(r, &p->stat, parts->version);
    if (p->kind == WANT_GET) p->data = read_bytes(r, REQUEST_BYTES_MAX);
    if (p->kind == WANT_DELETE_TREE) p->more = read_u8(r) != 0;
    return r->bad ? ERR_BAD_MESSAGE : 0;
}

/* Codes are 0 or small and negative, so they stand negated. */
void result_encode(struct buf *out, const struct result *r)
{
    buf_put_u8(out, RESULT_VERSION);
    buf_put_uint(out, (uint64_t)-r->code);
    buf_put_uint(out, r->zxid);
    buf_put_bytes(out, r->message);
    buf_put_uint(out, (uint64_t)(r->index + 1));
    buf_put_uint(out, r->parts_count);
    buf_put_bytes_raw(out, r->parts);
    buf_put_bytes(out, r->value);
}

static int read_parts(struct reader *reader, struct result *r)
{
    uint64_t count = read_uint(reader);
    const uint8_t *first = reader->at;
    struct result_parts walk = { *reader, r->version };
    struct result_part p;

    if (reader->bad || count > MULTI_OPS_MAX) return ERR_BAD_MESSAGE;
    for (uint64_t i = 0; i < count; i++) {
        int code = result_part_next(&walk, &p);

        if (code != 0) return code;
    }
    *reader = walk.reader;
    r->parts_count = (uint32_t)count;
    r->parts = bytes_of(first, (size_t)(reader->at - first));
    return 0;
}

int result_decode(struct bytes bytes, struct result *r)
{
    struct reader reader = reader_of(bytes);
    uint8_t version = read_u8(&reader);
    uint64_t code_negated = read_uint(&reader), index_above;
    int code;

    *r = (struct result){ .version = version, .zxid = read_uint(&reader) };
    r->message = read_bytes(&reader, bytes.len);
    index_above = read_uint(&reader);
    if (reader.bad || version < RESULT_VERSION_FIRST || version > RESULT_VERSION) {
        return ERR_BAD_MESSAGE;
    }
    if (code_negated > INT16_MAX || index_above > MULTI_OPS_MAX) return ERR_BAD_MESSAGE;
    r->code = -(int)code_negated;
    r->index = (int64_t)index_above - 1;
    code = read_parts(&reader, r);
    if (code != 0) return code;
    r->value = read_bytes(&reader, bytes.len);
    return reader_done(&reader) ? 0 : ERR_BAD_MESSAGE;
}

/* Cuts at the start of a character, so that what is left is UTF-8 if the whole was. */
static struct bytes cut(struct bytes text)
{
    if (text.len <= RESULT_MESSAGE_BYTES_MAX) return text;
    text.len = RESULT_MESSAGE_BYTES_MAX;
    while (text.len > 0 && (text.ptr[text.len] & 0xc0) == 0x80)
        text.len--;
    return text;
}

void result_put_message(struct buf *out, int code, struct bytes detail)
{
    buf_put_bytes_raw(out, bytes_str(error_name(code)));
    if (detail.len == 0) return;
    buf_put_bytes_raw(out, BYTES_LIT(": "));
    buf_put_bytes_raw(out, cut(detail));
}
