/* `tritune convert`: a model in another form, as a file of its own. Leaves out the forms (model/packed.h). */
#include "cli/interrupt.h"
#include "cli/load.h"
#include "model/packed.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct options {
    struct tri_load load;
    const char *type;
};

/* -- forms --------------------------------------------------------------- */

typedef enum tri_status convert_fn(struct options *o, const char *out, struct tri_error *e);

/* As this machine runs it. */
static enum tri_status to_packed(struct options *o, const char *out, struct tri_error *e)
{
    if (tri_load_weights(&o->load, e) != TRI_OK)
        return e->status;
    tri_catch_interrupt();
    return tri_packed_write(o->load.weights, o->load.gguf, out, o->load.pool, tri_interrupted, e);
}

static const struct type {
    const char *name;
    convert_fn *convert;
} types[] = {{"tritune", to_packed}};
enum { TYPES = sizeof types / sizeof types[0] };

static convert_fn *find_type(const char *name, struct tri_error *e)
{
    char known[128] = "";
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(name, types[i].name) == 0)
            return types[i].convert;
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i ? ", " : "", types[i].name);
    }
    tri_fail(e, TRI_USAGE, "option --type: this program writes %s, not \"%s\"", known, name);
    return NULL;
}

/* -- the command --------------------------------------------------------- */

/* Under whatever names. */
static bool same_file(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static enum tri_status convert(struct options *o, const char *out, struct tri_error *e)
{
    convert_fn *to = find_type(o->type, e);
    if (!to)
        return e->status;
    if (same_file(o->load.model, out))
        return tri_fail(e, TRI_USAGE, "%s: expected another file to write than the one to read", out);
    return to(o, out, e);
}

static enum tri_status run(int argc, char **argv, struct tri_error *e)
{
    struct options o = {.type = NULL};
    const struct tri_option options[] = {
        {NULL, "--type", TRI_TEXT, "TYPE", "form to write: tritune, packed for this machine and mapped at once", &o.type,
         0, 0},
        {"-t", "--threads", TRI_INT, "N", "threads (default: as tuned, else cores)", &o.load.threads[TRI_DECODE], 1,
         512},
        TRI_LAYOUT_OPTION(o.load.i2s_layout),
        TRI_HEAD_OPTION(o.load),
        TRI_MEMORY_OPTIONS(o.load),
        {NULL, "--isa", TRI_TEXT, "NAME", "use no kernels beyond this ISA (also: TRI_ISA)", &o.load.isa, 0, 0},
        {0},
    };
    bool helped = false;
    int operands = 2;
    enum tri_status status = tri_parse(&tri_command_convert, options, argc, argv, &operands, &helped, e);
    if (status != TRI_OK || helped)
        return status;
    if (operands != 2 || !o.type)
        return tri_fail(e, TRI_USAGE, "expected IN OUT --type TYPE, found %s; see --help",
                        operands != 2 ? "other files" : "no type");
    o.load.model = argv[1];
    status = convert(&o, argv[2], e);
    tri_load_close(&o.load);
    return status;
}

const struct tri_command tri_command_convert = {
    .name = "convert",
    .summary = "a model in another form, as a file of its own",
    .usage = "IN OUT --type tritune [options]",
    .run = run,
};
