/* values.c -- what recipes answer with, and a query that reads a register. */
#include "core/base/check.h"
#include "tests/sim/sim.h"

const char values_recipe[] =
    "return { zxid = function(tx, path) return tx:stat(path).mzxid end }";

/* The MessagePack number at the front of `v`. */
static uint64_t number_at(struct bytes v)
{
    size_t bytes = v.ptr[0] < 0x80 ? 0 : (size_t) 1 << (v.ptr[0] - 0xcc);
    uint64_t number = 0;

    if (bytes == 0) return v.ptr[0];
    CHECK(bytes <= 8 && v.len > bytes);
    for (size_t i = 1; i <= bytes; i++) number = number << 8 | v.ptr[i];
    return number;
}

uint64_t values_token(struct bytes value)
{
    /* {path = "/lock/holder", token = n}: the number is the last thing of the value. */
    for (size_t i = 0; i + 6 < value.len; i++) {
        if (memcmp(value.ptr + i, "\xa5token", 6) != 0) continue;
        return number_at(bytes_of(value.ptr + i + 6, value.len - i - 6));
    }
    return 0;
}

uint64_t values_query(struct server *n, const char *path)
{
    struct queries *queries = replica_queries(n->replica);
    struct query query = { .recipe = BYTES_LIT("sim"), .function = BYTES_LIT("zxid") };
    struct buf args = { 0 };
    struct result r;

    buf_put_u8(&args, (uint8_t) (0xa0 | strlen(path)));
    buf_put_bytes_raw(&args, bytes_str(path));
    query.args = buf_bytes(&args);
    queries_turn(queries);
    queries_run(queries, &query, &r);
    buf_fini(&args);
    if (r.code != 0) {
        broken(n->world, "a query at node %u: %.*s", n->id, (int) r.message.len,
               (const char *) r.message.ptr);
    }
    return number_at(r.value);
}
