/* A binary heap: the least (deadline, order) at place 1 of the array, kept at index 0. */
#include "core/base/check.h"
#include "core/machine/inside.h"

static bool is_before(const struct call *a, const struct call *b)
{
    if (a->deadline_ms != b->deadline_ms) return a->deadline_ms < b->deadline_ms;
    return a->order < b->order;
}

static struct call *at(const struct resolver *r, size_t place)
{
    return r->deadlines[place - 1];
}

static void put(struct resolver *r, size_t place, struct call *c)
{
    r->deadlines[place - 1] = c;
    c->deadline_at = place;
}

static void rise(struct resolver *r, struct call *c)
{
    size_t place = c->deadline_at;

    while (place > 1 && is_before(c, at(r, place / 2))) {
        put(r, place, at(r, place / 2));
        place /= 2;
    }
    put(r, place, c);
}

static void sink(struct resolver *r, struct call *c)
{
    size_t place = c->deadline_at;

    for (;;) {
        size_t child = 2 * place;

        if (child > r->deadlines_count) break;
        if (child < r->deadlines_count && is_before(at(r, child + 1), at(r, child)))
            child++;
        if (!is_before(at(r, child), c)) break;
        put(r, place, at(r, child));
        place = child;
    }
    put(r, place, c);
}

void deadline_add(struct resolver *r, struct call *c)
{
    CHECK(c->deadline_at == 0);
    if (r->deadlines_count == r->deadlines_cap) {
        r->deadlines_cap = r->deadlines_cap == 0 ? 64 : 2 * r->deadlines_cap;
        r->deadlines = mem_grow(r->deadlines, r->deadlines_cap * sizeof *r->deadlines);
    }
    put(r, ++r->deadlines_count, c);
    rise(r, c);
}

void deadline_remove(struct resolver *r, struct call *c)
{
    size_t place = c->deadline_at;
    struct call *last;

    if (place == 0) return;
    last = at(r, r->deadlines_count--);
    c->deadline_at = 0;
    if (last == c) return;
    put(r, place, last);
    rise(r, last);
    sink(r, last);
}

struct call *deadline_due(const struct resolver *r, uint64_t now_ms)
{
    if (r->deadlines_count == 0 || at(r, 1)->deadline_ms > now_ms) return NULL;
    return at(r, 1);
}
