#include "core/machine/table.h"

#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/base/check.h"

enum { SIZE_FIRST = 64 };

void table_fini(struct table *t)
{
    CHECK(t->count == 0);
    free(t->chains);
    *t = (struct table){ 0 };
}

static struct table_link **chain_of(const struct table *t, uint64_t hash)
{
    return &t->chains[hash & (t->size - 1)];
}

static void chain_push(const struct table *t, struct table_link *link)
{
    struct table_link **chain = chain_of(t, link->hash);

    link->next = *chain;
    *chain = link;
}

static void grow(struct table *t)
{
    struct table old = *t;

    t->size = old.size == 0 ? SIZE_FIRST : old.size * 2;
    t->chains = mem_zalloc(t->size * sizeof *t->chains);
    for (size_t i = 0; i < old.size; i++) {
        for (struct table_link *link = old.chains[i], *next; link != NULL; link = next) {
            next = link->next;
            chain_push(t, link);
        }
    }
    free(old.chains);
}

struct table_link *table_chain(const struct table *t, uint64_t hash)
{
    return t->size == 0 ? NULL : *chain_of(t, hash);
}

void table_add(struct table *t, struct table_link *link, uint64_t hash)
{
    if (t->count == t->size) grow(t);
    link->hash = hash;
    chain_push(t, link);
    t->count++;
}

void table_remove(struct table *t, struct table_link *link)
{
    struct table_link **at = chain_of(t, link->hash);

    while (*at != link) {
        CHECK(*at != NULL);
        at = &(*at)->next;
    }
    *at = link->next;
    t->count--;
}
