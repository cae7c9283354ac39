/* tests/unit/base/test_nfc.c -- what is in NFC for sure, and what may not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/nfc.h"

/* R7 */
static void sure(void **state)
{
    static const char *const names[] = {
        "",
        "alice",
        "\u0141ukasz \u017b\u00f3\u0142\u0107",
        "Nguy\u1ec5n V\u0103n \u00c1nh",
        "\u092a\u094d\u0930\u093f\u092f\u093e", /* a virama: a mark that joins with nothing */
        "\u0395\u03bb\u03ad\u03bd\u03b7",
        "\u0418\u0432\u0430\u043d \u0419\u043e\u0432\u0447\u0435\u0432",
        "\uae40\ucca0\uc218",
        "\u0645\u062d\u0645\u062f",
        "\u7530\u4e2d\u592a\u90ce",
        "\U0001f600",
    };
    uint32_t c;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (!nfc_sure(names[i], strlen(names[i]), &c))
            fail_msg("%zu: U+%04X", i, (unsigned)c);
    }
}

static void not_sure(void **state)
{
    static const struct {
        const char *s;
        uint32_t c;
    } names[] = {
        {"Zoe\u0308", 0x308},     /* decomposed */
        {"\u212b", 0x212b},       /* the Angstrom sign is the letter A with a ring */
        {"\u2126", 0x2126},       /* Ohm, Omega */
        {"\u1100\u1161", 0x1161}, /* loose jamo are one syllable */
        {"\uf900", 0xf900},       /* a compatibility ideograph */
        {"x\u05b7\u05b2", 0x5b2}, /* two marks, here in the wrong order */
        {"x\U0001d15e", 0x1d15e}, /* excluded from composition */
        {"ab\u0300", 0x300},      /* the first mark of all */
        {"\U0002f800", 0x2f800},  /* the last table row's block */
    };
    uint32_t c = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        assert_false(nfc_sure(names[i].s, strlen(names[i].s), &c));
        assert_int_equal(c, names[i].c);
    }
    assert_false(nfc_sure("a\xff", 2, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sure), cmocka_unit_test(not_sure)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
