/* agent/cloud.c -- see cloud.h. */
#include "agent/cloud.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/sync_mde.h"
#include "agent/sync_winrm.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/id.h"
#include "base/log.h"
#include "base/secret.h"

#define LOGIN_MAX 1024
#define SCRIPT_MAX (512 * 1024)

static enum token_kind kind_of(enum cfg_credential c)
{
    switch (c) {
    case CFG_CREDENTIAL_CERTIFICATE:
        return TOKEN_CERTIFICATE;
    case CFG_CREDENTIAL_MANAGED:
        return TOKEN_MANAGED;
    case CFG_CREDENTIAL_FEDERATED:
        return TOKEN_FEDERATED;
    default:
        return TOKEN_SECRET;
    }
}

static const char *file_of(const struct cfg_entra *e)
{
    return e->certificate != NULL   ? e->certificate
           : e->secret_file != NULL ? e->secret_file
                                    : e->federated_token_file;
}

static int token_at(struct cloud *c, const char *login_url, const char *scope,
                    struct token_source **ret_token, struct err *e)
{
    const struct cfg_entra *entra = &c->cfg->entra;
    struct token_settings s = {
        .kind = kind_of(entra->credential),
        .login_url = login_url,
        .tenant = entra->tenant,
        .client_id = entra->client_id,
        .file = file_of(entra),
        .imds_url = entra->imds_url,
        .identity_endpoint = getenv("IMDS_ENDPOINT") != NULL ? getenv("IDENTITY_ENDPOINT") : NULL,
        .scope = scope};

    return token_new(c->loop, c->http, &s, ret_token, e);
}

int cloud_token(struct cloud *c, const char *scope, struct token_source **ret_token, struct err *e)
{
    return token_at(c, c->cfg->entra.login_url, scope, ret_token, e);
}

/* The name in the library tells the version and the bytes: another name is never overwritten
 * (defender-endpoint.md 6). */
static int open_script(const char *path, const char *stem, char *name, size_t size,
                       uint8_t hash[ID_SHA256], struct err *e)
{
    CLEANUP(text_done) struct text script = TEXT_INIT(SCRIPT_MAX);
    char hex[2 * ID_SHA256 + 1];

    if (file_read_trusted(path, FILE_PUBLIC, SCRIPT_MAX, &script, e) < 0 ||
        id_sha256(script.s, script.len, hash, e) < 0)
        return -1;
    id_hex(hex, hash, ID_SHA256);
    (void)snprintf(name, size, "%s-v1-%.8s.ps1", stem, hex);
    return 0;
}

/* Once Defender is open, or is not. */
static void open_sync_mde(struct cloud *c)
{
    uint8_t hash[ID_SHA256];
    const struct defender_script script = {.name = c->sync_script, .sha256 = hash};
    struct err e = c->defender_failed;

    if (c->defender != NULL && open_script(c->cfg->defender.sync_script, "cordon-sync",
                                           c->sync_script, sizeof(c->sync_script), hash, &e) == 0) {
        sync_mde_by(c->sync_mde, c->defender, &script, NULL);
        return;
    }
    log_warning("sync_via = mde: %s", e.msg);
    sync_mde_by(c->sync_mde, NULL, NULL, &e);
}

/* A fallback that can't be used holds nothing up. */
static void open_defender(struct cloud *c)
{
    static const char suffix[] = "/.default";
    const struct cfg_defender *d = &c->cfg->defender;
    uint8_t hash[ID_SHA256];
    char name[64], resource[300];
    struct defender_settings s = {.url = d->url,
                                  .script = name,
                                  .sha256 = hash,
                                  .result_hosts = (const char *const *)d->result_hosts.items,
                                  .result_host_count = d->result_hosts.count,
                                  .wait_ms = d->poll_ms};
    size_t n = strlen(d->scope);

    if (text_ends_nocase(d->scope, suffix))
        n -= strlen(suffix);
    (void)snprintf(resource, sizeof(resource), "%.*s", (int)n, d->scope);
    if (open_script(d->script, "cordon-dc", name, sizeof(name), hash, &c->defender_failed) < 0 ||
        token_at(c, d->login_url, resource, &c->defender_token, &c->defender_failed) < 0 ||
        defender_new(c->loop, c->http, c->defender_token, &s, &c->defender, &c->defender_failed) <
            0) {
        (void)err_wrap(&c->defender_failed, "[defender]");
        log_warning("%s", c->defender_failed.msg);
    }
}

static int open_graph(struct cloud *c, struct err *e)
{
    const char *url = c->cfg->entra.graph_url;

    if (cloud_token(c, url, &c->token, e) < 0 ||
        graph_new(c->loop, c->http, c->token, url, &c->graph, e) < 0)
        return err_wrap(e, "[entra]");
    return 0;
}

static int open_entra(struct cloud *c, const struct cfg_domain *domain, struct err *e)
{
    const struct cfg_entra *entra = &c->cfg->entra;
    struct sync_settings s = {.kind = entra->sync == CFG_SYNC_CLOUD     ? SYNC_KIND_CLOUD
                                      : entra->sync == CFG_SYNC_CONNECT ? SYNC_KIND_CONNECT
                                                                        : SYNC_KIND_NONE,
                              .domain = domain->name,
                              .sync_server = entra->sync_server};

    if (s.kind == SYNC_KIND_CONNECT && entra->sync_via == CFG_SYNC_VIA_MDE) {
        if (sync_mde_new(c->loop, c->cfg, &c->sync_mde, e) < 0)
            return -1;
        s.runner = sync_mde_runner(c->sync_mde);
    } else if (s.kind == SYNC_KIND_CONNECT) {
        if (sync_winrm_new(c->loop, domain, &c->sync_winrm, e) < 0)
            return -1;
        s.runner = sync_winrm_runner(c->sync_winrm);
    }
    if (open_graph(c, e) < 0)
        return -1;
    if (entra_owners_new(c->graph, &c->owners, e) < 0)
        return err_wrap(e, "[entra]");
    if (sync_new(c->loop, c->graph, &s, &c->sync, e) < 0)
        return err_wrap(e, "[entra] sync");
    return 0;
}

static int open_okta(struct cloud *c, struct err *e)
{
    const struct cfg_okta *okta = &c->cfg->okta;
    struct token_settings s = {.kind = okta->token_file != NULL ? TOKEN_OKTA_SSWS : TOKEN_OKTA_KEY,
                               .login_url = okta->url,
                               .client_id = okta->client_id,
                               .key_id = okta->key_id,
                               .file = okta->token_file != NULL ? okta->token_file : okta->key_file,
                               .scope = okta->scope};

    /* The actor of what a service app does is its client id. */
    if (okta->token_file == NULL && okta->client_id != NULL)
        (void)snprintf(c->okta_actor, sizeof(c->okta_actor), "%s", okta->client_id);
    if (token_new(c->loop, c->http, &s, &c->okta_token, e) < 0 ||
        okta_new(c->loop, c->http, c->okta_token, okta->url, &c->okta, e) < 0)
        return err_wrap(e, "[okta]");
    return 0;
}

/* The connections, and nothing on them yet. */
static int cloud_new(struct loop *l, const struct cfg *cfg, struct cloud **ret_cloud, struct err *e)
{
    CLEANUP(secret_freep) struct secret *login = NULL;
    struct cloud *c = calloc(1, sizeof(*c));
    struct http_settings s = {
        .ca_file = cfg->http.ca_file, .proxy = cfg->http.proxy, .no_proxy = cfg->http.no_proxy};

    if (c == NULL)
        return err_set(e, ERR_NOMEM, 0, "cloud");
    c->loop = l;
    c->cfg = cfg;
    if (cfg->http.proxy_login_file != NULL &&
        secret_from_file(cfg->http.proxy_login_file, LOGIN_MAX, &login, e) < 0) {
        cloud_close(c);
        return -1;
    }
    s.proxy_login = login;
    if (http_new(l, &s, &c->http, e) < 0) {
        cloud_close(c);
        return -1;
    }
    *ret_cloud = c;
    return 0;
}

int cloud_open_graph(struct loop *l, const struct cfg *cfg, struct cloud **ret_cloud, struct err *e)
{
    struct cloud *c;

    if (cloud_new(l, cfg, &c, e) < 0)
        return -1;
    if (open_graph(c, e) < 0) {
        cloud_close(c);
        return -1;
    }
    *ret_cloud = c;
    return 0;
}

int cloud_open(struct loop *l, const struct cfg *cfg, const struct cfg_domain *domain,
               struct cloud **ret_cloud, struct err *e)
{
    struct cloud *c;

    if (cloud_new(l, cfg, &c, e) < 0)
        return -1;
    if ((cfg->entra.on && open_entra(c, domain, e) < 0) || (cfg->okta.on && open_okta(c, e) < 0)) {
        cloud_close(c);
        return -1;
    }
    if (cfg->defender.on)
        open_defender(c);
    if (c->sync_mde != NULL)
        open_sync_mde(c);
    *ret_cloud = c;
    return 0;
}

/* What there is to know is known when a case asks. */
static void on_early(void *arg, const struct secret *authorization, const struct err *e)
{
    const struct cloud *c = arg;

    (void)authorization;
    if (e != NULL)
        log_debug("cloud: %s", e->msg);
    else
        entra_owners_warm_up(c->owners);
}

void cloud_warm_up(struct cloud *c)
{
    struct err e;

    if (c->token != NULL && token_get(c->token, on_early, c, NULL, &e) < 0)
        log_debug("cloud: %s", e.msg);
}

void cloud_follow(struct cloud *c, struct ad_dcs *dcs)
{
    const struct ad_cred *cred = dcs != NULL ? ad_dcs_cred(dcs) : NULL;

    if (c != NULL && cred != NULL && cred->principal[0] != '\0')
        sync_winrm_login(c->sync_winrm, cred->cache);
}

void cloud_close(struct cloud *c)
{
    if (c == NULL)
        return;
    sync_free(c->sync);
    sync_winrm_free(c->sync_winrm);
    sync_mde_free(c->sync_mde);
    defender_free(c->defender);
    okta_free(c->okta);
    entra_owners_free(c->owners);
    graph_free(c->graph);
    token_free(c->token);
    token_free(c->okta_token);
    token_free(c->defender_token);
    token_free(c->logs_token);
    http_free(c->http);
    free(c);
}
