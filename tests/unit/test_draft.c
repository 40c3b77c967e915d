/* Drafts: the index against a search through the whole text, and what is learned of how matches go on. */
#include "engine/draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 3000, DRAFT = 7, LONGEST_MATCH = 16 };

static uint32_t any(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

static struct tri_draft *new_draft(int room)
{
    struct tri_error e;
    struct tri_draft *d = tri_draft_new(room, &e);
    assert_non_null(d);
    return d;
}

/* -- the index --------------------------------------------------------- */

/* Behind the latest place before the end where the last n tokens stand too, or 0. */
static int latest(const int32_t *text, int count, int n)
{
    for (int next = count - 1; next >= n; next--)
        if (memcmp(text + next - n, text + count - n, (size_t)n * sizeof *text) == 0)
            return next;
    return 0;
}

static int search(const int32_t *text, int count, int *match)
{
    static const int orders[] = {8, 4, 3, 2, 1};
    int next = 0;
    for (int i = 0; i < 5 && !next; i++)
        next = orders[i] < count ? latest(text, count, orders[i]) : 0;
    for (*match = 0; next && *match < LONGEST_MATCH && *match < next; (*match)++)
        if (text[next - 1 - *match] != text[count - 1 - *match])
            break;
    return next;
}

static void check_end(const struct tri_draft *d, const int32_t *text, int count)
{
    int32_t ids[DRAFT];
    double chance[DRAFT];
    int match, next = search(text, count, &match), n = tri_draft_propose(d, DRAFT, ids, chance);
    assert_int_equal(tri_draft_match(d), match);
    assert_int_equal(n, next ? DRAFT : 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(ids[i], next + i < count ? text[next + i] : ids[next + i - count]);
        assert_true(chance[i] >= 0 && chance[i] <= (i ? chance[i - 1] : 1));
    }
}

/* Few symbols make many matches, many of them rare ones; ids of great vocabularies spread over the table. */
static void finds_what_a_search_finds(void **unused)
{
    (void)unused;
    static int32_t text[MOST];
    uint64_t random = 7;
    static const struct {
        uint32_t symbols, step;
    } cases[] = {{1, 1}, {2, 1}, {3, 40000}, {10, 1}, {60, 2000}, {100000, 1}};
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct tri_draft *d = new_draft(MOST);
        for (int n = 0; n < MOST; n++) {
            text[n] = (int32_t)(any(&random) % cases[c].symbols * cases[c].step);
            if (n > 100 && any(&random) % 3) /* with passages that come again */
                text[n] = text[n - 90];
            tri_draft_add(d, text[n]);
            check_end(d, text, n + 1);
        }
        tri_draft_free(d);
    }
}

/* Longer than there is room, a text is known from some token of its younger half on. */
static void forgets_what_is_long_past(void **unused)
{
    (void)unused;
    enum { ROOM = 64 };
    static int32_t text[MOST];
    struct tri_draft *d = new_draft(ROOM);
    uint64_t random = 3;
    int known = 0; /* from here on */
    for (int n = 0; n < MOST; n++) {
        if (n - known == ROOM)
            known = n - ROOM / 2;
        text[n] = (int32_t)(any(&random) % 3);
        tri_draft_add(d, text[n]);
        check_end(d, text + known, n + 1 - known);
    }
    tri_draft_free(d);
    for (int room = 1; room < 20; room++) {
        d = new_draft(room);
        for (int n = 0; n < 100; n++)
            tri_draft_add(d, n % 2);
        assert_true(tri_draft_match(d) > 0);
        tri_draft_free(d);
    }
}

/* -- chances ----------------------------------------------------------- */

static double chance_of(const struct tri_draft *d, int n)
{
    int32_t ids[DRAFT];
    double chance[DRAFT];
    assert_int_equal(tri_draft_propose(d, n, ids, chance), n);
    return chance[n - 1];
}

static void a_loop_is_foreseen(void **unused)
{
    (void)unused;
    struct tri_draft *d = new_draft(512);
    for (int n = 0; n < 200; n++)
        tri_draft_add(d, n % 5);
    assert_int_equal(tri_draft_match(d), LONGEST_MATCH);
    assert_true(chance_of(d, DRAFT) > 0.95);
    tri_draft_free(d);
}

/* Pairs that always go on differently: nobody drafts, but all is learned. */
static void what_never_goes_on_is_not_drafted(void **unused)
{
    (void)unused;
    struct tri_draft *d = new_draft(2048);
    for (int n = 0; n < 500; n++) {
        tri_draft_add(d, 0);
        tri_draft_add(d, 1);
        if (n > 50) {
            assert_int_equal(tri_draft_match(d), 2);
            assert_true(chance_of(d, 1) < 0.1);
        }
        tri_draft_add(d, 2 + n);
    }
    tri_draft_free(d);
}

static void nothing_is_foreseen_of_nothing(void **unused)
{
    (void)unused;
    int32_t ids[1];
    double chance[1];
    struct tri_draft *d = new_draft(10);
    assert_int_equal(tri_draft_propose(d, 1, ids, chance), 0);
    tri_draft_add(d, 5);
    assert_int_equal(tri_draft_propose(d, 1, ids, chance), 0);
    tri_draft_add(d, 5);
    assert_int_equal(tri_draft_propose(d, 0, ids, chance), 0);
    assert_int_equal(tri_draft_propose(d, 1, ids, chance), 1);
    assert_int_equal(ids[0], 5);
    tri_draft_free(d);
    tri_draft_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_search_finds),      cmocka_unit_test(forgets_what_is_long_past),
        cmocka_unit_test(a_loop_is_foreseen),             cmocka_unit_test(what_never_goes_on_is_not_drafted),
        cmocka_unit_test(nothing_is_foreseen_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
