/* A model ready to run: its shape, its float tensors where the file has them, its ternary matrices packed.
 *
 * A *matrix* here is a stack of the file's matrices that share their input (q, k, v; gate, up), each part
 * beginning at a row that is a multiple of the layout's row tile. */
#ifndef TRI_MODEL_H
#define TRI_MODEL_H

#include "base/error.h"
#include "base/threads.h"
#include "file/gguf.h"
#include "kernels/dense.h"
#include "kernels/dispatch.h"

enum tri_activation { TRI_RELU2, TRI_SILU, TRI_GELU /* by tanh */, TRI_ACTIVATIONS };
extern const char *const tri_activation_names[TRI_ACTIVATIONS]; /* "relu2", "silu", "gelu" */

/* Tokens of a text whose hidden values, added up, are its embedding: all, the first, the last. */
enum tri_pooling { TRI_POOL_MEAN, TRI_POOL_CLS, TRI_POOL_LAST, TRI_POOLINGS };
extern const char *const tri_pooling_names[TRI_POOLINGS]; /* "mean", "cls", "last" */

/* What differs between families of models; the forward pass reads nothing else. */
struct tri_family {
    const char *arch; /* general.architecture */
    bool sub_norms;   /* attn_sub_norm and ffn_sub_norm before o and down */
    bool head_norms;  /* attn_q_norm and attn_k_norm of each head before it turns */
    bool post_norms;  /* post_attention_norm and post_ffw_norm of what is added to the residual stream */
    bool norms_in;    /* may have a norm of its own on the input of every projection (struct tri_config) */
    bool scaled;      /* the embedding, by sqrt(hidden) as bf16, as it was trained (formats.md 4.6) */
    bool neox;        /* rotary pairs (i, i + d/2), else (2i, 2i + 1) */
    enum tri_activation activation;
};

struct tri_config {
    const struct tri_family *family;
    int layers, hidden, ffn, heads, kv_heads, head_dim, vocab, context;
    int rope_dims;
    float rope_theta, norm_eps;
    float rope_factor; /* that positions are divided by; 0: they are not */
    int window;        /* positions that some layers look back on at most, themselves included; 0: no such layers */
    enum tri_pooling pooling;
    bool norms_in;     /* embedding models: q, k, v and gate, up each have an input of their own */
};

enum { TRI_MAX_HEAD_DIM = 1024 }; /* far above every known model; what is computed for each is bounded by it */
enum { TRI_MAX_PARTS = 3, TRI_PARTS = 7 /* of a layer, in the order of build.h's table */ };

struct tri_part {
    int row, rows; /* first row in the stack, rows of the file's matrix */
    float scale;   /* of all its rows, where the stack has no `scales` */
    int group;     /* columns of the file's matrix that share a scale: k: each row has one; 0: all rows share it */
};

struct tri_matrix {
    enum tri_role role;
    int m, k, kp; /* rows of the stack (parts and their padding), columns, columns padded to kstep */
    int parts;
    struct tri_part part[TRI_MAX_PARTS];
    int group;           /* columns that share a scale; 0: whole rows do */
    const float *scales; /* [m], of each row; with a group as kernel.h lays them out; NULL: each part has one */
    struct tri_plan plan;
    const struct tri_dense *dense; /* what its weights are, times their part's scale; the plan is a layout and no more.
                                    * NULL: trits */
    uint8_t *packed; /* in the model's memory, 64-byte aligned */
    size_t bytes;
};

/* What a single token needs to leave out of the feed forward what a squared ReLU makes zero. */
struct tri_skip {
    struct tri_matrix gate, up;    /* the parts of gate_up as matrices of their own, where they are packed */
    const uint8_t *rows, *columns; /* second copies, in plan.sparse.layout: rows of up, columns of down */
    size_t row_bytes, column_bytes; /* of one of them */
};

struct tri_layer {
    const float *attn_norm, *ffn_norm;         /* [hidden] */
    const float *attn_sub_norm, *ffn_sub_norm; /* [heads * head_dim], [ffn]; all from here on: NULL where not there */
    const float *q_norm, *k_norm;              /* [head_dim] */
    const float *post_attn_norm, *post_ffn_norm; /* [hidden] */
    const float *norm_in[TRI_PARTS];           /* [columns of the part] */
    struct tri_matrix matrix[TRI_ROLES];       /* by role */
    const struct tri_skip *skip;               /* NULL: everything is computed */
};

struct tri_owned;
struct tri_screen;

struct tri_model {
    struct tri_config config;
    const struct tri_tensor *embedding, *head; /* the same when tied; rows are read in place */
    const struct tri_screen *screen; /* NULL: every logit is computed */
    const struct tri_screen *saved_screen; /* which a packed file brings along; NULL: none */
    const float *output_norm;
    const float *rope_divisors; /* [rope_dims / 2] of the rotary frequencies; NULL: all 1 */
    struct tri_layer *layer; /* [layers] */
    size_t packed_bytes;     /* of all matrices, in the order they are read: in one memory, or in the file */
    size_t spare;            /* bytes of memory that are allowed and nobody has claimed yet; SIZE_MAX: unknown */
    char notice[256];        /* one line for stderr on how it was loaded; empty: nothing to say */
    struct tri_owned *owned; /* all of that memory, but for tensors read in place (build.c) */
};

/* How much memory a model and what runs it may take. Zeros are the usual. */
struct tri_budget {
    size_t memory;      /* bytes, of all; 0: what is available; SIZE_MAX: without end */
    size_t reserve;     /* bytes of these for others: sessions, the program */
    enum tri_bits bits; /* AUTO: as the dispatch table has it, or the fewest where that does not fit */
};

/* Reads configuration and tensors of `g` (which must outlive the model), checks every shape, and packs
 * the ternary matrices in parallel on `pool`; those of a packed file (packed.h) that are as this machine wants them
 * stay there. Progress on stderr if it is a terminal. NULL on error; TRI_NO_MEMORY before anything large is allocated,
 * if it would not fit. */
struct tri_model *tri_model_load(const struct tri_gguf *g, struct tri_pool *pool, struct tri_error *e);
struct tri_model *tri_model_load_within(const struct tri_gguf *g, const struct tri_budget *budget,
                                        struct tri_pool *pool, struct tri_error *e);
/* The same without packing anything, for traffic.h: layers, plans, bytes and scales' places; `packed` and `scales` are
 * NULL, so nothing can be computed with it. Memory is no matter. */
struct tri_model *tri_model_load_outline(const struct tri_gguf *g, enum tri_bits bits, struct tri_pool *pool,
                                         struct tri_error *e);
void tri_model_free(struct tri_model *m);

/* Another activation than the file's architecture stands for, by name, where converters wrote the wrong one: of
 * BitNet's own models, before all else is done with them. TRI_USAGE: no such activation; TRI_UNSUPPORTED: another
 * family. */
enum tri_status tri_model_activation(struct tri_model *m, const char *name, struct tri_error *e);

/* Packs the copies that takes, from the packed matrices, in parallel on `pool`; before sessions of the model begin.
 * For TRI_FFN_SPARSE: TRI_UNSUPPORTED if the activation leaves nothing to skip, TRI_NO_MEMORY. */
enum tri_status tri_model_skip(struct tri_model *m, enum tri_ffn ffn, struct tri_pool *pool, struct tri_error *e);

/* Makes the copy, in parallel on `pool`; before sessions of the model begin. TRI_NO_MEMORY; TRI_UNSUPPORTED if
 * TRI_HEAD_SCREENED meets rows that are no numbers. */
enum tri_status tri_model_screen(struct tri_model *m, enum tri_head head, struct tri_pool *pool, struct tri_error *e);

/* The same of an outline: the size of the copy, and no copy. */
enum tri_status tri_model_screen_outline(struct tri_model *m, enum tri_head head, struct tri_error *e);

/* The family that files call `arch`, or NULL. */
const struct tri_family *tri_family_find(const char *arch);

/* Writes the names of all, with commas between. */
void tri_family_list(char *names, size_t room);

/* Whether a file of so many layers with this family's name is taken for one of this family (config.c, family_of). */
bool tri_family_is_kept(const struct tri_family *family, int layers);

/* The family of BitNet's own models with this activation, under a name that it keeps in a file of so many layers. */
const struct tri_family *tri_family_with(enum tri_activation activation, int layers);

/* TRI_USAGE, and which number, if no model has this shape: for a configuration that comes from no file. */
enum tri_status tri_config_check(const struct tri_config *c, struct tri_error *e);

/* Only the configuration, checked: for commands that need no weights. */
enum tri_status tri_config_read(const struct tri_gguf *g, struct tri_config *c, struct tri_error *e);

/* The model linked into this program, as the bytes of a GGUF file. */
extern const uint8_t tri_embedded_model[];
extern const uint8_t tri_embedded_model_end[];

#endif
