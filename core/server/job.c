#include "core/server/job.h"

#include <stdlib.h>

#include "core/base/check.h"

enum { CHUNK = 64, KEEP_BYTES = 1024 }; /* of a spare job's body */

/* tag = times used (upper half) and place (lower half); never 0. */
static uint32_t place_of(uint64_t tag)
{
    return (uint32_t)tag;
}

static struct job *at_place(struct jobs *t, uint32_t place)
{
    return &t->chunks[place / CHUNK][place % CHUNK];
}

void jobs_init(struct jobs *t)
{
    *t = (struct jobs){ 0 };
    list_init(&t->spare);
}

void jobs_fini(struct jobs *t)
{
    CHECK(t->count == 0 && t->bytes == 0);
    for (uint32_t place = 0; place < t->places; place++)
        buf_fini(&at_place(t, place)->body);
    for (uint32_t i = 0; i < t->places / CHUNK; i++)
        free(t->chunks[i]);
    free(t->chunks);
}

static void grow(struct jobs *t)
{
    uint32_t chunks = t->places / CHUNK;

    t->chunks = mem_grow(t->chunks, (chunks + 1) * sizeof t->chunks[0]);
    t->chunks[chunks] = mem_zalloc(CHUNK * sizeof t->chunks[0][0]);
    for (uint32_t i = 0; i < CHUNK; i++) {
        struct job *j = &t->chunks[chunks][i];
        j->tag = t->places++;
        list_init(&j->member);
        list_push(&t->spare, &j->member);
    }
}

struct job *job_new(struct jobs *t, struct conn *conn)
{
    if (t->count == PENDING_COUNT_MAX) return NULL;
    if (list_empty(&t->spare)) grow(t);
    struct job *j = LIST_FIRST(&t->spare, struct job, member);
    struct buf body = j->body;
    uint64_t tag = j->tag + (UINT64_C(1) << 32);
    list_remove(&j->member);
    *j = (struct job){ .tag = tag, .conn = conn, .body = body };
    list_init(&j->member);
    t->count++;
    return j;
}

void job_keep_body(struct jobs *t, struct job *j)
{
    CHECK(j->held == 0);
    j->held = j->body.len;
    t->bytes += j->held;
}

void job_drop_body(struct job *j)
{
    if (j->body.cap > KEEP_BYTES) {
        buf_fini(&j->body);
    } else {
        buf_clear(&j->body);
    }
}

void job_free(struct jobs *t, struct job *j)
{
    CHECK(j->conn != NULL);
    CHECK(t->bytes >= j->held);
    t->bytes -= j->held;
    j->conn = NULL;
    list_remove(&j->member);
    job_drop_body(j);
    /* At the end: places are used in turn, so that a tag is long in coming back. */
    list_push(&t->spare, &j->member);
    t->count--;
}

struct job *job_find(struct jobs *t, uint64_t tag)
{
    if (place_of(tag) >= t->places) return NULL;
    struct job *j = at_place(t, place_of(tag));
    return j->tag == tag && j->conn != NULL ? j : NULL;
}
