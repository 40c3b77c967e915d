/* Speeds that others published: tables of results/published, which the program holds, and of files; and ours beside. A
 * table is an object as bench/schema/published.json says. */
#ifndef TRI_BENCH_PUBLISHED_H
#define TRI_BENCH_PUBLISHED_H

#include "cli/command.h"
#include "model/model.h"

#include <jansson.h>

/* The tables of one kind ("bitnet.cpp", "llama-bench", "ik-sweep"), those of the program first, then of `files`. NULL
 * with TRI_BAD_FILE, which says where, or TRI_NO_MEMORY; the caller's to release. */
json_t *tri_published_read(const char *kind, const struct tri_texts *files, struct tri_error *e);

/* Names of sizes (model/synth.h) in these tables, each once, in their order: an array of strings; NULL: no memory. */
json_t *tri_published_models(const json_t *tables);

/* Numbers of threads that these tables have for a model, up to `most`, as a list of `bench -t`; false if there are none
 * or no room. */
bool tri_published_threads(const json_t *tables, const char *model, int most, char *list, size_t room);

/* The name under which these tables have a model of this shape, valid as long as they are; NULL: none has. */
const char *tri_published_name(const json_t *tables, const struct tri_config *config);

/* Prints what was published of tests that are in `rows`, an array of objects {"name": as above, "row": of -o json},
 * beside the one with as many threads, else the fastest. */
void tri_published_print(const json_t *tables, const json_t *rows);

#endif
