/* Owns: which files of a repository make a model. */
#include "hub/listing.h"

#include "file/part_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Ternary types as names of files tell them, the best first. */
static const char *const types[] = {"i2_s", "tq2_0", "tq1_0", "q2_0", "iq2_bn", "iq1_bn", "tl2", "tl1"};
enum { TYPES = sizeof types / sizeof types[0] };

/* What safetensors need beside them, where it is there. */
static const char *const companions[] = {
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja",
    "model.safetensors.index.json"};

enum found { NONE = -1, SEVERAL = -2 }; /* else the index of a file */

/* -- names --------------------------------------------------------------- */

static bool ends(const char *path, const char *suffix)
{
    const size_t size = strlen(path), n = strlen(suffix);
    return size >= n && strcasecmp(path + size - n, suffix) == 0;
}

/* The bytes of "folder/" in front of a file's name. */
static size_t folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash + 1 - path) : 0;
}

static bool in_folder(const char *path, const char *folder, size_t size)
{
    return folder_of(path) == size && memcmp(path, folder, size) == 0;
}

/* As a word of its own, in whatever case. */
static bool tells(const char *path, const char *type)
{
    const size_t size = strlen(type);
    for (const char *at = path + folder_of(path); *at; at++)
        if (strncasecmp(at, type, size) == 0 && !isalnum((unsigned char)at[size]) &&
            (at == path || !isalnum((unsigned char)at[-1])))
            return true;
    return false;
}

/* The number of a part, 0 if it is none; *stem: bytes in front of "-00002-of-00003.gguf". */
static unsigned part_of(const char *path, size_t *stem)
{
    unsigned no, of;
    tri_part_name(path, ".gguf", stem, &no, &of);
    return no;
}

/* -- choosing ------------------------------------------------------------ */

static bool is_model(const struct tri_hub_file *f)
{
    size_t stem;
    return ends(f->path, ".gguf") && part_of(f->path, &stem) < 2 &&
           strncasecmp(f->path + folder_of(f->path), "mmproj", 6) != 0;
}

/* The only GGUF file of a type (NULL: at all). */
static int find_gguf(const struct tri_hub_listing *l, const char *type)
{
    int found = NONE;
    for (size_t i = 0; i < l->count; i++)
        if (is_model(&l->file[i]) && (!type || tells(l->file[i].path, type)))
            found = found == NONE ? (int)i : SEVERAL;
    return found;
}

static int find_name(const struct tri_hub_listing *l, const char *path)
{
    for (size_t i = 0; i < l->count; i++)
        if (strcmp(l->file[i].path, path) == 0)
            return (int)i;
    return NONE;
}

static void want_parts(struct tri_hub_listing *l, const char *path)
{
    size_t stem, other;
    const bool parts = part_of(path, &stem) > 0;
    for (size_t i = 0; i < l->count; i++) {
        const char *p = l->file[i].path;
        l->file[i].wanted = strcmp(p, path) == 0 ||
                            (parts && part_of(p, &other) > 0 && other == stem && memcmp(p, path, stem) == 0);
    }
}

/* All of a folder's safetensors (with an index: those it is of), and what describes them. */
static void want_folder(struct tri_hub_listing *l, const char *folder, size_t size)
{
    char index[TRI_HUB_PATH + 32];
    snprintf(index, sizeof index, "%.*smodel.safetensors.index.json", (int)size, folder);
    const bool indexed = find_name(l, index) >= 0;
    for (size_t i = 0; i < l->count; i++) {
        const char *name = l->file[i].path + size;
        if (!in_folder(l->file[i].path, folder, size))
            continue;
        l->file[i].wanted |= ends(name, ".safetensors") && (!indexed || strncmp(name, "model-", 6) == 0);
        for (size_t c = 0; c < sizeof companions / sizeof companions[0]; c++)
            l->file[i].wanted |= strcmp(name, companions[c]) == 0;
    }
}

static enum tri_status want(struct tri_hub_listing *l, int file)
{
    const char *path = l->file[file].path;
    strcpy(l->model, path);
    want_parts(l, path);
    if (ends(path, ".safetensors") || ends(path, ".safetensors.index.json"))
        want_folder(l, path, folder_of(path));
    return TRI_OK;
}

static bool has_safetensors(const struct tri_hub_listing *l)
{
    bool any = false;
    for (size_t i = 0; i < l->count; i++)
        any |= folder_of(l->file[i].path) == 0 && ends(l->file[i].path, ".safetensors");
    return any && find_name(l, "config.json") >= 0;
}

/* Says which there are, as many as an error can hold. */
static enum tri_status undecided(const struct tri_hub_listing *l, const struct tri_hub_name *n, struct tri_error *e)
{
    char names[400] = "";
    size_t at = 0;
    for (size_t i = 0; i < l->count; i++) {
        const char *path = l->file[i].path;
        if (!is_model(&l->file[i]) || at > sizeof names - 16)
            continue;
        const bool fits = at + strlen(path) + 16 < sizeof names;
        at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", fits ? path : "...");
        at = fits ? at : sizeof names;
    }
    if (!names[0])
        return tri_fail(e, TRI_FAILED, "%s/%s: expected a GGUF file, or config.json and safetensors, found neither "
                        "among %zu files", n->owner, n->repo, l->count);
    return tri_fail(e, TRI_FAILED, "%s/%s: expected one model, found several; choose with %s/%s:FILE among %s",
                    n->owner, n->repo, n->owner, n->repo, names);
}

enum tri_status tri_hub_listing_choose(struct tri_hub_listing *l, const struct tri_hub_name *n, struct tri_error *e)
{
    int found = NONE;
    if (n->file[0]) {
        found = find_name(l, n->file);
        return found >= 0 ? want(l, found)
                          : tri_fail(e, TRI_FAILED, "%s/%s: expected a file \"%s\" among %zu, found none; without a "
                                     "file's name the ternary model is chosen", n->owner, n->repo, n->file, l->count);
    }
    for (int i = 0; i < TYPES && found == NONE; i++)
        found = find_gguf(l, types[i]);
    if (found == NONE)
        found = find_gguf(l, NULL);
    if (found >= 0)
        return want(l, found);
    if (!has_safetensors(l))
        return undecided(l, n, e);
    l->model[0] = 0;
    want_folder(l, "", 0);
    return TRI_OK;
}
