/* attached.h -- which connection of this server has which sessions.
 *
 * A session is on one connection, wherever it was attached last: one that is attached or
 * opened on another loses it here, is told so (the notification `moved`), and what it asks of
 * that session is refused with ERR_NOT_ATTACHED from then on. The servers tell each other of
 * what is attached; that may be lost on the way, or meet its answer, so it is a courtesy to
 * the older connection and nothing rests on it: a session's requests are done once each,
 * whoever sends them. */
#ifndef CORE_SERVER_ATTACHED_H
#define CORE_SERVER_ATTACHED_H

#include "core/base/list.h"
#include "core/machine/table.h"

struct conn;
struct service;

struct attached {
    struct table sessions;
};

struct attachment {
    struct table_link link;
    struct list by_conn;
    struct conn *conn;
    uint64_t session;
    uint64_t zxid; /* of this server when it was attached */
};

bool attached_has(const struct conn *c, uint64_t session);
/* False: the connection has too many. The connection that had it loses it. */
bool attached_add(struct conn *c, uint64_t session, uint64_t zxid);
void attached_drop(struct conn *c, uint64_t session);
void attached_forget(struct conn *c); /* all of them */
/* Another server has it since that zxid; nothing, if it was attached here later. */
void attached_elsewhere(struct service *s, uint64_t session, uint64_t zxid);

#endif
