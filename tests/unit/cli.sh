#!/bin/sh
# cli.sh -- the command line without any server: help, mistakes, and exit statuses.
#
# Method: each line runs `tidelock` and states the exit status and a part of what it says.
set -u
tidelock=${TIDELOCK_BUILD:?set it to the build directory}/bin/tidelock
nowhere=127.0.0.1:1 # nothing listens there
count=0 failed=0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset TIDELOCK_SERVERS

# rule NAME STATUS PART ARGUMENTS...: PART stands in what is printed on both outputs
rule() {
    name=$1 want=$2 part=$3
    shift 3
    count=$((count + 1))
    timeout 20 "$tidelock" "$@" >"$work/out" 2>&1 </dev/null
    got=$?
    if [ "$got" -eq "$want" ] && grep -qF -- "$part" "$work/out"; then
        echo "ok $count - $name"
    else
        echo "not ok $count - $name"
        echo "# tidelock $*: status $got, wanted $want and '$part'; it said:"
        sed 's/^/# /' "$work/out"
        failed=$((failed + 1))
    fi
}

rule help_is_printed 0 "usage: tidelock" --help
rule the_version_is_printed 0 "tidelock 0." --version
rule a_group_has_help 0 "dev start" dev --help
for command in create get set delete ls stat call lock status transfer bench \
    "dev start" "dev stop" "dev status" "dev kill" "dev restart" elect tree \
    "config put" "config get" "config versions" "config rollback" "config watch" \
    "recipe put" "recipe list" "recipe show" "recipe rm"; do
    # shellcheck disable=SC2086 # a command may be two words
    rule "help_of_${command}" 0 "usage: tidelock $command" $command --help
done
rule help_lists_the_flags 0 "--session-timeout" lock --help

rule no_command_is_a_mistake 2 "name a command"
rule an_unknown_command_is_named 2 "'frobnicate'" frobnicate
rule an_unknown_command_of_a_group_is_named 2 "'frobnicate'" dev frobnicate
rule an_unknown_flag_is_named 2 "'--frob'" get /a --frob
rule a_flag_of_another_command_is_unknown 2 "'--nodes'" get /a --nodes 3
rule an_unknown_flag_before_the_command_is_named 2 "'--frob'" --frob get /a
rule a_single_dash_does_not_start_a_long_flag 2 "'-servers'" get /a -servers x
rule a_flag_needs_its_value 2 "--servers needs a value" get /a --servers
rule a_switch_takes_no_value 2 "takes no value" create /a --parents=yes
rule a_number_must_be_one 2 "not '1x'" get /a --timeout 1x
rule a_number_must_be_in_range 2 "not '0'" get /a --timeout 0
rule output_has_two_forms 2 "json or plain" get /a -o yaml
rule an_argument_may_not_be_missing 2 "usage: tidelock get PATH" get
rule an_argument_too_many_is_named 2 "'/b'" get /a /b
rule a_guard_must_be_path_and_token 2 "PATH:TOKEN" set /a x --guard /lock --servers $nowhere
rule an_ephemeral_node_is_refused_with_the_reason 2 "session ends" create /a --ephemeral
rule arguments_of_a_call_must_be_json 2 "not JSON" call a.b "{a:1}"
rule a_malformed_server_is_named 2 "'nowhere'" get /a --servers nowhere
rule a_server_needs_a_port 2 "host:port" get /a --servers 127.0.0.1:
rule a_version_is_of_one_node 2 "goes not with" delete /a --recursive --version 3 --servers $nowhere
rule a_ttl_has_an_end 2 "from 1 to 3153600000000" create /a --ttl 3153600000001
rule lock_needs_a_command 2 "behind --" lock /a
rule bench_needs_an_operation 2 "--op" bench
rule bench_knows_its_operations 2 "'frob'" bench --op frob
rule bench_lists_its_operations 2 "set, get, create" bench --op frob
rule watchers_of_bench_have_no_depth 2 "depth must be 1" bench --op watch --depth 2
rule a_barrier_of_bench_has_no_rate 2 "rate does not fit" bench --op barrier --rate 5
rule a_barrier_of_bench_has_an_end 2 "1000 at most" bench --op barrier --clients 1001
rule a_delete_of_bench_needs_new_nodes 2 "prepared does not fit" bench --op delete --prepared
rule locks_of_bench_are_of_lock 2 "it is of lock alone" bench --op set --locks 3
rule a_batch_of_bench_is_of_multi 2 "it is of multi alone" bench --op get --batch 3
rule a_share_of_reads_is_of_mix 2 "it is of mix alone" bench --op set --read-share 3
rule a_rate_of_bench_is_not_zero 2 "from 1 to" bench --op set --rate 0
rule clients_of_bench_are_not_zero 2 "from 1 to" bench --op set --clients 0
rule bench_has_an_end_of_clients 2 "not '10001'" bench --op set --clients 10001
rule bench_has_an_end_of_requests 2 "1000000 at most" bench --op set --clients 10000 --depth 101
rule a_share_of_reads_is_percent 2 "not '101'" bench --op mix --read-share 101
rule a_flag_of_two_meanings_has_the_commands_own 0 "others shall see" elect --help
rule elect_needs_a_command 2 "behind --" elect /e
rule observing_runs_no_command 2 "one of the two" elect /e --observe -- true
rule a_version_to_roll_back_to_is_a_number 2 "not 'x'" config rollback /c x
rule a_version_has_no_sign 2 "not '-1'" config put /c v --version -1
rule config_needs_a_verb 2 "name a command" config
rule a_value_from_no_file_is_no_value 1 "No such file" config put /c "@$work/none"
rule a_recipes_file_must_be_there 1 "No such file" recipe put "$work/none.lua"
rule a_recipes_file_is_no_directory 1 "directory" recipe put "$work" name
rule a_recipes_name_has_no_slash 2 "not 'a/b'" recipe put /dev/null a/b
rule a_recipes_name_begins_with_a_letter 2 "not '1st'" recipe show 1st
rule a_recipes_name_comes_from_its_file 2 "not 'my recipe'" recipe put "$work/my recipe.lua"
rule standard_input_has_no_name 2 "give NAME" recipe put -
head -c 2000000 /dev/zero >"$work/large.lua"
rule a_recipe_is_no_larger_than_a_request 1 "too_large" recipe put "$work/large.lua"
rule a_depth_is_a_number 2 "not 'deep'" tree / --depth deep
rule a_cluster_must_be_there 4 "no cluster" dev status --dir "$work/none"
rule dev_kill_needs_a_cluster 4 "no cluster" dev kill --node 1 --dir "$work/none"
mkdir "$work/full" && : >"$work/full/file"
rule dev_start_touches_no_other_directory 5 "not empty" dev start --dir "$work/full"

rule a_read_without_servers_is_unreachable 3 "unreachable" get /a --servers $nowhere
rule a_write_without_servers_is_unreachable 3 "unreachable" --servers $nowhere set /a x
rule flags_may_stand_before_and_between 3 "unreachable" -o json get --servers $nowhere /a
rule a_flag_may_carry_its_value 3 "unreachable" get /a --servers=$nowhere
rule data_with_a_dash_goes_behind_two 3 "unreachable" set --servers $nowhere -- /a -5
rule status_without_servers_is_unreachable 3 "unreachable" status --servers $nowhere
rule lock_without_servers_is_unreachable 3 "unreachable" lock /a --servers $nowhere -- true
rule bench_without_servers_is_unreachable 3 "unreachable" bench --op get --servers $nowhere
rule transfer_without_servers_is_unreachable 3 "unreachable" transfer --servers $nowhere
rule a_transfer_goes_to_a_number 2 "must be 1 to" transfer --node x --servers $nowhere
rule a_call_without_servers_is_unreachable 3 "unreachable" call a.b --servers $nowhere
rule elect_without_servers_is_unreachable 3 "unreachable" \
    elect /e --servers $nowhere -- true
rule observing_without_servers_is_unreachable 3 "unreachable" \
    elect /e --observe --servers $nowhere
rule config_without_servers_is_unreachable 3 "unreachable" config get /c --servers $nowhere
rule config_watch_without_servers_is_unreachable 3 "unreachable" \
    config watch /c --servers $nowhere
rule recipes_without_servers_are_unreachable 3 "unreachable" recipe list --servers $nowhere
rule a_recipe_without_servers_is_unreachable 3 "unreachable" \
    recipe put /dev/null x --servers $nowhere
rule tree_without_servers_is_unreachable 3 "unreachable" tree --servers $nowhere
TIDELOCK_SERVERS=127.0.0.1:2
export TIDELOCK_SERVERS
rule the_environment_names_the_servers 3 "127.0.0.1:2" get /a
rule a_flag_wins_over_the_environment 3 "127.0.0.1:1:" get /a --servers $nowhere

echo "1..$count"
[ "$failed" -eq 0 ]
