/* t_requests.c -- what the server makes of a client's values, and which it refuses at once.
 *
 * Method: messages built with the client's own functions, decoded and checked as the server
 * does, and the request that comes out decoded as the leader does. */
#include "core/base/errors.h"
#include "core/machine/request.h"
#include "core/server/requests.h"
#include "core/tree/tx.h"
#include "tests/lib/tap.h"

static struct requests requests;
static struct rpc_values values;
static struct jobs jobs;
static struct job *job;
static struct buf message;
static msgpack_zone zone;
static struct request request;

static void begin(enum method method, uint32_t params)
{
    buf_clear(&message);
    rpc_request_begin(&message, 1, method);
    pack_array(&message, params);
}

static void put_number(const char *name, uint64_t v)
{
    pack_cstr(&message, name);
    pack_uint(&message, v);
}

/* Runs the message through; 0 or the refusal. `request` borrows from the job's body. */
static int read_message(void)
{
    struct rpc_message m;

    if (job != NULL) job_free(&jobs, job);
    job = job_new(&jobs, (struct conn *)&zone); /* any connection will do */
    msgpack_zone_clear(&zone);
    IS(rpc_decode(buf_bytes(&message), &zone, &m), 0);
    int code = rpc_check(&m, &values);
    job->method = m.method;
    if (code == 0) code = request_read(&requests, &values, job);
    if (code == 0 && (job->class == JOB_WRITE || job->class == JOB_CALL)) {
        IS(request_decode(buf_bytes(&job->body), &request), 0);
    }
    return code;
}

static struct want want_at(uint32_t i)
{
    struct reader wants = reader_of(request.wants);
    struct want w = { 0 };

    for (uint32_t at = 0; at <= i; at++) IS(want_next(&wants, &w), 0);
    return w;
}

static void a_create_becomes_one_want(void)
{
    begin(METHOD_CREATE, 3);
    pack_cstr(&message, "/a");
    pack_nil(&message);
    pack_map(&message, 4);
    put_number("session", 7);
    put_number("seq", 3);
    put_number("ack", 2);
    pack_cstr(&message, "ephemeral");
    pack_bool(&message, true);
    IS(read_message(), 0);
    IS(job->class, JOB_WRITE);
    IS(job->session, 7);
    IS(request.seq, 3);
    IS(request.ack, 2);
    IS(request.wants_count, 1);
    OK(request.single);
    IS(want_at(0).flags, TX_EPHEMERAL);
    OK(want_at(0).data.ptr == NULL);
}

static void session_and_seq_come_together(void)
{
    begin(METHOD_DELETE, 2);
    pack_cstr(&message, "/a");
    pack_map(&message, 1);
    put_number("session", 7);
    IS(read_message(), ERR_BAD_OPTION);
    begin(METHOD_DELETE, 2);
    pack_cstr(&message, "/a");
    pack_map(&message, 1);
    put_number("ack", 7);
    IS(read_message(), ERR_BAD_OPTION);
}

static void an_ephemeral_node_needs_a_session(void)
{
    begin(METHOD_CREATE, 3);
    pack_cstr(&message, "/a");
    pack_nil(&message);
    pack_map(&message, 1);
    pack_cstr(&message, "ephemeral");
    pack_bool(&message, true);
    IS(read_message(), ERR_BAD_OPTION);
}

static void guards_stand_before_the_request_and_are_counted(void)
{
    begin(METHOD_SET, 3);
    pack_cstr(&message, "/a");
    pack_cstr(&message, "x");
    pack_map(&message, 1);
    pack_cstr(&message, "guard");
    pack_array(&message, 2);
    for (int i = 0; i < 2; i++) {
        pack_array(&message, 2);
        pack_cstr(&message, "/l/holder");
        pack_uint(&message, 99);
    }
    IS(read_message(), 0);
    IS(job->guards, 2);
    IS(request.wants_count, 3);
    IS(want_at(1).kind, WANT_GUARD);
    IS(want_at(1).token, 99);
    IS(want_at(2).kind, WANT_SET);
    IS(want_at(2).version, -1);
}

static void a_malformed_path_is_left_to_the_leader(void)
{
    begin(METHOD_DELETE, 1);
    pack_cstr(&message, "no/slash/");
    IS(read_message(), 0);
    OK(bytes_equal(want_at(0).path, BYTES_LIT("no/slash/")));
}

/* An op that is an array of the given strings. */
static void put_op(const char *kind, const char *path, const char *third)
{
    pack_array(&message, third != NULL ? 3 : 2);
    pack_cstr(&message, kind);
    pack_cstr(&message, path);
    if (third != NULL) pack_cstr(&message, third);
}

static void the_ops_of_a_multi_keep_their_order(void)
{
    begin(METHOD_MULTI, 1);
    pack_array(&message, 3);
    put_op("absent", "/a", NULL);
    put_op("create", "/a", "data");
    put_op("delete", "/a", NULL);
    IS(read_message(), 0);
    OK(!request.single);
    IS(want_at(0).kind, WANT_CHECK_ABSENT);
    IS(want_at(1).data.len, 4);
    IS(want_at(2).kind, WANT_DELETE);
}

static void a_malformed_op_is_refused_by_its_index(void)
{
    begin(METHOD_MULTI, 1);
    pack_array(&message, 2);
    put_op("delete", "/a", NULL);
    put_op("delete", "/a", "not a version");
    IS(read_message(), ERR_BAD_PARAMS);
    OK(strstr(values.why, "op 1 ") == values.why);
}

static void a_call_names_recipe_and_function(void)
{
    const char *bad[] = { "lock", ".acquire", "lock.", "" };

    begin(METHOD_CALL, 2);
    pack_cstr(&message, "lock.acquire");
    pack_uint(&message, 5);
    IS(read_message(), 0);
    IS(job->class, JOB_CALL);
    OK(bytes_equal(request.recipe, BYTES_LIT("lock")));
    OK(bytes_equal(request.function, BYTES_LIT("acquire")));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        begin(METHOD_CALL, 2);
        pack_cstr(&message, bad[i]);
        pack_nil(&message);
        IS(read_message(), ERR_BAD_PARAMS);
    }
}

static void a_query_names_a_function_and_how_new_the_state_must_be(void)
{
    const char *levels[] = { "strong", "any", "maybe" };
    const int codes[] = { 0, 0, ERR_BAD_OPTION };
    const enum job_class classes[] = { JOB_READ, JOB_LOCAL, JOB_READ };

    for (int i = 0; i < 3; i++) {
        begin(METHOD_QUERY, 3);
        pack_cstr(&message, "config.get");
        pack_uint(&message, 5);
        pack_map(&message, 1);
        pack_cstr(&message, "consistency");
        pack_cstr(&message, levels[i]);
        IS(read_message(), codes[i]);
        IS(job->class, classes[i]);
        if (codes[i] != 0) continue;
        struct query query = query_of(job);
        OK(bytes_equal(query.recipe, BYTES_LIT("config")));
        OK(bytes_equal(query.function, BYTES_LIT("get")));
        OK(bytes_equal(query.args, BYTES_LIT("\x05")));
        IS(job->session, 0);
    }
    begin(METHOD_QUERY, 2);
    pack_cstr(&message, "config");
    pack_nil(&message);
    IS(read_message(), ERR_BAD_PARAMS);
}

static void each_session_gets_a_secret_of_its_own(void)
{
    uint8_t first[SESSION_SECRET_BYTES];

    begin(METHOD_SESSION_OPEN, 0);
    IS(read_message(), 0);
    IS(request.timeout_ms, SESSION_TIMEOUT_DEFAULT_MS);
    memcpy(first, request.secret.ptr, sizeof first);
    IS(read_message(), 0);
    OK(memcmp(first, request.secret.ptr, sizeof first) != 0);
}

static void a_session_time_out_of_range_is_refused(void)
{
    begin(METHOD_SESSION_OPEN, 1);
    pack_map(&message, 1);
    put_number("timeout_ms", SESSION_TIMEOUT_MIN_MS - 1);
    IS(read_message(), ERR_BAD_OPTION);
}

static void consistency_decides_whether_a_read_is_local(void)
{
    const char *levels[] = { "strong", "any", "maybe" };
    const int codes[] = { 0, 0, ERR_BAD_OPTION };
    const enum job_class classes[] = { JOB_READ, JOB_LOCAL, JOB_READ };

    for (int i = 0; i < 3; i++) {
        begin(METHOD_GET, 2);
        pack_cstr(&message, "/a");
        pack_map(&message, 1);
        pack_cstr(&message, "consistency");
        pack_cstr(&message, levels[i]);
        IS(read_message(), codes[i]);
        IS(job->class, classes[i]);
    }
}

static void a_late_answer_finds_no_job(void)
{
    struct job *first = job_new(&jobs, (struct conn *)&zone);
    uint64_t tag = first->tag;

    OK(job_find(&jobs, tag) == first);
    job_free(&jobs, first);
    OK(job_find(&jobs, tag) == NULL);
    OK(job_find(&jobs, 12345) == NULL);
}

/* J2 */
static void the_bytes_of_bodies_are_counted_until_the_job_ends(void)
{
    struct job *first = job_new(&jobs, (struct conn *)&zone);
    struct job *second = job_new(&jobs, (struct conn *)&zone);
    size_t before = jobs.bytes;

    buf_put_bytes_raw(&first->body, BYTES_LIT("12345"));
    job_keep_body(&jobs, first);
    buf_put_bytes_raw(&second->body, BYTES_LIT("123"));
    job_keep_body(&jobs, second);
    IS(jobs.bytes, before + 8);
    job_drop_body(first); /* the replica has it then */
    IS(jobs.bytes, before + 8);
    IS(first->body.len, 0);
    job_free(&jobs, first);
    IS(jobs.bytes, before + 3);
    job_free(&jobs, second);
    IS(jobs.bytes, before);
}

int main(void)
{
    requests_init(&requests);
    jobs_init(&jobs);
    msgpack_zone_init(&zone, 8192);
    TEST(a_create_becomes_one_want);
    TEST(session_and_seq_come_together);
    TEST(an_ephemeral_node_needs_a_session);
    TEST(guards_stand_before_the_request_and_are_counted);
    TEST(a_malformed_path_is_left_to_the_leader);
    TEST(the_ops_of_a_multi_keep_their_order);
    TEST(a_malformed_op_is_refused_by_its_index);
    TEST(a_call_names_recipe_and_function);
    TEST(a_query_names_a_function_and_how_new_the_state_must_be);
    TEST(each_session_gets_a_secret_of_its_own);
    TEST(a_session_time_out_of_range_is_refused);
    TEST(consistency_decides_whether_a_read_is_local);
    TEST(a_late_answer_finds_no_job);
    TEST(the_bytes_of_bodies_are_counted_until_the_job_ends);
    job_free(&jobs, job);
    jobs_fini(&jobs);
    requests_fini(&requests);
    msgpack_zone_destroy(&zone);
    buf_fini(&message);
    return tap_done();
}
