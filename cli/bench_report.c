#include "cli/bench_report.h"

#include "cli/json.h"
#include "cli/report.h"

static unsigned long long at(const struct histogram *h, unsigned per_mille)
{
    return (unsigned long long)histogram_at(h, per_mille);
}

/* Seconds of CPU for 1,000 operations. */
static double per_thousand(uint64_t cpu_us, const struct bench_result *result)
{
    const uint64_t count = result->latency_us.count;
    return count == 0 ? 0 : (double)cpu_us / 1e3 / (double)count;
}

/* --- JSON --- */

static void put_failures(struct buf *text, const struct bench_result *result)
{
    buf_put_bytes_raw(text, BYTES_LIT("\"errors_by_name\":{"));
    for (unsigned i = 0; i < result->failures_count; i++) {
        const struct bench_failure *f = &result->failures[i];

        report_printf(text, "%s\"%s\":%llu", i == 0 ? "" : ",", bench_failure_name(f->code),
                      (unsigned long long)f->count);
    }
    buf_put_bytes_raw(text, BYTES_LIT("},"));
}

static void put_host(struct buf *text, const struct bench_host *host,
                     const struct server *server)
{
    char name[SERVER_TEXT_MAX];

    buf_put_bytes_raw(text, BYTES_LIT("{\"client\":"));
    json_put_string(text, bytes_str(server_text(server, name)));
    if (host->pid == 0) {
        buf_put_bytes_raw(
            text, BYTES_LIT(",\"pid\":null,\"cpu_s\":null,\"resident_bytes\":null}"));
        return;
    }
    report_printf(text, ",\"pid\":%d,\"cpu_s\":%.6f,\"resident_bytes\":%llu}", host->pid,
                  (double)host->cpu_us / 1e6, (unsigned long long)host->resident_bytes);
}

static void put_hosts(struct buf *text, const struct bench_config *config,
                      const struct bench_hosts *hosts, const struct bench_result *result)
{
    uint64_t cpu_us, resident;

    if (bench_hosts_sum(hosts, &cpu_us, &resident)) {
        report_printf(text,
                      "\"server_cpu_s_per_1000\":%.6f,\"server_resident_bytes\":%llu,",
                      per_thousand(cpu_us, result), (unsigned long long)resident);
    } else {
        buf_put_bytes_raw(text, BYTES_LIT("\"server_cpu_s_per_1000\":null,"
                                          "\"server_resident_bytes\":null,"));
    }
    report_printf(text, "\"client_cpu_s_per_1000\":%.6f,\"servers\":[",
                  per_thousand(hosts->self.cpu_us, result));
    for (size_t i = 0; i < hosts->count; i++) {
        if (i > 0) buf_put_u8(text, ',');
        put_host(text, &hosts->at[i], &config->servers->at[i]);
    }
    buf_put_u8(text, ']');
}

static void put_json(struct buf *text, const struct bench_config *config,
                     const struct bench_hosts *hosts, const struct bench_result *result)
{
    const struct histogram *h = &result->latency_us;

    report_printf(text, "{\"op\":\"%s\",\"clients\":%u,\"depth\":%u,\"size\":%u,",
                  bench_kind_name(config->kind), config->clients, config->depth,
                  config->size);
    if (config->rate > 0) report_printf(text, "\"rate\":%u,", config->rate);
    report_printf(text, "\"seconds\":%.3f,\"count\":%llu,\"ops_per_s\":%.1f,",
                  (double)result->measured_us / 1e6, (unsigned long long)h->count,
                  bench_ops_per_s(result));
    report_printf(text, "\"p50_us\":%llu,\"p90_us\":%llu,\"p99_us\":%llu,", at(h, 500),
                  at(h, 900), at(h, 990));
    report_printf(text, "\"p999_us\":%llu,\"max_us\":%llu,", at(h, 999),
                  (unsigned long long)h->max);
    if (result->handover_us.count > 0) {
        report_printf(text, "\"handover_p50_us\":%llu,\"handover_p99_us\":%llu,",
                      at(&result->handover_us, 500), at(&result->handover_us, 990));
    }
    report_printf(text, "\"errors\":%llu,", (unsigned long long)result->errors);
    put_failures(text, result);
    put_hosts(text, config, hosts, result);
    buf_put_bytes_raw(text, BYTES_LIT("}\n"));
}

/* --- the table --- */

static void put_plain_hosts(struct buf *text, const struct bench_config *config,
                            const struct bench_hosts *hosts,
                            const struct bench_result *result)
{
    report_printf(text, "\n%-24s %9s %18s %14s\n", "process", "pid", "CPU s/1,000 ops",
                  "resident MB");
    for (size_t i = 0; i < hosts->count; i++) {
        const struct bench_host *host = &hosts->at[i];
        char name[SERVER_TEXT_MAX];

        server_text(&config->servers->at[i], name);
        if (host->pid == 0) {
            report_printf(text, "%-24s %9s %18s %14s\n", name, "unknown", "unknown",
                          "unknown");
            continue;
        }
        report_printf(text, "%-24s %9d %18.5f %14.1f\n", name, host->pid,
                      per_thousand(host->cpu_us, result),
                      (double)host->resident_bytes / 1e6);
    }
    report_printf(text, "%-24s %9d %18.5f %14.1f\n", "this load generator", hosts->self.pid,
                  per_thousand(hosts->self.cpu_us, result),
                  (double)hosts->self.resident_bytes / 1e6);
}

static void put_plain(struct buf *text, const struct bench_config *config,
                      const struct bench_hosts *hosts, const struct bench_result *result)
{
    const struct histogram *h = &result->latency_us;

    report_printf(text, "%-8s %7s %6s %8s %12s %9s %9s %9s %9s %9s %7s\n", "op", "clients",
                  "depth", "size", "ops/s", "p50 us", "p90 us", "p99 us", "p99.9 us",
                  "max us", "errors");
    report_printf(text, "%-8s %7u %6u %8u %12.1f %9llu %9llu %9llu %9llu %9llu %7llu\n",
                  bench_kind_name(config->kind), config->clients, config->depth,
                  config->size, bench_ops_per_s(result), at(h, 500), at(h, 900), at(h, 990),
                  at(h, 999), (unsigned long long)h->max,
                  (unsigned long long)result->errors);
    if (result->handover_us.count > 0) {
        report_printf(text, "hand-over: p50 %llu us, p99 %llu us\n",
                      at(&result->handover_us, 500), at(&result->handover_us, 990));
    }
    for (unsigned i = 0; i < result->failures_count; i++) {
        report_printf(text, "%llu x %s\n", (unsigned long long)result->failures[i].count,
                      bench_failure_name(result->failures[i].code));
    }
    put_plain_hosts(text, config, hosts, result);
}

int bench_report(const struct options *o, const struct bench_config *config,
                 const struct bench_hosts *hosts, const struct bench_result *result)
{
    struct buf text = { 0 };
    int status;

    if (o->json) {
        put_json(&text, config, hosts, result);
    } else {
        put_plain(&text, config, hosts, result);
    }
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}
