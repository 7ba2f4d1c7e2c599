/* tx_inside.h -- what tx.c and line.c share of the functions of `tx`; nobody else includes
 * it. All raise faults, so no caller may own memory. */
#ifndef LUA_TX_INSIDE_H
#define LUA_TX_INSIDE_H

#include "core/kv/kv.h"
#include "lua/tx.h"

struct tx_run *tx_run_of(lua_State *L); /* of the object at 1 */
struct bytes tx_text_at(lua_State *L, int index);
struct bytes tx_path_at(lua_State *L, int index);
struct bytes tx_child_at(lua_State *L, int index); /* not the root */
struct bytes tx_data_at(lua_State *L, int index);  /* none and nil are null */
void tx_raise_if(lua_State *L, int err, int path_index);
void tx_raise_no_session(lua_State *L, int path_index);
void tx_push_id(lua_State *L, const struct tx_run *run);

/* Pushes the path of the child of `parent` next to run->name, or nil. */
int tx_push_neighbour(lua_State *L, struct tx_run *run, struct bytes parent,
                      enum kv_direction direction);

/* The queue of waiting calls, in line.c. */
int tx_object_place(lua_State *L);
int tx_object_enter(lua_State *L);
int tx_object_leave(lua_State *L);

#endif
