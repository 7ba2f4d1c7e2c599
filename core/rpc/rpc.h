/* rpc.h -- MessagePack-RPC as specified (msgpack-rpc/spec.md), no I/O: scanning untrusted
 * bytes, decoding whole messages against the method table, and building messages.
 *
 *     request [0, msgid, method, params]   response [1, msgid, error, result]
 *     notification [2, method, params]
 *     error = {code: int, name: str, message: str, details: nil or a map}
 *
 * Every decode is preceded by the bounded pre-scan: it bounds size, depth and element
 * counts before anything is allocated (msgpack-c allocates what a header announces).
 * Server and client both stand on this file. */
#ifndef CORE_RPC_RPC_H
#define CORE_RPC_RPC_H

#include <msgpack.h>

#include "core/base/bytes.h"
#include "core/base/errors.h"
#include "core/base/limits.h"
#include "core/rpc/methods.h"

enum { RPC_PROTO = 1 };

/* --- the pre-scan --- */

enum rpc_scan_verdict {
    RPC_SCAN_WHOLE = 1, /* one whole message of `len` bytes stands at the front */
    RPC_SCAN_MORE,      /* the start of a message: wait */
    RPC_SCAN_BAD,       /* never a message; `why` says what is wrong: close */
};

/* Keeps its place between calls, so that a message that comes byte by byte is read once. */
struct rpc_scan {
    size_t at;     /* bytes already judged */
    uint32_t depth;
    uint64_t left[RPC_DEPTH_MAX + 1]; /* elements still to come, by depth */
    const char *why;
};

void rpc_scan_init(struct rpc_scan *s);
/* `bytes` starts where the message starts and only grows between calls. A message longer
 * than size_max is bad as soon as a header announces it. On WHOLE, *len is its length and
 * the scan is ready for the next message. */
enum rpc_scan_verdict rpc_scan(struct rpc_scan *s, struct bytes bytes, size_t size_max,
                               size_t *len);

/* --- decoding --- */

struct rpc_message {
    unsigned type; /* 0 request, 1 response, 2 notification */
    uint32_t msgid;
    enum method method;       /* request: METHOD_NONE when unknown */
    struct bytes method_name; /* request, notification */
    const msgpack_object *params, *error, *result;
};

/* Decodes one whole scanned message into `zone` (cleared by the caller when done with the
 * message; everything borrows from zone and bytes). ERR_BAD_MESSAGE. */
int rpc_decode(struct bytes bytes, msgpack_zone *zone, struct rpc_message *m);

/* A request's values, checked against the table. Values that were not given have `given`
 * false. Positions are those of the method's row: arguments first, then options. */
struct rpc_value {
    bool given;
    struct bytes bytes;        /* p d s x; d: ptr NULL = nil */
    uint64_t number;           /* u, b */
    int64_t integer;           /* i */
    const msgpack_object *any; /* v o g */
};
enum { RPC_VALUES_MAX = 16 };
struct rpc_values {
    struct rpc_value at[RPC_VALUES_MAX];
    char why[200]; /* of an error: which parameter, what it must be */
};

/* ERR_UNKNOWN_METHOD, ERR_BAD_PARAMS, ERR_BAD_OPTION with `why`. */
int rpc_check(const struct rpc_message *m, struct rpc_values *values);
/* The position of a name in a method's row; CHECKs that there is one. For setup only. */
unsigned rpc_value_index(enum method method, const char *name);

/* --- building: MessagePack appended to a buf, shortest forms --- */

void pack_nil(struct buf *b);
void pack_bool(struct buf *b, bool v);
void pack_uint(struct buf *b, uint64_t v);
void pack_int(struct buf *b, int64_t v);
void pack_str(struct buf *b, struct bytes s);
void pack_cstr(struct buf *b, const char *s);
void pack_bin(struct buf *b, struct bytes s); /* null bytes: nil */
void pack_array(struct buf *b, uint32_t count);
void pack_map(struct buf *b, uint32_t count);
void pack_object(struct buf *b, const msgpack_object *o); /* canonical copy */

void rpc_request_begin(struct buf *b, uint32_t msgid, enum method method); /* then params */
void rpc_response_begin(struct buf *b, uint32_t msgid); /* nil error; then the result */
void rpc_notification_begin(struct buf *b, const char *name); /* then params */
/* When whoever is told ERR_BUSY is to ask again: `retry_ms` in its details. It differs from
 * request to request, so that those who are refused together do not come back together. */
uint64_t rpc_retry_ms(uint32_t msgid);
/* With nil details, but for ERR_BUSY. `message` NULL: the text of the code. */
void rpc_error(struct buf *b, uint32_t msgid, int code, const char *message);
const char *rpc_method_name(enum method method);

/* A member of a map by name; NULL when there is none or `map` is no map. */
const msgpack_object *rpc_member(const msgpack_object *map, const char *name);
/* Reading a result with defaults. */
uint64_t rpc_uint(const msgpack_object *o, uint64_t otherwise);
int64_t rpc_int(const msgpack_object *o, int64_t otherwise);
struct bytes rpc_bytes(const msgpack_object *o); /* str or bin; else null */

/* Prints the protocol document from the table, in Markdown. */
void rpc_print_protocol(struct buf *out);

#endif
