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
  pairs    = "_mm512_add_epi32($1, _mm512_madd_epi16($2, $3))",
  widen    = "_mm512_add_epi32($1, _mm512_madd_epi16($2, _mm512_set1_epi16(1)))",
}
