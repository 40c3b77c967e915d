/* What every target shares: good inputs to begin with, mutations of them, and what must hold of any input.
 *
 *     fuzz_gguf AMOUNT SEED        mutates in a fixed order: so many times, or for seconds written "10s"
 *     fuzz_gguf --write DIRECTORY  its good inputs as files, for libFuzzer, which brings a loop of its own
 *
 * A target is LLVMFuzzerTestOneInput, true work whatever drives it, and fuzz_seeds. Programs run at the project's
 * root. Nothing may crash, hang or take memory without bound; what is refused must say why. */
#ifndef FUZZ_H
#define FUZZ_H

#include "base/error.h"
#include "file/gguf.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void fuzz_seeds(void);

/* Ends the program: a good input cannot be made, and why. */
void fuzz_die(const char *what, const char *name);
/* A good input, copied; most lies are told within its first `head` bytes. */
void fuzz_add(const void *bytes, size_t size, size_t head);
void fuzz_add_file(const char *path);
/* Bytes written in hex, to be freed. */
uint8_t *fuzz_hex(const char *hex, size_t *size);
/* A file of test vectors; its `cases` with "ok", or all for which `add` is given. To be freed with json_decref. */
json_t *fuzz_vectors(const char *path);
void fuzz_add_good(const char *path);

/* Ends the program unless the status is one of a bad file, and there is a text. */
void fuzz_expect_reason(const struct tri_error *e);
void fuzz_touch(const void *memory, size_t size); /* reads all of it */

/* Every key and tensor, first and last rows, the configuration, the tokenizer. */
void fuzz_read_model(const struct tri_gguf *g);

#endif
