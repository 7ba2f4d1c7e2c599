/* fake_server.h -- a server for tests of the client: a thread that listens on a port of the
 * loopback, serves one connection after the other, and answers as the test says. */
#ifndef TESTS_LIB_FAKE_SERVER_H
#define TESTS_LIB_FAKE_SERVER_H

#include "core/rpc/rpc.h"

/* Appends the answer, or nothing, to `out`. False: close the connection. In the thread. */
typedef bool (*fake_answer_fn)(const struct rpc_message *m, struct buf *out);

/* Listens; the address goes to `address` ("127.0.0.1:4711"). Returns the listener. */
int fake_listen(char *address, size_t size);
void fake_server_start(char *address, size_t size, fake_answer_fn answer);
void fake_server_stop(void); /* when no client is connected any more */

/* Parts of answers: what comes in a result, as members of a map that the caller began. */
void fake_put_stat(struct buf *b);              /* 41, 42, ... in the order of the fields */
void fake_put_hello(struct buf *b);             /* the whole result */
void fake_put_session(struct buf *b, uint64_t timeout_ms); /* the whole one, of id 77 */
/* A refusal, its details {index: 1}. */
void fake_put_refusal(struct buf *b, uint32_t msgid, int code);

#endif
