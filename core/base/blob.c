#include "core/base/blob.h"

#include <stdlib.h>

#include "core/base/check.h"

struct blob *blob_new(struct bytes content)
{
    CHECK(content.len <= UINT32_MAX);

    struct blob *b = mem_alloc(sizeof *b + content.len);

    atomic_init(&b->refs, 1);
    b->len = (uint32_t) content.len;
    if (content.len > 0) memcpy(b->data, content.ptr, content.len);
    return b;
}

struct blob *blob_ref(struct blob *b)
{
    if (b != NULL) atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    return b;
}

void blob_unref(struct blob *b)
{
    if (b == NULL) return;

    unsigned before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);

    CHECK(before > 0);
    if (before == 1) free(b);
}

struct bytes blob_bytes(const struct blob *b)
{
    return b == NULL ? (struct bytes){ 0 } : bytes_of(b->data, b->len);
}
