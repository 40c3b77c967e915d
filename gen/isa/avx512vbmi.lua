-- AVX-512 VBMI and VBMI2 with VNNI, as in Ice Lake, Sapphire Rapids and Zen 4: byte permutations over 64 entries.

-- The tables of the split code of five trits: entry i, as a byte of C.
local function list(entry)
  local rows = {}
  for i = 0, 63 do rows[#rows + 1] = ("%3d,"):format(entry(i)) .. (i % 16 == 15 and i < 63 and "\n    " or " ") end
  return (table.concat(rows):gsub(",? *$", ""))
end

local function four(number)
  local byte = 0
  for p = 0, 3 do byte = byte + math.floor(number / 3 ^ p) % 3 * 4 ^ p end
  return byte
end

local fives = {
  first = list(four),
  escaped_first = list(function(i) return i < 51 and four(64 + math.floor(i / 3)) or 0 end),
  escaped_last = list(function(i) return i < 51 and i % 3 * 64 or 0 end),
}

return {
  like = "avx512vnni",
  name = "avx512vbmi", rank = 50,
  cflags = "-mavx512f -mavx512bw -mavx512vl -mavx512vnni -mavx512vbmi -mavx512vbmi2 -mavx2 -mfma "
    .. "-mf16c -mprefer-vector-width=512",
  detect = "tri_xcr0(0xe6) && tri_cpuid(7, 0, TRI_EBX, 16) && tri_cpuid(7, 0, TRI_EBX, 30) && "
    .. "tri_cpuid(7, 0, TRI_EBX, 31) && tri_cpuid(7, 0, TRI_ECX, 11) && tri_cpuid(7, 0, TRI_ECX, 1) && "
    .. "tri_cpuid(7, 0, TRI_ECX, 6) && "
    .. "tri_cpuid(1, 0, TRI_ECX, 12) && tri_cpuid(1, 0, TRI_ECX, 29)",

  five_first = "five_first($1)",
  five_last  = "five_last($1)",
  fives = ([[
/* FIRST[i]: the codes of planes 0..3 that byte i names, two bits each; ESCAPED_*: the same for bytes 0xc0 + i */
static const uint8_t FIRST[64] = {
    $first};
static const uint8_t ESCAPED_FIRST[64] = {
    $escaped_first};
static const uint8_t ESCAPED_LAST[64] = {
    $escaped_last};

static inline __m512i five_first(__m512i b)
{
    const __mmask64 escaped = _mm512_cmpge_epu8_mask(b, _mm512_set1_epi8((char)0xc0));
    const __m512i plain = _mm512_permutexvar_epi8(b, _mm512_loadu_si512(FIRST));
    return _mm512_mask_permutexvar_epi8(plain, escaped, b, _mm512_loadu_si512(ESCAPED_FIRST));
}

/* the code of plane 4, in the top bits */
static inline __m512i five_last(__m512i b)
{
    const __m512i top = _mm512_set1_epi8((char)0xc0);
    const __mmask64 escaped = _mm512_cmpge_epu8_mask(b, top);
    return _mm512_mask_permutexvar_epi8(_mm512_and_si512(b, top), escaped, b, _mm512_loadu_si512(ESCAPED_LAST));
}
]]):gsub("%$([%a_]+)", fives),

  word_join = "_mm512_shldi_epi16($1, $2, 1)",

  table_entries = 64,
  table    = "_mm512_loadu_si512($1)",
  lookup   = "_mm512_permutexvar_epi8($2, $1)",
  sub8     = "_mm512_sub_epi8($1, $2)",
  sign     = "_mm512_movm_epi8(_mm512_movepi8_mask(_mm512_slli_epi16($1, $2)))",
  spill    = "spill($1, $2, $3)",
  tables = [[
/* s[0..64) += the rows of lo and hi, eight of each to a 128-bit lane, as unpacking left them. */
static inline void spill(int32_t *s, __m512i lo, __m512i hi)
{
    const __m512i a = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), hi);
    const __m512i b = _mm512_permutex2var_epi64(lo, _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15), hi);
    const __m512i part[4] = {_mm512_cvtepi16_epi32(_mm512_castsi512_si256(a)),
                             _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(a, 1)),
                             _mm512_cvtepi16_epi32(_mm512_castsi512_si256(b)),
                             _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(b, 1))};
    for (int i = 0; i < 4; i++)
        _mm512_storeu_si512(s + 16 * i, _mm512_add_epi32(_mm512_loadu_si512(s + 16 * i), part[i]));
}
]],
}
