/* transfer.c -- `tidelock transfer`: another server leads.
 *
 * Only the leader can hand over, and it may change while we look: whoever turns out not to
 * lead is left for the one that does, until the wanted server leads or time is up. */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/probe.h"
#include "cli/report.h"
#include "core/base/errors.h"

struct transfer {
    const struct options *o;
    uint64_t until_ms;
    uint32_t wanted; /* 0 = any other than `asked` */
    uint32_t asked;  /* the first leader that was asked; 0 = none yet */
    uint32_t leader; /* who leads in the end; 0 = not there yet */
    char message[512];
};

static struct servers servers;
static struct probe probes[SERVERS_MAX];

static uint64_t time_left(const struct transfer *t)
{
    const uint64_t now = clock_now_ms();

    return now < t->until_ms ? t->until_ms - now : 0;
}

static void take_leader(void *ctx, const msgpack_object *result)
{
    struct transfer *t = ctx;

    t->leader = (uint32_t)rpc_uint(rpc_member(result, "leader"), 0);
}

/* Asks this one server only. */
static int ask_leader(struct transfer *t, const char *server)
{
    struct options there = *t->o;
    struct remote remote;
    struct ask a;

    there.servers = server;
    ask_init(&a, &there, METHOD_TRANSFER, false);
    a.limit_ms = time_left(t) + 1;
    if (t->wanted != 0) {
        ask_option(&a, "node");
        pack_uint(&a.options, t->wanted);
    }
    int code = remote_open(&remote, &there, 0);
    if (code == 0) {
        remote.channel.alone = true;
        code = ask_send(&a, &remote, take_leader, t);
        remote_close(&remote);
    }
    snprintf(t->message, sizeof t->message, "%.500s", remote.message);
    ask_fini(&a);
    return code;
}

static int find_leader(struct transfer *t, size_t *at)
{
    size_t answered;
    const int leader = probe_await_leader(probes, &servers, time_left(t), &answered);

    if (leader >= 0) {
        *at = (size_t)leader;
        return 0;
    }
    snprintf(t->message, sizeof t->message, "%s",
             answered == 0 ? probes[0].why : "no server leads");
    return answered == 0 ? ERR_UNREACHABLE : ERR_NO_QUORUM;
}

/* 0: see t->leader. */
static int transfer_once(struct transfer *t)
{
    size_t at = 0;
    const int code = find_leader(t, &at);

    if (code != 0) return code;
    const uint32_t leader = probes[at].node;
    if (t->wanted != 0 ? leader == t->wanted : t->asked != 0 && leader != t->asked) {
        t->leader = leader;
        return 0;
    }
    if (t->asked == 0) t->asked = leader;
    char name[SERVER_TEXT_MAX];

    return ask_leader(t, server_text(&servers.at[at], name));
}

static int transfer_run(struct transfer *t)
{
    int code;

    do {
        code = transfer_once(t);
    } while (code == ERR_NOT_LEADER && time_left(t) > 0);
    return code;
}

static int print_leader(const struct options *o, uint32_t leader)
{
    struct buf text = { 0 };

    report_printf(&text, o->json ? "{\"leader\":%u}\n" : "server %u leads\n", leader);
    const int status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

static int read_node(const struct options *o, uint32_t *node)
{
    const char *text = options_text(o, FLAG_NODE, NULL);
    uint64_t id = 0;

    if (text != NULL && !options_read_number(text, 1, NODES_MAX, &id)) {
        return report_usage(o->command, "--node must be 1 to %d, not '%s'", NODES_MAX,
                            text);
    }
    *node = (uint32_t)id;
    return 0;
}

int command_transfer(const struct options *o)
{
    struct transfer t = { .o = o, .until_ms = clock_now_ms() + o->timeout_ms };
    const int mistake = read_node(o, &t.wanted);

    if (mistake != 0) return mistake;
    int code = remote_servers(o->servers, &servers, t.message, sizeof t.message);
    if (code == 0) code = transfer_run(&t);
    return code == 0 ? print_leader(o, t.leader)
                     : report_error(o->command, code, t.message);
}
