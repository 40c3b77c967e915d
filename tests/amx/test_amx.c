/* The kernels with matrix tiles, as generated, on emulated tiles: right for every tail, and done with the tiles when
 * they return. And the emulation itself: that it faults where a CPU would. */
#include "emulation.h"
#include "kernels/verify.h"

#include <sys/wait.h>
#include <unistd.h>

struct tri_tiles tri_tiles;

enum { SKIPPED = 77 };

/* -- what must fault ---------------------------------------------------------------------------------- */

static uint8_t palette[64];

/* Palette 1 with all registers full but register 1, which has `rows` rows of `colsb` bytes. */
static void configure(int rows, int colsb)
{
    memset(palette, 0, sizeof palette);
    palette[0] = 1;
    for (int t = 0; t < TRI_TILES; t++)
        palette[16 + 2 * t] = (uint8_t)(t == 1 ? colsb : 64), palette[48 + t] = (uint8_t)(t == 1 ? rows : 16);
    _tile_loadconfig(palette);
}

static void fine(void) { configure(16, 64), _tile_dpbsud(0, 1, 2); }
static void unconfigured(void) { _tile_dpbsud(0, 1, 2); }
static void released(void) { fine(), _tile_release(), _tile_zero(0); }
static void rows_differ(void) { configure(8, 64), _tile_dpbsud(0, 1, 2); }
static void columns_differ(void) { configure(16, 32), _tile_dpbsud(0, 1, 2); }
static void sums_differ(void) { configure(16, 32), _tile_dpbsud(0, 2, 1); }
static void itself(void) { configure(16, 64), _tile_dpbsud(0, 2, 2); }
static void too_large(void) { configure(17, 64); }
static void no_rows(void) { configure(0, 64); }
static void reserved(void) { palette[56] = 1, palette[0] = 1, _tile_loadconfig(palette); }
static void other_palette(void) { palette[0] = 2, _tile_loadconfig(palette); }

static const struct {
    const char *name;
    void (*run)(void);
    bool faults;
} cases[] = {
    {"fine", fine, false}, {"unconfigured", unconfigured, true}, {"released", released, true},
    {"rows differ", rows_differ, true}, {"columns differ", columns_differ, true}, {"sums differ", sums_differ, true},
    {"itself", itself, true}, {"too large", too_large, true}, {"no rows", no_rows, true},
    {"reserved", reserved, true}, {"other palette", other_palette, true},
};

static int check_faults(void)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int how;
        fflush(stdout);
        const pid_t child = fork();
        if (child == 0) {
            if (!freopen("/dev/null", "w", stderr))
                _exit(1);
            cases[i].run();
            _exit(0);
        }
        const bool known = child > 0 && waitpid(child, &how, 0) == child;
        if (!known || WIFSIGNALED(how) != cases[i].faults) {
            printf("FAIL the emulation: %s\n", cases[i].name);
            failed++;
        }
    }
    return failed;
}

/* -- kernels -------------------------------------------------------------------------------------------- */

static int check_kernel(const struct tri_kernel *kernel)
{
    const struct tri_layout *l = tri_layout_find(kernel->layout);
    const int rows[] = {1, l->rows + 1, 2 * l->rows + 3}, columns[] = {1, 63, 64, 65, 5 * l->kstep + 3, 700, 2625};
    const long before = tri_tiles.products;
    struct tri_error e;
    for (int r = 0; r < 3; r++)
        for (int c = 0; c < 7; c++)
            for (int p = 0; p < TRI_PATTERNS; p++) {
                const struct tri_case one = {rows[r], columns[c], (enum tri_pattern)p, 1};
                if (rows[r] * columns[c] > 100000 && p != TRI_RANDOM)
                    continue;
                if (tri_verify(kernel, l, &one, &e) != TRI_OK)
                    return printf("FAIL %s\n", e.text), 1;
                if (tri_tiles.configured)
                    return printf("FAIL %s: keeps its tiles\n", kernel->name), 1;
            }
    if (tri_tiles.products == before)
        return printf("FAIL %s: multiplies no tiles\n", kernel->name), 1;
    return 0;
}

int main(void)
{
    const struct tri_isa *floor = tri_isa_find("avx512vbmi"); /* what else the kernels are compiled for */
    int checked = 0, failed = check_faults();
    if (!floor->present()) {
        printf("skipped: this CPU or its system lacks %s\n", floor->name);
        return failed ? 1 : SKIPPED;
    }
    for (const struct tri_kernel *kernel = tri_kernels; kernel->name; kernel++)
        if (!strncmp(kernel->name, "tile_", 5))
            checked++, failed += check_kernel(kernel);
    printf("%d kernels checked on emulated tiles, %d failed\n", checked, failed);
    return failed || !checked;
}
