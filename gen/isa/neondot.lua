-- Advanced SIMD with dot products (Armv8.2-A DotProd), as in Cortex-A55/A76, Neoverse and Apple cores.
return {
  like = "neon",
  name = "neondot", rank = 30, cflags = "-march=armv8.2-a+dotprod",
  detect = "tri_hwcap(0, 20)",

  dot16 = false,
  dot   = "vdotq_s32($1, vreinterpretq_s8_u8($2), vreinterpretq_s8_u8($3))",
  signed_dot = "vdotq_s32($1, vreinterpretq_s8_u8($2), vreinterpretq_s8_u8($3))",
  sum_thirds = "vshrq_n_s32(vsubq_s32(vmulq_n_s32($1, 3), $2), 8)",
}
