/* A vocabulary for models that were never trained: byte-level BPE of any size, which cuts every text. */
#ifndef TRI_FILLER_H
#define TRI_FILLER_H

#include "file/gguf_write.h"

/* The bytes, and the special tokens of a Llama 3 vocabulary in as many places as there. */
enum { TRI_FILLER_LEAST = 256 + 256 };

/* The keys of a vocabulary of `size` tokens: first the bytes, then words, each one letter more than one before; the
 * special tokens behind them. TRI_USAGE for fewer than TRI_FILLER_LEAST. */
enum tri_status tri_filler_add(struct tri_gguf_writer *w, int size, struct tri_error *e);

#endif
