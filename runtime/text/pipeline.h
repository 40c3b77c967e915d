/* What the members "normalizer" and "pre_tokenizer" of a tokenizer.json do with a text before merges. */
#ifndef TRI_PIPELINE_H
#define TRI_PIPELINE_H

#include "text/pretokenizer.h"

#include <jansson.h>

struct tri_pipeline {
    bool byte_level;  /* texts of tokens are in the alphabet of byte-level BPE */
    bool marked;      /* spaces become U+2581 (SentencePiece); one of the two is set */
    bool space_first; /* if marked: one more in front of a text, and behind special tokens */
    bool composed;    /* the normalizer wants NFC */
    int count;
    const char *expression[TRI_MAX_EXPRESSIONS + 1]; /* in the JSON or in `literal`; NULL behind the last */
    char literal[TRI_MAX_EXPRESSIONS][64];
};

/* `p` points into `root`. TRI_UNSUPPORTED, saying what, for all that could give other tokens than it should. */
enum tri_status tri_pipeline_read(struct tri_pipeline *p, const json_t *root, const char *name, struct tri_error *e);

#endif
