/* tri_mad_q2r32_m32n1a2u1p64h2__avx2 - generated, do not edit.
 * from templates/mad.c.lt: gen.lua mad avx2 c=q2 r=32 m=32 n=1 a=2 u=1 p=64 h=2
 * per 32 rows and 16 columns: 4 load, 4 quad, 16 and, 8 shr, 16 dot */
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
 * Packed rows come in tiles of 32; 16 columns of a tile are 128 bytes, four columns of a row side by
 * side in a byte quad, plane p (bits 2p, 2p + 1) holding columns 4p..4p+3. A code is trit + 1, so the sum
 * of the activations is taken off at the end. */
void tri_mad_q2r32_m32n1a2u1p64h2__avx2(
    const uint8_t *w, int m0, int m1, int k, const void *x, size_t ldx, const int32_t *xsum, int32_t *y, size_t ldy)
{
    const int8_t *x0 = x;
    const __m256i mask0 = _mm256_set1_epi8((char)3);
    const __m256i mask1 = _mm256_set1_epi8((char)12);
    (void)ldx, (void)ldy;

    for (int row = m0; row < m1; row += 32) {
        const uint8_t *q = w + (size_t)row * (size_t)(k / 16) * 4;
        __m256i s0_0 = _mm256_setzero_si256();
        __m256i s0_1 = _mm256_setzero_si256();
        __m256i s1_0 = _mm256_setzero_si256();
        __m256i s1_1 = _mm256_setzero_si256();
        __m256i s2_0 = _mm256_setzero_si256();
        __m256i s2_1 = _mm256_setzero_si256();
        __m256i s3_0 = _mm256_setzero_si256();
        __m256i s3_1 = _mm256_setzero_si256();
        int j = 0;
        while (j < k) { /* 8 steps keep the int16 sums below 32768 */
            const int end = k - j > 128 ? j + 128 : k;
            __m256i a0_0 = _mm256_setzero_si256();
            __m256i a0_1 = _mm256_setzero_si256();
            __m256i a1_0 = _mm256_setzero_si256();
            __m256i a1_1 = _mm256_setzero_si256();
            __m256i a2_0 = _mm256_setzero_si256();
            __m256i a2_1 = _mm256_setzero_si256();
            __m256i a3_0 = _mm256_setzero_si256();
            __m256i a3_1 = _mm256_setzero_si256();
            for (; j < end; j += 16, q += 128) {
                __builtin_prefetch(q + 4096, 0, 2);
                __builtin_prefetch(q + 4160, 0, 2);
                const __m256i w0 = _mm256_loadu_si256((const __m256i *)(q));
                const __m256i w1 = _mm256_loadu_si256((const __m256i *)(q + 32));
                const __m256i w2 = _mm256_loadu_si256((const __m256i *)(q + 64));
                const __m256i w3 = _mm256_loadu_si256((const __m256i *)(q + 96));
                const __m256i c0_0 = _mm256_and_si256(w0, mask0);
                const __m256i c1_0 = _mm256_and_si256(w1, mask0);
                const __m256i c2_0 = _mm256_and_si256(w2, mask0);
                const __m256i c3_0 = _mm256_and_si256(w3, mask0);
                const __m256i q0_0 = _mm256_set1_epi32(quad_at(x0 + j));
                a0_0 = _mm256_add_epi16(a0_0, _mm256_maddubs_epi16(c0_0, q0_0));
                a1_0 = _mm256_add_epi16(a1_0, _mm256_maddubs_epi16(c1_0, q0_0));
                a2_0 = _mm256_add_epi16(a2_0, _mm256_maddubs_epi16(c2_0, q0_0));
                a3_0 = _mm256_add_epi16(a3_0, _mm256_maddubs_epi16(c3_0, q0_0));
                const __m256i c0_1 = _mm256_and_si256(w0, mask1);
                const __m256i c1_1 = _mm256_and_si256(w1, mask1);
                const __m256i c2_1 = _mm256_and_si256(w2, mask1);
                const __m256i c3_1 = _mm256_and_si256(w3, mask1);
                const __m256i q0_1 = _mm256_set1_epi32(quad_at(x0 + j + 4));
                a0_1 = _mm256_add_epi16(a0_1, _mm256_maddubs_epi16(c0_1, q0_1));
                a1_1 = _mm256_add_epi16(a1_1, _mm256_maddubs_epi16(c1_1, q0_1));
                a2_1 = _mm256_add_epi16(a2_1, _mm256_maddubs_epi16(c2_1, q0_1));
                a3_1 = _mm256_add_epi16(a3_1, _mm256_maddubs_epi16(c3_1, q0_1));
                const __m256i c0_2 = _mm256_and_si256(_mm256_srli_epi16(w0, 4), mask0);
                const __m256i c1_2 = _mm256_and_si256(_mm256_srli_epi16(w1, 4), mask0);
                const __m256i c2_2 = _mm256_and_si256(_mm256_srli_epi16(w2, 4), mask0);
                const __m256i c3_2 = _mm256_and_si256(_mm256_srli_epi16(w3, 4), mask0);
                const __m256i q0_2 = _mm256_set1_epi32(quad_at(x0 + j + 8));
                a0_0 = _mm256_add_epi16(a0_0, _mm256_maddubs_epi16(c0_2, q0_2));
                a1_0 = _mm256_add_epi16(a1_0, _mm256_maddubs_epi16(c1_2, q0_2));
                a2_0 = _mm256_add_epi16(a2_0, _mm256_maddubs_epi16(c2_2, q0_2));
                a3_0 = _mm256_add_epi16(a3_0, _mm256_maddubs_epi16(c3_2, q0_2));
                const __m256i c0_3 = _mm256_and_si256(_mm256_srli_epi16(w0, 4), mask1);
                const __m256i c1_3 = _mm256_and_si256(_mm256_srli_epi16(w1, 4), mask1);
                const __m256i c2_3 = _mm256_and_si256(_mm256_srli_epi16(w2, 4), mask1);
                const __m256i c3_3 = _mm256_and_si256(_mm256_srli_epi16(w3, 4), mask1);
                const __m256i q0_3 = _mm256_set1_epi32(quad_at(x0 + j + 12));
                a0_1 = _mm256_add_epi16(a0_1, _mm256_maddubs_epi16(c0_3, q0_3));
                a1_1 = _mm256_add_epi16(a1_1, _mm256_maddubs_epi16(c1_3, q0_3));
                a2_1 = _mm256_add_epi16(a2_1, _mm256_maddubs_epi16(c2_3, q0_3));
                a3_1 = _mm256_add_epi16(a3_1, _mm256_maddubs_epi16(c3_3, q0_3));
            }
            s0_0 = _mm256_add_epi32(s0_0, _mm256_madd_epi16(a0_0, _mm256_set1_epi16(1)));
            s0_1 = _mm256_add_epi32(s0_1, _mm256_madd_epi16(a0_1, _mm256_set1_epi16(1)));
            s1_0 = _mm256_add_epi32(s1_0, _mm256_madd_epi16(a1_0, _mm256_set1_epi16(1)));
            s1_1 = _mm256_add_epi32(s1_1, _mm256_madd_epi16(a1_1, _mm256_set1_epi16(1)));
            s2_0 = _mm256_add_epi32(s2_0, _mm256_madd_epi16(a2_0, _mm256_set1_epi16(1)));
            s2_1 = _mm256_add_epi32(s2_1, _mm256_madd_epi16(a2_1, _mm256_set1_epi16(1)));
            s3_0 = _mm256_add_epi32(s3_0, _mm256_madd_epi16(a3_0, _mm256_set1_epi16(1)));
            s3_1 = _mm256_add_epi32(s3_1, _mm256_madd_epi16(a3_1, _mm256_set1_epi16(1)));
        }
        s0_0 = _mm256_add_epi32(s0_0, _mm256_srai_epi32(s0_1, 2));
        s0_0 = _mm256_sub_epi32(s0_0, _mm256_set1_epi32(xsum[0]));
        s1_0 = _mm256_add_epi32(s1_0, _mm256_srai_epi32(s1_1, 2));
        s1_0 = _mm256_sub_epi32(s1_0, _mm256_set1_epi32(xsum[0]));
        s2_0 = _mm256_add_epi32(s2_0, _mm256_srai_epi32(s2_1, 2));
        s2_0 = _mm256_sub_epi32(s2_0, _mm256_set1_epi32(xsum[0]));
        s3_0 = _mm256_add_epi32(s3_0, _mm256_srai_epi32(s3_1, 2));
        s3_0 = _mm256_sub_epi32(s3_0, _mm256_set1_epi32(xsum[0]));
        if (row + 32 <= m1) {
            int32_t *out = y + (row - m0);
            _mm256_storeu_si256((__m256i *)(out), s0_0);
            _mm256_storeu_si256((__m256i *)(out + 8), s1_0);
            _mm256_storeu_si256((__m256i *)(out + 16), s2_0);
            _mm256_storeu_si256((__m256i *)(out + 24), s3_0);
        } else {
            int32_t tail[1][32];
            _mm256_storeu_si256((__m256i *)(&tail[0][0]), s0_0);
            _mm256_storeu_si256((__m256i *)(&tail[0][8]), s1_0);
            _mm256_storeu_si256((__m256i *)(&tail[0][16]), s2_0);
            _mm256_storeu_si256((__m256i *)(&tail[0][24]), s3_0);
            for (int i = row; i < m1; i++)
                y[i - m0] = tail[0][i - row];
        }
    }
}
