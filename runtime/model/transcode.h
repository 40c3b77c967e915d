/* A model's file in another encoding, as a GGUF file: the same trits, proved while they are written, the same keys,
 * and float tensors as they are or in another type. */
#ifndef TRI_TRANSCODE_H
#define TRI_TRANSCODE_H

#include "model/trits.h"

struct tri_transcode {
    const struct tri_encoding *matrices;  /* for which there is an encoder (file/encode.h) */
    const struct tri_encoding *embedding; /* of token_embd and output; NULL: as they are */
    bool exact; /* TRI_UNSUPPORTED where a scale would change */
    bool dry;   /* nothing is written, everything checked and told */
};

struct tri_transcoded {
    struct tri_trits_hash hash; /* zeros after a dry run */
    double scale_change;        /* the largest relative one */
    char scale_name[64];        /* of the matrix it was found in */
    int matrices, recoded, copied;
    uint64_t bytes; /* of all tensors */
};

/* Writes `path`, which appears whole or not at all. TRI_UNSUPPORTED, before anything is written, for a matrix whose
 * rows or scales the encoding cannot hold; TRI_FAILED if the disk has not enough; TRI_INTERRUPTED once stop() is true.
 * Percent on stderr if it is a terminal. */
enum tri_status tri_transcode(const struct tri_transcode *how, const struct tri_gguf *g, const char *path,
                              struct tri_pool *pool, bool (*stop)(void), struct tri_transcoded *done,
                              struct tri_error *e);

#endif
