/* bench.c -- `tidelock bench`: options in; bench_loop.c does the work, bench_report.c tells
 * the figures. */
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cli/bench_loop.h"
#include "cli/bench_report.h"
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

/* A flag that was given and is of another operation alone; NULL: none was. */
static const char *stray_flag(const struct options *o, const char *op, const char **of)
{
    static const struct {
        enum flag flag;
        const char *name, *op;
    } OWN[] = { { FLAG_LOCKS, "--locks", "lock" },
                { FLAG_BATCH, "--batch", "multi" },
                { FLAG_READ_SHARE, "--read-share", "mix" } };

    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++) {
        *of = OWN[i].op;
        if (options_given(o, OWN[i].flag) && strcmp(op, *of) != 0) return OWN[i].name;
    }
    return NULL;
}

static int read_op(const struct options *o, struct bench_config *config)
{
    const char *text = options_text(o, FLAG_OP, NULL), *misfit, *stray, *of;
    char names[200];

    bench_kind_names(names, sizeof names);
    if (text == NULL) return report_usage(o->command, "--op is missing: %s", names);
    config->kind = bench_kind_find(text);
    if (config->kind == NULL) {
        return report_usage(o->command, "--op must be %s, not '%s'", names, text);
    }
    stray = stray_flag(o, text, &of);
    if (stray != NULL) {
        return report_usage(o->command, "--op %s: %s does not fit: it is of %s alone", text,
                            stray, of);
    }
    misfit = bench_kind_misfit(config);
    if (misfit != NULL) return report_usage(o->command, "--op %s: %s", text, misfit);
    config->keys = (uint32_t)options_number(o, FLAG_KEYS, bench_kind_keys(config->kind));
    return 0;
}

static int read_config(const struct options *o, struct bench_config *config)
{
    config->clients = (uint32_t)options_number(o, FLAG_CLIENTS, 1);
    config->depth = (uint32_t)options_number(o, FLAG_DEPTH, 1);
    config->size = (uint32_t)options_number(o, FLAG_SIZE, 100);
    config->locks = (uint32_t)options_number(o, FLAG_LOCKS, 1);
    config->batch = (uint32_t)options_number(o, FLAG_BATCH, 10);
    config->read_share = (uint32_t)options_number(o, FLAG_READ_SHARE, 90);
    config->rate = (uint32_t)options_number(o, FLAG_RATE, 0);
    config->seconds = (uint32_t)options_number(o, FLAG_SECONDS, 10);
    config->warmup_seconds = (uint32_t)options_number(o, FLAG_WARMUP, 3);
    config->timeout_ms = o->timeout_ms;
    config->prepared = options_given(o, FLAG_PREPARED);
    config->progress = options_given(o, FLAG_PROGRESS) || isatty(STDERR_FILENO);
    if (getrandom(&config->seed, sizeof config->seed, 0) != (ssize_t)sizeof config->seed) {
        config->seed = clock_now_us();
    }
    if ((uint64_t)config->clients * config->depth > OUTSTANDING_MAX) {
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
                            clients, (unsigned long long)limit.rlim_max);
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
    config->first = (size_t)leader;
    config->step = options_given(o, FLAG_SPREAD) ? 1 : 0;
    return 0;
}

int command_bench(const struct options *o)
{
    static struct bench_result result;
    static struct bench_hosts hosts;
    struct bench_config config;
    int status, code;

    memset(&config, 0, sizeof config);
    status = read_config(o, &config);
    if (status == 0) status = raise_descriptors(o, config.clients);
    if (status == 0) status = find_servers(o, &config);
    if (status != 0) return status;
    bench_hosts_find(&hosts, &servers);
    code = bench_run(&config, &hosts, &result);
    if (code != 0) return report_error(o->command, code, result.why);
    status = bench_report(o, &config, &hosts, &result);
    if (result.latency_us.count == 0 && result.errors == 0) {
        report_note(o->command, "no operation was done while measuring");
        return CLI_FAILED;
    }
    if (result.errors == 0) return status;
    if (result.last_error < 0) {
        report_error(o->command, result.last_error, result.why);
    } else {
        report_note(o->command, "%s: %s", bench_failure_name(result.last_error),
                    result.why);
    }
    return CLI_FAILED;
}
