/* Owns: scoring tasks with several answers, and printing the score. Leaves out their files (quality_formats.c). */
#include "cli/quality.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT_TAIL = 3 }; /* tokens: with no more, a Winogrande answer is judged itself, too */

struct scorer {
    const struct tri_load *load;
    const struct tri_task_format *format;
    struct tri_task_file file;
    struct tri_task task;
    /* of the task at hand, for each answer */
    struct tri_ids ids[TRI_MOST_ANSWERS];
    double score[TRI_MOST_ANSWERS]; /* mean log probability of its judged tokens */
    int chosen;
    /* so far */
    size_t done, correct, answers;
    json_t *rows; /* NULL: rows are printed */
};

/* -- tokens --------------------------------------------------------------------- */

static size_t append(char *text, size_t at, struct tri_text piece)
{
    if (text && piece.size)
        memcpy(text + at, piece.at, piece.size);
    return at + piece.size;
}

/* The task's text with one answer in it, up to its end or to the answer's; *text: to be freed. */
static enum tri_status join(const struct scorer *s, int answer, bool tail, char **text, size_t *size,
                            struct tri_error *e)
{
    const struct tri_task *t = &s->task;
    const struct tri_text space = {.at = " ", .size = s->format->tailed ? 0 : 1};
    const struct tri_text rest = {.at = t->tail.at, .size = tail ? t->tail.size : 0};
    const struct tri_text pieces[] = {t->question, space, t->answer[answer], rest};
    *size = 0;
    for (int i = 0; i < 4; i++)
        *size = append(NULL, *size, pieces[i]);
    if (!(*text = malloc(*size + 1)))
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for a text of %zu bytes", s->file.name, *size);
    size_t at = 0;
    for (int i = 0; i < 4; i++)
        at = append(*text, at, pieces[i]);
    return TRI_OK;
}

static enum tri_status tokenize(const struct scorer *s, int answer, bool tail, struct tri_ids *ids, struct tri_error *e)
{
    char *text;
    size_t size;
    if (join(s, answer, tail, &text, &size, e) != TRI_OK)
        return e->status;
    ids->count = 0;
    const enum tri_status status = tri_tokenize(s->load->tokenizer, text, size, TRI_ADD_SPECIAL, ids, e);
    free(text);
    return status;
}

/* Tokens that all answers' texts begin with; each has one more at least. */
static int common(const struct scorer *s)
{
    size_t n = s->ids[0].count;
    for (int a = 1; a < s->task.answers; a++)
        n = s->ids[a].count < n ? s->ids[a].count : n;
    for (size_t i = 0; i + 1 < n; i++)
        for (int a = 1; a < s->task.answers; a++)
            if (s->ids[a].at[i] != s->ids[0].at[i])
                return (int)i;
    return n ? (int)n - 1 : 0;
}

/* -- one task -------------------------------------------------------------------- */

struct sum {
    const int32_t *ids; /* of the answer's text, from the first that is foreseen */
    int vocab, skip;    /* foreseen tokens in front of those that are judged */
    double logs;
};

static void add_up(void *arg, int i, const float *logits)
{
    struct sum *sum = arg;
    if (i >= sum->skip)
        sum->logs -= tri_quality_nll(logits, sum->vocab, sum->ids[i]);
}

/* Judged are ids[from..to); ids[0..kept) are in the session. */
static enum tri_status score_answer(struct scorer *s, int answer, int kept, int shared, int from, int to,
                                    struct tri_error *e)
{
    const int32_t *ids = s->ids[answer].at;
    struct sum sum = {.ids = ids + shared, .vocab = s->load->weights->config.vocab, .skip = from - shared};
    if (tri_quality_feed(s->load->session, ids, kept, shared - 1, to - 1, add_up, &sum, e) != TRI_OK)
        return e->status;
    s->score[answer] = sum.logs / (to - from);
    return TRI_OK;
}

static bool long_tails(const struct scorer *s, int shared)
{
    for (int a = 0; a < s->task.answers; a++)
        if ((int)s->ids[a].count - shared <= SHORT_TAIL)
            return false;
    return true;
}

/* Where the judged tokens begin and end. Within a sentence those are what follows the answer, without the last, the
 * full stop. llama-perplexity judges the first token of a second answer with a short tail by the logits behind the
 * text of the first; here it is judged by those in front of it. */
static enum tri_status find_judged(struct scorer *s, int answer, int shared, int *from, int *to, struct tri_error *e)
{
    struct tri_ids lead = {0};
    *from = shared;
    *to = (int)s->ids[answer].count;
    if (!s->format->tailed)
        return TRI_OK;
    if (long_tails(s, shared)) {
        if (tokenize(s, answer, false, &lead, e) != TRI_OK)
            return e->status;
        *from = (int)lead.count > shared ? (int)lead.count : shared;
        *from = *from < *to ? *from : *to - 1;
        tri_ids_free(&lead);
    }
    *to -= *to - *from > 1;
    return TRI_OK;
}

static enum tri_status check_task(const struct scorer *s, int shared, struct tri_error *e)
{
    const size_t context = (size_t)tri_session_context(s->load->session);
    if (shared < 1)
        return tri_fail(e, TRI_UNSUPPORTED, "%s: task %zu: expected answers that follow something, found none in front "
                        "of them, and a vocabulary without bos", s->file.name, s->file.number + 1);
    for (int a = 0; a < s->task.answers; a++)
        if (s->ids[a].count > context)
            return tri_fail(e, TRI_FAILED, "%s: task %zu: expected at most %zu tokens, found %zu; use a larger context "
                            "(-c)", s->file.name, s->file.number + 1, context, s->ids[a].count);
    return TRI_OK;
}

/* The likeliest answer, the first of equals. */
static enum tri_status score_task(struct scorer *s, struct tri_error *e)
{
    int from, to;
    for (int a = 0; a < s->task.answers; a++)
        if (tokenize(s, a, true, &s->ids[a], e) != TRI_OK)
            return e->status;
    const int shared = common(s);
    if (check_task(s, shared, e) != TRI_OK)
        return e->status;
    s->chosen = 0;
    for (int a = 0; a < s->task.answers; a++) {
        if (find_judged(s, a, shared, &from, &to, e) != TRI_OK ||
            score_answer(s, a, a ? shared - 1 : 0, shared, from, to, e) != TRI_OK)
            return e->status;
        s->chosen = s->score[a] > s->score[s->chosen] ? a : s->chosen;
    }
    s->done++;
    s->correct += s->task.right[s->chosen];
    s->answers += (size_t)s->task.answers;
    return TRI_OK;
}

/* -- printing -------------------------------------------------------------------- */

static double percent(const struct scorer *s)
{
    return 100.0 * (double)s->correct / (double)s->done;
}

/* As llama-perplexity prints them. */
static void print_row(const struct scorer *s)
{
    if (s->format->tailed)
        printf("%zu\t%.4f\t%10.6f  %10.6f  %d  %d\n", s->done, percent(s), s->score[0], s->score[1], s->chosen + 1,
               s->task.right[0] ? 1 : 2);
    else
        printf("%zu\t%.8f\n", s->done, percent(s));
    fflush(stdout);
}

static void add_row(struct scorer *s)
{
    json_t *scores = json_array();
    for (int a = 0; a < s->task.answers; a++)
        json_array_append_new(scores, json_real(s->score[a]));
    json_array_append_new(s->rows, json_pack("{s:I, s:o, s:i, s:b}", "task", (json_int_t)s->file.number, "scores",
                                             scores, "chosen", s->chosen, "right", s->task.right[s->chosen]));
}

/* Of a share p of n trials, in percent. */
static double deviation(double p, size_t n)
{
    return n > 1 ? 100 * sqrt(p * (1 - p) / (double)(n - 1)) : 0;
}

static enum tri_status print_score(struct scorer *s, struct tri_error *e)
{
    const double p = (double)s->correct / (double)s->done, chance = (double)s->done / (double)s->answers;
    if (!s->rows) {
        printf("\nFinal %s score(%zu tasks): %.4f +/- %.4f\nRandom chance: %.4f +/- %.4f\n", s->format->name, s->done,
               100 * p, deviation(p, s->done), 100 * chance, deviation(chance, s->done));
        return TRI_OK;
    }
    json_t *all = json_pack("{s:I, s:I, s:f, s:f, s:f, s:O}", "tasks", (json_int_t)s->done, "correct",
                            (json_int_t)s->correct, "score", 100 * p, "deviation", deviation(p, s->done), "chance",
                            100 * chance, "rows", s->rows);
    return tri_quality_json(all, e);
}

/* -- the file ---------------------------------------------------------------------- */

/* Where each task begins. (*offset)[0..*count): to be freed, whatever is returned. */
static enum tri_status find_tasks(struct scorer *s, size_t **offset, size_t *count, struct tri_error *e)
{
    struct tri_task_file *f = &s->file;
    size_t room = 0;
    if (s->format->begin(f, e) != TRI_OK)
        return e->status;
    for (; f->offset < f->size; *count = ++f->number) {
        if (f->number == room) {
            size_t *grown = realloc(*offset, (room = 2 * room + 64) * sizeof *grown);
            if (!grown)
                return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu tasks", f->name, room);
            *offset = grown;
        }
        (*offset)[f->number] = f->offset;
        if (s->format->read(f, &s->task, e) != TRI_OK)
            return e->status;
    }
    return *count ? TRI_OK
                  : tri_fail(e, TRI_BAD_FILE, "%s: expected tasks of %s, found none", f->name, s->format->name);
}

static enum tri_status score_all(struct scorer *s, const size_t *offset, const size_t *order, size_t tasks,
                                 struct tri_error *e)
{
    if (!s->rows)
        printf(s->format->tailed ? "\n" : "\ntask\tacc_norm\n");
    for (size_t i = 0; i < tasks; i++) {
        s->file.number = order[i];
        s->file.offset = offset[order[i]];
        if (s->format->read(&s->file, &s->task, e) != TRI_OK || score_task(s, e) != TRI_OK)
            return e->status;
        if (s->rows)
            add_row(s);
        else
            print_row(s);
    }
    return print_score(s, e);
}

static enum tri_status run(struct scorer *s, size_t tasks, struct tri_error *e)
{
    size_t *offset = NULL, count = 0, *order = NULL;
    enum tri_status status = find_tasks(s, &offset, &count, e);
    if (status == TRI_OK && !(order = calloc(count, sizeof *order)))
        status = tri_fail(e, TRI_NO_MEMORY, "%s: no memory for %zu tasks", s->file.name, count);
    if (status == TRI_OK)
        status = score_all(s, offset, order, tri_task_order(s->format, count, tasks, order), e);
    free(order);
    free(offset);
    return status;
}

enum tri_status tri_quality_tasks(struct tri_load *l, const struct tri_task_format *f, const char *path, int tasks,
                                  bool json, struct tri_error *e)
{
    struct tri_map map;
    struct scorer *s = calloc(1, sizeof *s);
    if (!s)
        return tri_fail(e, TRI_NO_MEMORY, "%s: no memory for its tasks", path);
    if (tri_map_open(&map, path, e) != TRI_OK) {
        free(s);
        return e->status;
    }
    s->load = l;
    s->format = f;
    s->file = (struct tri_task_file){.name = path, .at = map.data, .size = map.size};
    s->rows = json ? json_array() : NULL;
    const enum tri_status status = run(s, (size_t)tasks, e);
    for (int a = 0; a < TRI_MOST_ANSWERS; a++)
        tri_ids_free(&s->ids[a]);
    json_decref(s->rows);
    tri_map_close(&map);
    free(s);
    return status;
}
