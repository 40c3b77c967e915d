/* onednn M N K SECONDS: nanoseconds that oneDNN takes for one product of int8 matrices, N tokens of K activations (u8)
 * times M rows of K weights (s8, in the order oneDNN likes best) into int32 sums: the best of as many as fit into SECONDS,
 * two at least. Weights stay where they are from one product to the next; bench/limits.lua says how many threads. */
#include <dnnl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void check(dnnl_status_t status, const char *what)
{
    if (status == dnnl_success)
        return;
    fprintf(stderr, "onednn: %s failed with status %d\n", what, (int)status);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static dnnl_memory_desc_t matrix(int rows, int columns, dnnl_data_type_t type, dnnl_format_tag_t order)
{
    dnnl_memory_desc_t d;
    const dnnl_dims_t dims = {rows, columns};
    check(dnnl_memory_desc_init_by_tag(&d, 2, dims, type, order), "a description of a matrix");
    return d;
}

/* A matrix as the product wants it, all ones. */
static dnnl_memory_t ones(dnnl_primitive_desc_t product, dnnl_query_t which, dnnl_engine_t engine)
{
    const dnnl_memory_desc_t *d = dnnl_primitive_desc_query_md(product, which, 0);
    dnnl_memory_t memory;
    void *bytes;
    check(dnnl_memory_create(&memory, d, engine, DNNL_MEMORY_ALLOCATE), "memory");
    check(dnnl_memory_get_data_handle(memory, &bytes), "memory");
    for (size_t i = 0, n = dnnl_memory_desc_get_size(d); i < n; i++)
        ((uint8_t *)bytes)[i] = 1;
    return memory;
}

int main(int argc, char **argv)
{
    const int m = argc == 5 ? atoi(argv[1]) : 0, n = argc == 5 ? atoi(argv[2]) : 0, k = argc == 5 ? atoi(argv[3]) : 0;
    if (m < 1 || n < 1 || k < 1)
        return fprintf(stderr, "usage: onednn M N K SECONDS\n"), 2;
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_matmul_desc_t shape;
    dnnl_primitive_desc_t product;
    dnnl_primitive_t run;
    check(dnnl_engine_create(&engine, dnnl_cpu, 0), "the engine");
    check(dnnl_stream_create(&stream, engine, dnnl_stream_default_flags), "the stream");
    const dnnl_memory_desc_t x = matrix(n, k, dnnl_u8, dnnl_ab), w = matrix(k, m, dnnl_s8, dnnl_format_tag_any),
                             y = matrix(n, m, dnnl_s32, dnnl_ab);
    check(dnnl_matmul_desc_init(&shape, &x, &w, NULL, &y), "the shape");
    check(dnnl_primitive_desc_create(&product, &shape, NULL, engine, NULL), "the product");
    check(dnnl_primitive_create(&run, product), "its code");
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, ones(product, dnnl_query_src_md, engine)},
                                         {DNNL_ARG_WEIGHTS, ones(product, dnnl_query_weights_md, engine)},
                                         {DNNL_ARG_DST, ones(product, dnnl_query_dst_md, engine)}};
    const double end = now() + 1e9 * atof(argv[4]);
    double best = 1e18;
    for (int i = 0; i < 2 || now() < end; i++) {
        const double begin = now();
        check(dnnl_primitive_execute(run, stream, 3, arguments), "a product");
        check(dnnl_stream_wait(stream), "a product");
        best = now() - begin < best ? now() - begin : best;
    }
    const char *code;
    check(dnnl_primitive_desc_query(product, dnnl_query_impl_info_str, 0, &code), "its name");
    printf("%.0f %s\n", best, code);
    return 0;
}
