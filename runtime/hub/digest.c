/* Owns: checking a file against a digest. The hashing itself is libcrypto's. */
#include "hub/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { BLOCK = 1 << 18, SHA1_DIGITS = 40, SHA256_DIGITS = 64 };

bool tri_hub_digest_good(const char *digest)
{
    const size_t size = strlen(digest);
    return (size == SHA1_DIGITS || size == SHA256_DIGITS) && strspn(digest, "0123456789abcdef") == size;
}

/* Git hashes "blob SIZE", a zero byte, and the file. */
static bool begin(EVP_MD_CTX *hash, FILE *in, bool git)
{
    struct stat st;
    char head[40];
    if (EVP_DigestInit_ex(hash, git ? EVP_sha1() : EVP_sha256(), NULL) != 1 || fstat(fileno(in), &st) != 0)
        return false;
    const int size = snprintf(head, sizeof head, "blob %lld", (long long)st.st_size);
    return !git || EVP_DigestUpdate(hash, head, (size_t)size + 1) == 1;
}

static enum tri_status all(EVP_MD_CTX *hash, FILE *in, const char *path, bool (*stop)(void), struct tri_error *e)
{
    char *block = malloc(BLOCK);
    enum tri_status status = block ? TRI_OK : tri_fail(e, TRI_NO_MEMORY, "%s: no memory to check it", path);
    for (size_t n; status == TRI_OK && (n = fread(block, 1, BLOCK, in)) > 0;) {
        if (stop && stop())
            status = tri_fail(e, TRI_INTERRUPTED, "interrupted");
        else if (EVP_DigestUpdate(hash, block, n) != 1)
            status = tri_fail(e, TRI_FAILED, "%s: its checksum cannot be computed", path);
    }
    free(block);
    return status == TRI_OK && ferror(in) ? tri_fail(e, TRI_FAILED, "%s: cannot be read: %s", path, strerror(errno))
                                          : status;
}

static void to_hex(const unsigned char *bytes, unsigned count, char hex[TRI_HUB_DIGEST])
{
    hex[0] = 0;
    for (unsigned i = 0; i < count && 2 * i + 2 < TRI_HUB_DIGEST; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

enum tri_status tri_hub_digest_equal(const char *path, const char *digest, bool (*stop)(void), bool *equal,
                                     struct tri_error *e)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    char found[TRI_HUB_DIGEST];
    FILE *in = fopen(path, "rb");
    if (!in)
        return tri_fail(e, TRI_FAILED, "%s: cannot be opened: %s", path, strerror(errno));
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    enum tri_status status = TRI_OK;
    if (!hash || !begin(hash, in, strlen(digest) == SHA1_DIGITS))
        status = tri_fail(e, TRI_FAILED, "%s: its checksum cannot be computed", path);
    if (status == TRI_OK)
        status = all(hash, in, path, stop, e);
    if (status == TRI_OK && EVP_DigestFinal_ex(hash, bytes, &count) == 1)
        to_hex(bytes, count, found);
    *equal = status == TRI_OK && count > 0 && strcmp(found, digest) == 0;
    EVP_MD_CTX_free(hash);
    fclose(in);
    return status;
}
