/* commands.h -- one function per command, as the table in main.c calls them. Each returns
 * the process's exit status and has told about its errors. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

int command_create(const struct options *o);
int command_get(const struct options *o);
int command_set(const struct options *o);
int command_delete(const struct options *o);
int command_touch(const struct options *o);
int command_copy(const struct options *o);
int command_quota(const struct options *o);
int command_ls(const struct options *o);
int command_stat(const struct options *o);
int command_watch(const struct options *o);
int command_call(const struct options *o);
int command_lock(const struct options *o);
int command_elect(const struct options *o);
int command_config_put(const struct options *o);
int command_config_get(const struct options *o);
int command_config_versions(const struct options *o);
int command_config_rollback(const struct options *o);
int command_config_watch(const struct options *o);
int command_recipe_put(const struct options *o);
int command_recipe_list(const struct options *o);
int command_recipe_show(const struct options *o);
int command_recipe_test(const struct options *o);
int command_recipe_new(const struct options *o);
int command_recipe_check(const struct options *o);
int command_recipe_history(const struct options *o);
int command_recipe_rollback(const struct options *o);
int command_recipe_stats(const struct options *o);
int command_recipe_rm(const struct options *o);
int command_tree(const struct options *o);
int command_status(const struct options *o);
int command_transfer(const struct options *o);
int command_member_list(const struct options *o);
int command_member_add(const struct options *o);
int command_member_promote(const struct options *o);
int command_member_demote(const struct options *o);
int command_member_remove(const struct options *o);
int command_member_replace(const struct options *o);
int command_bench(const struct options *o);
int command_dev_start(const struct options *o);
int command_dev_add(const struct options *o);
int command_dev_stop(const struct options *o);
int command_dev_status(const struct options *o);
int command_dev_kill(const struct options *o);
int command_dev_restart(const struct options *o);
int command_dev_pause(const struct options *o);
int command_dev_resume(const struct options *o);

#endif
