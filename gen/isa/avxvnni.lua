-- AVX-VNNI: 256-bit dot products without AVX-512, as in Alder Lake and later client CPUs and Zen 5.
return {
  like = "avx2",
  name = "avxvnni", rank = 30, cflags = "-mavx2 -mfma -mf16c -mavxvnni",
  detect = "tri_xcr0(6) && tri_cpuid(7, 0, TRI_EBX, 5) && tri_cpuid(7, 1, TRI_EAX, 4) && "
    .. "tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29)",

  dot16    = false,
  dot      = "dot($1, $2, $3)",
  signed_dot = "dot($1, _mm256_xor_si256($2, _mm256_set1_epi8((char)128)), $3)",
  signed_bias = 128,
  sum_thirds = "_mm256_srai_epi32(_mm256_sub_epi32(_mm256_add_epi32($1, _mm256_add_epi32($1, $1)), $2), 8)",
  integers = [[
static inline int quad_at(const void *p)
{
    int q;
    __builtin_memcpy(&q, p, 4);
    return q;
}

/* codes (unsigned) times activations (signed), four to a lane; the instruction itself, since gcc 12 copies
 * the accumulator of the intrinsic */
static inline __m256i dot(__m256i s, __m256i w, __m256i x)
{
#ifdef __clang__
    return _mm256_dpbusd_avx_epi32(s, w, x);
#else
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(s) : "x"(w), "x"(x));
    return s;
#endif
}
]],
}
