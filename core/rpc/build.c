/* The envelopes: what stands before and around the values of a message. */
#include "core/rpc/rpc.h"

enum { TYPE_REQUEST = 0, TYPE_RESPONSE = 1, TYPE_NOTIFICATION = 2 };

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
    pack_nil(b);
    pack_nil(b); /* the result */
}

void rpc_notification_begin(struct buf *b, const char *name)
{
    pack_array(b, 3);
    pack_uint(b, TYPE_NOTIFICATION);
    pack_cstr(b, name);
}
