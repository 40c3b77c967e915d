/* Owns: names of models, addresses on the hub, folders of the cache. */
#include "hub/name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

enum { COMPONENT = 180 }; /* bytes; a part's name is 70 longer, file systems take 255 */

/* -- reading ------------------------------------------------------------- */

/* One word of at[0..size): letters, digits, and . _ - within. */
static bool take_word(char out[TRI_HUB_WORD], const char *at, size_t size)
{
    if (size == 0 || size >= TRI_HUB_WORD || *at == '.' || *at == '-')
        return false;
    memcpy(out, at, size);
    out[size] = 0;
    return strspn(out, letters) == size;
}

bool tri_hub_path_good(const char *path)
{
    if (strlen(path) >= TRI_HUB_PATH)
        return false;
    for (const char *at = path;; at++) {
        const size_t size = strcspn(at, "/");
        if (size == 0 || size > COMPONENT || *at == '.')
            return false;
        for (size_t i = 0; i < size; i++)
            if (iscntrl((unsigned char)at[i]) || at[i] == '\\')
                return false;
        at += size;
        if (!*at)
            return true;
    }
}

static enum tri_status take_words(struct tri_hub_name *n, const char *text, struct tri_error *e)
{
    const size_t owner = strcspn(text, "/");
    const char *repo = text + owner + (text[owner] == '/');
    const size_t size = strcspn(repo, "@:");
    const char *revision = repo[size] == '@' ? repo + size + 1 : NULL;
    const size_t revision_size = revision ? strcspn(revision, ":") : 0;
    const char *rest = revision ? revision + revision_size : repo + size;
    if (!take_word(n->owner, text, owner) || !take_word(n->repo, repo, size) ||
        (revision && !take_word(n->revision, revision, revision_size)))
        return tri_fail(e, TRI_USAGE, "expected OWNER/REPO[@REVISION][:FILE], as in owner/model-gguf:model.gguf, "
                        "found \"%s\"", text);
    if (*rest && !tri_hub_path_good(rest + 1))
        return tri_fail(e, TRI_USAGE, "expected the name of a file in %s/%s, without .. and hidden ones, found \"%s\"",
                        n->owner, n->repo, rest + 1);
    if (*rest)
        strcpy(n->file, rest + 1);
    return TRI_OK;
}

static enum tri_status take_endpoint(struct tri_hub_name *n, struct tri_error *e)
{
    const char *text = getenv("HF_ENDPOINT");
    if (!text || !*text)
        text = "https://huggingface.co";
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '/')
        size--;
    if (size >= sizeof n->endpoint || (strncmp(text, "https://", 8) != 0 && strncmp(text, "http://", 7) != 0))
        return tri_fail(e, TRI_USAGE, "variable HF_ENDPOINT: expected https://HOST, found \"%s\"", text);
    memcpy(n->endpoint, text, size);
    return TRI_OK;
}

/* Another revision is another folder; no repository's name has an @ in it. */
static enum tri_status take_folder(struct tri_hub_name *n, struct tri_error *e)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    const bool given = cache && *cache == '/', main = strcmp(n->revision, "main") == 0;
    if (!given && (!home || *home != '/'))
        return tri_fail(e, TRI_USAGE, "expected a folder for models in XDG_CACHE_HOME or HOME, found neither set");
    const int size = snprintf(n->folder, sizeof n->folder, "%s%s/tritune/hub/%s/%s%s%s", given ? cache : home,
                              given ? "" : "/.cache", n->owner, n->repo, main ? "" : "@", main ? "" : n->revision);
    if (size >= (int)sizeof n->folder - TRI_HUB_PATH)
        return tri_fail(e, TRI_USAGE, "variable %s: expected a shorter path", given ? "XDG_CACHE_HOME" : "HOME");
    return TRI_OK;
}

enum tri_status tri_hub_name_read(struct tri_hub_name *n, const char *text, struct tri_error *e)
{
    *n = (struct tri_hub_name){.revision = "main"};
    if (take_words(n, text, e) != TRI_OK || take_endpoint(n, e) != TRI_OK)
        return e->status;
    return take_folder(n, e);
}

/* -- addresses ----------------------------------------------------------- */

void tri_hub_listing_url(const struct tri_hub_name *n, char url[TRI_HUB_ROOM])
{
    snprintf(url, TRI_HUB_ROOM, "%s/api/models/%s/%s/tree/%s?recursive=true", n->endpoint, n->owner, n->repo,
             n->revision);
}

void tri_hub_file_url(const struct tri_hub_name *n, const char *file, char url[TRI_HUB_ROOM])
{
    int at = snprintf(url, TRI_HUB_ROOM, "%s/%s/%s/resolve/%s/", n->endpoint, n->owner, n->repo, n->revision);
    for (; *file && at < TRI_HUB_ROOM - 4; file++)
        at += snprintf(url + at, 4, *file == '/' || strchr(letters, *file) ? "%c" : "%%%02X", (unsigned char)*file);
}
