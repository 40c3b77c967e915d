/* Owns: the three formats that tasks come in, and which tasks of a file are used. */
#include "cli/quality.h"

#include "base/twister.h"

#include <stdio.h>
#include <string.h>

/* -- lines ----------------------------------------------------------------- */

static bool next_line(struct tri_task_file *f, struct tri_text *line)
{
    if (f->offset >= f->size)
        return false;
    const char *at = (const char *)f->at + f->offset;
    const char *end = memchr(at, '\n', f->size - f->offset);
    const size_t size = end ? (size_t)(end - at) : f->size - f->offset;
    *line = (struct tri_text){.at = at, .size = size};
    f->offset += size + (end != NULL);
    return true;
}

static enum tri_status nothing_in_front(struct tri_task_file *f, struct tri_error *e)
{
    (void)f, (void)e;
    return TRI_OK;
}

/* -- HellaSwag: context, number of the right ending, four endings, a line each ------ */

enum { ENDINGS = 4 };

static enum tri_status read_hellaswag(struct tri_task_file *f, struct tri_task *t, struct tri_error *e)
{
    struct tri_text label = {0};
    bool whole = next_line(f, &t->question) && next_line(f, &label);
    for (int i = 0; i < ENDINGS; i++)
        whole = whole && next_line(f, &t->answer[i]);
    if (!whole)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected six lines for each task, found fewer for task %zu, the last",
                        f->name, f->number + 1);
    const size_t digits = label.size - (label.size > 1 && label.at[label.size - 1] == '\r');
    if (digits != 1 || label.at[0] < '0' || label.at[0] >= '0' + ENDINGS)
        return tri_fail(e, TRI_BAD_FILE, "%s:%zu: expected the number of the right ending, 0 to 3, found \"%.*s\"",
                        f->name, 6 * f->number + 2, label.size < 40 ? (int)label.size : 40, label.at);
    t->answers = ENDINGS;
    t->tail.size = 0;
    for (int i = 0; i < ENDINGS; i++)
        t->right[i] = label.at[0] == '0' + i;
    return TRI_OK;
}

const struct tri_task_format tri_hellaswag = {
    .name = "HellaSwag", .uniform = true, .begin = nothing_in_front, .read = read_hellaswag};

/* -- Winogrande: index,sentence with _,answer,answer,1 or 2; a sentence with commas in quotes -------------- */

enum { FIELDS = 5 };

/* Up to the next comma outside quotes, or the end. */
static struct tri_text next_field(struct tri_text *line)
{
    size_t size = 0;
    for (bool quoted = false; size < line->size && (quoted || line->at[size] != ','); size++)
        quoted ^= line->at[size] == '"';
    const struct tri_text field = {.at = line->at, .size = size};
    const size_t taken = size + (size < line->size);
    *line = (struct tri_text){.at = line->at + taken, .size = line->size - taken};
    return field;
}

static struct tri_text unquote(struct tri_text t)
{
    if (t.size >= 2 && t.at[0] == '"' && t.at[t.size - 1] == '"')
        return (struct tri_text){.at = t.at + 1, .size = t.size - 2};
    return t;
}

static enum tri_status read_winogrande(struct tri_task_file *f, struct tri_task *t, struct tri_error *e)
{
    struct tri_text line = {0}, field[FIELDS];
    next_line(f, &line);
    for (int i = 0; i < FIELDS; i++)
        field[i] = next_field(&line);
    const struct tri_text sentence = unquote(field[1]), label = field[4];
    const char *gap = sentence.size ? memchr(sentence.at, '_', sentence.size) : NULL;
    if (!gap || !label.size || (label.at[0] != '1' && label.at[0] != '2'))
        return tri_fail(e, TRI_BAD_FILE, "%s:%zu: expected INDEX,SENTENCE with a _,ANSWER,ANSWER,1 or 2, found no %s",
                        f->name, f->number + 1, gap ? "1 or 2 in the fifth field" : "_ in the second field");
    const size_t before = (size_t)(gap - sentence.at);
    t->question = (struct tri_text){.at = sentence.at, .size = before};
    t->tail = (struct tri_text){.at = gap + 1, .size = sentence.size - before - 1};
    t->answers = 2;
    for (int i = 0; i < 2; i++) {
        t->answer[i] = field[2 + i];
        t->right[i] = label.at[0] == '1' + i;
    }
    return TRI_OK;
}

const struct tri_task_format tri_winogrande = {
    .name = "Winogrande", .tailed = true, .begin = nothing_in_front, .read = read_winogrande};

/* -- multiple choice: number of tasks, their offsets, then each: question, and twice answers with labels ------- */

static enum tri_status cut(const struct tri_task_file *f, const char *what, struct tri_error *e)
{
    return tri_fail(e, TRI_BAD_FILE, "%s: task %zu: expected %s at byte %zu, found the end of the file at %zu", f->name,
                    f->number + 1, what, f->offset, f->size);
}

static enum tri_status read_u32(struct tri_task_file *f, uint32_t *value, const char *what, struct tri_error *e)
{
    if (f->size - f->offset < sizeof *value)
        return cut(f, what, e);
    memcpy(value, f->at + f->offset, sizeof *value);
    f->offset += sizeof *value;
    return TRI_OK;
}

static enum tri_status read_text(struct tri_task_file *f, struct tri_text *t, const char *what, struct tri_error *e)
{
    uint32_t size = 0;
    if (read_u32(f, &size, what, e) != TRI_OK)
        return e->status;
    if (size > f->size - f->offset)
        return cut(f, what, e);
    *t = (struct tri_text){.at = (const char *)f->at + f->offset, .size = size};
    f->offset += size;
    return TRI_OK;
}

static enum tri_status read_answers(struct tri_task_file *f, struct tri_task *t, struct tri_error *e)
{
    uint32_t count = 0, label = 0;
    if (read_u32(f, &count, "a number of answers", e) != TRI_OK)
        return e->status;
    if (count > TRI_MOST_ANSWERS)
        return tri_fail(e, TRI_BAD_FILE, "%s: task %zu: expected at most %d answers, found %u before byte %zu", f->name,
                        f->number + 1, TRI_MOST_ANSWERS, count, f->offset);
    for (uint32_t i = 0; i < count; i++)
        if (read_text(f, &t->answer[i], "an answer", e) != TRI_OK)
            return e->status;
    for (uint32_t i = 0; i < count; i++) {
        if (read_u32(f, &label, "a label", e) != TRI_OK)
            return e->status;
        t->right[i] = label == 1;
    }
    t->answers = (int)count;
    return TRI_OK;
}

/* The offsets say what follows from the tasks themselves. */
static enum tri_status begin_multiple_choice(struct tri_task_file *f, struct tri_error *e)
{
    uint32_t count = 0;
    if (read_u32(f, &count, "the number of tasks", e) != TRI_OK)
        return e->status;
    if (count > (f->size - f->offset) / sizeof count)
        return tri_fail(e, TRI_BAD_FILE, "%s: expected a file of tasks for multiple choice, found one that promises %u "
                        "of them and has %zu bytes", f->name, count, f->size);
    f->offset += count * sizeof count;
    return TRI_OK;
}

/* The second set of answers, of which several may be right, is passed over. */
static enum tri_status read_multiple_choice(struct tri_task_file *f, struct tri_task *t, struct tri_error *e)
{
    struct tri_task other;
    if (read_text(f, &t->question, "a question", e) != TRI_OK || read_answers(f, t, e) != TRI_OK ||
        read_answers(f, &other, e) != TRI_OK)
        return e->status;
    t->tail.size = 0;
    return t->answers ? TRI_OK : tri_fail(e, TRI_BAD_FILE, "%s: task %zu: expected answers, found none", f->name,
                                          f->number + 1);
}

const struct tri_task_format tri_multiple_choice = {
    .name = "multiple choice", .begin = begin_multiple_choice, .read = read_multiple_choice};

/* -- which tasks ------------------------------------------------------------ */

/* Without the one that was taken: the others in order, or the last in its place. */
static void leave_out(size_t *left, size_t count, size_t at, bool ordered)
{
    if (ordered)
        memmove(left + at, left + at + 1, (count - at - 1) * sizeof *left);
    else
        left[at] = left[count - 1];
}

/* In floats, as llama-perplexity does; they may round up to `count`, which it has not. */
static size_t roughly_below(struct tri_twister *t, size_t count)
{
    const size_t at = (size_t)((float)tri_twister_next(t) * 0x1p-32f * (float)count);
    return at < count ? at : count - 1;
}

size_t tri_task_order(const struct tri_task_format *f, size_t count, size_t tasks, size_t *order)
{
    struct tri_twister random;
    const bool all = tasks == 0 || tasks >= count;
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (all && !f->uniform)
        return count;
    tasks = all ? count : tasks;
    tri_twister_seed(&random, 1);
    for (size_t done = 0; done < tasks; done++) { /* order: those drawn, then those left */
        size_t *left = order + done;
        const size_t at = f->uniform ? tri_twister_below(&random, (uint32_t)(count - done))
                                     : roughly_below(&random, count - done);
        const size_t drawn = left[at];
        leave_out(left, count - done, at, f->uniform);
        memmove(left + 1, left, (count - done - 1) * sizeof *left);
        *left = drawn;
    }
    return tasks;
}
