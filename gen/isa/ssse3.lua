-- SSSE3, as in Core 2 and every x86-64 CPU without AVX2 since 2006. Floats are plain C's: without hardware fma
-- nothing in this set would make them faster.
return {
  like = "c",
  name = "ssse3", rank = 10, arch = "x86_64", cflags = "-mssse3", include = "<string.h>\n#include <tmmintrin.h>",
  detect = "tri_cpuid(1, 0, TRI_ECX, 9)",
  bits = 128, regs = 16,
  tile = false, -- plain C has one to prove the template with

  vec      = "__m128i",
  load     = "_mm_loadu_si128((const __m128i *)($1))",
  quad     = "_mm_set1_epi32(quad_at($1))",
  mask     = "_mm_set1_epi8((char)$1)",
  ["and"]  = "_mm_and_si128($1, $2)",
  shr      = "_mm_srli_epi16($1, $2)",
  xor      = "_mm_xor_si128($1, $2)",
  opaque   = '__asm__("" : "+x"($1))',
  zero     = "_mm_setzero_si128()",
  -- a dot product of bytes sums pairs in int16 lanes: |code * x| summed over one pair is at most 508
  dot16    = 508,
  dot_zero = "_mm_setzero_si128()",
  dot      = "_mm_add_epi16($1, _mm_maddubs_epi16($2, $3))",
  widen    = "_mm_add_epi32($1, _mm_madd_epi16($2, _mm_set1_epi16(1)))",
  -- bytes with a sign: |w| times x with the sign of w, of which two are at most 2 * 128 * 127
  signed_dot = "_mm_add_epi32($1, _mm_madd_epi16("
    .. "_mm_maddubs_epi16(_mm_abs_epi8($2), _mm_sign_epi8($3, $2)), _mm_set1_epi16(1)))",
  signed_bias = 0,
  sum_t    = "__m128i",
  sum_zero = "_mm_setzero_si128()",
  sum_add  = "_mm_add_epi32($1, $2)",
  sum_shr  = "_mm_srai_epi32($1, $2)",
  sum_less = "_mm_sub_epi32($1, _mm_set1_epi32($2))",
  sum_store = "_mm_storeu_si128((__m128i *)($1), $2)",
  sum_across = "across($1)",
  nibbles  = "_mm_loadu_si128((const __m128i *)($1))",
  nibble   = "_mm_shuffle_epi8($1, $2)",
  -- digits are counted by comparing bytes as signed
  base3    = "_mm_xor_si128($1, _mm_set1_epi8((char)128))",
  trit     = "_mm_abs_epi8(_mm_add_epi8(_mm_cmpgt_epi8($1, _mm_set1_epi8(-43)), "
    .. "_mm_cmpgt_epi8($1, _mm_set1_epi8(42))))",
  triple   = "_mm_add_epi8($1, _mm_add_epi8($1, $1))",
  sum_load = "_mm_loadu_si128((const __m128i *)($1))",
  sums = [[
static inline int32_t across(__m128i s)
{
    s = _mm_hadd_epi32(s, s);
    return _mm_cvtsi128_si32(_mm_hadd_epi32(s, s));
}
]],
  integers = [[
static inline int quad_at(const void *p)
{
    int q;
    memcpy(&q, p, 4);
    return q;
}
]],

  shorts = 8,
  short  = "__m128i",
  short_load = "_mm_loadu_si128((const __m128i *)($1))",
  widen8 = "widen8($1)",
  pairs  = "_mm_add_epi32($1, _mm_madd_epi16($2, $3))",
  pair_words = [[
static inline __m128i widen8(const int8_t *p)
{
    const __m128i v = _mm_loadl_epi64((const __m128i *)p);
    return _mm_srai_epi16(_mm_unpacklo_epi8(v, v), 8);
}
]],

  table_entries = 16,
  table    = "_mm_loadu_si128((const __m128i *)($1))",
  lookup   = "_mm_shuffle_epi8($1, $2)",
  low16    = "_mm_unpacklo_epi8($1, $2)",
  high16   = "_mm_unpackhi_epi8($1, $2)",
  low32    = "_mm_unpacklo_epi16($1, $2)",
  high32   = "_mm_unpackhi_epi16($1, $2)",
  add16    = "_mm_add_epi16($1, $2)",
  sub8     = "_mm_sub_epi8($1, $2)",
  sign     = "_mm_cmpgt_epi8(_mm_setzero_si128(), _mm_slli_epi16($1, $2))",
  spill    = "spill($1, $2, $3)",
  tables = [[
/* s[0..8) += v, widened by its sign */
static inline void add_rows(int32_t *s, __m128i v)
{
    const __m128i sign = _mm_srai_epi16(v, 15);
    __m128i *p = (__m128i *)s;
    _mm_storeu_si128(p, _mm_add_epi32(_mm_loadu_si128(p), _mm_unpacklo_epi16(v, sign)));
    _mm_storeu_si128(p + 1, _mm_add_epi32(_mm_loadu_si128(p + 1), _mm_unpackhi_epi16(v, sign)));
}

/* s[0..16) += rows 0-7 of lo and 8-15 of hi */
static inline void spill(int32_t *s, __m128i lo, __m128i hi)
{
    add_rows(s, lo);
    add_rows(s + 8, hi);
}
]],
}
