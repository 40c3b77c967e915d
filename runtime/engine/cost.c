/* Owns: the memory of how long passes took, and the guess where none was timed. */
#include "engine/cost.h"

#include <string.h>

/* Passes of a window. Noise only adds, so its least counts; machines and depths change, so windows end. What is tried
 * again behind each may be a loss, so they end rarely. */
enum { WINDOW = 256 };

/* Of a matrix, on rows in cache; nobody has timed the kernels of dense ones. */
static double computing(const struct tri_matrix *m, int n)
{
    return m->dense ? n : (double)tri_plan_cost(&m->plan, n) / (double)tri_plan_cost(&m->plan, 1);
}

/* n tokens to one by the plans alone. From memory n tokens cost as one, as long as that takes longer than computing
 * them; from cache as the plans say. Where between the two, they do not know: halfway. The head counts n times. */
static double by_plans(const struct tri_model *m, int n)
{
    double bytes = (double)m->head->bytes, sum = bytes * n;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++) {
            const struct tri_matrix *matrix = &m->layer[i].matrix[r];
            bytes += (double)matrix->bytes;
            sum += (double)matrix->bytes * computing(matrix, n);
        }
    return (1 + sum / bytes) / 2;
}

/* Seconds to what was expected, if passes of n tokens were timed; else 0. */
static double ratio(const struct tri_cost *c, int n)
{
    const double now = c->least[0][n], before = c->least[1][n];
    return (now > 0 && (before == 0 || now < before) ? now : before) / c->expected[n];
}

/* Of n tokens that were not timed: between the ratios of the nearest fewer and more that were. */
static double between(const struct tri_cost *c, int n)
{
    int fewer = n, more = n;
    while (fewer > 0 && ratio(c, fewer) == 0)
        fewer--;
    while (more <= TRI_COST_TOKENS && ratio(c, more) == 0)
        more++;
    if (fewer == 0 && more > TRI_COST_TOKENS)
        return 1;
    if (fewer == 0 || more > TRI_COST_TOKENS)
        return ratio(c, fewer ? fewer : more);
    const double low = ratio(c, fewer), high = ratio(c, more);
    return more == fewer ? low : low + (high - low) * (n - fewer) / (more - fewer);
}

static void draw_curve(struct tri_cost *c)
{
    for (int n = 1; n <= TRI_COST_TOKENS; n++)
        c->of[n] = c->expected[n] * between(c, n);
}

void tri_cost_begin(struct tri_cost *c, const struct tri_model *m)
{
    *c = (struct tri_cost){0};
    for (int n = 1; n <= TRI_COST_TOKENS; n++)
        c->expected[n] = by_plans(m, n);
    draw_curve(c);
}

static void turn_window(struct tri_cost *c)
{
    memcpy(c->least[1], c->least[0], sizeof c->least[1]);
    memset(c->least[0], 0, sizeof c->least[0]);
    c->passes = 0;
}

void tri_cost_timed(struct tri_cost *c, int tokens, double seconds)
{
    const bool turn = c->passes++ == WINDOW;
    if (turn)
        turn_window(c);
    double *least = &c->least[0][tokens];
    const bool news = *least == 0 || seconds < *least;
    if (news)
        *least = seconds;
    if (news || turn)
        draw_curve(c);
}
