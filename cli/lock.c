/* lock.c -- `tidelock lock PATH -- command`: runs a command while holding a lock. */
#include "cli/commands.h"
#include "cli/hold.h"
#include "core/rpc/rpc.h"

/* --wait 0 does not wait at all; a lock that is not free is then answered with nil. */
static void pack_acquire(struct buf *params, const struct options *o)
{
    pack_map(params, 2);
    pack_cstr(params, "path");
    pack_cstr(params, o->words[0]);
    pack_cstr(params, "try");
    pack_bool(params, options_number(o, FLAG_WAIT, 1) == 0);
}

int command_lock(const struct options *o)
{
    static const struct hold_kind lock = {
        .take = "lock.acquire",
        .pack_take = pack_acquire,
        .give_back = "lock.release",
        .name = "the lock",
        .variable_path = "TIDELOCK_LOCK_PATH",
        .variable_token = "TIDELOCK_LOCK_TOKEN",
    };

    return hold_run(o, &lock);
}
