/* result.h -- the answer to a request, as it is stored under (session, seq) and as the server
 * that holds the client's connection decodes it. Bytes:
 *     version u8 (2) | -code | zxid | message bytes | index + 1 | count | count parts | value
 *     part: kind u8 (want_kind, or 0 for a session) | path bytes | id | has stat u8 | stat
 *           | GET: data bytes | DELETE_TREE: more u8
 * (In version 1 a stat ended before ttl and container.)
 * Pure. */
#ifndef CORE_MACHINE_RESULT_H
#define CORE_MACHINE_RESULT_H

#include "core/base/bytes.h"
#include "core/tree/node.h"

struct result_part {
    unsigned kind;     /* the want it answers; 0: a session was opened */
    struct bytes path; /* CREATE: the path created */
    uint64_t id;       /* of the session; COPY, DELETE_TREE: how many nodes */
    bool has_stat;     /* GET, STAT: there is a node */
    struct stat_view stat; /* CREATE, SET, TOUCH, CHECK, GET, STAT: the node after the op */
    struct bytes data; /* GET */
    bool more;         /* DELETE_TREE: some are left */
};

struct result {
    int code;             /* 0 or an error code */
    uint64_t zxid;        /* of the transaction; refusals have one too */
    struct bytes message; /* of an error: what was wrong, which path */
    int64_t index;        /* of the want that failed; -1 = none */
    uint8_t version;      /* decoded: of the parts */
    uint32_t parts_count;
    struct bytes parts;   /* encoded; see result_part_next() */
    struct bytes value;   /* CALL: one MessagePack value; MEMBER: the roster (roster.h), and
                             its part of kind 0 names the member; null bytes = none */
};

void result_encode(struct buf *out, const struct result *r); /* appends */
int result_decode(struct bytes bytes, struct result *r);     /* borrowed; ERR_BAD_MESSAGE */

void result_part_encode(struct buf *out, const struct result_part *p); /* appends */
struct result_parts {
    struct reader reader;
    uint8_t version;
};
struct result_parts result_parts_of(const struct result *r);
int result_part_next(struct result_parts *r, struct result_part *p);

/* Appends the message of a refusal: the code's name, then what was wrong, cut to
 * RESULT_MESSAGE_BYTES_MAX. */
enum { RESULT_MESSAGE_BYTES_MAX = 1024 };
void result_put_message(struct buf *out, int code, struct bytes detail);

#endif
