/* Owns: what cannot be true of a receipt. Whoever changes a number has to change all that follow from it; a run's bytes
 * follow from its shape, and its speed is bounded by reads, which are bounded by what cores load. */
#include "base/statistics.h"
#include "base/memory.h"
#include "cli/receipt.h"
#include "engine/attention.h"
#include "file/json.h"
#include "model/build.h"
#include "model/screen.h"
#include "model/traffic.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* GB/s a thread, far above every core: three loads of 16 bytes a cycle at 6 GHz from the caches (stream.h loads no
 * wider), and from memory twice what the fastest cores of 2025 reach. */
static const double most_cached = 288, most_memory = 200;

static const double rounding = 1e-6; /* relative, of what is computed of numbers that were written whole */

struct list {
    double *at;
    int count;
};

/* -- reading what receipt_read.c has seen to ------------------------------- */

/* Freed with tri_free(list.at); NULL: TRI_NO_MEMORY. */
static struct list list_of(const json_t *object, const char *key, struct tri_error *e)
{
    struct list l;
    l.at = tri_numbers(object, key, &l.count, e);
    return l;
}

static bool near(double a, double b, double tolerance)
{
    return fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

__attribute__((format(printf, 3, 4)))
static enum tri_status expect(bool holds, struct tri_error *e, const char *format, ...)
{
    char what[512];
    va_list args;
    if (holds)
        return TRI_OK;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return tri_fail(e, TRI_WRONG,
                    "the receipt contradicts itself: %s; it was not written by a run, or was changed since", what);
}

/* -- reads ------------------------------------------------------------------ */

static double cache_bytes(const json_t *machine)
{
    double sum = 0;
    size_t i;
    json_t *cache;
    json_array_foreach(json_object_get(machine, "caches"), i, cache)
        sum += tri_number(cache, "bytes") * (tri_integer(cache, "level") < 3 ? tri_number(machine, "threads") : 1);
    return sum;
}

static enum tri_status check_reads(const json_t *receipt, const json_t *reads, struct tri_error *e)
{
    const json_t *machine = json_object_get(receipt, "machine"),
                 *row = json_array_get(json_object_get(receipt, "rows"), 0);
    struct list gbps = list_of(reads, "gbps", e), at = list_of(reads, "at", e);
    if (!gbps.at || !at.at) {
        tri_free(gbps.at);
        tri_free(at.at);
        return e->status;
    }
    const json_int_t threads = tri_integer(reads, "threads"), repetitions = tri_integer(receipt, "repetitions");
    const bool memory = tri_number(row, "model_size") > 2 * cache_bytes(machine);
    const double most = (double)threads * (memory ? most_memory : most_cached);
    enum tri_status s =
        expect(threads >= 1 && threads <= TRI_MAX_THREADS, e, "reads by %lld threads", (long long)threads);
    if (s == TRI_OK)
        s = expect(gbps.count == at.count && gbps.count > repetitions, e,
                   "%d reads by %lld threads at %d times, of %lld repetitions and a warm-up", gbps.count,
                   (long long)threads, at.count, (long long)repetitions);
    for (int i = 0; i < gbps.count && s == TRI_OK; i++)
        s = expect(
            gbps.at[i] > 0 && gbps.at[i] <= most && at.at[i] >= (i ? at.at[i - 1] : 0), e,
            "read %d of %lld threads, %.9g GB/s at second %.9g: expected speeds above 0 and up to %.0f GB/s, which "
            "no %s reaches, in order of time",
            i + 1, (long long)threads, gbps.at[i], at.at[i], most, memory ? "memory" : "cache");
    tri_free(gbps.at);
    tri_free(at.at);
    return s;
}

static const json_t *reads_of(const json_t *receipt, json_int_t threads)
{
    size_t i;
    json_t *reads;
    json_array_foreach(json_object_get(receipt, "reads"), i, reads)
        if (tri_integer(reads, "threads") == threads)
            return reads;
    return NULL;
}

/* -- samples ----------------------------------------------------------------- */

static enum tri_status check_sums(const json_t *row, struct list s, struct tri_error *e)
{
    const double mean = tri_mean(s.at, s.count), deviation = tri_deviation(s.at, s.count);
    const double median = tri_median(s.at, s.count);
    const struct {
        const char *key;
        double value;
    } facts[] = {{"avg_ts", mean}, {"median_ts", median}, {"min_ts", s.at[0]}, {"max_ts", s.at[s.count - 1]}};
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        if (expect(near(tri_number(row, facts[i].key), facts[i].value, rounding), e,
                   "%s is %.9g, and of its samples %.9g",
                   facts[i].key, tri_number(row, facts[i].key), facts[i].value) != TRI_OK)
            return e->status;
    return expect(fabs(tri_number(row, "stddev_ts") - deviation) <= rounding * mean, e,
                  "stddev_ts is %.9g, and of its samples %.9g", tri_number(row, "stddev_ts"), deviation);
}

/* speed, at, seconds: of one row. */
static enum tri_status check_samples(const json_t *receipt, const json_t *row, const struct list l[3],
                                     struct tri_error *e)
{
    const double tokens = tri_number(row, "n_prompt") + tri_number(row, "n_gen");
    const json_int_t repetitions = tri_integer(receipt, "repetitions");
    if (expect(repetitions > 0 && l[0].count == repetitions && l[1].count == repetitions && l[2].count == repetitions,
               e, "%d samples, %d times and %d lengths, of %lld repetitions", l[0].count, l[1].count, l[2].count,
               (long long)repetitions) != TRI_OK ||
        expect(tokens > 0, e, "a row of no tokens") != TRI_OK)
        return e->status;
    for (int i = 0; i < l[0].count; i++)
        if (expect(l[0].at[i] > 0 && l[2].at[i] > 0 && near(l[0].at[i] * l[2].at[i], tokens, rounding), e,
                   "sample %d: %.9g tokens per second for %.9g seconds are not %.0f tokens", i + 1, l[0].at[i],
                   l[2].at[i], tokens) != TRI_OK)
            return e->status;
    return check_sums(row, l[0], e);
}

/* Rows take turns: one begins when the one before is over. */
static enum tri_status check_times(const json_t *receipt, struct tri_error *e)
{
    const json_t *rows = json_object_get(receipt, "rows");
    double over = 0;
    for (json_int_t round = 0; round < tri_integer(receipt, "repetitions"); round++)
        for (size_t i = 0; i < json_array_size(rows); i++) {
            const json_t *row = json_array_get(rows, i);
            const double at = json_number_value(json_array_get(json_object_get(row, "at"), (size_t)round));
            if (expect(at >= over * (1 - rounding), e,
                       "repetition %lld of row %zu begins at second %.9g, before %.9g, when "
                       "the one before it was over",
                       (long long)round + 1, i + 1, at, over) != TRI_OK)
                return e->status;
            over = at + json_number_value(json_array_get(json_object_get(row, "seconds"), (size_t)round));
        }
    const json_int_t took = tri_integer(json_object_get(receipt, "after"), "time") -
                            tri_integer(json_object_get(receipt, "before"), "time");
    return expect(took >= 0, e, "it ended %lld seconds before it began", (long long)-took);
}

/* -- bytes -------------------------------------------------------------------- */

static enum tri_status config_of(const json_t *m, struct tri_config *c, struct tri_error *e)
{
    *c = (struct tri_config){.family = tri_family_find(tri_string(m, "family")), .rope_theta = 10000,
                             .norm_eps = 1e-5f};
    for (int i = 0; i < TRI_RECEIPT_SIZES; i++) {
        const char *key = tri_receipt_sizes[i].key;
        const json_int_t value = tri_integer(m, key);
        if (expect(value >= 1 && value <= 1 << 24, e, "a model whose %s are %lld", key, (long long)value) != TRI_OK)
            return e->status;
        *tri_receipt_size(c, i) = (int)value;
    }
    c->rope_dims = c->head_dim & ~1;
    c->context = 1;
    if (!c->family)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "the receipt's family of models, \"%.64s\", is unknown here; use the tritune "
                        "that wrote it",
                        tri_string(m, "family"));
    struct tri_error why;
    return tri_config_check(c, &why) == TRI_OK ? TRI_OK
                                               : expect(false, e, "a model that there cannot be: %.200s", why.text);
}

/* As dense weights, or packed trits, lie in this layout. */
static enum tri_status lay(struct tri_matrix *m, const json_t *model, int role, struct tri_error *e)
{
    const char *name = json_string_value(json_array_get(json_object_get(model, "layouts"), (size_t)role));
    m->dense = name ? tri_dense_find(name) : NULL;
    const struct tri_layout *layout = m->dense ? &m->dense->layout : name ? tri_layout_find(name) : NULL;
    if (!layout)
        return tri_fail(e, TRI_UNSUPPORTED,
                        "layout \"%.64s\" of the receipt's %s matrices is unknown here; use the tritune "
                        "that wrote it",
                        name ? name : "", tri_role_names[role]);
    m->group = (int)tri_integer(model, "group");
    for (int i = 0; i < m->parts; i++)
        m->part[i].group = json_is_true(json_object_get(model, "row_scales")) ? m->k : 0;
    tri_matrix_lay(m, layout);
    return TRI_OK;
}

/* Of all layers' attention and feed forward. */
static enum tri_status weight_bytes(const json_t *model, const struct tri_config *c, double bytes[TRI_ROLES],
                                    struct tri_error *e)
{
    const json_int_t group = tri_integer(model, "group");
    if (expect(group == 0 || group == 32 || group == 64 || group == 128 || group == 256, e, "scales of %lld columns",
               (long long)group) != TRI_OK)
        return e->status;
    struct tri_model *m = tri_model_new(c, e);
    enum tri_status status = m ? TRI_OK : e->status;
    for (int r = 0; r < TRI_ROLES && status == TRI_OK; r++) {
        status = lay(&m->layer[0].matrix[r], model, r, e);
        bytes[r] = status == TRI_OK ? (double)c->layers * (double)tri_matrix_traffic(&m->layer[0].matrix[r]) : 0;
    }
    tri_model_free(m);
    return status;
}

static double head_bytes(const json_t *model, const json_t *row, const struct tri_config *c)
{
    const struct tri_encoding *encoding = tri_encoding_find((uint32_t)tri_integer(model, "head_type"));
    if (!encoding || encoding->block_bytes == 0)
        return -1;
    const double whole = (double)c->vocab * (c->hidden / encoding->block * encoding->block_bytes + encoding->row_head);
    const json_t *candidates = json_object_get(row, "head_candidates");
    return json_is_null(candidates)
               ? whole
               : floor((double)tri_screen_bytes(c)) + floor(json_number_value(candidates) * whole / c->vocab);
}

static double position_bytes(const json_t *row, const struct tri_config *c)
{
    static const char *const names[] = {[TRI_CACHE_F32] = "f32", [TRI_CACHE_F16] = "f16", [TRI_CACHE_Q8_0] = "q8_0"};
    double sum = 0;
    for (int t = TRI_CACHE_F32; t <= TRI_CACHE_Q8_0; t++)
        sum += (double)tri_cache_position((enum tri_cache_type)t, c->kv_heads, c->head_dim) *
               ((strcmp(tri_string(row, "type_k"), names[t]) == 0) +
                (strcmp(tri_string(row, "type_v"), names[t]) == 0));
    return c->layers * sum;
}

/* Of a row that was decoded alone; `bytes` become those of a token. */
static enum tri_status check_bytes(const json_t *receipt, const json_t *row, double *bytes, struct tri_error *e)
{
    const json_t *model = json_object_get(receipt, "model"), *claimed = json_object_get(row, "bytes_per_token");
    struct tri_config c;
    double roles[TRI_ROLES] = {0};
    if (config_of(model, &c, e) != TRI_OK || weight_bytes(model, &c, roles, e) != TRI_OK)
        return e->status;
    const double attention = roles[TRI_ROLE_QKV] + roles[TRI_ROLE_O];
    const double all = attention + roles[TRI_ROLE_GATE_UP] + roles[TRI_ROLE_DOWN];
    const double weights = tri_number(claimed, "weights");
    const bool dense = strcmp(tri_string(row, "ffn"), "dense") == 0;
    const double head = head_bytes(model, row, &c), kv = tri_number(claimed, "kv");
    const double positions = (2 * tri_number(row, "n_depth") + tri_number(row, "n_gen") + 1) / 2;
    const double cached = floor(position_bytes(row, &c) * positions);
    *bytes = weights + tri_number(claimed, "head") + kv;
    if (expect(dense ? near(weights, all, rounding) : weights >= attention && weights <= all * (1 + rounding), e,
               "a token reads %.0f bytes of weights, and of this shape in these layouts %.0f", weights,
               all) != TRI_OK ||
        expect(head < 0 || near(head, tri_number(claimed, "head"), rounding), e,
               "a token reads %.0f bytes of the output matrix, and of this shape %.0f", tri_number(claimed, "head"),
               head) != TRI_OK)
        return e->status;
    return expect(near(kv, cached, rounding), e, "a token reads %.0f bytes of keys and values, and of this shape %.0f",
                  kv, cached);
}

/* -- speeds against reads -------------------------------------------------------- */

static enum tri_status check_ceiling(const json_t *row, double bytes, struct list gbps, struct tri_error *e)
{
    const char *noise = tri_grade_of(tri_spread(gbps.at, gbps.count));
    const double median = tri_median(gbps.at, gbps.count), most = gbps.at[gbps.count - 1];
    const double needed = 1e-9 * bytes * tri_number(row, "avg_ts");
    if (expect(strcmp(noise, tri_string(row, "noise")) == 0, e, "noise %.8s, where its reads say %s",
               tri_string(row, "noise"),
               noise) != TRI_OK ||
        expect(near(tri_number(row, "read_gbps"), median, rounding), e, "read_gbps is %.9g, and of its reads %.9g",
               tri_number(row, "read_gbps"), median) != TRI_OK)
        return e->status;
    if (bytes == 0)
        return TRI_OK;
    if (expect(near(tri_number(row, "share"), needed / median, rounding), e,
               "share is %.9g, and of bytes, speed and reads %.9g", tri_number(row, "share"),
               needed / median) != TRI_OK)
        return e->status;
    return expect(needed <= TRI_READ_TOLERANCE * most, e,
                  "%.9g tokens per second would read %.2f GB/s, where reading alone "
                  "reached %.2f",
                  tri_number(row, "avg_ts"), needed, most);
}

static enum tri_status check_energy(const json_t *row, struct tri_error *e)
{
    const json_t *joules = json_object_get(row, "joules"), *value;
    const double tokens = tri_number(row, "n_prompt") + tri_number(row, "n_gen");
    double sum = 0;
    size_t i;
    bool known = json_array_size(joules) > 0;
    if (expect(json_array_size(joules) == json_array_size(json_object_get(row, "seconds")), e,
               "%zu energies of other than as many samples", json_array_size(joules)) != TRI_OK)
        return e->status;
    for (i = 0; i < json_array_size(joules); i++) {
        value = json_array_get(joules, i);
        known = known && json_is_number(value) && json_number_value(value) >= 0;
        sum += json_number_value(value);
    }
    const double each = known ? sum / (double)i / tokens : 0;
    return expect(json_is_null(json_object_get(row, "j_per_token"))
                      ? !known
                      : known && near(tri_number(row, "j_per_token"), each, rounding),
                  e, "j_per_token is %.9g, and of its samples %.9g", tri_number(row, "j_per_token"), each);
}

/* -- rows --------------------------------------------------------------------------- */

static enum tri_status check_lists(const json_t *receipt, const json_t *row, const struct list l[4],
                                   struct tri_error *e)
{
    double bytes = 0;
    const bool bounded = json_is_object(json_object_get(row, "bytes_per_token"));
    const bool alone = tri_integer(row, "n_prompt") == 0 && tri_integer(row, "draft") == 0;
    if (check_samples(receipt, row, l, e) != TRI_OK ||
        expect(bounded == alone, e, "bytes per token of %s", alone ? "none of decoded ones" : "a prompt or drafts") !=
            TRI_OK ||
        (bounded && check_bytes(receipt, row, &bytes, e) != TRI_OK) || check_energy(row, e) != TRI_OK)
        return e->status;
    return check_ceiling(row, bytes, l[3], e);
}

static enum tri_status check_row(const json_t *receipt, const json_t *row, struct tri_error *e)
{
    static const char *const keys[] = {"samples_ts", "at", "seconds"};
    const json_t *reads = reads_of(receipt, tri_integer(row, "n_threads"));
    if (expect(reads, e, "no reads by %lld threads", (long long)tri_integer(row, "n_threads")) != TRI_OK)
        return e->status;
    struct list l[4] = {{0}};
    for (int i = 0; i < 3; i++)
        l[i] = list_of(row, keys[i], e);
    l[3] = list_of(reads, "gbps", e);
    const bool memory = l[0].at && l[1].at && l[2].at && l[3].at;
    const enum tri_status status = memory ? check_lists(receipt, row, l, e) : e->status;
    for (int i = 0; i < 4; i++)
        tri_free(l[i].at);
    return status;
}

static enum tri_status check_proof(const json_t *receipt, struct tri_error *e)
{
    const json_t *proof = json_object_get(receipt, "proof");
    return expect(tri_integer(proof, "tokens") >= 1 && tri_number(proof, "seconds") > 0 &&
                      tri_number(proof, "logits") >=
                          tri_number(proof, "tokens") * tri_number(json_object_get(receipt, "model"), "vocab"),
                  e, "a proof of %lld tokens by %lld logits", (long long)tri_integer(proof, "tokens"),
                  (long long)tri_integer(proof, "logits"));
}

enum tri_status tri_receipt_check(const json_t *receipt, struct tri_error *e)
{
    const json_t *rows = json_object_get(receipt, "rows"), *reads = json_object_get(receipt, "reads");
    char checksum[17];
    if (expect(json_array_size(rows) > 0, e, "it has no rows") != TRI_OK || check_proof(receipt, e) != TRI_OK)
        return e->status;
    for (size_t i = 0; i < json_array_size(reads); i++)
        if (check_reads(receipt, json_array_get(reads, i), e) != TRI_OK)
            return e->status;
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (check_row(receipt, json_array_get(rows, i), e) != TRI_OK)
            return tri_fail_in(e, "row %zu", i + 1);
    if (check_times(receipt, e) != TRI_OK)
        return e->status;
    if (!tri_receipt_checksum(receipt, checksum))
        return tri_fail(e, TRI_NO_MEMORY, "no memory for the receipt");
    return expect(strcmp(checksum, tri_string(receipt, "checksum")) == 0, e, "its checksum is %s", checksum);
}
