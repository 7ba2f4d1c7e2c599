/* methods.h -- every method of the protocol: its parameters, options and result, in one
 * table. The server checks requests against it, the client library builds requests from it,
 * and docs/protocol.md is printed from it (`tidelockd --print-protocol`).
 *
 * A request's params are the method's arguments in order, then, if any option is given, one
 * map of options. Every method takes no other argument and no other option than these.
 *
 *     M(id, "name", "argument types", "option types", "result", "what it does")
 *
 * Types: p path (str), d data (str, bin or nil), u unsigned, i signed (version; -1 = any), s str,
 * b bool, v any value, x bin or str of a secret, o list of ops, g list of [path, token],
 * w list of watches.
 * Arguments and options: "name:type ...". All arguments are required, all options optional. */
#ifndef CORE_RPC_METHODS_H
#define CORE_RPC_METHODS_H

/* The members of a `stat` in a result, in this order: F(member of struct stat_view and of
 * tl_stat, name on the wire). */
#define STAT_FIELDS(F)                                                                     \
    F(czxid, "czxid") F(mzxid, "mzxid") F(pzxid, "pzxid")                                  \
    F(ctime, "ctime") F(mtime, "mtime")                                                    \
    F(version, "version") F(cversion, "cversion") F(aversion, "aversion")                  \
    F(ephemeral_owner, "ephemeralOwner")                                                   \
    F(data_length, "dataLength") F(num_children, "numChildren")                            \
    F(ttl, "ttl") F(container, "container")
enum { STAT_FIELDS_COUNT = 13 };

/* The options of every write. */
#define WRITE_OPTIONS "session:u seq:u ack:u guard:g alive:u"

/* The options of every read, which say how new what it tells must be: see get. */
#define READ_OPTIONS "consistency:s at_least:u max_lag_ms:u"

/* clang-format off */
#define METHODS(M)                                                                            \
    M(HELLO, "hello", "proto:u", "cluster:s members:b",                                       \
      "{proto, version, cluster, node, leader, members: {id: client address}}",               \
      "Opens a connection; must come first. proto is 1; cluster, if given, must match. " \
      "members: tell when they change; see Members.")                                         \
    M(PING, "ping", "", "", "nil", "Answers at once, without any consensus.")                 \
    M(SESSION_OPEN, "session.open", "", "timeout_ms:u", "{id, secret, timeout_ms, zxid}",     \
      "Opens a session and attaches it to this connection.")                                  \
    M(SESSION_ATTACH, "session.attach", "id:u secret:x", "",                                  \
      "{timeout_ms, last, zxid}",                                                             \
      "Attaches a session to this connection and renews it; last is its highest seq resolved.") \
    M(SESSION_RENEW, "session.renew", "id:u", "", "{timeout_ms, zxid}",                       \
      "Renews an attached session: it lives for timeout_ms from when this was sent.")         \
    M(SESSION_CLOSE, "session.close", "id:u", "", "{zxid}",                                   \
      "Ends an attached session; its ephemeral nodes are deleted in the same transaction.")   \
    M(CREATE, "create", "path:p data:d",                                                      \
      WRITE_OPTIONS " ephemeral:b sequential:b parents:b container:b ttl_ms:u linger_ms:u",   \
      "{path, zxid, stat}",                                                                   \
      "Creates a node; path is the name it got. ephemeral: it goes with the session; if that expires, a node " \
      "without data or owner takes its place for linger_ms, up to 60000. container: it goes with its last child, " \
      "in the same transaction. ttl_ms: it goes when it was not changed or touched for so long and has no children.") \
    M(SET, "set", "path:p data:d", WRITE_OPTIONS " version:i", "{zxid, stat}",                \
      "Replaces a node's data.")                                                              \
    M(DELETE, "delete", "path:p", WRITE_OPTIONS " version:i", "{zxid}",                       \
      "Deletes a node without children.")                                                     \
    M(TOUCH, "touch", "path:p", WRITE_OPTIONS, "{zxid, stat}",                                \
      "A node's TTL begins anew; nothing but its mtime changes, and no watch fires.")         \
    M(DELETE_TREE, "delete_tree", "path:p", WRITE_OPTIONS " partly:b", "{zxid, deleted, more}", \
      "Deletes a node and all below it, up to 10000 nodes. A larger one is refused, too_large; with partly as many as " \
      "one transaction takes go, leaves first, and more says that some are left: ask again.") \
    M(COPY, "copy", "path:p to:p", WRITE_OPTIONS, "{zxid, copied}",                           \
      "Copies a node and all below it, up to 10000 nodes, ephemeral ones left out, to a path where there is no node.") \
    M(QUOTA_SET, "quota.set", "path:p", WRITE_OPTIONS " nodes:u bytes:u", "{zxid}",           \
      "Bounds the number of nodes at and below a path, and the bytes of their data; left out or 0: no such bound; " \
      "neither: no quota any more.")                                                          \
    M(QUOTA_LIST, "quota.list", "", READ_OPTIONS,                                           \
      "{quotas: [{path, nodes, bytes, nodes_used, bytes_used}], nodes, bytes, zxid}",         \
      "All quotas and what is used of each; nodes and bytes: of the whole tree.")             \
    M(MULTI, "multi", "ops:o", WRITE_OPTIONS, "{zxid, results: [{kind, path, stat, data, deleted, copied}]}",        \
      "All of the ops or none. An op is an array: [\"create\", path, data, {options of create}], " \
      "[\"set\", path, data, version], [\"delete\", path, version], [\"check\", path, version], " \
      "[\"absent\", path], [\"guard\", path, token], [\"alive\", session], [\"get\", path], [\"stat\", path], " \
      "[\"touch\", path], [\"delete_tree\", path], [\"copy\", path, to]; trailing parts may be left out. " \
      "get and stat tell of the node as of their place among the ops, stat nil: there is none.")        \
    M(GET, "get", "path:p", READ_OPTIONS, "{data, stat, zxid}",                            \
      "A node's data and stat. consistency: strong, the default; session: with everything up to the zxid at_least, so a " \
      "client that gives the newest zxid it was told reads its own writes and never goes back, on any server; bounded: what " \
      "this server knows, if that is certainly no more than max_lag_ms old, and if that can be made so; else refused, stale; " \
      "any: what it knows, at once, without a majority too: age_ms tells how long it has been without a leader.") \
    M(STAT, "stat", "path:p", READ_OPTIONS, "{stat, zxid}", "A node's stat.")              \
    M(CHILDREN, "children", "path:p", READ_OPTIONS " after:s limit:u",                        \
      "{children: [name], more, stat, zxid}",                                                 \
      "Names of children in byte order, a page at a time: after is the last name of the page before.") \
    M(TREE, "tree", "path:p", READ_OPTIONS " after:p limit:u depth:u data:b",                 \
      "{nodes: [{path, stat, data}], more, zxid}",                                            \
      "A node and all below it, parents first and children in byte order, a page at a time: after is the last path of the " \
      "page before. depth: so many levels below it; data: with the nodes' data, too. limit: 1000 at most.") \
    M(WATCH, "watch", "path:p watch:u",                                                       \
      "data:b children:b once:b since:u value:b consistency:s recursive:b snapshot:b",        \
      "{zxid, stat}",                                                                         \
      "Arms a watch under a number of the client's choice; see Watches.")                     \
    M(WATCH_MANY, "watch.many", "watches:w", "since:u",                                       \
      "{zxid, refused: [[watch, code]]}",                                                     \
      "Arms many watches in one request: [[watch, path, {data, children, recursive, once, value}]]; " \
      "trailing parts may be left out. Those that are refused are named, the others are armed.") \
    M(UNWATCH, "unwatch", "watch:u", "", "nil",                                               \
      "Ends a watch; no event of it comes behind the answer. Also when there is none.")       \
    M(CALL, "call", "function:s args:v", WRITE_OPTIONS " timeout_ms:u", "{value, zxid}",      \
      "Runs a recipe's function, \"lock.acquire\", as one transaction; may wait, for timeout_ms at most.") \
    M(QUERY, "query", "function:s args:v", READ_OPTIONS, "{value, zxid}",                  \
      "Runs a recipe's function to read only, on this server and at the consistency of a get, outside the log " \
      "and without a session. The first attempt to write or to wait is refused: read_only.")  \
    M(CALL_CANCEL, "call.cancel", "session:u seq:u", "", "{zxid}",                            \
      "Withdraws a waiting call of an attached session; the call itself is answered with cancelled, " \
      "or with its result if that came first.")                                               \
    M(STATUS, "status", "", "",                                                               \
      "{node, cluster, role, leader, round, chosen, applied, zxid, digest, lease_ms, disk_us, boot, version, members, shipped, ...}", \
      "What this server knows of itself; shipped names the recipes that are compiled into it.") \
    M(RECIPE_STATS, "recipe.stats", "", "",                                                   \
      "{functions: [{name, calls, runs, waits, errors, over_budget, fuel, fuel_max, time_us, rests, rests_until_ms}]}", \
      "What each recipe function did at this server since it started. rests_until_ms: UTC; it rests until then, " \
      "for it went over its budget too often.")                                               \
    M(TRANSFER, "transfer", "", "node:u", "{leader}",                                         \
      "Hands the leadership over to the server node, or to whichever has all that was decided; only the " \
      "leader can. Answered when another server leads, or with timeout when none took over.") \
    M(MEMBER_LIST, "member.list", "", "consistency:s",                                        \
      "{number, members: [{id, kind, incarnation, peer, client}], zxid}",                     \
      "The configuration in force. kind: voter; joining: learns, and votes once it has caught up; learner. " \
      "incarnation 0: a place is kept for a server that has not joined yet.")                 \
    M(MEMBER_ADD, "member.add", "peer:s", "client:s id:u learner:b", "{id, number, members, zxid}", \
      "Keeps a place for the server that will join with this peer address.")                  \
    M(MEMBER_PROMOTE, "member.promote", "id:u", "", "{id, number, members, zxid}",            \
      "Lets a learner vote once it has caught up.")                                           \
    M(MEMBER_DEMOTE, "member.demote", "id:u", "incarnation:u", "{id, number, members, zxid}", \
      "Lets a voter learn only.")                                                             \
    M(MEMBER_REMOVE, "member.remove", "id:u", "incarnation:u", "{id, number, members, zxid}", \
      "Takes a server out. Asked again it is answered no_member.")                            \
    M(MEMBER_JOIN, "member.join", "peer:s client:s incarnation:u", "learner:b",               \
      "{id, number, members, zxid, cluster, founding}",                                       \
      "Asked by a server without memory (tidelockd --join): its place in the cluster.")
/* clang-format on */

enum method {
    METHOD_NONE = 0,
#define M(id, name, arguments, options, result, text) METHOD_##id,
    METHODS(M)
#undef M
        METHOD_COUNT
};

#endif
