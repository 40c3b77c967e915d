-- Armv8-A Advanced SIMD, the baseline of aarch64.
return {
  name = "neon", rank = 20, arch = "aarch64", cflags = "", include = "<arm_neon.h>",
  detect = "tri_hwcap(0, 1)",
  bits = 128, regs = 32,

  vec      = "uint8x16_t",
  load     = "vld1q_u8($1)",
  quad     = "vreinterpretq_u8_s32(vdupq_n_s32(quad_at($1)))",
  mask     = "vdupq_n_u8((uint8_t)($1))",
  ["and"]  = "vandq_u8($1, $2)",
  shr      = "vshrq_n_u8($1, $2)",
  xor      = "veorq_u8($1, $2)",
  opaque   = '__asm__("" : "+w"($1))',
  zero     = "vdupq_n_u8(0)",
  signed_codes = true, -- a code in the top bits of a byte would be negative
  -- products go to int16 lanes, halves apart; widening adds two of them before it widens
  dot16    = 508,
  dot_t    = "int16x8x2_t",
  dot_zero = "(int16x8x2_t){{vdupq_n_s16(0), vdupq_n_s16(0)}}",
  dot      = "dot($1, $2, $3)",
  widen    = "vpadalq_s16($1, vpaddq_s16($2.val[0], $2.val[1]))",
  signed_dot = "signed_dot($1, vreinterpretq_s8_u8($2), vreinterpretq_s8_u8($3))",
  signed_bias = 0,
  signed_words = [[
/* four to a lane, of which two are at most 2 * 128 * 127 */
static inline int32x4_t signed_dot(int32x4_t s, int8x16_t w, int8x16_t x)
{
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return vpadalq_s16(s, vpaddq_s16(low, high));
}
]],
  sum_t    = "int32x4_t",
  sum_zero = "vdupq_n_s32(0)",
  sum_add  = "vaddq_s32($1, $2)",
  sum_shr  = "vshrq_n_s32($1, $2)",
  sum_less = "vsubq_s32($1, vdupq_n_s32($2))",
  sum_store = "vst1q_s32($1, $2)",
  sum_across = "vaddvq_s32($1)",
  base3    = "$1",
  trit     = "vshrq_n_u8(vhaddq_u8($1, vshrq_n_u8($1, 1)), 6)",
  triple   = "triple($1)",
  sum_load = "vld1q_s32($1)",
  integers = [[
static inline int32_t quad_at(const void *p)
{
    int32_t q;
    __builtin_memcpy(&q, p, 4);
    return q;
}

/* one multiplication, of which gcc would make a shift and an addition if it knew the factor */
static inline uint8x16_t triple(uint8x16_t v)
{
    uint8x16_t three = vdupq_n_u8(3);
    __asm__("" : "+w"(three));
    return vmulq_u8(v, three);
}

static inline int16x8x2_t dot(int16x8x2_t s, uint8x16_t w, uint8x16_t x)
{
    const int8x16_t a = vreinterpretq_s8_u8(w), b = vreinterpretq_s8_u8(x);
    s.val[0] = vmlal_s8(s.val[0], vget_low_s8(a), vget_low_s8(b));
    s.val[1] = vmlal_high_s8(s.val[1], a, b);
    return s;
}
]],

  shorts = 8,
  short  = "int16x8_t",
  short_load = "vld1q_s16($1)",
  widen8 = "vmovl_s8(vld1_s8($1))",
  pairs  = "pairs($1, $2, $3)",
  pair_words = [[
static inline int32x4_t pairs(int32x4_t s, int16x8_t w, int16x8_t x)
{
    return vmlal_high_s16(vmlal_s16(s, vget_low_s16(w), vget_low_s16(x)), w, x);
}
]],

  table_entries = 16,
  table    = "vld1q_u8($1)",
  lookup   = "vqtbl1q_u8($1, $2)",
  wide_entries = 32,
  wide_t      = "uint8x16x2_t",
  wide_table  = "vld1q_u8_x2($1)",
  wide_lookup = "vqtbl2q_u8($1, $2)",
  tops     = "vsriq_n_u8(vshrq_n_u8($2, 2), $1, 5)",
  low16    = "vzip1q_u8($1, $2)",
  high16   = "vzip2q_u8($1, $2)",
  low32    = "vreinterpretq_u8_u16(vzip1q_u16(vreinterpretq_u16_u8($1), vreinterpretq_u16_u8($2)))",
  high32   = "vreinterpretq_u8_u16(vzip2q_u16(vreinterpretq_u16_u8($1), vreinterpretq_u16_u8($2)))",
  add16    = "vreinterpretq_u8_s16(vaddq_s16(vreinterpretq_s16_u8($1), vreinterpretq_s16_u8($2)))",
  sub8     = "vsubq_u8($1, $2)",
  sign     = "vcltzq_s8(vreinterpretq_s8_u8(vshlq_n_u8($1, $2)))",
  spill    = "spill($1, vreinterpretq_s16_u8($2), vreinterpretq_s16_u8($3))",
  tables = [[
/* s[0..16) += rows 0-7 of lo and 8-15 of hi. */
static inline void spill(int32_t *s, int16x8_t lo, int16x8_t hi)
{
    vst1q_s32(s, vaddw_s16(vld1q_s32(s), vget_low_s16(lo)));
    vst1q_s32(s + 4, vaddw_high_s16(vld1q_s32(s + 4), lo));
    vst1q_s32(s + 8, vaddw_s16(vld1q_s32(s + 8), vget_low_s16(hi)));
    vst1q_s32(s + 12, vaddw_high_s16(vld1q_s32(s + 12), hi));
}
]],

  flanes = 4,
  fvec   = "float32x4_t",
  fzero  = "vdupq_n_f32(0)",
  fset   = "vdupq_n_f32($1)",
  fload  = "vld1q_f32($1)",
  fstore = "vst1q_f32($1, $2)",
  fadd   = "vaddq_f32($1, $2)",
  fsub   = "vsubq_f32($1, $2)",
  fmul   = "vmulq_f32($1, $2)",
  fdiv   = "vdivq_f32($1, $2)",
  fma    = "vfmaq_f32($3, $1, $2)",
  -- as x86 orders them: the second operand where the first is not greater (less)
  fmax   = "vbslq_f32(vcgtq_f32($1, $2), $1, $2)",
  fmin   = "vbslq_f32(vcltq_f32($1, $2), $1, $2)",
  fabs   = "vabsq_f32($1)",
  half   = "vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16($1)))",
  halve  = "vst1_u16($1, vreinterpret_u16_f16(vcvt_f16_f32($2)))",
  half_all = "vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half_at($1))))",
  bf16   = "vreinterpretq_f32_u32(vshll_n_u16(vld1_u16($1), 16))",
  int8   = "int8_lanes($1)",
  swap   = "vrev64q_f32($1)",
  fint   = "vcvtq_f32_s32(vld1q_s32($1))",
  pow2   = "vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vreinterpretq_s32_f32($1), vdupq_n_s32(127)), 23))",
  low_bytes = "low_bytes($1, vreinterpretq_s32_f32($2))",
  ftree  = "tree($1)",
  ftree4 = "tree4($1, $2, $3, $4, $5)",
  floats = [[
static inline uint16_t half_at(const void *p)
{
    uint16_t h;
    __builtin_memcpy(&h, p, 2);
    return h;
}

static inline float32x4_t int8_lanes(const int8_t *p)
{
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four))))));
}

static inline void low_bytes(int8_t *p, int32x4_t v)
{
    const int16x4_t h = vmovn_s32(v);
    const int8x8_t b = vmovn_s16(vcombine_s16(h, h));
    __builtin_memcpy(p, &b, 4);
}

/* lanes +2, +1 */
static inline float tree(float32x4_t v)
{
    const float32x2_t s = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(s, 0) + vget_lane_f32(s, 1);
}

/* the trees of four vectors at once, stored in order */
static inline void tree4(float *p, float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d)
{
    const float32x4_t ab = vaddq_f32(vzip1q_f32(a, b), vzip2q_f32(a, b));
    const float32x4_t cd = vaddq_f32(vzip1q_f32(c, d), vzip2q_f32(c, d));
    vst1q_f32(p, vaddq_f32(vcombine_f32(vget_low_f32(ab), vget_low_f32(cd)),
                           vcombine_f32(vget_high_f32(ab), vget_high_f32(cd))));
}
]],
}
