#include "core/state/memo.h"

#include <stdlib.h>

#include "core/base/check.h"
#include "core/base/hash.h"

void memo_init(struct memo *m)
{
    m->generation = 1; /* nothing is known: answers begin with 0 */
    m->answers = mem_zalloc(MEMO_COUNT * sizeof *m->answers);
}

void memo_fini(struct memo *m)
{
    for (size_t i = 0; i < MEMO_COUNT; i++) {
        buf_fini(&m->answers[i].from);
        buf_fini(&m->answers[i].key);
    }
    free(m->answers);
}

void memo_clear(struct memo *m)
{
    m->generation++;
}

struct memo_answer *memo_place(const struct memo *m, const struct memo_question *q)
{
    const uint64_t seed = (uint64_t) q->prefix.len << 1 | (q->direction == KV_FORWARD);

    return &m->answers[hash_bytes(q->from, seed) % MEMO_COUNT];
}

bool memo_knows(const struct memo *m, const struct memo_answer *a,
                const struct memo_question *q)
{
    return a->generation == m->generation && a->direction == q->direction &&
           a->prefix_len == q->prefix.len && bytes_equal(buf_bytes(&a->from), q->from);
}

void memo_keep(const struct memo *m, struct memo_answer *a, const struct memo_question *q,
               bool found, struct bytes key)
{
    a->generation = m->generation;
    a->direction = q->direction;
    a->prefix_len = q->prefix.len;
    buf_clear(&a->from);
    buf_put_bytes_raw(&a->from, q->from);
    a->found = found;
    buf_clear(&a->key);
    if (found) buf_put_bytes_raw(&a->key, key);
}
