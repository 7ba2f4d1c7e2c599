/* t_rpc.c -- which requests are let through to the server, one rule a test.
 *
 * Method: requests built by hand, scanned, decoded and checked as the server does it; every
 * row of the method table is tried with fitting values, with one too few, one too many, and
 * with each value replaced by one of a wrong type. */
#include <stdlib.h>

#include "core/rpc/rpc.h"
#include "core/rpc/spec.h"
#include "tests/lib/tap.h"

static struct buf b;
static msgpack_zone *zone;
static struct rpc_message m;
static struct rpc_values values;

static int decode(void)
{
    struct rpc_scan scan;
    size_t len = 0;

    msgpack_zone_clear(zone);
    rpc_scan_init(&scan);
    if (rpc_scan(&scan, buf_bytes(&b), RPC_BYTES_MAX, &len) != RPC_SCAN_WHOLE) return 1;
    return rpc_decode(bytes_of(b.ptr, len), zone, &m);
}

static int decode_bytes(const char *bytes, size_t len)
{
    buf_clear(&b);
    buf_put(&b, bytes, len);
    return decode();
}
#define DECODE(lit) decode_bytes(lit, sizeof(lit) - 1)

static int check(void)
{
    return decode() == 0 ? rpc_check(&m, &values) : 1;
}

static void begin(enum method method, uint32_t params)
{
    buf_clear(&b);
    rpc_request_begin(&b, 3, method);
    pack_array(&b, params);
}

static void put_fitting(char type)
{
    switch (type) {
    case 'u':
        pack_uint(&b, UINT64_MAX);
        return;
    case 'i':
        pack_int(&b, -1);
        return;
    case 'b':
        pack_bool(&b, true);
        return;
    case 'v':
        pack_map(&b, 0);
        return;
    case 'o':
        pack_array(&b, 1);
        pack_array(&b, 2);
        pack_cstr(&b, "absent");
        pack_cstr(&b, "/a");
        return;
    case 'w':
        pack_array(&b, 1);
        pack_array(&b, 2);
        pack_uint(&b, 7);
        pack_cstr(&b, "/a");
        return;
    case 'g':
        pack_array(&b, 1);
        pack_array(&b, 2);
        pack_cstr(&b, "/a/holder");
        pack_uint(&b, 9);
        return;
    }
    pack_cstr(&b, "/a");
}

static void put_misfit(char type)
{
    if (type == 'b' || type == 'o' || type == 'w' || type == 'g') {
        pack_int(&b, 1);
    } else {
        pack_bool(&b, true);
    }
}

/* A request of `method` with all arguments and options, but a misfit at `wrong`. */
static void put_all(enum method method, unsigned wrong)
{
    const struct spec *spec = spec_of(method);
    const bool options = spec->count > spec->arguments_count;

    begin(method, spec->arguments_count + options);
    for (unsigned i = 0; i < spec->count; i++) {
        if (i == spec->arguments_count) pack_map(&b, spec->count - i);
        if (i >= spec->arguments_count) pack_str(&b, spec->at[i].name);
        if (i == wrong) {
            put_misfit(spec->at[i].type);
        } else {
            put_fitting(spec->at[i].type);
        }
    }
}

static void every_method_takes_its_arguments_and_options(void)
{
    for (enum method id = METHOD_NONE + 1; id < METHOD_COUNT; id++) {
        put_all(id, RPC_VALUES_MAX);
        IS(check(), 0);
        IS(m.method, id);
        for (unsigned i = 0; i < spec_of(id)->count; i++) OK(values.at[i].given);
    }
}

static void every_argument_is_required_and_named_when_missing(void)
{
    for (enum method id = METHOD_NONE + 1; id < METHOD_COUNT; id++) {
        const struct spec *spec = spec_of(id);

        for (unsigned count = 0; count < spec->arguments_count; count++) {
            begin(id, count);
            for (unsigned i = 0; i < count; i++) put_fitting(spec->at[i].type);
            IS(check(), ERR_BAD_PARAMS);
            OK(memmem(values.why, strlen(values.why), spec->at[count].name.ptr,
                      spec->at[count].name.len) != NULL);
        }
    }
}

static void every_value_of_a_wrong_type_is_refused_and_named(void)
{
    for (enum method id = METHOD_NONE + 1; id < METHOD_COUNT; id++) {
        const struct spec *spec = spec_of(id);

        for (unsigned i = 0; i < spec->count; i++) {
            if (spec->at[i].type == 'v') continue;
            put_all(id, i);
            IS(check(), i < spec->arguments_count ? ERR_BAD_PARAMS : ERR_BAD_OPTION);
            OK(memmem(values.why, strlen(values.why), spec->at[i].name.ptr,
                      spec->at[i].name.len) != NULL);
        }
    }
}

static void more_parameters_than_known_are_refused(void)
{
    for (enum method id = METHOD_NONE + 1; id < METHOD_COUNT; id++) {
        const struct spec *spec = spec_of(id);

        begin(id, spec->arguments_count + 2);
        for (unsigned i = 0; i < spec->arguments_count; i++) put_fitting(spec->at[i].type);
        pack_map(&b, 0);
        pack_map(&b, 0);
        IS(check(), ERR_BAD_PARAMS);
    }
}

static void the_options_are_a_map_and_nothing_else(void)
{
    begin(METHOD_PING, 1);
    pack_nil(&b);
    IS(check(), ERR_BAD_PARAMS);
    begin(METHOD_PING, 1);
    pack_map(&b, 0);
    IS(check(), 0);
}

static void an_unknown_option_is_refused_and_shown_in_printable_form(void)
{
    begin(METHOD_GET, 2);
    pack_cstr(&b, "/a");
    pack_map(&b, 1);
    pack_cstr(&b, "consis\n\xfftency");
    pack_nil(&b);
    IS(check(), ERR_BAD_OPTION);
    STR(values.why, "get has no option 'consis??tency'");
}

static void an_option_given_twice_is_refused(void)
{
    begin(METHOD_GET, 2);
    pack_cstr(&b, "/a");
    pack_map(&b, 2);
    pack_cstr(&b, "consistency");
    pack_cstr(&b, "any");
    pack_cstr(&b, "consistency");
    pack_cstr(&b, "strong");
    IS(check(), ERR_BAD_OPTION);
}

static void an_unknown_method_is_told_by_name(void)
{
    IS(DECODE("\x94\x00\x01\xa3zap\x90"), 0);
    IS(m.method, METHOD_NONE);
    IS(rpc_check(&m, &values), ERR_UNKNOWN_METHOD);
    STR(values.why, "there is no method 'zap'");
    IS(DECODE("\x94\x00\x01\xa5ping\x00\x90"), 0);
    IS(m.method, METHOD_NONE);
}

static void a_method_name_of_a_megabyte_is_just_unknown(void)
{
    struct buf name = { 0 };

    buf_reserve(&name, 1u << 20);
    memset(name.ptr, 0xff, 1u << 20);
    buf_clear(&b);
    buf_put(&b, "\x94\x00\x01", 3);
    pack_str(&b, bytes_of(name.ptr, 1u << 20));
    pack_array(&b, 0);
    IS(check(), ERR_UNKNOWN_METHOD);
    OK(strlen(values.why) < 80);
    buf_fini(&name);
}

static void null_data_and_empty_data_differ(void)
{
    const unsigned data = rpc_value_index(METHOD_SET, "data");

    begin(METHOD_SET, 2);
    pack_cstr(&b, "/a");
    pack_nil(&b);
    IS(check(), 0);
    OK(values.at[data].bytes.ptr == NULL);
    begin(METHOD_SET, 2);
    pack_cstr(&b, "/a");
    pack_cstr(&b, "");
    IS(check(), 0);
    OK(values.at[data].bytes.ptr != NULL);
    IS(values.at[data].bytes.len, 0);
}

static void a_version_fits_64_bits_with_a_sign(void)
{
    const unsigned version = rpc_value_index(METHOD_DELETE, "version");

    for (int over = 0; over < 2; over++) {
        begin(METHOD_DELETE, 2);
        pack_cstr(&b, "/a");
        pack_map(&b, 1);
        pack_cstr(&b, "version");
        pack_uint(&b, (uint64_t) INT64_MAX + (uint64_t) over);
        IS(check(), over ? ERR_BAD_OPTION : 0);
        if (!over) IS(values.at[version].integer, INT64_MAX);
    }
}

static void a_message_of_another_shape_is_refused(void)
{
    IS(DECODE("\x94\x03\x01\xa4ping\x90"), ERR_BAD_MESSAGE); /* type 3 */
    IS(DECODE("\x94\xff\x01\xa4ping\x90"), ERR_BAD_MESSAGE); /* type -1 */
    IS(DECODE("\x94\xc0\x01\xa4ping\x90"), ERR_BAD_MESSAGE); /* type nil */
    IS(DECODE("\x94\x00\xff\xa4ping\x90"), ERR_BAD_MESSAGE); /* negative msgid */
    IS(DECODE("\x94\x00\xca\x3f\x80\x00\x00\xa4ping\x90"), ERR_BAD_MESSAGE); /* float */
    IS(DECODE("\x94\x00\xcf\x00\x00\x00\x01\x00\x00\x00\x00\xa4ping\x90"), ERR_BAD_MESSAGE);
    IS(DECODE("\x94\x00\x01\x05\x90"), ERR_BAD_MESSAGE);     /* method is an int */
    IS(DECODE("\x94\x00\x01\xc4\x04ping\x90"), ERR_BAD_MESSAGE); /* method is bin */
    IS(DECODE("\x94\x00\x01\xa4ping\xc0"), ERR_BAD_MESSAGE); /* params nil */
    IS(DECODE("\x94\x00\x01\xa4ping\x80"), ERR_BAD_MESSAGE); /* params a map */
    IS(DECODE("\x93\x00\xa4ping\x90"), ERR_BAD_MESSAGE);     /* request of three */
    IS(DECODE("\x94\x02\xa4ping\x90\xc0"), ERR_BAD_MESSAGE); /* notification of four */
    IS(DECODE("\x93\x01\x01\xc0"), ERR_BAD_MESSAGE);         /* response of three */
}

static void the_highest_msgid_is_legal(void)
{
    IS(DECODE("\x94\x00\xce\xff\xff\xff\xff\xa4ping\x90"), 0);
    IS(m.msgid, UINT32_MAX);
    IS(DECODE("\x94\x00\xcf\x00\x00\x00\x00\x00\x00\x00\x05\xa4ping\x90"), 0);
    IS(m.msgid, 5);
}

static void a_notification_has_a_name_and_params(void)
{
    IS(DECODE("\x93\x02\xa3zap\x91\x01"), 0);
    IS(m.type, 2);
    OK(bytes_equal(m.method_name, bytes_str("zap")));
}

static void a_response_carries_the_result_or_the_error(void)
{
    buf_clear(&b);
    rpc_response_begin(&b, 5);
    pack_map(&b, 1);
    pack_cstr(&b, "zxid");
    pack_uint(&b, 77);
    IS(decode(), 0);
    IS(m.msgid, 5);
    IS(m.error->type, MSGPACK_OBJECT_NIL);
    IS(rpc_uint(rpc_member(m.result, "zxid"), 0), 77);
    OK(rpc_member(m.result, "other") == NULL);

    buf_clear(&b);
    rpc_error(&b, 6, ERR_NO_NODE, NULL);
    IS(decode(), 0);
    IS(rpc_int(rpc_member(m.error, "code"), 0), ERR_NO_NODE);
    OK(bytes_equal(rpc_bytes(rpc_member(m.error, "name")), bytes_str("no_node")));
    OK(rpc_bytes(rpc_member(m.error, "message")).len > 0);
    IS(rpc_member(m.error, "details")->type, MSGPACK_OBJECT_NIL);
    IS(m.result->type, MSGPACK_OBJECT_NIL);
}

static void a_stat_has_as_many_members_as_its_table(void)
{
    int count = 0;
#define F(member, name) count++;
    STAT_FIELDS(F)
#undef F
    IS(count, STAT_FIELDS_COUNT);
}

static void the_protocol_document_names_everything(void)
{
    struct buf out = { 0 };

    rpc_print_protocol(&out);
    buf_put_u8(&out, 0);
    const char *text = (const char *) out.ptr;
    for (enum method id = METHOD_NONE + 1; id < METHOD_COUNT; id++) {
        char title[64];

        snprintf(title, sizeof title, "### %s\n", rpc_method_name(id));
        OK(strstr(text, title) != NULL);
    }
#define X(id, code, word, meaning) OK(strstr(text, "`" word "` | " meaning) != NULL);
    ERRORS(X)
#undef X
    buf_fini(&out);
}

int main(void)
{
    zone = msgpack_zone_new(MSGPACK_ZONE_CHUNK_SIZE);
    TEST(every_method_takes_its_arguments_and_options);
    TEST(every_argument_is_required_and_named_when_missing);
    TEST(every_value_of_a_wrong_type_is_refused_and_named);
    TEST(more_parameters_than_known_are_refused);
    TEST(the_options_are_a_map_and_nothing_else);
    TEST(an_unknown_option_is_refused_and_shown_in_printable_form);
    TEST(an_option_given_twice_is_refused);
    TEST(an_unknown_method_is_told_by_name);
    TEST(a_method_name_of_a_megabyte_is_just_unknown);
    TEST(null_data_and_empty_data_differ);
    TEST(a_version_fits_64_bits_with_a_sign);
    TEST(a_message_of_another_shape_is_refused);
    TEST(the_highest_msgid_is_legal);
    TEST(a_notification_has_a_name_and_params);
    TEST(a_response_carries_the_result_or_the_error);
    TEST(a_stat_has_as_many_members_as_its_table);
    TEST(the_protocol_document_names_everything);
    msgpack_zone_free(zone);
    buf_fini(&b);
    return tap_done();
}
