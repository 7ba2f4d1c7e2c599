/* remote.h -- the service as a command sees it: open, ask and wait, close.
 *
 * Over a channel. Each command that writes opens a session, so that its write is done once
 * even when the connection is lost in between; the session is closed at the end. Errors
 * come back as codes; `message` holds the detail. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/channel.h"
#include "cli/options.h"

struct remote {
    struct channel channel;
    uint32_t timeout_ms;
    uint64_t next_ms;  /* when the channel wants its tick */
    char message[4096]; /* of the last error, its details as JSON behind it */
};

/* Reads a list of servers; ERR_CONFIG, with `why`. */
int remote_servers(const char *text, struct servers *servers, char *why, size_t why_size);

/* Reads --servers, sets up the client; connects on the first wait. session_timeout_ms 0: no
 * session. ERR_CONFIG. remote_close() is due after success only. */
int remote_open(struct remote *r, const struct options *o, uint32_t session_timeout_ms);
/* Closes the session, if there is one, waiting for that for a second at most. */
void remote_close(struct remote *r);

/* Called with the result (borrowed for the call) of a request that succeeded. */
typedef void (*remote_result_fn)(void *ctx, const msgpack_object *result);

/* A request on its way, for callers that wait for other things too. */
struct remote_question {
    struct remote *remote;
    remote_result_fn fn;
    void *ctx;
    uint64_t handle, until_ms, ready_by_ms;
    bool write;
    bool answered;
    int code; /* once remote_done() is true */
};

/* Sends the request; done, ctx and limit_ms are filled in here. limit_ms 0 = no limit, but
 * the service must be reached, and a session opened, within --timeout all the same. */
void remote_begin(struct remote *r, struct remote_question *q,
                  struct client_request *request, uint64_t limit_ms);
/* True when it is over: answered, or waiting on is useless. ERR_UNREACHABLE as soon as
 * every server was tried twice and none was reached; ERR_PENDING: sent, its outcome is
 * unknown. */
bool remote_done(struct remote_question *q);
void remote_withdraw(struct remote_question *q); /* `fn` is not called any more */

/* All of it: sends the request and waits until it is over. Returns its code. */
int remote_ask(struct remote *r, struct client_request *request, uint64_t limit_ms,
               remote_result_fn fn, void *ctx);

/* One turn of the loop beside other descriptors: fds[0] is the channel's, the caller fills
 * the others. Waits until something happens, or until `until_ms`. */
struct pollfd;
void remote_poll(struct remote *r, struct pollfd *fds, unsigned count, uint64_t until_ms);

/* The code that makes waiting on useless (no server answers, wrong cluster, no session),
 * with `message` filled in; 0 = wait on. */
int remote_hopeless(struct remote *r);

#endif
