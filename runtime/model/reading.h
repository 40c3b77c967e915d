/* The ceiling of a model that runs: how fast its own packed bytes can be read, by the threads that compute with them,
 * where they lie. Nothing that decodes a token from memory is faster. */
#ifndef TRI_READING_H
#define TRI_READING_H

#include "model/model.h"

/* Bytes that one reading goes through: every packed matrix, and the output matrix or the copy that screens it. */
size_t tri_model_read_bytes(const struct tri_model *m);

/* GB/s (10^9) at which `team` of the pool reads them, each thread its own share of every matrix as in a pass, and does
 * nothing else: the faster of the ways of stream.h, of one reading each, or of several where the model is so small that
 * it lies in a cache (16 MiB at least). Leaves the pool with this team. Between regions only. */
double tri_model_read(const struct tri_model *m, struct tri_pool *pool, struct tri_team team);

#endif
