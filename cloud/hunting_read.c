/* cloud/hunting_read.c -- rows from what hunting and Log Analytics answer. Pure.
 *
 * Hunting gives objects (and a schema that nobody needs for them); Log Analytics gives columns and
 * arrays in their order. Names are compared without case: the documents and the services disagree.
 * What is not about the SID, not in the window or without a time is left out and counted: the
 * service was asked for nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/stamp.h"
#include "cloud/field.h"
#include "cloud/hunting_inside.h"

enum { COLUMNS_MAX = 128, ERROR_MAX = 64 * 1024, SHOWN = 160 };

struct hunt_table {
    struct hunt_row *rows;
    size_t count, cap, left_out;
    bool partial, more;
    char note[HUNT_TEXT];
};

struct reader {
    struct hunt_table *t;
    const char *sid;
    int64_t from_ms, to_ms;
    /* The row under way: an object, or an array with the columns of the table. */
    const struct cJSON *object;
    const char *columns[COLUMNS_MAX];
    const struct cJSON *cells[COLUMNS_MAX];
    size_t column_count;
};

void hunt_table_free(struct hunt_table *t)
{
    if (t == NULL)
        return;
    free(t->rows);
    free(t);
}

void hunt_table_freep(struct hunt_table **t)
{
    hunt_table_free(*t);
}

void hunt_table_rows(const struct hunt_table *t, struct hunt_rows *r)
{
    memset(r, 0, sizeof(*r));
    r->rows = t->rows;
    r->count = t->count;
    r->left_out = t->left_out;
    r->partial = t->partial;
    r->more = t->more;
    memcpy(r->note, t->note, sizeof(r->note));
}

/* --- one row ---------------------------------------------------------------------------------- */

static const struct cJSON *cell(const struct reader *rd, const char *name)
{
    if (rd->object != NULL)
        return field_any_case(rd->object, name);
    for (size_t i = 0; i < rd->column_count; i++) {
        if (text_eq_nocase(rd->columns[i], name))
            return rd->cells[i];
    }
    return NULL;
}

/* The first of several columns that has a text. */
static const char *any_text(const struct reader *rd, const char *const *names)
{
    for (; *names != NULL; names++) {
        const char *s = json_value_str(cell(rd, *names));

        if (s != NULL && s[0] != '\0')
            return s;
    }
    return NULL;
}

static int64_t read_event_id(const struct reader *rd)
{
    const struct cJSON *j = cell(rd, "EventID");
    const char *s = json_value_str(j);
    int64_t id = 0;

    if (!json_value_i64(j, &id) && (s == NULL || !text_to_i64(s, 0, UINT16_MAX, &id)))
        return 0;
    return id >= 0 && id <= UINT16_MAX ? id : 0;
}

static bool read_row(const struct reader *rd, struct hunt_row *r)
{
    static const char *const times[] = {"Timestamp", "TimeGenerated", NULL};
    static const char *const sids[] = {"TargetSid", "TargetAccountSid", NULL};
    static const char *const computers[] = {"Computer", "DestinationDeviceName", "DeviceName",
                                            "ActorDevice", NULL};
    static const char *const actors[] = {"SubjectUserName", "AccountName", "Actor", NULL};
    static const char *const actor_sids[] = {"SubjectUserSid", "AccountSid", NULL};
    static const char *const actions[] = {"ActionType", NULL};
    const char *time = any_text(rd, times), *sid = any_text(rd, sids);
    const char *action = any_text(rd, actions);
    int64_t id = read_event_id(rd);

    memset(r, 0, sizeof(*r));
    if (time == NULL || sid == NULL || !stamp_parse_iso(time, &r->time_ms) ||
        r->time_ms < rd->from_ms || r->time_ms > rd->to_ms || !text_eq_nocase(sid, rd->sid))
        return false;
    r->event_id = (unsigned)id;
    (void)field_shown(r->action, sizeof(r->action), action != NULL ? action : hunt_event_words(id));
    (void)field_shown(r->computer, sizeof(r->computer), any_text(rd, computers));
    (void)field_shown(r->actor, sizeof(r->actor), any_text(rd, actors));
    if (field_sid_ok(any_text(rd, actor_sids)))
        field_copy(r->actor_sid, sizeof(r->actor_sid), any_text(rd, actor_sids));
    field_copy(r->target_sid, sizeof(r->target_sid), rd->sid);
    return true;
}

static int add_row(struct reader *rd, struct err *e)
{
    struct hunt_table *t = rd->t;
    struct hunt_row r;

    if (!read_row(rd, &r)) {
        t->left_out++;
        return 0;
    }
    if (t->count == HUNT_ROWS) {
        t->more = true;
        return 0;
    }
    if (t->count == t->cap) {
        size_t cap = t->cap != 0 ? t->cap * 2 : 16;
        struct hunt_row *p = reallocarray(t->rows, cap, sizeof(*p));

        if (p == NULL)
            return err_set(e, ERR_NOMEM, 0, "hunting");
        t->rows = p;
        t->cap = cap;
    }
    t->rows[t->count++] = r;
    return 0;
}

/* --- both shapes ------------------------------------------------------------------------------ */

static int read_objects(struct reader *rd, const struct cJSON *list, struct err *e)
{
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        if (!json_is_object(c))
            return err_set(e, ERR_INVALID, 0, "hunting: a row that is no object");
        rd->object = c;
        if (add_row(rd, e) < 0)
            return -1;
    }
    return 0;
}

static int read_columns(struct reader *rd, const struct cJSON *list, struct err *e)
{
    if (!json_is_array(list))
        return err_set(e, ERR_INVALID, 0, "Log Analytics: a table without columns");
    for (const struct cJSON *c = json_first(list); c != NULL; c = json_next(c)) {
        const char *name = json_value_str(field_any_case(c, "name"));

        if (name == NULL)
            return err_set(e, ERR_INVALID, 0, "Log Analytics: a column without a name");
        if (rd->column_count == COLUMNS_MAX)
            return err_set(e, ERR_TOOBIG, 0, "Log Analytics: more than %d columns", COLUMNS_MAX);
        rd->columns[rd->column_count++] = name;
    }
    return 0;
}

static int read_table(struct reader *rd, const struct cJSON *table, struct err *e)
{
    const struct cJSON *rows = field_any_case(table, "rows");

    rd->object = NULL;
    if (read_columns(rd, field_any_case(table, "columns"), e) < 0)
        return -1;
    if (!json_is_array(rows))
        return err_set(e, ERR_INVALID, 0, "Log Analytics: a table without rows");
    for (const struct cJSON *r = json_first(rows); r != NULL; r = json_next(r)) {
        size_t n = 0;

        if (!json_is_array(r))
            return err_set(e, ERR_INVALID, 0, "Log Analytics: a row that is no list");
        for (const struct cJSON *c = json_first(r); c != NULL; c = json_next(c)) {
            if (n < rd->column_count)
                rd->cells[n] = c;
            n++;
        }
        if (n != rd->column_count)
            return err_set(e, ERR_INVALID, 0, "Log Analytics: a row of %zu cells and %zu columns",
                           n, rd->column_count);
        if (add_row(rd, e) < 0)
            return -1;
    }
    return 0;
}

/* "PrimaryResult", or the first one. */
static const struct cJSON *main_table(const struct cJSON *tables)
{
    for (const struct cJSON *c = json_first(tables); c != NULL; c = json_next(c)) {
        const char *name = json_value_str(field_any_case(c, "name"));

        if (name != NULL && text_eq_nocase(name, "PrimaryResult"))
            return c;
    }
    return json_first(tables);
}

static void read_partial(const struct cJSON *error, struct hunt_table *t)
{
    const struct cJSON *detail = json_first(field_any_case(error, "details"));
    const char *words = json_value_str(field_any_case(detail, "message"));
    char code[64], message[HUNT_TEXT - 96];

    if (!json_is_object(error))
        return;
    t->partial = true;
    if (words == NULL)
        words = json_value_str(field_any_case(error, "message"));
    (void)field_shown(code, sizeof(code), json_value_str(field_any_case(error, "code")));
    (void)field_shown(message, sizeof(message), words);
    (void)snprintf(t->note, sizeof(t->note), "%s%s%s", code[0] != '\0' ? code : "an error",
                   message[0] != '\0' ? ": " : "", message);
}

static int by_time(const void *a, const void *b)
{
    const struct hunt_row *x = a, *y = b;

    return (x->time_ms > y->time_ms) - (x->time_ms < y->time_ms);
}

int hunt_read(const struct cJSON *body, const char *sid, int64_t from_ms, int64_t to_ms,
              struct hunt_table **ret_table, struct err *e)
{
    CLEANUP(hunt_table_freep) struct hunt_table *t = calloc(1, sizeof(*t));
    const struct cJSON *results = field_any_case(body, "results");
    const struct cJSON *tables = field_any_case(body, "tables");
    struct reader rd = {.t = t, .sid = sid, .from_ms = from_ms, .to_ms = to_ms};
    int rc;

    if (t == NULL)
        return err_set(e, ERR_NOMEM, 0, "hunting");
    if (json_is_array(results))
        rc = read_objects(&rd, results, e);
    else if (json_is_array(tables) && json_is_object(main_table(tables)))
        rc = read_table(&rd, main_table(tables), e);
    else
        rc = err_set(e, ERR_INVALID, 0, "hunting: the answer has neither 'results' nor 'tables'");
    if (rc < 0)
        return -1;
    read_partial(field_any_case(body, "error"), t);
    if (t->count > 1)
        qsort(t->rows, t->count, sizeof(*t->rows), by_time);
    *ret_table = TAKE(t);
    return 0;
}

/* --- errors of Log Analytics ------------------------------------------------------------------ */

static enum err_code code_of(long status)
{
    switch (status) {
    case 401:
        return ERR_AUTH;
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOTFOUND;
    case 429:
    case 503:
        return ERR_BUSY;
    default:
        return status >= 500 ? ERR_TIMEOUT : status >= 400 ? ERR_REFUSED : ERR_INVALID;
    }
}

static const char *advice(long status)
{
    switch (status) {
    case 400:
        return "the query is refused (is the table SecurityEvent collected there?)";
    case 401:
        return "the token is refused";
    case 403:
        return "give cordon's app the role 'Log Analytics Reader' on the workspace; a new role may "
               "take an hour";
    case 404:
        return "there is no such workspace";
    case 429:
        return "throttled";
    default:
        return "no answer to the query";
    }
}

int hunt_read_error(long status, const char *body, size_t n, const char *request_id, struct err *e)
{
    const struct json_limits lim = {.bytes = ERROR_MAX, .flags = JSON_FLOATS};
    CLEANUP(json_freep) struct cJSON *j = NULL;
    char code[64], message[SHOWN], request[96];
    const struct cJSON *error, *inner;
    struct err ignored;

    (void)json_parse(body, n, &lim, &j, &ignored);
    error = field_any_case(j, "error");
    inner = field_any_case(error, "innererror");
    (void)field_shown(code, sizeof(code), json_value_str(field_any_case(error, "code")));
    (void)field_shown(message, sizeof(message),
                      json_value_str(field_any_case(inner != NULL ? inner : error, "message")));
    (void)field_shown(request, sizeof(request), request_id);
    return err_set(e, code_of(status), (int)status, "Log Analytics: %ld%s%s: %s%s%s (%s)", status,
                   code[0] != '\0' ? " " : "", code, advice(status), message[0] != '\0' ? ": " : "",
                   message, request[0] != '\0' ? request : "no request id");
}
