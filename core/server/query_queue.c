#include "core/server/query_queue.h"

#include "core/base/check.h"
#include "core/server/answers.h"
#include "core/server/conn.h"
#include "core/server/dispatch.h"

static void run(struct job *j)
{
    const struct query query = query_of(j);
    struct result result;

    queries_run(driver_queries(j->conn->service->driver), &query, &result);
    answer_result(conn_out(j->conn), j, &result);
    dispatch_done(j);
}

static bool is_tired(const struct service *s)
{
    return queries_are_tired(driver_queries(s->driver));
}

void query_queue_due(struct job *j)
{
    struct service *s = j->conn->service;

    if (is_tired(s) || query_queue_again(s)) {
        list_push(&s->queries, &j->member);
    } else {
        run(j);
    }
}

/* Whose output is full waits for room there, as any read does. */
static void go_on(struct job *j)
{
    struct conn *c = j->conn;

    list_remove(&j->member);
    if (out_queued(&c->out) < CONN_OUT_AIM) {
        run(j);
    } else {
        list_push(&c->confirmed, &j->member);
    }
}

void query_queue_turn(struct service *s)
{
    while (!list_empty(&s->queries) && !is_tired(s)) {
        go_on(LIST_FIRST(&s->queries, struct job, member));
    }
}

bool query_queue_again(const struct service *s)
{
    return !list_empty(&s->queries);
}

void query_queue_forget(struct conn *c)
{
    struct service *s = c->service;

    LIST_EACH_SAFE(at, after, &s->queries)
    {
        struct job *j = CONTAINER_OF(at, struct job, member);

        if (j->conn == c) job_free(&s->jobs, j);
    }
}
