/* t_recipe_events.c -- functions bound to paths judge and follow what is written there.
 *
 * Method: lua/trial/trial.h, a whole server in memory; `put` stores a recipe as any client
 * does. */
#include <stdio.h>

#include "core/base/errors.h"
#include "lua/trial/trial.h"
#include "tests/lib/tap.h"

static struct trial t;
static struct buf wants;
static uint64_t session;

static const struct result *answer(size_t call)
{
    static struct result result;

    if (!trial_answer(&t, call, &result)) result = (struct result){ .code = 1 };
    return &result;
}

static size_t send_wants(const struct want *list, uint32_t count)
{
    struct request q = { .kind = REQUEST_WRITE, .single = count == 1, .wants_count = count };

    buf_clear(&wants);
    for (uint32_t i = 0; i < count; i++) want_encode(&wants, &list[i]);
    q.wants = buf_bytes(&wants);
    return trial_send(&t, 0, &q);
}

static struct want want(enum want_kind kind, const char *path, const char *data)
{
    struct want w = { .kind = kind, .path = bytes_str(path), .version = -1 };

    if (data != NULL) w.data = bytes_str(data);
    if (kind == WANT_CREATE) w.flags = TX_PARENTS;
    return w;
}

static int write_node(enum want_kind kind, const char *path, const char *data)
{
    const struct want w = want(kind, path, data);

    return answer(send_wants(&w, 1))->code;
}

static int put(const char *name, const char *body)
{
    char path[80], source[1200];
    int code;

    snprintf(path, sizeof path, "/tidelock/recipes/%s", name);
    snprintf(source, sizeof source, "local r = {} %s return r", body);
    code = write_node(WANT_SET, path, source);
    return code == ERR_NO_NODE ? write_node(WANT_CREATE, path, source) : code;
}

static size_t call(const char *recipe, const char *function)
{
    struct request q = { .kind = REQUEST_CALL,
                         .recipe = bytes_str(recipe),
                         .function = bytes_str(function),
                         .args = BYTES_LIT("\xc0") };

    return trial_send(&t, session, &q);
}

static const char *data_of(const char *path)
{
    static char text[200];
    struct node n;

    if (!node_read(trial_view(&t), bytes_str(path), &n)) return "(none)";
    snprintf(text, sizeof text, "%.*s", (int) n.data.len, (const char *) n.data.ptr);
    return text;
}

static bool says(size_t handle, const char *part)
{
    const struct bytes m = answer(handle)->message;

    if (memmem(m.ptr, m.len, part, strlen(part)) != NULL) return true;
    printf("# \"%s\" is not in \"%.*s\"\n", part, (int) m.len, (const char *) m.ptr);
    return false;
}

static void begin(void)
{
    trial_init(&t);
    session = trial_open(&t, 10000);
}

static void end(void)
{
    machine_check(&t.machine);
    trial_fini(&t);
}

#define NUMBERS_ONLY                                                                       \
    "r.on = { { path = '/config/*', validate = '_check' } } "                              \
    "function r._check(tx, e) if e.kind ~= 'delete' and not tonumber(e.data) then "        \
    "tx:fail('not_a_number', e.path .. ' must be a number', { got = e.data }) end end "

static void what_does_not_validate_never_lands(void)
{
    begin();
    IS(write_node(WANT_CREATE, "/config/a", "x"), 0);
    IS(put("guard", NUMBERS_ONLY), 0);
    const struct want w = want(WANT_SET, "/config/a", "hello");
    size_t bad = send_wants(&w, 1);
    IS(answer(bad)->code, ERR_REFUSED);
    OK(says(bad, "not_a_number: /config/a must be a number"));
    OK(answer(bad)->value.len > 20);
    STR(data_of("/config/a"), "x");
    IS(write_node(WANT_SET, "/config/a", "7"), 0);
    IS(write_node(WANT_CREATE, "/config/b/c", "free"), ERR_REFUSED); /* its parent is null */
    IS(write_node(WANT_CREATE, "/config/b", "1"), 0);
    IS(write_node(WANT_CREATE, "/config/b/c", "free"), 0);
    IS(write_node(WANT_CREATE, "/other", "free"), 0);
    IS(write_node(WANT_DELETE, "/config/a", NULL), 0);
    end();
}

static void all_of_a_multi_or_none(void)
{
    begin();
    IS(put("guard", NUMBERS_ONLY), 0);
    const struct want list[] = { want(WANT_CREATE, "/x", "1"),
                                 want(WANT_CREATE, "/config", NULL),
                                 want(WANT_CREATE, "/config/a", "no") };
    IS(answer(send_wants(list, 3))->code, ERR_REFUSED);
    STR(data_of("/x"), "(none)");
    end();
}

static void recipes_are_judged_too(void)
{
    begin();
    IS(put("guard", NUMBERS_ONLY), 0);
    IS(put("w", "function r.bad(tx) tx:create('/config/a', 'x', { parents = true }) end "
                "function r.good(tx) tx:create('/config/a', '5', { parents = true }) "
                "return 'mine' end "
                "function r.wait(tx) tx:create('/config/z', 'x', { parents = true }) "
                "return tx:wait('/none') end"), 0);
    IS(answer(call("w", "bad"))->code, ERR_REFUSED);
    size_t good = call("w", "good");
    IS(answer(good)->code, 0);
    OK(bytes_equal(answer(good)->value, BYTES_LIT("\xa4mine")));
    STR(data_of("/config/a"), "5");
    IS(answer(call("w", "wait"))->code, ERR_REFUSED);
    end();
}

static void one_that_judges_cannot_write(void)
{
    begin();
    IS(put("g", "r.on = { { path = '/a', validate = 'f' } } "
                "function r.f(tx) tx:create('/mark') end"), 0);
    IS(write_node(WANT_CREATE, "/a", ""), ERR_READ_ONLY);
    STR(data_of("/mark"), "(none)");
    IS(write_node(WANT_CREATE, "/b", ""), 0);
    end();
}

static void one_that_reacts_writes_in_the_same_transaction(void)
{
    begin();
    IS(put("audit", "r.on = { { path = '/c/**', react = 'note' } } "
                    "function r.note(tx, e) tx:create('/log/', e.kind .. ' ' .. e.path .. "
                    "' ' .. tostring(e.before) .. ' ' .. tostring(e.data), "
                    "{ sequential = true, parents = true }) end"), 0);
    IS(write_node(WANT_CREATE, "/c/d", "1"), 0); /* /c itself is not below */
    IS(write_node(WANT_SET, "/c/d", "2"), 0);
    IS(write_node(WANT_DELETE, "/c/d", NULL), 0);
    STR(data_of("/log/0000000000"), "create /c/d nil 1");
    STR(data_of("/log/0000000001"), "set /c/d 1 2");
    STR(data_of("/log/0000000002"), "delete /c/d 2 nil");
    STR(data_of("/log/0000000003"), "(none)");
    end();
}

static void functions_that_wake_each_other_end(void)
{
    begin();
    IS(put("loop", "r.on = { { path = '/a/*', react = 'f' } } "
                   "function r.f(tx, e) tx:create('/a/', nil, { sequential = true }) end"), 0);
    IS(write_node(WANT_CREATE, "/a", ""), 0);
    const struct want w = want(WANT_CREATE, "/a/x", "");
    size_t handle = send_wants(&w, 1);
    IS(answer(handle)->code, ERR_OVER_BUDGET);
    OK(says(handle, "too many runs of one write"));
    STR(data_of("/a/x"), "(none)");
    end();
}

static void all_runs_of_a_write_live_on_one_budget(void)
{
    begin();
    IS(put("slow", "r.on = { { path = '/a/*', validate = 'f' } } "
                   "function r.f(tx, e) for i = 1, 200000 do end end"), 0);
    IS(write_node(WANT_CREATE, "/a", ""), 0);
    struct want list[8];
    char paths[8][8];
    for (int i = 0; i < 8; i++) {
        snprintf(paths[i], sizeof paths[i], "/a/%d", i);
        list[i] = want(WANT_CREATE, paths[i], "");
    }
    IS(answer(send_wants(list, 2))->code, 0);
    IS(answer(send_wants(list + 2, 6))->code, ERR_OVER_BUDGET);
    STR(data_of("/a/2"), "(none)");
    end();
}

static void bindings_come_and_go_with_the_recipe(void)
{
    begin();
    IS(put("guard", NUMBERS_ONLY), 0);
    IS(write_node(WANT_CREATE, "/config/a", "x"), ERR_REFUSED);
    IS(put("guard", "function r.f() end"), 0);
    STR(data_of("/tidelock/events/guard"), "(none)");
    IS(write_node(WANT_CREATE, "/config/a", "x"), 0);
    IS(put("guard", NUMBERS_ONLY), 0);
    trial_new_leader(&t);
    IS(write_node(WANT_SET, "/config/a", "y"), ERR_REFUSED);
    IS(write_node(WANT_DELETE, "/tidelock/recipes/guard", NULL), 0);
    IS(write_node(WANT_SET, "/config/a", "y"), 0);
    end();
}

static void a_binding_that_makes_no_sense_is_refused(void)
{
    static const char *const bad[] = {
        "r.on = 5", "r.on = { 5 }", "r.on = { {} }",
        "r.on = { { path = '/a' } }",
        "r.on = { { path = '/a', validate = 'none' } }",
        "r.on = { { path = '/a', validate = 'f', react = 'f' } }",
        "r.on = { { path = 'a', validate = 'f' } }",
        "r.on = { { path = '/', validate = 'f' } }",
        "r.on = { { path = '/tidelock/x', validate = 'f' } }",
        "r.on = { { path = '/a*', validate = 'f' } }",
        "r.on = { { path = '/**/a', validate = 'f' } }",
        "r.on = { { path = '/*a/b', validate = 'f' } }",
        "r.on = {} for i = 1, 17 do r.on[i] = { path = '/a', react = 'f' } end",
    };
    char body[200];

    begin();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(body, sizeof body, "function r.f() end %s", bad[i]);
        IS(put("r", body), ERR_SCRIPT_FAILED);
    }
    IS(put("r", "function r.f() end r.on = { { path = '/*/b/**', react = 'f' } }"), 0);
    end();
}

static void patterns_fit_part_by_part(void)
{
    static const struct {
        const char *pattern, *path;
        bool fits;
    } cases[] = {
        { "/a", "/a", true },         { "/a", "/ab", false },       { "/a", "/a/b", false },
        { "/a/*", "/a/b", true },     { "/a/*", "/a", false },      { "/a/*", "/a/b/c", false },
        { "/a/**", "/a/b/c", true },  { "/a/**", "/a/b", true },    { "/a/**", "/a", false },
        { "/*", "/z", true },         { "/*/b", "/z/b", true },     { "/*/b", "/z/c", false },
        { "/**", "/z/y/x", true },    { "/a/*/c", "/a/b/c", true }, { "/a/*/c", "/a/b", false },
    };
    char body[200];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        begin();
        IS(write_node(WANT_CREATE, cases[i].path, "old"), 0);
        snprintf(body, sizeof body,
                 "r.on = { { path = '%s', validate = 'f' } } function r.f() error('no') end",
                 cases[i].pattern);
        IS(put("r", body), 0);
        if ((write_node(WANT_SET, cases[i].path, "new") != 0) != cases[i].fits) {
            printf("# %s on %s\n", cases[i].pattern, cases[i].path);
            OK(false);
        }
        end();
    }
}

int main(void)
{
    TEST(what_does_not_validate_never_lands);
    TEST(all_of_a_multi_or_none);
    TEST(recipes_are_judged_too);
    TEST(one_that_judges_cannot_write);
    TEST(one_that_reacts_writes_in_the_same_transaction);
    TEST(functions_that_wake_each_other_end);
    TEST(all_runs_of_a_write_live_on_one_budget);
    TEST(bindings_come_and_go_with_the_recipe);
    TEST(a_binding_that_makes_no_sense_is_refused);
    TEST(patterns_fit_part_by_part);
    buf_fini(&wants);
    return tap_done();
}
