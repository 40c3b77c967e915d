/* Owns: the files of a Hugging Face folder, and putting together what they give.
 * Leaves out what config.json and tensors mean (huggingface_config.c, huggingface_tensors.c). */
#include "model/huggingface.h"

#include "file/json.h"
#include "file/part_name.h"
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const tri_hf_names[TRI_HF_TEXTS] = {
    [TRI_HF_CONFIG] = "config.json",       [TRI_HF_GENERATION] = "generation_config.json",
    [TRI_HF_TOKENIZER] = "tokenizer.json", [TRI_HF_TOKENIZER_CONFIG] = "tokenizer_config.json",
    [TRI_HF_TEMPLATE] = "chat_template.jinja",
};

static const struct tri_json_limits limits = {16, 1 << 20};

enum { LONGEST_PATH = 4096 };

/* -- texts --------------------------------------------------------------- */

/* A text that may be missing, as JSON; NULL if it is, or with an error. */
static json_t *read_text(const char *folder, const struct tri_text texts[TRI_HF_TEXTS], enum tri_hf_text which,
                         struct tri_error *e)
{
    char name[LONGEST_PATH + 64];
    snprintf(name, sizeof name, "%s/%s", folder, tri_hf_names[which]);
    return texts[which].at ? tri_json_read(texts[which].at, texts[which].size, limits, name, e) : NULL;
}

/* Without a tokenizer a model can still be looked at and converted. */
static enum tri_status add_tokenizer(const char *folder, const struct tri_text texts[TRI_HF_TEXTS],
                                     struct tri_gguf_writer *w, struct tri_error *e)
{
    static const char key[] = "tokenizer.chat_template";
    const struct tri_text json = texts[TRI_HF_TOKENIZER], config = texts[TRI_HF_TOKENIZER_CONFIG];
    const struct tri_text template = texts[TRI_HF_TEMPLATE];
    if (json.at && tri_tokenizer_json_keys(w, json.at, json.size, config.at, config.size, folder, e) != TRI_OK)
        return e->status;
    char *copy = template.at && !tri_gguf_has(w, key) ? strndup(template.at, template.size) : NULL;
    if (copy)
        tri_gguf_add_text(w, key, copy);
    free(copy);
    return TRI_OK;
}

static enum tri_status add_ids(const struct tri_hf_config *c, const struct tri_text texts[TRI_HF_TEXTS],
                               struct tri_gguf_writer *w, struct tri_error *e)
{
    *e = (struct tri_error){0};
    json_t *generation = read_text(c->folder, texts, TRI_HF_GENERATION, e);
    if (e->status == TRI_OK)
        tri_hf_config_ids(c, generation, w);
    json_decref(generation);
    return e->status;
}

static void add_name(const char *folder, struct tri_gguf_writer *w)
{
    const char *slash = strrchr(folder, '/');
    if (slash && slash[1])
        tri_gguf_add_text(w, "general.name", slash + 1);
}

/* -- keys and tensors ---------------------------------------------------- */

struct making {
    struct tri_hf_config config;
    struct tri_gguf_writer *w;
    float *divisors; /* of the rotary frequencies; NULL: none */
    struct tri_hf_tensor *tensors;
    size_t count;
};

static enum tri_status add_keys(struct making *k, const struct tri_text texts[TRI_HF_TEXTS], struct tri_error *e)
{
    const struct tri_hf_config *c = &k->config;
    add_name(c->folder, k->w);
    if (tri_hf_config_keys(c, k->w, &k->divisors, e) != TRI_OK || add_tokenizer(c->folder, texts, k->w, e) != TRI_OK)
        return e->status;
    return add_ids(c, texts, k->w, e);
}

static struct tri_gguf *write_image(struct making *k, struct tri_error *e)
{
    const uint32_t half = k->config.head_dim / 2;
    struct tri_tensor t = {.name = "rope_freqs.weight", .encoding = tri_encoding_find(0), .dims = 1,
                           .ne = {half, 1, 1, 1}};
    const int place = k->divisors ? tri_gguf_add_tensor(k->w, &t) : -1;
    if (tri_gguf_begin(k->w, e) != TRI_OK)
        return NULL;
    if (k->divisors && tri_gguf_write(k->w, place, 0, k->divisors, half * sizeof *k->divisors, e) != TRI_OK)
        return NULL;
    for (size_t i = 0; i < k->count; i++)
        if (k->tensors[i].place >= 0 && tri_hf_write(&k->tensors[i], k->w, e) != TRI_OK)
            return NULL;
    return tri_gguf_composed(k->w, k->config.folder, e);
}

/* Those that stay where they are. */
static enum tri_status adopt(struct making *k, struct tri_gguf *g, struct tri_safetensors *s, struct tri_error *e)
{
    const struct tri_map *maps;
    size_t stay = 0;
    struct tri_tensor *tensors = calloc(k->count + 1, sizeof *tensors);
    if (!tensors)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its tensors", k->config.folder);
    for (size_t i = 0; i < k->count; i++)
        if (k->tensors[i].place < 0)
            tensors[stay++] = k->tensors[i].tensor;
    const size_t count = tri_safetensors_take(s, &maps);
    const enum tri_status status = tri_gguf_adopt(g, maps, count, tensors, stay, e);
    free(tensors);
    return status;
}

static struct tri_gguf *make(struct making *k, const struct tri_text texts[TRI_HF_TEXTS], struct tri_safetensors *s,
                             struct tri_error *e)
{
    if (add_keys(k, texts, e) != TRI_OK ||
        tri_hf_tensors(&k->config, s, k->w, &k->tensors, &k->count, e) != TRI_OK)
        return NULL;
    struct tri_gguf *g = write_image(k, e);
    if (g && adopt(k, g, s, e) != TRI_OK) {
        tri_gguf_close(g);
        return NULL;
    }
    return g;
}

struct tri_gguf *tri_huggingface_read(const char *folder, const struct tri_text texts[TRI_HF_TEXTS],
                                      struct tri_safetensors *s, struct tri_error *e)
{
    struct making k = {.w = tri_gguf_compose(e)};
    struct tri_gguf *g = NULL;
    if (k.w && tri_hf_config_read(&k.config, folder, texts[TRI_HF_CONFIG], e) == TRI_OK)
        g = make(&k, texts, s, e);
    free(k.tensors);
    free(k.divisors);
    tri_hf_config_close(&k.config);
    tri_gguf_discard(k.w);
    return g;
}

/* -- the folder ---------------------------------------------------------- */

static bool is_file(const char *folder, const char *name)
{
    char path[LONGEST_PATH + 64];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static enum tri_status no_weights(const char *folder, struct tri_error *e)
{
    static const char *const pickles[] = {"pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (int i = 0; i < 2; i++)
        if (is_file(folder, pickles[i]))
            return tri_fail(e, TRI_UNSUPPORTED,
                            "%s/%s: a PyTorch pickle, which is a program rather than data; take a revision of the "
                            "model that has model.safetensors, or save it as such (from_pretrained(DIR)."
                            "save_pretrained(OUT) of Hugging Face's library)", folder, pickles[i]);
    return tri_fail(e, TRI_BAD_FILE, "%s: expected a GGUF file, or a folder with config.json and model.safetensors or "
                    "model.safetensors.index.json, found a folder without these; name the file in it that is the model",
                    folder);
}

/* Which folder, and which file of it has the weights. */
static enum tri_status find_weights(const char *path, char folder[LONGEST_PATH], char weights[LONGEST_PATH + 64],
                                    struct tri_error *e)
{
    static const char *const usual[] = {"model.safetensors.index.json", "model.safetensors"};
    struct stat st;
    size_t stem;
    unsigned no, of;
    const bool whole = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t size = whole ? strlen(path) : slash ? (size_t)(slash - path) : 0;
    while (whole && size > 1 && path[size - 1] == '/')
        size--;
    if (strlen(path) >= LONGEST_PATH)
        return tri_fail(e, TRI_BAD_FILE, "%.80s...: expected a path of at most %d bytes", path, LONGEST_PATH - 1);
    snprintf(folder, LONGEST_PATH, "%.*s", size ? (int)size : 1, size ? path : slash ? "/" : ".");
    if (!whole && tri_part_name(name, ".safetensors", &stem, &no, &of))
        snprintf(weights, LONGEST_PATH + 64, "%s/%.*s.safetensors.index.json", folder, (int)stem, name);
    else
        snprintf(weights, LONGEST_PATH + 64, "%s", path);
    for (int i = 0; whole && i < 2; i++)
        if (is_file(folder, usual[i])) {
            snprintf(weights, LONGEST_PATH + 64, "%s/%s", folder, usual[i]);
            return TRI_OK;
        }
    return whole ? no_weights(folder, e) : TRI_OK;
}

/* Those that are there. */
static enum tri_status map_texts(const char *folder, struct tri_map maps[TRI_HF_TEXTS],
                                 struct tri_text texts[TRI_HF_TEXTS], struct tri_error *e)
{
    for (int i = 0; i < TRI_HF_TEXTS; i++) {
        char path[LONGEST_PATH + 64];
        snprintf(path, sizeof path, "%s/%s", folder, tri_hf_names[i]);
        if (i != TRI_HF_CONFIG && !is_file(folder, tri_hf_names[i]))
            continue;
        if (tri_map_open(&maps[i], path, e) != TRI_OK)
            return e->status;
        texts[i] = (struct tri_text){(const char *)maps[i].data, maps[i].size};
    }
    return TRI_OK;
}

struct tri_gguf *tri_huggingface_open(const char *path, struct tri_error *e)
{
    char folder[LONGEST_PATH], weights[LONGEST_PATH + 64];
    struct tri_map maps[TRI_HF_TEXTS] = {{0}};
    struct tri_text texts[TRI_HF_TEXTS] = {{0}};
    if (find_weights(path, folder, weights, e) != TRI_OK)
        return NULL;
    struct tri_safetensors *s = NULL;
    if (map_texts(folder, maps, texts, e) == TRI_OK)
        s = tri_safetensors_open(weights, e);
    struct tri_gguf *g = s ? tri_huggingface_read(folder, texts, s, e) : NULL;
    tri_safetensors_close(s);
    for (int i = 0; i < TRI_HF_TEXTS; i++)
        tri_map_close(&maps[i]);
    return g;
}
