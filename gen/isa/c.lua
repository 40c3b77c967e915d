-- Plain C: the floor under everything. Vectors are structs and words are small loops, which a compiler
-- turns into whatever its baseline has; the fused multiply-add is exact with and without hardware.
return {
  name = "c", rank = 0, arch = "any", cflags = "", include = "<string.h>",
  detect = "true",
  bits = 128, regs = 16,

  vec      = "v16",
  load     = "load_v16($1)",
  quad     = "quad_v16($1)",
  mask     = "mask_v16($1)",
  ["and"]  = "and_v16($1, $2)",
  shr      = "shr_v16($1, $2)",
  sum_t    = "i32x4",
  sum_zero = "(i32x4){{0}}",
  dot      = "dot_v16($1, $2, $3)",
  signed_dot = "signed_dot_v16($1, $2, $3)",
  signed_bias = 0,
  sum_add  = "add_i32x4($1, $2)",
  sum_shr  = "shr_i32x4($1, $2)",
  sum_less = "less_i32x4($1, $2)",
  sum_store = "memcpy($1, &$2, 16)",
  sum_across = "across_i32x4($1)",
  base3    = "$1",
  trit     = "trit_v16($1)",
  triple   = "triple_v16($1)",
  sum_load = "load_i32x4($1)",
  low16    = "interleave8_v16($1, $2, 0)",
  high16   = "interleave8_v16($1, $2, 8)",
  low32    = "interleave16_v16($1, $2, 0)",
  high32   = "interleave16_v16($1, $2, 8)",
  sums = [[
static inline int32_t across_i32x4(i32x4 s)
{
    return s.l[0] + s.l[1] + s.l[2] + s.l[3];
}
]],
  integers = [[
typedef struct { uint8_t b[16]; } v16;
typedef struct { int32_t l[4]; } i32x4;

static inline v16 load_v16(const void *p)
{
    v16 v;
    memcpy(&v, p, 16);
    return v;
}

static inline v16 quad_v16(const void *p)
{
    v16 v;
    for (int i = 0; i < 16; i += 4)
        memcpy(v.b + i, p, 4);
    return v;
}

static inline v16 mask_v16(int byte)
{
    v16 v;
    memset(&v, byte, 16);
    return v;
}

static inline v16 and_v16(v16 a, v16 b)
{
    for (int i = 0; i < 16; i++)
        a.b[i] &= b.b[i];
    return a;
}

static inline v16 shr_v16(v16 a, int n)
{
    for (int i = 0; i < 16; i++)
        a.b[i] = (uint8_t)(a.b[i] >> n);
    return a;
}

/* the first digit of fractions in base 3 */
static inline v16 trit_v16(v16 a)
{
    for (int i = 0; i < 16; i++)
        a.b[i] = (uint8_t)(3 * a.b[i] >> 8);
    return a;
}

static inline v16 triple_v16(v16 a)
{
    for (int i = 0; i < 16; i++)
        a.b[i] = (uint8_t)(3 * a.b[i]);
    return a;
}

static inline i32x4 dot_v16(i32x4 s, v16 w, v16 x)
{
    for (int i = 0; i < 4; i++)
        s.l[i] += w.b[4 * i] * (int8_t)x.b[4 * i] + w.b[4 * i + 1] * (int8_t)x.b[4 * i + 1] +
                  w.b[4 * i + 2] * (int8_t)x.b[4 * i + 2] + w.b[4 * i + 3] * (int8_t)x.b[4 * i + 3];
    return s;
}

static inline i32x4 signed_dot_v16(i32x4 s, v16 w, v16 x)
{
    for (int i = 0; i < 16; i++)
        s.l[i / 4] += (int8_t)w.b[i] * (int8_t)x.b[i];
    return s;
}

/* bytes (words) of a and b by turns, from byte `first` on */
static inline v16 interleave8_v16(v16 a, v16 b, int first)
{
    v16 v;
    for (int i = 0; i < 8; i++)
        v.b[2 * i] = a.b[first + i], v.b[2 * i + 1] = b.b[first + i];
    return v;
}

static inline v16 interleave16_v16(v16 a, v16 b, int first)
{
    v16 v;
    for (int i = 0; i < 4; i++) {
        memcpy(v.b + 4 * i, a.b + first + 2 * i, 2);
        memcpy(v.b + 4 * i + 2, b.b + first + 2 * i, 2);
    }
    return v;
}

static inline i32x4 load_i32x4(const int32_t *p)
{
    i32x4 s;
    memcpy(&s, p, 16);
    return s;
}

static inline i32x4 add_i32x4(i32x4 a, i32x4 b)
{
    for (int i = 0; i < 4; i++)
        a.l[i] += b.l[i];
    return a;
}

static inline i32x4 shr_i32x4(i32x4 a, int n)
{
    for (int i = 0; i < 4; i++)
        a.l[i] >>= n;
    return a;
}

static inline i32x4 less_i32x4(i32x4 a, int32_t x)
{
    for (int i = 0; i < 4; i++)
        a.l[i] -= x;
    return a;
}
]],

  shorts = 8,
  short  = "i16x8",
  short_load = "load_i16x8($1)",
  widen8 = "widen_i16x8($1)",
  pairs  = "pairs_i16x8($1, $2, $3)",
  pair_words = [[
typedef struct { int16_t l[8]; } i16x8;

static inline i16x8 load_i16x8(const int16_t *p)
{
    i16x8 v;
    memcpy(&v, p, 16);
    return v;
}

static inline i16x8 widen_i16x8(const int8_t *p)
{
    i16x8 v;
    for (int i = 0; i < 8; i++)
        v.l[i] = p[i];
    return v;
}

/* products of int16, two to a lane */
static inline i32x4 pairs_i16x8(i32x4 s, i16x8 w, i16x8 x)
{
    for (int i = 0; i < 4; i++)
        s.l[i] += w.l[2 * i] * x.l[2 * i] + w.l[2 * i + 1] * x.l[2 * i + 1];
    return s;
}
]],

  table_entries = 16,
  zero     = "(v16){{0}}",
  xor      = "xor_v16($1, $2)",
  table    = "load_v16($1)",
  lookup   = "lookup_v16($1, $2)",
  add16    = "add16_v16($1, $2)",
  sub8     = "sub_v16($1, $2)",
  sign     = "sign_v16($1, $2)",
  spill    = "spill_v16($1, $2, $3)",
  tables = [[
static inline v16 xor_v16(v16 a, v16 b)
{
    for (int i = 0; i < 16; i++)
        a.b[i] ^= b.b[i];
    return a;
}

static inline v16 lookup_v16(v16 table, v16 index)
{
    for (int i = 0; i < 16; i++)
        index.b[i] = table.b[index.b[i] & 15];
    return index;
}

static inline v16 sub_v16(v16 a, v16 b)
{
    for (int i = 0; i < 16; i++)
        a.b[i] = (uint8_t)(a.b[i] - b.b[i]);
    return a;
}

/* all bits of a byte are what its bit 7 - n is */
static inline v16 sign_v16(v16 a, int n)
{
    for (int i = 0; i < 16; i++)
        a.b[i] = a.b[i] & 128 >> n ? 255 : 0;
    return a;
}

static inline v16 add16_v16(v16 a, v16 b)
{
    uint16_t s[8], t[8];
    memcpy(s, a.b, 16);
    memcpy(t, b.b, 16);
    for (int i = 0; i < 8; i++)
        s[i] = (uint16_t)(s[i] + t[i]);
    memcpy(a.b, s, 16);
    return a;
}

/* s[0..16) += rows 0-7 of lo and 8-15 of hi */
static inline void spill_v16(int32_t *s, v16 lo, v16 hi)
{
    int16_t t[16];
    memcpy(t, lo.b, 16);
    memcpy(t + 8, hi.b, 16);
    for (int i = 0; i < 16; i++)
        s[i] += t[i];
}
]],

  tile = { tokens = 4, rows = 4, columns = 64, quads = 1, sums = 1, x = 1, w = 1, registers = 8 },
  tile_fill  = "memcpy($1, $2.b, 16)",
  tile_sums  = "sum_tile s$1 = load_sums($2, $3)",
  tile_x     = "const x_tile x$1 = load_x($2, $3)",
  tile_w     = "const w_tile w$1 = load_w($2)",
  tile_dot   = "dot_tile(&s$1, &x$2, &w$3)",
  tile_store = "store_sums($2, $3, &s$1)",
  tiles = [[
typedef struct { int32_t s[4][4]; } sum_tile; /* tokens, rows */
typedef struct { int8_t x[4][64]; } x_tile;   /* tokens, columns */
typedef struct { uint8_t w[16][4][4]; } w_tile; /* quads of columns, rows, columns of the quad */

static inline sum_tile load_sums(const int32_t *p, size_t stride)
{
    sum_tile t;
    for (int i = 0; i < 4; i++)
        memcpy(t.s[i], (const char *)p + (size_t)i * stride, 16);
    return t;
}

static inline void store_sums(int32_t *p, size_t stride, const sum_tile *t)
{
    for (int i = 0; i < 4; i++)
        memcpy((char *)p + (size_t)i * stride, t->s[i], 16);
}

static inline x_tile load_x(const int8_t *p, size_t stride)
{
    x_tile t;
    for (int i = 0; i < 4; i++)
        memcpy(t.x[i], p + (size_t)i * stride, 64);
    return t;
}

static inline w_tile load_w(const uint8_t *p)
{
    w_tile t;
    memcpy(&t, p, 256);
    return t;
}

static inline void dot_tile(sum_tile *s, const x_tile *x, const w_tile *w)
{
    for (int i = 0; i < 4; i++)
        for (int q = 0; q < 16; q++)
            for (int r = 0; r < 4; r++)
                for (int c = 0; c < 4; c++)
                    s->s[i][r] += x->x[i][4 * q + c] * w->w[q][r][c];
}
]],

  flanes = 16,
  fvec   = "f32x16",
  fzero  = "(f32x16){{0}}",
  fset   = "set_f32x16($1)",
  fload  = "load_f32x16($1)",
  fstore = "store_f32x16($1, $2)",
  fadd   = "add_f32x16($1, $2)",
  fsub   = "sub_f32x16($1, $2)",
  fmul   = "mul_f32x16($1, $2)",
  fdiv   = "div_f32x16($1, $2)",
  fma    = "fma_f32x16($1, $2, $3)",
  fmax   = "max_f32x16($1, $2)",
  fmin   = "min_f32x16($1, $2)",
  fabs   = "abs_f32x16($1)",
  half   = "half_f32x16($1)",
  halve  = "halve_f32x16($1, $2)",
  half_all = "set_f32x16(half_at($1))",
  bf16   = "bf16_f32x16($1)",
  int8   = "int8_f32x16($1)",
  swap   = "swap_f32x16($1)",
  fint   = "int_f32x16($1)",
  pow2   = "pow2_f32x16($1)",
  low_bytes = "low_bytes_f32x16($1, $2)",
  ftree  = "tree_f32x16($1)",
  ftree4 = "tree4($1, $2, $3, $4, $5)",
  floats = [[
typedef struct { float l[16]; } f32x16;

static inline uint32_t bits_of(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}

static inline float float_of(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}

/* Exact without hardware: the product fits a double; the sum is rounded to odd (its error, known from
 * Knuth's two-sum, decides the last bit), so that rounding it once more to float is right. */
static inline float fused(float a, float b, float c)
{
#ifdef __FP_FAST_FMAF
    return __builtin_fmaf(a, b, c);
#else
    double p = (double)a * b, s = p + c, t = s - p, e = (p - (s - t)) + (c - t);
    uint64_t u;
    memcpy(&u, &s, 8);
    if (e != 0 && !(u & 1) && s - s == 0) {
        u += ((e > 0) == (s > 0)) ? 1 : (uint64_t)-1;
        memcpy(&s, &u, 8);
    }
    return (float)s;
#endif
}

static inline float widen_half(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff;
    if (e == 31)
        return float_of(sign | 0x7f800000 | m << 13);
    if (e == 0)
        return float_of(sign | bits_of((float)m * 0x1p-24f));
    return float_of(sign | (e + 112) << 23 | m << 13);
}

static inline uint16_t narrow_half(float f)
{
    uint32_t u = bits_of(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) /* subnormal: adding 0.5 leaves the rounded half in the low bits */
        return (uint16_t)(sign | (bits_of(float_of(a) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((a - 0x38000000 + 0xfff + (a >> 13 & 1)) >> 13));
}

static inline f32x16 set_f32x16(float s)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = s;
    return r;
}

static inline f32x16 load_f32x16(const float *p)
{
    f32x16 r;
    memcpy(&r, p, 64);
    return r;
}

static inline void store_f32x16(float *p, f32x16 a)
{
    memcpy(p, &a, 64);
}

#define LANES(name, expression) /* unused where kernels need but some */  \
    static inline __attribute__((unused)) f32x16 name(f32x16 a, f32x16 b) \
    {                                                                     \
        for (int i = 0; i < 16; i++)                                      \
            a.l[i] = expression;                                          \
        return a;                                                         \
    }
LANES(add_f32x16, a.l[i] + b.l[i])
LANES(sub_f32x16, a.l[i] - b.l[i])
LANES(mul_f32x16, a.l[i] * b.l[i])
LANES(div_f32x16, a.l[i] / b.l[i])
LANES(max_f32x16, a.l[i] > b.l[i] ? a.l[i] : b.l[i])
LANES(min_f32x16, a.l[i] < b.l[i] ? a.l[i] : b.l[i])
#undef LANES

static inline f32x16 fma_f32x16(f32x16 a, f32x16 b, f32x16 c)
{
    for (int i = 0; i < 16; i++)
        c.l[i] = fused(a.l[i], b.l[i], c.l[i]);
    return c;
}

static inline f32x16 abs_f32x16(f32x16 a)
{
    for (int i = 0; i < 16; i++)
        a.l[i] = float_of(bits_of(a.l[i]) & 0x7fffffff);
    return a;
}

static inline f32x16 half_f32x16(const uint16_t *p)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = widen_half(p[i]);
    return r;
}

static inline float half_at(const void *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return widen_half(h);
}

static inline f32x16 bf16_f32x16(const uint16_t *p)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = float_of((uint32_t)p[i] << 16);
    return r;
}

static inline f32x16 int8_f32x16(const int8_t *p)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = (float)p[i];
    return r;
}

static inline f32x16 swap_f32x16(f32x16 a)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = a.l[i ^ 1];
    return r;
}

static inline void halve_f32x16(uint16_t *p, f32x16 a)
{
    for (int i = 0; i < 16; i++)
        p[i] = narrow_half(a.l[i]);
}

static inline f32x16 int_f32x16(const int32_t *p)
{
    f32x16 r;
    for (int i = 0; i < 16; i++)
        r.l[i] = (float)p[i];
    return r;
}

static inline f32x16 pow2_f32x16(f32x16 t)
{
    for (int i = 0; i < 16; i++)
        t.l[i] = float_of((bits_of(t.l[i]) + 127) << 23);
    return t;
}

static inline void low_bytes_f32x16(int8_t *p, f32x16 t)
{
    for (int i = 0; i < 16; i++)
        p[i] = (int8_t)(bits_of(t.l[i]) & 255);
}

static inline float tree_f32x16(f32x16 a)
{
    for (int half = 8; half; half /= 2)
        for (int i = 0; i < half; i++)
            a.l[i] += a.l[i + half];
    return a.l[0];
}

static inline void tree4(float *p, f32x16 a, f32x16 b, f32x16 c, f32x16 d)
{
    p[0] = tree_f32x16(a);
    p[1] = tree_f32x16(b);
    p[2] = tree_f32x16(c);
    p[3] = tree_f32x16(d);
}
]],
}
