#include "core/machine/request.h"

#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/tx.h"

enum { REQUEST_VERSION = 2, REQUEST_VERSION_FIRST = 1 };

/* A request travels in one message; the message's envelope is as large in both protocols.
 */
enum { ENCODED_BYTES_MAX = RPC_BYTES_MAX };

static const unsigned create_flags = TX_EPHEMERAL | TX_SEQUENTIAL | TX_PARENTS;
static const unsigned create_as_flags = create_flags | TX_CONTAINER;

bool want_is_guard(enum want_kind kind)
{
    return kind == WANT_GUARD || kind == WANT_ALIVE;
}

/* -1, "any version", becomes 0. */
static void put_version(struct buf *out, int64_t version)
{
    buf_put_uint(out, (uint64_t)version + 1);
}

static int64_t read_version(struct reader *r)
{
    int64_t version = (int64_t)(read_uint(r) - 1);

    if (version < INT32_MIN || version > INT32_MAX) r->bad = true;
    return version;
}

static struct bytes read_path(struct reader *r)
{
    struct bytes path = read_bytes(r, ENCODED_BYTES_MAX);

    if (path.ptr == NULL) r->bad = true;
    return path;
}

void want_encode(struct buf *out, const struct want *w)
{
    buf_put_u8(out, (uint8_t)w->kind);
    if (w->kind != WANT_ALIVE) buf_put_bytes(out, w->path);
    switch (w->kind) {
    case WANT_CHECK:
    case WANT_DELETE:
        put_version(out, w->version);
        break;
    case WANT_CHECK_ABSENT:
    case WANT_GET:
    case WANT_STAT:
    case WANT_TOUCH:
        break;
    case WANT_GUARD:
    case WANT_ALIVE:
        buf_put_uint(out, w->token);
        break;
    case WANT_CREATE:
        buf_put_uint(out, w->flags);
        buf_put_bytes(out, w->data);
        break;
    case WANT_SET:
        put_version(out, w->version);
        buf_put_bytes(out, w->data);
        break;
    case WANT_CREATE_AS:
        buf_put_uint(out, w->flags);
        buf_put_uint(out, w->ttl_ms);
        buf_put_uint(out, w->linger_ms);
        buf_put_bytes(out, w->data);
        break;
    case WANT_DELETE_TREE:
        buf_put_u8(out, w->partly);
        break;
    case WANT_COPY:
        buf_put_bytes(out, w->to);
        break;
    case WANT_QUOTA:
        buf_put_uint(out, w->nodes_max);
        buf_put_uint(out, w->bytes_max);
        break;
    }
}

static void read_create(struct reader *r, struct want *w)
{
    const bool as = w->kind == WANT_CREATE_AS;
    uint64_t flags = read_uint(r);

    if ((flags & ~(uint64_t)(as ? create_as_flags : create_flags)) != 0) r->bad = true;
    w->flags = (unsigned)flags;
    if (as) w->ttl_ms = read_uint(r);
    if (as) w->linger_ms = read_uint(r);
    w->data = read_bytes(r, ENCODED_BYTES_MAX);
}

int want_next(struct reader *r, struct want *w)
{
    uint8_t kind = read_u8(r);

    *w = (struct want){ .kind = (enum want_kind)kind, .version = -1 };
    if (r->bad || kind < WANT_CHECK || kind > WANT_QUOTA) return ERR_BAD_MESSAGE;
    if (kind != WANT_ALIVE) w->path = read_path(r);
    switch (w->kind) {
    case WANT_CHECK:
    case WANT_DELETE:
        w->version = read_version(r);
        break;
    case WANT_CHECK_ABSENT:
    case WANT_GET:
    case WANT_STAT:
    case WANT_TOUCH:
        break;
    case WANT_GUARD:
    case WANT_ALIVE:
        w->token = read_uint(r);
        break;
    case WANT_CREATE:
    case WANT_CREATE_AS:
        read_create(r, w);
        break;
    case WANT_SET:
        w->version = read_version(r);
        w->data = read_bytes(r, ENCODED_BYTES_MAX);
        break;
    case WANT_DELETE_TREE:
        w->partly = read_u8(r) != 0;
        break;
    case WANT_COPY:
        w->to = read_path(r);
        break;
    case WANT_QUOTA:
        w->nodes_max = read_uint(r);
        w->bytes_max = read_uint(r);
        break;
    }
    return r->bad ? ERR_BAD_MESSAGE : 0;
}

static void put_wants(struct buf *out, const struct request *r)
{
    buf_put_uint(out, r->wants_count);
    buf_put_bytes_raw(out, r->wants);
}

static void put_member(struct buf *out, const struct member_ask *m)
{
    buf_put_u8(out, (uint8_t)m->action);
    buf_put_uint(out, m->id);
    buf_put_u8(out, (uint8_t)m->kind);
    buf_put_u64(out, m->incarnation);
    buf_put_bytes(out, m->peer);
    buf_put_bytes(out, m->client);
}

void request_encode(struct buf *out, const struct request *r)
{
    buf_put_u8(out, REQUEST_VERSION);
    buf_put_u8(out, (uint8_t)r->kind);
    buf_put_uint(out, r->session);
    buf_put_uint(out, r->seq);
    buf_put_uint(out, r->ack);
    switch (r->kind) {
    case REQUEST_WRITE:
        buf_put_u8(out, r->single);
        put_wants(out, r);
        break;
    case REQUEST_CALL:
        buf_put_bytes(out, r->recipe);
        buf_put_bytes(out, r->function);
        buf_put_bytes(out, r->args);
        buf_put_uint(out, r->timeout_ms);
        put_wants(out, r);
        break;
    case REQUEST_CANCEL:
        buf_put_uint(out, r->target_seq);
        break;
    case REQUEST_SESSION_OPEN:
        buf_put_uint(out, r->timeout_ms);
        buf_put_bytes(out, r->secret);
        break;
    case REQUEST_SESSION_CLOSE:
        break;
    case REQUEST_MEMBER:
        put_member(out, &r->member);
        break;
    }
}

/* Walks the wants, so that who resolves them later meets no bad one half way. `others`
 * counts what is no guard. */
static int read_wants(struct reader *reader, struct request *r, uint32_t *others)
{
    uint64_t count = read_uint(reader);
    const uint8_t *first = reader->at;
    struct want w;

    *others = 0;
    if (reader->bad) return ERR_BAD_MESSAGE;
    if (count > MULTI_OPS_MAX) return ERR_TOO_LARGE;
    for (uint64_t i = 0; i < count; i++) {
        int code = want_next(reader, &w);

        if (code != 0) return code;
        if (!want_is_guard(w.kind)) *others += 1;
    }
    r->wants_count = (uint32_t)count;
    r->wants = bytes_of(first, (size_t)(reader->at - first));
    return 0;
}

static int read_write(struct reader *reader, struct request *r)
{
    uint8_t single = read_u8(reader);
    uint32_t others;
    int code = read_wants(reader, r, &others);

    if (code != 0) return code;
    r->single = single == 1;
    if (single > 1 || (r->single && others != 1)) return ERR_BAD_MESSAGE;
    return 0;
}

static int read_call(struct reader *reader, struct request *r)
{
    uint32_t others;
    int code;

    r->recipe = read_bytes(reader, ENCODED_BYTES_MAX);
    r->function = read_bytes(reader, ENCODED_BYTES_MAX);
    r->args = read_bytes(reader, ENCODED_BYTES_MAX);
    r->timeout_ms = read_uint(reader);
    code = read_wants(reader, r, &others);
    if (code != 0) return code;
    if (r->recipe.len == 0 || r->function.len == 0 || r->args.len == 0 || others > 0) {
        return ERR_BAD_MESSAGE;
    }
    return 0;
}

/* Whether what is asked makes sense is roster_change()'s to say. */
static int read_member(struct reader *reader, struct member_ask *m)
{
    uint8_t action = read_u8(reader), kind;
    uint64_t id = read_uint(reader);

    kind = read_u8(reader);
    if (reader->bad || id > NODES_MAX || kind > MEMBER_LEARNER) return ERR_BAD_MESSAGE;
    if (action < MEMBER_ADD || action > MEMBER_REMOVE) return ERR_BAD_MESSAGE;
    *m = (struct member_ask){ .action = (enum member_action)action,
                              .id = (uint32_t)id,
                              .kind = (enum member_kind)kind };
    m->incarnation = read_u64(reader);
    m->peer = read_bytes(reader, MEMBER_ADDRESS_MAX);
    m->client = read_bytes(reader, MEMBER_ADDRESS_MAX);
    return reader->bad ? ERR_BAD_MESSAGE : 0;
}

static int read_body(struct reader *reader, struct request *r)
{
    switch (r->kind) {
    case REQUEST_WRITE:
        return read_write(reader, r);
    case REQUEST_CALL:
        return read_call(reader, r);
    case REQUEST_CANCEL:
        r->target_seq = read_uint(reader);
        return r->target_seq == 0 ? ERR_BAD_MESSAGE : 0;
    case REQUEST_SESSION_OPEN:
        r->timeout_ms = read_uint(reader);
        r->secret = read_bytes(reader, SESSION_SECRET_BYTES);
        return r->secret.len != SESSION_SECRET_BYTES ? ERR_BAD_MESSAGE : 0;
    case REQUEST_SESSION_CLOSE:
        return 0;
    case REQUEST_MEMBER:
        return read_member(reader, &r->member);
    }
    return ERR_BAD_MESSAGE;
}

/* Which of session, seq and ack a request of each kind must and must not have. */
static bool names_fit(const struct request *r)
{
    if (r->session == 0) {
        if (r->seq != 0 || r->ack != 0) return false;
        return r->kind != REQUEST_CANCEL && r->kind != REQUEST_SESSION_CLOSE;
    }
    switch (r->kind) {
    case REQUEST_WRITE:
    case REQUEST_CALL:
        return r->seq != 0;
    case REQUEST_CANCEL:
        return r->seq == 0;
    case REQUEST_SESSION_OPEN:
    case REQUEST_MEMBER:
        return false;
    case REQUEST_SESSION_CLOSE:
        return true;
    }
    return false;
}

bool request_is_member(struct bytes bytes)
{
    return bytes.len >= 2 && bytes.ptr[1] == REQUEST_MEMBER &&
           bytes.ptr[0] >= REQUEST_VERSION_FIRST && bytes.ptr[0] <= REQUEST_VERSION;
}

int request_decode(struct bytes bytes, struct request *r)
{
    struct reader reader = reader_of(bytes);
    uint8_t version = read_u8(&reader), kind = read_u8(&reader);
    int code;

    *r = (struct request){ .kind = (enum request_kind)kind };
    if (reader.bad) return ERR_BAD_MESSAGE;
    if (version < REQUEST_VERSION_FIRST || version > REQUEST_VERSION) {
        return ERR_OTHER_VERSION;
    }
    if (bytes.len > ENCODED_BYTES_MAX) return ERR_TOO_LARGE;
    if (kind < REQUEST_WRITE || kind > REQUEST_MEMBER) return ERR_BAD_MESSAGE;
    r->session = read_uint(&reader);
    r->seq = read_uint(&reader);
    r->ack = read_uint(&reader);
    if (reader.bad || !names_fit(r)) return ERR_BAD_MESSAGE;
    code = read_body(&reader, r);
    if (code != 0) return code;
    return reader_done(&reader) ? 0 : ERR_BAD_MESSAGE;
}
