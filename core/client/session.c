/* The session as the program sees it. Its state follows from the core and the time: what is
 * past the deadline is over, whether a turn has seen it or not, and stays so, since the
 * core takes no answer that comes later. */
#include "core/client/client.h"

static tl_session_state session_state(const tl_client *c, uint64_t now_ms)
{
    if (!c->has_session) return TL_SESSION_NONE;
    if (client_core_session_over(c->core) || client_core_ready(c->core) < 0) {
        return TL_SESSION_OVER;
    }
    if (client_core_session(c->core) == 0) return TL_SESSION_OPENING;
    if (now_ms >= client_core_deadline_ms(c->core)) return TL_SESSION_OVER;
    return client_core_jeopardy(c->core, now_ms) ? TL_SESSION_JEOPARDY : TL_SESSION_OK;
}

static void tell(tl_client *c, tl_session_state state)
{
    if (c->on_session != NULL) c->on_session(c->session_ctx, state);
}

/* Before the program can do anything with it: it is this one for ever. */
static void note(tl_client *c)
{
    const struct client_session session = { .id = client_core_session(c->core),
                                            .secret = client_core_secret(c->core) };

    c->file_code = session_file_write(&c->session_file, &session);
}

uint64_t session_tell(tl_client *c)
{
    const tl_session_state before = c->told;

    c->told = session_state(c, client_now_ms());
    if (before == TL_SESSION_OPENING && client_core_session(c->core) != 0) note(c);
    if (c->told != before && before != TL_SESSION_OVER) {
        const bool saved = before == TL_SESSION_JEOPARDY && c->told == TL_SESSION_OK;

        if (c->told == TL_SESSION_OVER) objects_session_over(c);
        tell(c, saved ? TL_SESSION_SAFE : c->told);
    }
    return c->told == TL_SESSION_OK ? client_core_jeopardy_ms(c->core) : NEVER_MS;
}

tl_session_state tl_session(tl_client *c)
{
    client_lock(c);
    const tl_session_state state = session_state(c, client_now_ms());
    client_unlock(c);
    return state;
}

int64_t tl_session_left_ms(tl_client *c)
{
    client_lock(c);
    const uint64_t now = client_now_ms();
    const uint64_t deadline = client_core_deadline_ms(c->core);
    client_unlock(c);
    return deadline > now ? (int64_t) (deadline - now) : 0;
}

uint64_t tl_session_id(tl_client *c)
{
    client_lock(c);
    const uint64_t id = client_core_session(c->core);
    client_unlock(c);
    return id;
}

void tl_end_session(tl_client *c)
{
    client_lock(c);
    client_core_close_session(c->core, client_now_ms());
    turn_wake(c);
    client_unlock(c);
}
