/* recipe_new.c -- `tidelock recipe new` and `check`: nothing here needs a server. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/input.h"
#include "cli/recipe.h"
#include "cli/report.h"
#include "lua/lint.h"

/* --- new --- */

/* Every NAME is replaced by the recipe's name. */
static const char RECIPE[] =
    "-- NAME.lua -- what it is for, in one line.\n"
    "--\n"
    "-- Tree      <path>   what stands there\n"
    "\n"
    "local NAME <const> = {}\n"
    "\n"
    "--- Counts its calls.\n"
    "-- @param args.path  the counter's node, created on first use\n"
    "-- @return {count = integer}\n"
    "function NAME.hello(tx, args)\n"
    "  tx:check(args, { path = \"path\" })\n"
    "  local count <const> = tonumber(tx:get(args.path) or \"0\") + 1\n"
    "  if tx:exists(args.path) then\n"
    "    tx:set(args.path, tostring(count))\n"
    "  else\n"
    "    tx:create(args.path, tostring(count), { parents = true })\n"
    "  end\n"
    "  return { count = count }\n"
    "end\n"
    "\n"
    "return NAME\n";

static const char TESTS[] =
    "-- NAME_test.lua -- the rules of NAME.lua; `tidelock recipe test NAME.lua` runs them.\n"
    "\n"
    "test(\"it counts its calls\", function(t)\n"
    "  t:equal(t:call(\"NAME.hello\", { path = \"/n\" }), { count = 1 })\n"
    "  t:equal(t:call(\"NAME.hello\", { path = \"/n\" }), { count = 2 })\n"
    "end)\n";

static void fill(struct buf *out, const char *text, const char *name)
{
    const char *at;

    while ((at = strstr(text, "NAME")) != NULL) {
        buf_put(out, text, (size_t) (at - text));
        buf_put_bytes_raw(out, bytes_str(name));
        text = at + strlen("NAME");
    }
    buf_put_bytes_raw(out, bytes_str(text));
}

/* A file that is there is never written over. */
static int write_new(const struct options *o, const char *suffix, const char *text)
{
    char path[RECIPE_NAME_BYTES_MAX + 16];
    struct buf content = { 0 };
    ssize_t written = -1;
    int fd;

    snprintf(path, sizeof path, "%s%s", o->words[0], suffix);
    fill(&content, text, o->words[0]);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0) written = write(fd, content.ptr, content.len);
    if (fd >= 0 && close(fd) != 0) written = -1;
    const bool good = written == (ssize_t) content.len;
    buf_fini(&content);
    if (good) return CLI_OK;
    report_note(o->command, "%s: %s", path, strerror(errno));
    return CLI_FAILED;
}

int command_recipe_new(const struct options *o)
{
    int status;

    if (!recipe_name_is_legal(bytes_str(o->words[0])) || strchr(o->words[0], '-') != NULL) {
        return report_usage(o->command,
                            "a new recipe's name is a letter or _, then letters, digits "
                            "and _; not '%s'",
                            o->words[0]);
    }
    status = write_new(o, ".lua", RECIPE);
    if (status == CLI_OK) status = write_new(o, "_test.lua", TESTS);
    return status;
}

/* --- check --- */

int command_recipe_check(const struct options *o)
{
    struct buf source = { 0 }, findings = { 0 };
    int status = input_read(o, o->words[0], &source);

    if (status == CLI_OK) {
        const unsigned count = lint_run(recipe_name_of_file(o->words[0]),
                                        buf_bytes(&source), &findings);

        status = report_write(o->command, buf_bytes(&findings));
        if (status == CLI_OK && count > 0) status = CLI_FAILED;
    }
    buf_fini(&source);
    buf_fini(&findings);
    return status;
}
