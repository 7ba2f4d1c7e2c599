/* The envelopes: what stands before and around the values of a message. */
#include "core/rpc/rpc.h"

enum { TYPE_REQUEST = 0, TYPE_RESPONSE = 1, TYPE_NOTIFICATION = 2 };
enum { RETRY_MS_MIN = 50, RETRY_MS_SPREAD = 64 };

void rpc_request_begin(struct buf *b, uint32_t msgid, enum method method)
{
    pack_array(b, 4);
    pack_uint(b, TYPE_REQUEST);
    pack_uint(b, msgid);
    pack_cstr(b, rpc_method_name(method));
}

void rpc_response_begin(struct buf *b, uint32_t msgid)
{
    pack_array(b, 4);
    pack_uint(b, TYPE_RESPONSE);
    pack_uint(b, msgid);
    pack_nil(b);
}

uint64_t rpc_retry_ms(uint32_t msgid)
{
    return RETRY_MS_MIN + (msgid * UINT32_C(2654435761) >> 16) % RETRY_MS_SPREAD;
}

static void put_details(struct buf *b, uint32_t msgid, int code)
{
    if (code != ERR_BUSY) {
        pack_nil(b);
        return;
    }
    pack_map(b, 1);
    pack_cstr(b, "retry_ms");
    pack_uint(b, rpc_retry_ms(msgid));
}

void rpc_error(struct buf *b, uint32_t msgid, int code, const char *message)
{
    pack_array(b, 4);
    pack_uint(b, TYPE_RESPONSE);
    pack_uint(b, msgid);
    pack_map(b, 4);
    pack_cstr(b, "code");
    pack_int(b, code);
    pack_cstr(b, "name");
    pack_cstr(b, error_name(code));
    pack_cstr(b, "message");
    pack_cstr(b, message == NULL ? error_text(code) : message);
    pack_cstr(b, "details");
    put_details(b, msgid, code);
    pack_nil(b); /* the result */
}

void rpc_notification_begin(struct buf *b, const char *name)
{
    pack_array(b, 3);
    pack_uint(b, TYPE_NOTIFICATION);
    pack_cstr(b, name);
}
