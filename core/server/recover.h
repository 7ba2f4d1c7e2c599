/* recover.h -- a cluster that lost the majority of its voters for good goes on from one
 * survivor: what the operator asks for, never the servers by themselves.
 *
 * What a majority alone knew is lost: the survivor's state may lack writes that were
 * acknowledged. It goes on from all that it has, what it voted for without having heard that
 * it was chosen included, as the only voter of a NEW cluster: with another founding
 * (identity.h), so that no server of the old one is ever let in with its memory, a
 * configuration number, zxids and rounds far above any that the old one can have given out,
 * so that fencing tokens never go back.
 *
 * Works on the directory of a server that does not run. A crash within leaves a directory
 * that is not started until this is done again. */
#ifndef CORE_SERVER_RECOVER_H
#define CORE_SERVER_RECOVER_H

#include "core/base/bytes.h"

enum { RECOVER_NUMBER_LEAP = 1000 };
#define RECOVER_LEAP (UINT64_C(1) << 32) /* of zxids and rounds */

/* `say` gets what was found and done, lines of text. 0, or a code and one line in `why`. */
int recover_run(const char *data, struct buf *say, char *why, size_t why_size);

#endif
