#include "cli/dev_state.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"

enum { PORT_FIRST = 20000, PORT_COUNT = 12000, PORT_TRIES = 2000 };
enum { FILE_PATH_MAX = PATH_MAX + 32, LINE_BYTES_MAX = DEV_FLAG_BYTES_MAX + 16 };

static void file_path(const struct dev_state *s, const char *name, char path[FILE_PATH_MAX])
{
    snprintf(path, FILE_PATH_MAX, "%s/%s", s->dir, name);
}

/* --- reading --- */

static bool take_node(struct dev_state *s, const char *line)
{
    struct dev_node *n = &s->nodes[s->nodes_count];
    unsigned client, peer;
    int pid;

    if (s->nodes_count == DEV_NODES_MAX) return false;
    if (sscanf(line, "node %u %u %u %d", &n->id, &client, &peer, &pid) != 4) return false;
    if (n->id != s->nodes_count + 1 || client > 65535 || peer > 65535 || pid < 0)
        return false;
    n->client_port = (uint16_t) client;
    n->peer_port = (uint16_t) peer;
    n->pid = pid;
    s->nodes_count++;
    return true;
}

static bool take_joined(struct dev_state *s, const char *line)
{
    unsigned id;

    if (sscanf(line, "joined %u", &id) != 1 || id == 0 || id > s->nodes_count) return false;
    s->nodes[id - 1].joined = true;
    return true;
}

static bool take_line(struct dev_state *s, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, "node ", 5) == 0) return take_node(s, line);
    if (strncmp(line, "joined ", 7) == 0) return take_joined(s, line);
    if (strncmp(line, "founders ", 9) == 0) {
        return sscanf(line, "founders %u", &s->founders) == 1;
    }
    if (strncmp(line, "flag ", 5) != 0 || s->flags_count == DEV_FLAGS_MAX) return false;
    if (strlen(line + 5) >= DEV_FLAG_BYTES_MAX) return false;
    strcpy(s->flags[s->flags_count++], line + 5);
    return true;
}

static int read_lines(struct dev_state *s, FILE *file)
{
    char line[LINE_BYTES_MAX];

    if (fgets(line, sizeof line, file) == NULL) return ERR_DAMAGED;
    if (strcmp(line, "tidelock-dev 2\n") != 0) return ERR_OTHER_VERSION;
    while (fgets(line, sizeof line, file) != NULL) {
        if (!take_line(s, line)) return ERR_DAMAGED;
    }
    return s->founders > 0 && s->founders <= s->nodes_count ? 0 : ERR_DAMAGED;
}

int dev_state_load(struct dev_state *s, const char *dir)
{
    char path[FILE_PATH_MAX];
    FILE *file;
    int code;

    memset(s, 0, sizeof *s);
    if (realpath(dir, s->dir) == NULL) return errno == ENOENT ? ERR_NO_NODE : ERR_IO;
    file_path(s, "cluster", path);
    file = fopen(path, "re");
    if (file == NULL) return errno == ENOENT || errno == ENOTDIR ? ERR_NO_NODE : ERR_IO;
    code = read_lines(s, file);
    fclose(file);
    return code;
}

/* --- writing --- */

int dev_state_save(const struct dev_state *s)
{
    char path[FILE_PATH_MAX], fresh[FILE_PATH_MAX];
    FILE *file;
    bool good;

    file_path(s, "cluster", path);
    file_path(s, "cluster.new", fresh);
    file = fopen(fresh, "we");
    if (file == NULL) return ERR_IO;
    fprintf(file, "tidelock-dev 2\nfounders %u\n", s->founders);
    for (unsigned i = 0; i < s->nodes_count; i++) {
        const struct dev_node *n = &s->nodes[i];
        fprintf(file, "node %u %u %u %d\n", n->id, n->client_port, n->peer_port,
                (int) n->pid);
        if (n->joined) fprintf(file, "joined %u\n", n->id);
    }
    for (unsigned i = 0; i < s->flags_count; i++) fprintf(file, "flag %s\n", s->flags[i]);
    good = ferror(file) == 0;
    good = fclose(file) == 0 && good;
    return good && rename(fresh, path) == 0 ? 0 : ERR_IO;
}

static bool is_empty(const char *dir)
{
    DIR *d = opendir(dir);
    bool empty = d != NULL;

    if (d == NULL) return false;
    for (const struct dirent *e; empty && (e = readdir(d)) != NULL;) {
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    closedir(d);
    return empty;
}

int dev_state_new(struct dev_state *s, const char *dir, unsigned nodes)
{
    memset(s, 0, sizeof *s);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return ERR_IO;
    if (realpath(dir, s->dir) == NULL) return ERR_IO;
    if (strchr(s->dir, '\n') != NULL) return ERR_CONFIG;
    if (!is_empty(s->dir)) return ERR_IN_USE;
    s->nodes_count = s->founders = nodes;
    for (unsigned i = 0; i < nodes; i++) s->nodes[i].id = i + 1;
    return 0;
}

/* --- ports --- */

/* Binds a socket to the port and keeps it, so that no port is picked twice. */
static int bind_port(unsigned port)
{
    const struct sockaddr_in name = { .sin_family = AF_INET,
                                      .sin_port = htons((uint16_t) port),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) return -1;
    if (bind(fd, (const struct sockaddr *) &name, sizeof name) == 0) return fd;
    close(fd);
    return -1;
}

static bool is_taken(const struct dev_state *s, unsigned port)
{
    for (unsigned i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].client_port == port || s->nodes[i].peer_port == port) return true;
    }
    return false;
}

/* The next port to be filled in; NULL: all have theirs. */
static uint16_t *next_missing(struct dev_state *s)
{
    for (unsigned i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].client_port == 0) return &s->nodes[i].client_port;
        if (s->nodes[i].peer_port == 0) return &s->nodes[i].peer_port;
    }
    return NULL;
}

int dev_state_pick_ports(struct dev_state *s)
{
    int fds[2 * DEV_NODES_MAX];
    unsigned picked = 0, offset = 0;
    uint16_t *missing = next_missing(s);

    if (getrandom(&offset, sizeof offset, 0) != (ssize_t) sizeof offset) return ERR_IO;
    for (unsigned i = 0; i < PORT_TRIES && missing != NULL; i++) {
        const unsigned port = PORT_FIRST + (offset % PORT_COUNT + i) % PORT_COUNT;

        fds[picked] = is_taken(s, port) ? -1 : bind_port(port);
        if (fds[picked] < 0) continue;
        *missing = (uint16_t) port;
        missing = next_missing(s);
        picked++;
    }
    for (unsigned i = 0; i < picked; i++) close(fds[i]);
    return missing == NULL ? 0 : ERR_IO;
}

void dev_state_servers(const struct dev_state *s, unsigned except, char *text, size_t size)
{
    size_t len = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < s->nodes_count; i++) {
        if (s->nodes[i].id == except) continue;
        len += (size_t) snprintf(text + len, size - len, "%s127.0.0.1:%u",
                                 len == 0 ? "" : ",", s->nodes[i].client_port);
        CHECK(len < size);
    }
}

/* --- turns --- */

int dev_state_lock(const char *dir)
{
    const int lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (lock < 0) return -1;
    while (flock(lock, LOCK_EX) != 0) {
        if (errno == EINTR) continue;
        close(lock);
        return -1;
    }
    return lock;
}

void dev_state_unlock(int lock)
{
    if (lock >= 0) close(lock);
}
