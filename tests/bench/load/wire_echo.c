/* No protocol at all: 128 bytes go out, the same 128 come back. Against the echo server of
 * `limits` this is what sockets and wake-ups alone cost. */
#include "core/base/check.h"
#include "tests/bench/load/load.h"

enum { MESSAGE = 128 };

static void greet(struct conn *c)
{
    static const uint8_t zeros[MESSAGE];
    buf_put(&c->out, zeros, MESSAGE); /* id 0 */
}

static bool ask(struct conn *c, uint32_t id, const struct load_request *r)
{
    uint8_t message[MESSAGE] = { 0 };

    (void)r;
    put_u32(message, id);
    buf_put(&c->out, message, MESSAGE);
    return true;
}

static enum wire_verdict take(struct conn *c, struct bytes in, size_t *used,
                              struct load_answer *a)
{
    (void)c;
    if (in.len < MESSAGE) return WIRE_MORE;
    *used = MESSAGE;
    *a = (struct load_answer){ .id = get_u32(in.ptr), .outcome = LOAD_DONE };
    return a->id == 0 ? WIRE_READY : WIRE_ANSWER;
}

const struct wire WIRE_ECHO = {
    .name = "echo", .id_step = 1, .greet = greet, .ask = ask, .take = take
};
