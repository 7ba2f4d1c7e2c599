#include "core/base/errors.h"

#include <stddef.h>
#include <string.h>

static const struct {
    int code;
    const char *name;
    const char *text;
} table[] = {
    { ERR_OK, "ok", "done" },
#define X(name, code, word, text) { code, word, text },
    ERRORS(X)
#undef X
};

enum { TABLE_COUNT = sizeof table / sizeof table[0] };

const char *error_name(int code)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table[i].code == code) return table[i].name;
    }
    return "unknown";
}

const char *error_text(int code)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (table[i].code == code) return table[i].text;
    }
    return "an error that this version does not know";
}

int error_code(const char *name)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (strcmp(table[i].name, name) == 0) return table[i].code;
    }
    return 0;
}
