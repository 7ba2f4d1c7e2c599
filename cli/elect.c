/* elect.c -- `tidelock elect`: runs a command while leading, or prints who leads. */
#include "cli/ask.h"
#include "cli/commands.h"
#include "cli/follow.h"
#include "cli/hold.h"
#include "cli/json.h"
#include "cli/report.h"

/* --- to lead --- */

/* --wait 0 does not wait at all; while another one leads it is then answered with nil. */
static void pack_campaign(struct buf *params, const struct options *o)
{
    const char *value = options_text(o, FLAG_CANDIDATE, NULL);
    const bool try_only = options_number(o, FLAG_WAIT, 1) == 0;

    pack_map(params, 1u + (value != NULL) + try_only);
    pack_cstr(params, "path");
    pack_cstr(params, o->words[0]);
    if (try_only) {
        pack_cstr(params, "try");
        pack_bool(params, true);
    }
    if (value == NULL) return;
    pack_cstr(params, "value");
    pack_cstr(params, value);
}

static const struct hold_kind leadership = {
    .take = "election.campaign",
    .pack_take = pack_campaign,
    .give_back = "election.resign",
    .name = "the leadership",
    .variable_path = "TIDELOCK_ELECTION_PATH",
    .variable_token = "TIDELOCK_ELECTION_TOKEN",
};

/* --- to observe --- */

struct observing {
    struct follow follow;
    uint64_t after; /* of the last answer */
    struct buf line;
};

static void put_member(struct buf *out, const char *name, const msgpack_object *leader)
{
    const msgpack_object *value = rpc_member(leader, name);

    json_put_string(out, bytes_str(name));
    buf_put_u8(out, ':');
    if (value == NULL) {
        buf_put_bytes_raw(out, BYTES_LIT("null"));
    } else {
        json_from_msgpack(out, value);
    }
}

static void put_json(struct buf *out, const msgpack_object *leader)
{
    static const char *const names[] = { "token", "session", "value", "since" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        buf_put_u8(out, i == 0 ? '{' : ',');
        put_member(out, names[i], leader);
    }
    buf_put_bytes_raw(out, BYTES_LIT("}\n"));
}

/* "TOKEN SESSION VALUE", VALUE as JSON; "none" when nobody leads. */
static void put_plain(struct buf *out, const msgpack_object *leader)
{
    const msgpack_object *value = rpc_member(leader, "value");

    if (rpc_member(leader, "token") == NULL) {
        buf_put_bytes_raw(out, BYTES_LIT("none\n"));
        return;
    }
    report_printf(out, "%llu %llu ",
                  (unsigned long long) rpc_uint(rpc_member(leader, "token"), 0),
                  (unsigned long long) rpc_uint(rpc_member(leader, "session"), 0));
    if (value == NULL) {
        buf_put_bytes_raw(out, BYTES_LIT("null"));
    } else {
        json_from_msgpack(out, value);
    }
    buf_put_u8(out, '\n');
}

static void on_leader(void *ctx, const msgpack_object *leader)
{
    struct observing *w = ctx;

    w->after = rpc_uint(rpc_member(leader, "after"), 0);
    buf_clear(&w->line);
    if (w->follow.o->json) {
        put_json(&w->line, leader);
    } else {
        put_plain(&w->line, leader);
    }
}

static int observe(const struct options *o)
{
    struct observing w = { .follow = { .o = o } };
    int code = 0, status = 0;

    if (o->rest[0] != NULL) {
        return report_usage(o->command, "--observe runs no command: give one of the two");
    }
    while (code == 0 && status == 0) {
        code = follow_ask(&w.follow, "election.observe", &w.after, on_leader, &w);
        if (code == 0) status = report_write(o->command, buf_bytes(&w.line));
    }
    if (code != 0) status = ask_fail(o, code, w.follow.remote.message);
    follow_end(&w.follow);
    buf_fini(&w.line);
    return status;
}

int command_elect(const struct options *o)
{
    return options_given(o, FLAG_OBSERVE) ? observe(o) : hold_run(o, &leadership);
}
