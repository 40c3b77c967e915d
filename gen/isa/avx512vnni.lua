-- AVX-512 F, BW, VL with VNNI, as in Cascade Lake and everything later.

-- The C function of an instruction that adds to an accumulator.
local function tied(name, instruction, what)
  return ([[
/* %s; gcc 12 copies the accumulator of the
 * intrinsic twice, hence the instruction itself with a tied operand */
static inline __m512i %s(__m512i s, __m512i w, __m512i x)
{
#ifdef __clang__
    return _mm512_%s_epi32(s, w, x);
#else
    __asm__("vp%s %%2, %%1, %%0" : "+v"(s) : "v"(w), "v"(x));
    return s;
#endif
}
]]):format(what, name, instruction, instruction)
end

return {
  name = "avx512vnni", rank = 40, arch = "x86_64", include = "<immintrin.h>",
  cflags = "-mavx512f -mavx512bw -mavx512vl -mavx512vnni -mavx2 -mfma -mf16c -mprefer-vector-width=512",
  detect = "tri_xcr0(0xe6) && tri_cpuid(7, 0, TRI_EBX, 16) && tri_cpuid(7, 0, TRI_EBX, 30) && "
    .. "tri_cpuid(7, 0, TRI_EBX, 31) && tri_cpuid(7, 0, TRI_ECX, 11) && "
    .. "tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29)",
  bits = 512, regs = 32,

  vec      = "__m512i",
  load     = "_mm512_loadu_si512($1)",
  quad     = "_mm512_set1_epi32(quad_at($1))",
  mask     = "_mm512_set1_epi8((char)$1)",
  ["and"]  = "_mm512_and_si512($1, $2)",
  shr      = "_mm512_srli_epi16($1, $2)",
  xor      = "_mm512_xor_si512($1, $2)",
  opaque   = '__asm__("" : "+v"($1))',
  zero     = "_mm512_setzero_si512()",
  dot      = "dot($1, $2, $3)",
  -- bytes with a sign: as codes that are 128 more, which the sum begins without
  signed_dot = "dot($1, _mm512_xor_si512($2, _mm512_set1_epi8((char)128)), $3)",
  signed_bias = 128,
  sum_t    = "__m512i",
  sum_zero = "_mm512_setzero_si512()",
  sum_add  = "_mm512_add_epi32($1, $2)",
  sum_shr  = "_mm512_srai_epi32($1, $2)",
  sum_less = "_mm512_sub_epi32($1, _mm512_set1_epi32($2))",
  sum_store = "_mm512_storeu_si512($1, $2)",
  sum_across = "_mm512_reduce_add_epi32($1)",
  sum_thirds = "_mm512_srai_epi32(_mm512_sub_epi32(_mm512_add_epi32($1, _mm512_add_epi32($1, $1)), $2), 8)",
  nibbles  = "_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)($1)))",
  nibble   = "_mm512_shuffle_epi8($1, $2)",
  base3    = "$1",
  trit     = "trit($1)",
  triple   = "_mm512_add_epi8($1, _mm512_add_epi8($1, $1))",
  sum_load = "_mm512_loadu_si512($1)",
  low16    = "_mm512_unpacklo_epi8($1, $2)",
  high16   = "_mm512_unpackhi_epi8($1, $2)",
  low32    = "_mm512_unpacklo_epi16($1, $2)",
  high32   = "_mm512_unpackhi_epi16($1, $2)",
  integers = [[
static inline int quad_at(const void *p)
{
    int q;
    __builtin_memcpy(&q, p, 4);
    return q;
}

static inline __m512i trit(__m512i v)
{
    const __m512i one = _mm512_set1_epi8(1);
    const __mmask64 some = _mm512_cmpgt_epu8_mask(v, _mm512_set1_epi8(85));
    const __mmask64 two = _mm512_cmpgt_epu8_mask(v, _mm512_set1_epi8((char)170));
    const __m512i t = _mm512_maskz_mov_epi8(some, one);
    return _mm512_mask_add_epi8(t, two, t, one);
}

]] .. tied("dot", "dpbusd", "codes (unsigned) times activations (signed), four to a lane"),

  word_entries = 32,
  word_table  = "_mm512_loadu_si512($1)",
  word_lookup = "_mm512_permutexvar_epi16($2, $1)",
  word_join   = "_mm512_or_si512(_mm512_add_epi16($1, $1), _mm512_srli_epi16($2, 15))", -- its top bit behind others
  add16       = "_mm512_add_epi16($1, $2)",
  word_spill  = "word_spill($1, $2)",
  words = [[
static inline void word_spill(int32_t *s, __m512i v)
{
    const __m512i lo = _mm512_cvtepi16_epi32(_mm512_castsi512_si256(v));
    const __m512i hi = _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(v, 1));
    _mm512_storeu_si512(s, _mm512_add_epi32(_mm512_loadu_si512(s), lo));
    _mm512_storeu_si512(s + 16, _mm512_add_epi32(_mm512_loadu_si512(s + 16), hi));
}
]],

  shorts = 32,
  short  = "__m512i",
  short_load = "_mm512_loadu_si512($1)",
  widen8 = "_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)($1)))",
  pairs  = "pairs($1, $2, $3)",
  pair_words = tied("pairs", "dpwssd", "products of int16, two to a lane"),

  flanes = 16,
  fvec   = "__m512",
  fzero  = "_mm512_setzero_ps()",
  fset   = "_mm512_set1_ps($1)",
  fload  = "_mm512_loadu_ps($1)",
  fstore = "_mm512_storeu_ps($1, $2)",
  fadd   = "_mm512_add_ps($1, $2)",
  fsub   = "_mm512_sub_ps($1, $2)",
  fmul   = "_mm512_mul_ps($1, $2)",
  fdiv   = "_mm512_div_ps($1, $2)",
  fma    = "_mm512_fmadd_ps($1, $2, $3)",
  fmax   = "_mm512_max_ps($1, $2)",
  fmin   = "_mm512_min_ps($1, $2)",
  fabs   = "_mm512_abs_ps($1)",
  half   = "_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)($1)))",
  halve  = "_mm256_storeu_si256((__m256i *)($1), _mm512_cvtps_ph($2, _MM_FROUND_TO_NEAREST_INT))",
  half_all = "_mm512_cvtph_ps(_mm256_set1_epi16(half_at($1)))",
  bf16   = "_mm512_castsi512_ps(_mm512_slli_epi32("
    .. "_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)($1))), 16))",
  int8   = "_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)($1))))",
  swap   = "_mm512_permute_ps($1, 0xb1)",
  fint   = "_mm512_cvtepi32_ps(_mm512_loadu_si512($1))",
  pow2   = "_mm512_castsi512_ps(_mm512_slli_epi32("
    .. "_mm512_add_epi32(_mm512_castps_si512($1), _mm512_set1_epi32(127)), 23))",
  low_bytes = "_mm_storeu_si128((__m128i *)($1), _mm512_cvtepi32_epi8(_mm512_castps_si512($2)))",
  ftree  = "tree($1)",
  ftree4 = "tree4($1, $2, $3, $4, $5)",
  floats = [[
static inline short half_at(const void *p)
{
    short h;
    __builtin_memcpy(&h, p, 2);
    return h;
}

/* lanes +8, +4, +2, +1 */
static inline float tree(__m512 v)
{
    const __m256 hi = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(v), 1));
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), hi);
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_shuffle_ps(s, s, 1)));
}

/* the trees of four vectors at once, stored in order */
static inline void tree4(float *p, __m512 a, __m512 b, __m512 c, __m512 d)
{
    /* +8: the halves of a and b, of c and d; +4: quarters of a, b, c, d; then within quarters */
    const __m512 ab = _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
    const __m512 cd = _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x44), _mm512_shuffle_f32x4(c, d, 0xee));
    __m512 s = _mm512_add_ps(_mm512_shuffle_f32x4(ab, cd, 0x88), _mm512_shuffle_f32x4(ab, cd, 0xdd));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0x4e));
    s = _mm512_add_ps(s, _mm512_permute_ps(s, 0xb1));
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    _mm_storeu_ps(p, _mm512_castps512_ps128(_mm512_permutexvar_ps(first, s)));
}
]],
}
