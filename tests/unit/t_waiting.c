/* t_waiting.c -- ten thousand calls that wait for one lock.
 *
 * Method: lua/trial/trial.h with the shipped recipe "lock": the resolver and the host of a
 * server. What is counted are runs of functions, slots and bytes, never time. */
#include <malloc.h>

#include "core/machine/request.h"
#include "lua/trial/trial.h"
#include "tests/lib/tap.h"

enum { WAITERS = 10000, CALL_BYTES_MAX = 1024 };

static struct trial t;

static size_t call_lock(uint64_t session, const char *function, uint64_t token)
{
    struct buf args = { 0 };
    struct request q = { .kind = REQUEST_CALL,
                         .recipe = BYTES_LIT("lock"),
                         .function = bytes_str(function) };
    size_t call;

    if (token == 0) {
        buf_put_bytes_raw(&args, BYTES_LIT("\x81\xa4path\xa2/l"));
    } else {
        buf_put_bytes_raw(&args, BYTES_LIT("\x82\xa4path\xa2/l\xa5token\xcf"));
        for (int shift = 56; shift >= 0; shift -= 8) {
            buf_put_u8(&args, (uint8_t) (token >> shift));
        }
    }
    q.args = buf_bytes(&args);
    call = trial_send(&t, session, &q);
    buf_fini(&args);
    return call;
}

static bool is_granted(size_t call)
{
    struct result result;

    return trial_answer(&t, call, &result) && result.code == 0;
}

static uint64_t holder_token(void)
{
    struct node n;

    return node_read(trial_view(&t), BYTES_LIT("/l/holder"), &n) ? n.czxid : 0;
}

static size_t first;

static void all_wait_behind_one(void)
{
    const uint64_t holder = trial_open(&t, 600000);

    OK(is_granted(call_lock(holder, "acquire", 0)));
    first = call_lock(trial_open(&t, 600000), "acquire", 0);
    for (int i = 1; i < WAITERS; i++) {
        (void) call_lock(trial_open(&t, 600000), "acquire", 0);
    }
    IS(resolver_stats(t.resolver).waiting, WAITERS);
    OK(!is_granted(first));
}

/* The release, the grant, and who stands first now, whose place was behind the grant's. */
static void a_release_wakes_one_in_the_same_slot(void)
{
    for (int i = 0; i < 5; i++) {
        const uint64_t runs = trial_runs(&t), slot = t.slot, token = holder_token();

        (void) call_lock(0, "release", token);
        OK(holder_token() > token);
        OK(trial_runs(&t) - runs <= 3);
        IS(t.slot - slot, 1);
    }
    OK(is_granted(first));
    IS(resolver_stats(t.resolver).waiting, WAITERS - 5);
}

static void another_leader_takes_all_of_them(void)
{
    const uint64_t token = holder_token();

    trial_new_leader(&t);
    IS(resolver_stats(t.resolver).waiting, WAITERS - 5);
    IS(holder_token(), token);
    (void) call_lock(0, "release", token);
    IS(resolver_stats(t.resolver).waiting, WAITERS - 6);
}

static void one_that_waits_costs_less_than_a_kilobyte(void)
{
    const size_t before = mallinfo2().uordblks;

    resolver_stop(t.resolver);
    const size_t each = (before - mallinfo2().uordblks) / (WAITERS - 6);
    printf("# %zu bytes\n", each);
    OK(each < CALL_BYTES_MAX);
}

int main(void)
{
    trial_init(&t);
    TEST(all_wait_behind_one);
    TEST(a_release_wakes_one_in_the_same_slot);
    TEST(another_leader_takes_all_of_them);
    TEST(one_that_waits_costs_less_than_a_kilobyte);
    trial_fini(&t);
    return tap_done();
}
