#include "cli/bench_hosts.h"

#include <dirent.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LISTENS = 0x0a }; /* TCP_LISTEN, as /proc/net/tcp writes it */

/* --- who listens --- */

static bool may_bind(const struct addrinfo *at)
{
    const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool bound;

    if (fd < 0) return false;
    bound = bind(fd, at->ai_addr, at->ai_addrlen) == 0;
    close(fd);
    return bound;
}

/* An address is of this machine if one can bind to it; any port will do. */
static bool is_here(const struct server *s)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    bool here = false;

    if (getaddrinfo(s->host, "0", &hints, &found) != 0) return false;
    for (const struct addrinfo *at = found; at != NULL && !here; at = at->ai_next) {
        here = may_bind(at);
    }
    freeaddrinfo(found);
    return here;
}

bool bench_hosts_parse(const char *line, unsigned *port, uint64_t *inode)
{
    unsigned state = 0;

    /* sl, local address and port, remote ones, state, queues, timer, retransmits, uid,
     * timeout, inode */
    if (sscanf(line,
               "%*[^:]: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*[^ ] %*[^ ] %*[^ ] %*[^ ] "
               "%*[^ ] %" SCNu64,
               port, &state, inode) != 3) {
        return false;
    }
    return state == LISTENS && *inode != 0;
}

/* The inodes of the sockets that listen on the port of servers->at[i], 0 = none known. */
static void note_listeners(const char *table, const struct servers *servers,
                           uint64_t inodes[SERVERS_MAX])
{
    FILE *file = fopen(table, "re");
    char line[512];

    if (file == NULL) return;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned port;
        uint64_t inode;

        if (!bench_hosts_parse(line, &port, &inode)) continue;
        for (size_t i = 0; i < servers->count; i++) {
            if (inodes[i] == 0 && strtoul(servers->at[i].port, NULL, 10) == port) {
                inodes[i] = inode;
            }
        }
    }
    fclose(file);
}

/* --- whose descriptors --- */

static void match_descriptor(struct bench_hosts *h, const uint64_t inodes[SERVERS_MAX],
                             const char *link, pid_t pid)
{
    uint64_t inode;

    if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1) return;
    for (size_t i = 0; i < h->count; i++) {
        if (inodes[i] != 0 && inodes[i] == inode) h->at[i].pid = pid;
    }
}

static void search_process(struct bench_hosts *h, const uint64_t inodes[SERVERS_MAX],
                           pid_t pid)
{
    char path[320], link[64];
    const struct dirent *entry;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    dir = opendir(path);
    if (dir == NULL) return;
    while ((entry = readdir(dir)) != NULL) {
        ssize_t n;

        snprintf(path, sizeof path, "/proc/%d/fd/%s", pid, entry->d_name);
        n = readlink(path, link, sizeof link - 1);
        if (n <= 0) continue;
        link[n] = '\0';
        match_descriptor(h, inodes, link, pid);
    }
    closedir(dir);
}

void bench_hosts_find(struct bench_hosts *h, const struct servers *servers)
{
    uint64_t inodes[SERVERS_MAX] = { 0 };
    const struct dirent *entry;
    DIR *dir = opendir("/proc");

    memset(h, 0, sizeof *h);
    h->count = servers->count;
    h->self.pid = getpid();
    if (dir == NULL) return;
    note_listeners("/proc/net/tcp", servers, inodes);
    note_listeners("/proc/net/tcp6", servers, inodes);
    for (size_t i = 0; i < servers->count; i++) {
        if (!is_here(&servers->at[i])) inodes[i] = 0;
    }
    while ((entry = readdir(dir)) != NULL) {
        const long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 0) search_process(h, inodes, (pid_t)pid);
    }
    closedir(dir);
}

/* --- what they use --- */

/* To the nanosecond, where /proc/<pid>/stat counts in hundredths of a second. */
static bool read_cpu(pid_t pid, uint64_t *us)
{
    clockid_t clock;
    struct timespec t;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return false;
    *us = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    return true;
}

static bool read_resident(pid_t pid, uint64_t *bytes)
{
    char path[64];
    uint64_t pages = 0;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/statm", pid);
    file = fopen(path, "re");
    if (file == NULL) return false;
    const bool read = fscanf(file, "%*u %" SCNu64, &pages) == 1;
    fclose(file);
    *bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return read;
}

static void host_begin(struct bench_host *at)
{
    if (at->pid != 0 && !read_cpu(at->pid, &at->cpu_begun_us)) at->pid = 0;
}

/* One that went away meanwhile is unknown. */
static void host_end(struct bench_host *at)
{
    uint64_t now_us = 0;

    if (at->pid == 0) return;
    if (!read_cpu(at->pid, &now_us) || !read_resident(at->pid, &at->resident_bytes)) {
        at->pid = 0;
        return;
    }
    at->cpu_us = now_us - at->cpu_begun_us;
}

void bench_hosts_begin(struct bench_hosts *h)
{
    for (size_t i = 0; i < h->count; i++)
        host_begin(&h->at[i]);
    host_begin(&h->self);
}

void bench_hosts_end(struct bench_hosts *h)
{
    for (size_t i = 0; i < h->count; i++)
        host_end(&h->at[i]);
    host_end(&h->self);
}

/* One server may stand in the list under two names. */
static bool is_repeated(const struct bench_hosts *h, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (h->at[i].pid == h->at[index].pid) return true;
    }
    return false;
}

bool bench_hosts_sum(const struct bench_hosts *h, uint64_t *cpu_us,
                     uint64_t *resident_bytes)
{
    *cpu_us = *resident_bytes = 0;
    for (size_t i = 0; i < h->count; i++) {
        if (h->at[i].pid == 0) return false;
        if (is_repeated(h, i)) continue;
        *cpu_us += h->at[i].cpu_us;
        *resident_bytes += h->at[i].resident_bytes;
    }
    return h->count > 0;
}
