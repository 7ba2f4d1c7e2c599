#include "core/watch/history.h"

#include <stdlib.h>

#include "core/base/bytes.h"
#include "core/base/check.h"

void history_init(struct history *h, size_t size)
{
    CHECK(size > 0);
    *h = (struct history){ .zxids = mem_zalloc(size * sizeof(uint64_t)), .size = size };
}

void history_fini(struct history *h)
{
    free(h->zxids);
    *h = (struct history){ 0 };
}

void history_reset(struct history *h)
{
    h->slot_first = h->slot_last = h->zxid_before = 0;
}

uint64_t history_zxid(const struct history *h, uint64_t slot)
{
    CHECK(h->slot_first != 0);
    CHECK(slot <= h->slot_last);
    if (slot + 1 == h->slot_first) return h->zxid_before;
    CHECK(slot >= h->slot_first);
    return h->zxids[slot % h->size];
}

bool history_counted(const struct history *h, uint64_t slot)
{
    CHECK(slot >= h->slot_first);
    return history_zxid(h, slot) > history_zxid(h, slot - 1);
}

void history_add(struct history *h, uint64_t slot, uint64_t zxid_first, uint64_t zxid_last)
{
    uint64_t zxid = zxid_last;

    if (h->slot_first == 0) {
        if (zxid_first == 0) return;
        h->slot_first = slot;
        h->zxid_before = zxid_first - 1;
    } else {
        CHECK(slot == h->slot_last + 1);
        if (zxid_first == 0) zxid = history_zxid(h, h->slot_last);
        CHECK(zxid_first == 0 || zxid_first == history_zxid(h, h->slot_last) + 1);
    }
    if (slot - h->slot_first == h->size) {
        h->zxid_before = h->zxids[h->slot_first % h->size];
        h->slot_first++;
    }
    h->zxids[slot % h->size] = zxid;
    h->slot_last = slot;
}

bool history_find(const struct history *h, uint64_t since, uint64_t *slot)
{
    uint64_t low = h->slot_first, high = h->slot_last + 1;

    if (h->slot_first == 0 || since < h->zxid_before) return false;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;

        if (history_zxid(h, middle) > since) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    *slot = low > h->slot_last ? 0 : low;
    return true;
}
