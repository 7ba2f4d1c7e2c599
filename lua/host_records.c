#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/hash.h"
#include "lua/host_inside.h"

/* Of one function, since this server started; in the order of their first calls. */
struct host_record {
    struct host_stats stats;
    char name[2 * HOST_NAME_BYTES_MAX + 2];
    size_t name_len, recipe_len;
    uint32_t strikes;        /* over-budget runs in this stretch of time */
    int64_t strike_first_ms; /* the batch's time of the first of them */
    int64_t rests_until_ms;
    int64_t rest_ms; /* of the next rest */
    uint64_t source; /* the hash of the source that went over: another one may be better */
};

static bool is_of(const struct host_record *r, const struct script_call *call)
{
    return r->recipe_len == call->recipe.len &&
           r->name_len == call->recipe.len + 1 + call->function.len &&
           memcmp(r->name, call->recipe.ptr, call->recipe.len) == 0 &&
           memcmp(r->name + r->recipe_len + 1, call->function.ptr, call->function.len) == 0;
}

/* Where the function has its place in `h->records_at`, or would get it. */
static uint16_t *record_place(struct lua_host *h, const struct script_call *call)
{
    uint64_t hash = hash_bytes(call->function, hash_bytes(call->recipe, 0));

    for (size_t i = hash % HOST_PLACES;; i = (i + 1) % HOST_PLACES) {
        uint16_t at = h->records_at[i];

        if (at == 0 || is_of(&h->records[at - 1], call)) return &h->records_at[i];
    }
}

struct host_record *record_find(struct lua_host *h, const struct script_call *call)
{
    uint16_t at = *record_place(h, call);

    return at == 0 ? NULL : &h->records[at - 1];
}

static struct host_record *record_add(struct lua_host *h, const struct script_call *call)
{
    struct host_record *r = &h->records[h->records_count];
    int len = snprintf(r->name, sizeof r->name, "%.*s.%.*s", (int)call->recipe.len,
                       (const char *)call->recipe.ptr, (int)call->function.len,
                       (const char *)call->function.ptr);

    *record_place(h, call) = (uint16_t)++h->records_count;
    r->name_len = (size_t)len;
    r->recipe_len = call->recipe.len;
    r->stats.name = bytes_of(r->name, r->name_len);
    r->rest_ms = HOST_REST_MIN_MS;
    return r;
}

/* What has no such function gets no record: callers choose names. */
static struct host_record *record_make(struct lua_host *h, const struct script_call *call,
                                       const struct script_result *out)
{
    struct host_record *r = record_find(h, call);
    bool none = out->outcome == SCRIPT_ERROR && out->code == ERR_NO_FUNCTION;

    if (r != NULL || none || h->records_count == HOST_RECORDS_MAX) return r;
    if (h->records == NULL) {
        h->records = mem_zalloc(HOST_RECORDS_MAX * sizeof *h->records);
    }
    return record_add(h, call);
}

/* --- rest --- */

/* Who waits already has its turn: a rest must not take a place in a queue from it. */
bool record_rests(const struct host_record *r, const struct script_call *call,
                  const struct run_facts *facts, struct script_result *out)
{
    int64_t left;
    char text[200];

    if (r == NULL || !facts->may_rest || call->began != 0 || call->cancel) return false;
    left = r->rests_until_ms - facts->time_ms;
    if (left <= 0 || r->source != hash_bytes(facts->source, 0)) return false;
    snprintf(text, sizeof text,
             "%.*s went over its budget %d times and rests: ask again in %" PRId64 " ms",
             (int)r->name_len, r->name, HOST_STRIKES_MAX, left);
    end_with(out, ERR_RESTING, bytes_str(text));
    buf_put(&out->value, "\x81\xaeretry_after_ms\xcf", 17); /* {retry_after_ms = u64} */
    for (int shift = 56; shift >= 0; shift -= 8) {
        buf_put_u8(&out->value, (uint8_t)((uint64_t)left >> shift));
    }
    return true;
}

/* It did well for long, or it is another one. */
static bool is_forgiven(const struct host_record *r, uint64_t source, int64_t time_ms)
{
    return r->source != source || time_ms > r->rests_until_ms + r->rest_ms;
}

static void strike(struct host_record *r, const struct run_facts *facts)
{
    const uint64_t source = hash_bytes(facts->source, 0);
    const int64_t time_ms = facts->time_ms;

    if (is_forgiven(r, source, time_ms)) r->rest_ms = HOST_REST_MIN_MS;
    if (r->source != source || time_ms - r->strike_first_ms > HOST_STRIKES_MS) {
        r->strikes = 0;
        r->strike_first_ms = time_ms;
        r->source = source;
    }
    if (++r->strikes < HOST_STRIKES_MAX) return;
    r->strikes = 0;
    r->stats.rests++;
    r->rests_until_ms = r->stats.rests_until_ms = time_ms + r->rest_ms;
    if (r->rest_ms < HOST_REST_MAX_MS) r->rest_ms *= 2;
}

/* --- counts --- */

static void count_run(struct host_stats *s, const struct script_call *call,
                      const struct script_result *out, uint64_t took_ns)
{
    s->runs++;
    if (call->began == 0 && !call->cancel) s->calls++;
    if (out->outcome == SCRIPT_WAIT) s->waits++;
    if (out->outcome == SCRIPT_ERROR) s->errors++;
    s->fuel += out->fuel;
    if (out->fuel > s->fuel_max) s->fuel_max = out->fuel;
    s->time_ns += took_ns;
}

void record_run(struct lua_host *h, const struct script_call *call,
                const struct script_result *out, const struct run_facts *facts)
{
    struct host_record *r = record_make(h, call, out);

    if (r == NULL) return;
    count_run(&r->stats, call, out, facts->took_ns);
    if (out->outcome != SCRIPT_ERROR || out->code != ERR_OVER_BUDGET) return;
    r->stats.over_budget++;
    if (facts->may_rest) strike(r, facts);
}

bool host_stats(const struct lua_host *h, size_t index, struct host_stats *out)
{
    if (index >= h->records_count) return false;
    *out = h->records[index].stats;
    return true;
}

void records_free(struct lua_host *h)
{
    free(h->records);
    h->records = NULL;
    h->records_count = 0;
}
