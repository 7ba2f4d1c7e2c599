/* errors.h -- every error code of Tidelock, in one table: code, name, and a text that says
 * what to do.
 *
 * A function that can fail because of the world returns int: 0 or one of these (all are
 * negative).  The same numbers and names travel on the wire and stand in tidelock.h, so a
 * number is never given a second meaning and never reused. */
#ifndef CORE_BASE_ERRORS_H
#define CORE_BASE_ERRORS_H

/* clang-format off */
#define ERRORS(X)                                                                              \
    /* Legal refusals of a request: the tree, sessions and recipes. */                         \
    X(NO_NODE,           -1, "no_node",           "there is no node at this path")             \
    X(NODE_EXISTS,       -2, "node_exists",       "a node stands at this path already")        \
    X(BAD_VERSION,       -3, "bad_version",       "the node is at another version")            \
    X(NOT_EMPTY,         -4, "not_empty",         "the node has children")                     \
    X(EPHEMERAL_PARENT,  -5, "ephemeral_parent",  "an ephemeral node cannot have children")    \
    X(GUARD_FAILED,      -6, "guard_failed",      "the guard's node is gone or was granted anew, or its session is over: the lock is lost") \
    X(BAD_PATH,          -7, "bad_path",          "a path starts with / and has no empty, . or .. part") \
    X(TOO_LARGE,         -8, "too_large",         "the request or its result is over a limit") \
    X(SESSION_EXPIRED,   -9, "session_expired",   "the session is over: open a new one")       \
    X(BAD_SECRET,       -10, "bad_secret",        "the session's secret does not match")       \
    X(SEQ_ACKNOWLEDGED, -11, "seq_acknowledged",  "this request's result was acknowledged and dropped") \
    X(NO_RECIPE,        -12, "no_recipe",         "there is no recipe of this name")           \
    X(NO_FUNCTION,      -13, "no_function",       "the recipe has no function of this name")   \
    X(SCRIPT_FAILED,    -14, "script_failed",     "the recipe raised an error; nothing was written") \
    X(OVER_BUDGET,      -15, "over_budget",       "the recipe used more than its budget; nothing was written") \
    X(TIMEOUT,          -16, "timeout",           "the call was withdrawn at its time limit")  \
    X(CANCELLED,        -17, "cancelled",         "the call was withdrawn by its caller")      \
    X(NO_CALL,          -18, "no_call",           "no such call is waiting")                   \
    X(REFUSED,          -19, "refused",           "the recipe refused the call")               \
    X(RESERVED,         -20, "reserved",          "this path belongs to the server")           \
    X(LAGGED,           -21, "lagged",            "events since then are not kept any more: read again") \
    X(READ_ONLY,        -22, "read_only",         "a query only reads: a function that writes or waits must be called") \
    X(NO_MEMBER,        -23, "no_member",         "the cluster has no such member")            \
    X(MEMBER_EXISTS,    -24, "member_exists",     "another member has this id or this address") \
    X(MEMBERS_FULL,     -25, "members_full",      "the cluster has as many members as it can have") \
    X(LAST_VOTER,       -26, "last_voter",        "the cluster would have no voter left")      \
    X(UNSAFE_CHANGE,    -27, "unsafe_change",     "of the voters that would be left no majority answers now") \
    X(RESTING,          -28, "resting",           "the function went over its budget too often: ask again later") \
    X(OVER_QUOTA,       -29, "over_quota",        "a quota of this subtree or of the whole tree is used up") \
    /* The service cannot take the request now; it is in no batch, so ask again. */            \
    X(NO_QUORUM,        -30, "no_quorum",         "no majority of servers can be reached")     \
    X(BUSY,             -31, "busy",              "the server's queue is full: ask again later") \
    X(PENDING,          -32, "pending",           "not answered yet: await it again or cancel it") \
    X(STOPPING,         -33, "stopping",          "the server is stopping: use another one")   \
    X(NOT_LEADER,       -34, "not_leader",        "this server does not lead: ask the one that does") \
    X(STALE,            -35, "stale",             "this server may lag further behind than was asked for: ask another one") \
    /* Broken requests. */                                                                     \
    X(UNKNOWN_METHOD,   -40, "unknown_method",    "there is no method of this name")           \
    X(BAD_PARAMS,       -41, "bad_params",        "a parameter is missing or of the wrong type") \
    X(BAD_OPTION,       -42, "bad_option",        "an option is unknown or of the wrong type") \
    X(NO_HELLO,         -43, "no_hello",          "the first request of a connection must be hello") \
    X(WRONG_CLUSTER,    -44, "wrong_cluster",     "this server belongs to another cluster")    \
    X(BAD_PROTOCOL,     -45, "bad_protocol",      "the two sides speak no common protocol version") \
    X(NOT_ATTACHED,     -46, "not_attached",      "attach the session to this connection first; another one may have taken it") \
    X(BAD_MESSAGE,      -47, "bad_message",       "these bytes are not a message of the protocol") \
    /* The world of one process. */                                                            \
    X(IO,               -60, "io",                "the operating system refused")              \
    X(DAMAGED,          -61, "damaged",           "stored bytes do not match their checksum")  \
    X(DISK_FULL,        -62, "disk_full",         "no space is left on the disk")              \
    X(IN_USE,           -63, "in_use",            "another process uses it")                   \
    X(CONFIG,           -64, "config",            "the configuration is wrong")                \
    X(UNREACHABLE,      -65, "unreachable",       "no server could be reached")                \
    X(CLOSED,           -66, "closed",            "it was closed")                             \
    X(NOT_PERMITTED,    -67, "not_permitted",     "the operating system does not permit it")   \
    X(OTHER_VERSION,    -68, "other_version",     "it was written by another version of Tidelock") \
    X(OTHER_DATA,       -69, "other_data",        "it came back with another data directory")
/* clang-format on */

enum error {
    ERR_OK = 0,
#define X(name, code, word, text) ERR_##name = code,
    ERRORS(X)
#undef X
};

/* The wire name ("no_node") and the text of a code; "unknown" for a code not in the table.
 * Both are static strings. */
const char *error_name(int code);
const char *error_text(int code);

/* The code of a wire name, or 0 when there is none. */
int error_code(const char *name);

#endif
