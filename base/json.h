/* base/json.h -- JSON in by one strict door (cJSON behind it), JSON out by one writer.
 *
 * In: the text is checked whole before cJSON sees it: UTF-8 without BOM, no control
 * bytes, no NUL and no \u0000, no lone surrogate escapes, no duplicate members (compared
 * after unescaping), nothing after the end, depth, size, member and number limits
 * (checklist J1). Look-up is exact-case. No double is ever an id or a time: integers
 * beyond +-(2^53-1) are refused; a fraction or exponent is refused unless JSON_FLOATS,
 * and even then json_i64 refuses to read one.
 */
#ifndef CORDON_BASE_JSON_H
#define CORDON_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

struct cJSON; /* <cjson/cJSON.h> */

enum { JSON_FLOATS = 1 };
struct json_limits {
    size_t bytes;     /* of the whole text; 0: 1 MiB */
    unsigned depth;   /* 0: 16 */
    unsigned members; /* of one object or array; 0: 1024 */
    size_t string;    /* bytes of one string, unescaped; 0: 64 KiB */
    int flags;
};

/* Parse s[0..n). `lim` may be NULL for the defaults. Errors: ERR_INVALID with the byte offset,
 * ERR_TOOBIG, ERR_NOMEM. Free with json_free. */
int json_parse(const char *s, size_t n, const struct json_limits *lim, struct cJSON **ret_json,
               struct err *e);
void json_free(struct cJSON *j);
void json_freep(struct cJSON **j);

/* Look-ups. All take NULL for the object and then find nothing. Exact-case names. */
const struct cJSON *json_get(const struct cJSON *obj, const char *name);
/* A path of names parted by '/': json_at(j, "winlog/event_data/TargetSid"). */
const struct cJSON *json_at(const struct cJSON *obj, const char *path);
const char *json_str(const struct cJSON *obj, const char *name); /* NULL if absent or no string */
bool json_i64(const struct cJSON *obj, const char *name, int64_t *ret); /* whole number only */
bool json_bool(const struct cJSON *obj, const char *name, bool *ret);
bool json_is_object(const struct cJSON *j);
bool json_is_array(const struct cJSON *j);
bool json_is_null(const struct cJSON *j); /* an absent one is not */
/* The value itself: */
const char *json_value_str(const struct cJSON *j);
bool json_value_i64(const struct cJSON *j, int64_t *ret);
/* Iterate members / items: for (c = json_first(j); c; c = json_next(c)) */
const struct cJSON *json_first(const struct cJSON *j);
const struct cJSON *json_next(const struct cJSON *c);
const char *json_name(const struct cJSON *c); /* member name, or NULL for an item */

/* --- out --------------------------------------------------------------------
 * Escapes " \ and control characters; DEL, C1, bidi and zero-width ones as \uXXXX; "</" as "<\/";
 * broken UTF-8 as \ufffd. `name` is NULL inside an array. A NULL string is written as null. */
struct json_out {
    struct text *t; /* borrowed */
    bool comma;
};
void json_out_init(struct json_out *o, struct text *t);
void json_out_object(struct json_out *o, const char *name);
void json_out_array(struct json_out *o, const char *name);
void json_out_end_object(struct json_out *o);
void json_out_end_array(struct json_out *o);
void json_out_str(struct json_out *o, const char *name, const char *s);
void json_out_strn(struct json_out *o, const char *name, const char *s, size_t n);
void json_out_i64(struct json_out *o, const char *name, int64_t v);
void json_out_u64(struct json_out *o, const char *name, uint64_t v);
void json_out_bool(struct json_out *o, const char *name, bool v);
void json_out_null(struct json_out *o, const char *name);
void json_out_time(struct json_out *o, const char *name, int64_t ms);      /* ISO, base/stamp.h */
void json_out_raw(struct json_out *o, const char *name, const char *json); /* already JSON */

#endif
