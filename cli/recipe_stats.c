/* recipe_stats.c -- `tidelock recipe stats`: what every server's functions did, added up. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/json.h"
#include "cli/probe.h"
#include "cli/recipe.h"
#include "cli/report.h"
#include "core/base/errors.h"

enum { FUNCTIONS_MAX = 4096, COUNTS = 10, ASK_MS = 2000 };

static const char *const NAMES[COUNTS] = { "calls", "runs", "waits", "errors",
    "over_budget", "fuel", "time_us", "rests", "fuel_max", "rests_until_ms" };
enum { CALLS = 0, RUNS, WAITS, ERRORS, OVER, FUEL, TIME, RESTS, FUEL_MAX, RESTS_UNTIL };

struct function {
    char name[132];
    uint64_t counts[COUNTS]; /* the last two are not added up: the largest counts */
};

struct stats {
    const struct options *o;
    struct function *at;
    size_t count;
};

static bool is_wanted(const struct options *o, struct bytes name)
{
    const size_t len = o->words_count == 0 ? 0 : strlen(o->words[0]);

    if (name.len == 0 || name.len >= sizeof((struct function *) 0)->name) return false;
    if (len == 0) return true;
    return name.len >= len && memcmp(name.ptr, o->words[0], len) == 0 &&
           (name.len == len || name.ptr[len] == '.');
}

static struct function *function_of(struct stats *s, struct bytes name)
{
    for (size_t i = 0; i < s->count; i++) {
        if (bytes_equal(bytes_str(s->at[i].name), name)) return &s->at[i];
    }
    if (s->count == FUNCTIONS_MAX) return NULL;
    snprintf(s->at[s->count].name, sizeof s->at[0].name, "%.*s", (int) name.len,
             (const char *) name.ptr);
    return &s->at[s->count++];
}

static void take_function(struct stats *s, const msgpack_object *from)
{
    const struct bytes name = rpc_bytes(rpc_member(from, "name"));
    struct function *f = is_wanted(s->o, name) ? function_of(s, name) : NULL;

    for (size_t i = 0; f != NULL && i < COUNTS; i++) {
        const uint64_t n = rpc_uint(rpc_member(from, NAMES[i]), 0);

        if (i < FUEL_MAX) f->counts[i] += n;
        else if (n > f->counts[i]) f->counts[i] = n;
    }
}

static void on_stats(void *ctx, const msgpack_object *result)
{
    const msgpack_object *list = rpc_member(result, "functions");

    if (list == NULL || list->type != MSGPACK_OBJECT_ARRAY) return;
    for (uint32_t i = 0; i < list->via.array.size; i++) {
        take_function(ctx, &list->via.array.ptr[i]);
    }
}

static int ask_one(struct stats *s, const struct server *server)
{
    char name[SERVER_TEXT_MAX];
    const struct options o = { .servers = server_text(server, name), .timeout_ms = ASK_MS };
    struct client_request request = { .method = METHOD_RECIPE_STATS };
    struct remote remote;
    int code = remote_open(&remote, &o, 0);

    if (code != 0) return code;
    remote.channel.alone = true;
    code = remote_ask(&remote, &request, ASK_MS, on_stats, s);
    remote_close(&remote);
    return code;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct function *) a)->name, ((const struct function *) b)->name);
}

static unsigned long long ull(uint64_t n)
{
    return n;
}

static void put_plain(struct buf *text, const struct function *f, uint64_t now_ms)
{
    const uint64_t *n = f->counts, runs = n[RUNS] == 0 ? 1 : n[RUNS];

    report_printf(text, "%-28s %10llu %10llu %8llu %8llu %8llu %9llu %9llu", f->name,
                  ull(n[CALLS]), ull(n[RUNS]), ull(n[WAITS]), ull(n[ERRORS]), ull(n[OVER]),
                  ull(n[FUEL] / runs), ull(n[TIME] * 1000 / runs));
    if (n[RESTS_UNTIL] > now_ms) {
        report_printf(text, " rests for %llu ms", ull(n[RESTS_UNTIL] - now_ms));
    }
    buf_put_u8(text, '\n');
}

static void put_json(struct buf *text, const struct function *f)
{
    buf_put_bytes_raw(text, BYTES_LIT("{\"name\":"));
    json_put_string(text, bytes_str(f->name));
    for (size_t i = 0; i < COUNTS; i++) {
        report_printf(text, ",\"%s\":%llu", NAMES[i], ull(f->counts[i]));
    }
    buf_put_u8(text, '}');
}

static void put_all(const struct stats *s, struct buf *text)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (s->o->json) {
        buf_put_bytes_raw(text, BYTES_LIT("{\"functions\":["));
    } else {
        report_printf(text, "%-28s %10s %10s %8s %8s %8s %9s %9s\n", "function", "calls",
                      "runs", "waits", "errors", "over", "fuel/run", "ns/run");
    }
    for (size_t i = 0; i < s->count; i++) {
        if (!s->o->json) {
            put_plain(text, &s->at[i], (uint64_t) now.tv_sec * 1000);
            continue;
        }
        if (i > 0) buf_put_u8(text, ',');
        put_json(text, &s->at[i]);
    }
    if (s->o->json) buf_put_bytes_raw(text, BYTES_LIT("]}\n"));
}

int command_recipe_stats(const struct options *o)
{
    static struct servers servers;
    static struct probe probes[SERVERS_MAX];
    struct stats s = { .o = o };
    struct buf text = { 0 };
    char why[300];
    int answered = 0, status;

    if (remote_servers(o->servers, &servers, why, sizeof why) != 0) {
        return report_error(o->command, ERR_CONFIG, why);
    }
    (void) probe_all(probes, &servers, o->timeout_ms < ASK_MS ? o->timeout_ms : ASK_MS);
    s.at = calloc(FUNCTIONS_MAX, sizeof *s.at);
    if (s.at == NULL) return CLI_FAILED;
    for (size_t i = 0; i < servers.count; i++) {
        if (probes[i].node != 0 && ask_one(&s, &servers.at[i]) == 0) answered++;
    }
    if (answered == 0) {
        status = report_error(o->command, ERR_UNREACHABLE, o->servers);
    } else {
        qsort(s.at, s.count, sizeof *s.at, compare);
        put_all(&s, &text);
        status = report_write(o->command, buf_bytes(&text));
    }
    free(s.at);
    buf_fini(&text);
    return status;
}
