/* Hugging Face's tokenizer.json and tokenizer_config.json (formats.md 5.6) as the keys a GGUF file has. */
#ifndef TRI_TOKENIZER_JSON_H
#define TRI_TOKENIZER_JSON_H

#include "file/gguf_write.h"

/* Adds tokenizer.ggml.*, tokenizer.chat_template*, and for what GGUF has no key tritune.tokenizer.* (pretokenizer.h).
 * `config` is the text of tokenizer_config.json, or NULL; ids of bos and eos are added where one of the two files
 * tells. Messages begin with `name`, a path. TRI_BAD_FILE for what is broken or too large, TRI_UNSUPPORTED, saying
 * what, for all that could give other tokens than it should. */
enum tri_status tri_tokenizer_json_keys(struct tri_gguf_writer *w, const char *json, size_t size, const char *config,
                                        size_t config_size, const char *name, struct tri_error *e);

#endif
