/* Owns: files of log probabilities, as llama-perplexity --save-all-logits writes them. Little-endian throughout. */
#include "cli/quality.h"

#include "base/math.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = "_logits_";

enum {
    HEAD = sizeof magic + sizeof(struct tri_logits_header),
    FRONT = 4,            /* of each row: two floats in the place of four steps */
    STEPS = 65535,        /* between the least and the greatest */
    DEEPEST = 16,         /* below the greatest logit none is told from another */
};

static size_t row_steps(const struct tri_logits_header *h)
{
    return FRONT + ((size_t)h->vocab + 1) / 2 * 2;
}

static size_t rows(const struct tri_logits_header *h)
{
    return (size_t)(h->context - 1 - h->context / 2);
}

static size_t tokens_bytes(const struct tri_logits_header *h)
{
    return (size_t)h->chunks * (size_t)h->context * sizeof(int32_t);
}

static size_t row_offset(const struct tri_logits_header *h, size_t row)
{
    return HEAD + tokens_bytes(h) + row * row_steps(h) * sizeof(uint16_t);
}

/* -- writing ----------------------------------------------------------------------- */

struct tri_logits_writer {
    struct tri_output_file *file;
    struct tri_logits_header header;
    size_t row;
    uint16_t *steps; /* of one row */
};

static enum tri_status write_front(struct tri_logits_writer *w, const int32_t *tokens, struct tri_error *e)
{
    const struct tri_logits_header *h = &w->header;
    const size_t bytes = row_offset(h, rows(h) * (size_t)h->chunks);
    if (tri_output_reserve(w->file, bytes, e) != TRI_OK ||
        tri_output_write(w->file, 0, magic, sizeof magic, e) != TRI_OK ||
        tri_output_write(w->file, sizeof magic, h, sizeof *h, e) != TRI_OK)
        return e->status;
    return tri_output_write(w->file, HEAD, tokens, tokens_bytes(h), e);
}

struct tri_logits_writer *tri_logits_create(const char *path, const struct tri_logits_header *h, const int32_t *tokens,
                                            struct tri_error *e)
{
    struct tri_logits_writer *w = tri_alloc(1, sizeof *w, "the writer of logits", e);
    if (!w)
        return NULL;
    w->header = *h;
    w->steps = tri_alloc(row_steps(h), sizeof *w->steps, "a row of logits", e);
    if (w->steps && (w->file = tri_output_open(path, e)) && write_front(w, tokens, e) == TRI_OK)
        return w;
    tri_logits_close(w);
    return NULL;
}

/* Even steps from the least to the greatest logit, at most DEEPEST apart; rounded to nearest even. */
enum tri_status tri_logits_add(struct tri_logits_writer *w, const float *logits, struct tri_error *e)
{
    const int vocab = w->header.vocab;
    float most = logits[0], least = logits[0];
    double sum = 0;
    for (int i = 1; i < vocab; i++) {
        most = logits[i] > most ? logits[i] : most;
        least = logits[i] < least ? logits[i] : least;
    }
    if (!isfinite(most) || !isfinite(least))
        return tri_fail(e, TRI_FAILED, "the logits of position %zu are not finite; the model must be damaged", w->row);
    least = least > most - DEEPEST ? least : most - DEEPEST;
    for (int i = 0; i < vocab; i++)
        sum += tri_exp((double)(logits[i] - most));
    const float log_sum = (float)tri_log(sum), scale = (most - least) / STEPS;
    const float front[2] = {scale, least - most - log_sum};
    memcpy(w->steps, front, sizeof front);
    for (int i = 0; i < vocab; i++)
        w->steps[FRONT + i] = logits[i] > least ? (uint16_t)lrintf(1 / scale * (logits[i] - least)) : 0;
    return tri_output_write(w->file, row_offset(&w->header, w->row++), w->steps,
                            row_steps(&w->header) * sizeof *w->steps, e);
}

enum tri_status tri_logits_commit(struct tri_logits_writer *w, struct tri_error *e)
{
    return tri_output_commit(w->file, e);
}

void tri_logits_close(struct tri_logits_writer *w)
{
    if (!w)
        return;
    tri_output_close(w->file);
    tri_free(w->steps);
    tri_free(w);
}

/* -- reading ------------------------------------------------------------------------ */

enum { LEAST_CONTEXT = 4, MOST = 1 << 24 }; /* of tokens in a chunk, and in a vocabulary */

static enum tri_status check(const struct tri_map *map, const struct tri_logits_header *h, const char *path,
                             struct tri_error *e)
{
    if (h->context < LEAST_CONTEXT || h->context > MOST || h->vocab < 1 || h->vocab > MOST || h->chunks < 1)
        return tri_fail(e, TRI_BAD_FILE, "%s: byte 8: expected a context, a vocabulary and a number of chunks, "
                        "found %d, %d and %d", path, h->context, h->vocab, h->chunks);
    const double bytes = HEAD + (double)h->chunks * (4.0 * h->context + 2.0 * (double)rows(h) * (double)row_steps(h));
    if ((double)map->size < bytes)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected %.0f bytes for %d chunks of %d tokens, found %zu; it was cut",
                        path, bytes, h->chunks, h->context, map->size);
    const int32_t *tokens = tri_logits_tokens(map);
    for (size_t i = 0; i < (size_t)h->chunks * (size_t)h->context; i++)
        if (tokens[i] < 0 || tokens[i] >= h->vocab)
            return tri_fail(e, TRI_BAD_FILE, "%s: byte %zu: expected a token from 0 to %d, found %d", path,
                            HEAD + 4 * i, h->vocab - 1, tokens[i]);
    return TRI_OK;
}

enum tri_status tri_logits_open(const char *path, struct tri_map *map, struct tri_logits_header *h,
                                struct tri_error *e)
{
    if (tri_map_open(map, path, e) != TRI_OK)
        return e->status;
    enum tri_status status = TRI_OK;
    if (map->size < HEAD || memcmp(map->data, magic, sizeof magic) != 0)
        status = tri_fail(e, TRI_BAD_FILE, "%s: expected a file of --save-all-logits, which begins with \"_logits_\", "
                          "found something else", path);
    if (status == TRI_OK) {
        memcpy(h, map->data + sizeof magic, sizeof *h);
        status = check(map, h, path, e);
    }
    if (status != TRI_OK)
        tri_map_close(map);
    return status;
}

const int32_t *tri_logits_tokens(const struct tri_map *map)
{
    return (const int32_t *)(const void *)(map->data + HEAD);
}

enum tri_status tri_logits_row(const struct tri_map *map, const struct tri_logits_header *h, const char *path, int c,
                               int i, const uint16_t **steps, float *scale, float *least, struct tri_error *e)
{
    const size_t offset = row_offset(h, (size_t)c * rows(h) + (size_t)i);
    memcpy(scale, map->data + offset, sizeof *scale);
    memcpy(least, map->data + offset + sizeof *scale, sizeof *least);
    *steps = (const uint16_t *)(const void *)(map->data + offset) + FRONT;
    if (!isfinite(*scale) || !isfinite(*least) || *scale < 0)
        return tri_fail(e, TRI_BAD_FILE, "%s: byte %zu: expected a scale and a least log probability, found %g and %g",
                        path, offset, (double)*scale, (double)*least);
    return TRI_OK;
}
