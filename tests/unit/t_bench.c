/* t_bench.c -- the arithmetic of `tidelock bench`: when operations of an open loop are to
 * begin, how failures are counted, who listens on a port.
 *
 * Method: cases by hand. */
#include "cli/bench_count.h"
#include "cli/bench_hosts.h"
#include "cli/bench_loop.h"
#include "core/base/errors.h"
#include "tests/lib/tap.h"

static struct bench_result result;

static void arrivals_are_evenly_spaced_and_do_not_drift(void)
{
    struct bench_pace p = { .rate = 3, .start_us = 1000 };
    uint64_t at = 0;

    OK(bench_pace_take(&p, 1000, &at));
    IS(at, 1000);
    OK(!bench_pace_take(&p, 334332, &at));
    OK(bench_pace_take(&p, 334333, &at));
    IS(at, 334333);
    IS(bench_pace_next_us(&p), 667666);
    p.taken = 3 * 86400;
    IS(bench_pace_next_us(&p), 1000 + UINT64_C(86400) * 1000000);
}

static void an_arrival_that_is_late_keeps_its_time(void)
{
    struct bench_pace p = { .rate = 10, .start_us = 0 };
    uint64_t at = 0;

    for (unsigned i = 0; i <= 10; i++) {
        OK(bench_pace_take(&p, 1000000, &at));
        IS(at, i * 100000);
    }
    OK(!bench_pace_take(&p, 1000000, &at));
}

static void a_pace_of_days_at_the_highest_rate_stays_exact(void)
{
    const struct bench_pace p = { .rate = 10000000,
                                  .taken = UINT64_C(10000000) * 864000 + 15 };

    IS(bench_pace_next_us(&p), UINT64_C(864000) * 1000000 + 1);
}

static void failures_are_counted_by_name(void)
{
    bench_result_clear(&result);
    bench_count_failures(&result, 2, ERR_BUSY, "queue");
    bench_count_failures(&result, 1, BENCH_BROKEN, "a token fell");
    bench_count_failures(&result, 3, ERR_BUSY, NULL);
    bench_count_failures(&result, 0, ERR_TIMEOUT, "none");
    IS(result.errors, 6);
    IS(result.failures_count, 2);
    IS(result.failures[0].count, 5);
    STR(bench_failure_name(result.failures[0].code), "busy");
    STR(bench_failure_name(result.failures[1].code), "broken_promise");
    IS(result.last_error, ERR_BUSY);
    STR(result.why, "");
}

static void too_many_kinds_of_failures_share_the_last_place(void)
{
    uint64_t sum = 0;

    bench_result_clear(&result);
    for (int code = -1; code > -60; code--)
        bench_count_failures(&result, 1, code, "x");
    IS(result.failures_count, BENCH_FAILURES_MAX);
    STR(bench_failure_name(result.failures[BENCH_FAILURES_MAX - 1].code), "other");
    for (unsigned i = 0; i < result.failures_count; i++)
        sum += result.failures[i].count;
    IS(sum, 59);
    IS(result.errors, 59);
}

static void throughput_is_what_succeeded_in_the_time_it_took(void)
{
    bench_result_clear(&result);
    OK(bench_ops_per_s(&result) == 0);
    for (int i = 0; i < 500; i++)
        histogram_add(&result.latency_us, 10);
    bench_count_failures(&result, 100, ERR_BUSY, NULL);
    result.measured_us = 2000000;
    OK(bench_ops_per_s(&result) == 250.0);
}

static void a_listening_socket_is_read_from_the_kernels_table(void)
{
    static const char listens[] =
        "   1: 0100007F:1CE8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0 "
        "       0 2734 1 0000000000000000 100 0 0 10 0";
    static const char listens_6[] =
        "   0: 00000000000000000000000001000000:1CE8 00000000000000000000000000000000:0000 "
        "0A "
        "00000000:00000000 00:00000000 00000000  1000        0 77001 1 0 100 0 0 10 0";
    static const char connected[] =
        "   3: 0100007F:1CE8 0100007F:B2F0 01 00000000:00000000 02:000003E8 00000000     0 "
        "       0 2735 2 0000000000000000 20 4 30 10 -1";
    unsigned port = 0;
    uint64_t inode = 0;

    OK(bench_hosts_parse(listens, &port, &inode));
    IS(port, 7400);
    IS(inode, 2734);
    OK(bench_hosts_parse(listens_6, &port, &inode));
    IS(inode, 77001);
    OK(!bench_hosts_parse(connected, &port, &inode));
    OK(!bench_hosts_parse("  sl  local_address rem_address   st tx_queue", &port, &inode));
    OK(!bench_hosts_parse("", &port, &inode));
}

static void one_unknown_server_makes_the_sum_unknown(void)
{
    static struct bench_hosts h = { .count = 3 };
    uint64_t cpu_us, resident;

    h.at[0] = (struct bench_host){ .pid = 7, .cpu_us = 5, .resident_bytes = 100 };
    h.at[1] = (struct bench_host){ .pid = 8, .cpu_us = 6, .resident_bytes = 200 };
    h.at[2] = h.at[0]; /* the same server under another name */
    OK(bench_hosts_sum(&h, &cpu_us, &resident));
    IS(cpu_us, 11);
    IS(resident, 300);
    h.at[1].pid = 0;
    OK(!bench_hosts_sum(&h, &cpu_us, &resident));
}

static void what_does_not_fit_an_operation_is_told(void)
{
    struct bench_config c = { .kind = bench_kind_find("watch"), .depth = 2 };

    OK(bench_kind_misfit(&c) != NULL);
    c.depth = 1;
    OK(bench_kind_misfit(&c) == NULL);
    c.kind = bench_kind_find("barrier");
    c.rate = 5;
    OK(bench_kind_misfit(&c) != NULL);
    c.kind = bench_kind_find("lock");
    c.depth = 9;
    OK(bench_kind_misfit(&c) == NULL);
    OK(bench_kind_find("frob") == NULL);
}

int main(void)
{
    TEST(arrivals_are_evenly_spaced_and_do_not_drift);
    TEST(an_arrival_that_is_late_keeps_its_time);
    TEST(a_pace_of_days_at_the_highest_rate_stays_exact);
    TEST(failures_are_counted_by_name);
    TEST(too_many_kinds_of_failures_share_the_last_place);
    TEST(throughput_is_what_succeeded_in_the_time_it_took);
    TEST(a_listening_socket_is_read_from_the_kernels_table);
    TEST(one_unknown_server_makes_the_sum_unknown);
    TEST(what_does_not_fit_an_operation_is_told);
    return tap_done();
}
