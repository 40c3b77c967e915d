/* A vocabulary for models that were never trained: of any size, and it cuts every text. */
#ifndef TRI_FILLER_H
#define TRI_FILLER_H

#include "file/gguf_write.h"

enum tri_filler {
    TRI_FILLER_BPE, /* byte-level, with the special tokens of a Llama 3 vocabulary in as many places as there */
    TRI_FILLER_SPM, /* SentencePiece's, with <unk>, <s>, </s> and the bytes in front */
};

/* The bytes, and the special tokens of the former. */
enum { TRI_FILLER_LEAST = 256 + 256 };

/* The keys of a vocabulary of `size` tokens: beside bytes and special ones words, each one letter more than one before.
 * TRI_USAGE for fewer than TRI_FILLER_LEAST. */
enum tri_status tri_filler_add(struct tri_gguf_writer *w, enum tri_filler filler, int size, struct tri_error *e);

#endif
