/* service.h -- the clients' side of a server: listener, connections, and what they share.
 *
 * How a request passes: conn.c reads bytes and cuts them into messages; dispatch.c makes a
 * job of each (requests.c) and starts it when its turn has come; the replica answers by tag
 * and dispatch.c packs the response (answers.c); the turn's flush writes it (out.c).
 *
 * ORDER WITHIN A CONNECTION  Requests take effect in the order in which they came: a strong
 * read starts when the writes before it are answered, a write or a call when the reads
 * before it are. Nothing waits for a call, since a call may wait long. What may not start
 * stands in the connection's queue, and all behind it.
 *
 * BOUNDS  A connection with many jobs, or with much output that it does not read, is not
 * read from; one that leaves very much unread, or reads nothing for long, or takes too long
 * over one message, is closed. What all together may hold of each is bounded too: then the
 * one goes that holds most. How turns, places and memory are shared: share.h. */
#ifndef CORE_SERVER_SERVICE_H
#define CORE_SERVER_SERVICE_H

#include "core/server/attached.h"
#include "core/server/driver.h"
#include "core/server/handover.h"
#include "core/server/job.h"
#include "core/server/out.h"
#include "core/server/requests.h"
#include "core/server/share.h"
#include "core/server/watches.h"

enum {
    SERVICE_READ_BYTES = 256 << 10,
    CONNS_MAX = 10000,
    CONNS_FILES_KEPT = 1024, /* descriptors for the log, the state and peers; or half of all */
    CONNS_ADDRESS_PERCENT = 75, /* of all connections, for one address */
    SERVICE_IN_MAX = 64 << 20,  /* messages that are not whole yet, of all connections */
    SERVICE_OUT_MAX = 256 << 20, /* unread output of all connections */
    CONN_JOBS_MAX = LIMIT(4096, 64),     /* asked and not answered: then stop reading */
    CONN_OUT_AIM = LIMIT(1 << 20, 4096), /* unread output: then stop reading */
    CONN_OUT_MAX = 64 << 20,             /* unread output: then close */
    CONN_SESSIONS_MAX = LIMIT(1024, 8),
    CONN_HELLO_MS = 10000,  /* from connecting to the hello */
    CONN_SILENT_MS = 30000, /* within a message */
    CONN_MESSAGE_MS = 60000, /* from its first byte to its last, while it is read */
    CONN_UNREAD_MS = 60000,  /* output of which nothing is read */
    CONN_PARTING_MS = 3000, /* for the client to notice that we have said our last */
};

struct conn {
    struct service *service;
    struct list member; /* of service->conns */
    struct list wake;   /* of service->wakes: something may go on */
    uv_tcp_t tcp;
    struct out out;
    struct buf in;
    struct rpc_scan scan;
    bool greeted, wants_members, reading, doomed, closing;
    uint64_t opened_ms, heard_ms;
    uint64_t message_ms; /* when the message began that is not whole yet */
    uint64_t moved_ms;   /* when something of the output was last seen to be read */
    size_t unread;       /* what was left of it then, */
    uint64_t written;    /* and how much was written before */
    size_t in_counted, out_counted; /* in the service's sums */
    struct share share;
    size_t job_bytes; /* of its jobs, as jobs.bytes has them */
    uint64_t number; /* from 1: its flow (core/replica/fair.h) */
    uint8_t address[16]; /* of the client, without its port */
    uint64_t parting_ms; /* since when it is only drained; 0 = not parting */
    uv_shutdown_t parting;
    struct list queued, started, confirmed; /* of jobs: J1 */
    uint32_t jobs, reads, writes; /* reads, writes: started and confirmed, not calls */
    size_t event_bytes;           /* of events in `out`, at most */
    uint64_t progress_ms, progress_zxid; /* of the last mark: watches.c */
    struct list sessions;         /* of struct attachment */
    uint32_t sessions_count;
};

struct service {
    uv_loop_t *loop;
    const struct config *config; /* borrowed */
    struct driver *driver;       /* borrowed */
    uv_tcp_t listener;
    uv_timer_t sweep;
    bool listening, stopping;
    bool installing; /* its state is about to be replaced by a peer's */
    struct list conns, wakes, dirties;
    uint32_t conns_count, conns_max;
    uint64_t conns_ever;
    uint64_t refused_ms; /* when a line about refused connections was written last */
    struct shares shares;
    size_t in_bytes, out_bytes; /* of all connections: not whole yet, unread */
    struct list queries; /* jobs put off: query_queue.h */
    struct attached attached;
    struct buf announced; /* session, zxid, ...: attached here, and not told to others yet */
    struct jobs jobs;
    struct requests requests;
    struct feed feed; /* its watches */
    struct event_pack packed;
    struct buf page; /* nodes of a snapshot, packed */
    uint32_t page_nodes;
    struct handover handover;
    uint64_t members_told; /* version of the members' list */
    uint8_t *read_buffer;
    msgpack_zone zone;
    struct rpc_values values;
    struct buf scratch;
};

/* `s` is embedded in the server; its address must not change. */
void service_init(struct service *s, uv_loop_t *loop, const struct config *config);
/* What the driver tells; give it to driver_open(). */
struct driver_clients service_clients(struct service *s);
/* Listens. 0, or a code and one line in `why`. */
int service_listen(struct service *s, struct address *address, char *why, size_t why_size);
void service_start(struct service *s, struct driver *driver);

/* New connections and requests are refused; what is asked goes on. */
void service_stop(struct service *s);
bool service_idle(
    const struct service *s);          /* nothing but calls is unanswered or unwritten */
void service_part(struct service *s);  /* ends all connections, in peace */
void service_close(struct service *s); /* all connections; the loop must run out */
void service_fini(struct service *s);

#endif
