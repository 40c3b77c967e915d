/* Reading of memory and of models: everything is read, once, whatever the way. How fast is not tested. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/stream.h"
#include "kernels/verify.h"
#include "model/reading.h"
#include "model/screen.h"
#include "model/synth.h"
#include "pool.h"

enum { MOST = 1 << 14 };

static void every_byte_is_read(void **state)
{
    (void)state;
    static _Alignas(64) uint8_t memory[MOST];
    uint64_t seed = 3;
    for (int i = 0; i < MOST; i++)
        memory[i] = (uint8_t)tri_random(&seed);
    for (size_t bytes = 0; bytes < MOST; bytes += bytes < 600 ? 1 : 997) {
        uint64_t sum = 0;
        for (size_t i = 0; i < bytes; i++)
            sum ^= (uint64_t)memory[i] << 8 * (i % 8);
        for (int streams = 0; streams < TRI_STREAMS; streams++)
            if (tri_stream_read(memory, bytes, (enum tri_streams)streams) != sum)
                fail_msg("%zu bytes in way %d are not all read", bytes, streams);
    }
}

static void a_model_is_read_as_it_runs(void **state)
{
    (void)state;
    struct tri_error e = {0};
    struct tri_synth synth;
    assert_true(tri_synth_size("125m", &synth));
    synth.config.layers = 2, synth.config.vocab = 1000;
    struct tri_pool *pool = pool_of(3);
    struct tri_model *m = tri_model_synth(&synth, pool, &e);
    assert_non_null(m);
    size_t packed = 0;
    for (int i = 0; i < m->config.layers; i++)
        for (int r = 0; r < TRI_ROLES; r++)
            packed += m->layer[i].matrix[r].bytes;
    assert_int_equal(tri_model_read_bytes(m), packed + m->head->bytes);
    for (int threads = 1; threads <= 3; threads++) {
        const double rate = tri_model_read(m, pool, (struct tri_team){.threads = threads});
        assert_true(isfinite(rate) && rate > 0);
    }
    assert_int_equal(tri_model_screen(m, TRI_HEAD_SCREENED, pool, &e), TRI_OK);
    assert_int_equal(tri_model_read_bytes(m), packed + m->screen->ld * 1000);
    tri_model_free(m);
    tri_pool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_read),
        cmocka_unit_test(a_model_is_read_as_it_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
