/* bad_disk.c -- makes a good disk bad, for a server that is started with it:
 *
 *     LD_PRELOAD=libbad_disk.so BAD_DISK=FILE tidelockd ...
 *
 * As soon as FILE exists, each pwrite() fails if it begins with a `w`, else each
 * fdatasync(), with the error that a dying disk gives. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What fails now; 0 = nothing. */
static char fails(void)
{
    const char *path = getenv("BAD_DISK");
    char what = 's';
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) return 0;
    if (read(fd, &what, 1) < 0) what = 's';
    close(fd);
    return what;
}

int fdatasync(int fd)
{
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    int (*real)(int);

    memcpy(&real, &symbol, sizeof real); /* ISO C has no cast from data to a function */
    if (fails() != 's') return real(fd);
    errno = EIO;
    return -1;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    void *symbol = dlsym(RTLD_NEXT, "pwrite");
    ssize_t (*real)(int, const void *, size_t, off_t);

    memcpy(&real, &symbol, sizeof real);
    if (fails() != 'w') return real(fd, bytes, len, at);
    errno = EIO;
    return -1;
}
