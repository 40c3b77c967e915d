/* The matrix tiles of AMX-INT8 in plain C, after the pseudo-code of Intel's manual: eight registers of 16 rows of 64
 * bytes, palette 1, and what faults. Included before generated kernels, it stands for the intrinsics, so that their
 * text runs, unchanged, on CPUs without tiles. What a CPU would fault on aborts with one line. */
#ifndef TRI_AMX_EMULATION_H
#define TRI_AMX_EMULATION_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRI_TILES = 8, TRI_TILE_ROWS = 16, TRI_TILE_BYTES = 64 };

struct tri_tiles {
    bool configured;
    uint16_t colsb[TRI_TILES];
    uint8_t rows[TRI_TILES];
    uint8_t data[TRI_TILES][TRI_TILE_ROWS][TRI_TILE_BYTES];
    long products; /* tile products so far: to know that there were some */
};

extern struct tri_tiles tri_tiles; /* the one who includes this and runs kernels defines it */

static inline void tri_tile_fault(bool wrong, const char *what)
{
    if (!wrong)
        return;
    fprintf(stderr, "tiles: %s\n", what);
    abort();
}

static inline void tri_tile_loadconfig(const void *memory)
{
    uint8_t c[64];
    memcpy(c, memory, 64);
    memset(&tri_tiles, 0, offsetof(struct tri_tiles, products));
    tri_tile_fault(c[0] > 1, "a palette other than 0 and 1");
    if (c[0] == 0)
        return;
    for (int i = 1; i < 64; i++)
        tri_tile_fault(c[i] && (i < 16 || (i >= 32 && i < 48) || i >= 56), "reserved bytes of the palette are not 0");
    for (int t = 0; t < TRI_TILES; t++) {
        tri_tiles.colsb[t] = (uint16_t)(c[16 + 2 * t] | c[17 + 2 * t] << 8);
        tri_tiles.rows[t] = c[48 + t];
        tri_tile_fault(tri_tiles.colsb[t] > TRI_TILE_BYTES || tri_tiles.rows[t] > TRI_TILE_ROWS, "a tile too large");
        tri_tile_fault(!tri_tiles.colsb[t] != !tri_tiles.rows[t], "rows without columns, or columns without rows");
    }
    tri_tiles.configured = true;
}

static inline void tri_tile_release(void)
{
    memset(&tri_tiles, 0, offsetof(struct tri_tiles, products));
}

static inline void tri_tile_known(int t)
{
    tri_tile_fault(!tri_tiles.configured, "used before they are configured");
    tri_tile_fault(t < 0 || t >= TRI_TILES || !tri_tiles.rows[t], "a register that is not configured");
}

static inline void tri_tile_zero(int t)
{
    tri_tile_known(t);
    memset(tri_tiles.data[t], 0, sizeof tri_tiles.data[t]);
}

static inline void tri_tile_loadd(int t, const void *base, long stride)
{
    tri_tile_zero(t);
    for (int row = 0; row < tri_tiles.rows[t]; row++)
        memcpy(tri_tiles.data[t][row], (const char *)base + row * stride, tri_tiles.colsb[t]);
}

static inline void tri_tile_stored(int t, void *base, long stride)
{
    tri_tile_known(t);
    for (int row = 0; row < tri_tiles.rows[t]; row++)
        memcpy((char *)base + row * stride, tri_tiles.data[t][row], tri_tiles.colsb[t]);
}

/* sum + four products of signed and unsigned bytes; it wraps */
static inline uint32_t tri_tile_dpbd(uint32_t sum, const uint8_t *x, const uint8_t *y)
{
    for (int i = 0; i < 4; i++)
        sum += (uint32_t)((int8_t)x[i] * y[i]);
    return sum;
}

static inline void tri_tile_dpbsud(int d, int a, int b)
{
    const struct tri_tiles *t = &tri_tiles;
    tri_tile_known(d), tri_tile_known(a), tri_tile_known(b);
    tri_tile_fault(d == a || a == b || d == b, "a product of a register with itself");
    tri_tile_fault(t->colsb[d] % 4 || t->colsb[a] % 4 || t->colsb[b] % 4, "columns that are no double words");
    tri_tile_fault(t->rows[a] != t->rows[d], "rows of the first factor and the sum differ");
    tri_tile_fault(t->colsb[b] != t->colsb[d], "columns of the second factor and the sum differ");
    tri_tile_fault(t->colsb[a] / 4 != t->rows[b], "columns of the first factor are not rows of the second");
    for (int m = 0; m < t->rows[d]; m++)
        for (int k = 0; k < t->colsb[a] / 4; k++)
            for (int n = 0; n < t->colsb[d] / 4; n++) {
                uint32_t sum;
                memcpy(&sum, t->data[d][m] + 4 * n, 4);
                sum = tri_tile_dpbd(sum, t->data[a][m] + 4 * k, t->data[b][k] + 4 * n);
                memcpy(tri_tiles.data[d][m] + 4 * n, &sum, 4);
            }
    tri_tiles.products++;
}

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbsud
#define _tile_loadconfig(config) tri_tile_loadconfig(config)
#define _tile_release() tri_tile_release()
#define _tile_zero(t) tri_tile_zero(t)
#define _tile_loadd(t, base, stride) tri_tile_loadd(t, base, (long)(stride))
#define _tile_stored(t, base, stride) tri_tile_stored(t, base, (long)(stride))
#define _tile_dpbsud(d, a, b) tri_tile_dpbsud(d, a, b)

#endif
