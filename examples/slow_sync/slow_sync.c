/* slow_sync.c -- makes a fast disk slow, for a program that is started with it:
 *
 *     LD_PRELOAD=libslow_sync.so SLOW_SYNC_MS=10 tidelockd ...
 *
 * Each fdatasync() takes that much longer, as it does on most disks. quickstart.sh uses it
 * so that a write which was acknowledged before its turn to be synced is still in the
 * server's memory, and nowhere else, when the server is killed. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void wait_ms(long ms)
{
    const struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

    nanosleep(&t, NULL);
}

int fdatasync(int fd)
{
    const char *ms = getenv("SLOW_SYNC_MS");
    void *symbol = dlsym(RTLD_NEXT, "fdatasync");
    int (*real)(int);

    memcpy(&real, &symbol, sizeof real); /* ISO C has no cast from data to a function */
    if (ms != NULL) wait_ms(strtol(ms, NULL, 10));
    return real(fd);
}
