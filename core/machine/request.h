/* request.h -- what a client asks that goes through the log, as the server that holds its
 * connection keeps it until it is answered and as followers forward it.
 *
 * Bytes (LEB128 unless said otherwise; `bytes` = length + 1 and content, 0 = null):
 *     version u8 (2) | kind u8 | session seq ack | by kind:  (version 1 had fewer wants)
 *     WRITE          single u8 | count | count wants
 *     CALL           recipe bytes | function bytes | args bytes | timeout_ms (0 = none)
 *                    | count | count wants, guards only
 *     CANCEL         seq of the waiting call; seq itself is 0
 *     SESSION_OPEN   timeout_ms | secret bytes (drawn by the server, never by a client)
 *     SESSION_CLOSE  nothing more; seq may be 0
 *     MEMBER         action u8 | id | kind u8 | incarnation u64 | peer bytes | client bytes;
 *                    in no session
 *     want           kind u8 | path bytes | by kind: CHECK version+1 | CHECK_ABSENT | GUARD
 *                    token | CREATE flags data | SET version+1 data | DELETE version+1
 *                    (version -1 = any, so 0 stands for any) | ALIVE id | GET | STAT | TOUCH
 *                    | CREATE_AS flags ttl_ms linger_ms data | DELETE_TREE partly u8
 *                    | COPY to bytes | QUOTA nodes_max bytes_max
 * Pure. */
#ifndef CORE_MACHINE_REQUEST_H
#define CORE_MACHINE_REQUEST_H

#include "core/base/bytes.h"
#include "core/machine/roster.h"

enum request_kind {
    REQUEST_WRITE = 1,
    REQUEST_CALL,
    REQUEST_CANCEL,
    REQUEST_SESSION_OPEN,
    REQUEST_SESSION_CLOSE,
    REQUEST_MEMBER, /* only resolver_change() takes it: it is alone in its slot */
};

enum want_kind {
    WANT_CHECK = 1,
    WANT_CHECK_ABSENT,
    WANT_GUARD,
    WANT_CREATE,
    WANT_SET,
    WANT_DELETE,
    WANT_ALIVE,       /* a guard: that session lives. It has no path */
    WANT_GET,         /* data and stat as of this point of the transaction */
    WANT_STAT,
    WANT_TOUCH,
    WANT_CREATE_AS,   /* a CREATE that asks for more */
    WANT_DELETE_TREE,
    WANT_COPY,
    WANT_QUOTA,
};
/* A condition that stands before a write and is none of its ops. */
bool want_is_guard(enum want_kind kind);

struct want {
    enum want_kind kind;
    struct bytes path, data;
    int64_t version; /* -1 = any */
    uint64_t token;  /* GUARD: the czxid that the node must have; ALIVE: the session */
    unsigned flags;  /* CREATE, CREATE_AS: tx_create_flags */
    uint64_t ttl_ms, linger_ms; /* CREATE_AS */
    struct bytes to; /* COPY */
    bool partly;     /* DELETE_TREE */
    uint64_t nodes_max, bytes_max; /* QUOTA */
};

struct request {
    enum request_kind kind;
    uint64_t session, seq, ack; /* 0, 0, 0: without a session, no promise on retry */
    bool single;                /* WRITE: one op apart from guards, answered as such */
    uint32_t wants_count;
    struct bytes wants;                  /* WRITE, CALL: encoded; see want_next() */
    struct bytes recipe, function, args; /* CALL; args is one MessagePack value */
    uint64_t timeout_ms;                 /* CALL, SESSION_OPEN */
    uint64_t target_seq;                 /* CANCEL */
    struct bytes secret;                 /* SESSION_OPEN */
    struct member_ask member;            /* MEMBER */
};

void request_encode(struct buf *out, const struct request *r); /* appends */
/* All ranges and every want checked; borrowed from `bytes`. ERR_BAD_MESSAGE, ERR_TOO_LARGE,
 * ERR_OTHER_VERSION. Paths are judged later, by tx.h, which can say what is wrong. */
int request_decode(struct bytes bytes, struct request *r);
/* Whether these bytes, if they decode, are a request of kind MEMBER. */
bool request_is_member(struct bytes bytes);

void want_encode(struct buf *out, const struct want *w); /* appends; for request.wants */
/* Reads the next want of a reader over request.wants; ERR_BAD_MESSAGE. */
int want_next(struct reader *r, struct want *w);

#endif
