/* cloud/entra_match.c -- which user of Entra is this account of AD? By SID and anchor, never by
 * name.
 *
 *   entra_match_start   by SID
 *   on_by_sid           one: does its anchor fit? Else who has ours?
 *   on_by_anchor        nobody else may have it
 *   on_by_name          only to warn: a user of that name who is not linked to AD
 */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "cloud/entra_inside.h"

#define PATH_LIMIT 6144

struct matching {
    struct entra_call base;
    char *sid, *upn, *domain, *typed;
    char anchor[25], anchor_guid[25]; /* what onPremisesImmutableId should be; of objectGUID */
    struct entra_user user;           /* by SID */
    bool has_user;
    entra_user_cb cb;
    void *arg;
};

static void on_by_sid(void *arg, const struct graph_answer *a, const struct err *e);
static void on_by_anchor(void *arg, const struct graph_answer *a, const struct err *e);
static void on_by_name(void *arg, const struct graph_answer *a, const struct err *e);

static void match_free(struct matching *m)
{
    free(m->sid);
    free(m->upn);
    free(m->domain);
    free(m->typed);
    entra_user_done(&m->user);
    free(m);
}

/* A search always has an answer; that there is none of it says nothing about users. */
static const struct err *no_search(const struct err *e, struct err *mine)
{
    if (e->code != ERR_NOTFOUND)
        return e;
    *mine = *e;
    mine->code = ERR_REFUSED;
    return mine;
}

static void match_end(struct matching *m, const struct err *e)
{
    m->cb(m->arg, e == NULL ? &m->user : NULL, e);
    match_free(m);
}

/* The users of a list: exactly one, or why not. ERR_NOTFOUND: none. */
static int only_one(const struct graph_answer *a, const char *by, struct entra_user *ret,
                    struct err *e)
{
    const struct cJSON *value = json_get(a->json, "value"), *first = json_first(value);
    struct entra_user other;

    if (!json_is_array(value))
        return err_set(e, ERR_INVALID, 0, "Graph: a list without \"value\"");
    if (first == NULL && json_get(a->json, "@odata.nextLink") != NULL)
        return err_set(e, ERR_INVALID, 0, "Graph: an empty page that says there are more");
    if (first == NULL)
        return err_set(e, ERR_NOTFOUND, 0, "no user in Entra by %s", by);
    if (entra_user_decode(first, NULL, ret, e) < 0)
        return -1;
    if (json_next(first) != NULL || json_get(a->json, "@odata.nextLink") != NULL) {
        char one[TEXT_SHOWN], two[TEXT_SHOWN] = "another";

        if (json_next(first) != NULL && entra_user_decode(json_next(first), NULL, &other, e) == 0) {
            (void)text_shown(two, other.upn);
            entra_user_done(&other);
        }
        (void)err_set(e, ERR_AMBIGUOUS, 0, "more than one user in Entra by %s: %s; %s", by,
                      text_shown(one, ret->upn), two);
        entra_user_done(ret);
        return -1;
    }
    return 0;
}

static int ask_filter(struct matching *m, const char *name, const char *value, bool advanced,
                      graph_cb cb, struct err *e)
{
    struct text path = TEXT_INIT(PATH_LIMIT);
    int rc;

    text_addf(&path, "/users?%s$filter=%s%%20eq%%20%%27", advanced ? "$count=true&" : "", name);
    entra_literal(&path, value);
    text_addf(&path, "%%27&$select=%s", entra_select);
    rc = text_check(&path, "user", e);
    if (rc == 0)
        rc = entra_get(&m->base, path.s, advanced ? GRAPH_EVENTUAL : 0, cb, m, e);
    text_done(&path);
    return rc;
}

int entra_match_start(struct graph *g, const struct entra_facts *f, entra_user_cb cb, void *arg,
                      struct entra_call **ret_call, struct err *e)
{
    struct matching *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return err_set(e, ERR_NOMEM, 0, "user");
    m->base.g = g;
    m->base.loop = graph_loop(g);
    m->cb = cb;
    m->arg = arg;
    m->sid = text_dup(f->sid);
    m->upn = text_dup(f->upn != NULL && f->upn[0] != '\0' ? f->upn : NULL);
    m->domain = text_dup(f->domain);
    entra_base64(f->guid, m->anchor_guid);
    entra_base64(f->consistency != NULL ? f->consistency : f->guid, m->anchor);
    if (m->sid == NULL || m->domain == NULL) {
        match_free(m);
        return err_set(e, ERR_NOMEM, 0, "user");
    }
    if (ask_filter(m, "onPremisesSecurityIdentifier", m->sid, false, on_by_sid, e) < 0) {
        match_free(m);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &m->base;
    return 0;
}

static int mismatch(const struct matching *m, const struct entra_user *u, const char *what,
                    struct err *e)
{
    char upn[TEXT_SHOWN], anchor[TEXT_SHOWN];

    return err_set(
        e, ERR_CONFLICT, 0,
        "AD and Entra do not fit (%s): AD has SID %.80s, anchor %s; Entra's %.100s (%.40s) "
        "has SID %.80s, anchor %.60s",
        what, m->sid, m->anchor, text_shown(upn, u->upn), u->id, u->sid != NULL ? u->sid : "none",
        u->immutable_id != NULL ? text_shown(anchor, u->immutable_id) : "none");
}

static void on_by_sid(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct matching *m = arg;
    struct err mine;

    m->base.call = NULL;
    if (e != NULL) {
        match_end(m, no_search(e, &mine));
        return;
    }
    if (only_one(a, "onPremisesSecurityIdentifier", &m->user, &mine) == 0) {
        m->has_user = true;
        if (m->user.sid == NULL || strcmp(m->user.sid, m->sid) != 0) {
            (void)mismatch(m, &m->user, "Graph answered another SID than was asked for", &mine);
            match_end(m, &mine);
            return;
        }
        if (m->user.immutable_id != NULL && (strcmp(m->user.immutable_id, m->anchor) == 0 ||
                                             strcmp(m->user.immutable_id, m->anchor_guid) == 0)) {
            match_end(m, NULL);
            return;
        }
    } else if (mine.code != ERR_NOTFOUND) {
        match_end(m, &mine);
        return;
    }
    /* Nobody has the SID, or who has it has another anchor: does somebody have ours? */
    if (ask_filter(m, "onPremisesImmutableId", m->anchor, true, on_by_anchor, &mine) < 0)
        match_end(m, &mine);
}

static void on_by_anchor(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct matching *m = arg;
    struct entra_user other = {0};
    struct err mine;
    int rc;

    m->base.call = NULL;
    if (e != NULL) {
        match_end(m, no_search(e, &mine));
        return;
    }
    rc = only_one(a, "onPremisesImmutableId", &other, &mine);
    if (rc < 0 && mine.code != ERR_NOTFOUND) {
        match_end(m, &mine);
        return;
    }
    if (rc == 0 && m->has_user && !text_eq_nocase(other.id, m->user.id)) {
        (void)mismatch(m, &other, "one user has the SID, another the anchor", &mine);
        entra_user_done(&other);
        match_end(m, &mine);
        return;
    }
    if (m->has_user) { /* an anchor of the tenant's own choice; the SID is enough */
        entra_user_done(&other);
        match_end(m, NULL);
        return;
    }
    if (rc == 0) {
        if (other.sid != NULL || other.immutable_id == NULL ||
            strcmp(other.immutable_id, m->anchor) != 0) {
            (void)mismatch(m, &other, "the anchor fits, the SID does not", &mine);
            entra_user_done(&other);
            match_end(m, &mine);
            return;
        }
        m->user = other;
        match_end(m, NULL);
        return;
    }
    if (m->upn != NULL) {
        struct text path = TEXT_INIT(PATH_LIMIT);

        text_add(&path, "/users/");
        http_escape(&path, m->upn, strlen(m->upn));
        text_addf(&path, "?$select=%s", entra_select);
        rc = text_check(&path, "user", &mine) < 0
                 ? -1
                 : entra_get(&m->base, path.s, 0, on_by_name, m, &mine);
        text_done(&path);
        if (rc == 0)
            return;
    } else {
        (void)err_set(&mine, ERR_NOTFOUND, 0, "not in Entra: not synchronised (yet)");
    }
    match_end(m, &mine);
}

static void on_by_name(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct matching *m = arg;
    struct entra_user u = {0};
    struct err mine;

    m->base.call = NULL;
    if (e != NULL && e->code == ERR_NOTFOUND)
        (void)err_set(&mine, ERR_NOTFOUND, 0, "not in Entra: not synchronised (yet)");
    else if (e != NULL)
        mine = *e;
    else if (entra_user_decode(a->json, NULL, &u, &mine) == 0)
        (void)mismatch(m, &u, "only the name fits", &mine);
    entra_user_done(&u);
    match_end(m, &mine);
}

/* --- by what was typed --------------------------------------------------------------------------
 */

static void on_typed(void *arg, const struct graph_answer *a, const struct err *e)
{
    struct matching *m = arg;
    char shown[TEXT_SHOWN];
    struct err mine;
    int rc;

    m->base.call = NULL;
    if (e != NULL && e->code != ERR_NOTFOUND) {
        match_end(m, e);
        return;
    }
    if (e != NULL)
        rc = err_set(&mine, ERR_NOTFOUND, 0, "no user");
    else if (json_get(a->json, "value") != NULL)
        rc = only_one(a, "that name", &m->user, &mine);
    else
        rc = entra_user_decode(a->json, NULL, &m->user, &mine);
    if (rc == 0 && m->domain != NULL &&
        (m->user.on_prem_domain == NULL || !text_eq_nocase(m->user.on_prem_domain, m->domain))) {
        rc = err_set(&mine, ERR_NOTFOUND, 0, "only one of another domain");
        entra_user_done(&m->user);
    }
    if (rc < 0 && mine.code == ERR_NOTFOUND)
        (void)err_set(&mine, ERR_NOTFOUND, 0, "no user '%s' in Entra", text_shown(shown, m->typed));
    match_end(m, rc < 0 ? &mine : NULL);
}

int entra_find_start(struct graph *g, const char *typed, const char *domain, entra_user_cb cb,
                     void *arg, struct entra_call **ret_call, struct err *e)
{
    struct matching *m = calloc(1, sizeof(*m));
    const char *local = strchr(typed, '\\');
    size_t n = strlen(typed);
    int rc;

    if (m == NULL || (m->typed = text_dup(typed)) == NULL) {
        free(m);
        return err_set(e, ERR_NOMEM, 0, "user");
    }
    m->base.g = g;
    m->base.loop = graph_loop(g);
    m->cb = cb;
    m->arg = arg;
    if (n == 0 || n > 1024) {
        rc = err_set(e, ERR_USAGE, 0, "no name of a user");
    } else if (entra_id_ok(typed) || strchr(typed, '@') != NULL) {
        struct text path = TEXT_INIT(PATH_LIMIT);

        text_add(&path, typed[0] == '$' ? "/users('" : "/users/");
        if (typed[0] == '$')
            entra_literal(&path, typed);
        else
            http_escape(&path, typed, n);
        text_addf(&path, "%s?$select=%s", typed[0] == '$' ? "')" : "", entra_select);
        rc = text_check(&path, "user", e) < 0 ? -1 : entra_get(&m->base, path.s, 0, on_typed, m, e);
        text_done(&path);
    } else if (text_starts(typed, "S-1-")) {
        rc = ask_filter(m, "onPremisesSecurityIdentifier", typed, false, on_typed, e);
    } else if (n == 24 && strcmp(typed + 22, "==") == 0) {
        rc = ask_filter(m, "onPremisesImmutableId", typed, true, on_typed, e);
    } else if (strchr(typed, '=') != NULL) {
        rc = err_set(e, ERR_NOTFOUND, 0, "Entra knows no distinguishedName");
    } else {
        m->domain = text_dup(domain);
        rc = m->domain == NULL ? err_set(e, ERR_NOMEM, 0, "user")
                               : ask_filter(m, "onPremisesSamAccountName",
                                            local != NULL ? local + 1 : typed, true, on_typed, e);
    }
    if (rc < 0) {
        match_free(m);
        return -1;
    }
    if (ret_call != NULL)
        *ret_call = &m->base;
    return 0;
}

bool entra_anchor_guid(const struct entra_user *u, uint8_t ret_guid[16])
{
    uint8_t buf[24];

    if (u->immutable_id == NULL || strlen(u->immutable_id) != 24 ||
        strcmp(u->immutable_id + 22, "==") != 0 ||
        EVP_DecodeBlock(buf, (const unsigned char *)u->immutable_id, 24) != 18)
        return false;
    memcpy(ret_guid, buf, 16);
    return true;
}
