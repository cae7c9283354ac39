/* base/json.c -- see json.h. The scanner first, then the look-ups, then the writer.
 *
 * The scanner walks the bytes once, with a stack of its own instead of recursion, and knows all
 * of RFC 8259 and our limits. Only what it passed reaches cJSON, which by itself would take a
 * BOM, comments at the end, \u0000, duplicates and numbers that do not fit. So when cJSON fails
 * after that, it can only be for want of memory.
 */
#include "base/json.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"

enum {
    DEPTH_MAX = 128,    /* whatever a caller asks for: cJSON recurses */
    NUMBER_MAX = 40,    /* characters; cJSON cuts numbers at 63 */
    IS_FLOAT = 1 << 10, /* our mark in cJSON's type, above its own bits */
};
#define INT_MAX_EXACT ((UINT64_C(1) << 53) - 1)

/* A member name of an object that is still open, unescaped, in scan.names. */
struct name {
    size_t start, len;
    size_t at; /* where it stands in the text */
};

struct frame {
    bool object;
    unsigned members;
    size_t first_name; /* index into scan.list */
    size_t names_len;  /* of scan.names when it was opened */
};

struct scan {
    const char *s;
    size_t n, at;
    struct json_limits lim;
    struct frame stack[DEPTH_MAX];
    unsigned depth;
    struct text names;
    struct name *list;
    size_t list_count, list_cap;
    /* Which numbers, counted from 0 in the order of the text, have a fraction or an exponent. */
    size_t numbers;
    size_t *floats;
    size_t float_count, float_cap;
    struct err *e;
};

static void scan_done(struct scan *sc)
{
    text_done(&sc->names);
    free(sc->list);
    free(sc->floats);
}

/* --- the scanner: single tokens --------------------------------------------------- */

static int bad(struct scan *sc, size_t at, const char *what)
{
    return err_set(sc->e, ERR_INVALID, 0, "JSON, byte %zu: %s", at, what);
}

static int too_big(struct scan *sc, size_t at, const char *what, size_t limit)
{
    return err_set(sc->e, ERR_TOOBIG, 0, "JSON, byte %zu: more than %zu %s", at, limit, what);
}

static int no_memory(struct scan *sc)
{
    return err_set(sc->e, ERR_NOMEM, 0, "JSON");
}

/* The byte at hand, or NUL at the end (a NUL in the text is refused wherever it is met). */
static char peek(const struct scan *sc)
{
    return sc->at < sc->n ? sc->s[sc->at] : '\0';
}

static void skip_space(struct scan *sc)
{
    while (sc->at < sc->n && strchr(" \t\n\r", sc->s[sc->at]) != NULL && sc->s[sc->at] != '\0')
        sc->at++;
}

/* Room for one more element in a growing array; returns the array, or NULL. */
static void *grown(void *list, size_t count, size_t *cap, size_t size)
{
    size_t more = *cap == 0 ? 16 : *cap * 2;
    void *p = list;

    if (count < *cap)
        return list;
    p = reallocarray(list, more, size);
    if (p != NULL)
        *cap = more;
    return p;
}

/* Four hex digits at sc->at. */
static bool scan_hex4(struct scan *sc, uint32_t *ret)
{
    uint32_t v = 0;

    if (sc->n - sc->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char c = sc->s[sc->at + (size_t)i];

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint32_t)(c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            v = v << 4 | (uint32_t)(c - 'A' + 10);
        else
            return false;
    }
    sc->at += 4;
    *ret = v;
    return true;
}

static size_t utf8_put(char buf[4], uint32_t c)
{
    if (c < 0x80) {
        buf[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        buf[0] = (char)(0xc0 | c >> 6);
        buf[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        buf[0] = (char)(0xe0 | c >> 12);
        buf[1] = (char)(0x80 | (c >> 6 & 0x3f));
        buf[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    buf[0] = (char)(0xf0 | c >> 18);
    buf[1] = (char)(0x80 | (c >> 12 & 0x3f));
    buf[2] = (char)(0x80 | (c >> 6 & 0x3f));
    buf[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

/* Behind a backslash. */
static int scan_escape(struct scan *sc, char out[4], size_t *ret_len)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    size_t start = sc->at - 1;
    const char *f;
    uint32_t c, low;

    if (peek(sc) == '\0')
        return bad(sc, start, "a broken escape");
    f = strchr(from, peek(sc));
    if (f != NULL) {
        sc->at++;
        out[0] = to[f - from];
        *ret_len = 1;
        return 0;
    }
    if (peek(sc) != 'u')
        return bad(sc, start, "an escape that JSON does not have");
    sc->at++;
    if (!scan_hex4(sc, &c))
        return bad(sc, start, "\\u without four hex digits");
    if (c == 0)
        return bad(sc, start, "\\u0000");
    if (c >= 0xdc00 && c <= 0xdfff)
        return bad(sc, start, "half a surrogate pair");
    if (c >= 0xd800 && c <= 0xdbff) {
        if (sc->n - sc->at < 2 || memcmp(sc->s + sc->at, "\\u", 2) != 0)
            return bad(sc, start, "half a surrogate pair");
        sc->at += 2;
        if (!scan_hex4(sc, &low) || low < 0xdc00 || low > 0xdfff)
            return bad(sc, start, "half a surrogate pair");
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret_len = utf8_put(out, c);
    return 0;
}

/* A string, at its opening quote. What it says is appended to `out`, unless that is NULL. */
static int scan_string(struct scan *sc, struct text *out)
{
    size_t start = sc->at, total = 0;

    sc->at++;
    for (;;) {
        char piece[4];
        size_t len;
        uint32_t c;

        if (sc->at >= sc->n)
            return bad(sc, start, "a string without an end");
        len = text_utf8_next(sc->s + sc->at, sc->n - sc->at, &c);
        if (len == 0)
            return bad(sc, sc->at, "not UTF-8");
        if (c < 0x20)
            return bad(sc, sc->at, "a control byte in a string");
        sc->at += len;
        if (c == '"')
            break;
        if (c == '\\') {
            if (scan_escape(sc, piece, &len) < 0)
                return -1;
        } else {
            memcpy(piece, sc->s + sc->at - len, len);
        }
        total += len;
        if (total > sc->lim.string)
            return too_big(sc, start, "bytes in a string", sc->lim.string);
        if (out != NULL)
            text_addn(out, piece, len);
    }
    return out != NULL && out->failed ? no_memory(sc) : 0;
}

static size_t scan_digits(struct scan *sc)
{
    size_t start = sc->at;

    while (peek(sc) >= '0' && peek(sc) <= '9')
        sc->at++;
    return sc->at - start;
}

static int scan_number(struct scan *sc)
{
    size_t start = sc->at, whole, whole_len;
    char copy[NUMBER_MAX + 1];
    bool is_float = false;
    uint64_t v;

    if (peek(sc) == '-')
        sc->at++;
    whole = sc->at;
    whole_len = scan_digits(sc);
    if (whole_len == 0 || (whole_len > 1 && sc->s[whole] == '0'))
        return bad(sc, start, "not a number");
    if (peek(sc) == '.') {
        is_float = true;
        sc->at++;
        if (scan_digits(sc) == 0)
            return bad(sc, start, "not a number");
    }
    if (peek(sc) == 'e' || peek(sc) == 'E') {
        is_float = true;
        sc->at++;
        if (peek(sc) == '+' || peek(sc) == '-')
            sc->at++;
        if (scan_digits(sc) == 0)
            return bad(sc, start, "not a number");
    }
    if (sc->at - start > NUMBER_MAX)
        return too_big(sc, start, "characters in a number", NUMBER_MAX);

    memcpy(copy, sc->s + start, sc->at - start);
    copy[sc->at - start] = '\0';
    if (!is_float) {
        if (!text_to_u64(copy + (whole - start), 0, INT_MAX_EXACT, &v))
            return bad(sc, start, "a number beyond 2^53 - 1");
        sc->numbers++;
        return 0;
    }
    if ((sc->lim.flags & JSON_FLOATS) == 0)
        return bad(sc, start, "a number with a fraction or an exponent");
    /* We never set a locale, so strtod reads '.'; the grammar is already checked. */
    if (!isfinite(strtod(copy, NULL)))
        return bad(sc, start, "a number that does not fit");
    void *p = grown(sc->floats, sc->float_count, &sc->float_cap, sizeof(*sc->floats));
    if (p == NULL)
        return no_memory(sc);
    sc->floats = p;
    sc->floats[sc->float_count++] = sc->numbers++;
    return 0;
}

static int scan_scalar(struct scan *sc)
{
    static const char *const words[] = {"true", "false", "null"};

    if (peek(sc) == '"')
        return scan_string(sc, NULL);
    if (peek(sc) == '-' || (peek(sc) >= '0' && peek(sc) <= '9'))
        return scan_number(sc);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        size_t n = strlen(words[i]);

        if (sc->n - sc->at >= n && memcmp(sc->s + sc->at, words[i], n) == 0) {
            sc->at += n;
            return 0;
        }
    }
    return bad(sc, sc->at, sc->at >= sc->n ? "it ends too early" : "no value");
}

/* --- the scanner: objects and arrays ------------------------------------------------ */

static int scan_open(struct scan *sc)
{
    if (sc->depth >= sc->lim.depth)
        return too_big(sc, sc->at, "levels", sc->lim.depth);
    sc->stack[sc->depth++] = (struct frame){
        .object = peek(sc) == '{',
        .first_name = sc->list_count,
        .names_len = sc->names.len,
    };
    sc->at++;
    return 0;
}

/* Another member or item of the innermost object or array; of an object, also `"name":`. */
static int scan_member(struct scan *sc)
{
    struct frame *f = &sc->stack[sc->depth - 1];
    struct name name;
    void *p;

    if (++f->members > sc->lim.members)
        return too_big(sc, sc->at, "members", sc->lim.members);
    if (!f->object)
        return 0;
    skip_space(sc);
    name.at = sc->at;
    name.start = sc->names.len;
    if (peek(sc) != '"')
        return bad(sc, sc->at, "no member name");
    if (scan_string(sc, &sc->names) < 0)
        return -1;
    name.len = sc->names.len - name.start;
    p = grown(sc->list, sc->list_count, &sc->list_cap, sizeof(*sc->list));
    if (p == NULL)
        return no_memory(sc);
    sc->list = p;
    sc->list[sc->list_count++] = name;

    skip_space(sc);
    if (peek(sc) != ':')
        return bad(sc, sc->at, "no ':' behind a name");
    sc->at++;
    return 0;
}

static int by_name(const void *va, const void *vb, void *names)
{
    const struct name *a = va, *b = vb;
    const char *s = names;
    int c = memcmp(s + a->start, s + b->start, a->len < b->len ? a->len : b->len);

    if (c != 0)
        return c;
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* The innermost one ends. Sorted, equal names of an object stand side by side. */
static int scan_close(struct scan *sc)
{
    struct frame *f = &sc->stack[--sc->depth];
    size_t count = sc->list_count - f->first_name;

    sc->at++;
    if (count > 1) {
        struct name *first = sc->list + f->first_name;

        qsort_r(first, count, sizeof(*first), by_name, sc->names.s);
        for (size_t i = 1; i < count; i++) {
            const struct name *a = &first[i - 1], *b = &first[i];

            if (a->len == b->len &&
                memcmp(sc->names.s + a->start, sc->names.s + b->start, a->len) == 0)
                return bad(sc, b->at, "the same member twice");
        }
    }
    /* Their names are not needed any more: only those of open objects are kept. */
    sc->list_count = f->first_name;
    sc->names.len = f->names_len;
    if (sc->names.cap != 0)
        sc->names.s[sc->names.len] = '\0';
    return 0;
}

static int scan_all(struct scan *sc)
{
    do {
        /* A value begins. */
        skip_space(sc);
        if (peek(sc) == '{' || peek(sc) == '[') {
            char closer = peek(sc) == '{' ? '}' : ']';

            if (scan_open(sc) < 0)
                return -1;
            skip_space(sc);
            if (peek(sc) != closer) {
                if (scan_member(sc) < 0)
                    return -1;
                continue;
            }
            if (scan_close(sc) < 0)
                return -1;
        } else if (scan_scalar(sc) < 0) {
            return -1;
        }
        /* It has ended, and perhaps what it stands in. */
        for (skip_space(sc); sc->depth > 0; skip_space(sc)) {
            char closer = sc->stack[sc->depth - 1].object ? '}' : ']';

            if (peek(sc) == ',') {
                sc->at++;
                if (scan_member(sc) < 0)
                    return -1;
                break;
            }
            if (peek(sc) != closer)
                return bad(sc, sc->at, sc->at >= sc->n ? "it ends too early" : "no ',' or end");
            if (scan_close(sc) < 0)
                return -1;
        }
    } while (sc->depth > 0);
    return sc->at == sc->n ? 0 : bad(sc, sc->at, "something behind the end");
}

/* --- parsing -------------------------------------------------------------------------- */

/* Put our mark on the numbers that were no integers: the tree is in the order of the text. */
static void mark_floats(const struct scan *sc, cJSON *root)
{
    cJSON *above[DEPTH_MAX];
    size_t depth = 0, number = 0, next = 0;
    cJSON *c = root;

    while (c != NULL && next < sc->float_count) {
        if (cJSON_IsNumber(c) && number++ == sc->floats[next]) {
            c->type |= IS_FLOAT;
            next++;
        }
        if (c->child != NULL && depth < DEPTH_MAX) {
            above[depth++] = c;
            c = c->child;
            continue;
        }
        while (depth > 0 && c->next == NULL)
            c = above[--depth];
        c = depth > 0 || c != root ? c->next : NULL;
    }
}

int json_parse(const char *s, size_t n, const struct json_limits *lim, struct cJSON **ret_json,
               struct err *e)
{
    struct scan sc = {.s = s, .n = n, .e = e};
    const char *end = NULL;
    cJSON *j = NULL;
    int rc;

    if (lim != NULL)
        sc.lim = *lim;
    if (sc.lim.bytes == 0)
        sc.lim.bytes = 1024 * 1024;
    if (sc.lim.depth == 0)
        sc.lim.depth = 16;
    if (sc.lim.depth > DEPTH_MAX)
        sc.lim.depth = DEPTH_MAX;
    if (sc.lim.members == 0)
        sc.lim.members = 1024;
    if (sc.lim.string == 0)
        sc.lim.string = 65536;
    if (n > sc.lim.bytes)
        return err_set(e, ERR_TOOBIG, 0, "JSON: more than %zu bytes", sc.lim.bytes);
    text_init(&sc.names, n);

    rc = scan_all(&sc);
    if (rc == 0) {
        j = cJSON_ParseWithLengthOpts(s, n, &end, /* require NUL */ 0);
        if (j == NULL)
            rc = no_memory(&sc);
        else
            mark_floats(&sc, j);
    }
    scan_done(&sc);
    if (rc == 0)
        *ret_json = j;
    return rc;
}

void json_free(struct cJSON *j)
{
    cJSON_Delete(j);
}

void json_freep(struct cJSON **j)
{
    cJSON_Delete(*j);
}

/* --- looking up --------------------------------------------------------------------------- */

static const struct cJSON *get_n(const struct cJSON *obj, const char *name, size_t n)
{
    if (!json_is_object(obj))
        return NULL;
    for (const cJSON *c = obj->child; c != NULL; c = c->next) {
        if (strncmp(c->string, name, n) == 0 && c->string[n] == '\0')
            return c;
    }
    return NULL;
}

const struct cJSON *json_get(const struct cJSON *obj, const char *name)
{
    return get_n(obj, name, strlen(name));
}

const struct cJSON *json_at(const struct cJSON *obj, const char *path)
{
    for (;;) {
        size_t n = strcspn(path, "/");

        obj = get_n(obj, path, n);
        if (obj == NULL || path[n] == '\0')
            return obj;
        path += n + 1;
    }
}

const char *json_str(const struct cJSON *obj, const char *name)
{
    return json_value_str(json_get(obj, name));
}

bool json_i64(const struct cJSON *obj, const char *name, int64_t *ret)
{
    return json_value_i64(json_get(obj, name), ret);
}

bool json_bool(const struct cJSON *obj, const char *name, bool *ret)
{
    const cJSON *c = json_get(obj, name);

    if (!cJSON_IsBool(c))
        return false;
    *ret = cJSON_IsTrue(c);
    return true;
}

bool json_is_object(const struct cJSON *j)
{
    return cJSON_IsObject(j);
}

bool json_is_array(const struct cJSON *j)
{
    return cJSON_IsArray(j);
}

const char *json_value_str(const struct cJSON *j)
{
    return cJSON_IsString(j) ? j->valuestring : NULL;
}

bool json_is_null(const struct cJSON *j)
{
    return cJSON_IsNull(j);
}

bool json_value_i64(const struct cJSON *j, int64_t *ret)
{
    if (!cJSON_IsNumber(j) || (j->type & IS_FLOAT) != 0)
        return false;
    *ret = (int64_t)j->valuedouble; /* exact: the scanner let nothing past 2^53 - 1 through */
    return true;
}

const struct cJSON *json_first(const struct cJSON *j)
{
    return json_is_object(j) || json_is_array(j) ? j->child : NULL;
}

const struct cJSON *json_next(const struct cJSON *c)
{
    return c->next;
}

const char *json_name(const struct cJSON *c)
{
    return c->string;
}

/* --- writing ------------------------------------------------------------------------------- */

static void add_u(struct text *t, uint32_t c)
{
    if (c < 0x10000)
        text_addf(t, "\\u%04x", c);
    else
        text_addf(t, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
}

static void add_quoted(struct text *t, const char *s, size_t n)
{
    char before = '\0';
    uint32_t c;

    text_addc(t, '"');
    while (n > 0) {
        size_t len = text_utf8_next(s, n, &c);

        if (len == 0) {
            text_add(t, "\\ufffd");
            len = 1;
        } else if (c == '"' || c == '\\' || (c == '/' && before == '<')) {
            text_addc(t, '\\');
            text_addc(t, (char)c);
        } else if (c == '\n') {
            text_add(t, "\\n");
        } else if (c == '\r') {
            text_add(t, "\\r");
        } else if (c == '\t') {
            text_add(t, "\\t");
        } else if (text_is_hidden(c)) {
            add_u(t, c);
        } else {
            text_addn(t, s, len);
        }
        before = *s;
        s += len;
        n -= len;
    }
    text_addc(t, '"');
}

/* The comma if one is due, and the name if there is one. */
static void begin(struct json_out *o, const char *name)
{
    if (o->comma)
        text_addc(o->t, ',');
    o->comma = true;
    if (name != NULL) {
        add_quoted(o->t, name, strlen(name));
        text_addc(o->t, ':');
    }
}

void json_out_init(struct json_out *o, struct text *t)
{
    *o = (struct json_out){.t = t};
}

void json_out_object(struct json_out *o, const char *name)
{
    begin(o, name);
    text_addc(o->t, '{');
    o->comma = false;
}

void json_out_array(struct json_out *o, const char *name)
{
    begin(o, name);
    text_addc(o->t, '[');
    o->comma = false;
}

void json_out_end_object(struct json_out *o)
{
    text_addc(o->t, '}');
    o->comma = true;
}

void json_out_end_array(struct json_out *o)
{
    text_addc(o->t, ']');
    o->comma = true;
}

void json_out_str(struct json_out *o, const char *name, const char *s)
{
    if (s == NULL)
        json_out_null(o, name);
    else
        json_out_strn(o, name, s, strlen(s));
}

void json_out_strn(struct json_out *o, const char *name, const char *s, size_t n)
{
    begin(o, name);
    add_quoted(o->t, s, n);
}

void json_out_i64(struct json_out *o, const char *name, int64_t v)
{
    begin(o, name);
    text_addf(o->t, "%" PRId64, v);
}

void json_out_u64(struct json_out *o, const char *name, uint64_t v)
{
    begin(o, name);
    text_addf(o->t, "%" PRIu64, v);
}

void json_out_bool(struct json_out *o, const char *name, bool v)
{
    begin(o, name);
    text_add(o->t, v ? "true" : "false");
}

void json_out_null(struct json_out *o, const char *name)
{
    begin(o, name);
    text_add(o->t, "null");
}

void json_out_time(struct json_out *o, const char *name, int64_t ms)
{
    char buf[STAMP_TEXT];

    json_out_str(o, name, stamp_iso(buf, ms));
}

void json_out_raw(struct json_out *o, const char *name, const char *json)
{
    begin(o, name);
    text_add(o->t, json);
}
