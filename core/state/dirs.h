/* dirs.h -- the directories of a state that is replaced by another, and the order in which
 * they change their names.
 *
 * Internal to core/state. Beside the state's own directory DIR there may be, for a time,
 *
 *     DIR.tmp   a stage: not whole, or not wanted; the next start removes it
 *     DIR.new   a whole state, on disk, that takes DIR's place: the next start sees to it
 *     DIR.old   what was at DIR before; the next start removes it
 *
 * and these are the steps, each durable before the next:
 *
 *     DIR.tmp -> DIR.new    from here on the new state is the state, come what may
 *     DIR     -> DIR.old
 *     DIR.new -> DIR
 *     DIR.old removed
 *
 * Invariant D1: after any crash state_dirs_settle() leaves at DIR the old state whole, or the
 * new one whole, and nothing beside it. */
#ifndef CORE_STATE_DIRS_H
#define CORE_STATE_DIRS_H

#include <stddef.h>

enum { STATE_DIR_MAX = 4200 };

struct state_dirs {
    char now[STATE_DIR_MAX], stage[STATE_DIR_MAX + 8], next[STATE_DIR_MAX + 8],
        old[STATE_DIR_MAX + 8];
};

/* All return 0, or a code with errno; `dirs_init` fails when the name is too long. */
int state_dirs_init(struct state_dirs *d, const char *dir);
/* At a start, before DIR is used: ends what was begun and removes what is left over. */
int state_dirs_settle(const struct state_dirs *d);
/* The stage, which is whole and on disk, takes the place of DIR; nobody uses either. What
 * was there stays at DIR.old: state_dirs_remove(). */
int state_dirs_swap(const struct state_dirs *d);
/* Removes a directory of plain files, if it is there. */
int state_dirs_remove(const char *dir);

#endif
