/* tests/unit/base/test_json.c -- the strict door for JSON, and the writer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <cjson/cJSON.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "tests/unit/alloc.h"

struct probe {
    const char *s;
    size_t n; /* 0: strlen */
    enum err_code want;
};
#define N(text) text, sizeof(text) - 1

static enum err_code parse(const char *s, size_t n, const struct json_limits *lim)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct err e = ERR_NONE;

    if (json_parse(s, n, lim, &j, &e) < 0) {
        assert_null(j);
        assert_int_not_equal(e.code, ERR_OK);
        assert_true(e.msg[0] != '\0');
        return e.code;
    }
    assert_non_null(j);
    return ERR_OK;
}

static void run(const struct probe *p, size_t count, const struct json_limits *lim)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = p[i].n != 0 ? p[i].n : strlen(p[i].s);
        /* Without a byte behind it, so that ASan sees a read past the end. */
        char *exact = malloc(n + (n == 0));
        enum err_code got;

        assert_non_null(exact);
        memcpy(exact, p[i].s, n);
        got = parse(exact, n, lim);
        if (got != p[i].want)
            fail_msg("#%zu '%s': got %s, want %s", i, p[i].s, err_word(got), err_word(p[i].want));
        free(exact);
    }
}

/* J1 */
static void grammar(void **state)
{
    static const struct probe probes[] = {
        {"{}", 0, ERR_OK},
        {"[]", 0, ERR_OK},
        {" \t\r\n{ \"a\" : [ 1 , true,false,null,\"x\" ] } \n", 0, ERR_OK},
        {"0", 0, ERR_OK},
        {"-0", 0, ERR_OK},
        {"\"\"", 0, ERR_OK},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"", 0, ERR_OK},
        {"[[[]],{\"a\":{}}]", 0, ERR_OK},
        {"", 0, ERR_INVALID},
        {"   ", 0, ERR_INVALID},
        {"{", 0, ERR_INVALID},
        {"[", 0, ERR_INVALID},
        {"[1", 0, ERR_INVALID},
        {"[1,", 0, ERR_INVALID},
        {"[1,]", 0, ERR_INVALID},
        {"[,1]", 0, ERR_INVALID},
        {"[1 2]", 0, ERR_INVALID},
        {"[1}", 0, ERR_INVALID},
        {"{\"a\":1]", 0, ERR_INVALID},
        {"{\"a\":1,}", 0, ERR_INVALID},
        {"{\"a\" 1}", 0, ERR_INVALID},
        {"{\"a\":}", 0, ERR_INVALID},
        {"{\"a\"}", 0, ERR_INVALID},
        {"{a:1}", 0, ERR_INVALID},
        {"{'a':1}", 0, ERR_INVALID},
        {"{1:1}", 0, ERR_INVALID},
        {"]", 0, ERR_INVALID},
        {"tru", 0, ERR_INVALID},
        {"True", 0, ERR_INVALID},
        {"nullx", 0, ERR_INVALID},
        {"NaN", 0, ERR_INVALID},
        {"Infinity", 0, ERR_INVALID},
        {"[1] // no comments", 0, ERR_INVALID},
        {"/* */ 1", 0, ERR_INVALID},
        {"\"a", 0, ERR_INVALID},
        {"\"a\\", 0, ERR_INVALID},
        {"\"a\\\"", 0, ERR_INVALID},
        {"\"\\x41\"", 0, ERR_INVALID},
        {"\"\\u12\"", 0, ERR_INVALID},
        {"\"\\u12g4\"", 0, ERR_INVALID},
        {"\"\\u\"", 0, ERR_INVALID},
        /* nothing behind the end */
        {"{}{}", 0, ERR_INVALID},
        {"1 2", 0, ERR_INVALID},
        {"{} x", 0, ERR_INVALID},
        {N("{}\0"), ERR_INVALID},
        /* no BOM, no NUL, no control bytes, no \u0000 */
        {"\xef\xbb\xbf{}", 0, ERR_INVALID},
        {N("\"a\0b\""), ERR_INVALID},
        {N("\0"), ERR_INVALID},
        {N("[1,\0 2]"), ERR_INVALID},
        {"\"a\nb\"", 0, ERR_INVALID},
        {"\"a\tb\"", 0, ERR_INVALID},
        {"\"\x1f\"", 0, ERR_INVALID},
        {"\"\\u0000\"", 0, ERR_INVALID},
        {"{\"a\\u0000b\":1}", 0, ERR_INVALID},
        {"\"\\u001b\"", 0, ERR_OK}, /* an escaped one is data; it is escaped again when shown */
        /* UTF-8 and surrogates */
        {"\"\xc3\xa9\"", 0, ERR_OK},
        {"\"\xf0\x9f\x98\x80\"", 0, ERR_OK},
        {"\"\xc3\"", 0, ERR_INVALID},
        {"\"\xc0\xaf\"", 0, ERR_INVALID},
        {"\"\xed\xa0\x80\"", 0, ERR_INVALID},
        {"\"\xff\"", 0, ERR_INVALID},
        {"\"\\ud83d\\ude00\"", 0, ERR_OK},
        {"\"\\ud83d\"", 0, ERR_INVALID},
        {"\"\\ude00\"", 0, ERR_INVALID},
        {"\"\\ud83d\\u0041\"", 0, ERR_INVALID},
        {"\"\\ud83dx\"", 0, ERR_INVALID},
        {"\"\\ud83d\\", 0, ERR_INVALID},
        /* numbers: whole, and exact in a double */
        {"9007199254740991", 0, ERR_OK},
        {"-9007199254740991", 0, ERR_OK},
        {"9007199254740992", 0, ERR_INVALID},
        {"-9007199254740992", 0, ERR_INVALID},
        {"18446744073709551616", 0, ERR_INVALID},
        {"1.0", 0, ERR_INVALID},
        {"1e3", 0, ERR_INVALID},
        {"01", 0, ERR_INVALID},
        {"-01", 0, ERR_INVALID},
        {"-", 0, ERR_INVALID},
        {"+1", 0, ERR_INVALID},
        {".5", 0, ERR_INVALID},
        {"0x10", 0, ERR_INVALID},
        {"1234567890123456789012345678901234567890123456789", 0, ERR_TOOBIG},
    };

    (void)state;
    run(probes, ARRAY_LEN(probes), NULL);
}

/* J1: compared after unescaping, in the same object only */
static void duplicates(void **state)
{
    static const struct probe probes[] = {
        {"{\"a\":1,\"b\":2}", 0, ERR_OK},
        {"{\"a\":1,\"A\":2}", 0, ERR_OK},
        {"{\"a\":{\"a\":{\"a\":1}}}", 0, ERR_OK},
        {"{\"a\":{\"b\":1},\"b\":{\"a\":1},\"c\":[{\"a\":1},{\"a\":1}]}", 0, ERR_OK},
        {"{\"\":1,\"a\":2,\"ab\":3}", 0, ERR_OK},
        {"{\"a\":1,\"a\":1}", 0, ERR_INVALID},
        {"{\"a\":1,\"\\u0061\":1}", 0, ERR_INVALID},
        {"{\"\\u00e9\":1,\"\xc3\xa9\":1}", 0, ERR_INVALID},
        {"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}", 0, ERR_INVALID},
        {"{\"/\":1,\"\\/\":1}", 0, ERR_INVALID},
        {"{\"\":1,\"\":1}", 0, ERR_INVALID},
        {"{\"a\":{\"x\":1,\"y\":1},\"b\":1,\"a\":1}", 0, ERR_INVALID},
        {"{\"z\":[{\"a\":1,\"b\":2,\"a\":3}]}", 0, ERR_INVALID},
    };

    (void)state;
    run(probes, ARRAY_LEN(probes), NULL);
}

static void limits(void **state)
{
    static const struct probe at[] = {
        {"[[[1]]]", 0, ERR_OK},
        {"[[[[1]]]]", 0, ERR_TOOBIG},
        {"[1,2,3,4]", 0, ERR_OK},
        {"[1,2,3,4,5]", 0, ERR_TOOBIG},
        {"\"12345678\"", 0, ERR_OK},
        {"\"123456789\"", 0, ERR_TOOBIG},
        {"{\"123456789\":1}", 0, ERR_TOOBIG},
        {"\"\\u0031\\u0031\"", 0, ERR_OK}, /* as unescaped */
        {"{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1}", 0, ERR_TOOBIG},
        {"                                                     1", 0, ERR_TOOBIG},
    };
    const struct json_limits lim = {.bytes = 50, .depth = 3, .members = 4, .string = 8};
    const struct json_limits deep = {.depth = 1000000};
    char many[4000];

    (void)state;
    run(at, ARRAY_LEN(at), &lim);

    /* The defaults, and a ceiling whatever is asked for: cJSON recurses. */
    memset(many, '[', sizeof(many));
    assert_int_equal(parse(many, sizeof(many), NULL), ERR_TOOBIG);
    assert_int_equal(parse(many, sizeof(many), &deep), ERR_TOOBIG);
    assert_int_equal(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", 33, NULL), ERR_OK);
    assert_int_equal(parse("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 35, NULL), ERR_TOOBIG);
}

/* J3: no double is ever an id */
static void floats(void **state)
{
    static const struct json_limits lim = {.flags = JSON_FLOATS};
    static const char text[] = "[1,1.0,{\"a\":2e0,\"b\":[3,-4.5e-3,[]],\"c\":5},6,7E+1,8]";
    static const struct probe probes[] = {
        {"1.5", 0, ERR_OK},        {"1e300", 0, ERR_OK},   {"-0.0", 0, ERR_OK},
        {"1e999", 0, ERR_INVALID}, {"1.", 0, ERR_INVALID}, {"1e", 0, ERR_INVALID},
        {"1e+", 0, ERR_INVALID},   {".1", 0, ERR_INVALID}, {"9007199254740993", 0, ERR_INVALID},
    };
    CLEANUP(json_freep) struct cJSON *j = NULL;
    const struct cJSON *c, *b;
    struct err e;
    int64_t v;

    (void)state;
    run(probes, ARRAY_LEN(probes), &lim);

    assert_int_equal(json_parse(text, strlen(text), &lim, &j, &e), 0);
    c = json_first(j);
    assert_true(json_value_i64(c, &v));
    assert_int_equal(v, 1);
    c = json_next(c);
    assert_false(json_value_i64(c, &v));
    c = json_next(c);
    assert_false(json_i64(c, "a", &v));
    assert_true(json_i64(c, "c", &v));
    assert_int_equal(v, 5);
    b = json_first(json_get(c, "b"));
    assert_true(json_value_i64(b, &v));
    assert_int_equal(v, 3);
    assert_false(json_value_i64(json_next(b), &v));
    c = json_next(c);
    assert_true(json_value_i64(c, &v));
    c = json_next(c);
    assert_false(json_value_i64(c, &v));
    c = json_next(c);
    assert_true(json_value_i64(c, &v));
    assert_int_equal(v, 8);
    assert_null(json_next(c));
}

static void look_ups(void **state)
{
    static const char text[] = "{\"Name\":\"x\\u00e9\",\"n\":-9007199254740991,\"t\":true,"
                               "\"o\":{\"p\":{\"q\":\"deep\"}},\"a\":[1,2],\"z\":null}";
    CLEANUP(json_freep) struct cJSON *j = NULL;
    struct err e;
    int64_t v;
    bool b = false;
    size_t count = 0;

    (void)state;
    assert_int_equal(json_parse(text, strlen(text), NULL, &j, &e), 0);
    assert_string_equal(json_str(j, "Name"), "x\xc3\xa9");
    assert_null(json_str(j, "name")); /* exact case */
    assert_null(json_str(j, "Nam"));
    assert_null(json_str(j, "n"));
    assert_true(json_i64(j, "n", &v));
    assert_true(v == INT64_C(-9007199254740991));
    assert_false(json_i64(j, "Name", &v));
    assert_true(json_bool(j, "t", &b));
    assert_true(b);
    assert_false(json_bool(j, "z", &b));
    assert_string_equal(json_value_str(json_at(j, "o/p/q")), "deep");
    assert_null(json_at(j, "o/p/x"));
    assert_null(json_at(j, "o/p/q/r"));
    assert_null(json_at(j, "a/0"));
    assert_null(json_at(NULL, "a"));
    assert_null(json_get(NULL, "a"));
    assert_null(json_str(NULL, "a"));
    assert_false(json_is_object(NULL));
    assert_true(json_is_array(json_get(j, "a")));
    for (const struct cJSON *c = json_first(j); c != NULL; c = json_next(c)) {
        assert_non_null(json_name(c));
        count++;
    }
    assert_int_equal(count, 6);
    assert_null(json_name(json_first(json_get(j, "a"))));
    assert_null(json_first(NULL));
    assert_null(json_first(json_get(j, "n")));
}

/* O1, J3 */
static void writing(void **state)
{
    struct text t = TEXT_INIT(4096);
    struct json_out o;

    (void)state;
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, "s", "\"\\\b\n\r\t\x1b</script>a/b");
    json_out_str(&o, "hidden", "\x7f\xc2\x9b\xe2\x80\xae\xe2\x80\x8b\xf3\xa0\x80\x81");
    json_out_strn(&o, "bad", "a\xff\xc3", 3);
    json_out_str(&o, "none", NULL);
    json_out_i64(&o, "i", INT64_MIN);
    json_out_u64(&o, "u", UINT64_MAX);
    json_out_array(&o, "a");
    json_out_bool(&o, NULL, true);
    json_out_object(&o, NULL);
    json_out_end_object(&o);
    json_out_array(&o, NULL);
    json_out_end_array(&o);
    json_out_null(&o, NULL);
    json_out_end_array(&o);
    json_out_time(&o, "t", 0);
    json_out_raw(&o, "r", "{\"x\":1}");
    json_out_str(&o, "n\"ame", "\xc3\xa9");
    json_out_end_object(&o);
    assert_string_equal(
        t.s, "{\"s\":\"\\\"\\\\\\u0008\\n\\r\\t\\u001b<\\/script>a/b\","
             "\"hidden\":\"\\u007f\\u009b\\u202e\\u200b\\udb40\\udc01\","
             "\"bad\":\"a\\ufffd\\ufffd\",\"none\":null,\"i\":-9223372036854775808,"
             "\"u\":18446744073709551615,\"a\":[true,{},[],null],"
             "\"t\":\"1970-01-01T00:00:00.000Z\",\"r\":{\"x\":1},\"n\\\"ame\":\"\xc3\xa9\"}");
    text_done(&t);
}

/* What the writer wrote, the reader reads back as it was. */
static void round_trip(void **state)
{
    CLEANUP(json_freep) struct cJSON *j = NULL;
    static const char s[] = "x\"\\</\x01\x7f\xe2\x80\xae\xf3\xa0\x80\x81 end";
    struct text t = TEXT_INIT(4096);
    struct json_out o;
    struct err e;

    (void)state;
    json_out_init(&o, &t);
    json_out_object(&o, NULL);
    json_out_str(&o, s, s);
    json_out_end_object(&o);
    assert_int_equal(json_parse(t.s, t.len, NULL, &j, &e), 0);
    assert_string_equal(json_str(j, s), s);
    text_done(&t);
}

/* M2 */
static void memory(void **state)
{
    static const struct json_limits lim = {.flags = JSON_FLOATS};
    static const char text[] = "{\"a\":[1,2.5,\"x\"],\"bb\":{\"a\":null,\"c\":\"\\u00e9\"}}";
    cJSON_Hooks hooks = {__wrap_malloc, free};

    (void)state;
    cJSON_InitHooks(&hooks);
    for (long n = 0; alloc_sweep(n); n++) {
        CLEANUP(json_freep) struct cJSON *j = NULL;
        struct err e = ERR_NONE;
        int rc = json_parse(text, strlen(text), &lim, &j, &e);

        assert_int_equal(rc, alloc_failed ? -1 : 0);
        assert_int_equal(e.code, alloc_failed ? ERR_NOMEM : ERR_OK);
    }
    cJSON_InitHooks(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),    cmocka_unit_test(duplicates), cmocka_unit_test(limits),
        cmocka_unit_test(floats),     cmocka_unit_test(look_ups),   cmocka_unit_test(writing),
        cmocka_unit_test(round_trip), cmocka_unit_test(memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
