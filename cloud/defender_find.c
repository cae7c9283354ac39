/* cloud/defender_find.c -- which machine of Defender's is that DC?
 *
 *   defender_machines   by id: the one. By name or tag: a filtered list, page by page
 *   on_page, on_one     each is read; one that cannot be read spoils the answer
 *   defender_the_one    the rule (defender_choose)
 *
 * Never by the beginning of a name: dc1 is not dc10 (defender-endpoint.md 5).
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "cloud/defender_inside.h"
#include "cloud/field.h"

static void on_one(struct defender_call *c, const struct defender_answer *a, const struct err *e);
static void on_page(struct defender_call *c, const struct defender_answer *a, const struct err *e);
static void on_found(struct defender_call *c, const struct err *e);
static void on_tagged(struct defender_call *c, const struct err *e);

/* --- what is meant ---------------------------------------------------------------------------- */

static bool host_ok(const char *s)
{
    static const char set[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";

    return *s != '\0' && s[strspn(s, set)] == '\0';
}

int defender_name_it(struct defender_call *c, const char *host, const char *machine_id,
                     const char *tag, struct err *e)
{
    if (host != NULL) {
        if (strlen(host) >= sizeof(c->host))
            return err_set(e, ERR_USAGE, 0, "Defender: not the name of a host");
        for (size_t i = 0; host[i] != '\0'; i++) {
            bool upper = host[i] >= 'A' && host[i] <= 'Z';

            c->host[i] = upper ? (char)(host[i] - 'A' + 'a') : host[i];
        }
        if (!host_ok(c->host))
            return err_set(e, ERR_USAGE, 0, "Defender: not the name of a host");
    }
    if (machine_id != NULL) {
        if (!defender_machine_id_ok(machine_id))
            return err_set(
                e, ERR_USAGE, 0,
                "Defender: a machine's id is 40 hexadecimal digits (portal: 'Device ID')");
        field_copy(c->machine_id, sizeof(c->machine_id), machine_id);
    }
    if (tag != NULL) {
        if (*tag == '\0' || strlen(tag) >= sizeof(c->tag) || !text_utf8_ok(tag, strlen(tag)))
            return err_set(e, ERR_USAGE, 0, "Defender: not a tag");
        field_copy(c->tag, sizeof(c->tag), tag);
    }
    if (host == NULL && machine_id == NULL && tag == NULL)
        return err_set(e, ERR_USAGE, 0, "Defender: which machine?");
    return 0;
}

int defender_the_one(const struct defender_call *c, struct defender_machine *ret_machine,
                     struct err *e)
{
    bool by_id = c->machine_id[0] != '\0';
    size_t i = 0;

    if (by_id && c->host[0] != '\0' && !text_eq_nocase(c->seen[0].m.name, c->host)) {
        char shown[TEXT_SHOWN];

        return err_set(e, ERR_CONFLICT, 0,
                       "Defender: the machine with the id of the settings is '%s', not '%s'",
                       text_shown(shown, c->seen[0].m.name), c->host);
    }
    if (defender_choose(c->seen, c->seen_count, by_id ? NULL : c->host, &i, e) < 0)
        return -1;
    *ret_machine = c->seen[i].m;
    return 0;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* tag: every single quote inside is doubled. */
static int list_url(struct defender_call *c, struct err *e)
{
    CLEANUP(text_done) struct text f = TEXT_INIT(1024);
    bool by_tag = c->tag[0] != '\0';

    text_add(&f, by_tag ? "machineTags/any(tag: tag eq '" : "computerDnsName eq '");
    for (const char *s = by_tag ? c->tag : c->host; *s != '\0'; s++) {
        if (*s == '\'')
            text_addc(&f, '\'');
        text_addc(&f, *s);
    }
    text_add(&f, by_tag ? "')" : "'");
    if (text_check(&f, "Defender", e) < 0)
        return -1;
    defender_url(c, "/api/machines");
    defender_filter(c, f.s);
    return pages_next(&c->pages, DEFENDER_PAGES, c->url.s, e);
}

static void ask(struct defender_call *c, defender_then then)
{
    const struct defender_request r = {.method = "GET", .needs = DEFENDER_READS, .then = then};

    defender_ask(c, &r);
}

void defender_machines(struct defender_call *c,
                       void (*then)(struct defender_call *c, const struct err *e))
{
    struct err e;

    c->on_machines = then;
    if (c->machine_id[0] != '\0') {
        defender_url(c, "/api/machines/");
        text_add(&c->url, c->machine_id);
        ask(c, on_one);
    } else if (list_url(c, &e) < 0) {
        then(c, &e);
    } else {
        ask(c, on_page);
    }
}

static int add(struct defender_call *c, const struct cJSON *j, struct err *e)
{
    struct defender_seen *more;

    if (c->seen_count == DEFENDER_MACHINES)
        return err_set(e, ERR_TOOBIG, 0, "Defender: more than %d machines", DEFENDER_MACHINES);
    more = realloc(c->seen, (c->seen_count + 1) * sizeof(*more));
    if (more == NULL)
        return err_set(e, ERR_NOMEM, 0, "Defender");
    c->seen = more;
    if (defender_read_machine(j, c->tag[0] != '\0' ? c->tag : NULL, &c->seen[c->seen_count], e) < 0)
        return -1;
    c->seen_count++;
    return 0;
}

static int read_one(struct defender_call *c, const struct cJSON *j, struct err *e)
{
    if (add(c, j, e) < 0)
        return -1;
    if (!text_eq_nocase(c->seen[0].m.id, c->machine_id))
        return err_set(e, ERR_INVALID, 0, "Defender: the answer is about another machine than %s",
                       c->machine_id);
    return 0;
}

static void on_one(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    struct err mine;

    if (e == NULL && read_one(c, a->json, &mine) < 0)
        e = &mine;
    c->on_machines(c, e);
}

/* The next page, on our own root only. *ret_more: it is in c->url. */
static int next_page(struct defender_call *c, const struct cJSON *j, bool *ret_more, struct err *e)
{
    const struct cJSON *link = json_get(j, "@odata.nextLink");
    const char *url = json_value_str(link);

    *ret_more = false;
    if (link == NULL || json_is_null(link))
        return 0;
    if (url == NULL || !http_same_root(url, c->d->root))
        return err_set(e, ERR_INVALID, 0,
                       "Defender: the next page is said to be on another host; not followed");
    if (pages_next(&c->pages, DEFENDER_PAGES, url, e) < 0)
        return err_wrap(e, "Defender");
    text_clear(&c->url);
    text_add(&c->url, url);
    *ret_more = true;
    return 0;
}

static int take_page(struct defender_call *c, const struct defender_answer *a, bool *ret_more,
                     struct err *e)
{
    const struct cJSON *value = json_get(a->json, "value");

    if (!json_is_array(value))
        return err_set(e, ERR_INVALID, 0, "Defender: a list without \"value\"");
    for (const struct cJSON *j = json_first(value); j != NULL; j = json_next(j)) {
        if (add(c, j, e) < 0)
            return -1;
    }
    return next_page(c, a->json, ret_more, e);
}

static void on_page(struct defender_call *c, const struct defender_answer *a, const struct err *e)
{
    bool more = false;
    struct err mine;

    /* No machines at all may be answered by 404, too. */
    if (e != NULL && e->code == ERR_NOTFOUND)
        e = NULL;
    else if (e == NULL && take_page(c, a, &more, &mine) < 0)
        e = &mine;
    if (e == NULL && more)
        ask(c, on_page);
    else
        c->on_machines(c, e);
}

/* --- one -------------------------------------------------------------------------------------- */

static void find_now(struct defender_call *c)
{
    defender_machines(c, on_found);
}

int defender_find_start(struct defender *d, const char *host, const char *machine_id,
                        defender_machine_cb cb, void *arg, struct defender_call **ret_call,
                        struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;

    if (defender_call_new(d, DEFENDER_FIND, arg, &c, e) < 0 ||
        defender_name_it(c, host, machine_id, NULL, e) < 0 || defender_wait(c, 0, find_now, e) < 0)
        return -1;
    c->machine_cb = cb;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

static void on_found(struct defender_call *c, const struct err *e)
{
    struct defender_machine m;
    struct err mine;

    if (e == NULL && defender_the_one(c, &m, &mine) < 0)
        e = &mine;
    defender_call_detach(c);
    c->machine_cb(c->arg, e == NULL ? &m : NULL, e);
    defender_call_free(c);
}

/* --- all with a tag --------------------------------------------------------------------------- */

static void tagged_now(struct defender_call *c)
{
    defender_machines(c, on_tagged);
}

int defender_tagged_start(struct defender *d, const char *tag, defender_machines_cb cb, void *arg,
                          struct defender_call **ret_call, struct err *e)
{
    CLEANUP(defender_call_freep) struct defender_call *c = NULL;

    if (defender_call_new(d, DEFENDER_TAGGED, arg, &c, e) < 0 ||
        defender_name_it(c, NULL, NULL, tag, e) < 0 || defender_wait(c, 0, tagged_now, e) < 0)
        return -1;
    c->machines_cb = cb;
    if (ret_call != NULL)
        *ret_call = c;
    (void)TAKE(c);
    return 0;
}

/* Those of one name: the best, or all that are as good as it. */
static bool is_kept(const struct defender_call *c, size_t at)
{
    const struct defender_seen *s = &c->seen[at];
    size_t best = 0;
    struct err e;

    if (!s->tagged || !s->onboarded || !s->server || s->restricted || s->m.name[0] == '\0')
        return false;
    if (defender_choose(c->seen, c->seen_count, s->m.name, &best, &e) < 0)
        return e.code == ERR_AMBIGUOUS;
    return best == at;
}

static void on_tagged(struct defender_call *c, const struct err *e)
{
    struct defender_machine *m = calloc(c->seen_count + 1, sizeof(*m));
    size_t n = 0;
    struct err mine;

    if (e == NULL && m == NULL) {
        (void)err_set(&mine, ERR_NOMEM, 0, "Defender");
        e = &mine;
    }
    for (size_t i = 0; e == NULL && i < c->seen_count; i++) {
        if (is_kept(c, i))
            m[n++] = c->seen[i].m;
    }
    defender_call_detach(c);
    c->machines_cb(c->arg, e == NULL ? m : NULL, n, e);
    defender_call_free(c);
    free(m);
}
