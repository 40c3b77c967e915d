/* Templates: what each construct renders to, where errors are said to be, whose bytes are whose, and hostile ones. */
#include "text/jinja.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* -- tools ----------------------------------------------------------------- */

static const char data_text[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" S \"}, {\"role\": \"user\", \"content\": \"u\\u00e9\"},"
    " {\"role\": \"odd\", \"content\": \"x\", \"none\": null}],"
    " \"n\": 7, \"yes\": true, \"word\": \"a,b,,c\", \"empty\": [], \"tools\": {\"k\": [1, \"two\"]}}";

static enum tri_status render(const char *template, struct tri_marked *out, struct tri_error *e)
{
    json_t *data = json_loads(data_text, 0, NULL), *own = json_pack("{ss}", "bos_token", "<s>");
    struct tri_jinja *t = tri_jinja_new(template, strlen(template), "t", e);
    *out = (struct tri_marked){0};
    assert_non_null(data);
    assert_non_null(own);
    enum tri_status status = t ? tri_jinja_render(t, own, data, out, e) : e->status;
    tri_jinja_free(t);
    json_decref(data);
    json_decref(own);
    return status;
}

static void renders(const char *template, const char *want)
{
    struct tri_error e = {0};
    struct tri_marked out;
    if (render(template, &out, &e) != TRI_OK)
        fail_msg("%s: %s", template, e.text);
    if (out.size != strlen(want) || memcmp(out.at, want, out.size) != 0)
        fail_msg("%s: expected \"%s\", found \"%s\"", template, want, out.at);
    tri_marked_free(&out);
}

/* '1' where the template wrote the byte. */
static void marks(const char *template, const char *want)
{
    struct tri_error e = {0};
    struct tri_marked out;
    if (render(template, &out, &e) != TRI_OK)
        fail_msg("%s: %s", template, e.text);
    assert_int_equal(out.size, strlen(want));
    for (size_t i = 0; i < out.size; i++)
        if (out.own[i] != want[i] - '0')
            fail_msg("%s: byte %zu of \"%s\" has mark %d", template, i, out.at, out.own[i]);
    tri_marked_free(&out);
}

static void refuses(const char *template, enum tri_status status, const char *words)
{
    struct tri_error e = {0};
    struct tri_marked out;
    assert_int_equal(render(template, &out, &e), status);
    if (!strstr(e.text, words))
        fail_msg("%.80s: expected \"%s\" in: %s", template, words, e.text);
}

/* -- what renders ---------------------------------------------------------- */

struct pair {
    const char *template, *want;
};

static void check_all(const struct pair *p)
{
    for (; p->template; p++)
        renders(p->template, p->want);
}

static void expressions(void **state)
{
    static const struct pair pairs[] = {
        {"{{ 'a\\n\\t\\\\\\'\\\"' }}", "a\n\t\\'\""},
        {"{{ 1 + 2 * 3 - 4 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ -7 // 2 }}", "3 1 2 -4"},
        {"{{ 'a' ~ 1 ~ true ~ none }}", "a1TrueNone"},
        {"{{ 'ab' * 2 }}{{ ([1] + [2]) | length }}", "abab2"},
        {"{{ ' x ' | trim + 'y ' }}|", "xy |"},
        {"{{ 1 == 1 and not 2 < 1 or false }}", "True"},
        {"{{ 'a' if n > 6 else 'b' }}{{ 'c' if n > 7 }}", "a"},
        {"{{ messages[1]['role'] }}{{ messages[-1].role }}{{ messages[0].nothing }}", "userodd"},
        {"{{ messages[1:] | length }}{{ messages[:-1] | length }}{{ messages[::-1][0].role }}{{ messages[5:] | length "
         "}}",
         "22odd0"},
        {"{{ 'abc'[1:] }}{{ messages[1].content[1] }}{{ 'abc'[-1] }}", "bc\xC3\xA9"
                                                                       "c"},
        {"{{ 'b' in word }}{{ 'user' not in ['user'] }}{{ 'k' in tools }}", "TrueFalseTrue"},
        {"{{ x is defined }}{{ x is not defined }}{{ n is number }}{{ messages[2].none is none }}{{ tools is mapping "
         "}}",
         "FalseTrueTrueTrueTrue"},
        {"{{ messages is sequence }}{{ word is string }}{{ yes is true }}{{ n is eq(7) }}", "TrueTrueTrueTrue"},
        {"{{ {'a': {'b': 3}}.a.b }}{{ (1, 2)[1] }}{{ (5) }}", "325"},
        {"{{ not yes }}{{ not not yes }}{{ 0 or 'x' }}{{ '' and 1 }}", "FalseTruex"},
        {NULL, NULL},
    };
    (void)state;
    check_all(pairs);
}

static void named_things(void **state)
{
    static const struct pair pairs[] = {
        {"{{ 'hELLO wORLD' | capitalize }} {{ 'hELLO wORLD' | title }} {{ 'a' | upper }}{{ 'B' | lower }}",
         "Hello world Hello World Ab"},
        {"{{ tools | tojson }}{{ 'a\"\\n' | tojson }}{{ [true, none, 1] | tojson }}",
         "{\"k\": [1, \"two\"]}\"a\\\"\\n\"[true, null, 1]"},
        {"{{ ['a', 1] | join('-') }}{{ 'aXbX' | replace('X', 'yy') }}{{ x | default('d') }}{{ '' | default('e', true) "
         "}}",
         "a-1ayybyyde"},
        {"{{ [1, 2] | first }}{{ [1, 2] | last }}{{ 'abc' | list | length }}{{ empty | first }}", "123"},
        {"{{ (messages | selectattr('role', 'equalto', 'user') | list)[0].content }}", "u\xC3\xA9"},
        {"{{ messages | selectattr('none', 'defined') | list | length }}{{ messages | selectattr('role') | list | "
         "length }}",
         "13"},
        {"[{{ ' a '.strip() }}{{ ' a '.lstrip() }}{{ ' a '.rstrip() }}{{ 'xax'.strip('x') }}]", "[aa  aa]"},
        {"{{ '\xC2\xA0\xE3\x80\x80z\xE2\x80\x83' | trim }}", "z"},
        {"{{ word.split(',') | length }}{{ ' a  b '.split() | join('+') }}{{ word.split(',')[-1] }}", "4a+bc"},
        {"{{ word.startswith('a') }}{{ word.endswith('a') }}{{ 'ab'.upper() }}{{ word.replace(',', '') }}",
         "TrueFalseABabc"},
        {"{% for k, v in tools.items() %}{{ k }}={{ v[0] }}{% endfor %}{{ tools.get('x', 'y') }}{{ tools.get('x') }}",
         "k=1yNone"},
        {"{{ range(3) | join }}{{ range(1, 4) | join }}{{ range(5, 0, -2) | join }}", "012123531"},
        {"{{ strftime_now('%%') }}{{ messages[1].content | length }}", "%2"},
        {NULL, NULL},
    };
    (void)state;
    check_all(pairs);
}

static void statements(void **state)
{
    static const struct pair pairs[] = {
        {"{% for m in messages %}{{ loop.index0 }}{{ loop.index }}{% if loop.first %}F{% endif %}{% if loop.last %}L{% "
         "endif %}{% endfor %}",
         "01F1223L"},
        {"{% if n == 1 %}a{% elif n == 7 %}b{% else %}c{% endif %}", "b"},
        {"{% if n == 1 %}a{% elif n == 2 %}b{% elif n == 3 %}x{% else %}c{% endif %}", "c"},
        {"{% if n == 1 %}a{% else %}{% if n == 7 %}s{% endif %}t{% endif %}", "st"},
        {"{% set a = 1 %}{% for x in [1, 2] %}{% set a = a + x %}{{ a }}{% endfor %}{{ a }}", "231"},
        {"{% set ns = namespace(a=1) %}{% for x in [1, 2] %}{% set ns.a = ns.a + x %}{% endfor %}{{ ns.a }}", "4"},
        {"{% for x in empty %}a{% else %}none{% endfor %}{% for x in [1, 2, 3] if x != 2 %}{{ x }}{{ loop.last }}{% "
         "endfor %}",
         "none1False3True"},
        {"{% for x in [1, 2] %}{{ loop.previtem is defined }}{{ loop.nextitem }}{% endfor %}", "False2True"},
        {"a{# {% {{ #}b", "ab"},
        {NULL, NULL},
    };
    (void)state;
    check_all(pairs);
}

static void white_space(void **state)
{
    static const struct pair pairs[] = {
        {"a\n  {% if yes %}  \nb\n  {% endif %}\nc", "a\n  \nb\nc"},
        {"{% if yes %}\nx{% endif %}\n\ny", "x\ny"},
        {"a  {% if yes %}b{% endif %}", "a  b"},
        {"a \n {%- if yes -%} \n b {%- endif %}", "ab"},
        {" {{- 'x' -}} \n y", "xy"},
        {"  {{ 'x' }}\ny", "  x\ny"},
        {"a\n  {%+ if yes +%}\nb{% endif %}", "a\n  \nb"},
        {"  {# c #}\nx\n", "x"},
        {"x\n\n", "x\n"},
        {"{# a -#}  \n z", "z"},
        {"{% if yes %}\r\nx{% endif %}", "x"},
        {NULL, NULL},
    };
    (void)state;
    check_all(pairs);
}

static void whose_bytes(void **state)
{
    (void)state;
    marks("a{{ word }}b", "10000001");
    marks("{{ bos_token + messages[0]['content'] | trim + 'x' }}", "11101");
    marks("{{ '<' + messages[1].role + '>' }}", "111111");
    marks("{{ '<' + messages[2].role + '>' }}", "10001");
    marks("{{ messages[2].role | capitalize }}{{ messages[2].role.upper() }}", "000000");
    marks("{{ word | replace(',', '+') }}", "010110");
    marks("{{ word.split(',') | join('--') }}", "011011" "110");
    marks("{{ 'x,y'.split(',') | join(word[1]) }}", "101");
    marks("{{ messages[2].content | tojson }}", "101");
    marks("{{ word[2:4] ~ n ~ (word * 2)[7:9] }}", "00100");
    marks("{% for c in word %}{{ c }}.{% endfor %}", "010101010101");
}

/* -- what is refused ------------------------------------------------------- */

static void places(void **state)
{
    (void)state;
    refuses("ab\n {{ 1 + }}", TRI_BAD_FILE, "t:2:9: expected an expression, found the end of the tag");
    refuses("{% if yes %}x", TRI_BAD_FILE, "t:1:14: expected \"endif\", found the end of the template");
    refuses("{% for x in [1] %}{% endif %}", TRI_BAD_FILE, "expected \"endfor\", found \"endif\"");
    refuses("{% endif %}", TRI_BAD_FILE, "t:1:4:");
    refuses("{% macro f() %}", TRI_BAD_FILE, "expected if, for, set");
    refuses("{{ 'abc", TRI_BAD_FILE, "expected the end of the string");
    refuses("{{ 'abc\\", TRI_BAD_FILE, "expected the end of the string");
    refuses("{{ 1", TRI_BAD_FILE, "the end");
    refuses("{# ...", TRI_BAD_FILE, "t:1:1: expected the end of the comment");
    refuses("{{ 1.5 }}", TRI_BAD_FILE, "expected an integer");
    refuses("{{ a b }}", TRI_BAD_FILE, "expected the end of the tag, found \"b\"");
    refuses("{{ 1 < 2 < 3 }}", TRI_BAD_FILE, "one comparison");
    refuses("{{ ; }}", TRI_BAD_FILE, "found \";\"");
    refuses("{{ 9223372036854775808 }}", TRI_BAD_FILE, "below 2^63");
    refuses("\n\n  {{ missing.x }}", TRI_BAD_FILE, "t:3:13: expected a value that has \"x\", found nothing defined");
    refuses("{{ 'a' + 1 }}", TRI_BAD_FILE, "found a string and an integer");
    refuses("{{ 'a' | nope }}", TRI_BAD_FILE, "found \"nope\"");
    refuses("{{ 'a'.nope() }}{{ 1 }}", TRI_BAD_FILE, "found \"nope\"");
    refuses("{{ 1 | trim }}", TRI_BAD_FILE, "trim: expected something it can be applied to, found an integer");
    refuses("{{ 'a' | replace('b') }}", TRI_BAD_FILE, "expected 2 to 2 arguments, found 1");
    refuses("{{ messages }}", TRI_BAD_FILE, "tojson");
    refuses("{{ 1 % 0 }}", TRI_BAD_FILE, "divisor");
    refuses("{{ 9223372036854775807 + 1 }}", TRI_BAD_FILE, "64 bits");
    refuses("{{ (-9223372036854775807 - 1) // -1 }}", TRI_BAD_FILE, "divisor");
    refuses("{{ raise_exception('only ' + word) }}", TRI_UNSUPPORTED, "refuses the conversation: only a,b,,c");
}

/* `times` times `piece` between two others. */
static void refuses_many(const char *before, const char *piece, size_t times, const char *after, const char *words)
{
    const size_t n = strlen(piece);
    char *text = malloc(strlen(before) + times * n + strlen(after) + 1), *at = text;
    assert_non_null(text);
    at += sprintf(at, "%s", before);
    for (size_t i = 0; i < times; i++, at += n)
        memcpy(at, piece, n);
    strcpy(at, after);
    refuses(text, TRI_BAD_FILE, words);
    free(text);
}

static void hostile(void **state)
{
    (void)state;
    refuses_many("{{ ", "(", 100000, "1", "nest");
    refuses_many("{{ ", "[", 100000, "", "nest");
    refuses_many("{{ ", "not ", 100000, "1 }}", "nest");
    refuses_many("{{ ", "-", 100000, "1 }}", "nest");
    refuses_many("{{ 1", " + 1", 100000, " }}", "nested at most");
    refuses_many("{{ a", ".b", 100000, " }}", "nested at most");
    refuses_many("{{ a", " if a else b", 20000, " }}", "nest");
    refuses_many("", "{% if yes %}", 50000, "", "nest");
    refuses_many("", "{% for x in [1] %}", 50000, "", "nest");
    refuses_many("{% if no %}", "{% elif no %}", 75000, "{% endif %}{{ 1 + 'a' }}", "lists to add");
    refuses_many("", "x", 2 << 20, "", "at most 1048576 bytes");
    refuses("{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}", TRI_BAD_FILE,
            "takes more");
    refuses("{{ range(100000000000) | length }}", TRI_BAD_FILE, "range of at most");
    refuses("{{ range(-9223372036854775807, 9223372036854775807, 9) }}", TRI_BAD_FILE, "range of at most");
    refuses("{% set ns = namespace(s='x') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
            TRI_BAD_FILE, "MiB");
    refuses("{{ 'xxxxxxxxxxxxxxxx' * 9000000000000000000 }}", TRI_BAD_FILE, "found one that takes more");
    refuses("{{ 'x' | replace('x', 'y' * 20000000) }}", TRI_BAD_FILE, "more");
    refuses("{% set ns = namespace(s=[]) %}{% for i in range(1000) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s | "
            "tojson }}",
            TRI_BAD_FILE, "nested at most");
    refuses("{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s "
            "== ns.s }}",
            TRI_BAD_FILE, "steps");
    refuses("{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ ns.s | "
            "tojson }}",
            TRI_BAD_FILE, "more");
    refuses("{% set n = namespace() %}{% set n.n = n %}{{ n | tojson }}", TRI_BAD_FILE, "a namespace");
    refuses("{% set a = 'x' * 4000000 %}{% for i in range(1000000) %}{% if a.startswith(a) and a <= a %}{% endif %}"
            "{% endfor %}",
            TRI_BAD_FILE, "steps");
    refuses("{% set a = 'x' * 4000000 %}{{ a.strip('y' * 4000000 + 'x') }}", TRI_BAD_FILE, "steps");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions), cmocka_unit_test(named_things), cmocka_unit_test(statements),
        cmocka_unit_test(white_space), cmocka_unit_test(whose_bytes),  cmocka_unit_test(places),
        cmocka_unit_test(hostile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
