#include "core/server/recover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/check.h"
#include "core/base/errors.h"
#include "core/log/log.h"
#include "core/machine/machine.h"
#include "core/server/datadir.h"
#include "core/server/store.h"

enum { DIRTY_BYTES = 4 << 20, LOOK_US = 2000 };

struct recovery {
    struct config config;
    struct datadir dir;
    struct state *state;
    struct log *log;
    struct log_recovered found; /* by the log */
    struct machine machine;
    struct roster roster; /* the old one, then the new one */
    uint64_t adopted;     /* slots that it had voted for only */
    char *why;
    size_t why_size;
};

static int refuse(struct recovery *r, int code, const char *text)
{
    snprintf(r->why, r->why_size, "%s", text);
    return code;
}

/* --- what there is --- */

static int open_dir(struct recovery *r, const char *data)
{
    char identity[CONFIG_PATH_MAX + 16];

    if (strlen(data) >= CONFIG_PATH_MAX) return refuse(r, ERR_CONFIG, "the path is too long");
    strcpy(r->config.data, data);
    snprintf(identity, sizeof identity, "%s/identity", data);
    r->dir.lock = -1;
    if (access(identity, F_OK) != 0) {
        return refuse(r, ERR_CONFIG, "there is no data directory of a server");
    }
    return datadir_open_any(&r->dir, &r->config, r->why);
}

static int open_state(struct recovery *r)
{
    const struct state_config config = { .dir = r->dir.state,
                                         .cache_bytes = DIRTY_BYTES,
                                         .dirty_bytes = DIRTY_BYTES,
                                         .seed = identity_draw() };

    int code = state_open(&config, &r->state, r->why, r->why_size);
    if (code != 0) return code;
    code = machine_init(&r->machine, state_applied(r->state));
    return code == 0 ? 0 : refuse(r, code, "the state is damaged");
}

static struct log_config log_config_of(struct recovery *r)
{
    return (struct log_config){ .dir = r->dir.log,
                                .segment_bytes = 64u << 20,
                                .cluster = config_cluster_hash(&r->config),
                                .node = r->config.id,
                                .slot_at_rest = machine_slot(&r->machine) };
}

static bool log_is_there(const struct recovery *r)
{
    return access(r->dir.log, F_OK) == 0;
}

/* Without a log, which an earlier try has set aside, the state has it all. */
static int open_log(struct recovery *r)
{
    const struct log_config config = log_config_of(r);

    if (!log_is_there(r)) return 0;
    return log_open(&config, &r->log, &r->found, r->why, r->why_size);
}

/* --- all that it knows --- */

static int apply(struct recovery *r, const struct proposal *p)
{
    bool counted;
    int code = machine_apply(&r->machine, p, NULL, NULL, &counted);

    state_turn(r->state, machine_slot(&r->machine));
    return code;
}

static int apply_chosen(struct recovery *r)
{
    while (machine_slot(&r->machine) < r->found.chosen) {
        struct proposal p;
        int code = log_read(r->log, machine_slot(&r->machine) + 1, &p);

        if (code != 0) return refuse(r, code, "the log cannot be read");
        code = apply(r, &p);
        blob_unref(p.batch);
        if (code != 0) return refuse(r, code, "the log does not go on from the state");
    }
    return 0;
}

static const struct vote *vote_of(const struct recovery *r, uint64_t slot)
{
    for (uint32_t i = 0; i < r->found.votes_count; i++) {
        if (r->found.votes[i].slot == slot) return &r->found.votes[i];
    }
    return NULL;
}

/* It may have been chosen, and acknowledged; nobody is left who knows better. */
static void apply_votes(struct recovery *r)
{
    const struct vote *v;

    while ((v = vote_of(r, machine_slot(&r->machine) + 1)) != NULL) {
        if (apply(r, &v->proposal) != 0) return;
        r->adopted++;
    }
}

static void drop_votes(struct recovery *r)
{
    for (uint32_t i = 0; i < r->found.votes_count; i++) {
        blob_unref(r->found.votes[i].proposal.batch);
    }
    r->found.votes_count = 0;
}

/* --- the new cluster --- */

static int make_roster(struct recovery *r)
{
    const struct identity *i = &r->dir.identity;
    struct member self = { .id = i->config->id,
                           .kind = MEMBER_VOTER,
                           .incarnation = i->incarnation };
    struct roster old;

    if (machine_roster(&r->machine, &old) != 0 || old.number == 0) {
        return refuse(r, ERR_CONFIG, "this server never heard of a leader: it holds nothing");
    }
    const struct member *known = roster_find(&old, self.id);
    if (known != NULL) memcpy(self.client, known->client, sizeof self.client);
    if (!config_is_alone(i->config)) {
        address_format(&i->config->members[self.id - 1], self.peer);
    }
    r->roster = (struct roster){ .number = old.number + RECOVER_NUMBER_LEAP, .count = 1 };
    r->roster.at[0] = self;
    return 0;
}

static int write_state(struct recovery *r)
{
    const uint64_t slot = machine_slot(&r->machine);

    machine_refound(&r->machine, &r->roster, r->machine.zxid + RECOVER_LEAP);
    state_flush(r->state, slot);
    while (state_flushed(r->state) < slot) {
        state_turn(r->state, slot);
        usleep(LOOK_US);
    }
    return 0;
}

static int put_log_away(struct recovery *r)
{
    char away[CONFIG_PATH_MAX + 40];

    if (!log_is_there(r)) return 0;
    snprintf(away, sizeof away, "%s.before-%u", r->dir.log, (unsigned)r->roster.number);
    if (rename(r->dir.log, away) == 0) return 0;
    snprintf(r->why, r->why_size, "%s: cannot rename it: %s", r->dir.log, strerror(errno));
    return ERR_IO;
}

/* A new one, that begins with the promise and the place. Keyed by the new members. */
static int write_log(struct recovery *r, uint64_t round)
{
    const struct log_config config = log_config_of(r);
    const struct log_record record = { .kind = LOG_INSTALLED,
                                       .promised = { round, r->config.id },
                                       .chosen = machine_slot(&r->machine) };
    struct log_recovered fresh;

    int code = log_open(&config, &r->log, &fresh, r->why, r->why_size);
    if (code != 0) return code;
    log_append(r->log, &record);
    log_submit(r->log);
    log_close(r->log);
    r->log = NULL;
    return 0;
}

static void leave_members(struct config *c)
{
    const struct address self = c->members[c->id - 1];

    memset(c->members, 0, sizeof c->members);
    c->members[c->id - 1] = self;
    c->members_count = 1;
}

/* The identity comes last: with it the directory may be started. */
static int begin_anew(struct recovery *r)
{
    uint64_t round = r->found.promised.round;

    if (round < r->machine.run.reign.round) round = r->machine.run.reign.round;
    int code = identity_recovering(&r->dir.identity, r->why);
    if (code == 0) code = write_state(r);
    if (code == 0) code = put_log_away(r);
    leave_members(&r->config);
    if (code == 0) code = write_log(r, round + RECOVER_LEAP);
    if (code == 0) code = identity_refound(&r->dir.identity, r->roster.number, r->why);
    return code;
}

/* --- the whole --- */

static int expect(struct recovery *r)
{
    const struct identity *i = &r->dir.identity;

    if (!i->joined) return refuse(r, ERR_CONFIG, "this server has not joined its cluster");
    if (i->removed) return refuse(r, ERR_NO_MEMBER, "this server was removed before");
    return 0;
}

static int load(struct recovery *r)
{
    int code = expect(r);

    if (code == 0) code = open_state(r);
    if (code == 0) code = open_log(r);
    if (code == 0) code = apply_chosen(r);
    if (code == 0) apply_votes(r);
    drop_votes(r);
    if (r->log != NULL) log_close(r->log);
    r->log = NULL;
    return code == 0 ? make_roster(r) : code;
}

static void tell(const struct recovery *r, struct buf *say)
{
    char text[400];

    snprintf(text, sizeof text,
             "server %u goes on alone, in a new cluster, from slot %llu\n"
             "%llu of its last slots were not known to be decided, and count now\n"
             "configuration %u, next zxid above %llu\n",
             (unsigned)r->config.id, (unsigned long long)machine_slot(&r->machine),
             (unsigned long long)r->adopted, (unsigned)r->roster.number,
             (unsigned long long)r->machine.zxid);
    buf_put_bytes_raw(say, bytes_str(text));
}

int recover_run(const char *data, struct buf *say, char *why, size_t why_size)
{
    struct recovery *r = mem_zalloc(sizeof *r);

    CHECK(why_size >= CONFIG_WHY_MAX);
    r->why = why;
    r->why_size = why_size;
    int code = open_dir(r, data);
    if (code == 0) {
        code = load(r);
        if (code == 0) code = begin_anew(r);
        if (code == 0) tell(r, say);
        machine_fini(&r->machine);
        if (r->state != NULL) state_close(r->state);
        datadir_close(&r->dir);
    }
    free(r);
    return code;
}
