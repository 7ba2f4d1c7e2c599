#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/base/check.h"
#include "cli/report.h"

enum flag_kind { SWITCH, NUMBER, TEXT };

static const struct flag_row {
    const char *name;
    const char *value;
    enum flag_kind kind;
    uint64_t min, max;
    const char *help;
} rows[FLAG_COUNT] = {
#define X(id, name, value, kind, min, max, help) { name, value, kind, min, max, help },
    FLAGS(X)
#undef X
};

/* What the parser knows while it walks the words. */
struct parser {
    const struct command_table *table;
    const struct command *command; /* NULL: not named yet */
    const char *group;             /* "dev" was read, its second word is to come */
    struct options *o;
};

bool options_given(const struct options *o, enum flag flag)
{
    return (o->given & (UINT64_C(1) << flag)) != 0;
}

uint64_t options_number(const struct options *o, enum flag flag, uint64_t otherwise)
{
    return options_given(o, flag) ? o->number[flag] : otherwise;
}

const char *options_text(const struct options *o, enum flag flag, const char *otherwise)
{
    return options_given(o, flag) ? o->text[flag] : otherwise;
}

bool options_read_number(const char *text, uint64_t min, uint64_t max, uint64_t *number)
{
    uint64_t n = 0;

    if (text[0] == '\0') return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') return false;
        const uint64_t digit = (uint64_t) (*at - '0');
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    if (n < min || n > max) return false;
    *number = n;
    return true;
}

bool options_guard(const struct options *o, struct options_guard *guard)
{
    *guard = (struct options_guard){ 0 };
    if (!options_given(o, FLAG_GUARD)) return true;

    const char *text = o->text[FLAG_GUARD], *colon = strrchr(text, ':');
    if (colon == NULL || colon == text) return false;
    guard->path = bytes_of(text, (size_t) (colon - text));
    return options_read_number(colon + 1, 1, UINT64_MAX, &guard->token);
}

/* --- help --- */

static void print_flags(uint64_t flags)
{
    for (unsigned i = 0; i < FLAG_COUNT; i++) {
        char left[64];

        if ((flags & (UINT64_C(1) << i)) == 0) continue;
        snprintf(left, sizeof left, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        printf("  %-26s %s\n", left, rows[i].help);
    }
}

static void print_command_help(const struct command *c)
{
    printf("tidelock %s -- %s\n\nusage: tidelock %s [flags]%s%s\n", c->name, c->summary,
           c->name, c->arguments[0] != '\0' ? " " : "", c->arguments);
    if (c->details[0] != '\0') printf("\n%s\n", c->details);
    if (c->flags != 0) {
        printf("\nflags:\n");
        print_flags(c->flags);
    }
    printf("\nflags of every command:\n");
    print_flags(GLOBAL_FLAGS);
}

static bool is_in_group(const struct command *c, const char *group)
{
    const size_t len = group == NULL ? 0 : strlen(group);
    return group == NULL || (strncmp(c->name, group, len) == 0 && c->name[len] == ' ');
}

static void print_overview(const struct command_table *table, const char *group)
{
    printf("usage: tidelock %s%sCOMMAND [arguments]\n\ncommands:\n",
           group == NULL ? "" : group, group == NULL ? "" : " ");
    for (size_t i = 0; i < table->count; i++) {
        if (!is_in_group(&table->commands[i], group)) continue;
        printf("  %-16s %s\n", table->commands[i].name, table->commands[i].summary);
    }
    printf("\nflags of every command:\n");
    print_flags(GLOBAL_FLAGS);
    printf(
        "  --version                  print the program's version (before any command)\n"
        "\nexit status: 0 ok, 1 failed, 2 usage, 3 unreachable, 4 not found, 5 conflict,\n"
        "6 not permitted, 7 no quorum. `tidelock COMMAND --help` tells more.\n");
}

/* --- parsing --- */

/* Among the flags of the command: two may have the same name and different meanings. */
static int flag_find(const char *name, size_t len, uint64_t allowed)
{
    if (len == 1 && name[0] == 'o') return FLAG_OUTPUT;
    for (int i = 0; i < FLAG_COUNT; i++) {
        if ((allowed & (UINT64_C(1) << i)) == 0) continue;
        if (strlen(rows[i].name) == len && memcmp(rows[i].name, name, len) == 0) return i;
    }
    return -1;
}

static int flag_set(struct parser *p, unsigned flag, const char *value)
{
    const struct flag_row *row = &rows[flag];
    const char *command = p->o->command;

    if (row->kind == NUMBER &&
        !options_read_number(value, row->min, row->max, &p->o->number[flag])) {
        return report_usage(command, "--%s must be a number from %llu to %llu, not '%s'",
                            row->name, (unsigned long long) row->min,
                            (unsigned long long) row->max, value);
    }
    if (flag == FLAG_OUTPUT && strcmp(value, "json") != 0 && strcmp(value, "plain") != 0) {
        return report_usage(command, "--output must be json or plain, not '%s'", value);
    }
    p->o->text[flag] = value;
    p->o->given |= UINT64_C(1) << flag;
    return -1;
}

static int unknown_flag(const struct parser *p, const char *word)
{
    if (p->command == NULL) {
        return report_usage(
            NULL, "unknown flag '%s' before the command's name; see tidelock --help", word);
    }
    return report_usage(
        p->o->command,
        "unknown flag '%s'; see tidelock %s --help (what starts with - and is "
        "no flag goes after --)",
        word, p->o->command);
}

/* Reads the flag at *at and moves *at to its last word. */
static int parse_flag(struct parser *p, char ***at)
{
    const char *word = **at, *name = word + (word[1] == '-' ? 2 : 1);
    const char *equals = strchr(name, '=');
    const size_t len = equals == NULL ? strlen(name) : (size_t) (equals - name);
    const uint64_t allowed = GLOBAL_FLAGS | (p->command == NULL ? 0 : p->command->flags);
    const int flag = (word[1] == '-' && len == 1) || (word[1] != '-' && len > 1)
                         ? -1
                         : flag_find(name, len, allowed);

    if (flag < 0) return unknown_flag(p, word);
    if (rows[flag].kind == SWITCH) {
        if (equals != NULL) {
            return report_usage(p->o->command, "--%s takes no value", rows[flag].name);
        }
        return flag_set(p, (unsigned) flag, "");
    }
    if (equals != NULL) return flag_set(p, (unsigned) flag, equals + 1);
    if ((*at)[1] == NULL) {
        return report_usage(p->o->command, "--%s needs a value: %s", rows[flag].name,
                            rows[flag].value);
    }
    *at += 1;
    return flag_set(p, (unsigned) flag, **at);
}

static const struct command *command_find(const struct parser *p, const char *word)
{
    for (size_t i = 0; i < p->table->count; i++) {
        const struct command *c = &p->table->commands[i];
        if (!is_in_group(c, p->group)) continue;
        if (strcmp(c->name + (p->group == NULL ? 0 : strlen(p->group) + 1), word) == 0) {
            return c;
        }
    }
    return NULL;
}

static bool is_group(const struct command_table *table, const char *word)
{
    for (size_t i = 0; i < table->count; i++) {
        if (is_in_group(&table->commands[i], word)) return true;
    }
    return false;
}

static int parse_word(struct parser *p, const char *word)
{
    if (p->command == NULL) {
        p->command = command_find(p, word);
        if (p->command != NULL) {
            p->o->command = p->command->name;
            return -1;
        }
        if (p->group == NULL && is_group(p->table, word)) {
            p->group = word;
            return -1;
        }
        return report_usage(p->group, "unknown command '%s'; see tidelock%s%s --help", word,
                            p->group == NULL ? "" : " ", p->group == NULL ? "" : p->group);
    }
    if (p->o->words_count == p->command->words_max) {
        return report_usage(p->o->command,
                            "unexpected argument '%s'; usage: tidelock %s%s%s", word,
                            p->command->name,
                            p->command->arguments[0] != '\0' ? " " : "",
                            p->command->arguments);
    }
    CHECK(p->o->words_count < OPTIONS_WORDS_MAX);
    p->o->words[p->o->words_count++] = word;
    return -1;
}

/* Words are read until the end, or up to a "--" whose rest is another program's. */
static int parse_words(struct parser *p, char **argv)
{
    bool flags_end = false;

    for (char **at = argv; *at != NULL; at++) {
        const char *word = *at;
        int status;

        if (!flags_end && strcmp(word, "--") == 0) {
            if (p->command != NULL && p->command->takes_rest) {
                p->o->rest = at + 1;
                return -1;
            }
            flags_end = true;
            continue;
        }
        if (p->command == NULL && strcmp(word, "--version") == 0) {
            printf("tidelock %s\n", CLI_VERSION);
            return CLI_OK;
        }
        status = !flags_end && word[0] == '-' && word[1] != '\0' ? parse_flag(p, &at)
                                                                 : parse_word(p, word);
        if (status >= 0) return status;
    }
    return -1;
}

static int fill_defaults(const struct command *c, struct options *o)
{
    const char *env = getenv("TIDELOCK_SERVERS");

    if (o->words_count < c->words_min) {
        return report_usage(c->name, "an argument is missing; usage: tidelock %s %s",
                            c->name, c->arguments);
    }
    o->servers = options_text(o, FLAG_SERVERS,
                              env != NULL && env[0] != '\0' ? env : "127.0.0.1:7400");
    o->timeout_ms = (uint32_t) options_number(o, FLAG_TIMEOUT, 10000);
    o->json = strcmp(options_text(o, FLAG_OUTPUT, "plain"), "json") == 0;
    return -1;
}

int options_parse(const struct command_table *table, char **argv, struct options *o,
                  const struct command **command)
{
    static char *nothing[] = { NULL };
    struct parser p = { .table = table, .o = o };
    int status;

    *o = (struct options){ .rest = nothing };
    status = parse_words(&p, argv + 1);
    if (status >= 0) return status;
    *command = p.command;
    if (options_given(o, FLAG_HELP)) {
        if (p.command != NULL) {
            print_command_help(p.command);
        } else {
            print_overview(table, p.group);
        }
        return CLI_OK;
    }
    if (p.command == NULL) {
        return report_usage(p.group, "name a command; see tidelock%s%s --help",
                            p.group == NULL ? "" : " ", p.group == NULL ? "" : p.group);
    }
    return fill_defaults(p.command, o);
}
