/* Damaged and random templates through parsing and rendering. Nothing may crash or hang; what is refused must say why and
 * where. */
#include "fuzz.h"

#include "text/jinja.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char data_text[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" S \"}, {\"role\": \"user\", \"content\": \"u\\u00e9 <|eot_id|>\"},"
    " {\"role\": \"assistant\", \"content\": \"\"}], \"add_generation_prompt\": true, \"n\": 7, \"d\": {\"k\": [1, null]}}";

/* What an error must be, whatever the template. */
static void expect_reason(const struct tri_error *e)
{
    if ((e->status == TRI_BAD_FILE || e->status == TRI_UNSUPPORTED) && strncmp(e->text, "fuzz:", 5) == 0)
        return;
    fprintf(stderr, "refused with status %d and text \"%s\"\n", e->status, e->text);
    abort();
}

/* libFuzzer's entry; true work whatever drives it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static json_t *own, *foreign;
    struct tri_error e = {0};
    struct tri_marked out;
    if (!own) {
        own = json_pack("{ssss}", "bos_token", "<s>", "eos_token", "</s>");
        foreign = json_loads(data_text, 0, NULL);
    }
    struct tri_jinja *t = tri_jinja_new((const char *)data, size, "fuzz", &e);
    if (!t || tri_jinja_render(t, own, foreign, &out, &e) != TRI_OK) {
        expect_reason(&e);
    } else {
        for (size_t i = 0; i < out.size; i++)
            if (out.own[i] > 1)
                abort();
        tri_marked_free(&out);
    }
    tri_jinja_free(t);
    return 0;
}

/* -- good inputs -------------------------------------------------------------- */

static const char *const good[] = {
    "{% for m in messages %}{{ m['role'] | capitalize + ': ' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}",
    ("{%- if messages[0]['role'] == 'system' -%}{% set rest = messages[1:] %}{%- else -%}{% set rest = messages %}{% endif %}"
    "{% for m in rest if m.content %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('odd') }}"
    "{% endif %}{{ bos_token ~ m.content.split('<')[-1] }}{% endfor %}"),
    ("{% set ns = namespace(a=0, s='') %}{% for i in range(9) %}{% set ns.a = ns.a + i * 2 - 1 %}{% set ns.s = ns.s ~ i %}"
    "{% endfor %}{{ ns.a // 3 }}{{ ns.s[::1] }}{{ [ns.s, 'b', none] | tojson }}"),
    "{% for k, v in d.items() %}{{ k }}{{ v | join(',') if v is sequence else v }}{% else %}x{% endfor %}{# c -#}",
    "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}{{ {'a': (1, 2)}.a[0] }}{{ not n in [1, -7] }}",
};

/* What templates are made of, for mutations to take from. */
static const char *const pieces[] = {
    "{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "if ", "for x in ", "set x = ", "set ns.x = ", "endif", "endfor",
    "else", "elif ", "messages", "n", "d", "x", "loop", "namespace(x=1)", "range(9)", "'a'", "\"<|\"", "1", "9223372036854775807",
    "-", "+", "~", "*", "%", "//", "==", "<", "in ", "not ", "and ", "or ", "is ", "defined", "none", "[", "]", "(", ")", "{", "}",
    ".", ",", ":", "|", "trim", "tojson", "join", "list", "first", "replace('a', 'aa')", ".split()", ".items()", ".content", "\n",
    " ", "\\", "'", "\xC3", "\xE2\x80\x83",
};

void fuzz_seeds(void)
{
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        fuzz_add(good[i], strlen(good[i]), strlen(good[i]));
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++)
        fuzz_add(pieces[i], strlen(pieces[i]), strlen(pieces[i]));
}
