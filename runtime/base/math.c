/* Owns: exp, log, pow, sin and cos in plain double multiplications and additions, the same on every
 * machine (compiled without contraction). Leaves out special cases that the engine never meets. */
#include "base/math.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

/* ln 2 in two parts; the first has 32 bits, so that its product with an exponent is exact. */
static const double LN2_HI = 0x1.62e42feep-1, LN2_LO = 0x1.a39ef35793c76p-33;
/* pi / 2 in three parts; the first two have 33 bits, exact times a quadrant number below 2^20. */
static const double HALF_PI_1 = 0x1.921fb544p+0, HALF_PI_2 = 0x1.0b4611a6p-34,
                    HALF_PI_3 = 0x1.3198a2e037073p-69;

static double power_of_two(int n) /* -1022..1023 */
{
    uint64_t bits = (uint64_t)(n + 1023) << 52;
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double polynomial(double x, const double *c, int n) /* c[0] is of the highest power */
{
    double y = c[0];
    for (int i = 1; i < n; i++)
        y = y * x + c[i];
    return y;
}

static int nearest(double x)
{
    return (int)(x < 0 ? x - 0.5 : x + 0.5);
}

double tri_exp(double x)
{
    /* e^r = 1 + r + r^2 (1/2! + r/3! + ... + r^11/13!); |r| <= ln 2 / 2 leaves 4e-18 */
    static const double c[] = {1 / 6227020800.0, 1 / 479001600.0, 1 / 39916800.0, 1 / 3628800.0,
                               1 / 362880.0,     1 / 40320.0,     1 / 5040.0,     1 / 720.0,
                               1 / 120.0,        1 / 24.0,        1 / 6.0,        1 / 2.0};
    if (x != x)
        return x;
    if (x < -708.0)
        return 0;
    if (x > 709.782712893384)
        return HUGE_VAL;
    int k = nearest(x * 1.4426950408889634);
    double r = (x - k * LN2_HI) - k * LN2_LO;
    double y = 1 + (r + r * r * polynomial(r, c, 12));
    return k > 1023 ? y * 2 * power_of_two(k - 1) : y * power_of_two(k);
}

double tri_log(double x)
{
    /* with s = f / (2 + f): log(1 + f) = 2 (s + s^3/3 + ... + s^23/23); |s| <= 0.172 leaves 1e-19
     */
    static const double c[] = {2 / 23.0, 2 / 21.0, 2 / 19.0, 2 / 17.0, 2 / 15.0, 2 / 13.0,
                               2 / 11.0, 2 / 9.0,  2 / 7.0,  2 / 5.0,  2 / 3.0};
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    int k = (int)(bits >> 52) - 1023;
    double m;
    bits = (bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000;
    memcpy(&m, &bits, sizeof m);
    if (m > 1.4142135623730951) {
        m *= 0.5;
        k++;
    }
    double f = m - 1, s = f / (2 + f), half = 0.5 * f * f;
    double rest = s * s * polynomial(s * s, c, 11);
    /* 2s = f - half + s * half exactly, and f is exact: the roundings stay in the small terms */
    return k * LN2_HI - ((half - (s * (half + rest) + k * LN2_LO)) - f);
}

double tri_pow(double x, double y)
{
    return tri_exp(y * tri_log(x));
}

/* sin and cos of r + tail for |r| <= pi / 4, tail below half an ulp of r. */
static double sine(double r, double tail)
{
    static const double c[] = {
        1 / 355687428096000.0, -1 / 1307674368000.0, 1 / 6227020800.0, -1 / 39916800.0,
        1 / 362880.0,          -1 / 5040.0,          1 / 120.0,        -1 / 6.0};
    double z = r * r;
    return r + (z * r * polynomial(z, c, 8) + tail * (1 - 0.5 * z));
}

static double cosine(double r, double tail)
{
    static const double c[] = {
        -1 / 6402373705728000.0, 1 / 20922789888000.0, -1 / 87178291200.0, 1 / 479001600.0,
        -1 / 3628800.0,          1 / 40320.0,          -1 / 720.0,         1 / 24.0};
    double z = r * r, half = 0.5 * z, near = 1 - half;
    return near + (((1 - near) - half) + (z * z * polynomial(z, c, 8) - r * tail));
}

void tri_sincos(double x, double *sin, double *cos)
{
    int k = nearest(x * 0.6366197723675814);
    double t = x - k * HALF_PI_1, w = k * HALF_PI_2;
    double r = t - w, tail = ((t - r) - w) - k * HALF_PI_3;
    double sum = r + tail;
    tail = (r - sum) + tail;
    double s = sine(sum, tail), c = cosine(sum, tail);
    const double turned[4][2] = {{s, c}, {c, -s}, {-s, -c}, {-c, s}};
    *sin = turned[k & 3][0];
    *cos = turned[k & 3][1];
}
