/* status.c -- `tidelock status`: every server that is given, and every member they name. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/json.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/probe.h"
#include "core/base/errors.h"

/* What was asked: probes[i] is the answer of servers.at[i]. */
static struct servers servers;
static struct probe probes[SERVERS_MAX];

/* The id of a server that did not answer, from what the others say; 0 = nobody knows. */
static uint32_t id_of(size_t i)
{
    char name[SERVER_TEXT_MAX];

    if (probes[i].node != 0) return probes[i].node;
    server_text(&servers.at[i], name);
    for (size_t k = 0; k < servers.count; k++) {
        for (size_t m = 0; m < probes[k].members_count; m++) {
            if (strcmp(probes[k].members[m].client, name) == 0) {
                return probes[k].members[m].node;
            }
        }
    }
    return 0;
}

static void put_json(struct buf *text)
{
    buf_put_bytes_raw(text, BYTES_LIT("{\"servers\":["));
    for (size_t i = 0; i < servers.count; i++) {
        const struct probe *p = &probes[i];
        const uint32_t id = id_of(i);
        char name[SERVER_TEXT_MAX];

        buf_put_bytes_raw(text, bytes_str(i == 0 ? "{\"id\":" : ",{\"id\":"));
        if (id == 0) {
            buf_put_bytes_raw(text, BYTES_LIT("null"));
        } else {
            report_printf(text, "%u", id);
        }
        report_printf(text, ",\"role\":\"%s\",\"client\":", probe_role(p));
        json_put_string(text, bytes_str(server_text(&servers.at[i], name)));
        if (p->node != 0) {
            report_printf(text, ",\"applied\":%llu,\"zxid\":%llu,\"version\":",
                          (unsigned long long) p->applied, (unsigned long long) p->zxid);
            json_put_string(text, bytes_str(p->version));
        } else {
            buf_put_bytes_raw(text,
                              BYTES_LIT(",\"applied\":null,\"zxid\":null,\"error\":"));
            json_put_string(text, bytes_str(p->why));
        }
        buf_put_u8(text, '}');
    }
    buf_put_bytes_raw(text, BYTES_LIT("]}\n"));
}

static void put_plain(struct buf *text)
{
    report_printf(text, "%-3s %-9s %-24s %12s %12s\n", "id", "role", "client", "applied",
                  "zxid");
    for (size_t i = 0; i < servers.count; i++) {
        const struct probe *p = &probes[i];
        char id[12] = "-", name[SERVER_TEXT_MAX];

        if (id_of(i) != 0) snprintf(id, sizeof id, "%u", id_of(i));
        report_printf(text, "%-3s %-9s %-24s ", id, probe_role(p),
                      server_text(&servers.at[i], name));
        if (p->node == 0) {
            report_printf(text, "%s\n", p->why);
        } else {
            report_printf(text, "%12llu %12llu\n", (unsigned long long) p->applied,
                          (unsigned long long) p->zxid);
        }
    }
}

int command_status(const struct options *o)
{
    struct buf text = { 0 };
    char why[300];
    size_t answered;
    int status;

    if (remote_servers(o->servers, &servers, why, sizeof why) != 0) {
        return report_error(o->command, ERR_CONFIG, why);
    }
    answered = probe_all(probes, &servers, o->timeout_ms < 2000 ? o->timeout_ms : 2000);
    if (answered == 0) {
        char name[SERVER_TEXT_MAX];

        snprintf(why, sizeof why, "%.100s: %s", server_text(&servers.at[0], name),
                 probes[0].why);
        return report_error(o->command, ERR_UNREACHABLE, why);
    }
    if (o->json) {
        put_json(&text);
    } else {
        put_plain(&text);
    }
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}
