/* session_file.h -- a session noted on disk, so that the program's next start can end it.
 *
 *     session_file_open()    one client at a time; tells of the session of a dead one
 *     session_file_write()   when our own is open, before anybody may use it
 *     session_file_remove()  when a server said that ours is gone
 *     session_file_close()
 *
 * The file is one line, readable and writable by its owner alone:
 *
 *     tidelock-session 1 <id> <secret in hexadecimal>
 *
 * It is replaced as a whole (a new file, synced, renamed), so a crash leaves the old line
 * or the new one. The lock (flock) stands on "<path>.lock", since a rename would carry it
 * away; that file stays. Nothing is written over what is no session file; an empty file
 * counts as none. Blocks on the disk. */
#ifndef CORE_CLIENT_SESSION_FILE_H
#define CORE_CLIENT_SESSION_FILE_H

#include "core/client/core.h"

enum { SESSION_SECRET_BYTES_MAX = 64, SESSION_FILE_WHY_MAX = 256 };

struct session_file {
    char *path; /* NULL: not open, or none is wanted */
    int lock_fd;
    uint8_t secret[SESSION_SECRET_BYTES_MAX]; /* of the forerunner's */
    char why[SESSION_FILE_WHY_MAX];           /* of the last failure */
};

/* `path` NULL: there is none, and all else does nothing. *former: the session that stands
 * in the file, borrowed from `f`; id 0 when there is none. ERR_IN_USE, ERR_CONFIG (it is
 * something else), ERR_IO; then `f` is closed but for `why`. */
int session_file_open(struct session_file *f, const char *path,
                      struct client_session *former);
int session_file_write(struct session_file *f, const struct client_session *session);
void session_file_remove(struct session_file *f);
void session_file_close(struct session_file *f);

#endif
