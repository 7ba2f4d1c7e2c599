#include "core/rpc/spec.h"

#include "core/base/check.h"

static const struct {
    const char *name, *arguments, *options;
} rows[METHOD_COUNT] = {
#define M(id, name, arguments, options, result, text)                                      \
    [METHOD_##id] = { name, arguments, options },
    METHODS(M)
#undef M
};

static struct spec specs[METHOD_COUNT];

/* Reads "path:p data:d" to the end of the row's values. */
static void values_parse(struct spec *spec, const char *at)
{
    while (*at != '\0') {
        const size_t len = strcspn(at, ":");
        struct spec_value *v = &spec->at[spec->count++];

        CHECK(spec->count <= RPC_VALUES_MAX);
        CHECK(at[len] == ':');
        *v = (struct spec_value){ .name = bytes_of(at, len), .type = at[len + 1] };
        CHECK(spec_type_text(v->type) != NULL);
        at += len + 2;
        at += strspn(at, " ");
    }
}

/* Before main(): no thread can see the table half made, and no caller can forget it. */
__attribute__((constructor)) static void specs_fill(void)
{
    for (enum method m = METHOD_NONE + 1; m < METHOD_COUNT; m++) {
        specs[m].name = bytes_str(rows[m].name);
        values_parse(&specs[m], rows[m].arguments);
        specs[m].arguments_count = specs[m].count;
        values_parse(&specs[m], rows[m].options);
    }
}

const struct spec *spec_of(enum method method)
{
    CHECK(method > METHOD_NONE);
    CHECK(method < METHOD_COUNT);
    return &specs[method];
}

enum method spec_find(struct bytes name)
{
    for (enum method m = METHOD_NONE + 1; m < METHOD_COUNT; m++) {
        if (bytes_equal(specs[m].name, name)) return m;
    }
    return METHOD_NONE;
}

const char *spec_type_text(char type)
{
    switch (type) {
    case 'p':
        return "a path (str)";
    case 'd':
        return "data (str, bin or nil)";
    case 'u':
        return "an unsigned integer";
    case 'i':
        return "an integer of 64 bits";
    case 's':
        return "a str";
    case 'b':
        return "a bool";
    case 'v':
        return "any value";
    case 'x':
        return "a secret (bin or str)";
    case 'o':
        return "an array of ops, each an array that begins with its kind (str)";
    case 'w':
        return "a list of watches (arrays)";
    case 'g':
        return "an array of guards, each [path, token]";
    }
    return NULL;
}

unsigned rpc_value_index(enum method method, const char *name)
{
    const struct spec *spec = spec_of(method);
    unsigned i = 0;

    while (i < spec->count && !bytes_equal(spec->at[i].name, bytes_str(name))) i++;
    CHECK(i < spec->count);
    return i;
}

const char *rpc_method_name(enum method method)
{
    return method > METHOD_NONE && method < METHOD_COUNT ? rows[method].name : "unknown";
}
