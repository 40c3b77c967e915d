/* What the files of jinja.h share: values, the tree of a template, a rendering. */
#ifndef TRI_JINJA_TREE_H
#define TRI_JINJA_TREE_H

#include "text/arena.h"
#include "text/jinja.h"

/* -- values ------------------------------------------------------------ */

struct tri_jtext {
    const char *at;
    const unsigned char *own; /* as in struct tri_marked */
    size_t size;
};

enum tri_jkind {
    TRI_J_UNDEFINED,
    TRI_J_NONE,
    TRI_J_BOOL,
    TRI_J_INT,
    TRI_J_TEXT,
    TRI_J_LIST,
    TRI_J_DICT,
    TRI_J_NAMESPACE
};

struct tri_jvalue {
    enum tri_jkind kind;
    union {
        bool truth;
        int64_t integer;
        struct tri_jtext text;
        struct tri_jlist *list;
        struct tri_jdict *dict; /* of a namespace, too */
    };
};

struct tri_jlist {
    size_t count;
    struct tri_jvalue at[];
};

struct tri_jentry {
    struct tri_jtext key;
    struct tri_jvalue value;
    struct tri_jentry *next;
};

struct tri_jdict {
    size_t count;
    struct tri_jentry *first, *last;
};

/* -- the tree ---------------------------------------------------------- */

enum tri_jform {
    /* expressions: a, b, c, d are operands, `arguments` a list */
    TRI_J_LITERAL, TRI_J_NAME, TRI_J_LISTED, TRI_J_PAIRS, TRI_J_ATTRIBUTE, TRI_J_INDEX, TRI_J_SLICE, TRI_J_CALL,
    TRI_J_FILTER, TRI_J_TEST, TRI_J_NOT, TRI_J_NEGATE, TRI_J_BINARY, TRI_J_AND, TRI_J_OR, TRI_J_CHOICE,
    TRI_J_ARGUMENT, /* a, its name if it has one, or of pairs b: the key */
    /* statements */
    TRI_J_PRINT, TRI_J_SET, TRI_J_FOR, TRI_J_IF,
};

enum tri_joperator {
    TRI_J_ADD, TRI_J_SUBTRACT, TRI_J_JOIN, TRI_J_MULTIPLY, TRI_J_MODULO, TRI_J_DIVIDE, TRI_J_EQUAL, TRI_J_UNEQUAL,
    TRI_J_LESS, TRI_J_LESS_EQUAL, TRI_J_GREATER, TRI_J_GREATER_EQUAL, TRI_J_IN, TRI_J_NOT_IN,
};

struct tri_jnode {
    enum tri_jform form;
    enum tri_joperator operator;
    bool negated;                  /* of a test */
    size_t offset;                 /* in the template */
    int depth;                     /* of what must be evaluated within each other */
    struct tri_jtext name, second; /* second: of set name.second, of for name, second */
    struct tri_jvalue literal;
    struct tri_jnode *a, *b, *c, *d, *arguments; /* statements: a the expression, b the body, c what is done else, d the
                                                    condition of a for */
    struct tri_jnode *next;
};

struct tri_jinja {
    struct tri_arena arena;
    char *name, *text;
    size_t size;
    struct tri_jnode *body;
};

/* TRI_BAD_FILE with name, line and column of an offset. */
enum tri_status tri_jinja_fail(const struct tri_jinja *t, size_t offset, struct tri_error *e, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Fills t->body from t->text. */
enum tri_status tri_jinja_parse(struct tri_jinja *t, struct tri_error *e);

struct tri_jbuilder;

/* -- a rendering ------------------------------------------------------- */

enum { TRI_J_DEPTH = 200 }; /* of nodes, blocks and values */

struct tri_jrun {
    const struct tri_jinja *template;
    struct tri_arena arena;
    struct tri_jscope *scope;
    size_t steps; /* left */
    size_t offset; /* of what is evaluated, for messages */
    struct tri_error *e;
};

/* These return false with an error in r->e. */
bool tri_jrun_fail(struct tri_jrun *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool tri_jrun_spend(struct tri_jrun *r, size_t steps);
void *tri_jrun_take(struct tri_jrun *r, size_t size); /* NULL likewise */

bool tri_jrun_refuse(struct tri_jrun *r, struct tri_jtext words); /* what raise_exception says */

/* -- evaluation -------------------------------------------------------- */

bool tri_jinja_enter(struct tri_jrun *r); /* a scope in the present one */
bool tri_jinja_define(struct tri_jrun *r, struct tri_jtext name, struct tri_jvalue value);
bool tri_jinja_run(struct tri_jbuilder *out, const struct tri_jnode *statements);

/* -- texts and values -------------------------------------------------- */

/* A text in the making, in the arena. */
struct tri_jbuilder {
    struct tri_jrun *run;
    char *at;
    unsigned char *own;
    size_t size, room;
};
bool tri_jbuild(struct tri_jbuilder *b, struct tri_jtext piece);
struct tri_jtext tri_jbuilt(const struct tri_jbuilder *b);

/* The template's own text; lives as long as `word`, at most 64 bytes. */
struct tri_jtext tri_jword(const char *word, size_t size);
bool tri_jtext_is(struct tri_jtext text, const char *word);
bool tri_jtext_equal(struct tri_jtext a, struct tri_jtext b);
struct tri_jtext tri_jtext_part(struct tri_jtext text, size_t from, size_t to);
size_t tri_jcharacter(struct tri_jtext text, size_t i); /* where character i begins; the size if there are no more */
size_t tri_jcharacters(struct tri_jtext text);

const char *tri_jkind_name(const struct tri_jvalue *v); /* "a list" */
bool tri_jtrue(const struct tri_jvalue *v);
struct tri_jvalue tri_jbool(bool truth);
struct tri_jvalue tri_jint(int64_t integer);
struct tri_jvalue tri_jstring(struct tri_jtext text);
bool tri_jlist_new(struct tri_jrun *r, size_t count, struct tri_jvalue *out);
bool tri_jdict_new(struct tri_jrun *r, struct tri_jvalue *out);
bool tri_jdict_set(struct tri_jrun *r, struct tri_jdict *d, struct tri_jtext key, struct tri_jvalue value);
const struct tri_jvalue *tri_jdict_get(const struct tri_jdict *d, struct tri_jtext key); /* NULL: not there */
bool tri_jequal(struct tri_jrun *r, const struct tri_jvalue *a, const struct tri_jvalue *b, int depth, bool *equal);
bool tri_jcontains(struct tri_jrun *r, const struct tri_jvalue *in, const struct tri_jvalue *what, bool *found);
bool tri_jprint(struct tri_jbuilder *b, const struct tri_jvalue *v); /* as {{ v }} does */
bool tri_jdump(struct tri_jbuilder *b, const struct tri_jvalue *v, int depth); /* as JSON */
bool tri_jfrom_json(struct tri_jrun *r, const json_t *json, bool own, int depth, struct tri_jvalue *out);

/* Filters, methods, functions and tests by name. `self` is what stands before the bar or the dot. */
enum { TRI_J_ARGUMENTS = 4 };
struct tri_jcall {
    struct tri_jrun *run;
    struct tri_jvalue self, argument[TRI_J_ARGUMENTS];
    int count;
};
bool tri_jfilter(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out);
bool tri_jmethod(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out);
bool tri_jfunction(struct tri_jcall *c, struct tri_jtext name, struct tri_jvalue *out);
bool tri_jtest(struct tri_jcall *c, struct tri_jtext name, bool *truth);

#endif
