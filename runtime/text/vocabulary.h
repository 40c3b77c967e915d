/* The tokens of a file: what bytes each stands for, what kind it is, and which token given bytes
 * are. */
#ifndef TRI_VOCABULARY_H
#define TRI_VOCABULARY_H

#include "base/error.h"
#include "file/gguf.h"

/* As tokenizer.ggml.token_type numbers them. */
enum tri_token_kind {
    TRI_TOKEN_NORMAL = 1,
    TRI_TOKEN_UNKNOWN,
    TRI_TOKEN_CONTROL,
    TRI_TOKEN_USER,
    TRI_TOKEN_UNUSED,
    TRI_TOKEN_BYTE
};

enum { TRI_ALPHABET = 0x144 }; /* code points 33 to 0x143 stand for bytes */

/* U+2581, which stands for a space in SentencePiece vocabularies. */
#define TRI_SPACE_MARK "\xE2\x96\x81"

/* How the texts of tokens are spelled. */
enum tri_spelling {
    TRI_BYTE_LEVEL, /* in the printable alphabet of byte-level BPE */
    TRI_MARKED,     /* U+2581 for spaces, <0xHH> for bytes (SentencePiece) */
};

struct tri_vocabulary {
    const struct tri_gguf *file;
    int32_t count;
    enum tri_spelling spelling;
    struct tri_text *token;         /* [count] the bytes each stands for; in the file, or in `decoded` */
    struct tri_text *text;          /* [count] what it is found by: `token`, or as spelled if TRI_MARKED */
    uint8_t *kind;                  /* [count] */
    int32_t byte[256];              /* the token of a single byte, or -1 */
    int16_t alphabet[TRI_ALPHABET]; /* of a code point the byte it stands for, or -1 */
    char *decoded;
    struct tri_slot *slot; /* hash table: bytes -> id */
    uint64_t mask, seed;
};

/* tokenizer.ggml.tokens and what goes with it. `v` may be freed after a failure, too. */
enum tri_status tri_vocabulary_read(struct tri_vocabulary *v, const struct tri_gguf *g, enum tri_spelling spelling,
                                    struct tri_error *e);
void tri_vocabulary_free(struct tri_vocabulary *v);

/* The token that ordinary text may become, or -1: control and unknown tokens are never found. Of
 * equal tokens the first. */
int32_t tri_vocabulary_find(const struct tri_vocabulary *v, const char *bytes, size_t size);

/* The same for up to TRI_FIND texts at once, which waits for memory once instead of for each. */
enum { TRI_FIND = 48 };
void tri_vocabulary_find_all(const struct tri_vocabulary *v, const struct tri_text *texts, int32_t *ids, size_t count);

/* Control and unknown tokens: no text unless asked for. */
bool tri_token_hidden(const struct tri_vocabulary *v, int32_t id);

/* Those and user-defined ones: looked for in a text before all else, spelled as they are. */
bool tri_token_special(const struct tri_vocabulary *v, int32_t id);

/* The code point below TRI_ALPHABET that stands for a byte in the printable alphabet of byte-level BPE. */
int tri_alphabet_point(int byte);

/* A text in that alphabet (formats.md 5.3) as the bytes it stands for,
 * of which there are never more; characters outside the alphabet stay as they are. Returns their
 * number. */
size_t tri_alphabet_decode(const struct tri_vocabulary *v, struct tri_text text, char *bytes);

/* The byte that "<0xHH>" stands for; -1: another text. */
int tri_named_byte(struct tri_text text);

/* A hash that differs from run to run (`seed` from tri_hash_seed), so that no file can be made to
 * collide. */
uint64_t tri_hash_seed(void);
uint64_t tri_hash(uint64_t seed, const char *bytes, size_t size);
uint64_t tri_hash_pair(uint64_t seed, uint64_t pair);

#endif
