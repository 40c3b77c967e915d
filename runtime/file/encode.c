/* Owns: the encoding of trits for files. Leaves out decoding (tensor.c). */
#include "file/encode.h"

#include <string.h>

enum { F16 = 1, I2_S = 36 };

/* -- I2_S: four planes of two bits, codes are trits + 1; formats.md 2.4 in the project's documentation --- */

enum { GROUP = 128, PLANE = 32 };

static void i2s_group(const int8_t *restrict in, uint8_t *restrict out)
{
    for (int p = 0; p < PLANE; p++)
        out[p] = (uint8_t)((in[p] + 1) << 6 | (in[p + PLANE] + 1) << 4 | (in[p + 2 * PLANE] + 1) << 2 |
                           (in[p + 3 * PLANE] + 1));
}

static void i2s_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    (void)scale;
    for (int64_t i = 0; i < n; i++)
        i2s_group(trits + i * GROUP, out + i * PLANE);
}

/* -- F16: what programs that know no trits take, to encode it themselves ----------------------------------- */

static void f16_groups(const int8_t *trits, int64_t n, float scale, uint8_t *out)
{
    const uint16_t codes[3] = {tri_f32_to_f16(-scale), 0, tri_f32_to_f16(scale)};
    for (int64_t i = 0; i < n; i++)
        memcpy(out + 2 * i, &codes[trits[i] + 1], sizeof codes[0]);
}

/* -- the table ------------------------------------------------------------------------------------------- */

static const struct tri_encoder encoders[] = {
    {I2_S, 40, GROUP, PLANE, 32, i2s_groups},
    {F16, 1, 1, 2, 0, f16_groups},
};

const struct tri_encoder *tri_encoder_find(const struct tri_encoding *encoding)
{
    for (size_t i = 0; i < sizeof encoders / sizeof encoders[0]; i++)
        if (encoders[i].id == encoding->id)
            return &encoders[i];
    return NULL;
}

void tri_encoder_tail(const struct tri_encoder *c, float scale, uint8_t *out)
{
    memset(out, 0, (size_t)c->tail);
    if (c->tail)
        memcpy(out, &scale, sizeof scale);
}
