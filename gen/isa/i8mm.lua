-- Advanced SIMD with int8 matrix extensions (Armv8.6-A I8MM), as in Neoverse V1 and N2, Cortex-A510/A710 and
-- Apple M2: dot products of unsigned codes, so that no plane needs a shift. Its matrix products are not used yet.
return {
  like = "neondot",
  name = "i8mm", rank = 40, cflags = "-march=armv8.2-a+dotprod+i8mm",
  detect = "tri_hwcap(0, 20) && tri_hwcap(1, 13)",

  signed_codes = false,
  dot = "vusdotq_s32($1, $2, vreinterpretq_s8_u8($3))",
}
