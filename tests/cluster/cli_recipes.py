"""cli_recipes.py -- `tidelock recipe`, `config`, `elect` and `tree` against a real cluster.

What needs no server is in tests/unit/cli.sh. Commands that go on until they are interrupted
are read line by line, and ended by a signal.
"""
import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from tidelock import (TIDELOCK, Cluster, Connection, adopt, begin, make_folder, rule,
                      run, same, wait_for)
from command import CONFLICT, FAILED, NOT_FOUND, OK, USAGE, answers, cli, fails, prints

begin(120)
cluster = Cluster(3)
folder = make_folder()
os.environ["TIDELOCK_SERVERS"] = cluster.servers


def start(*args):
    process = subprocess.Popen([TIDELOCK, *args], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    adopt(process.pid)
    return process


def finish(process):
    out, err = process.communicate(timeout=30)
    return process.returncode, out, err


def interrupt(process):
    process.send_signal(signal.SIGINT)
    same(finish(process)[0], -signal.SIGINT, "status of what was interrupted")


def source(name, text):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    return path


RECIPES = os.path.join(os.path.dirname(__file__), "..", "..", "recipes")
SHIPPED = sorted(file[:-len(".lua")] for file in os.listdir(RECIPES)
                 if file.endswith(".lua") and not file.endswith("_test.lua"))
ECHO = "return { echo = function(tx, args) return args end }\n"

# --- recipes ---


@rule
def a_recipe_is_put_listed_shown_called_and_removed():
    prints("".join(name + " shipped\n" for name in SHIPPED), "recipe", "list")
    file = source("mine.lua", ECHO)
    prints("mine 0\n", "recipe", "put", file)
    prints("mine 1\n", "recipe", "put", file)
    prints("other 0\n", "recipe", "put", file, "other")
    prints("piped 0\n", "recipe", "put", "-", "piped", data=ECHO.encode())
    prints(ECHO, "recipe", "show", "mine")
    same(answers("recipe", "show", "mine"), {"name": "mine", "version": 1, "source": ECHO},
         "show")
    prints("hello\n", "call", "mine.echo", '"hello"')
    listed = answers("recipe", "list")["recipes"]
    same([(r["name"], r["version"], r["shipped"]) for r in listed],
         [("mine", 1, False), ("other", 0, False), ("piped", 0, False),
          *[(name, None, True) for name in SHIPPED]], "list")
    for name in ("mine", "other", "piped"):
        prints("", "recipe", "rm", name)
    fails(NOT_FOUND, "no_recipe", "call", "mine.echo")
    fails(NOT_FOUND, "no_recipe", "recipe", "show", "mine")
    fails(NOT_FOUND, "no_recipe", "recipe", "rm", "mine")


def numbered(n):
    return "return { f = function() return %d end }\n" % n


@rule
def old_versions_are_listed_and_come_back():
    fails(NOT_FOUND, "no_recipe", "recipe", "history", "v")
    file = source("v.lua", numbered(1))
    for n in range(1, 4):
        source("v.lua", numbered(n))
        prints("v %d\n" % (n - 1), "recipe", "put", file)
    versions = answers("recipe", "history", "v")["versions"]
    same([v["newest"] for v in versions], [False, False, True], "the newest is the last")
    lines = cli("recipe", "history", "v")[1].splitlines()
    same([line.split()[0] for line in lines], [str(v["zxid"]) for v in versions], "by zxid")
    prints("v 3\n", "recipe", "rollback", "v")
    prints("2\n", "call", "v.f")
    prints("v 4\n", "recipe", "rollback", "v", str(versions[0]["zxid"]))
    prints("1\n", "call", "v.f")
    fails(NOT_FOUND, "no such version", "recipe", "rollback", "v", "5")
    fails(USAGE, "named by its zxid", "recipe", "rollback", "v", "x")
    prints("", "recipe", "rm", "v")
    assert cli("recipe", "history", "v")[1].endswith(" removed\n")
    prints("v 0\n", "recipe", "rollback", "v")
    prints("1\n", "call", "v.f")
    prints("", "recipe", "rm", "v")


@rule
def a_recipe_whose_own_tests_fail_is_not_stored():
    file = source("tried.lua", numbered(1))
    tests = 'test("f", function(t) t:equal(t:call("tried.f"), %d) end)\n'
    source("tried_test.lua", tests % 2)
    status, out, err = cli("recipe", "put", file)
    same((status, out), (FAILED, ""), "put")
    assert "1 is not 2" in err and "1 of 1 tests fail" in err, err
    fails(NOT_FOUND, "no_recipe", "call", "tried.f")
    source("tried_test.lua", tests % 1)
    prints("tried 0\n", "recipe", "put", file)
    source("tried_test.lua", tests % 2)
    prints("tried 1\n", "recipe", "put", file, "--untested")
    prints("", "recipe", "rm", "tried")


@rule
def a_write_that_does_not_validate_is_refused_from_any_client():
    file = source("ports.lua", """local r = { on = { { path = "/ports/*", validate = "check" } } }
function r.check(tx, e)
  if not tonumber(e.data) then tx:fail("no_number", e.path .. " must be a number") end
end
return r
""")
    prints("ports 0\n", "recipe", "put", file)
    prints("/ports\n", "create", "/ports")
    fails(CONFLICT, "no_number: /ports/a must be a number", "create", "/ports/a", "x")
    prints("/ports/a\n", "create", "/ports/a", "1")
    fails(CONFLICT, "no_number", "set", "/ports/a", "y")
    dead = cluster.leader()
    cluster.kill(dead)
    wait_for(lambda: "no_number" in cli("set", "/ports/a", "y")[2], "the next leader knows")
    cluster.restart(dead)
    same(cli("get", "/ports/a")[1].strip(), "1", "what did validate")
    prints("", "recipe", "rm", "ports")
    same(cli("set", "/ports/a", "free")[0], OK, "free again")


@rule
def what_functions_did_is_told_and_who_goes_over_its_budget_rests():
    file = source("slow.lua", "return { f = function(tx, bad) while bad do end return 1 end }\n")
    prints("slow 0\n", "recipe", "put", file)
    prints("1\n", "call", "slow.f")
    for _ in range(5):
        fails(FAILED, "over_budget", "call", "slow.f", "true")
    fails(FAILED, "rests: ask again in", "call", "slow.f")
    stats = answers("recipe", "stats", "slow")["functions"]
    same([f["name"] for f in stats], ["slow.f"], "functions of one recipe")
    same((stats[0]["over_budget"], stats[0]["rests"]), (5, 1), "over budget")
    assert " rests for " in cli("recipe", "stats", "slow")[1]
    wait_for(lambda: cli("call", "slow.f")[1] == "1\n", "it has rested")
    prints("", "recipe", "rm", "slow")


@rule
def a_recipe_in_the_tree_stands_in_for_a_shipped_one_until_it_is_removed():
    fails(NOT_FOUND, "compiled into the servers", "recipe", "show", "lock")
    fails(NOT_FOUND, "compiled into the servers", "recipe", "rm", "lock")
    prints("lock 0\n", "recipe", "put", source("lock.lua", ECHO))
    assert "lock 0 in place of the shipped one\n" in cli("recipe", "list")[1]
    fails(NOT_FOUND, "no_function", "call", "lock.holder", '{"path":"/l"}')
    assert answers("recipe", "rm", "lock")["zxid"] > 0
    prints("null\n", "call", "lock.holder", '{"path":"/l"}')


@rule
def a_recipe_that_does_not_load_is_refused_with_the_reason_and_changes_nothing():
    prints("kept 0\n", "recipe", "put", source("kept.lua", ECHO))
    for text, part in (("return {{{", "kept:1: unexpected symbol"),
                       (b"\x1bLua\x54\x00", "binary chunk"), ("", "not nil"),
                       ("return 5", "not number"), ("return {}", "has no function"),
                       ("error('at once')", "at once"), ("os.exit(1)", "script_failed"),
                       ("while true do end", "over_budget"),
                       (b"\xff\xfe", "script_failed")):
        file = source("kept.lua", text)
        fails(FAILED, part, "recipe", "put", file)
        fails(FAILED, part.replace("kept", "fresh"), "recipe", "put", file, "fresh")
        fails(FAILED, part.replace("kept", "raw"), "create", "/tidelock/recipes/raw", "-",
              data=text if isinstance(text, bytes) else text.encode())
    prints(ECHO, "recipe", "show", "kept")
    prints("kept\n", "ls", "/tidelock/recipes")
    fails(CONFLICT, "bad_version", "recipe", "put", "-", "kept", "--version", "7",
          data=ECHO.encode())
    fails(NOT_FOUND, "no_node", "recipe", "put", "-", "fresh", "--version", "0",
          data=ECHO.encode())


@rule
def names_and_files_that_make_no_recipe_are_refused():
    fails(USAGE, "not 'a/b'", "recipe", "put", source("x.lua", ECHO), "a/b")
    fails(FAILED, "No such file", "recipe", "put", os.path.join(folder, "none.lua"))
    large = source("large.lua", b" " * (1 << 20) + b"x")
    fails(FAILED, "too_large", "recipe", "put", large)
    fails(USAGE, "bad_path", "create", "/tidelock/recipes/a.b", ECHO)
    fails(USAGE, "not ''", "recipe", "show", "")


@rule
def what_a_recipe_says_beside_its_refusal_is_shown_as_json():
    text = "return { no = function(tx) tx:fail('never', { at = 3, why = \"x\" }) end }"
    prints("details 0\n", "recipe", "put", source("details.lua", text))
    status, out, err = cli("call", "details.no")
    same((status, out), (CONFLICT, ""), "call")
    assert 'never: {"' in err and '"at":3' in err and '"why":"x"' in err, err
    for pad in ("", "x"):  # of which one would be cut within a character
        text = "return { no = function(tx) tx:fail('-', '%s' .. ('ü'):rep(5000)) end }" % pad
        cli("recipe", "put", "-", "details", data=text.encode())
        status, _, err = cli("call", "details.no")
        same((status, 3000 < len(err.encode()) < 5000), (CONFLICT, True), "a long one")


@rule
def a_create_without_parent_names_the_parent():
    fails(NOT_FOUND, "/none/such, the parent of /none/such/x", "create", "/none/such/x")
    fails(NOT_FOUND, "/none, the parent of /none/s-", "create", "--sequential", "/none/s-")


# --- config ---


@rule
def a_value_is_put_read_listed_and_rolled_back():
    prints("1\n", "config", "put", "/c/v", "one")
    prints("2\n", "config", "put", "/c/v", "-", data=b"\xff\x00")
    prints("3\n", "config", "put", "/c/v", "@" + source("value", "three"))
    prints("4\n", "config", "put", "/c/v", "", "--version", "3")
    prints("", "config", "get", "/c/v")
    prints("one", "config", "get", "/c/v", "--version", "1")
    binary = answers("config", "get", "/c/v", "--version", "2")
    same(binary["data_base64"], "/wA=", "binary data")
    got = answers("config", "get", "/c/v", "--version", "3")
    same((got["path"], got["version"], got["data"], got["size"]), ("/c/v", 3, "three", 5),
         "get")
    same([v["version"] for v in answers("config", "versions", "/c/v")["versions"]],
         [1, 2, 3, 4], "versions")
    same(cli("config", "versions", "/c/v")[1].count("\n"), 5, "a head and four rows")
    prints("5\n", "config", "rollback", "/c/v", "1")
    prints("one", "get", "/c/v")
    same(answers("config", "put", "/c/v", "six")["version"], 6, "put")
    prints("7\n", "config", "put", "/c/v", "seven", "--keep", "2")
    same([v["version"] for v in answers("config", "versions", "/c/v")["versions"]], [6, 7],
         "the versions kept")
    fails(USAGE, "a number from 1 to 400", "config", "put", "/c/v", "x", "--keep", "0")


@rule
def reading_values_costs_no_transaction_unless_one_was_written_past_the_recipe():
    cli("config", "put", "/c/free", "one")
    before = cluster.wait_equal()[0]["zxid"]
    prints("one", "config", "get", "/c/free")
    prints("one", "config", "get", "/c/free", "--any")
    same(len(answers("config", "versions", "/c/free")["versions"]), 1, "versions")
    same(cluster.wait_equal()[0]["zxid"], before, "zxid")
    cli("set", "/c/free", "plain")
    fails(FAILED, "read_only", "config", "get", "/c/free", "--any")
    same(answers("config", "get", "/c/free")["version"], 2, "version")
    prints("plain", "config", "get", "/c/free", "--any")


@rule
def a_function_that_only_reads_is_run_without_a_session():
    prints("null\n", "call", "--read", "lock.holder", '{"path":"/none"}')
    prints("null\n", "call", "--read", "--any", "lock.holder", '{"path":"/none"}')
    same(answers("call", "--read", "lock.holder", '{"path":"/none"}')["value"], None, "value")
    fails(FAILED, "read_only", "call", "--read", "lock.acquire", '{"path":"/none"}')
    fails(USAGE, "neither --guard nor --wait", "call", "--read", "a.b", "--wait", "1")
    fails(USAGE, "with --read only", "call", "--any", "a.b")
    for command in (("get", "/c"), ("ls", "/c"), ("stat", "/c")):
        same(cli(*command, "--any")[::2], (OK, ""), " ".join(command))


@rule
def a_config_command_that_cannot_be_done_says_why():
    cli("config", "put", "/c/why", "x")
    fails(NOT_FOUND, "no_node", "config", "get", "/c/none")
    fails(NOT_FOUND, "no_node", "-o", "json", "config", "get", "/c/none")
    fails(CONFLICT, '{"version":1}', "config", "put", "/c/why", "y", "--version", "0")
    fails(CONFLICT, "only 1 to 1", "config", "get", "/c/why", "--version", "9")
    fails(CONFLICT, "is not kept", "config", "rollback", "/c/why", "9")
    fails(USAGE, "bad_path", "config", "put", "c", "x")
    fails(CONFLICT, "longer than", "config", "put", "/c/why", "-", data=b"x" * 1000001)
    prints("x", "config", "get", "/c/why")


@rule
def a_watch_tells_every_version_in_order():
    cli("config", "put", "/c/w", "0")
    watch = start("config", "watch", "/c/w")
    same(watch.stdout.readline(), '1 "0"\n', "the newest first")
    for i in range(2, 30):
        prints("%d\n" % i, "config", "put", "/c/w", str(i))
    same([watch.stdout.readline() for _ in range(2, 30)],
         ['%d "%d"\n' % (i, i) for i in range(2, 30)], "the versions")
    interrupt(watch)
    again = start("-o", "json", "config", "watch", "/c/w", "--version", "27")
    got = [json.loads(again.stdout.readline()) for _ in range(2)]
    same([(v["version"], v["data"]) for v in got], [(28, "28"), (29, "29")],
         "from a version on")
    interrupt(again)


@rule
def a_watch_far_behind_tells_what_is_kept_and_says_what_is_missing():
    for i in range(1, 26):
        cli("config", "put", "/c/far", str(i))
    watch = start("config", "watch", "/c/far", "--version", "2")
    same([watch.stdout.readline() for _ in range(20)],
         ['%d "%d"\n' % (i, i) for i in range(6, 26)], "the versions that are kept")
    watch.send_signal(signal.SIGINT)
    _, _, err = finish(watch)
    assert "after 2 and before 6 are not kept" in err, err


@rule
def a_watch_waits_for_a_first_version():
    watch = start("config", "watch", "/c/first")
    time.sleep(0.3)
    prints("1\n", "config", "put", "/c/first", "x")
    same(watch.stdout.readline(), '1 "x"\n', "the first version")
    interrupt(watch)


@rule
def exec_runs_once_a_version_with_the_value_on_its_input():
    cli("config", "put", "/c/x", "zero")
    out = os.path.join(folder, "ran")
    watch = start("config", "watch", "/c/x", "--exec",
                  '{ echo "$TIDELOCK_CONFIG_PATH $TIDELOCK_CONFIG_VERSION"; cat; echo; } '
                  '>>"%s"; sleep 0.1; exit 3' % out)
    same(watch.stdout.readline(), '1 "zero"\n', "the newest first")
    for text in ("one", "two", "three"):
        cli("config", "put", "/c/x", text)
    want = "/c/x 1\nzero\n/c/x 2\none\n/c/x 3\ntwo\n/c/x 4\nthree\n"

    def ran():
        with open(out, encoding="utf-8") as file:
            return file.read()
    wait_for(lambda: os.path.exists(out) and ran() == want, "each version was run")
    interrupt(watch)


@rule
def a_large_value_that_exec_does_not_read_blocks_nobody():
    large = b"x" * 900000
    same(cli("config", "put", "/c/large", "-", data=large)[0], OK, "put")
    watch = start("config", "watch", "/c/large", "--exec", "echo ran >&2")
    same(watch.stdout.readline()[:4], '1 "x', "the value")
    same(watch.stderr.readline(), "ran\n", "the command")
    interrupt(watch)


# --- elections ---


def leader(path):
    return answers("call", "election.observe", json.dumps({"path": path}))["value"]


@rule
def elect_runs_its_command_while_it_leads():
    status, out, err = cli("elect", "/e/one", "--value", "me", "--", "sh", "-c",
                           'echo "$TIDELOCK_ELECTION_PATH $TIDELOCK_ELECTION_TOKEN"; '
                           'echo "$TIDELOCK_SERVERS"; "$0" get "$TIDELOCK_ELECTION_PATH"; '
                           'exit 7', TIDELOCK)
    lines = out.split("\n")
    same((status, err, lines[0].split()[0], lines[1:]),
         (7, "", "/e/one/leader", [cluster.servers, "me"]), "elect")
    same(leader("/e/one"), None, "it resigned")
    again = cli("elect", "/e/one", "--", "sh", "-c", 'echo "$TIDELOCK_ELECTION_TOKEN"')[1]
    assert int(again) > int(lines[0].split()[1]), "tokens rise"


@rule
def a_guard_with_the_leaders_token_holds_as_long_as_it_leads():
    cli("create", "/guarded", "0")
    script = ('g="$TIDELOCK_ELECTION_PATH:$TIDELOCK_ELECTION_TOKEN"; echo "$g"; '
              '"$0" set /guarded 1 --guard "$g"')
    status, out, err = cli("elect", "/e/guard", "--", "sh", "-c", script, TIDELOCK)
    same((status, err), (OK, ""), "elect")
    fails(CONFLICT, "guard_failed", "set", "/guarded", "2", "--guard", out.strip())


@rule
def an_observer_prints_each_leader_as_it_changes():
    plain, whole = start("elect", "/e/o", "--observe"), \
        start("-o", "json", "elect", "/e/o", "--observe")
    for value in ("first", "second"):
        first = start("elect", "/e/o", "--value", value, "--",
                      "sh", "-c", "echo up; sleep 30")
        same(first.stdout.readline(), "up\n", "it leads")
        token, session, shown = plain.stdout.readline().split()
        same((int(token) > int(session), json.loads(shown)), (True, value), "the leader")
        same(json.loads(whole.stdout.readline())["value"], value, "the leader in JSON")
        first.send_signal(signal.SIGTERM)
        same(finish(first)[0], 143, "status")
        same(plain.stdout.readline(), "none\n", "nobody leads")
        same(json.loads(whole.stdout.readline())["token"], None, "nobody leads, in JSON")
    interrupt(plain)
    interrupt(whole)


@rule
def candidates_lead_one_at_a_time_and_leave_the_queue_when_told():
    first = start("elect", "/e/q", "--", "sh", "-c", "echo up; sleep 30")
    same(first.stdout.readline(), "up\n", "it leads")
    second = start("elect", "/e/q", "--", "echo", "second")
    wait_for(lambda: cli("ls", "/e/q/queue")[1], "it waits")
    third = start("elect", "/e/q", "--", "true")
    wait_for(lambda: cli("ls", "/e/q/queue")[1].count("\n") == 2, "both wait")
    third.send_signal(signal.SIGTERM)
    same(finish(third)[0], 143, "status of a candidate that is told to end")
    fails(FAILED, "timeout", "elect", "/e/q", "--wait", "200", "--", "true")
    fails(CONFLICT, "another one holds the leadership", "elect", "/e/q", "--wait", "0", "--",
          "true")
    first.send_signal(signal.SIGTERM)
    same(finish(first)[0], 143, "status")
    same(finish(second), (OK, "second\n", ""), "the next one")


@rule
def a_stopped_leader_loses_its_command_before_the_next_is_elected():
    note = "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(30)"
    first = start("elect", "/e/s", "--session-timeout", "2000", "--",
                  "/usr/bin/python3", "-c", note)
    pid = int(first.stdout.readline())
    adopt(pid)
    state = "sed -n 's/^State:[^A-Z]*\\(.\\).*/\\1/p' /proc/%d/status" % pid
    second = start("elect", "/e/s", "--", "sh", "-c", state)
    wait_for(lambda: cli("ls", "/e/s/queue")[1], "the next one waits")
    os.kill(first.pid, signal.SIGSTOP)
    _, out, err = finish(second)
    same((out, err), ("Z\n", ""), "what the next one sees: dead, and not reaped")
    first.send_signal(signal.SIGCONT)
    status, _, err = finish(first)
    assert status == FAILED and "elect: the command was stopped" in err, (status, err)


@rule
def a_leader_that_is_deposed_by_an_expired_session_is_told_to_the_observer():
    observer = start("elect", "/e/d", "--observe")
    first = start("elect", "/e/d", "--session-timeout", "1000", "--", "sleep", "30")
    assert observer.stdout.readline().endswith(" null\n")
    first.kill()
    same(observer.stdout.readline(), "none\n", "nobody leads")
    interrupt(observer)


# --- tree ---


@rule
def a_tree_is_printed_with_indentation_depth_and_data():
    for path, data in (("/t", "top"), ("/t/a", None), ("/t/a/b", 'q"'), ("/t/c", "")):
        cli("create", path, *([] if data is None else [data]))
    prints("/t\n  a\n    b\n  c\n", "tree", "/t")
    prints("/t\n  a\n  c\n", "tree", "/t", "--depth", "1")
    prints("/t\n", "tree", "/t", "--depth", "0")
    prints('/t "top"\n  a null\n    b "q\\""\n  c ""\n', "tree", "/t", "--data")
    same(answers("tree", "/t", "--data"),
         {"path": "/t", "data": "top", "children": [
             {"name": "a", "data": None, "children": [
                 {"name": "b", "data": 'q"', "children": []}]},
             {"name": "c", "data": "", "children": []}]}, "tree in JSON")
    same(answers("tree", "/t", "--depth", "1"),
         {"path": "/t", "children": [{"name": "a"}, {"name": "c"}]}, "and less deep")
    assert cli("tree")[1].startswith("/\n  c\n"), "the root"
    fails(NOT_FOUND, "no_node", "tree", "/none")
    fails(NOT_FOUND, "no_node", "tree", "/none", "--depth", "0")
    fails(USAGE, "bad_path", "tree", "t")


@rule
def a_tree_of_many_pages_and_levels_is_whole():
    with Connection(cluster.addresses[0]) as c:
        c.call("create", "/wide", None)
        for first in range(0, 12000, 1000):
            c.call("multi", [["create", "/wide/%05d" % i, None]
                             for i in range(first, first + 1000)])
        c.call("create", "/deep" + "/x" * 300, None, parents=True)
    prints("/wide\n" + "".join("  %05d\n" % i for i in range(12000)), "tree", "/wide",
           "--depth", "1")
    prints("/deep\n" + "".join("  " * i + "x\n" for i in range(1, 301)), "tree", "/deep")


# --- servers that fail ---


@rule
def who_follows_goes_on_when_the_leader_dies():
    cli("config", "put", "/c/fail", "0")
    watch = start("config", "watch", "/c/fail")
    observer = start("elect", "/e/f", "--observe")
    same(watch.stdout.readline(), '1 "0"\n', "the newest first")
    dead = cluster.leader()
    cluster.kill(dead)
    wait_for(lambda: cli("config", "put", "/c/fail", "1", "--version", "1")[0] == OK
             or cli("config", "get", "/c/fail")[1] == "1", "the value is stored")
    same(watch.stdout.readline(), '2 "1"\n', "the next version")
    same(cli("elect", "/e/f", "--value", "v", "--", "true")[0], OK, "elect")
    assert observer.stdout.readline().endswith(' "v"\n'), "the leader"
    cluster.restart(dead)
    interrupt(watch)
    interrupt(observer)


run(cluster.log_tails)
