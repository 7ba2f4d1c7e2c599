/* How soon a server serves: tries to connect and to write until a write has succeeded, then
 * ends. */
#include "tests/bench/load/load.h"

static void prepare(struct load *l)
{
    (void)l;
}

static void fill(struct load *l, struct conn *c)
{
    const struct load_request r = {
        .op = LOAD_SET, .path = "/bench", .value = l->value, .version = -1
    };

    if (c->outstanding == 0) (void)conn_ask(c, &r, l->now_us);
}

static void answer(struct load *l, struct conn *c, const struct pending *request,
                   const struct load_answer *a)
{
    (void)c;
    if (request == NULL) return;
    if (a->outcome == LOAD_DONE) {
        load_count(l, request->sent_us);
        l->result.found = true;
    } else {
        l->result.errors++;
    }
}

const struct job JOB_PROBE = {
    .name = "probe", .survives = true, .prepare = prepare, .fill = fill, .answer = answer
};
