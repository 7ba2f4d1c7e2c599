#include "tests/sim/guests.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/client/inside.h"
#include "tests/sim/hearing.h"
#include "tests/sim/sockets.h"
#include "tests/sim/tenure.h"

enum {
    EARS = 6,
    PATHS = 4,      /* that all guests write and watch */
    DEPTH = 4,      /* requests under way */
    MADE = 8,       /* names of own ephemeral nodes that it remembers */
    NAME_BYTES = 48,
    SECRET_BYTES = 16,
    OFTEN_US = 2000,
};

struct guest;

struct ear { /* a watch */
    struct guest *guest;
    uint64_t handle; /* 0: free */
    bool once;
    char path[NAME_BYTES];
    struct heard heard;
};

enum wish_kind { MAKE = 1, MAKE_IN_ORDER, UNMAKE, FOUND, WRITE, READ, COUNT_FIRST, COUNT };

struct wish { /* a request */
    struct guest *guest;
    enum wish_kind kind;
    uint32_t path;
    uint64_t floor; /* READ: the zxid of the newest write that had ended */
    uint64_t session;
    char name[NAME_BYTES];
};

struct guest {
    struct world *world;
    struct guests *all;
    uint32_t id, server;
    struct client_core *core; /* NULL: not born again yet */
    struct wire *wire;
    uint64_t asleep_until_us, dial_us;
    uint32_t wishes; /* open */
    struct ear ears[EARS];
    uint64_t session; /* known, once the core is ready */
    uint64_t former;  /* that it takes over; 0 = none */
    uint64_t names;
    char made[MADE][NAME_BYTES];
    uint32_t made_count;
    uint64_t ephemerals;           /* of this session: as it was told */
    bool counting;                 /* its counter is there */
    uint64_t counted, maybe;       /* told; and lost with a session */
};

struct guests {
    struct guest *at;
    uint32_t count;
    bool stopping;
    uint64_t written[PATHS]; /* the newest zxid that a writer was told */
};

static uint64_t now_ms(const struct guest *g)
{
    return world_now_us(g->world) / 1000 + 1;
}

static void counter_name(const struct guest *g, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "/guest/c%u", g->id);
}

static void shared_name(uint32_t path, char name[NAME_BYTES])
{
    snprintf(name, NAME_BYTES, "/shared/p%u", path);
}

/* --- connections --- */

static void flush(struct guest *g)
{
    struct buf *out = client_core_output(g->core);

    if (g->wire != NULL) wire_send(g->wire, buf_bytes(out));
    if (g->wire != NULL) buf_clear(out);
}

static void hang_up(struct guest *g)
{
    struct wire *wire = g->wire;

    if (wire == NULL) return;
    g->wire = NULL;
    wire_close(wire);
    client_core_disconnected(g->core, now_ms(g));
    g->dial_us = world_now_us(g->world) + draw(g->world, 50000);
}

static void on_came(void *ctx, struct bytes bytes)
{
    struct guest *g = ctx;
    int code = client_core_input(g->core, now_ms(g), bytes);

    if (code != 0) { /* G4 */
        broken(g->world, "guest %u is told what it does not understand: %s", g->id,
               error_name(code));
    }
    flush(g);
}

static void on_ended(void *ctx)
{
    hang_up(ctx);
}

static bool is_awake(const struct guest *g)
{
    return world_now_us(g->world) >= g->asleep_until_us;
}

static bool on_reads(void *ctx)
{
    return is_awake(ctx);
}

static uint32_t armed_once(const struct guest *g)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < EARS; i++) {
        count += g->ears[i].handle != 0 && g->ears[i].heard.armed;
    }
    return count;
}

static void dial(struct guest *g)
{
    const struct wire_owner owner = { g, on_came, on_ended, on_reads };

    g->server = world_some_server(g->world);
    trace(g->world, "guest %u goes to node %u", g->id, g->server + 1);
    world_stats(g->world)->rearmed += armed_once(g);
    world_stats(g->world)->attached += client_core_session(g->core) != 0;
    g->wire = wire_open(g->world, g->server, &owner);
    client_core_connected(g->core, now_ms(g));
    flush(g);
}

/* --- watches --- */

static bool is_armed(const struct ear *e)
{
    const struct client_core *c = e->guest->core;
    const uint64_t slot = e->handle & ((1u << 20) - 1);

    return slot < c->watch_slots_count && c->watch_slots[slot] != NULL &&
           c->watch_slots[slot]->handle == e->handle &&
           c->watch_slots[slot]->state == WATCH_ARMED;
}

static void event_came(struct ear *e, enum hearing_kind kind, const struct client_event *event)
{
    world_stats(e->guest->world)->events_told++;
    trace(e->guest->world, "guest %u hears of %s: kind %u zxid %" PRIu64, e->guest->id,
          e->path, kind, event->zxid);
    heard_event(&e->heard, kind, event->zxid, event->path, event->data);
    if (e->once) e->handle = 0;
}

static void on_event(void *ctx, const struct client_event *event)
{
    struct ear *e = ctx;

    switch (event->kind) {
    case CLIENT_EVENT_CREATED:
        event_came(e, HEARING_CREATED, event);
        return;
    case CLIENT_EVENT_CHANGED:
        event_came(e, HEARING_CHANGED, event);
        return;
    case CLIENT_EVENT_DELETED:
        event_came(e, HEARING_DELETED, event);
        return;
    case CLIENT_EVENT_CHILDREN:
        event_came(e, HEARING_CHILDREN, event);
        return;
    case CLIENT_EVENT_LAGGED:
        world_stats(e->guest->world)->lagged++;
        heard_armed(&e->heard, event->zxid);
        return;
    case CLIENT_EVENT_ARMED:
        trace(e->guest->world, "guest %u watches %s from zxid %" PRIu64 " on", e->guest->id,
              e->path, event->zxid);
        heard_armed(&e->heard, event->zxid);
        return;
    case CLIENT_EVENT_NODE:
    case CLIENT_EVENT_READY:
        broken(e->guest->world, "guest %u is told of a snapshot of %s", e->guest->id, e->path);
        return;
    case CLIENT_EVENT_ENDED:
        e->handle = 0;
        if (event->code == ERR_CLOSED) return;
        broken(e->guest->world, "guest %u, the watch of %s ends: %s", e->guest->id, e->path,
               error_name(event->code));
    }
}

static void watch_some(struct guest *g)
{
    struct ear *e = &g->ears[draw(g->world, EARS)];
    struct client_watch wish = { .fn = on_event, .ctx = e };
    const struct guest *other = &g->all->at[draw(g->world, g->all->count)];

    if (e->handle != 0) return;
    *e = (struct ear){ .guest = g, .once = chance(g->world, 200) };
    wish.data = true;
    wish.value = chance(g->world, 500);
    switch (draw(g->world, 4)) {
    case 0:
        snprintf(e->path, sizeof e->path, "/left");
        wish.children = true;
        wish.data = chance(g->world, 500);
        break;
    case 1:
        counter_name(other, e->path);
        break;
    case 2:
        if (other->made_count == 0) return;
        snprintf(e->path, sizeof e->path, "%s", other->made[draw(g->world, other->made_count)]);
        break;
    default:
        shared_name((uint32_t)draw(g->world, PATHS), e->path);
        wish.children = chance(g->world, 200);
    }
    wish.once = e->once;
    wish.path = bytes_str(e->path);
    e->heard = (struct heard){ .world = g->world,
                               .guest = g->id,
                               .path = wish.path,
                               .data = wish.data,
                               .children = wish.children,
                               .value = wish.value };
    e->handle = client_core_watch(g->core, now_ms(g), &wish);
}

static void unwatch_some(struct guest *g)
{
    struct ear *e = &g->ears[draw(g->world, EARS)];

    if (e->handle == 0) return;
    CHECK(client_core_unwatch(g->core, now_ms(g), e->handle) == e);
    e->handle = 0;
}

/* --- answers --- */

static void shown(struct guest *g, uint64_t zxid)
{
    for (uint32_t i = 0; i < EARS; i++) {
        struct ear *e = &g->ears[i];

        if (e->handle != 0 && is_armed(e)) heard_shown(&e->heard, zxid);
    }
}

static void made(struct guest *g, const struct wish *q, const msgpack_object *result)
{
    struct bytes path = rpc_bytes(rpc_member(result, "path"));
    char *place = g->made[g->made_count % MADE];

    if (q->session != g->session) return;
    g->ephemerals++;
    if (g->made_count == MADE) g->made_count = 0;
    g->made_count++;
    snprintf(place, NAME_BYTES, "%.*s", (int)path.len, (const char *)path.ptr);
}

static void was_done(struct guest *g, const struct wish *q, const msgpack_object *result)
{
    const uint64_t zxid = rpc_uint(rpc_member(result, "zxid"), 0);
    const uint64_t mzxid = rpc_uint(rpc_member(rpc_member(result, "stat"), "mzxid"), 0);
    uint64_t *newest = &g->all->written[q->path];

    switch (q->kind) {
    case MAKE:
    case MAKE_IN_ORDER:
        made(g, q, result);
        return;
    case UNMAKE:
        if (q->session == g->session) g->ephemerals--;
        return;
    case WRITE:
        if (zxid > *newest) *newest = zxid;
        return;
    case READ: /* G2 */
        if (mzxid < q->floor) {
            broken(g->world, "guest %u reads zxid %" PRIu64 " after %" PRIu64 " had ended",
                   g->id, mzxid, q->floor);
        }
        return;
    case FOUND:
        return;
    case COUNT_FIRST:
        g->counting = true;
        return;
    case COUNT:
        g->counted++;
        return;
    }
}

static bool may_be(const struct wish *q, int code)
{
    if (code == ERR_SESSION_EXPIRED || code == ERR_CLOSED) return true;
    if (q->kind == COUNT_FIRST || q->kind == FOUND) return code == ERR_NODE_EXISTS;
    return (q->kind == READ || q->kind == WRITE) && code == ERR_NO_NODE;
}

static void on_done(void *ctx, int code, const char *message, const msgpack_object *result)
{
    struct wish *q = ctx;
    struct guest *g = q->guest;

    trace(g->world, "guest %u is answered: kind %u %s: %s", g->id, q->kind, q->name,
          error_name(code));
    g->wishes--;
    if (code == 0) {
        shown(g, rpc_uint(rpc_member(result, "zxid"), 0));
        was_done(g, q, result);
    } else if (!may_be(q, code)) { /* G1 */
        broken(g->world, "guest %u: %s is refused: %s (%s)", g->id, q->name,
               error_name(code), message == NULL ? "" : message);
    } else if (q->kind == COUNT) {
        g->maybe++;
    } else if (q->kind == COUNT_FIRST && code == ERR_NODE_EXISTS) {
        g->counting = true;
    }
    free(q);
}

/* --- asking --- */

static void put_flag(struct client_request *r, struct buf *options, const char *name)
{
    pack_cstr(options, name);
    pack_bool(options, true);
    r->options_count++;
}

static void put_method(struct client_request *r, const struct wish *q, struct buf *options)
{
    r->method = q->kind == READ ? METHOD_GET : q->kind == UNMAKE ? METHOD_DELETE : METHOD_SET;
    if (q->kind != READ && q->kind != UNMAKE && q->kind != WRITE && q->kind != COUNT) {
        r->method = METHOD_CREATE;
        put_flag(r, options, "parents");
    }
    if (q->kind == MAKE || q->kind == MAKE_IN_ORDER) put_flag(r, options, "ephemeral");
    if (q->kind == MAKE_IN_ORDER) put_flag(r, options, "sequential");
}

/* No two alike. */
static void put_data(struct guest *g, struct buf *data)
{
    const uint32_t bulk = world_options(g->world)->bulk_bytes;

    buf_put_u64(data, ++g->names);
    buf_put_u64(data, g->id);
    for (uint64_t left = bulk == 0 ? 0 : draw(g->world, bulk); left > 0; left--) {
        buf_put_u8(data, 0);
    }
}

static void ask(struct guest *g, struct wish wish)
{
    struct wish *q = mem_alloc(sizeof *q);
    struct buf params = { 0 }, options = { 0 };
    struct client_request r = { .done = on_done, .ctx = q, .args_count = 1 };
    struct buf data = { 0 };

    *q = wish;
    q->guest = g;
    q->session = g->session;
    q->floor = g->all->written[q->path];
    put_data(g, &data);
    put_method(&r, q, &options);
    pack_cstr(&params, q->name);
    if (r.method == METHOD_CREATE || r.method == METHOD_SET) {
        pack_bin(&params, buf_bytes(&data));
        r.args_count = 2;
    }
    r.write = q->kind != READ;
    r.params = buf_bytes(&params);
    r.options = buf_bytes(&options);
    g->wishes++;
    world_stats(g->world)->guest_ops++;
    client_core_request(g->core, now_ms(g), &r);
    buf_fini(&params);
    buf_fini(&options);
    buf_fini(&data);
}

static void ask_count(struct guest *g)
{
    struct wish q = { .kind = g->counting ? COUNT : COUNT_FIRST };

    counter_name(g, q.name);
    if (g->counting || g->wishes == 0) ask(g, q);
}

static void ask_make(struct guest *g)
{
    struct wish q = { .kind = chance(g->world, 300) ? MAKE_IN_ORDER : MAKE };

    if (q.kind == MAKE) {
        snprintf(q.name, sizeof q.name, "/left/g%u-%" PRIu64, g->id, ++g->names);
    } else {
        snprintf(q.name, sizeof q.name, "/left/s%u-", g->id);
    }
    ask(g, q);
}

static void ask_unmake(struct guest *g)
{
    struct wish q = { .kind = UNMAKE };

    if (g->made_count == 0) return;
    memcpy(q.name, g->made[--g->made_count], NAME_BYTES);
    ask(g, q);
}

static void ask_shared(struct guest *g, enum wish_kind kind)
{
    struct wish q = { .kind = kind, .path = (uint32_t)draw(g->world, PATHS) };

    shared_name(q.path, q.name);
    ask(g, q);
    if (g->all->written[q.path] == 0 && kind == WRITE) {
        q.kind = FOUND; /* it may be there already */
        ask(g, q);
    }
}

/* --- birth and death --- */

static void be_born(struct guest *g, struct client_session former)
{
    const struct options *o = world_options(g->world);
    const struct client_core_config config = { .cluster = "sim",
                                               .session_timeout_ms = o->session_ms,
                                               .replaces = former,
                                               .seed = draw(g->world, UINT64_MAX) };

    g->core = client_core_new(&config);
    g->session = g->ephemerals = g->made_count = 0;
}

static void die(struct guest *g)
{
    hang_up(g);
    client_core_free(g->core);
    g->core = NULL;
    for (uint32_t i = 0; i < EARS; i++) CHECK(g->ears[i].handle == 0);
    CHECK(g->wishes == 0);
}

/* Its program falls, and is started again with what it had noted of its session. */
static void die_and_take_over(struct guest *g)
{
    uint8_t secret[SECRET_BYTES];
    const uint64_t session = client_core_session(g->core);

    if (session == 0 || client_core_session_over(g->core)) return;
    CHECK(client_core_secret(g->core).len == sizeof secret);
    memcpy(secret, client_core_secret(g->core).ptr, sizeof secret);
    trace(g->world, "guest %u falls and takes over session %" PRIu64, g->id, session);
    tenure_condemn(g->world, session);
    die(g);
    be_born(g, (struct client_session){ session, bytes_of(secret, sizeof secret) });
    g->former = session;
    world_stats(g->world)->taken_over++;
}

/* Somebody else's session, with a secret that is nearly right. */
static void die_and_steal(struct guest *g)
{
    const struct guest *other = &g->all->at[draw(g->world, g->all->count)];
    uint8_t secret[SECRET_BYTES];

    if (other == g || other->core == NULL || client_core_session(other->core) == 0) return;
    memcpy(secret, client_core_secret(other->core).ptr, sizeof secret);
    secret[draw(g->world, SECRET_BYTES)] ^= (uint8_t)(1u << draw(g->world, 8));
    trace(g->world, "guest %u tries to steal session %" PRIu64, g->id,
          client_core_session(other->core));
    die(g);
    be_born(g, (struct client_session){ client_core_session(other->core),
                                        bytes_of(secret, sizeof secret) });
    world_stats(g->world)->thefts++;
}

static void leave(struct guest *g)
{
    if (client_core_session(g->core) == 0) return;
    tenure_condemn(g->world, client_core_session(g->core));
    client_core_close_session(g->core, now_ms(g));
}

/* --- what to do next --- */

static void sleep_for(struct guest *g, uint64_t ms)
{
    trace(g->world, "guest %u sleeps for %" PRIu64 " ms", g->id, ms);
    g->asleep_until_us = world_now_us(g->world) + 1000 * ms;
}

static void nap(struct guest *g)
{
    const uint32_t session_ms = world_options(g->world)->session_ms;

    sleep_for(g, session_ms / 3 + draw(g->world, 1 + session_ms));
}

static void act(struct guest *g)
{
    const uint64_t what = draw(g->world, 1000);

    if (chance(g->world, world_options(g->world)->nap_permille)) {
        nap(g);
    } else if (what < 230) {
        ask_make(g);
    } else if (what < 340) {
        ask_unmake(g);
    } else if (what < 500) {
        ask_shared(g, WRITE);
    } else if (what < 600) {
        ask_shared(g, READ);
    } else if (what < 760) {
        ask_count(g);
    } else if (what < 930) {
        watch_some(g);
    } else if (what < 960) {
        unwatch_some(g);
    } else if (what < 980) {
        hang_up(g);
    } else if (what < 985) {
        die_and_take_over(g);
    } else if (what < 988) {
        die_and_steal(g);
    } else if (what < 990) {
        leave(g);
    }
}

static void greet(struct guest *g)
{
    g->session = client_core_session(g->core);
    if (g->former != 0 && tenure_lives(g->world, g->former)) { /* G3 */
        broken(g->world, "guest %u begins, and session %" PRIu64 " lives on", g->id,
               g->former);
    }
    g->former = 0;
}

/* B4, and I6: as long as it believes in its session, the session lives. */
static void believe(const struct guest *g)
{
    const struct options *o = world_options(g->world);
    const uint64_t slack_ms = 2 * o->drift_permille * o->session_ms / 1000 + 2;

    if (!session_lives(g->core) || now_ms(g) + slack_ms >= session_deadline_ms(g->core)) return;
    if (tenure_lives(g->world, g->core->session)) return;
    if (tenure_is_condemned(g->world, g->core->session)) return;
    broken(g->world, "guest %u believes in session %" PRIu64 " for %" PRIu64
                     " ms more, and it has ended", g->id, g->core->session,
           session_deadline_ms(g->core) - now_ms(g));
}

static void live_awake(struct guest *g)
{
    if (g->core == NULL) be_born(g, (struct client_session){ 0 });
    if (g->wire != NULL) wire_read(g->wire);
    (void)client_core_tick(g->core, now_ms(g));
    if (client_core_session_over(g->core) && g->wishes == 0) {
        die(g);
        return;
    }
    if (client_core_ready(g->core) < 0) {
        broken(g->world, "guest %u is turned away: %s", g->id,
               error_name(client_core_ready(g->core)));
    }
    believe(g);
    if (client_core_wants_other(g->core)) hang_up(g);
    if (g->wire == NULL && world_now_us(g->world) >= g->dial_us) dial(g);
    if (client_core_ready(g->core) == 1 && g->session == 0) greet(g);
    if (g->session != 0 && !g->all->stopping && !world_is_full(g->world) &&
        g->wishes < DEPTH) act(g);
    if (g->core != NULL) flush(g);
}

static void live(struct world *w, void *ctx)
{
    struct guest *g = ctx;

    const struct options *o = world_options(w);
    /* Who writes much writes often, so that it comes to something. */
    const uint64_t gap_us = o->bulk_bytes > 0 ? OFTEN_US : 2 * o->client_gap_us;

    world_at(w, 1000 + draw(w, gap_us), live, g);
    if (is_awake(g)) live_awake(g);
}

void guests_start(struct world *w)
{
    struct guests *all = mem_zalloc(sizeof *all);

    *world_guests(w) = all;
    all->count = world_options(w)->guests;
    all->at = mem_zalloc((all->count + 1) * sizeof *all->at);
    for (uint32_t i = 0; i < all->count; i++) {
        struct guest *g = &all->at[i];

        g->world = w;
        g->all = all;
        g->id = i + 1;
        world_at(w, draw(w, 300000), live, g);
    }
}

void guests_fini(struct world *w)
{
    struct guests *all = *world_guests(w);

    for (uint32_t i = 0; i < all->count; i++) {
        if (all->at[i].core != NULL) die(&all->at[i]);
    }
    free(all->at);
    free(all);
}

/* --- faults --- */

static struct guest *some_guest(struct world *w)
{
    struct guests *all = *world_guests(w);
    struct guest *g = all->count == 0 ? NULL : &all->at[draw(w, all->count)];

    return g == NULL || g->core == NULL ? NULL : g;
}

void guests_nap(struct world *w)
{
    struct guest *g = some_guest(w);

    if (g != NULL) nap(g);
}

void guests_sleep(struct world *w, uint64_t ms)
{
    struct guest *g = some_guest(w);

    if (g != NULL) sleep_for(g, ms);
}

void guests_cut(struct world *w)
{
    struct guests *all = *world_guests(w);

    for (uint32_t i = 0; i < all->count; i++) {
        if (all->at[i].wire != NULL && chance(w, 700)) hang_up(&all->at[i]);
    }
}

void guests_stall(struct world *w)
{
    struct guests *all = *world_guests(w);

    for (uint32_t i = 0; i < all->count; i++) {
        if (all->at[i].wire != NULL && chance(w, 300)) {
            wire_stall(all->at[i].wire, draw(w, 2 * world_options(w)->session_ms));
        }
    }
}

void guests_die(struct world *w)
{
    struct guest *g = some_guest(w);

    if (g != NULL && is_awake(g)) die_and_take_over(g);
}

/* --- the end --- */

void guests_heal(struct world *w)
{
    struct guests *all = *world_guests(w);

    for (uint32_t i = 0; i < all->count; i++) {
        all->at[i].asleep_until_us = 0;
        hang_up(&all->at[i]);
    }
}

void guests_stop(struct world *w)
{
    (*world_guests(w))->stopping = true;
}

static bool ears_are_done(struct guest *g)
{
    for (uint32_t i = 0; i < EARS; i++) {
        struct ear *e = &g->ears[i];

        if (e->handle != 0 && (!is_armed(e) || !heard_all(&e->heard))) return false;
    }
    return true;
}

static bool is_idle(struct guest *g)
{
    return g->core != NULL && g->session != 0 && g->wire != NULL && g->wishes == 0 &&
           !client_core_session_over(g->core) && ears_are_done(g);
}

bool guests_idle(const struct world *w)
{
    struct guests *all = *world_guests((struct world *)(uintptr_t)w);

    for (uint32_t i = 0; i < all->count; i++) {
        if (!is_idle(&all->at[i])) return false;
    }
    return true;
}

void guests_print(const struct world *w)
{
    struct guests *all = *world_guests((struct world *)(uintptr_t)w);

    for (uint32_t i = 0; i < all->count; i++) {
        struct guest *g = &all->at[i];

        if (is_idle(g)) continue;
        printf("guest %u at node %u, session %" PRIu64 ", %u requests open%s:", g->id,
               g->server + 1, g->session, g->wishes, g->wire == NULL ? ", not connected" : "");
        for (uint32_t k = 0; k < EARS && g->core != NULL; k++) {
            struct ear *e = &g->ears[k];

            if (e->handle == 0 || (is_armed(e) && heard_all(&e->heard))) continue;
            printf(" [watch of %s, %s, told up to %" PRIu64 "]", e->path,
                   is_armed(e) ? "armed" : "not armed", e->heard.at);
        }
        printf("\n");
    }
}

/* A4, by the client library's own reckoning; clocks differ in their rate. */
void guests_expired(struct world *w, uint64_t session)
{
    const struct options *o = world_options(w);
    struct guests *all = *world_guests(w);
    const uint64_t now = world_now_us(w) / 1000 + 1;

    for (uint32_t i = 0; all != NULL && i < all->count; i++) {
        const struct client_core *c = all->at[i].core;

        if (c == NULL || c->session != session || c->session_over) continue;
        if (now + 2 * o->drift_permille * o->session_ms / 1000 + 2 < session_deadline_ms(c)) {
            broken(w, "session %" PRIu64 " of guest %u expired %" PRIu64 " ms early", session,
                   i + 1, session_deadline_ms(c) - now);
        }
    }
}

void guests_check_end(struct world *w)
{
    struct guests *all = *world_guests(w);

    for (uint32_t i = 0; i < all->count; i++) {
        const struct guest *g = &all->at[i];
        char name[NAME_BYTES];

        /* Who slept till the end may not have heard yet that its session is over. */
        if (tenure_lives(w, g->session) &&
            tenure_ephemerals(w, g->session) != g->ephemerals) { /* T6 */
            broken(w, "session %" PRIu64 " of guest %u has %" PRIu64
                      " ephemeral nodes, and it was told of %" PRIu64, g->session, g->id,
                   tenure_ephemerals(w, g->session), g->ephemerals);
        }
        counter_name(g, name);
        uint64_t sets = tenure_sets(w, bytes_str(name));
        if (sets < g->counted || sets > g->counted + g->maybe) { /* G1 */
            broken(w, "guest %u counted %" PRIu64 " (and %" PRIu64
                      " lost with sessions), its node %" PRIu64, g->id, g->counted, g->maybe,
                   sets);
        }
    }
}
