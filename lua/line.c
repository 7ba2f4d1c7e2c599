/* The queue in which calls wait: tx:place(), tx:enter() and tx:leave() of tx.h.
 *
 *     <path>/queue/0000000042  ephemeral; a waiting call's place, the lowest is next
 *     <path>/calls/<tx.id>     ephemeral; the path of that call's place, so that a call
 *                              which runs again finds it without a search, whoever leads */
#include "core/base/errors.h"
#include "core/tree/path.h"
#include "lua/fault.h"
#include "lua/tx_inside.h"

enum { AT_PATH = 2, AT_DATA, AT_NOTE, AT_PLACE }; /* on the stack of each function here */

static void push_below(lua_State *L, const char *directory)
{
    lua_pushvalue(L, AT_PATH);
    lua_pushstring(L, directory);
    lua_concat(L, 2);
}

/* The path of this call's note at AT_NOTE, and of its place at AT_PLACE: nil if it has
 * none. */
static struct tx_run *find_place(lua_State *L)
{
    struct tx_run *run = tx_run_of(L);
    struct node n;

    lua_settop(L, AT_DATA);
    if (path_is_root(tx_path_at(L, AT_PATH))) {
        fault_raise(L, ERR_BAD_PATH, "/: the root is nobody's directory");
    }
    push_below(L, "/calls/");
    tx_push_id(L, run);
    lua_concat(L, 2);
    sandbox_charge(L, TX_READ_FUEL);
    if (tx_read(run->tx, tx_path_at(L, AT_NOTE), &n) && n.data.ptr != NULL) {
        lua_pushlstring(L, (const char *) n.data.ptr, n.data.len);
        (void) tx_child_at(L, AT_PLACE);
    } else {
        lua_pushnil(L);
    }
    return run;
}

/* Pushes the last place, or nil. Most queues are empty, and a node's count of children
 * tells so without a seek among those that came and went. */
static void push_last(lua_State *L, struct tx_run *run)
{
    struct node queue;

    push_below(L, "/queue");
    sandbox_charge(L, TX_READ_FUEL);
    if (tx_read(run->tx, tx_path_at(L, -1), &queue) && queue.children > 0) {
        buf_clear(&run->name);
        (void) tx_push_neighbour(L, run, tx_text_at(L, -1), KV_BACKWARD);
    } else {
        lua_pushnil(L);
    }
}

int tx_object_place(lua_State *L)
{
    struct tx_run *run = find_place(L);
    struct bytes place;

    if (lua_isnil(L, AT_PLACE)) {
        push_last(L, run);
        lua_remove(L, -2);
        return 2;
    }
    place = tx_text_at(L, AT_PLACE);
    buf_clear(&run->name);
    buf_put_bytes_raw(&run->name, path_name(place));
    (void) tx_push_neighbour(L, run, path_parent(place), KV_BACKWARD);
    return 2;
}

/* The place and its note, each an ephemeral node of the caller's; *note_refused: it is the
 * note that could not be. Raises nothing, and neither is there without the other: a place
 * without its note would be in everybody's way. */
static int create_both(struct tx_run *run, struct bytes queue, struct bytes data,
                       struct bytes note, bool *note_refused)
{
    static const unsigned flags = TX_EPHEMERAL | TX_PARENTS;
    struct tx both;
    int err;

    *note_refused = false;
    if (tx_ops_left(run->tx) == 0) return ERR_TOO_LARGE;
    tx_begin_inside(&both, run->tx);
    err = tx_create(&both, queue, data, flags | TX_SEQUENTIAL, &run->name);
    if (err == 0) {
        err = tx_create(&both, note, buf_bytes(&run->name), flags, &run->other);
        *note_refused = err != 0;
    }
    if (err == 0) err = tx_join(run->tx, &both);
    tx_fini(&both);
    return err;
}

int tx_object_enter(lua_State *L)
{
    struct tx_run *run = find_place(L);
    struct bytes place;
    bool note_refused;
    int err;

    if (!lua_isnil(L, AT_PLACE)) return 1;
    sandbox_charge(L, 2 * TX_WRITE_FUEL);
    push_below(L, "/queue/");
    err = create_both(run, tx_text_at(L, -1), tx_data_at(L, AT_DATA),
                      tx_text_at(L, AT_NOTE), &note_refused);
    if (err == ERR_SESSION_EXPIRED) tx_raise_no_session(L, -1);
    tx_raise_if(L, err, note_refused ? AT_NOTE : -1);
    place = buf_bytes(&run->name);
    lua_pushlstring(L, (const char *) place.ptr, place.len);
    return 1;
}

/* Somebody may have taken the place away by hand; its note goes all the same. */
int tx_object_leave(lua_State *L)
{
    struct tx_run *run = find_place(L);
    int err;

    if (lua_isnil(L, AT_PLACE)) return 0;
    sandbox_charge(L, 2 * TX_WRITE_FUEL);
    err = tx_delete(run->tx, tx_text_at(L, AT_PLACE), -1);
    if (err != ERR_NO_NODE) tx_raise_if(L, err, AT_PLACE);
    tx_raise_if(L, tx_delete(run->tx, tx_text_at(L, AT_NOTE), -1), AT_NOTE);
    return 0;
}
