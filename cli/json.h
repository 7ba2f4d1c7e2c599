/* json.h -- strict JSON (RFC 8259) to and from MessagePack, for the shell.
 *
 * Written here because no JSON library is among the project's dependencies, and what a
 * general one would have to be taught is most of this file: integers of 64 bits stay
 * integers, bytes that are not UTF-8 get a form, and depth is bounded.
 *
 *     JSON                        MessagePack
 *     -9223372036854775808 ..     int, in its shortest form; an integer out of that range
 * is 18446744073709551615        refused, never rounded 1.5  1e3                    float
 * 64 "text"                      str object                      map with str keys; a key
 * that comes twice is refused
 *     {"base64": "..."}           <- bin that is not UTF-8 (printing only)
 *     "text"                      <- bin that is UTF-8 (printing only)
 *     null                        nil; also <- a float that is not finite
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <msgpack.h>

#include "core/base/bytes.h"
#include "core/base/limits.h"

/* A request's envelope takes two levels of RPC_DEPTH_MAX, and its root is one. */
enum { JSON_DEPTH_MAX = RPC_DEPTH_MAX - 3 };

/* Appends the MessagePack form of exactly one JSON value. False: *why says what is wrong
 * and where (static room, until the next call). */
bool json_to_msgpack(struct bytes text, struct buf *out, const char **why);

/* Appends the JSON form, on one line. */
void json_from_msgpack(struct buf *out, const msgpack_object *value);

void json_put_string(struct buf *out, struct bytes utf8); /* quoted and escaped */
void json_put_base64(struct buf *out, struct bytes s);    /* quoted */
bool json_is_utf8(struct bytes s);

#endif
