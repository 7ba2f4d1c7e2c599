#include "tests/sim/tenure.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"
#include "tests/sim/guests.h"
#include "tests/sim/sim.h"

enum { SESSIONS_MAX = 1 << 12, NODES_KNOWN_MAX = 1 << 14, DELETED_MAX = 256 };

struct known_session { /* open addressing by id */
    uint64_t id;
    bool ended, condemned;
    uint64_t ephemerals;
};

struct known_node { /* open addressing by the path's hash; it stays when deleted */
    uint64_t path, owner, sets;
};

struct tenure {
    struct known_session sessions[SESSIONS_MAX];
    struct known_node nodes[NODES_KNOWN_MAX];
    uint64_t open;
    uint64_t asker, origin; /* of the transaction at hand */
    uint64_t bereft[DELETED_MAX]; /* owners of ephemeral nodes that it deletes */
    uint32_t bereft_count;
};

void tenure_init(struct world *w)
{
    w->tenure = mem_zalloc(sizeof *w->tenure);
}

void tenure_fini(struct world *w)
{
    free(w->tenure);
}

static struct known_session *session_at(struct tenure *t, uint64_t id)
{
    for (uint64_t i = 0; i < SESSIONS_MAX; i++) {
        struct known_session *s = &t->sessions[(id + i) % SESSIONS_MAX];

        if (s->id == id || s->id == 0) return s;
    }
    CHECK(false);
}

static struct known_node *node_at(struct tenure *t, struct bytes path)
{
    uint64_t hash = hash_bytes(path, 13) | 1;

    for (uint64_t i = 0; i < NODES_KNOWN_MAX; i++) {
        struct known_node *n = &t->nodes[(hash + i) % NODES_KNOWN_MAX];

        if (n->path == 0) n->path = hash;
        if (n->path == hash) return n;
    }
    CHECK(false);
}

void tenure_txn(struct world *w, const struct txn *t)
{
    w->tenure->asker = t->session;
    w->tenure->origin = t->origin;
    w->tenure->bereft_count = 0;
}

static void created(struct world *w, const struct op *op)
{
    struct known_node *n = node_at(w->tenure, op->path);
    struct known_session *s;

    n->sets = 0;
    n->owner = op->owner;
    if (op->owner == 0) return;
    s = session_at(w->tenure, op->owner);
    if (s->id == 0 || s->ended) { /* T2 */
        broken(w, "%.*s is made for session %" PRIu64 ", which does not live",
               (int)op->path.len, (const char *)op->path.ptr, op->owner);
    }
    s->ephemerals++;
}

static void deleted(struct world *w, const struct op *op)
{
    struct tenure *t = w->tenure;
    struct known_node *n = node_at(t, op->path);

    if (n->owner == 0) return;
    session_at(t, n->owner)->ephemerals--;
    if (t->bereft_count < DELETED_MAX) t->bereft[t->bereft_count++] = n->owner;
    n->owner = 0;
}

static void opened(struct world *w, uint64_t id)
{
    struct known_session *s = session_at(w->tenure, id);

    if (s->id != 0) broken(w, "session %" PRIu64 " opens twice", id); /* T1 */
    s->id = id;
    w->tenure->open++;
}

static void closed(struct world *w, uint64_t id)
{
    struct tenure *t = w->tenure;
    struct known_session *s = session_at(t, id);

    if (s->id == 0 || s->ended) broken(w, "session %" PRIu64 " ends twice", id);
    if (s->ephemerals != 0) { /* T3 */
        broken(w, "session %" PRIu64 " ends and leaves %" PRIu64 " ephemeral nodes", id,
               s->ephemerals);
    }
    if (t->origin != 0 && !s->condemned) { /* T5 */
        broken(w, "session %" PRIu64 " is closed by somebody else", id);
    }
    s->ended = true;
    t->open--;
    if (t->origin == 0) guests_expired(w, id);
}

void tenure_op(struct world *w, const struct op *op)
{
    switch (op->kind) {
    case OP_CREATE:
        created(w, op);
        break;
    case OP_SET:
        node_at(w->tenure, op->path)->sets++;
        break;
    case OP_DELETE:
        deleted(w, op);
        break;
    case OP_SESSION_OPEN:
        opened(w, op->owner);
        break;
    case OP_SESSION_CLOSE:
        closed(w, op->owner);
        break;
    case OP_SESSION_END: /* of one that owns more than a batch holds: none here does */
    case OP_TOUCH:
    case OP_QUOTA:
    case OP_MEMBERS:
        break;
    }
}

void tenure_txn_end(struct world *w)
{
    struct tenure *t = w->tenure;

    for (uint32_t i = 0; i < t->bereft_count && t->origin == 0; i++) { /* T4 */
        if (session_at(t, t->bereft[i])->ended) continue;
        broken(w, "a node of session %" PRIu64 " is deleted, and the session lives",
               t->bereft[i]);
    }
}

void tenure_condemn(struct world *w, uint64_t session)
{
    session_at(w->tenure, session)->condemned = true;
}

uint64_t tenure_open(const struct world *w)
{
    return w->tenure->open;
}

bool tenure_is_condemned(const struct world *w, uint64_t session)
{
    return session_at(w->tenure, session)->condemned;
}

bool tenure_lives(const struct world *w, uint64_t session)
{
    const struct known_session *s = session_at(w->tenure, session);

    return s->id != 0 && !s->ended;
}

uint64_t tenure_ephemerals(const struct world *w, uint64_t session)
{
    return session_at(w->tenure, session)->ephemerals;
}

uint64_t tenure_sets(const struct world *w, struct bytes path)
{
    return node_at(w->tenure, path)->sets;
}
