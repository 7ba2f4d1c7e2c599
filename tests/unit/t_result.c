/* t_result.c -- answers as bytes: what comes back, and what is refused. */
#include <stdlib.h>

#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/machine/result.h"
#include "tests/lib/tap.h"

static struct buf encoded, parts;
static struct result got;

static int round_trip(const struct result *r)
{
    buf_clear(&encoded);
    result_encode(&encoded, r);
    return result_decode(buf_bytes(&encoded), &got);
}

static struct result two_parts(void)
{
    struct result_part created = { .kind = WANT_CREATE,
                                   .path = BYTES_LIT("/a"),
                                   .has_stat = true };
    struct result_part opened = { .id = 77 };

    created.stat = (struct stat_view){ .czxid = 1,
                                       .mzxid = 1ull << 63,
                                       .pzxid = 3,
                                       .ctime = 4,
                                       .mtime = 5,
                                       .version = -2,
                                       .cversion = INT32_MIN,
                                       .aversion = 8,
                                       .ephemeral_owner = 9,
                                       .data_length = 10,
                                       .num_children = 11 };
    buf_clear(&parts);
    result_part_encode(&parts, &created);
    result_part_encode(&parts, &opened);
    return (struct result){
        .zxid = 1ull << 40, .index = -1, .parts_count = 2, .parts = buf_bytes(&parts)
    };
}

static void parts_and_stats_come_back(void)
{
    struct result r = two_parts();
    struct result_part p;
    struct result_parts reader;

    IS(round_trip(&r), 0);
    IS(got.code, 0);
    IS(got.zxid, 1ll << 40);
    IS(got.index, -1);
    OK(got.value.ptr == NULL);
    reader = result_parts_of(&got);
    IS(result_part_next(&reader, &p), 0);
    IS(p.kind, WANT_CREATE);
    OK(bytes_equal(p.path, BYTES_LIT("/a")));
    OK(p.has_stat);
    OK(p.stat.mzxid == 1ull << 63);
    IS(p.stat.version, -2);
    IS(p.stat.cversion, INT32_MIN);
    IS(p.stat.num_children, 11);
    IS(result_part_next(&reader, &p), 0);
    IS(p.kind, 0);
    IS(p.id, 77);
    OK(!p.has_stat);
    OK(reader_done(&reader.reader));
}

static void an_error_keeps_its_code_message_and_index(void)
{
    struct result r = { .code = ERR_NODE_EXISTS,
                        .index = 3,
                        .message = BYTES_LIT("node_exists: /a") };

    IS(round_trip(&r), 0);
    IS(got.code, ERR_NODE_EXISTS);
    IS(got.index, 3);
    OK(bytes_equal(got.message, r.message));
}

static void an_empty_value_is_not_no_value(void)
{
    struct result r = { .index = -1, .value = BYTES_LIT("\xc0") };

    IS(round_trip(&r), 0);
    OK(bytes_equal(got.value, BYTES_LIT("\xc0")));
    r.value = BYTES_LIT("");
    IS(round_trip(&r), 0);
    OK(got.value.ptr != NULL);
    r.value = (struct bytes){ 0 };
    IS(round_trip(&r), 0);
    OK(got.value.ptr == NULL);
}

static void no_shorter_result_is_a_result(void)
{
    struct result r = two_parts();

    IS(round_trip(&r), 0);
    for (size_t len = 0; len < encoded.len; len++) {
        uint8_t *exact = mem_alloc(len);

        memcpy(exact, encoded.ptr, len);
        IS(result_decode(bytes_of(exact, len), &got), ERR_BAD_MESSAGE);
        free(exact);
    }
    buf_put_u8(&encoded, 0);
    IS(result_decode(buf_bytes(&encoded), &got), ERR_BAD_MESSAGE);
}

int main(void)
{
    TEST(parts_and_stats_come_back);
    TEST(an_error_keeps_its_code_message_and_index);
    TEST(an_empty_value_is_not_no_value);
    TEST(no_shorter_result_is_a_result);
    buf_fini(&encoded);
    buf_fini(&parts);
    return tap_done();
}
