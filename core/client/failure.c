/* Codes, their texts, and what went wrong last in each thread. */
#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "core/client/client.h"

#define SAME(name) static_assert((int) TL_##name == (int) ERR_##name, "one table of codes")
SAME(NO_NODE);
SAME(NODE_EXISTS);
SAME(BAD_VERSION);
SAME(NOT_EMPTY);
SAME(EPHEMERAL_PARENT);
SAME(GUARD_FAILED);
SAME(BAD_PATH);
SAME(TOO_LARGE);
SAME(SESSION_EXPIRED);
SAME(BAD_SECRET);
SAME(SEQ_ACKNOWLEDGED);
SAME(NO_RECIPE);
SAME(NO_FUNCTION);
SAME(SCRIPT_FAILED);
SAME(OVER_BUDGET);
SAME(TIMEOUT);
SAME(CANCELLED);
SAME(NO_CALL);
SAME(REFUSED);
SAME(RESERVED);
SAME(LAGGED);
SAME(READ_ONLY);
SAME(NO_MEMBER);
SAME(MEMBER_EXISTS);
SAME(MEMBERS_FULL);
SAME(LAST_VOTER);
SAME(UNSAFE_CHANGE);
SAME(NO_QUORUM);
SAME(BUSY);
SAME(PENDING);
SAME(STOPPING);
SAME(UNKNOWN_METHOD);
SAME(BAD_PARAMS);
SAME(BAD_OPTION);
SAME(WRONG_CLUSTER);
SAME(BAD_PROTOCOL);
SAME(BAD_MESSAGE);
SAME(IO);
SAME(IN_USE);
SAME(CONFIG);
SAME(UNREACHABLE);
SAME(CLOSED);

static _Thread_local char last_message[256];

int client_fail(int code, const char *message)
{
    snprintf(last_message, sizeof last_message, "%s",
             message == NULL ? error_text(code) : message);
    return code;
}

const char *tl_message(void)
{
    return last_message;
}

const char *tl_error_name(int code)
{
    return error_name(code);
}

const char *tl_error_text(int code)
{
    return error_text(code);
}

void tl_free(void *ptr)
{
    free(ptr);
}
