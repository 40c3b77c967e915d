/* The growing list of ids, for the files of this folder. */
#ifndef TRI_IDS_H
#define TRI_IDS_H

#include "text/tokenizer.h"

enum tri_status tri_ids_add(struct tri_ids *ids, int32_t id, struct tri_error *e);

/* Those of [first, first + count) once more. */
enum tri_status tri_ids_repeat(struct tri_ids *ids, size_t first, size_t count, struct tri_error *e);

#endif
