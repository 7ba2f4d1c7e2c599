/* files.h -- the files of one log directory: list, read, prepare, switch, recycle.
 *
 * Internal to core/log; knows bytes and names, not what stands in a segment. A file becomes
 * a segment in three durable steps: zero-filled as spare.tmp, renamed to spare.seg, given a
 * header and renamed to its generation. So a crash at any point leaves either a segment that
 * is whole or a spare, and never a segment without its header.
 *
 * Functions return 0 or a code; errno tells more until the next call. */
#ifndef CORE_LOG_FILES_H
#define CORE_LOG_FILES_H

#include "core/log/record.h"

/* What a person can do about a log that a server must not vote with. */
#define LOG_DAMAGE_ADVICE                                                                  \
    "; nothing was changed: restore the file, or keep this server off, or let it come back " \
    "as a new learner, which deletes nothing: --join HOST:PORT,... --rejoin (a client "      \
    "address of another server)"

enum {
    LOG_SLICE_BYTES = 256 << 10, /* zero-filled and synced at a time while the log is in use:
                                    a queued group waits no longer than for this */
};

struct log_files {
    char *dir;
    int dir_fd;
};

struct log_segment {
    struct log_segment *next; /* in the list of retired ones */
    uint64_t generation;
    uint64_t bytes;    /* of the file */
    uint64_t slot_max; /* of the records in it; 0 = none */
    bool damaged;      /* to go as soon as it is retired */
    int fd;
};

/* The next segment to be. */
struct log_spare {
    int fd; /* -1: there is none */
    uint64_t bytes;
    uint64_t filled;
    bool ready; /* zero-filled or recycled, and durable under its name */
};

/* The code for an errno. */
int log_files_error(int error);
/* Fills `why` with one line and returns `code`. */
int log_why(char *why, size_t size, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* With `create` the directory is made if missing and locked: one log at a time. */
int log_files_open(struct log_files *f, const char *dir, bool create);
void log_files_close(struct log_files *f);
/* The generations that have a file, rising; the caller frees. */
int log_files_list(const struct log_files *f, uint64_t **generations, size_t *count);
int log_files_sync(const struct log_files *f); /* the directory itself */
void log_files_name(uint64_t generation, char name[32]);

/* Appends the whole file to `out`. */
int log_files_load(const struct log_files *f, uint64_t generation, struct buf *out);
int log_segment_open(const struct log_files *f, uint64_t generation, struct log_segment *s);
int log_fd_write(int fd, struct bytes s, uint64_t at);
int log_fd_read(int fd, uint8_t *into, size_t len, uint64_t at); /* short = ERR_DAMAGED */

/* Takes a spare that is there, or none; a half-made one is removed. */
int log_spare_open(struct log_spare *s, const struct log_files *f, uint64_t segment_bytes);
/* Starts a new one. ERR_DISK_FULL leaves nothing behind. */
int log_spare_begin(struct log_spare *s, const struct log_files *f, uint64_t bytes);
/* Zero-fills up to `bytes_max` more and syncs; when that is all, it is ready. */
int log_spare_fill(struct log_spare *s, const struct log_files *f, uint64_t bytes_max);
void log_spare_drop(struct log_spare *s, const struct log_files *f);
/* Makes the ready spare the segment of header `h`; all durable on return. */
int log_spare_take(struct log_spare *s, const struct log_files *f,
                   const struct log_segment_header *h, struct log_segment *segment);
/* A segment that is needed no more becomes the spare if there is none and its size is
 * `segment_bytes`; else its file goes. Its fd is used up. */
int log_segment_retire(struct log_segment *segment, const struct log_files *f,
                       struct log_spare *s, uint64_t segment_bytes);

#endif
