#include "core/machine/query.h"

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/base/limits.h"

void queries_init(struct queries *q, struct scripts *scripts, struct machine *machine,
                  uint64_t seed)
{
    *q = (struct queries){ .scripts = scripts, .machine = machine };
    tx_init(&q->tx, &machine->applied->view, seed);
}

void queries_fini(struct queries *q)
{
    tx_fini(&q->tx);
    buf_fini(&q->out.value);
    buf_fini(&q->out.message);
    buf_fini(&q->out.paths);
    buf_fini(&q->message);
}

void queries_turn(struct queries *q)
{
    q->fuel = 0;
}

bool queries_are_tired(const struct queries *q)
{
    return q->fuel >= SCRIPT_FUEL_MAX;
}

static void refuse(struct queries *q, struct result *result, int code, struct bytes detail)
{
    buf_clear(&q->message);
    result_put_message(&q->message, code, detail);
    result->code = code;
    result->message = buf_bytes(&q->message);
}

static void run_script(struct queries *q, const struct query *query)
{
    const struct script_call call = { .recipe = query->recipe,
                                      .function = query->function,
                                      .args = query->args };

    tx_reset(&q->tx);
    q->tx.read_only = true;
    q->tx.zxid = q->machine->zxid;
    q->tx.time_ms = q->machine->time_ms;
    script_result_clear(&q->out);
    q->scripts->run(q->scripts, &call, &q->tx, &q->out);
    q->fuel += q->out.fuel;
    CHECK(q->tx.ops_count == 0 && q->tx.over.count == 0); /* Q1 */
}

void queries_run(struct queries *q, const struct query *query, struct result *result)
{
    *result = (struct result){ .index = -1, .zxid = q->machine->zxid };
    if (q->scripts == NULL) {
        refuse(q, result, ERR_NO_RECIPE, BYTES_LIT("this server runs no recipes"));
        return;
    }
    run_script(q, query);
    switch (q->out.outcome) {
    case SCRIPT_DONE:
        if (q->out.value.len > 0) result->value = buf_bytes(&q->out.value);
        return;
    case SCRIPT_WAIT:
        refuse(q, result, ERR_READ_ONLY, BYTES_LIT("a query cannot wait"));
        return;
    case SCRIPT_ERROR:
        CHECK(q->out.code < 0);
        refuse(q, result, q->out.code, buf_bytes(&q->out.message));
        if (q->out.value.len > 0) result->value = buf_bytes(&q->out.value);
        return;
    }
    CHECK(false);
}
