#include "cli/dev_node.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/clock.h"
#include "core/base/check.h"
#include "core/base/errors.h"

enum { PROBE_MS = 1000, LOOK_US = 10000, PATH_ROOM = PATH_MAX + 32 };

static void data_path(const struct dev_state *s, const struct dev_node *n,
                      char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/node-%u", s->dir, n->id);
}

void dev_node_log_path(const struct dev_state *s, const struct dev_node *n,
                       char path[PATH_ROOM])
{
    snprintf(path, PATH_ROOM, "%s/node-%u.log", s->dir, n->id);
}

/* --- finding --- */

/* A zombie's command line is empty, so one that nobody reaped counts as gone. */
bool dev_node_is_alive(const struct dev_state *s, const struct dev_node *n)
{
    char proc[64], data[PATH_ROOM], room[2 * PATH_MAX];
    size_t len;
    FILE *file;

    if (n->pid <= 0) return false;
    waitpid(n->pid, NULL, WNOHANG); /* it may be our own child */
    snprintf(proc, sizeof proc, "/proc/%d/cmdline", (int) n->pid);
    file = fopen(proc, "re");
    if (file == NULL) return false;
    len = fread(room, 1, sizeof room - 1, file);
    fclose(file);
    room[len] = '\0';
    data_path(s, n, data);
    for (const char *at = room; at < room + len; at += strlen(at) + 1) {
        if (strcmp(at, data) == 0) return true;
    }
    return false;
}

void dev_node_signal(const struct dev_state *s, const struct dev_node *n, int signo)
{
    if (dev_node_is_alive(s, n)) kill(n->pid, signo);
}

/* A killed process loses its command line before the kernel closes its files, so it is gone
 * only when the lock of its data directory is free. */
static bool holds_lock(const struct dev_state *s, const struct dev_node *n)
{
    char data[PATH_ROOM], path[PATH_ROOM + 8];
    bool held;
    int fd;

    data_path(s, n, data);
    snprintf(path, sizeof path, "%s/lock", data);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false; /* it never got so far */
    held = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return held;
}

bool dev_node_wait_gone(const struct dev_state *s, const struct dev_node *n,
                        uint64_t limit_ms)
{
    const uint64_t until = clock_now_ms() + limit_ms;

    while (dev_node_is_alive(s, n) || holds_lock(s, n)) {
        if (clock_now_ms() >= until) return false;
        usleep(LOOK_US);
    }
    return true;
}

bool dev_node_probe(const struct dev_state *s, const struct dev_node *n, struct probe *p)
{
    struct server server = { .host = "127.0.0.1" };

    *p = (struct probe){ 0 };
    if (!dev_node_is_alive(s, n)) return false;
    snprintf(server.port, sizeof server.port, "%u", n->client_port);
    return probe_ask(p, &server, PROBE_MS) == 0;
}

/* --- starting --- */

/* The tidelockd beside this program, or its bare name for PATH. */
static void find_server(char path[PATH_ROOM])
{
    const ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - 1);
    char *slash;

    path[len > 0 ? len : 0] = '\0';
    slash = strrchr(path, '/');
    if (slash != NULL) {
        strcpy(slash + 1, "tidelockd");
        if (access(path, X_OK) == 0) return;
    }
    strcpy(path, "tidelockd");
}

/* The arguments of one server; the texts are kept here. */
struct arguments {
    const char *at[16 + DEV_FLAGS_MAX];
    unsigned count;
    char path[PATH_ROOM], data[PATH_ROOM], id[12], client[32], peer[32], servers[512];
};

static void put(struct arguments *a, const char *flag, const char *value)
{
    a->at[a->count++] = flag;
    if (value != NULL) a->at[a->count++] = value;
}

/* "1=127.0.0.1:20001,..." of the peer ports of those that began the cluster. */
static void members_text(const struct dev_state *s, char *text, size_t size)
{
    size_t len = 0;

    for (unsigned i = 0; i < s->founders; i++) {
        len += (size_t) snprintf(text + len, size - len, "%s%u=127.0.0.1:%u",
                                 len == 0 ? "" : ",", s->nodes[i].id, s->nodes[i].peer_port);
        CHECK(len < size);
    }
}

static void put_place(struct arguments *a, const struct dev_state *s, const struct dev_node *n)
{
    if (!n->joined) {
        members_text(s, a->servers, sizeof a->servers);
        put(a, "--id", a->id);
        put(a, "--members", a->servers);
        return;
    }
    dev_state_servers(s, n->id, a->servers, sizeof a->servers);
    put(a, "--join", a->servers);
    put(a, "--peer", a->peer);
    if (n->rejoins) put(a, "--rejoin", NULL);
    if (n->learner) put(a, "--learner", NULL);
}

static void put_arguments(struct arguments *a, const struct dev_state *s,
                          const struct dev_node *n)
{
    find_server(a->path);
    data_path(s, n, a->data);
    snprintf(a->id, sizeof a->id, "%u", n->id);
    snprintf(a->client, sizeof a->client, "127.0.0.1:%u", n->client_port);
    snprintf(a->peer, sizeof a->peer, "127.0.0.1:%u", n->peer_port);
    put(a, a->path, NULL);
    put(a, "--data", a->data);
    put(a, "--client", a->client);
    put_place(a, s, n);
    for (unsigned i = 0; i < s->flags_count; i++) put(a, s->flags[i], NULL);
}

_Noreturn static void run_server(const struct dev_state *s, const struct dev_node *n,
                                 int told)
{
    struct arguments arguments = { .count = 0 };
    char log[PATH_ROOM];
    int null, out;

    put_arguments(&arguments, s, n);
    dev_node_log_path(s, n, log);
    setsid();
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (null >= 0 && out >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
        dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0) {
        execvp(arguments.path, (char *const *) arguments.at);
    }
    const int error = errno;
    (void) !write(told, &error, sizeof error); /* nobody else is left to tell */
    _exit(1);
}

int dev_node_start(const struct dev_state *s, struct dev_node *n)
{
    int told[2], error = 0;
    pid_t pid;

    if (pipe2(told, O_CLOEXEC) != 0) return ERR_IO;
    pid = fork();
    if (pid == 0) run_server(s, n, told[1]);
    if (pid < 0) error = errno;
    close(told[1]);
    /* An exec that succeeds closes the pipe; one that fails tells its errno. */
    if (pid > 0 && read(told[0], &error, sizeof error) == (ssize_t) sizeof error) {
        waitpid(pid, NULL, 0);
    } else if (pid > 0) {
        n->pid = pid;
    }
    close(told[0]);
    errno = error;
    return error == 0 ? 0 : ERR_IO;
}
