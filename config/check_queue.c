/* config/check_queue.c -- what holds between the settings for signers and the queue. See load.h. */
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "config/keys.h"
#include "config/list.h"
#include "config/load.h"
#include "config/sources.h"

static void check_times(struct load *l, const struct cfg_signer *s, const char *key, int64_t from,
                        int64_t until)
{
    struct ini_place at = cfg_place(l->c, "signer", s->name, key);

    if (from != 0 && until != 0 && until <= from)
        (void)COMPLAIN(l, &at, "%s: not after when the key begins: it is never taken", key);
}

static void check_signer(struct load *l, const struct cfg_signer *s)
{
    cfg_check_given(l, "signer", s->name, "key", s->key != NULL, ": the signer's public key");
    cfg_check_given(l, "signer", s->name, "actions", s->actions != 0,
                    ": what the signer may ask for");
    check_times(l, s, "not_after", s->not_before_ms, s->not_after_ms);
    check_times(l, s, "next_not_after", s->next_before_ms, s->next_after_ms);
    for (size_t i = 0; i < s->domains.count; i++) {
        struct ini_place at = cfg_place(l->c, "signer", s->name, "domains");

        if (!cfg_list_has(&l->c->domain_names, s->domains.items[i]))
            (void)COMPLAIN(l, &at, "domains: '%s' is none of 'domains' in [cordon]",
                           s->domains.items[i]);
    }
    cfg_check_file(l, "signer", s->name, "key", s->key, FILE_PUBLIC);
    cfg_check_file(l, "signer", s->name, "next_key", s->next_key, FILE_PUBLIC);
}

/* Storage accounts and queues have short names (azure-queue-storage.md 1): they go into a URL. */
static void check_name(struct load *l, const char *key, const char *name, size_t max,
                       const char *alphabet)
{
    struct ini_place at = cfg_place(l->c, "queue", NULL, key);

    if (name != NULL &&
        (strlen(name) < 3 || strlen(name) > max || name[strspn(name, alphabet)] != '\0' ||
         name[0] == '-' || name[strlen(name) - 1] == '-' || strstr(name, "--") != NULL))
        (void)COMPLAIN(l, &at, "%s: 3 to %zu of small letters%s digits", key, max,
                       strchr(alphabet, '-') != NULL ? ", single hyphens and" : " and");
}

static void fill_url(struct load *l, struct cfg_queue *q)
{
    static const char *const suffixes[] = {
        [CFG_CLOUD_GLOBAL] = "queue.core.windows.net",
        [CFG_CLOUD_USGOV] = "queue.core.usgovcloudapi.net",
        [CFG_CLOUD_DOD] = "queue.core.usgovcloudapi.net",
        [CFG_CLOUD_CHINA] = "queue.core.chinacloudapi.cn",
    };
    struct text t = TEXT_INIT(1024);

    if (q->url == NULL && q->account != NULL) {
        text_addf(&t, "https://%s.%s", q->account, suffixes[l->c->entra.cloud]);
        q->url = text_take(&t);
        if (q->url == NULL)
            (void)cfg_load_no_memory(l);
    }
    text_done(&t);
}

static void check_azure(struct load *l, struct cfg_queue *q)
{
    static const char small[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    struct ini_place at = cfg_place(l->c, "queue", NULL, NULL);
    int ways = (q->key_file != NULL) + (q->sas_file != NULL) + (q->entra ? 1 : 0);

    cfg_check_given(l, "queue", NULL, "account", q->account != NULL, ": the storage account");
    cfg_check_given(l, "queue", NULL, "queue", q->queue != NULL, ": which queue to read");
    check_name(l, "account", q->account, 24, "abcdefghijklmnopqrstuvwxyz0123456789");
    check_name(l, "queue", q->queue, 63 - strlen("-poison"), small);
    check_name(l, "result_queue", q->result_queue, 63, small);
    if (ways != 1)
        (void)COMPLAIN(l, &at,
                       "[queue] needs one way to log in to the storage account, %s: give one of "
                       "entra = yes, sas_file or key_file",
                       ways == 0 ? "and has none" : "and has several");
    at = cfg_place(l->c, "queue", NULL, "entra");
    if (q->entra && !l->c->entra.on)
        (void)COMPLAIN(l, &at, "entra = yes needs a section [entra]");
    cfg_check_file(l, "queue", NULL, "key_file", q->key_file, FILE_SECRET);
    cfg_check_file(l, "queue", NULL, "sas_file", q->sas_file, FILE_SECRET);
    cfg_check_file(l, "queue", NULL, "poison_sas_file", q->poison_sas_file, FILE_SECRET);
    cfg_check_file(l, "queue", NULL, "result_sas_file", q->result_sas_file, FILE_SECRET);
    if (q->sas_file == NULL && (q->poison_sas_file != NULL || q->result_sas_file != NULL)) {
        at = cfg_place(l->c, "queue", NULL,
                       q->poison_sas_file != NULL ? "poison_sas_file" : "result_sas_file");
        (void)COMPLAIN(l, &at, "it stands beside sas_file, which is not given");
    }
    if (!l->failed)
        fill_url(l, q);
}

static void check_queue(struct load *l)
{
    struct cfg_queue *q = &l->c->queue;
    struct ini_place at = cfg_place(l->c, "queue", NULL, "poll_max");

    q->on = cfg_section_given(l->c, "queue");
    if (!q->on)
        return;
    if (q->engine == CFG_ENGINE_AZURE)
        check_azure(l, q);
    else
        cfg_check_given(l, "queue", NULL, "directory", q->directory != NULL,
                        ": engine = spool needs it");
    if (q->poll_max_ms < q->poll_min_ms)
        (void)COMPLAIN(l, &at, "poll_max: shorter than poll_min");
    cfg_check_file(l, "queue", NULL, "signing_key", q->signing_key, FILE_SECRET);
    for (size_t i = 0; i < q->answer_keys.count; i++)
        cfg_check_file(l, "queue", NULL, "answer_keys", q->answer_keys.items[i], FILE_PUBLIC);
}

void cfg_check_queue(struct load *l)
{
    for (size_t i = 0; i < l->c->signer_count && !cfg_load_hopeless(l); i++)
        check_signer(l, &l->c->signers[i]);
    if (!cfg_load_hopeless(l))
        check_queue(l);
}
