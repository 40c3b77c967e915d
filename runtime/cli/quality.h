/* Measures of quality beside the perplexity of a text, in llama-perplexity's file formats and by its rules: tasks with
 * several answers (HellaSwag, Winogrande, multiple choice), and the divergence from another model's probabilities. */
#ifndef TRI_QUALITY_H
#define TRI_QUALITY_H

#include "base/memory.h"
#include "base/output.h"
#include "cli/load.h"

#include <jansson.h>

/* Prints one object on a line of standard output, and frees it. TRI_NO_MEMORY: it is NULL. */
enum tri_status tri_quality_json(json_t *all, struct tri_error *e);

/* -log of the probability that softmax gives `expected`. logits: [vocab]. */
double tri_quality_nll(const float *logits, int vocab, int32_t expected);

/* Feeds ids[kept..count) behind ids[0..kept), which the session holds already; each(arg, i, logits) gets the logits of
 * ids[from + i], kept <= from. TRI_INTERRUPTED on Ctrl-C. */
enum tri_status tri_quality_feed(struct tri_session *s, const int32_t *ids, int kept, int from, int count,
                                 tri_each_fn *each, void *arg, struct tri_error *e);

/* -- tasks with answers ------------------------------------------------------------------------------------ */

enum { TRI_MOST_ANSWERS = 100 };

/* A text with a gap: question, answer, tail. Points into the file. */
struct tri_task {
    struct tri_text question, tail;
    struct tri_text answer[TRI_MOST_ANSWERS];
    bool right[TRI_MOST_ANSWERS];
    int answers;
};

/* A file of tasks, read one after another. */
struct tri_task_file {
    const char *name;
    const uint8_t *at;
    size_t size, offset; /* bytes; of the next task */
    size_t number;       /* tasks read so far */
};

struct tri_task_format {
    const char *name;
    bool tailed;  /* answers stand within a sentence, and what follows them is judged; else the answer itself is */
    bool uniform; /* some of many tasks, all of few: always in random order, drawn without bias */
    /* What stands in front of the first task: offset moves. */
    enum tri_status (*begin)(struct tri_task_file *f, struct tri_error *e);
    /* The next task; offset moves. TRI_BAD_FILE with line or byte. */
    enum tri_status (*read)(struct tri_task_file *f, struct tri_task *t, struct tri_error *e);
};

extern const struct tri_task_format tri_hellaswag, tri_winogrande, tri_multiple_choice;

/* Which of `count` tasks are used, in which order: order[0..tasks), room for `count`. tasks 0: all. Returns how
 * many. */
size_t tri_task_order(const struct tri_task_format *f, size_t count, size_t tasks, size_t *order);

/* Scores `tasks` (0: all) of the file, a row each on stdout as it comes, or with `json` one object in the end. */
enum tri_status tri_quality_tasks(struct tri_load *l, const struct tri_task_format *f, const char *path, int tasks,
                                  bool json, struct tri_error *e);

/* -- probabilities of another model -------------------------------------------------------------------------- */

/* A file of log probabilities: of chunks of `context` tokens, for those behind positions [context / 2, context - 1). */
struct tri_logits_header {
    int32_t context, vocab, chunks;
};

/* Writes one, whole or not at all. */
struct tri_logits_writer;
struct tri_logits_writer *tri_logits_create(const char *path, const struct tri_logits_header *h, const int32_t *tokens,
                                            struct tri_error *e);
/* The next position's logits, [vocab]. */
enum tri_status tri_logits_add(struct tri_logits_writer *w, const float *logits, struct tri_error *e);
enum tri_status tri_logits_commit(struct tri_logits_writer *w, struct tri_error *e);
void tri_logits_close(struct tri_logits_writer *w); /* NULL: nothing; without a commit nothing stays */

/* Opens one and checks all its sizes. The map is to be closed by the caller. */
enum tri_status tri_logits_open(const char *path, struct tri_map *map, struct tri_logits_header *h,
                                struct tri_error *e);
const int32_t *tri_logits_tokens(const struct tri_map *map);
/* Of chunk c, position i of those that are there: [vocab] steps of *scale above *least. TRI_BAD_FILE if these are not
 * finite. */
enum tri_status tri_logits_row(const struct tri_map *map, const struct tri_logits_header *h, const char *path, int c,
                               int i, const uint16_t **steps, float *scale, float *least, struct tri_error *e);

/* Compares the model with the file's: what llama-perplexity prints, or with `json` one object. l->context is the file's
 * from here on. */
enum tri_status tri_quality_divergence(struct tri_load *l, const char *path, bool json, struct tri_error *e);

#endif
