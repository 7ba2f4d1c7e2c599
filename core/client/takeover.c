/* The end of a forerunner's session. It is attached, since only an attached one can be
 * closed, and closed; whatever is lost in between is repeated on the next connection, until
 * a server has said that it is gone. */
#include "core/client/inside.h"

bool takeover_is_due(const struct client_core *c)
{
    return c->former != 0;
}

void takeover_begin(struct client_core *c, uint64_t now_ms)
{
    control_attach(c, now_ms, CONTROL_TAKE, c->former, buf_bytes(&c->former_secret));
}

/* A session that is over, or was never ours, holds nothing of ours; one that is refused for
 * another lasting reason would be refused for ever. */
void takeover_answered(struct client_core *c, uint64_t now_ms, enum control control,
                       int code)
{
    if (code_is_for_now(code)) {
        control_again(c, now_ms, code);
    } else if (code == ERR_NOT_ATTACHED) {
        c->wants_other = true;
    } else if (code == 0 && control == CONTROL_TAKE) {
        control_close(c, now_ms, CONTROL_CLEAR, c->former);
    } else {
        c->former = 0;
        c->trouble = 0;
        stage_session(c, now_ms);
    }
}
