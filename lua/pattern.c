#include "lua/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "lua/sandbox.h"

enum { CAPTURE_OPEN = -1, CAPTURE_PLACE = -2 }; /* in place of a length */
enum { STEPS_PAID_AT_ONCE = 64 };

/* Where matching stands in the pattern and in the text. */
typedef const char *place;

static place match_here(struct pattern *p, place s, place at);

void pattern_init(struct pattern *p, lua_State *L, struct bytes text, struct bytes pattern)
{
    *p = (struct pattern){ .L = L, .text = text, .pattern = pattern };
    p->anchored = pattern.len > 0 && pattern.ptr[0] == '^';
    if (p->anchored) p->pattern = bytes_of(pattern.ptr + 1, pattern.len - 1);
}

bool pattern_is_plain(struct bytes pattern)
{
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] != '\0' && strchr("^$*+?.([%-", pattern.ptr[i]) != NULL) {
            return false;
        }
    }
    return true;
}

static place text_end(const struct pattern *p)
{
    return (const char *)p->text.ptr + p->text.len;
}

static place pattern_end(const struct pattern *p)
{
    return (const char *)p->pattern.ptr + p->pattern.len;
}

static void pay(struct pattern *p)
{
    if (++p->unpaid < STEPS_PAID_AT_ONCE) return;
    p->unpaid = 0;
    sandbox_charge(p->L, STEPS_PAID_AT_ONCE);
}

/* --- one character --- */

/* Where the class that begins at `at` ends. */
static place class_end(struct pattern *p, place at)
{
    const place end = pattern_end(p);

    if (*at == '%') {
        if (at + 1 == end) luaL_error(p->L, "malformed pattern (ends with '%%')");
        return at + 2;
    }
    if (*at != '[') return at + 1;
    at++;
    if (at < end && *at == '^') at++;
    do { /* a ] in the first place means itself */
        if (at == end) luaL_error(p->L, "malformed pattern (missing ']')");
        if (*at++ == '%') at++;
        if (at > end) luaL_error(p->L, "malformed pattern (missing ']')");
    } while (at == end || *at != ']');
    return at + 1;
}

/* %a, %d, ...; an upper case letter means the complement; any other means itself. */
static bool letter_holds(char letter, unsigned char c)
{
    bool holds;

    switch (tolower((unsigned char)letter)) {
    case 'a':
        holds = isalpha(c);
        break;
    case 'c':
        holds = iscntrl(c);
        break;
    case 'd':
        holds = isdigit(c);
        break;
    case 'g':
        holds = isgraph(c);
        break;
    case 'l':
        holds = islower(c);
        break;
    case 'p':
        holds = ispunct(c);
        break;
    case 's':
        holds = isspace(c);
        break;
    case 'u':
        holds = isupper(c);
        break;
    case 'w':
        holds = isalnum(c);
        break;
    case 'x':
        holds = isxdigit(c);
        break;
    default:
        return (unsigned char)letter == c;
    }
    return isupper((unsigned char)letter) ? !holds : holds;
}

/* `at` is the [, `end` the place after its ]. */
static bool set_holds(struct pattern *p, place at, place end, unsigned char c)
{
    const place last = end - 1;
    bool complement = at[1] == '^';

    for (at += complement ? 2 : 1; at < last; at++) {
        pay(p);
        if (*at == '%') {
            at++;
            if (letter_holds(*at, c)) return !complement;
        } else if (at + 2 < last && at[1] == '-') {
            if ((unsigned char)at[0] <= c && c <= (unsigned char)at[2]) {
                return !complement;
            }
            at += 2;
        } else if ((unsigned char)*at == c) {
            return !complement;
        }
    }
    return complement;
}

static bool class_holds(struct pattern *p, place at, place end, unsigned char c)
{
    switch (*at) {
    case '.':
        return true;
    case '%':
        return letter_holds(at[1], c);
    case '[':
        return set_holds(p, at, end, c);
    default:
        return (unsigned char)*at == c;
    }
}

static bool holds_at(struct pattern *p, place s, place at, place end)
{
    pay(p);
    return s < text_end(p) && class_holds(p, at, end, (unsigned char)*s);
}

/* --- repetitions --- */

/* As many as there are, then fewer. `end` is the place of the * or +. */
static place match_most(struct pattern *p, place s, place at, place end)
{
    ptrdiff_t count = 0;

    while (holds_at(p, s + count, at, end))
        count++;
    for (; count >= 0; count--) {
        place matched = match_here(p, s + count, end + 1);

        if (matched != NULL) return matched;
    }
    return NULL;
}

/* As few as will do. */
static place match_fewest(struct pattern *p, place s, place at, place end)
{
    for (;; s++) {
        place matched = match_here(p, s, end + 1);

        if (matched != NULL) return matched;
        if (!holds_at(p, s, at, end)) return NULL;
    }
}

/* --- captures --- */

static place match_opened(struct pattern *p, place s, place at, ptrdiff_t len)
{
    place matched;

    if (p->count == PATTERN_CAPTURES_MAX) luaL_error(p->L, "too many captures");
    p->captures[p->count++] = (struct capture){ s, len };
    matched = match_here(p, s, at);
    if (matched == NULL) p->count--;
    return matched;
}

static place match_closed(struct pattern *p, place s, place at)
{
    int open = p->count - 1;
    place matched;

    while (open >= 0 && p->captures[open].len != CAPTURE_OPEN)
        open--;
    if (open < 0) luaL_error(p->L, "invalid pattern capture");
    p->captures[open].len = s - p->captures[open].start;
    matched = match_here(p, s, at);
    if (matched == NULL) p->captures[open].len = CAPTURE_OPEN;
    return matched;
}

/* %1 to %9: what that capture holds, once more. NULL: it does not stand here. */
static place match_again(struct pattern *p, place s, char digit)
{
    int index = digit - '1';
    size_t len;

    if (index < 0 || index >= p->count || p->captures[index].len == CAPTURE_OPEN) {
        luaL_error(p->L, "invalid capture index %%%d", index + 1);
    }
    if (p->captures[index].len == CAPTURE_PLACE) return NULL; /* a place is no text */
    len = (size_t)p->captures[index].len;
    sandbox_charge(p->L, len / SANDBOX_FUEL_BYTES);
    if ((size_t)(text_end(p) - s) < len) return NULL;
    return memcmp(p->captures[index].start, s, len) == 0 ? s + len : NULL;
}

/* --- %b and %f --- */

/* %bxy: from an x to the y that balances it. `at` is the x. */
static place match_balance(struct pattern *p, place s, place at)
{
    size_t depth = 0;

    if (at + 1 >= pattern_end(p)) {
        luaL_error(p->L, "malformed pattern (missing arguments to '%%b')");
    }
    if (s == text_end(p) || *s != at[0]) return NULL;
    for (; s < text_end(p); s++) {
        pay(p);
        if (*s == at[1] && depth > 0) {
            if (--depth == 0) return s + 1;
        } else if (*s == at[0]) {
            depth++;
        }
    }
    return NULL;
}

/* %f[set]: between a character outside and one inside of the set. */
static bool is_frontier(struct pattern *p, place s, place at, place end)
{
    unsigned char before = s == (const char *)p->text.ptr ? 0 : (unsigned char)s[-1];
    unsigned char here = s == text_end(p) ? 0 : (unsigned char)*s;

    return !set_holds(p, at, end, before) && set_holds(p, at, end, here);
}

static place set_after_frontier(struct pattern *p, place at)
{
    if (at == pattern_end(p) || *at != '[') {
        luaL_error(p->L, "missing '[' after '%%f' in pattern");
    }
    return at;
}

/* --- matching --- */

/* One class with what follows it. Returns the match of all the rest, or NULL; or, with
 * *more, where to go on with the pattern at *more. */
static place match_class(struct pattern *p, place s, place at, place *more)
{
    place end = class_end(p, at), matched;
    char suffix = end < pattern_end(p) ? *end : '\0';

    *more = NULL;
    switch (suffix) {
    case '*':
        return match_most(p, s, at, end);
    case '+':
        return holds_at(p, s, at, end) ? match_most(p, s + 1, at, end) : NULL;
    case '-':
        return match_fewest(p, s, at, end);
    case '?':
        matched = holds_at(p, s, at, end) ? match_here(p, s + 1, end + 1) : NULL;
        if (matched != NULL) return matched;
        *more = end + 1;
        return s;
    default:
        if (!holds_at(p, s, at, end)) return NULL;
        *more = end;
        return s + 1;
    }
}

/* %b, %f and %1: where to go on, as match_class(). *more NULL and NULL: none of them. */
static bool match_special(struct pattern *p, place *s, place *at)
{
    char kind = *at + 1 < pattern_end(p) ? (*at)[1] : '\0';

    if (kind == 'b') {
        *s = match_balance(p, *s, *at + 2);
        *at += 4;
    } else if (kind == 'f') {
        place set = set_after_frontier(p, *at + 2), end = class_end(p, set);

        if (!is_frontier(p, *s, set, end)) *s = NULL;
        *at = end;
    } else if (isdigit((unsigned char)kind)) {
        *s = match_again(p, *s, kind);
        *at += 2;
    } else {
        return false;
    }
    return true;
}

/* The rest of the pattern from `at` on, at `s`: where the match ends, or NULL. */
static place match_rest(struct pattern *p, place s, place at)
{
    const place end = pattern_end(p);

    while (s != NULL && at < end) {
        place more;

        pay(p);
        if (*at == '(') {
            bool is_place = at + 1 < end && at[1] == ')';

            return match_opened(p, s, at + (is_place ? 2 : 1),
                                is_place ? CAPTURE_PLACE : CAPTURE_OPEN);
        }
        if (*at == ')') return match_closed(p, s, at + 1);
        if (*at == '$' && at + 1 == end) return s == text_end(p) ? s : NULL;
        if (*at == '%' && match_special(p, &s, &at)) continue;
        s = match_class(p, s, at, &more);
        if (more == NULL) return s;
        at = more;
    }
    return s;
}

static place match_here(struct pattern *p, place s, place at)
{
    place matched;

    if (++p->depth > PATTERN_DEPTH_MAX) luaL_error(p->L, "pattern too complex");
    matched = match_rest(p, s, at);
    p->depth--;
    return matched;
}

bool pattern_next(struct pattern *p, size_t start, size_t *from, size_t *to)
{
    const place text = (const char *)p->text.ptr;

    for (size_t at = start; at <= p->text.len; at++) {
        place end;

        p->count = 0;
        p->depth = 0;
        end = match_here(p, text + at, (const char *)p->pattern.ptr);
        if (end != NULL) {
            *from = at;
            *to = (size_t)(end - text);
            return true;
        }
        if (p->anchored) return false;
    }
    return false;
}

/* --- what was matched --- */

void pattern_push_capture(struct pattern *p, int index, size_t from, size_t to)
{
    const char *text = (const char *)p->text.ptr;
    const struct capture *c;

    if (index == 0 || (index == 1 && p->count == 0)) {
        lua_pushlstring(p->L, text + from, to - from);
        return;
    }
    if (index > p->count) luaL_error(p->L, "invalid capture index %%%d", index);
    c = &p->captures[index - 1];
    if (c->len == CAPTURE_OPEN) luaL_error(p->L, "unfinished capture");
    if (c->len == CAPTURE_PLACE) {
        lua_pushinteger(p->L, c->start - text + 1);
    } else {
        lua_pushlstring(p->L, c->start, (size_t)c->len);
    }
}

int pattern_push_captures(struct pattern *p, size_t from, size_t to)
{
    int count = p->count == 0 ? 1 : p->count;

    luaL_checkstack(p->L, count + 4, "too many captures");
    for (int i = 1; i <= count; i++)
        pattern_push_capture(p, i, from, to);
    return count;
}
