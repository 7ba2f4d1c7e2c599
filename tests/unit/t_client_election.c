/* t_client_election.c -- elections and their observers, one rule a test. Method:
 * objects_rig.h. */
#include <stdlib.h>
#include <time.h>

#include "tests/lib/objects_rig.h"

/* --- election --- */

static tl_election *election;

static void on_term(void *ctx, const tl_term *t)
{
    (void) ctx;
    if (t->leads) {
        NOTE("leads %s %d", t->guard.path, (int) t->guard.token);
    } else {
        NOTE("over %d", t->code);
    }
}

static void stand(void)
{
    IS(tl_election_open(objects_client, "/e", "me", on_term, NULL, &election), TL_OK);
    IS(objects_told_count, 0);
}

static void lead(void)
{
    stand();
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "leads /e/leader 41");
    objects_tell("children"); /* by now the watch stands */
}

static void who_resigns_is_told_and_may_stand_again(void)
{
    objects_begin();
    lead();
    tl_election_stand(election);
    objects_tell("children");
    IS(objects_campaigns_heard, 1);
    tl_election_resign(election);
    tl_election_resign(election);
    IS(objects_told_count, 1);
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[1], "over 0");
    IS(objects_resigns_heard, 1);
    tl_election_stand(election);
    RUN_UNTIL(objects_told_count == 3);
    STR(objects_told[2], "leads /e/leader 41");
    tl_election_close(election);
    objects_end();
    IS(objects_told_count, 3);
    IS(objects_resigns_heard, 2);
}

static void a_term_that_somebody_else_ended_is_over(void)
{
    objects_begin();
    lead();
    objects_tell("changed"); /* another value: no matter */
    IS(objects_told_count, 1);
    objects_tell("deleted");
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[1], "over -1");
    objects_tell("created");
    IS(objects_told_count, 2);
    tl_election_close(election);
    objects_end();
    IS(objects_resigns_heard, 0);
}

static void a_term_that_ended_before_its_watch_stood_is_over(void)
{
    objects_begin();
    objects_token_seen = TOKEN + 1;
    stand();
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[1], "over -1");
    objects_end();
}

static void a_candidacy_can_be_given_up(void)
{
    objects_begin();
    objects_campaign_waits = true;
    stand();
    RUN_UNTIL(objects_campaigns_heard == 1);
    tl_election_resign(election);
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "over 0");
    IS(objects_resigns_heard, 0);
    objects_end();
    IS(objects_told_count, 1);
    objects_begin();
    stand();
    tl_election_resign(election); /* before any server was asked */
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "over 0");
    IS(objects_campaigns_heard, 0);
    objects_end();
}

static void a_term_is_over_with_its_session(void)
{
    objects_session_ms = 500;
    objects_begin();
    lead();
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[1], "over -9");
    IS(tl_session(objects_client), TL_SESSION_OVER);
    tl_election_stand(election);
    RUN_UNTIL(objects_told_count == 3);
    STR(objects_told[2], "over -9");
    objects_end();
}

static void an_election_needs_a_session(void)
{
    const tl_options o = { .servers = objects_address };

    objects_begin();
    tl_close(objects_client);
    IS(tl_open(&o, &objects_client), TL_OK);
    IS(tl_election_open(objects_client, "/e", NULL, on_term, NULL, &election), TL_CONFIG);
    IS(tl_election_open(objects_client, "e", NULL, on_term, NULL, &election), TL_BAD_PATH);
    OK(election == NULL);
    objects_end();
}

/* --- who leads --- */

static tl_observer *observer;

static void on_leader(void *ctx, const tl_leader *l)
{
    (void) ctx;
    if (l->code != 0) {
        NOTE("end %d", l->code);
    } else {
        NOTE("%d %s%s", (int) l->token, l->value == NULL ? "none" : l->value,
             l->lagged ? " lagged" : "");
    }
}

static void observe(void)
{
    IS(tl_observer_open(objects_client, "/e", on_leader, NULL, &observer), TL_OK);
}

static void who_leads_is_told_at_first_and_at_each_change(void)
{
    objects_begin();
    observe();
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "41 ann");
    objects_tell("deleted");
    objects_tell("created");
    objects_tell("changed");
    STR(objects_told[1], "0 none");
    STR(objects_told[2], "52 bob");
    STR(objects_told[3], "52 bob");
    IS(objects_told_count, 4);
    STR(objects_watch_path, "/e/leader");
    tl_observer_close(observer);
    objects_end();
    IS(objects_told_count, 4);
}

static void what_was_before_the_read_is_not_told_behind_it(void)
{
    objects_begin();
    objects_node_zxid = 52;
    observe();
    RUN_UNTIL(objects_told_count == 1);
    objects_tell("deleted"); /* at 51 */
    objects_tell("created"); /* at 52 */
    IS(objects_told_count, 1);
    objects_tell("deleted");
    IS(objects_told_count, 2);
    objects_end();
}

static void that_nobody_leads_is_told_once(void)
{
    objects_begin();
    objects_nobody_leads = true;
    observe();
    RUN_UNTIL(objects_told_count == 1);
    STR(objects_told[0], "0 none");
    objects_tell("deleted");
    IS(objects_told_count, 1);
    objects_tell("created");
    STR(objects_told[1], "52 bob");
    objects_end();
    STR(objects_told[2], "end -66");
}

static void after_a_gap_it_is_told_who_leads_now(void)
{
    objects_begin();
    observe();
    RUN_UNTIL(objects_told_count == 1);
    objects_forgets = true;
    objects_token_seen = 60;
    objects_tell("lagged");
    RUN_UNTIL(objects_told_count == 2);
    STR(objects_told[1], "60 ann lagged"); /* though the node is as it was */
    objects_nobody_leads = objects_forgets = true;
    objects_tell("lagged");
    RUN_UNTIL(objects_told_count == 3);
    STR(objects_told[2], "0 none lagged");
    objects_end();
}

int main(void)
{
    objects_serve();
    TEST(who_resigns_is_told_and_may_stand_again);
    TEST(a_term_that_somebody_else_ended_is_over);
    TEST(a_term_that_ended_before_its_watch_stood_is_over);
    TEST(a_candidacy_can_be_given_up);
    TEST(a_term_is_over_with_its_session);
    TEST(an_election_needs_a_session);
    TEST(who_leads_is_told_at_first_and_at_each_change);
    TEST(what_was_before_the_read_is_not_told_behind_it);
    TEST(that_nobody_leads_is_told_once);
    TEST(after_a_gap_it_is_told_who_leads_now);
    objects_serve_end();
    return tap_done();
}
