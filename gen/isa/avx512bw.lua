-- AVX-512 F, BW, VL without VNNI, as in Skylake servers: dot products go through int16 lanes.
return {
  like = "avx512vnni",
  name = "avx512bw", rank = 35,
  cflags = "-mavx512f -mavx512bw -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512",
  detect = "tri_xcr0(0xe6) && tri_cpuid(7, 0, TRI_EBX, 16) && tri_cpuid(7, 0, TRI_EBX, 30) && "
    .. "tri_cpuid(7, 0, TRI_EBX, 31) && tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29)",

  -- a dot product of bytes sums pairs in int16 lanes: |code * x| summed over one pair is at most 508
  dot16    = 508,
  dot_zero = "_mm512_setzero_si512()",
  dot      = "_mm512_add_epi16($1, _mm512_maddubs_epi16($2, $3))",
  signed_dot = "signed_dot($1, $2, $3)",
  signed_bias = 0,
  signed_words = [[
/* bytes with a sign, four to a lane: |w| times x with the sign of w, of which two are at most 2 * 128 * 127 */
static inline __m512i signed_dot(__m512i s, __m512i w, __m512i x)
{
    const __m512i turned = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(w), _mm512_setzero_si512(), x);
    const __m512i two = _mm512_maddubs_epi16(_mm512_abs_epi8(w), turned);
    return _mm512_add_epi32(s, _mm512_madd_epi16(two, _mm512_set1_epi16(1)));
}
]],
  pairs    = "_mm512_add_epi32($1, _mm512_madd_epi16($2, $3))",
  widen    = "_mm512_add_epi32($1, _mm512_madd_epi16($2, _mm512_set1_epi16(1)))",
}
