-- Advanced SIMD with int8 matrix extensions (Armv8.6-A I8MM), as in Neoverse V1 and N2, Cortex-A510/A710 and
-- Apple M2: dot products of unsigned codes, so that no plane needs a shift, and products of 2x8 by 8x2 matrices.
return {
  like = "neondot",
  name = "i8mm", rank = 40, cflags = "-march=armv8.2-a+dotprod+i8mm",
  detect = "tri_hwcap(0, 20) && tri_hwcap(1, 13)",

  signed_codes = false,
  dot = "vusdotq_s32($1, $2, vreinterpretq_s8_u8($3))",

  -- four rows to a tile, in two registers: what a vector of a plane holds
  tile = { tokens = 2, rows = 4, columns = 8, quads = 2, sums = 2, x = 1, w = 2, registers = 30 },
  tile_fill  = "vst2q_u32((uint32_t *)(void *)($1), tile_pair($2, $3))",
  tile_sums  = "int32x4x2_t s$1 = load_sums($2, $3)",
  tile_x     = "const int8x16_t x$1 = vcombine_s8(vld1_s8($2), vld1_s8($2 + $3))",
  tile_w     = "const int8x16x2_t w$1 = load_w($2)",
  tile_dot   = "s$1 = dot_tile(s$1, x$2, w$3)",
  tile_store = "store_sums($2, $3, s$1)",
  tiles = [[
static inline uint32x4x2_t tile_pair(uint8x16_t a, uint8x16_t b)
{
    return (uint32x4x2_t){{vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)}};
}

/* Sums lie as products do: two rows of one token, the same two of the other. */
static inline int32x4x2_t load_sums(const int32_t *p, size_t stride)
{
    const int64x2_t a = vreinterpretq_s64_s32(vld1q_s32(p));
    const int64x2_t b = vreinterpretq_s64_s32(vld1q_s32((const int32_t *)(const void *)((const char *)p + stride)));
    return (int32x4x2_t){{vreinterpretq_s32_s64(vzip1q_s64(a, b)), vreinterpretq_s32_s64(vzip2q_s64(a, b))}};
}

static inline void store_sums(int32_t *p, size_t stride, int32x4x2_t s)
{
    const int64x2_t a = vreinterpretq_s64_s32(s.val[0]), b = vreinterpretq_s64_s32(s.val[1]);
    vst1q_s32(p, vreinterpretq_s32_s64(vzip1q_s64(a, b)));
    vst1q_s32((int32_t *)(void *)((char *)p + stride), vreinterpretq_s32_s64(vzip2q_s64(a, b)));
}

static inline int8x16x2_t load_w(const uint8_t *p)
{
    return (int8x16x2_t){{vreinterpretq_s8_u8(vld1q_u8(p)), vreinterpretq_s8_u8(vld1q_u8(p + 16))}};
}

/* smmla: codes are 2 at most, so they may be signed, too */
static inline int32x4x2_t dot_tile(int32x4x2_t s, int8x16_t x, int8x16x2_t w)
{
    s.val[0] = vmmlaq_s32(s.val[0], x, w.val[0]);
    s.val[1] = vmmlaq_s32(s.val[1], x, w.val[1]);
    return s;
}
]],
}
