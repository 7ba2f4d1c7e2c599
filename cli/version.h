/* version.h -- one version of a value as the recipe config.lua answers it, in JSON. */
#ifndef CLI_VERSION_H
#define CLI_VERSION_H

#include "core/rpc/rpc.h"

/* A line {"path", "version", "data" or "data_base64", "zxid", "time", "size", "session"};
 * session is null when nobody knows whose it is. */
void version_put_json(struct buf *out, struct bytes path, const msgpack_object *version);

/* The data alone as JSON: a string, of its base64 form when it is not UTF-8. */
void version_put_data(struct buf *out, struct bytes data);

#endif
