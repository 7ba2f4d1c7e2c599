/* main.c -- `tidelock`: the table of commands. Flags stand in options.h. */
#include <signal.h>

#include "cli/commands.h"
#include "cli/report.h"

/* clang-format off */
#define WRITE_HELP                                                                          \
    "The write is done once, whatever fails on the way. When it was sent and is not\n"      \
    "answered within --timeout, its outcome is unknown: that is said, and the exit status\n" \
    "is 3."

#define DELETE_HELP                                                                         \
    "With --recursive up to 10,000 nodes go in one transaction, more in steps, leaves\n"     \
    "first: when it is stopped in between, run it again.\n" WRITE_HELP

#define COPY_HELP                                                                           \
    "Up to 10,000 nodes, all or none; ephemeral ones are left out. No node may be at TO, but\n" \
    "its parent must be.\n" WRITE_HELP

#define QUOTA_HELP                                                                          \
    "Bounds the number of nodes at and below PATH, and the bytes of their data. With 0 for\n" \
    "what was bounded, or for both, the bound goes. Without PATH lists all quotas and what is\n" \
    "used of them."

#define DATA_HELP                                                                           \
    "DATA - reads standard input. Data that starts with - goes behind --.\n"

#define GET_HELP                                                                            \
    "Plain output is the data as it is, with a newline behind it on a terminal. -o json\n"  \
    "prints {\"path\", \"data\" (or \"data_base64\" when it is not UTF-8), \"stat\", \"zxid\"}."

#define LOCK_HELP                                                                           \
    "Waits for the lock, runs the command in a process group of its own, passes INT, TERM\n" \
    "and HUP on to it, and releases the lock when it has ended. The exit status is the\n"   \
    "command's, 128 + the signal's number if a signal ended it. The command finds in its\n" \
    "environment:\n"                                                                        \
    "  TIDELOCK_LOCK_PATH, TIDELOCK_LOCK_TOKEN  for --guard \"$PATH:$TOKEN\", and for other\n" \
    "                                           services that check tokens\n"               \
    "  TIDELOCK_SERVERS                         the servers\n"                              \
    "If the session cannot be renewed, a guardian process stops the whole process group\n"  \
    "(TERM, then KILL) before the lease may end, also when this program is stopped or\n"    \
    "killed; the exit status is then 1. A process that leaves the group by itself (setsid,\n" \
    "a daemon) is out of its reach; one that stays behind in the background is not waited\n" \
    "for. --wait 0 does not wait: exit status 5 when another one holds the lock."

#define WATCH_HELP                                                                          \
    "Prints one line per event, \"ZXID KIND PATH\", until it is interrupted; KIND is created,\n" \
    "changed, deleted or children. The node need not be there. Events are neither lost nor\n" \
    "doubled when servers fail. Two more kinds: armed, the first line: changes after that\n" \
    "zxid will be told; lagged: changes up to that zxid may be missing, read again.\n"        \
    "--recursive watches all below PATH too. --snapshot tells what stands there first: one\n" \
    "line of kind node each, with the zxid that changed it last, then a line of kind ready:\n" \
    "what was printed so far adds up to the tree at that zxid, and every change follows. With\n" \
    "it, lagged means that all is told again from the start. --since ZXID goes on from an\n"  \
    "earlier run that had printed everything up to that zxid.\n"                              \
    "--value appends the data as JSON. -o json prints one object per line: {\"zxid\", \"kind\",\n" \
    "\"path\"} and with --value \"data\" (or \"data_base64\"). --exec runs a command for every\n" \
    "event (not for armed), with TIDELOCK_EVENT_ZXID, _KIND and _PATH in its environment."

#define ELECT_HELP                                                                          \
    "Stands for election, waits, runs the command while leading, and resigns when it has\n" \
    "ended. PATH is the election's directory. The command is guarded, gets signals and ends\n" \
    "as under `tidelock lock`. It finds TIDELOCK_ELECTION_PATH, TIDELOCK_ELECTION_TOKEN (for\n" \
    "--guard \"$PATH:$TOKEN\") and TIDELOCK_SERVERS in its environment. --wait 0 does not\n"  \
    "wait: exit status 5 when another one leads.\n"                                         \
    "--observe runs no command: it prints a line \"TOKEN SESSION VALUE\" (VALUE as JSON) for\n" \
    "each leader or value, and \"none\" when nobody leads, until it is interrupted. -o json\n" \
    "prints {\"token\", \"session\", \"value\", \"since\"} a line."

#define CONFIG_PUT_HELP                                                                     \
    "VALUE - reads standard input, @FILE a file. Prints the number of the new version.\n"    \
    WRITE_HELP

#define CONFIG_GET_HELP                                                                     \
    "Plain output is the data as it is, with a newline behind it on a terminal. -o json\n"  \
    "prints {\"path\", \"version\", \"data\" (or \"data_base64\"), \"zxid\", \"time\", \"size\",\n" \
    "\"session\"}."

#define CONFIG_WATCH_HELP                                                                   \
    "Prints the newest version, then each one that follows, as \"VERSION VALUE\" with VALUE as\n" \
    "JSON, until it is interrupted; --version N begins after that version. No version is\n" \
    "left out while it is kept; those that were not are told on standard error. -o json\n"  \
    "prints one object per line, as get. --exec runs a command for every version, with the\n" \
    "value on its standard input and TIDELOCK_CONFIG_PATH and _VERSION in its environment."

#define RECIPE_PUT_HELP                                                                     \
    "NAME is the file's name without .lua if it is left out; FILE - reads standard input.\n" \
    "The servers refuse a source that does not load, and this command one whose own tests\n" \
    "(NAME_test.lua beside NAME.lua) fail. It counts from the next call on, and\n"          \
    "stands in for a shipped recipe of that name. Prints the name and the node's version.\n" \
    WRITE_HELP

#define RECIPE_CHECK_HELP                                                                   \
    "That it loads, as the servers demand; and each name that means nothing in the sandbox,\n" \
    "each function that tx or a library does not have, each global that is assigned."

#define RECIPE_HISTORY_HELP                                                                 \
    "A version is named by the zxid of the transaction that put it. The servers keep the 20\n" \
    "newest that were replaced or removed."

#define RECIPE_ROLLBACK_HELP                                                                \
    "ZXID as in history; the newest version that is kept, if it is left out. What it\n"     \
    "replaces is kept in its turn.\n" WRITE_HELP

#define RECIPE_STATS_HELP                                                                   \
    "Since each server started. A call that waits runs more than once; fuel is what a run\n" \
    "spends, near 10 ms for 1000000. A function that went over its budget again and again\n" \
    "rests: its calls are refused until the time that is shown. -o json tells all."

#define RECIPE_TEST_HELP                                                                    \
    "TESTS is FILE with _test.lua for .lua if it is left out. Each test has a cluster of its\n" \
    "own in memory, with sessions, time and changes of leader as the test wants them. Prints\n" \
    "TAP."

#define TREE_HELP                                                                           \
    "PATH is / if it is left out. Nodes are read one after the other, so what is written\n" \
    "meanwhile may be printed or not. -o json nests: {\"path\" or \"name\", \"data\",\n"     \
    "\"children\": [...]}."

#define CALL_HELP                                                                           \
    "ARGS is one JSON value (default null). The value is printed as JSON, a string without\n" \
    "quotes; -o json prints {\"value\", \"zxid\"}. The call runs in a session that ends with\n" \
    "this command, so a lock that it takes is given back at once: see `tidelock lock`.\n"   \
    "--timeout counts only when it is given: a call may wait for as long as it takes.\n"    \
    "--read runs a function that only reads as a query: on the server at hand, as strong\n" \
    "as a get or with --any, without a session; one that writes or waits is refused."

#define TRANSFER_HELP                                                                       \
    "The leader hands over to --node N, or to whichever server has all that was decided;\n"  \
    "requests that come meanwhile wait for the next leader, and none is lost. Prints the\n"  \
    "server that leads then; -o json prints {\"leader\"}. A server that is told to stop (TERM)\n" \
    "hands over by itself."

#define MEMBER_ADD_HELP                                                                     \
    "Keeps a place, and its id, for a server that will be started with --join and --peer\n"  \
    "PEER. A server that joins without one gets the lowest free id."

#define MEMBER_PROMOTE_HELP                                                                 \
    "It votes as soon as it has caught up. Servers that joined without --learner are\n"     \
    "promoted by themselves."

#define MEMBER_REMOVE_HELP                                                                  \
    "It is refused when the voters that are left could not decide anything at present. A\n"  \
    "leader hands over first; no request fails. The removed server ends by itself once the\n" \
    "others can go on without it. Its directory is of no more use then: to come back it joins\n" \
    "anew."

#define MEMBER_REPLACE_HELP                                                                 \
    "Start the new server with --join; this waits until it votes, for --timeout at most, and\n" \
    "then removes the old one. NEW may be left out while one server only is joining."

#define DEV_ADD_HELP                                                                        \
    "Starts one more server, which joins the cluster. With --node N it is server N, which\n" \
    "does not run: what its directory holds is set aside, and it joins anew."

#define DEV_START_HELP                                                                      \
    "Starts servers on free ports of 127.0.0.1 with their data and logs in --dir, waits\n"  \
    "until one leads, and prints the list for --servers or $TIDELOCK_SERVERS. A cluster\n"  \
    "that was stopped is started again as it was. What stands behind -- goes to every\n"    \
    "tidelockd."

#define BENCH_HELP                                                                          \
    "Each client is a connection with a session, on the leader unless --spread. --op:\n"    \
    "  set, get   on nodes /bench/k-<i>\n"                                                  \
    "  mix        --read-share percent gets, the rest sets\n"                               \
    "  multi      --batch sets in one transaction\n"                                        \
    "  create     fresh nodes under /bench/<random>\n"                                      \
    "  delete     --keys such nodes, made before; no warm-up, ends when none is left\n"      \
    "  watch      a node is changed under --clients watchers, until the last has heard\n"   \
    "  session    open and close\n"                                                         \
    "  call       a recipe's function that does nothing; the recipe is put, and removed\n"  \
    "  counter    counter.add on one counter\n"                                             \
    "  lock       lock.acquire and lock.release of one of --locks; tokens are checked\n"    \
    "  queue      queue.add and queue.take\n"                                               \
    "  barrier    barrier.enter and barrier.leave by all clients\n"                         \
    "Nodes that were made stay. Closed loop: each client keeps --depth operations under\n"  \
    "way, each in the order of its session. With --rate R operations begin at R a second\n" \
    "on whichever clients are free, and one that finds none free waits: its latency counts\n" \
    "from when it should have begun.\n"                                                     \
    "Printed are latencies (p50 to p99.9, wrong by 1.6 % at most), failures by name, and, of\n" \
    "servers that run here, CPU time per 1,000 operations and resident memory; unknown (in\n" \
    "JSON null) are those of other machines and users. The exit status is 1 when operations\n" \
    "failed."

#define DIR_AND_NODE (FLAG_BIT(DIR) | FLAG_BIT(NODE))

static const struct command commands[] = {
    { "create", "PATH [DATA|-]", "create a node and print its path",
      DATA_HELP "Without DATA it is null, which is not empty.\n" WRITE_HELP,
      FLAG_BIT(EPHEMERAL) | FLAG_BIT(SEQUENTIAL) | FLAG_BIT(PARENTS) | FLAG_BIT(CONTAINER) |
          FLAG_BIT(TTL) | FLAG_BIT(GUARD),
      1, 2, false, command_create },
    { "get", "PATH", "print a node's data",
      GET_HELP,
      FLAG_BIT(ANY), 1, 1, false, command_get },
    { "set", "PATH DATA|-", "replace a node's data",
      DATA_HELP WRITE_HELP,
      FLAG_BIT(VERSION) | FLAG_BIT(GUARD), 2, 2, false, command_set },
    { "delete", "PATH", "delete a node, or with all below it", DELETE_HELP,
      FLAG_BIT(VERSION) | FLAG_BIT(GUARD) | FLAG_BIT(SUBTREE), 1, 1, false,
      command_delete },
    { "touch", "PATH", "let a node's TTL begin anew", WRITE_HELP, FLAG_BIT(GUARD), 1, 1,
      false, command_touch },
    { "copy", "FROM TO", "copy a node and all below it", COPY_HELP, FLAG_BIT(GUARD), 2, 2,
      false, command_copy },
    { "quota", "[PATH]", "bound a subtree, or list what is bounded", QUOTA_HELP,
      FLAG_BIT(QUOTA_NODES) | FLAG_BIT(QUOTA_BYTES), 0, 1, false, command_quota },
    { "ls", "PATH", "list the names of a node's children", "",
      FLAG_BIT(AFTER) | FLAG_BIT(LIMIT) | FLAG_BIT(ANY), 1, 1, false, command_ls },
    { "stat", "PATH", "print a node's stat", "", FLAG_BIT(ANY), 1, 1, false, command_stat },
    { "watch", "PATH", "print changes of a node as they happen", WATCH_HELP,
      FLAG_BIT(CHILDREN) | FLAG_BIT(RECURSIVE) | FLAG_BIT(SNAPSHOT) | FLAG_BIT(SINCE) |
          FLAG_BIT(ONCE) | FLAG_BIT(VALUE) | FLAG_BIT(EXEC),
      1, 1, false, command_watch },
    { "call", "RECIPE.FUNCTION [ARGS]", "run a recipe's function", CALL_HELP,
      FLAG_BIT(WAIT) | FLAG_BIT(GUARD) | FLAG_BIT(READ) | FLAG_BIT(ANY), 1, 2, false,
      command_call },
    { "lock", "PATH -- COMMAND ...", "run a command while holding a lock", LOCK_HELP,
      FLAG_BIT(WAIT) | FLAG_BIT(SESSION_TIMEOUT), 1, 1, true, command_lock },
    { "elect", "PATH -- COMMAND ...", "run a command while leading an election", ELECT_HELP,
      FLAG_BIT(WAIT) | FLAG_BIT(SESSION_TIMEOUT) | FLAG_BIT(CANDIDATE) | FLAG_BIT(OBSERVE), 1, 1,
      true, command_elect },
    { "config put", "PATH VALUE|-|@FILE", "store a value as a new version", CONFIG_PUT_HELP,
      FLAG_BIT(NEWEST) | FLAG_BIT(KEEP), 2, 2, false, command_config_put },
    { "config get", "PATH", "print a version's value, the newest one's", CONFIG_GET_HELP,
      FLAG_BIT(KEPT) | FLAG_BIT(ANY), 1, 1, false, command_config_get },
    { "config versions", "PATH", "list the versions that are kept", "", FLAG_BIT(ANY), 1, 1, false,
      command_config_versions },
    { "config rollback", "PATH N", "store an old version's value once more",
      "Prints the number of the new version.\n" WRITE_HELP, 0, 2, 2, false,
      command_config_rollback },
    { "config watch", "PATH", "print each version as it is stored", CONFIG_WATCH_HELP,
      FLAG_BIT(KEPT) | FLAG_BIT(EXEC), 1, 1, false, command_config_watch },
    { "recipe new", "NAME", "begin a recipe: NAME.lua and its tests, NAME_test.lua",
      "Writes over no file.", 0, 1, 1, false, command_recipe_new },
    { "recipe check", "FILE", "tell what is wrong with a recipe, without running it",
      RECIPE_CHECK_HELP, 0, 1, 1, false, command_recipe_check },
    { "recipe put", "FILE [NAME]", "store a recipe", RECIPE_PUT_HELP,
      FLAG_BIT(VERSION) | FLAG_BIT(UNTESTED), 1, 2, false, command_recipe_put },
    { "recipe list", "", "list the recipes in the tree and those that are shipped",
      "Prints \"NAME VERSION\" or \"NAME shipped\".", 0, 0, 0, false, command_recipe_list },
    { "recipe show", "NAME", "print the source of a recipe in the tree", "", 0, 1, 1, false,
      command_recipe_show },
    { "recipe test", "FILE [TESTS]", "run a recipe's tests in memory, without a server",
      RECIPE_TEST_HELP, FLAG_BIT(SEED) | FLAG_BIT(ONLY), 1, 2, false, command_recipe_test },
    { "recipe history", "NAME", "list the versions that are kept", RECIPE_HISTORY_HELP, 0, 1, 1,
      false, command_recipe_history },
    { "recipe rollback", "NAME [ZXID]", "store a version that was replaced once more",
      RECIPE_ROLLBACK_HELP, FLAG_BIT(VERSION), 1, 2, false, command_recipe_rollback },
    { "recipe stats", "[NAME]", "print what each function did, on all servers",
      RECIPE_STATS_HELP, 0, 0, 1, false, command_recipe_stats },
    { "recipe rm", "NAME", "delete a recipe from the tree",
      "A shipped recipe of that name counts again.\n" WRITE_HELP, FLAG_BIT(VERSION), 1, 1,
      false, command_recipe_rm },
    { "tree", "[PATH]", "print a node and all below it", TREE_HELP,
      FLAG_BIT(LEVELS) | FLAG_BIT(DATA), 0, 1, false, command_tree },
    { "status", "", "print the servers and their roles",
      "Asks all of --servers and all members that these name.", 0, 0, 0, false,
      command_status },
    { "transfer", "", "let another server lead", TRANSFER_HELP, FLAG_BIT(NODE), 0, 0, false,
      command_transfer },
    { "member list", "", "list the servers that belong to the cluster",
      "A member is a voter, joining (it votes once it has caught up), or a learner.", 0, 0, 0,
      false, command_member_list },
    { "member add", "PEER", "keep a place for a server that will join", MEMBER_ADD_HELP,
      FLAG_BIT(CLIENT) | FLAG_BIT(ID) | FLAG_BIT(LEARNER), 1, 1, false, command_member_add },
    { "member promote", "ID", "let a learner vote", MEMBER_PROMOTE_HELP, 0, 1, 1, false,
      command_member_promote },
    { "member demote", "ID", "let a voter learn only", "", 0, 1, 1, false,
      command_member_demote },
    { "member remove", "ID", "take a server out of the cluster", MEMBER_REMOVE_HELP, 0, 1, 1,
      false, command_member_remove },
    { "member replace", "OLD [NEW]", "remove a server once another one votes",
      MEMBER_REPLACE_HELP, 0, 1, 2, false, command_member_replace },
    { "bench", "", "measure a cluster", BENCH_HELP,
      FLAG_BIT(OP) | FLAG_BIT(CLIENTS) | FLAG_BIT(DEPTH) | FLAG_BIT(SIZE) | FLAG_BIT(SECONDS) |
          FLAG_BIT(WARMUP) | FLAG_BIT(KEYS) | FLAG_BIT(SPREAD) | FLAG_BIT(LOCKS) |
          FLAG_BIT(BATCH) | FLAG_BIT(READ_SHARE) | FLAG_BIT(RATE) | FLAG_BIT(PROGRESS) |
          FLAG_BIT(PREPARED),
      0, 0, false, command_bench },
    { "dev start", "[-- FLAGS]", "start a cluster on this machine", DEV_START_HELP,
      FLAG_BIT(NODES) | FLAG_BIT(DIR), 0, 0, true, command_dev_start },
    { "dev add", "", "start one more server, which joins", DEV_ADD_HELP,
      DIR_AND_NODE | FLAG_BIT(LEARNER), 0, 0, false, command_dev_add },
    { "dev stop", "", "stop its servers; the data stays", "", FLAG_BIT(DIR), 0, 0, false,
      command_dev_stop },
    { "dev status", "", "print its servers, roles and processes", "", FLAG_BIT(DIR), 0, 0,
      false, command_dev_status },
    { "dev kill", "", "kill one server (SIGKILL)", "", DIR_AND_NODE, 0, 0, false,
      command_dev_kill },
    { "dev restart", "", "start one server again", "One that runs is stopped first.",
      DIR_AND_NODE, 0, 0, false, command_dev_restart },
    { "dev pause", "", "stop one server in its tracks (SIGSTOP)", "", DIR_AND_NODE, 0, 0, false,
      command_dev_pause },
    { "dev resume", "", "let a paused server go on", "", DIR_AND_NODE, 0, 0, false,
      command_dev_resume },
};
/* clang-format on */

int main(int argc, char **argv)
{
    const struct command_table table = { commands, sizeof commands / sizeof commands[0] };
    const struct command *command = NULL;
    struct options options;
    int status;

    if (argc == 0) return CLI_USAGE;
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write() */
    status = options_parse(&table, argv, &options, &command);
    return status >= 0 ? status : command->run(&options);
}
