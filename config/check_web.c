/* config/check_web.c -- what holds between the settings for the cloud and the web. See load.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/keys.h"
#include "config/load.h"
#include "config/sources.h"

/* A cloud has no default but by `cloud`: what the file does not say is filled in. */
static void fill_url(struct load *l, char **url, const char *by_cloud)
{
    if (*url == NULL && (*url = strdup(by_cloud)) == NULL)
        (void)cfg_load_no_memory(l);
}

static void fill_urls(struct load *l, struct cfg_entra *n)
{
    static const struct {
        const char *login, *graph, *loganalytics;
    } clouds[] = {
        [CFG_CLOUD_GLOBAL] = {"https://login.microsoftonline.com", "https://graph.microsoft.com",
                              "https://api.loganalytics.io"},
        [CFG_CLOUD_USGOV] = {"https://login.microsoftonline.us", "https://graph.microsoft.us",
                             "https://api.loganalytics.us"},
        [CFG_CLOUD_DOD] = {"https://login.microsoftonline.us", "https://dod-graph.microsoft.us",
                           "https://api.loganalytics.us"},
        [CFG_CLOUD_CHINA] = {"https://login.partner.microsoftonline.cn",
                             "https://microsoftgraph.chinacloudapi.cn",
                             "https://api.loganalytics.azure.cn"},
    };

    fill_url(l, &n->login_url, clouds[n->cloud].login);
    fill_url(l, &n->graph_url, clouds[n->cloud].graph);
    fill_url(l, &n->loganalytics_url, clouds[n->cloud].loganalytics);
}

/* How many of these keys the files give, and the last of them. managed_identity = no is none. */
static size_t count_given(const struct cfg *c, const char *section, const char *const *keys,
                          size_t n, const char **ret_last, size_t *ret_which)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++) {
        const struct ini_entry *en = cfg_source_find(c, cfg_key_find(section, keys[i]), NULL);

        if (en == NULL || (strcmp(keys[i], "managed_identity") == 0 &&
                           (text_eq_nocase(en->value, "no") || strcmp(en->value, "\"no\"") == 0)))
            continue;
        count++;
        *ret_last = keys[i];
        *ret_which = i;
    }
    return count;
}

static void check_entra(struct load *l)
{
    static const char *const ways[] = {
        [CFG_CREDENTIAL_CERTIFICATE] = "certificate",
        [CFG_CREDENTIAL_SECRET] = "secret_file",
        [CFG_CREDENTIAL_MANAGED] = "managed_identity",
        [CFG_CREDENTIAL_FEDERATED] = "federated_token_file",
    };
    struct cfg_entra *n = &l->c->entra;
    const char *last = NULL;
    size_t which = 0, count;
    struct ini_place at;

    n->on = cfg_section_given(l->c, "entra");
    if (!n->on)
        return;
    count = count_given(l->c, "entra", ways, ARRAY_LEN(ways), &last, &which);
    at = cfg_place(l->c, "entra", NULL, last);
    if (count != 1)
        (void)COMPLAIN(l, &at,
                       "[entra] needs one way to prove who cordon is, %s: give one of certificate, "
                       "secret_file, managed_identity or federated_token_file",
                       count == 0 ? "and has none" : "and has several");
    n->credential = (enum cfg_credential)which;
    if (count == 0 || n->credential != CFG_CREDENTIAL_MANAGED) {
        cfg_check_given(l, "entra", NULL, "tenant", n->tenant != NULL, ": which tenant to work in");
        cfg_check_given(l, "entra", NULL, "client_id", n->client_id != NULL,
                        ": which application cordon is");
    } else if (strlen(n->managed_identity) == 36) {
        free(n->client_id);
        n->client_id = strdup(n->managed_identity);
        if (n->client_id == NULL)
            (void)cfg_load_no_memory(l);
    }
    if (n->sync == CFG_SYNC_CONNECT)
        cfg_check_given(l, "entra", NULL, "sync_server", n->sync_server != NULL,
                        ": sync = connect needs it");
    fill_urls(l, n);
    cfg_check_file(l, "entra", NULL, "certificate", n->certificate, FILE_SECRET);
    cfg_check_file(l, "entra", NULL, "secret_file", n->secret_file, FILE_SECRET);
    cfg_check_file(l, "entra", NULL, "federated_token_file", n->federated_token_file, FILE_SECRET);
}

/* sync_via = mde: the second script, and who runs it. */
static void check_sync_via(struct load *l)
{
    const struct cfg_entra *n = &l->c->entra;
    struct ini_place at = cfg_place(l->c, "entra", NULL, "sync_via");

    if (!n->on || n->sync != CFG_SYNC_CONNECT || n->sync_via != CFG_SYNC_VIA_MDE)
        return;
    if (!l->c->defender.on)
        (void)COMPLAIN(l, &at, "sync_via = mde needs a section [defender]");
    else
        cfg_check_given(l, "defender", NULL, "sync_script", l->c->defender.sync_script != NULL,
                        ": sync_via = mde needs it");
}

static void check_defender(struct load *l)
{
    struct cfg_defender *d = &l->c->defender;
    struct ini_place at = cfg_place(l->c, "defender", NULL, "dcs");

    d->on = cfg_section_given(l->c, "defender");
    if (!d->on)
        return;
    if (!l->c->entra.on)
        (void)COMPLAIN(l, &at, "[defender] needs a section [entra]: its credential is used");
    if (d->dcs.count == 0 && d->dc_tag == NULL)
        (void)COMPLAIN(l, &at, "[defender] needs dcs or dc_tag: which machines are the DCs");
    cfg_check_given(l, "defender", NULL, "script", d->script != NULL,
                    ": the script as it is in the library");
    if (l->c->entra.on && l->c->entra.login_url != NULL)
        fill_url(l, &d->login_url, l->c->entra.login_url);
    cfg_check_file(l, "defender", NULL, "script", d->script, FILE_PUBLIC);
    cfg_check_file(l, "defender", NULL, "sync_script", d->sync_script, FILE_PUBLIC);
    check_sync_via(l);
}

static void check_okta(struct load *l)
{
    static const char *const ways[] = {"key_file", "token_file"};
    struct cfg_okta *o = &l->c->okta;
    const char *last = NULL;
    size_t which, count;
    struct ini_place at;

    o->on = cfg_section_given(l->c, "okta");
    if (!o->on)
        return;
    cfg_check_given(l, "okta", NULL, "url", o->url != NULL, ": which organisation to work in");
    count = count_given(l->c, "okta", ways, ARRAY_LEN(ways), &last, &which);
    at = cfg_place(l->c, "okta", NULL, last);
    if (count != 1)
        (void)COMPLAIN(l, &at,
                       "[okta] needs one way to prove who cordon is, %s: give key_file (with "
                       "client_id and key_id) or token_file",
                       count == 0 ? "and has none" : "and has two");
    if (count == 1 && which == 0) {
        cfg_check_given(l, "okta", NULL, "client_id", o->client_id != NULL, ": key_file needs it");
        cfg_check_given(l, "okta", NULL, "key_id", o->key_id != NULL, ": key_file needs it");
    }
    cfg_check_file(l, "okta", NULL, "key_file", o->key_file, FILE_SECRET);
    cfg_check_file(l, "okta", NULL, "token_file", o->token_file, FILE_SECRET);
}

static void check_http(struct load *l)
{
    struct cfg_http *h = &l->c->http;
    struct text t = TEXT_INIT(INI_FILE_MAX);

    cfg_check_file(l, "http", NULL, "ca_file", h->ca_file, FILE_PUBLIC);
    cfg_check_file(l, "http", NULL, "proxy_login_file", h->proxy_login_file, FILE_SECRET);
    if (h->no_proxy_list.count == 0)
        return;
    for (size_t i = 0; i < h->no_proxy_list.count; i++)
        text_addf(&t, "%s%s", i > 0 ? "," : "", h->no_proxy_list.items[i]);
    h->no_proxy = text_take(&t);
    if (h->no_proxy == NULL)
        (void)cfg_load_no_memory(l);
    text_done(&t);
}

/* entra-graph.md 1: no riskyUsers in China. */
static void check_risk(struct load *l)
{
    struct ini_place at = cfg_place(l->c, "risk", NULL, NULL);

    l->c->risk.on = cfg_section_given(l->c, "risk");
    if (l->c->risk.on && !l->c->entra.on)
        (void)COMPLAIN(l, &at, "[risk] needs a section [entra]");
    else if (l->c->risk.on && l->c->entra.cloud == CFG_CLOUD_CHINA)
        (void)COMPLAIN(l, &at, "[risk]: there is no Identity Protection in cloud = china");
}

void cfg_check_web(struct load *l)
{
    check_entra(l);
    if (!cfg_load_hopeless(l))
        check_defender(l);
    if (!cfg_load_hopeless(l))
        check_okta(l);
    if (!cfg_load_hopeless(l))
        check_http(l);
    check_risk(l);
}
