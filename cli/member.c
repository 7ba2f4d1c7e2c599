/* member.c -- `tidelock member`: who belongs to the cluster, and changes of that.
 *
 * Each change may be asked again without harm, so it is sent again by itself when a
 * connection is lost. What is printed is the configuration behind the change. */
#include <stdio.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/member.h"
#include "cli/report.h"
#include "core/base/errors.h"

enum { LOOK_US = 100000, WORD_MAX = 16 };

struct listed { /* one member, as a result has it */
    uint64_t id, incarnation;
    char kind[WORD_MAX];
    struct bytes peer, client;
};

static struct listed member_of(const msgpack_object *o)
{
    struct listed m = { .id = rpc_uint(rpc_member(o, "id"), 0),
                        .incarnation = rpc_uint(rpc_member(o, "incarnation"), 0),
                        .peer = rpc_bytes(rpc_member(o, "peer")),
                        .client = rpc_bytes(rpc_member(o, "client")) };
    const struct bytes kind = rpc_bytes(rpc_member(o, "kind"));

    snprintf(m.kind, sizeof m.kind, "%.*s", (int) (kind.len < WORD_MAX ? kind.len : 0),
             (const char *) kind.ptr);
    return m;
}

/* --- printing --- */

struct printer {
    const struct options *o;
    struct buf *text;
};

static void put_json_member(struct buf *text, const struct listed *m)
{
    report_printf(text,
                  "{\"id\":%llu,\"kind\":\"%s\",\"incarnation\":\"%016llx\",\"peer\":",
                  (unsigned long long) m->id, m->kind, (unsigned long long) m->incarnation);
    json_put_string(text, m->peer);
    buf_put_bytes_raw(text, BYTES_LIT(",\"client\":"));
    json_put_string(text, m->client);
    buf_put_u8(text, '}');
}

static void put_plain_member(struct buf *text, const struct listed *m)
{
    report_printf(text, "%-3llu %-8s %-24.*s %-24.*s %s\n", (unsigned long long) m->id,
                  m->kind, (int) m->peer.len, (const char *) m->peer.ptr,
                  (int) m->client.len, (const char *) m->client.ptr,
                  m->incarnation == 0 ? "place kept" : "");
}

static void print_members(void *ctx, const msgpack_object *result)
{
    const struct printer *p = ctx;
    const msgpack_object *id = rpc_member(result, "id"),
                         *list = rpc_member(result, "members");
    const unsigned long long number = rpc_uint(rpc_member(result, "number"), 0);

    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY) return;
    if (p->o->json) {
        report_printf(p->text, "{\"number\":%llu,", number);
        if (id != NULL)
            report_printf(p->text, "\"id\":%llu,", (unsigned long long) rpc_uint(id, 0));
        buf_put_bytes_raw(p->text, BYTES_LIT("\"members\":["));
    } else {
        report_printf(p->text, "configuration %llu\n%-3s %-8s %-24s %s\n", number, "id",
                      "kind", "peer", "client");
    }
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        const struct listed m = member_of(&list->via.array.ptr[i]);

        if (p->o->json && i > 0) buf_put_u8(p->text, ',');
        (p->o->json ? put_json_member : put_plain_member)(p->text, &m);
    }
    if (p->o->json) buf_put_bytes_raw(p->text, BYTES_LIT("]}\n"));
}

/* --- asking --- */

/* Asks, prints, and frees the question. */
static int finish(struct ask *a)
{
    struct buf text = { 0 };
    struct printer p = { .o = a->o, .text = &text };
    const int status = ask_run(a, print_members, &p, &text);

    buf_fini(&text);
    ask_fini(a);
    return status;
}

/* Word `at` as an id; 0 when it is none, which was told. */
static uint64_t id_of(const struct options *o, size_t at)
{
    uint64_t id;

    if (options_read_number(o->words[at], 1, NODES_MAX, &id)) return id;
    report_usage(o->command, "a member's id is 1 to %u, not '%s'", NODES_MAX, o->words[at]);
    return 0;
}

static void ask_about(struct ask *a, const struct options *o, enum method method, uint64_t id)
{
    ask_init(a, o, method, false);
    pack_uint(&a->params, id);
    a->args_count = 1;
}

static int change(const struct options *o, enum method method)
{
    const uint64_t id = id_of(o, 0);
    struct ask a;

    if (id == 0) return CLI_USAGE;
    ask_about(&a, o, method, id);
    return finish(&a);
}

int command_member_list(const struct options *o)
{
    struct ask a;

    ask_init(&a, o, METHOD_MEMBER_LIST, false);
    return finish(&a);
}

static void put_learner(struct ask *a)
{
    if (!options_given(a->o, FLAG_LEARNER)) return;
    ask_option(a, "learner");
    pack_bool(&a->options, true);
}

int command_member_add(const struct options *o)
{
    const char *client = options_text(o, FLAG_CLIENT, NULL);
    struct ask a;

    ask_init(&a, o, METHOD_MEMBER_ADD, false);
    pack_cstr(&a.params, o->words[0]);
    a.args_count = 1;
    if (client != NULL) {
        ask_option(&a, "client");
        pack_cstr(&a.options, client);
    }
    if (options_given(o, FLAG_ID)) {
        ask_option(&a, "id");
        pack_uint(&a.options, o->number[FLAG_ID]);
    }
    put_learner(&a);
    return finish(&a);
}

int member_keep_place(const struct options *o, const char *peer, unsigned id)
{
    struct remote remote;
    struct ask a;

    int code = remote_open(&remote, o, 0);
    if (code != 0) return ask_fail(o, code, remote.message);
    ask_init(&a, o, METHOD_MEMBER_ADD, false);
    pack_cstr(&a.params, peer);
    a.args_count = 1;
    ask_option(&a, "id");
    pack_uint(&a.options, id);
    put_learner(&a);
    code = ask_send(&a, &remote, NULL, NULL);
    remote_close(&remote);
    ask_fini(&a);
    return code == 0 || code == ERR_MEMBER_EXISTS ? CLI_OK
                                                  : ask_fail(o, code, remote.message);
}

int command_member_promote(const struct options *o)
{
    return change(o, METHOD_MEMBER_PROMOTE);
}

int command_member_demote(const struct options *o)
{
    return change(o, METHOD_MEMBER_DEMOTE);
}

int command_member_remove(const struct options *o)
{
    return change(o, METHOD_MEMBER_REMOVE);
}

/* --- replacing --- */

struct replacing {
    const struct options *o;
    uint64_t old, fresh; /* fresh 0: whichever is joining, once it is known */
    unsigned joining;    /* how many are, apart from `old` */
    bool votes;          /* the fresh one does */
    bool there;          /* and is a member at all */
};

static void look_at_member(struct replacing *r, const struct listed *m)
{
    const bool joins = strcmp(m->kind, "joining") == 0 && m->incarnation != 0;

    if (m->id == r->old) return;
    if (joins) r->joining++;
    if (joins && r->fresh == 0) r->fresh = m->id;
    if (m->id != r->fresh) return;
    r->there = true;
    r->votes = strcmp(m->kind, "voter") == 0;
}

static void look(void *ctx, const msgpack_object *result)
{
    const msgpack_object *list = rpc_member(result, "members");
    struct replacing *r = ctx;

    r->joining = 0;
    r->there = r->votes = false;
    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        const struct listed m = member_of(&list->via.array.ptr[i]);
        look_at_member(r, &m);
    }
}

static int not_there(const struct replacing *r)
{
    if (r->o->words_count > 1) {
        report_note(r->o->command, "server %llu is no member: start it with --join",
                    (unsigned long long) r->fresh);
    } else {
        report_note(r->o->command, "%s",
                    r->joining > 1 ? "several servers are joining: name the new one"
                                   : "no server is joining: start the new one with --join, "
                                     "or name it if it votes already");
    }
    return CLI_NOT_FOUND;
}

static int look_once(struct replacing *r, struct remote *remote)
{
    struct ask a;

    ask_init(&a, r->o, METHOD_MEMBER_LIST, false);
    const int code = ask_send(&a, remote, look, r);
    ask_fini(&a);
    if (code != 0) return ask_fail(r->o, code, remote->message);
    return !r->there || (r->joining > 1 && r->o->words_count == 1) ? not_there(r) : CLI_OK;
}

/* Until the fresh one votes; an exit status. */
static int await_vote(struct replacing *r)
{
    const uint64_t until = clock_now_ms() + r->o->timeout_ms;
    struct remote remote;

    const int code = remote_open(&remote, r->o, 0);
    if (code != 0) return ask_fail(r->o, code, remote.message);
    int status = look_once(r, &remote);
    while (status == CLI_OK && !r->votes && clock_now_ms() < until) {
        usleep(LOOK_US);
        status = look_once(r, &remote);
    }
    remote_close(&remote);
    if (status != CLI_OK || r->votes) return status;
    report_note(r->o->command,
                "server %llu has not caught up yet, and nothing was removed: ask again, with "
                "a longer --timeout",
                (unsigned long long) r->fresh);
    return CLI_UNREACHABLE;
}

int command_member_replace(const struct options *o)
{
    struct replacing r = { .o = o, .old = id_of(o, 0) };

    if (r.old == 0) return CLI_USAGE;
    if (o->words_count > 1) r.fresh = id_of(o, 1);
    if (o->words_count > 1 && r.fresh == 0) return CLI_USAGE;
    if (r.fresh == r.old) {
        return report_usage(o->command, "the old and the new server are the same");
    }
    const int status = await_vote(&r);
    return status != CLI_OK ? status : change(o, METHOD_MEMBER_REMOVE);
}
