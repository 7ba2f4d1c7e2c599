#include "tests/lib/recipe_bench.h"

#include <msgpack.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/tree/op.h"
#include "core/tree/path.h"
#include "core/tree/tree.h"
#include "lua/value.h"

void bench_init(struct recipe_bench *b, struct sandbox_budget budget)
{
    *b = (struct recipe_bench){ .zxid = 100, .time_ms = 1700000000000 };
    kv_overlay_init(&b->state, NULL, 1);
    tree_found(&b->state);
    b->host = host_new(budget);
    b->calls = mem_zalloc(BENCH_CALLS_MAX * sizeof(*b->calls));
}

static void result_fini(struct script_result *r)
{
    buf_fini(&r->value);
    buf_fini(&r->message);
    buf_fini(&r->paths);
}

void bench_fini(struct recipe_bench *b)
{
    for (size_t i = 0; i < b->calls_count; i++) {
        buf_fini(&b->calls[i].args);
        result_fini(&b->calls[i].last);
    }
    free(b->calls);
    host_free(b->host);
    kv_overlay_fini(&b->state);
}

/* --- transactions --- */

static void begin(struct recipe_bench *b, struct tx *t, uint64_t session)
{
    tx_init(t, &b->state.view, 1);
    t->zxid = ++b->zxid;
    t->time_ms = ++b->time_ms;
    t->session = session;
    t->ops_max = CALL_OPS_MAX;
    t->track_reads = true;
}

static bool paths_hold(const struct buf *paths, struct bytes path)
{
    struct reader r = reader_of(buf_bytes(paths));

    while (reader_left(&r) > 0) {
        if (bytes_equal(read_bytes(&r, PATH_BYTES_MAX), path)) return true;
    }
    return false;
}

/* A create or a delete changes the parent's children too. */
static bool wakes(const struct buf *paths, struct bytes ops)
{
    struct reader r = reader_of(ops);
    struct op op;

    while (reader_left(&r) > 0) {
        CHECK(op_decode(&r, &op) == 0);
        if (paths_hold(paths, op.path)) return true;
        if (op.kind != OP_SET && paths_hold(paths, path_parent(op.path))) return true;
    }
    return false;
}

/* A call's own writes never wake it. */
static void mark_due(struct recipe_bench *b, struct bytes ops, const struct bench_call *by)
{
    for (size_t i = 0; ops.len > 0 && i < b->calls_count; i++) {
        struct bench_call *c = &b->calls[i];

        if (c == by || c->due || c->last.outcome != SCRIPT_WAIT) continue;
        c->due = wakes(&c->last.paths, ops);
        b->due_count += c->due ? 1 : 0;
    }
}

/* Commits and marks whom it concerns. */
static void commit(struct recipe_bench *b, struct tx *t, const struct bench_call *by)
{
    tx_finish(t);
    b->ops += t->ops_count;
    kv_overlay_move(&t->over, &b->state, b->zxid);
    mark_due(b, buf_bytes(&t->ops), by);
    tx_fini(t);
}

/* --- calls --- */

static void describe_value(struct bench_call *c)
{
    msgpack_unpacked u;
    size_t at = 0;

    msgpack_unpacked_init(&u);
    CHECK(msgpack_unpack_next(&u, (char *) c->last.value.ptr, c->last.value.len, &at) ==
          MSGPACK_UNPACK_SUCCESS);
    msgpack_object_print_buffer(c->text, sizeof(c->text), u.data);
    msgpack_unpacked_destroy(&u);
}

static void describe(struct bench_call *c)
{
    const struct script_result *r = &c->last;

    switch (r->outcome) {
    case SCRIPT_DONE:
        if (r->value.len < sizeof(c->text)) describe_value(c);
        break;
    case SCRIPT_WAIT:
        snprintf(c->text, sizeof(c->text), "waits");
        break;
    case SCRIPT_ERROR:
        snprintf(c->text, sizeof(c->text), "%s: %.*s", error_name(r->code),
                 (int) r->message.len, (const char *) r->message.ptr);
        break;
    }
}

static void run_script(struct recipe_bench *b, struct bench_call *c, struct tx *t,
                       bool cancel)
{
    const char *dot = strchr(c->function, '.');
    size_t recipe_len = (size_t) (dot - c->function);
    struct script_call call = { .recipe = bytes_of(c->function, recipe_len),
                                .function = bytes_str(dot + 1),
                                .args = buf_bytes(&c->args),
                                .session = c->session,
                                .seq = c->seq,
                                .cancel = cancel };
    struct scripts *scripts = host_scripts(b->host);

    result_fini(&c->last);
    c->last = (struct script_result){ 0 };
    scripts->run(scripts, &call, t, &c->last);
    c->runs++;
    b->runs++;
    describe(c);
}

static void run_call(struct recipe_bench *b, struct bench_call *c, bool cancel)
{
    struct tx t;

    begin(b, &t, c->session);
    run_script(b, c, &t, cancel);
    if (c->last.outcome == SCRIPT_WAIT && c->last.paths.len == 0) {
        buf_put_bytes_raw(&c->last.paths, buf_bytes(&t.reads));
    }
    if (c->last.outcome == SCRIPT_ERROR) {
        tx_fini(&t);
    } else {
        commit(b, &t, c);
    }
}

static void run_due(struct recipe_bench *b)
{
    while (b->due_count > 0) {
        struct bench_call *c = b->newest_first ? b->calls + b->calls_count - 1 : b->calls;

        while (!c->due) c += b->newest_first ? -1 : 1;
        c->due = false;
        b->due_count--;
        run_call(b, c, false);
    }
}

static size_t make_call(struct recipe_bench *b, uint64_t session, const char *function,
                        struct bytes args)
{
    size_t handle = b->calls_count++;
    struct bench_call *c = &b->calls[handle];

    CHECK(handle < BENCH_CALLS_MAX);
    *c = (struct bench_call){ .session = session, .seq = handle + 1 };
    snprintf(c->function, sizeof(c->function), "%s", function);
    buf_put_bytes_raw(&c->args, args);
    return handle;
}

size_t bench_call_packed(struct recipe_bench *b, uint64_t session, const char *function,
                         struct bytes args)
{
    size_t handle = make_call(b, session, function, args);

    run_call(b, &b->calls[handle], false);
    run_due(b);
    return handle;
}

struct expression {
    struct bytes text;
    struct buf out;
};

static int evaluate(lua_State *L)
{
    struct expression *e = lua_touserdata(L, 1);

    sandbox_push_compiled(L, "args", e->text);
    sandbox_push_environment(L);
    lua_setupvalue(L, -2, 1);
    lua_call(L, 0, 1);
    value_encode(L, -1, &e->out);
    return 0;
}

/* The value of a Lua expression, packed; the caller frees it. */
static struct buf pack_expression(const char *args)
{
    struct sandbox s;
    struct expression e = { 0 };
    char text[400];

    snprintf(text, sizeof(text), "return %s", args);
    e.text = bytes_str(text);
    CHECK(sandbox_open(&s, (struct sandbox_budget){ .memory_max = 1u << 24 }) == 0);
    CHECK(sandbox_call(&s, evaluate, &e) == LUA_OK);
    sandbox_close(&s);
    return e.out;
}

size_t bench_call(struct recipe_bench *b, uint64_t session, const char *function,
                  const char *args)
{
    struct buf packed = pack_expression(args);
    size_t call = bench_call_packed(b, session, function, buf_bytes(&packed));

    buf_fini(&packed);
    return call;
}

const char *bench_query(struct recipe_bench *b, const char *function, const char *args)
{
    struct buf packed = pack_expression(args);
    size_t handle = make_call(b, 0, function, buf_bytes(&packed));
    struct tx t;

    tx_init(&t, &b->state.view, 1);
    t.read_only = true;
    t.zxid = b->zxid;
    t.time_ms = b->time_ms;
    run_script(b, &b->calls[handle], &t, false);
    CHECK(t.ops_count == 0 && t.over.count == 0);
    tx_fini(&t);
    buf_fini(&packed);
    return bench_text(b, handle);
}

const char *bench_text(struct recipe_bench *b, size_t call)
{
    CHECK(call < b->calls_count);
    return b->calls[call].text;
}

bool bench_waits(struct recipe_bench *b, size_t call)
{
    CHECK(call < b->calls_count);
    return b->calls[call].last.outcome == SCRIPT_WAIT;
}

void bench_cancel(struct recipe_bench *b, size_t call)
{
    CHECK(bench_waits(b, call));
    b->calls[call].last.outcome = SCRIPT_DONE; /* its own writes shall not run it */
    run_call(b, &b->calls[call], true);
    run_due(b);
}

/* --- the world around --- */

void bench_recipe_put(struct recipe_bench *b, const char *name, struct bytes source)
{
    struct buf path = { 0 }, created = { 0 };
    struct tx t;
    int err;

    begin(b, &t, 0);
    t.reserved_allowed = true;
    buf_put_bytes_raw(&path, BYTES_LIT("/tidelock/recipes/"));
    buf_put_bytes_raw(&path, bytes_str(name));
    err = tx_create(&t, buf_bytes(&path), source, TX_PARENTS, &created);
    if (err == ERR_NODE_EXISTS) err = tx_set(&t, buf_bytes(&path), source, -1);
    CHECK(err == 0);
    commit(b, &t, NULL);
    run_due(b);
    buf_fini(&path);
    buf_fini(&created);
}

void bench_session_open(struct recipe_bench *b, uint64_t id)
{
    uint8_t room[KV_ID_KEY_BYTES];

    kv_put(&b->state, kv_id_key(room, 's', id), BYTES_LIT(""), b->zxid);
}

/* The first node of the session, into `path`. */
static bool owned_first(struct recipe_bench *b, uint64_t id, struct buf *path)
{
    struct buf prefix = { 0 }, key = { 0 };
    bool found;

    node_owner_prefix(&prefix, id);
    found = kv_first(&b->state.view, buf_bytes(&prefix), &key);
    buf_clear(path);
    if (found) buf_put_bytes_raw(path, node_owner_key_path(buf_bytes(&key)));
    buf_fini(&prefix);
    buf_fini(&key);
    return found;
}

void bench_session_close(struct recipe_bench *b, uint64_t id)
{
    struct tree_context c = { .zxid = ++b->zxid, .time_ms = ++b->time_ms };
    struct buf path = { 0 }, ops = { 0 };
    uint8_t room[KV_ID_KEY_BYTES];

    for (size_t i = 0; i < b->calls_count; i++) {
        if (b->calls[i].session == id) b->calls[i].last.outcome = SCRIPT_DONE;
    }
    while (owned_first(b, id, &path)) {
        struct op op = { .kind = OP_DELETE, .path = buf_bytes(&path) };

        op_encode(&ops, &op);
        tree_apply(&b->state, &c, &op);
    }
    kv_delete(&b->state, kv_id_key(room, 's', id), b->zxid);
    mark_due(b, buf_bytes(&ops), NULL);
    run_due(b);
    buf_fini(&path);
    buf_fini(&ops);
}

bool bench_node_read(struct recipe_bench *b, const char *path, struct node *n)
{
    return node_read(&b->state.view, bytes_str(path), n);
}
