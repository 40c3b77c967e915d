/* tri_mad_q2r16_m16n1a2u1p64__avx2 - generated, do not edit.
 * from templates/mad.c.lt: gen.lua mad avx2 c=q2 r=16 m=16 n=1 a=2 u=1 p=64
 * per 16 rows and 16 columns: 2 load, 4 quad, 8 and, 4 shr, 8 dot */
#include <stddef.h>
#include <stdint.h>
#include <immintrin.h>

static inline int quad_at(const void *p)
{
    int q;
    __builtin_memcpy(&q, p, 4);
    return q;
}

/* Y[t][m] = sum_k W[m][k] X[t][k] by unpacking two-bit codes and multiplying bytes.
 *
 * Packed rows come in tiles of 16; 16 columns of a tile are 64 bytes, four columns of a row side by
 * side in a byte quad, plane p (bits 2p, 2p + 1) holding columns 4p..4p+3. A code is trit + 1, so the sum
 * of the activations is taken off at the end. */
void tri_mad_q2r16_m16n1a2u1p64__avx2(
    const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum, int32_t *y, size_t ldy)
{
    const int8_t *x0 = x;
    const __m256i mask0 = _mm256_set1_epi8((char)3);
    const __m256i mask1 = _mm256_set1_epi8((char)12);
    (void)ldx, (void)ldy;

    for (int row = m0; row < m1; row += 16) {
        const uint8_t *q = w + (size_t)row * (size_t)(k / 16) * 4;
        __m256i s0_0 = _mm256_setzero_si256();
        __m256i s0_1 = _mm256_setzero_si256();
        __m256i s1_0 = _mm256_setzero_si256();
        __m256i s1_1 = _mm256_setzero_si256();
        int j = 0;
        while (j < k) { /* 8 steps keep the int16 sums below 32768 */
            const int end = k - j > 128 ? j + 128 : k;
            __m256i a0_0 = _mm256_setzero_si256();
            __m256i a0_1 = _mm256_setzero_si256();
            __m256i a1_0 = _mm256_setzero_si256();
            __m256i a1_1 = _mm256_setzero_si256();
            for (; j < end; j += 16, q += 64) {
                __builtin_prefetch(q + 4096, 0, 3);
                const __m256i w0 = _mm256_loadu_si256((const __m256i *)(q));
                const __m256i w1 = _mm256_loadu_si256((const __m256i *)(q + 32));
                const __m256i c0_0 = _mm256_and_si256(w0, mask0);
                const __m256i c1_0 = _mm256_and_si256(w1, mask0);
                const __m256i q0_0 = _mm256_set1_epi32(quad_at(x0 + j));
                a0_0 = _mm256_add_epi16(a0_0, _mm256_maddubs_epi16(c0_0, q0_0));
                a1_0 = _mm256_add_epi16(a1_0, _mm256_maddubs_epi16(c1_0, q0_0));
                const __m256i c0_1 = _mm256_and_si256(w0, mask1);
                const __m256i c1_1 = _mm256_and_si256(w1, mask1);
                const __m256i q0_1 = _mm256_set1_epi32(quad_at(x0 + j + 4));
                a0_1 = _mm256_add_epi16(a0_1, _mm256_maddubs_epi16(c0_1, q0_1));
                a1_1 = _mm256_add_epi16(a1_1, _mm256_maddubs_epi16(c1_1, q0_1));
                const __m256i c0_2 = _mm256_and_si256(_mm256_srli_epi16(w0, 4), mask0);
                const __m256i c1_2 = _mm256_and_si256(_mm256_srli_epi16(w1, 4), mask0);
                const __m256i q0_2 = _mm256_set1_epi32(quad_at(x0 + j + 8));
                a0_0 = _mm256_add_epi16(a0_0, _mm256_maddubs_epi16(c0_2, q0_2));
                a1_0 = _mm256_add_epi16(a1_0, _mm256_maddubs_epi16(c1_2, q0_2));
                const __m256i c0_3 = _mm256_and_si256(_mm256_srli_epi16(w0, 4), mask1);
                const __m256i c1_3 = _mm256_and_si256(_mm256_srli_epi16(w1, 4), mask1);
                const __m256i q0_3 = _mm256_set1_epi32(quad_at(x0 + j + 12));
                a0_1 = _mm256_add_epi16(a0_1, _mm256_maddubs_epi16(c0_3, q0_3));
                a1_1 = _mm256_add_epi16(a1_1, _mm256_maddubs_epi16(c1_3, q0_3));
            }
            s0_0 = _mm256_add_epi32(s0_0, _mm256_madd_epi16(a0_0, _mm256_set1_epi16(1)));
            s0_1 = _mm256_add_epi32(s0_1, _mm256_madd_epi16(a0_1, _mm256_set1_epi16(1)));
            s1_0 = _mm256_add_epi32(s1_0, _mm256_madd_epi16(a1_0, _mm256_set1_epi16(1)));
            s1_1 = _mm256_add_epi32(s1_1, _mm256_madd_epi16(a1_1, _mm256_set1_epi16(1)));
        }
        s0_0 = _mm256_add_epi32(s0_0, _mm256_srai_epi32(s0_1, 2));
        s0_0 = _mm256_sub_epi32(s0_0, _mm256_set1_epi32(xsum[0]));
        s1_0 = _mm256_add_epi32(s1_0, _mm256_srai_epi32(s1_1, 2));
        s1_0 = _mm256_sub_epi32(s1_0, _mm256_set1_epi32(xsum[0]));
        if (row + 16 <= m1) {
            int32_t *out = y + (row - m0);
            _mm256_storeu_si256((__m256i *)(out), s0_0);
            _mm256_storeu_si256((__m256i *)(out + 8), s1_0);
        } else {
            int32_t tail[1][16];
            _mm256_storeu_si256((__m256i *)(&tail[0][0]), s0_0);
            _mm256_storeu_si256((__m256i *)(&tail[0][8]), s1_0);
            for (int i = row; i < m1; i++)
                y[i - m0] = tail[0][i - row];
        }
    }
}
