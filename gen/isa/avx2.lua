-- AVX2 with FMA and F16C, as in Haswell, Zen and everything since.
return {
  name = "avx2", rank = 20, arch = "x86_64", cflags = "-mavx2 -mfma -mf16c", include = "<immintrin.h>",
  detect = "tri_xcr0(6) && tri_cpuid(7, 0, TRI_EBX, 5) && "
    .. "tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29)",
  bits = 256, regs = 16,

  vec      = "__m256i",
  load     = "_mm256_loadu_si256((const __m256i *)($1))",
  quad     = "_mm256_set1_epi32(quad_at($1))",
  mask     = "_mm256_set1_epi8((char)$1)",
  ["and"]  = "_mm256_and_si256($1, $2)",
  shr      = "_mm256_srli_epi16($1, $2)",
  xor      = "_mm256_xor_si256($1, $2)",
  opaque   = '__asm__("" : "+x"($1))',
  zero     = "_mm256_setzero_si256()",
  -- a dot product of bytes sums pairs in int16 lanes: |code * x| summed over one pair is at most 508
  dot16    = 508,
  dot_zero = "_mm256_setzero_si256()",
  dot      = "_mm256_add_epi16($1, _mm256_maddubs_epi16($2, $3))",
  widen    = "_mm256_add_epi32($1, _mm256_madd_epi16($2, _mm256_set1_epi16(1)))",
  -- bytes with a sign: |w| times x with the sign of w, of which two are at most 2 * 128 * 127
  signed_dot = "_mm256_add_epi32($1, _mm256_madd_epi16("
    .. "_mm256_maddubs_epi16(_mm256_abs_epi8($2), _mm256_sign_epi8($3, $2)), _mm256_set1_epi16(1)))",
  signed_bias = 0,
  sum_t    = "__m256i",
  sum_zero = "_mm256_setzero_si256()",
  sum_add  = "_mm256_add_epi32($1, $2)",
  sum_shr  = "_mm256_srai_epi32($1, $2)",
  sum_less = "_mm256_sub_epi32($1, _mm256_set1_epi32($2))",
  sum_store = "_mm256_storeu_si256((__m256i *)($1), $2)",
  sum_across = "across($1)",
  nibbles  = "_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)($1)))",
  nibble   = "_mm256_shuffle_epi8($1, $2)",
  -- digits are counted by comparing bytes as signed
  base3    = "_mm256_xor_si256($1, _mm256_set1_epi8((char)128))",
  trit     = "_mm256_abs_epi8(_mm256_add_epi8(_mm256_cmpgt_epi8($1, _mm256_set1_epi8(-43)), "
    .. "_mm256_cmpgt_epi8($1, _mm256_set1_epi8(42))))",
  triple   = "_mm256_add_epi8($1, _mm256_add_epi8($1, $1))",
  sum_load = "_mm256_loadu_si256((const __m256i *)($1))",
  sums = [[
static inline int32_t across(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}
]],
  integers = [[
static inline int quad_at(const void *p)
{
    int q;
    __builtin_memcpy(&q, p, 4);
    return q;
}
]],

  table_entries = 16,
  table    = "_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)($1)))",
  lookup   = "_mm256_shuffle_epi8($1, $2)",
  low16    = "_mm256_unpacklo_epi8($1, $2)",
  high16   = "_mm256_unpackhi_epi8($1, $2)",
  low32    = "_mm256_unpacklo_epi16($1, $2)",
  high32   = "_mm256_unpackhi_epi16($1, $2)",
  add16    = "_mm256_add_epi16($1, $2)",
  sub8     = "_mm256_sub_epi8($1, $2)",
  sign     = "_mm256_cmpgt_epi8(_mm256_setzero_si256(), _mm256_slli_epi16($1, $2))",
  spill    = "spill($1, $2, $3)",
  tables = [[
/* s[0..32) += the rows of lo (0-7, 16-23) and hi (8-15, 24-31), as unpacking left them. */
static inline void spill(int32_t *s, __m256i lo, __m256i hi)
{
    const __m128i part[4] = {_mm256_castsi256_si128(lo), _mm256_castsi256_si128(hi),
                             _mm256_extracti128_si256(lo, 1), _mm256_extracti128_si256(hi, 1)};
    for (int i = 0; i < 4; i++) {
        __m256i *p = (__m256i *)(s + 8 * i);
        _mm256_storeu_si256(p, _mm256_add_epi32(_mm256_loadu_si256(p), _mm256_cvtepi16_epi32(part[i])));
    }
}
]],

  shorts = 16,
  short  = "__m256i",
  short_load = "_mm256_loadu_si256((const __m256i *)($1))",
  widen8 = "_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)($1)))",
  pairs  = "_mm256_add_epi32($1, _mm256_madd_epi16($2, $3))",

  flanes = 8,
  fvec   = "__m256",
  fzero  = "_mm256_setzero_ps()",
  fset   = "_mm256_set1_ps($1)",
  fload  = "_mm256_loadu_ps($1)",
  fstore = "_mm256_storeu_ps($1, $2)",
  fadd   = "_mm256_add_ps($1, $2)",
  fsub   = "_mm256_sub_ps($1, $2)",
  fmul   = "_mm256_mul_ps($1, $2)",
  fdiv   = "_mm256_div_ps($1, $2)",
  fma    = "_mm256_fmadd_ps($1, $2, $3)",
  fmax   = "_mm256_max_ps($1, $2)",
  fmin   = "_mm256_min_ps($1, $2)",
  fabs   = "_mm256_andnot_ps(_mm256_set1_ps(-0.0f), $1)",
  half   = "_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)($1)))",
  halve  = "_mm_storeu_si128((__m128i *)($1), _mm256_cvtps_ph($2, _MM_FROUND_TO_NEAREST_INT))",
  half_all = "_mm256_cvtph_ps(_mm_set1_epi16(half_at($1)))",
  bf16   = "_mm256_castsi256_ps(_mm256_slli_epi32("
    .. "_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)($1))), 16))",
  int8   = "_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)($1))))",
  swap   = "_mm256_permute_ps($1, 0xb1)",
  fint   = "_mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)($1)))",
  pow2   = "_mm256_castsi256_ps(_mm256_slli_epi32("
    .. "_mm256_add_epi32(_mm256_castps_si256($1), _mm256_set1_epi32(127)), 23))",
  low_bytes = "low_bytes($1, _mm256_castps_si256($2))",
  ftree  = "tree($1)",
  ftree4 = "tree4($1, $2, $3, $4, $5)",
  floats = [[
static inline short half_at(const void *p)
{
    short h;
    __builtin_memcpy(&h, p, 2);
    return h;
}

static inline void low_bytes(int8_t *p, __m256i v)
{
    const __m256i first = _mm256_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1,
                                           0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1);
    v = _mm256_shuffle_epi8(v, first);
    _mm_storel_epi64((__m128i *)p,
                     _mm_unpacklo_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
}

/* lanes +4, +2, +1 */
static inline float tree(__m256 v)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* the trees of four vectors at once, stored in order */
static inline void tree4(float *p, __m256 a, __m256 b, __m256 c, __m256 d)
{
    /* +4: the halves of a and c, of b and d; then a and b, c and d side by side for +2 and +1 */
    const __m256 ac = _mm256_add_ps(_mm256_permute2f128_ps(a, c, 0x20), _mm256_permute2f128_ps(a, c, 0x31));
    const __m256 bd = _mm256_add_ps(_mm256_permute2f128_ps(b, d, 0x20), _mm256_permute2f128_ps(b, d, 0x31));
    __m256 s = _mm256_add_ps(_mm256_unpacklo_ps(ac, bd), _mm256_unpackhi_ps(ac, bd));
    s = _mm256_add_ps(s, _mm256_permute_ps(s, 0x4e));
    _mm_storeu_ps(p, _mm_movelh_ps(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1)));
}
]],
}
