/* What a session holds, in a file, so that a prompt need not be computed twice.
 *
 *     tri_session_save(s, tri_session_position(s), "prompt.bin", &e);
 *     tri_session_load(s, "prompt.bin", ids, n, &e);                another time: takes over what ids begins with,
 *     int at = tri_session_position(s);                             at most n - 1 positions
 *     tri_session_feed(s, ids + at, n - at, &logits, &e);           the same bits as without the file */
#ifndef TRI_SESSION_FILE_H
#define TRI_SESSION_FILE_H

#include "engine/session.h"

/* The first `count` positions, 1 to all, of their ids, keys and values. The file appears whole or not at all, in place
 * of one that was there. TRI_USAGE for a count out of range, TRI_FAILED if the file cannot be written. */
enum tri_status tri_session_save(const struct tri_session *s, int count, const char *path, struct tri_error *e);

/* Forgets what the session holds, and takes from the file the positions whose tokens are those `ids` begins with, all but
 * the last of ids at most: that is to be fed, for its logits. On error the session is as it was: TRI_BAD_FILE if the
 * file is none of these, is damaged, or comes of another model; TRI_UNSUPPORTED if its version or cache types are
 * others; and what tri_session_feed says of ids. */
enum tri_status tri_session_load(struct tri_session *s, const char *path, const int32_t *ids, int count,
                                 struct tri_error *e);

#endif
