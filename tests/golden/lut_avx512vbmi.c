/* tri_lut_l4r128_m128u1p64h2__avx512vbmi - generated, do not edit.
 * from templates/lut_byte.c.lt: gen.lua lut avx512vbmi c=l4 r=128 m=128 u=1 p=64 h=2
 * per 128 rows and 4 columns: 2 load, 2 table, 4 xor, 2 sign, 4 lookup, 4 low16, 4 high16, 8 add16, 2 sub8 */
#include <stddef.h>
#include <stdint.h>
#include <immintrin.h>

/* s[0..64) += the rows of lo and hi, eight of each to a 128-bit lane, as unpacking left them. */
static inline void spill(int32_t *s, __m512i lo, __m512i hi)
{
    const __m512i a = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), hi);
    const __m512i b = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), hi);
    const __m512i part[4] = {_mm512_cvtepi16_epi32(_mm512_castsi512_si256(a)),
                             _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(a, 1)),
                             _mm512_cvtepi16_epi32(_mm512_castsi512_si256(b)),
                             _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(b, 1))};
    for (int i = 0; i < 4; i++)
        _mm512_storeu_si512(s + 16 * i, _mm512_add_epi32(_mm512_loadu_si512(s + 16 * i), part[i]));
}

/* Y[m] = sum_k W[m][k] X[k] by table lookup, lossless: one group of 4 trits a step index tables of
 * their exact sums, kept as a low and a high byte of 64 entries each; 64 rows are looked up at once.
 * Tables hold the sums of one sign only: the code's sign complements both bytes, and the ones the
 * complement lacks are counted apart.
 * Packed rows come in tiles of 128; 4 columns of a tile are 128 bytes, 1 for each row. */
void tri_lut_l4r128_m128u1p64h2__avx512vbmi(
    const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum, int32_t *y, size_t ldy)
{
    const uint8_t *tables = x;
    (void)ldx, (void)xsum, (void)ldy; /* one token, and sums need no correction */

    for (int row = m0; row < m1; row += 128) {
        const uint8_t *t = tables, *q = w + (size_t)(row / 128) * (size_t)(k / 4) * 128 + row % 128;
        int32_t s[128] = {0};

        for (int j = 0; j < k;) { /* 64 steps keep the int16 sums below 32768 */
            const int end = k - j > 256 ? j + 256 : k;
            __m512i lo0 = _mm512_setzero_si512(), hi0 = _mm512_setzero_si512(), minus0 = _mm512_setzero_si512();
            __m512i lo1 = _mm512_setzero_si512(), hi1 = _mm512_setzero_si512(), minus1 = _mm512_setzero_si512();
            for (; j < end; j += 4, q += 128, t += 128) {
                __builtin_prefetch(q + 4096, 0, 2);
                __builtin_prefetch(q + 4160, 0, 2);
                const __m512i low0 = _mm512_loadu_si512(t);
                const __m512i high0 = _mm512_loadu_si512(t + 64);
                const __m512i code0_0 = _mm512_loadu_si512(q);
                const __m512i n0_0 = _mm512_movm_epi8(_mm512_movepi8_mask(_mm512_slli_epi16(code0_0, 0)));
                const __m512i l0_0 = _mm512_xor_si512(_mm512_permutexvar_epi8(code0_0, low0), n0_0);
                const __m512i h0_0 = _mm512_xor_si512(_mm512_permutexvar_epi8(code0_0, high0), n0_0);
                minus0 = _mm512_sub_epi8(minus0, n0_0);
                lo0 = _mm512_add_epi16(lo0, _mm512_unpacklo_epi8(l0_0, h0_0));
                hi0 = _mm512_add_epi16(hi0, _mm512_unpackhi_epi8(l0_0, h0_0));
                const __m512i code1_0 = _mm512_loadu_si512(q + 64);
                const __m512i n1_0 = _mm512_movm_epi8(_mm512_movepi8_mask(_mm512_slli_epi16(code1_0, 0)));
                const __m512i l1_0 = _mm512_xor_si512(_mm512_permutexvar_epi8(code1_0, low0), n1_0);
                const __m512i h1_0 = _mm512_xor_si512(_mm512_permutexvar_epi8(code1_0, high0), n1_0);
                minus1 = _mm512_sub_epi8(minus1, n1_0);
                lo1 = _mm512_add_epi16(lo1, _mm512_unpacklo_epi8(l1_0, h1_0));
                hi1 = _mm512_add_epi16(hi1, _mm512_unpackhi_epi8(l1_0, h1_0));
            }
            lo0 = _mm512_add_epi16(lo0, _mm512_unpacklo_epi8(minus0, _mm512_setzero_si512()));
            hi0 = _mm512_add_epi16(hi0, _mm512_unpackhi_epi8(minus0, _mm512_setzero_si512()));
            spill(s, lo0, hi0);
            lo1 = _mm512_add_epi16(lo1, _mm512_unpacklo_epi8(minus1, _mm512_setzero_si512()));
            hi1 = _mm512_add_epi16(hi1, _mm512_unpackhi_epi8(minus1, _mm512_setzero_si512()));
            spill(s + 64, lo1, hi1);
        }
        for (int i = 0; i < 128 && row + i < m1; i++)
            y[row - m0 + i] = s[i];
    }
}

/* The tables of columns [k0, k1) of one token: one group of 4 columns a step, 64 sums a group
 * (41 used), low bytes, then high bytes. */
void tri_prepare_lut64l4__avx512vbmi(const int8_t *q, int k0, int k1, uint8_t *table)
{
    static const int16_t digit0[64] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const int16_t digit1[64] = {0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const int16_t digit2[64] = {0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const int16_t digit3[64] = {0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, -1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    for (int j = k0; j < k1; j += 4) {
        uint8_t *out = table + (size_t)(j / 4) * 128;
        int16_t sum[64];
        for (int i = 0; i < 64; i++)
            sum[i] = (int16_t)(digit0[i] * q[j] + digit1[i] * q[j + 1] + digit2[i] * q[j + 2] + digit3[i] * q[j + 3]);
        for (int i = 0; i < 64; i++) {
            out[i] = (uint8_t)(sum[i] & 255);
            out[64 + i] = (uint8_t)(sum[i] >> 8 & 255);
        }
    }
}
