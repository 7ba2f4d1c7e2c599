/* creation.h -- the options of a create, the same in a request and in an op of a multi. */
#ifndef CORE_CLIENT_CREATION_H
#define CORE_CLIENT_CREATION_H

#include "core/base/bytes.h"
#include "core/client/tidelock.h"

uint32_t creation_count(const tl_creation *how); /* how many pairs creation_pack() appends */
void creation_pack(struct buf *b, const tl_creation *how);

#endif
