#include "lua/lint.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/limits.h"
#include "lua/host.h"
#include "lua/tx.h"

/* --- tokens --- */

enum token_kind { TOKEN_END = 0, TOKEN_NAME, TOKEN_TEXT, TOKEN_OTHER };

struct token {
    enum token_kind kind;
    struct bytes text;
    int line;
};

struct lexer {
    const char *at, *end;
    int line;
};

static int peek(const struct lexer *x, size_t ahead)
{
    return (size_t) (x->end - x->at) > ahead ? (unsigned char) x->at[ahead] : 0;
}

static void step(struct lexer *x)
{
    if (x->at == x->end) return;
    if (*x->at == '\n') x->line++;
    x->at++;
}

/* [[ or [==[: how many =, or -1. */
static int long_level(const struct lexer *x)
{
    size_t level = 0;

    if (peek(x, 0) != '[') return -1;
    while (peek(x, level + 1) == '=') level++;
    return peek(x, level + 1) == '[' ? (int) level : -1;
}

static void skip_long(struct lexer *x, int level)
{
    for (; x->at < x->end; step(x)) {
        int k = 0;

        if (*x->at != ']') continue;
        while (k < level && peek(x, (size_t) k + 1) == '=') k++;
        if (k == level && peek(x, (size_t) level + 1) == ']') {
            for (int i = 0; i < level + 2; i++) step(x);
            return;
        }
    }
}

static void skip_comment(struct lexer *x)
{
    int level;

    step(x);
    step(x);
    level = long_level(x);
    if (level >= 0) {
        skip_long(x, level);
        return;
    }
    while (x->at < x->end && *x->at != '\n') step(x);
}

static void skip_blank(struct lexer *x)
{
    while (x->at < x->end) {
        if (isspace((unsigned char) *x->at)) step(x);
        else if (peek(x, 0) == '-' && peek(x, 1) == '-') skip_comment(x);
        else return;
    }
}

static void skip_quoted(struct lexer *x)
{
    const char quote = *x->at;

    step(x);
    while (x->at < x->end && *x->at != quote && *x->at != '\n') {
        if (*x->at == '\\') step(x);
        step(x);
    }
    step(x);
}

static bool is_name_char(int c)
{
    return isalnum(c) || c == '_';
}

static struct token next_token(struct lexer *x)
{
    struct token t = { .kind = TOKEN_OTHER };
    const char *start;

    skip_blank(x);
    start = x->at;
    t.line = x->line;
    if (x->at == x->end) {
        t.kind = TOKEN_END;
    } else if (is_name_char(peek(x, 0))) {
        if (!isdigit(peek(x, 0))) t.kind = TOKEN_NAME;
        while (is_name_char(peek(x, 0))) step(x);
    } else if (*x->at == '"' || *x->at == '\'') {
        t.kind = TOKEN_TEXT;
        skip_quoted(x);
    } else if (long_level(x) >= 0) {
        t.kind = TOKEN_TEXT;
        skip_long(x, long_level(x));
    } else {
        step(x);
        if (x->at < x->end && (*start == '.' || *start == ':' || *start == '=') &&
            *x->at == *start) {
            step(x); /* .. :: == */
        }
    }
    t.text = bytes_of(start, (size_t) (x->at - start));
    return t;
}

static bool is(const struct token *t, const char *text)
{
    return bytes_equal(t->text, bytes_str(text));
}

/* --- what is known --- */

struct lint {
    const char *name;
    struct buf *out;
    unsigned count;
    lua_State *L;       /* at 1 the environment, at 2 the names that are local, at 3 tx */
    struct token before, now, after;
    struct lexer lexer;
    bool declares; /* between local, for or function's ( and what ends the list of names */
    int braces;
};

static void tell(struct lint *l, int line, const char *what, struct bytes name)
{
    char text[200];
    int len = snprintf(text, sizeof text, "%s:%d: %.*s %s\n", l->name, line,
                       (int) (name.len < 64 ? name.len : 64), (const char *) name.ptr, what);

    buf_put(l->out, text, (size_t) len);
    l->count++;
}

static bool is_keyword(const struct token *t)
{
    static const char *const words[] = { "and", "break", "do", "else", "elseif", "end",
        "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat",
        "return", "then", "true", "until", "while" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (is(t, words[i])) return true;
    }
    return false;
}

/* Has the table at `index` that member? */
static bool has(lua_State *L, int index, struct bytes name)
{
    bool there;

    lua_pushlstring(L, (const char *) name.ptr, name.len);
    there = lua_gettable(L, index) != LUA_TNIL;
    lua_pop(L, 1);
    return there;
}

static void add_local(struct lint *l, struct bytes name)
{
    lua_pushlstring(l->L, (const char *) name.ptr, name.len);
    lua_pushboolean(l->L, 1);
    lua_rawset(l->L, 2);
}

static void advance(struct lint *l)
{
    l->before = l->now;
    l->now = l->after;
    l->after = next_token(&l->lexer);
}

static void rewind_to_start(struct lint *l, struct bytes source)
{
    l->lexer = (struct lexer){ (const char *) source.ptr,
                               (const char *) source.ptr + source.len, 1 };
    l->before = l->now = l->after = (struct token){ 0 };
    l->declares = false;
    advance(l);
    advance(l);
}

/* Names behind local and for up to = or in or the next statement; parameters up to the ). */
static void note_locals(struct lint *l)
{
    bool parameters = false;

    for (; l->now.kind != TOKEN_END; advance(l)) {
        if (is(&l->now, "local") || is(&l->now, "for")) l->declares = true;
        else if (is(&l->now, "function")) parameters = true;
        else if (parameters && is(&l->now, "(")) l->declares = true;
        else if (is(&l->now, ")") || is(&l->now, "=") || is(&l->now, "in")) {
            l->declares = parameters = false;
        } else if (l->now.kind == TOKEN_NAME && !is_keyword(&l->now)) {
            bool attribute = is(&l->before, "<");
            bool more = is(&l->before, ",") || is(&l->before, "local") ||
                        is(&l->before, "for") || is(&l->before, "function") ||
                        is(&l->before, "(");

            if (l->declares && more && !attribute) add_local(l, l->now.text);
            else if (l->declares && !attribute) l->declares = parameters;
        }
    }
}

/* --- findings --- */

/* "tx:name", "string.name": of what we know all members. */
static void check_member(struct lint *l)
{
    const struct bytes owner = l->before.text, name = l->after.text;

    if (l->after.kind != TOKEN_NAME) return;
    if (is(&l->before, "tx") && is(&l->now, ":")) {
        if (!has(l->L, 3, name)) tell(l, l->after.line, "is no function of tx", name);
        return;
    }
    if (!is(&l->now, ".") || l->before.kind != TOKEN_NAME || has(l->L, 2, owner)) return;
    lua_pushlstring(l->L, (const char *) owner.ptr, owner.len);
    if (lua_gettable(l->L, 1) == LUA_TTABLE && !has(l->L, lua_gettop(l->L), name)) {
        tell(l, l->after.line, "is not in that library of the sandbox", name);
    }
    lua_pop(l->L, 1);
}

static void check_name(struct lint *l)
{
    const bool member = is(&l->before, ".") || is(&l->before, ":");
    const bool label = is(&l->before, "::") || is(&l->before, "goto");
    const bool attribute = is(&l->before, "<") && is(&l->after, ">");
    const bool assigned = is(&l->after, "=");
    const bool key = assigned && (is(&l->before, "{") || is(&l->before, ",") ||
                                  is(&l->before, ";"));

    if (member || label || attribute || is_keyword(&l->now) || has(l->L, 2, l->now.text)) {
        return;
    }
    if (key && l->braces > 0) return;
    if (assigned) {
        tell(l, l->now.line, "is assigned as a global: say local", l->now.text);
    } else if (!has(l->L, 1, l->now.text) && !is(&l->now, "_ENV")) {
        tell(l, l->now.line, "means nothing in the sandbox", l->now.text);
    }
}

static void check_all(struct lint *l)
{
    l->braces = 0;
    for (; l->now.kind != TOKEN_END; advance(l)) {
        if (is(&l->now, "{")) l->braces++;
        if (is(&l->now, "}")) l->braces--;
        if (l->now.kind == TOKEN_NAME) check_name(l);
        if (l->now.kind == TOKEN_OTHER) check_member(l);
    }
}

struct work {
    struct lint lint;
    struct bytes source;
};

static int lint_protected(lua_State *L)
{
    struct work *w = lua_touserdata(L, 1);

    lua_settop(L, 0);
    tx_object_setup(L);
    sandbox_push_environment(L);
    lua_newtable(L);
    tx_object_push_methods(L);
    w->lint.L = L;
    rewind_to_start(&w->lint, w->source);
    note_locals(&w->lint);
    rewind_to_start(&w->lint, w->source);
    check_all(&w->lint);
    return 0;
}

/* What the servers would say when it is put. */
static bool loads(struct lint *l, struct bytes name, struct bytes source)
{
    struct lua_host *h = host_new(
        (struct sandbox_budget){ .memory_max = SCRIPT_MEMORY_MAX, .fuel_max = SCRIPT_FUEL_MAX });
    struct scripts *s = host_scripts(h);
    struct script_result out = { 0 };

    s->check(s, name, source, &out);
    if (out.outcome == SCRIPT_ERROR) {
        buf_put_bytes_raw(l->out, buf_bytes(&out.message));
        buf_put_u8(l->out, '\n');
        l->count++;
    }
    buf_fini(&out.value);
    buf_fini(&out.message);
    buf_fini(&out.paths);
    host_free(h);
    return l->count == 0;
}

unsigned lint_run(struct bytes name, struct bytes source, struct buf *out)
{
    char title[80];
    struct work w = { .lint = { .name = title, .out = out }, .source = source };
    struct sandbox s;

    snprintf(title, sizeof title, "%.*s", (int) (name.len < 64 ? name.len : 64),
             (const char *) name.ptr);
    if (!loads(&w.lint, name, source)) return w.lint.count;
    CHECK(sandbox_open(&s, (struct sandbox_budget){ .memory_max = 64u << 20,
                                                    .fuel_max = UINT64_MAX / 2 }) == 0);
    sandbox_refill(&s);
    CHECK(sandbox_call(&s, lint_protected, &w) == LUA_OK);
    sandbox_close(&s);
    return w.lint.count;
}
