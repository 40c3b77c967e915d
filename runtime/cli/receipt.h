/* Receipts of `tritune bench`: all that a run measured and what it ran on, as a versioned JSON file that can be run
 * again, and that contradicts itself when somebody changes it.
 *
 *     tri_receipt_write(b, argc, argv, "bench.json", &e);      behind a run
 *
 *     json_t *r = tri_receipt_read("bench.json", &e);          TRI_BAD_FILE: it is no receipt
 *     tri_receipt_check(r, &e);                                TRI_WRONG: it is not consistent in itself
 *     tri_receipt_options(r, words, &count, &e);               of the command, to be parsed
 *     tri_receipt_asks(r, b, &e);                              TRI_WRONG: its rows are not those the options ask for
 *     tri_receipt_compare(r, b, &e);                           behind a run: TRI_WRONG: another model or other bytes
 */
#ifndef TRI_RECEIPT_H
#define TRI_RECEIPT_H

#include "cli/bench.h"

enum { TRI_RECEIPT_VERSION = 1, TRI_RECEIPT_WORDS = 256 };

/* argv: of the command, as typed; words that name files or say how to show results are left out. The file appears whole
 * or not at all. Ternary files are hashed (model/trits.h), which takes a while. */
enum tri_status tri_receipt_write(const struct tri_bench *b, int argc, char **argv, const char *path,
                                  struct tri_error *e);

/* A JSON object with all keys of a receipt of this version, each of its type. The caller's to release. */
json_t *tri_receipt_read(const char *path, struct tri_error *e);

/* The same of a text; `name` begins the error. */
json_t *tri_receipt_parse(const char *text, size_t size, const char *name, struct tri_error *e);

/* Whether its numbers can be true together: statistics of samples, speeds and times, order of times, counts, reads
 * against what a core can load, bytes per token against the shape and the layouts, speeds against reads, grades, and
 * at last the checksum. TRI_WRONG names the first thing that cannot; TRI_UNSUPPORTED: layouts this build lacks. */
enum tri_status tri_receipt_check(const json_t *receipt, struct tri_error *e);

/* words[count], the receipt's strings; TRI_BAD_FILE for an option that no receipt has. */
enum tri_status tri_receipt_options(const json_t *receipt, char *words[TRI_RECEIPT_WORDS], int *count,
                                    struct tri_error *e);

bool tri_receipt_needs_file(const json_t *receipt);
enum tri_status tri_receipt_asks(const json_t *receipt, const struct tri_bench *b, struct tri_error *e);

/* Prints, for each row, both medians and their ratio with its bounds (compare.h). Slower or faster is no error. */
enum tri_status tri_receipt_compare(const json_t *receipt, const struct tri_bench *b, struct tri_error *e);

/* The numbers of a model's shape, as keys of the receipt's "model". */
struct tri_receipt_size {
    const char *key;
    size_t field; /* of struct tri_config: an int */
};
enum { TRI_RECEIPT_SIZES = 7 };
extern const struct tri_receipt_size tri_receipt_sizes[TRI_RECEIPT_SIZES];

static inline int *tri_receipt_size(struct tri_config *c, int i)
{
    return (int *)(void *)((char *)c + tri_receipt_sizes[i].field);
}

/* For receipt.c and receipt_check.c: of all keys but the checksum itself. NULL-terminated; false: no memory. */
bool tri_receipt_checksum(const json_t *receipt, char text[17]);

/* Of a ternary file, 16 hexadecimal digits; empty for a random model. */
enum tri_status tri_receipt_trits(const struct tri_bench *b, char text[17], struct tri_error *e);

#endif
