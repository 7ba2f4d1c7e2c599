/* dev.c -- `tidelock dev`: clusters on this machine, for trying out and for tests. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/clock.h"
#include "cli/commands.h"
#include "cli/dev_node.h"
#include "cli/json.h"
#include "cli/member.h"
#include "cli/options.h"
#include "cli/report.h"
#include "core/base/errors.h"

enum {
    SERVE_MS_MAX = 30000,
    PROBE_GONE_MS = 1000, STOP_MS_MAX = 5000,
    LEADER_MS_MAX = 5000,
    LOOK_US = 20000,
    TAIL_BYTES = 2000
};

static struct dev_state state; /* of the one cluster that a command is about */

static const char *dir_of(const struct options *o)
{
    return options_text(o, FLAG_DIR, "./tidelock-dev");
}

static int fail(const struct options *o, int code)
{
    return report_error(o->command, code, errno != 0 ? strerror(errno) : dir_of(o));
}

/* Loads the state of --dir; returns 0 or the exit status of an error that was told. */
static int load(const struct options *o)
{
    const int code = dev_state_load(&state, dir_of(o));

    if (code == ERR_NO_NODE) {
        report_note(o->command, "there is no cluster in %s; see tidelock dev start --help",
                    dir_of(o));
        return CLI_NOT_FOUND;
    }
    return code == 0 ? 0 : report_error(o->command, code, dir_of(o));
}

/* --- status --- */

static void put_node_json(struct buf *text, const struct dev_node *n, bool alive,
                          const char *role)
{
    report_printf(text, "{\"id\":%u,\"client\":\"127.0.0.1:%u\",\"peer\":\"127.0.0.1:%u\",",
                  n->id, n->client_port, n->peer_port);
    if (alive) {
        report_printf(text, "\"pid\":%d,", (int) n->pid);
    } else {
        buf_put_bytes_raw(text, BYTES_LIT("\"pid\":null,"));
    }
    report_printf(text, "\"role\":\"%s\"}", role);
}

static void put_node_plain(struct buf *text, const struct dev_node *n, bool alive,
                           const char *role)
{
    char pid[16] = "-";

    if (alive) snprintf(pid, sizeof pid, "%d", (int) n->pid);
    report_printf(text, "%-3u %-9s 127.0.0.1:%-6u 127.0.0.1:%-6u %s\n", n->id, role,
                  n->client_port, n->peer_port, pid);
}

static void put_nodes(struct buf *text, bool json)
{
    struct probe probes[DEV_NODES_MAX];
    int leader;

    for (unsigned i = 0; i < state.nodes_count; i++) {
        dev_node_probe(&state, &state.nodes[i], &probes[i]);
    }
    leader = probe_find_leader(probes, state.nodes_count);
    for (unsigned i = 0; i < state.nodes_count; i++) {
        const struct dev_node *n = &state.nodes[i];
        const char *role = probe_role(&probes[i]);
        const bool alive = dev_node_is_alive(&state, n);

        /* A leader that was replaced but has not heard of it leads nobody. */
        if (strcmp(role, "leader") == 0 && (int) i != leader) role = "follower";
        if (json && i > 0) buf_put_u8(text, ',');
        if (json) {
            put_node_json(text, n, alive, role);
        } else {
            put_node_plain(text, n, alive, role);
        }
    }
}

int command_dev_status(const struct options *o)
{
    struct buf text = { 0 };
    int status = load(o);

    if (status != 0) return status;
    if (o->json) {
        buf_put_bytes_raw(&text, BYTES_LIT("{\"nodes\":["));
    } else {
        report_printf(&text, "%-3s %-9s %-16s %-16s %s\n", "id", "role", "client", "peer",
                      "pid");
    }
    put_nodes(&text, o->json);
    if (o->json) buf_put_bytes_raw(&text, BYTES_LIT("]}\n"));
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

/* --- waiting --- */

/* The end of a server's log says why it does not serve. */
static void print_log_tail(const struct options *o, const struct dev_node *n)
{
    char path[PATH_MAX + 32], room[TAIL_BYTES + 1];
    size_t len;
    FILE *file;

    dev_node_log_path(&state, n, path);
    report_note(o->command, "the end of %s:", path);
    file = fopen(path, "re");
    if (file == NULL) return;
    if (fseek(file, -TAIL_BYTES, SEEK_END) != 0) rewind(file);
    len = fread(room, 1, TAIL_BYTES, file);
    fclose(file);
    fwrite(room, 1, len, stderr);
    if (len > 0 && room[len - 1] != '\n') fputc('\n', stderr);
}

/* Waits until `n` answers or, when it is NULL, until a leader serves; tells of a
 * failure. */
static int wait_until_serving(const struct options *o, const struct dev_node *n)
{
    const uint64_t until = clock_now_ms() + SERVE_MS_MAX;
    const unsigned first = n == NULL ? 0 : n->id - 1;
    const unsigned end = n == NULL ? state.nodes_count : n->id;

    while (clock_now_ms() < until) {
        for (unsigned i = first; i < end; i++) {
            struct probe p;

            if (!dev_node_is_alive(&state, &state.nodes[i])) {
                report_note(o->command, "server %u ended", i + 1);
                print_log_tail(o, &state.nodes[i]);
                return CLI_FAILED;
            }
            if (!dev_node_probe(&state, &state.nodes[i], &p)) continue;
            if (n != NULL || probe_find_leader(&p, 1) == 0) return 0;
        }
        usleep(LOOK_US);
    }
    report_note(o->command, "%s within %d s", n == NULL ? "no server leads" : "no answer",
                SERVE_MS_MAX / 1000);
    for (unsigned i = first; i < end; i++) print_log_tail(o, &state.nodes[i]);
    return n == NULL ? CLI_NO_QUORUM : CLI_UNREACHABLE;
}

static void stop_node(struct dev_node *n)
{
    dev_node_signal(&state, n, SIGTERM);
    dev_node_signal(&state, n, SIGCONT); /* a paused one hears no SIGTERM */
}

static void finish_node(struct dev_node *n, uint64_t limit_ms)
{
    if (!dev_node_wait_gone(&state, n, limit_ms)) {
        dev_node_signal(&state, n, SIGKILL);
        dev_node_wait_gone(&state, n, STOP_MS_MAX);
    }
    n->pid = 0;
}

static void stop_all(void)
{
    const uint64_t until = clock_now_ms() + STOP_MS_MAX;

    for (unsigned i = 0; i < state.nodes_count; i++) stop_node(&state.nodes[i]);
    for (unsigned i = 0; i < state.nodes_count; i++) {
        const uint64_t now = clock_now_ms();
        finish_node(&state.nodes[i], until > now ? until - now : 0);
    }
}

/* --- start --- */

/* Takes the flags behind "--" for every server. */
static int take_flags(const struct options *o)
{
    for (char **at = o->rest; *at != NULL; at++) {
        if (state.flags_count == DEV_FLAGS_MAX || strlen(*at) >= DEV_FLAG_BYTES_MAX ||
            strchr(*at, '\n') != NULL) {
            return report_usage(o->command, "too many or too long flags behind --");
        }
        strcpy(state.flags[state.flags_count++], *at);
    }
    return 0;
}

static int make_cluster(const struct options *o)
{
    int status;
    int code =
        dev_state_new(&state, dir_of(o), (unsigned) options_number(o, FLAG_NODES, 3));

    if (code == ERR_IN_USE) {
        report_note(o->command, "%s is not empty and holds no cluster; name another --dir",
                    dir_of(o));
        return CLI_CONFLICT;
    }
    if (code != 0) return fail(o, code);
    status = take_flags(o);
    if (status != 0) return status;
    code = dev_state_pick_ports(&state);
    return code == 0 ? 0 : fail(o, code);
}

/* A cluster that was stopped is started as it was. */
static int revive_cluster(const struct options *o)
{
    for (unsigned i = 0; i < state.nodes_count; i++) {
        if (!dev_node_is_alive(&state, &state.nodes[i])) continue;
        report_note(o->command, "the cluster in %s runs already; see tidelock dev status",
                    dir_of(o));
        return CLI_CONFLICT;
    }
    if (options_number(o, FLAG_NODES, state.nodes_count) != state.nodes_count) {
        return report_usage(o->command, "the cluster in %s has %u servers", dir_of(o),
                            state.nodes_count);
    }
    if (o->rest[0] != NULL) state.flags_count = 0;
    return take_flags(o);
}

static int start_all(const struct options *o)
{
    for (unsigned i = 0; i < state.nodes_count; i++) {
        /* One that was killed a moment ago may still hold its data directory. */
        (void) dev_node_wait_gone(&state, &state.nodes[i], PROBE_GONE_MS);
        if (dev_node_start(&state, &state.nodes[i]) == 0) continue;
        report_error(o->command, ERR_IO, strerror(errno));
        stop_all();
        return CLI_FAILED;
    }
    if (dev_state_save(&state) == 0) return 0;
    report_error(o->command, ERR_IO, strerror(errno));
    stop_all();
    return CLI_FAILED;
}

static int print_servers(const struct options *o)
{
    struct buf text = { 0 };
    int status;

    if (o->json) buf_put_bytes_raw(&text, BYTES_LIT("{\"servers\":\""));
    for (unsigned i = 0; i < state.nodes_count; i++) {
        report_printf(&text, "%s127.0.0.1:%u", i == 0 ? "" : ",",
                      state.nodes[i].client_port);
    }
    buf_put_bytes_raw(&text, bytes_str(o->json ? "\"}\n" : "\n"));
    status = report_write(o->command, buf_bytes(&text));
    buf_fini(&text);
    return status;
}

static int prepare(const struct options *o)
{
    const int code = dev_state_load(&state, dir_of(o));

    if (code == 0) return revive_cluster(o);
    if (code == ERR_NO_NODE) return make_cluster(o);
    return report_error(o->command, code, dir_of(o));
}

int command_dev_start(const struct options *o)
{
    int status, lock;

    errno = 0;
    status = prepare(o);
    if (status != 0) return status;
    lock = dev_state_lock(state.dir);
    status = start_all(o);
    dev_state_unlock(lock);
    if (status != 0) return status;
    status = wait_until_serving(o, NULL);
    if (status == 0) return print_servers(o);
    stop_all();
    state.flags_count = 0; /* they may be the reason: the next start brings its own */
    dev_state_save(&state);
    return status;
}

int command_dev_stop(const struct options *o)
{
    int status = load(o), lock;

    if (status != 0) return status;
    lock = dev_state_lock(state.dir);
    stop_all();
    if (dev_state_save(&state) != 0) status = fail(o, ERR_IO);
    dev_state_unlock(lock);
    return status;
}

/* --- one node --- */

/* Waits for an election to end, if one is on; NULL when none led in time. */
static struct dev_node *find_leader(void)
{
    const uint64_t until = clock_now_ms() + LEADER_MS_MAX;
    struct probe probes[DEV_NODES_MAX];

    do {
        for (unsigned i = 0; i < state.nodes_count; i++) {
            dev_node_probe(&state, &state.nodes[i], &probes[i]);
        }
        const int leader = probe_find_leader(probes, state.nodes_count);
        if (leader >= 0) return &state.nodes[leader];
        usleep(LOOK_US);
    } while (clock_now_ms() < until);
    return NULL;
}

/* Finds what --node names; returns 0 or the exit status of an error that was told. */
static int find_node(const struct options *o, struct dev_node **node)
{
    const char *text = options_text(o, FLAG_NODE, NULL);
    uint64_t id;

    if (text == NULL)
        return report_usage(o->command, "--node N or --node leader is missing");
    if (options_read_number(text, 1, state.nodes_count, &id)) {
        *node = &state.nodes[id - 1];
        return 0;
    }
    if (strcmp(text, "leader") != 0) {
        return report_usage(o->command, "--node must be leader or 1 to %u, not '%s'",
                            state.nodes_count, text);
    }
    *node = find_leader();
    return *node != NULL ? 0 : report_error(o->command, ERR_NO_QUORUM, "no server leads");
}

/* Sends a signal to the server that --node names, which must run. */
static int signal_node(const struct options *o, int signo, struct dev_node **node)
{
    int status = load(o);

    if (status == 0) status = find_node(o, node);
    if (status != 0) return status;
    if (!dev_node_is_alive(&state, *node)) {
        report_note(o->command, "server %u does not run", (*node)->id);
        return CLI_NOT_FOUND;
    }
    dev_node_signal(&state, *node, signo);
    return 0;
}

int command_dev_kill(const struct options *o)
{
    struct dev_node *node;
    const int status = signal_node(o, SIGKILL, &node);

    if (status != 0) return status;
    if (dev_node_wait_gone(&state, node, STOP_MS_MAX)) return CLI_OK;
    report_note(o->command, "server %u is still there", node->id);
    return CLI_FAILED;
}

int command_dev_pause(const struct options *o)
{
    struct dev_node *node;

    return signal_node(o, SIGSTOP, &node);
}

int command_dev_resume(const struct options *o)
{
    struct dev_node *node;

    return signal_node(o, SIGCONT, &node);
}

int command_dev_restart(const struct options *o)
{
    struct dev_node *node;
    int status = load(o), lock, code;

    if (status == 0) status = find_node(o, &node);
    if (status != 0) return status;
    stop_node(node);
    finish_node(node, STOP_MS_MAX);

    lock = dev_state_lock(state.dir);
    const unsigned id = node->id;
    status = load(o); /* another command may have changed other nodes meanwhile */
    code = status == 0 ? dev_node_start(&state, &state.nodes[id - 1]) : 0;
    if (status == 0 && code == 0) code = dev_state_save(&state);
    dev_state_unlock(lock);
    if (status != 0) return status;
    if (code != 0) return fail(o, code);
    return wait_until_serving(o, &state.nodes[id - 1]);
}

/* --- add --- */

/* The node that is to join: a new one, or the one that --node names and that does not run. */
static int choose_node(const struct options *o, struct dev_node **node)
{
    int code;

    if (options_given(o, FLAG_NODE)) {
        code = find_node(o, node);
        if (code != 0 || dev_node_wait_gone(&state, *node, PROBE_GONE_MS)) return code;
        report_note(o->command, "server %u runs", (*node)->id);
        return CLI_CONFLICT;
    }
    if (state.nodes_count == DEV_NODES_MAX) {
        report_note(o->command, "%d servers are as many as this can start", DEV_NODES_MAX);
        return CLI_CONFLICT;
    }
    *node = &state.nodes[state.nodes_count++];
    **node = (struct dev_node){ .id = state.nodes_count };
    code = dev_state_pick_ports(&state);
    return code == 0 ? 0 : fail(o, code);
}

/* The cluster is to give it the id under which it is known here. */
static int keep_place(const struct options *o, const struct dev_node *n)
{
    char peer[32], servers[512];
    struct options there = *o;

    dev_state_servers(&state, n->id, servers, sizeof servers);
    snprintf(peer, sizeof peer, "127.0.0.1:%u", n->peer_port);
    there.servers = servers;
    return member_keep_place(&there, peer, n->id);
}

static int add_node(const struct options *o, struct dev_node **node)
{
    int status = choose_node(o, node);

    if (status == 0) status = keep_place(o, *node);
    if (status != 0) return status;
    (*node)->joined = true;
    (*node)->rejoins = options_given(o, FLAG_NODE);
    (*node)->learner = options_given(o, FLAG_LEARNER);
    int code = dev_node_start(&state, *node);
    if (code == 0) code = dev_state_save(&state);
    return code == 0 ? 0 : fail(o, code);
}

int command_dev_add(const struct options *o)
{
    struct dev_node *node;
    int status, lock;

    errno = 0;
    status = load(o);
    if (status != 0) return status;
    lock = dev_state_lock(state.dir);
    status = load(o); /* as it is now that nobody else changes it */
    if (status == 0) status = add_node(o, &node);
    dev_state_unlock(lock);
    if (status == 0) status = wait_until_serving(o, node);
    return status == 0 ? print_servers(o) : status;
}
