#include "core/server/attached.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "core/server/conn.h"

static uint64_t hash_of(uint64_t session)
{
    return hash_u64(session, 0);
}

static struct attachment *find(const struct service *s, uint64_t session)
{
    if (s->attached.sessions.count == 0) return NULL;
    struct table_link *at = table_chain(&s->attached.sessions, hash_of(session));

    for (; at != NULL; at = at->next) {
        struct attachment *a = CONTAINER_OF(at, struct attachment, link);
        if (a->session == session) return a;
    }
    return NULL;
}

static void drop(struct attachment *a)
{
    table_remove(&a->conn->service->attached.sessions, &a->link);
    list_remove(&a->by_conn);
    a->conn->sessions_count--;
    free(a);
}

static void drop_moved(struct attachment *a)
{
    struct conn *c = a->conn;

    if (!c->closing && c->parting_ms == 0) {
        struct buf *out = conn_out(c);
        rpc_notification_begin(out, "moved");
        pack_array(out, 1);
        pack_uint(out, a->session);
    }
    drop(a);
}

bool attached_has(const struct conn *c, uint64_t session)
{
    const struct attachment *a = find(c->service, session);

    return a != NULL && a->conn == c;
}

bool attached_add(struct conn *c, uint64_t session, uint64_t zxid)
{
    struct attachment *a = find(c->service, session);

    if (a != NULL && a->conn == c) {
        a->zxid = zxid;
        return true;
    }
    if (c->sessions_count == CONN_SESSIONS_MAX) return false;
    if (a != NULL) drop_moved(a);
    a = mem_alloc(sizeof *a);
    *a = (struct attachment){ .conn = c, .session = session, .zxid = zxid };
    list_init(&a->by_conn);
    list_push(&c->sessions, &a->by_conn);
    table_add(&c->service->attached.sessions, &a->link, hash_of(session));
    c->sessions_count++;
    return true;
}

void attached_drop(struct conn *c, uint64_t session)
{
    struct attachment *a = find(c->service, session);

    if (a != NULL && a->conn == c) drop(a);
}

void attached_forget(struct conn *c)
{
    while (!list_empty(&c->sessions)) {
        drop(LIST_FIRST(&c->sessions, struct attachment, by_conn));
    }
}

void attached_elsewhere(struct service *s, uint64_t session, uint64_t zxid)
{
    struct attachment *a = find(s, session);

    if (a != NULL && a->zxid <= zxid) drop_moved(a);
}
