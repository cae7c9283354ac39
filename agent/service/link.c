/* agent/service/link.c -- see link.h. */
#include "agent/service/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cloud.h"
#include "base/cleanup.h"
#include "base/text.h"

enum { KEY_MAX = 4096, LOGIN_MAX = 1024 };

struct queue_link {
    char agent[65];
    struct http *http;
    struct token_source *token;
    struct secret *key, *sas, *poison_sas, *result_sas;
    struct queue *requests, *results;
};

int queue_link_agent(const struct cfg *cfg, char *buf, size_t size, struct err *e)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char host[256] = "", shown[TEXT_SHOWN];
    const char *name = cfg->queue.agent;

    if (name == NULL) {
        (void)gethostname(host, sizeof(host) - 1);
        name = host;
    }
    if (name[0] == '\0' || strlen(name) >= size || strlen(name) > 64 ||
        name[strspn(name, good)] != '\0')
        return err_set(e, ERR_CONFIG, 0,
                       "[queue] agent: '%s' will not do: up to 64 letters, digits and -._~",
                       text_shown(shown, name));
    (void)snprintf(buf, size, "%s", name);
    return 0;
}

static int open_spool(struct queue_link *k, struct loop *l, const struct cfg_queue *q, bool watch,
                      struct err *e)
{
    struct queue_spool_settings s = {.dir = q->directory, .agent = k->agent, .watch = watch};

    return queue_spool_new(l, &s, &k->requests, e);
}

/* A key or a signature stands alone in its file, and perhaps a line end behind it. */
static int read_secret(const char *path, struct secret **ret, struct err *e)
{
    CLEANUP(secret_freep) struct secret *s = NULL;
    size_t n;

    if (secret_from_file(path, KEY_MAX, &s, e) < 0)
        return -1;
    n = secret_len(s);
    while (n > 0 && strchr("\r\n", secret_bytes(s)[n - 1]) != NULL)
        n--;
    if (secret_new(n, ret, e) < 0)
        return -1;
    memcpy(secret_bytes(*ret), secret_bytes(s), n);
    return 0;
}

static int open_http(struct queue_link *k, struct loop *l, const struct cfg *cfg, struct err *e)
{
    CLEANUP(secret_freep) struct secret *login = NULL;
    struct http_settings s = {
        .ca_file = cfg->http.ca_file, .proxy = cfg->http.proxy, .no_proxy = cfg->http.no_proxy};

    if (cfg->http.proxy_login_file != NULL &&
        secret_from_file(cfg->http.proxy_login_file, LOGIN_MAX, &login, e) < 0)
        return -1;
    s.proxy_login = login;
    return http_new(l, &s, &k->http, e);
}

static int open_azure(struct queue_link *k, struct loop *l, const struct cfg *cfg, struct err *e)
{
    const struct cfg_queue *q = &cfg->queue;
    struct cloud same = {.loop = l, .cfg = cfg}; /* who we are in Entra */
    struct queue_azure_settings s = {
        .url = q->url, .account = q->account, .queue = q->queue, .agent = k->agent};

    if (open_http(k, l, cfg, e) < 0 ||
        (q->key_file != NULL && read_secret(q->key_file, &k->key, e) < 0) ||
        (q->sas_file != NULL && read_secret(q->sas_file, &k->sas, e) < 0) ||
        (q->poison_sas_file != NULL && read_secret(q->poison_sas_file, &k->poison_sas, e) < 0) ||
        (q->result_sas_file != NULL && read_secret(q->result_sas_file, &k->result_sas, e) < 0))
        return -1;
    same.http = k->http;
    if (q->entra && cloud_token(&same, "https://storage.azure.com", &k->token, e) < 0)
        return -1;
    s.key = k->key;
    s.sas = k->sas;
    s.dead_sas = k->poison_sas;
    s.token = k->token;
    if (queue_azure_new(l, k->http, &s, &k->requests, e) < 0)
        return -1;
    s.queue = q->result_queue;
    s.dead_sas = NULL; /* nothing of it is ever put aside */
    if (k->result_sas != NULL)
        s.sas = k->result_sas;
    return q->result_queue == NULL ? 0 : queue_azure_new(l, k->http, &s, &k->results, e);
}

int queue_link_open(struct loop *l, const struct cfg *cfg, bool watch, struct queue_link **ret_link,
                    struct err *e)
{
    struct queue_link *k;
    int rc;

    if (!cfg->queue.on)
        return err_set(e, ERR_CONFIG, 0,
                       "there is no section [queue] (cordon config sample shows one)");
    k = calloc(1, sizeof(*k));
    if (k == NULL)
        return err_set(e, ERR_NOMEM, 0, "queue");
    rc = queue_link_agent(cfg, k->agent, sizeof(k->agent), e);
    if (rc == 0)
        rc = cfg->queue.engine == CFG_ENGINE_AZURE ? open_azure(k, l, cfg, e)
                                                   : open_spool(k, l, &cfg->queue, watch, e);
    if (rc < 0) {
        queue_link_close(&k);
        return err_wrap(e, "[queue]");
    }
    *ret_link = k;
    return 0;
}

void queue_link_close(struct queue_link **link)
{
    struct queue_link *k = TAKE(*link);

    if (k == NULL)
        return;
    queue_free(k->requests);
    queue_free(k->results);
    token_free(k->token);
    secret_free(k->key);
    secret_free(k->sas);
    secret_free(k->poison_sas);
    secret_free(k->result_sas);
    http_free(k->http);
    free(k);
}

struct queue *queue_link_requests(struct queue_link *link)
{
    return link->requests;
}

struct queue *queue_link_results(struct queue_link *link)
{
    return link->results;
}
