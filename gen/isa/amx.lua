-- AMX-INT8 beside AVX-512 VBMI and VNNI, as in Sapphire Rapids and later servers: eight tile registers of 16 rows of
-- 64 bytes. The system must keep their state (XCR0), and must be asked for it.
return {
  like = "avx512vbmi",
  name = "amx", rank = 60,
  cflags = "-mavx512f -mavx512bw -mavx512vl -mavx512vnni -mavx512vbmi -mavx512vbmi2 -mamx-tile -mamx-int8 -mavx2 "
    .. "-mfma -mf16c -mprefer-vector-width=512",
  detect = "tri_xcr0(0x600e6) && tri_cpuid(7, 0, TRI_EBX, 16) && tri_cpuid(7, 0, TRI_EBX, 30) && "
    .. "tri_cpuid(7, 0, TRI_EBX, 31) && tri_cpuid(7, 0, TRI_ECX, 11) && tri_cpuid(7, 0, TRI_ECX, 1) && "
    .. "tri_cpuid(7, 0, TRI_ECX, 6) && "
    .. "tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29) && tri_cpuid(7, 0, TRI_EDX, 24) && "
    .. "tri_cpuid(7, 0, TRI_EDX, 25) && tri_xcomp(18)",

  tile = { tokens = 16, rows = 16, columns = 64, quads = 1, sums = 1, x = 1, w = 1, registers = 8 },
  tile_config  = "tile_config($1, $2)",
  tile_release = "_tile_release()",
  -- compilers do not know what tile instructions read and write
  tile_fence = '__asm__ volatile("" : : : "memory")',
  tile_fill  = "_mm512_store_si512($1, $2)",
  tile_sums  = "_tile_loadd($1, $2, $3)",
  tile_x     = "_tile_loadd($1, $2, $3)",
  tile_w     = "_tile_loadd($1, $2, 64)",
  tile_dot   = "_tile_dpbsud($1, $2, $3)", -- signed activations, unsigned codes
  tile_store = "_tile_stored($1, $2, $3)",
  tiles = [[
/* Palette 1, rows of 64 bytes: 16 in the registers of weights, which are the last, and in others one for each token. */
static inline void tile_config(int tokens, int weights)
{
    _Alignas(64) uint8_t palette[64] = {1};
    for (int i = 0; i < 8; i++) {
        palette[16 + 2 * i] = 64;
        palette[48 + i] = (uint8_t)(i < weights ? tokens : 16);
    }
    __asm__ volatile("" : : "r"(palette) : "memory"); /* gcc 12 believes that eight bytes are read */
    _tile_loadconfig(palette);
}
]],
}
