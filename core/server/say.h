/* say.h -- the lines that a server's log gets about its replica and its log. */
#ifndef CORE_SERVER_SAY_H
#define CORE_SERVER_SAY_H

#include "core/log/log.h"
#include "core/replica/replica.h"

void say_role(const struct replica_status *s);
void say_members(const struct roster *roster);
void say_recovered(const struct log_recovered *recovered);

#endif
