#include "core/server/handover.h"

#include <stdio.h>

#include "core/base/errors.h"
#include "core/server/conn.h"

enum {
    NODE = 0,         /* the position of the method's only value */
    ANSWER_MS = 3000, /* an answer is due then, whatever became of it */
};

static void answer_leader(struct conn *c, uint32_t msgid, uint32_t leader)
{
    struct buf *out = conn_out(c);

    rpc_response_begin(out, msgid);
    pack_map(out, 1);
    pack_cstr(out, "leader");
    pack_uint(out, leader);
}

/* Names the leader, so that the caller can go there. */
static void answer_not_leader(struct conn *c, uint32_t msgid, uint32_t leader)
{
    char why[64];

    snprintf(why, sizeof why, "server %u leads, not this one", leader);
    rpc_error(conn_out(c), msgid, ERR_NOT_LEADER,
              leader != 0 ? why : "no server leads now");
}

static void answer_refusal(struct conn *c, uint32_t msgid, int code, uint32_t leader)
{
    if (code == ERR_NOT_LEADER) {
        answer_not_leader(c, msgid, leader);
    } else if (code == ERR_BAD_PARAMS) {
        rpc_error(conn_out(c), msgid, code, "there is no such other server that votes");
    } else {
        rpc_error(conn_out(c), msgid, code, "a transfer is going on");
    }
}

void handover_come(struct conn *c, uint32_t msgid, const struct rpc_values *values)
{
    struct service *s = c->service;
    const uint64_t node = values->at[NODE].given ? values->at[NODE].number : 0;
    const uint32_t leader = driver_status(s->driver).leader;
    int code = 0;

    if (node == s->config->id && leader == node) {
        answer_leader(c, msgid, leader);
        return;
    }
    if (values->at[NODE].given && (node == 0 || node > NODES_MAX)) code = ERR_BAD_PARAMS;
    if (code == 0 && s->handover.conn != NULL) code = ERR_BUSY;
    if (code == 0) code = driver_transfer(s->driver, (uint32_t)node);
    if (code != 0) {
        answer_refusal(c, msgid, code, leader);
        return;
    }
    s->handover = (struct handover){ c, msgid, uv_now(s->loop) + ANSWER_MS };
}

void handover_turn(struct service *s)
{
    const struct handover h = s->handover;

    if (h.conn == NULL) return;
    const struct replica_status r = driver_status(s->driver);
    const bool led_by_other = r.leader != 0 && r.leader != s->config->id;
    const bool given_up = r.role == PAXOS_LEADING && !r.transferring;
    if (!led_by_other && !given_up && uv_now(s->loop) < h.until_ms) return;
    s->handover.conn = NULL;
    if (led_by_other) {
        answer_leader(h.conn, h.msgid, r.leader);
    } else {
        rpc_error(conn_out(h.conn), h.msgid, ERR_TIMEOUT,
                  given_up ? "no other server took over in time; this one leads on"
                           : "no server leads yet");
    }
}

void handover_forget(struct conn *c)
{
    if (c->service->handover.conn == c) c->service->handover.conn = NULL;
}
