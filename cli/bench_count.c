#include "cli/bench_count.h"

#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/errors.h"

void bench_result_clear(struct bench_result *r)
{
    memset(r, 0, sizeof *r);
}

/* The last place is for all that find none of their own. */
static struct bench_failure *failure_of(struct bench_result *r, int code)
{
    for (unsigned i = 0; i < r->failures_count; i++) {
        if (r->failures[i].code == code) return &r->failures[i];
    }
    if (r->failures_count == BENCH_FAILURES_MAX) {
        return &r->failures[BENCH_FAILURES_MAX - 1];
    }

    struct bench_failure *f = &r->failures[r->failures_count++];

    f->code = r->failures_count == BENCH_FAILURES_MAX ? 0 : code;
    return f;
}

void bench_count_failures(struct bench_result *r, uint64_t count, int code,
                          const char *message)
{
    CHECK(code != 0);
    if (count == 0) return;
    failure_of(r, code)->count += count;
    r->errors += count;
    r->last_error = code;
    snprintf(r->why, sizeof r->why, "%s", message == NULL ? "" : message);
}

const char *bench_failure_name(int code)
{
    if (code == BENCH_BROKEN) return "broken_promise";
    return code == 0 ? "other" : error_name(code);
}

double bench_ops_per_s(const struct bench_result *r)
{
    return r->measured_us == 0 ? 0
                               : (double)r->latency_us.count * 1e6 / (double)r->measured_us;
}

/* In two parts, so that a run of days does not pass 64 bits. */
uint64_t bench_pace_next_us(const struct bench_pace *p)
{
    const uint64_t whole = p->taken / p->rate, rest = p->taken % p->rate;

    CHECK(p->rate > 0);
    return p->start_us + whole * 1000000 + rest * 1000000 / p->rate;
}

bool bench_pace_take(struct bench_pace *p, uint64_t now_us, uint64_t *intended_us)
{
    const uint64_t next_us = bench_pace_next_us(p);

    if (now_us < next_us) return false;
    *intended_us = next_us;
    p->taken++;
    return true;
}
