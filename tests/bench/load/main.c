/* main.c -- bench-load WIRE JOB --servers HOST:PORT,...: one line of JSON with what it
 * measured.
 *
 *     bench-load zookeeper set --servers 127.0.0.1:2181 --clients 12 --depth 100
 *     bench-load etcd create --servers 127.0.0.1:2379 --clients 12 --depth 100 --count
 * 1000000 bench-load tidelock lock --servers 127.0.0.1:7400 --clients 100 --locks 1
 *
 * Connections go to the servers named in turn. "measuring" on stderr says when the warm-up
 * is over. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum { GRACE_SECONDS = 60, COUNT_SECONDS_MAX = 900 };

static const struct wire *const wires[] = { &WIRE_ZOOKEEPER, &WIRE_ETCD, &WIRE_TIDELOCK,
                                            &WIRE_ECHO };
static const struct job *const jobs[] = { &JOB_GET,  &JOB_SET,   &JOB_CREATE, &JOB_COUNTER,
                                          &JOB_LOCK, &JOB_QUEUE, &JOB_OUTAGE, &JOB_PROBE };

static const struct option flags[] = { { "servers", required_argument, NULL, 'a' },
                                       { "clients", required_argument, NULL, 'c' },
                                       { "depth", required_argument, NULL, 'd' },
                                       { "size", required_argument, NULL, 's' },
                                       { "keys", required_argument, NULL, 'k' },
                                       { "locks", required_argument, NULL, 'l' },
                                       { "seconds", required_argument, NULL, 't' },
                                       { "warmup", required_argument, NULL, 'w' },
                                       { "count", required_argument, NULL, 'n' },
                                       { NULL, 0, NULL, 0 } };

static _Noreturn void usage(void)
{
    load_fail("usage: bench-load zookeeper|etcd|tidelock|echo "
              "get|set|create|counter|lock|queue|outage|probe --servers HOST:PORT,... "
              "[--clients N] [--depth N] [--size BYTES] [--keys N] [--locks N] "
              "[--seconds S] [--warmup S] [--count N]");
}

static void read_names(struct load_config *config, const char *wire, const char *job)
{
    for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++) {
        if (strcmp(wires[i]->name, wire) == 0) config->wire = wires[i];
    }
    for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
        if (strcmp(jobs[i]->name, job) == 0) config->job = jobs[i];
    }
    if (config->wire == NULL || config->job == NULL) usage();
    if (config->job->recipe && !config->wire->recipes) {
        load_fail("%s is not spoken well enough for '%s'", wire, job);
    }
}

static void read_servers(struct load_config *config, char *list)
{
    for (char *at = strtok(list, ","); at != NULL; at = strtok(NULL, ",")) {
        if (config->servers_count == LOAD_SERVERS_MAX) usage();
        config->servers[config->servers_count++] = at;
    }
}

static uint32_t number(const char *text)
{
    char *end;
    const unsigned long long n = strtoull(text, &end, 10);

    if (*end != '\0' || end == text || n > UINT32_MAX) usage();
    return (uint32_t)n;
}

static void read_flags(struct load_config *config, int argc, char **argv)
{
    int flag;

    while ((flag = getopt_long(argc, argv, "", flags, NULL)) != -1) {
        if (flag == 'a')
            read_servers(config, optarg);
        else if (flag == 'c')
            config->clients = number(optarg);
        else if (flag == 'd')
            config->depth = number(optarg);
        else if (flag == 's')
            config->size = number(optarg);
        else if (flag == 'k')
            config->keys = number(optarg);
        else if (flag == 'l')
            config->locks = number(optarg);
        else if (flag == 't')
            config->seconds = number(optarg);
        else if (flag == 'w')
            config->warmup_seconds = number(optarg);
        else if (flag == 'n')
            config->count = number(optarg);
        else
            usage();
    }
    if (optind + 2 != argc || config->servers_count == 0) usage();
    if (config->clients == 0 || config->depth == 0 || config->locks == 0) usage();
    read_names(config, argv[optind], argv[optind + 1]);
}

static void print_result(const struct load *l)
{
    const struct load_result *r = &l->result;
    const struct histogram *h = &r->latency_us;
    const double seconds = (double)r->measured_us / 1e6;

    printf("{\"op\":\"%s\",\"clients\":%u,\"depth\":%u,\"size\":%u,", l->config.job->name,
           l->config.clients, l->config.depth, l->config.size);
    printf("\"ops_per_s\":%.1f,\"p50_us\":%llu,\"p99_us\":%llu,\"max_us\":%llu,",
           (double)h->count / seconds, (unsigned long long)histogram_at(h, 500),
           (unsigned long long)histogram_at(h, 990), (unsigned long long)h->max);
    printf("\"errors\":%llu,\"retries_per_op\":%.2f,\"handover_p50_us\":%llu,"
           "\"gap_us\":%llu}\n",
           (unsigned long long)r->errors,
           h->count > 0 ? (double)r->retries / (double)h->count : 0,
           (unsigned long long)histogram_at(&r->handover_us, 500),
           (unsigned long long)r->gap_us);
}

int main(int argc, char **argv)
{
    static struct load l;
    struct load_config *config = &l.config;

    *config = (struct load_config){ .clients = 1,
                                    .depth = 1,
                                    .size = 100,
                                    .keys = 1024,
                                    .locks = 1,
                                    .seconds = 5,
                                    .warmup_seconds = 2 };
    read_flags(config, argc, argv);
    CHECK(getrandom(&l.seed, sizeof l.seed, 0) == (ssize_t)sizeof l.seed);
    if (config->job == &JOB_PROBE) {
        config->warmup_seconds = 0;
        config->seconds = COUNT_SECONDS_MAX;
    }
    /* A server that never answers must not hold up the comparison. */
    alarm(GRACE_SECONDS + config->warmup_seconds +
          (config->count > 0 ? COUNT_SECONDS_MAX : config->seconds));
    load_run(&l);
    print_result(&l);
    return l.result.latency_us.count > 0 ? 0 : 1;
}
