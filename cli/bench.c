/* bench.c -- `tidelock bench`: options in, figures out; bench_loop.c does the work. */
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/bench_loop.h"
#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/remote.h"
#include "cli/report.h"
#include "cli/probe.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

enum { OUTSTANDING_MAX = 1000000, FDS_SPARE = 32 };

static struct servers servers;
static struct probe probes[SERVERS_MAX];

static int read_op(const struct options *o, struct bench_config *config)
{
    static const char *const names[] = {
        [BENCH_SET] = "set", [BENCH_GET] = "get", [BENCH_CREATE] = "create"
    };
    const char *text = options_text(o, FLAG_OP, NULL);

    if (text == NULL) return report_usage(o->command, "--op set, get or create is missing");
    for (unsigned i = BENCH_SET; i <= BENCH_CREATE; i++) {
        if (strcmp(text, names[i]) != 0) continue;
        config->op = (enum bench_op) i;
        return 0;
    }
    return report_usage(o->command, "--op must be set, get or create, not '%s'", text);
}

static int read_config(const struct options *o, struct bench_config *config)
{
    config->clients = (uint32_t) options_number(o, FLAG_CLIENTS, 1);
    config->depth = (uint32_t) options_number(o, FLAG_DEPTH, 1);
    config->size = (uint32_t) options_number(o, FLAG_SIZE, 100);
    config->keys = (uint32_t) options_number(o, FLAG_KEYS, 1024);
    config->seconds = (uint32_t) options_number(o, FLAG_SECONDS, 10);
    config->warmup_seconds = (uint32_t) options_number(o, FLAG_WARMUP, 3);
    config->timeout_ms = o->timeout_ms;
    if (getrandom(&config->seed, sizeof config->seed, 0) != (ssize_t) sizeof config->seed) {
        config->seed = clock_now_us();
    }
    if ((uint64_t) config->clients * config->depth > OUTSTANDING_MAX) {
        return report_usage(o->command, "--clients times --depth must be %d at most",
                            OUTSTANDING_MAX);
    }
    return read_op(o, config);
}

/* Every client is a descriptor. */
static int raise_descriptors(const struct options *o, uint32_t clients)
{
    const rlim_t wanted = clients + FDS_SPARE;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return 0;
    if (limit.rlim_max < wanted) {
        return report_usage(o->command,
                            "--clients %u is more than the %llu descriptors that "
                            "a process may have here",
                            clients, (unsigned long long) limit.rlim_max);
    }
    limit.rlim_cur = wanted;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? 0 : CLI_FAILED;
}

/* Where the clients connect: to the leader, or with --spread to all in turn. */
static int find_servers(const struct options *o, struct bench_config *config)
{
    char why[300];
    size_t answered;
    int leader;

    if (remote_servers(o->servers, &servers, why, sizeof why) != 0) {
        return report_error(o->command, ERR_CONFIG, why);
    }
    leader = probe_await_leader(probes, &servers, o->timeout_ms, &answered);
    if (answered == 0) {
        char name[SERVER_TEXT_MAX];

        snprintf(why, sizeof why, "%.100s: %s", server_text(&servers.at[0], name),
                 probes[0].why);
        return report_error(o->command, ERR_UNREACHABLE, why);
    }
    if (leader < 0) return report_error(o->command, ERR_NO_QUORUM, "no server leads");
    config->servers = &servers;
    config->first = (size_t) leader;
    config->step = options_given(o, FLAG_SPREAD) ? 1 : 0;
    return 0;
}

static int print_result(const struct options *o, const struct bench_config *config,
                        const struct bench_result *result)
{
    const struct histogram *h = &result->latency_us;
    const double seconds = (double) result->measured_us / 1e6;
    const double rate = seconds > 0 ? (double) h->count / seconds : 0;
    const unsigned long long p50 = histogram_at(h, 500), p99 = histogram_at(h, 990);
    struct buf text = { 0 };
    int status;

    if (o->json) {
        report_printf(&text, "{\"op\":\"%s\",\"clients\":%u,\"depth\":%u,\"size\":%u,",
                      o->text[FLAG_OP], config->clients, config->depth, config->size);
        report_printf(&text, "\"ops_per_s\":%.1f,\"p50_us\":%llu,\"p99_us\":%llu,", rate,
                      p50, p99);
        report_printf(&text, "\"max_us\":%llu,\"errors\":%llu}\n",
                      (unsigned long long) h->max, (unsigned long long) result->errors);
    } else {
        report_printf(&text, "%-7s %7s %6s %8s %12s %9s %9s %9s %7s\n", "op", "clients",
                      "depth", "size", "ops/s", "p50 us", "p99 us", "max us", "errors");
        report_printf(&text, "%-7s %7u %6u %8u %12.1f %9llu %9llu %9llu %7llu\n",
                      o->text[FLAG_OP], config->clients, config->depth, config->size, rate,
                      p50, p99, (unsigned long long) h->max,
                      (unsigned long long) result->errors);
    }
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

int command_bench(const struct options *o)
{
    static struct bench_result result;
    struct bench_config config;
    int status, code;

    memset(&config, 0, sizeof config);
    status = read_config(o, &config);
    if (status == 0) status = raise_descriptors(o, config.clients);
    if (status == 0) status = find_servers(o, &config);
    if (status != 0) return status;
    code = bench_run(&config, &result);
    if (code != 0) return report_error(o->command, code, result.why);
    status = print_result(o, &config, &result);
    if (result.latency_us.count == 0) {
        report_note(o->command, "no request was answered while measuring");
        return CLI_FAILED;
    }
    if (result.errors == 0) return status;
    return report_error(o->command, result.last_error, result.why) == 0 ? status
                                                                        : CLI_FAILED;
}
