/* base/winrm_pull.c -- see winrm_pull.h. Bodies in the order of their schemas (WS-Eventing 2004/08,
 * WS-Enumeration 2004/09, DSP0226): servers check it.
 */
#include "base/winrm_pull.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/soap_inside.h"

#define ACTION_SUBSCRIBE SOAP_E "/Subscribe"
#define ACTION_UNSUBSCRIBE SOAP_E "/Unsubscribe"
#define ACTION_PULL SOAP_N "/Pull"
#define MODE_PULL "http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull"

enum { PULL_MAX = 100, END_MS = 10 * 1000 };

/* What a call needs until it is answered; the call owns it. */
struct asked {
    union {
        winrm_subscribe_cb subscribe;
        winrm_pull_cb pull;
        winrm_done_cb done;
        winrm_identify_cb identify;
    } cb;
    void *arg;
};

static struct asked *asked_new(void *arg, struct err *e)
{
    struct asked *a = calloc(1, sizeof(*a));

    if (a == NULL)
        (void)err_set(e, ERR_NOMEM, 0, "WinRM");
    else
        a->arg = arg;
    return a;
}

/* --- subscribe ----------------------------------------------------------------------------------
 */

static void lang(struct xml_out *x, const char *name)
{
    xml_out_open(x, name);
    xml_out_attr(x, "xml:lang", "en-US");
    xml_out_close(x);
}

static void bookmark(struct xml_out *x, const struct winrm_bookmark *b)
{
    char record[24];

    xml_out_open(x, "w:Bookmark");
    xml_out_open(x, "BookmarkList");
    xml_out_attr(x, "xmlns", "");
    for (size_t i = 0; i < b->count; i++) {
        xml_out_open(x, "Bookmark");
        xml_out_attr(x, "Channel", b->at[i].channel);
        (void)snprintf(record, sizeof(record), "%" PRIu64, b->at[i].record);
        xml_out_attr(x, "RecordId", record);
        if (b->at[i].current)
            xml_out_attr(x, "IsCurrent", "true");
        xml_out_close(x);
    }
    xml_out_close(x);
    xml_out_close(x);
}

static void subscribe_body(struct xml_out *x, const void *arg)
{
    const struct winrm_subscribe *s = arg;
    char beat[32];

    xml_out_open(x, "e:Subscribe");
    xml_out_open(x, "e:Delivery");
    xml_out_attr(x, "Mode", MODE_PULL);
    if (s->heartbeat_ms != 0) {
        soap_duration(s->heartbeat_ms, beat);
        xml_out_leaf(x, "w:Heartbeats", beat);
    }
    lang(x, "w:Locale");
    lang(x, "p:DataLocale");
    xml_out_leaf(x, "w:ContentEncoding", "UTF-8");
    xml_out_close(x);
    xml_out_leaf(x, "e:Expires", "PT24H");
    if (s->query != NULL || s->filter != NULL) {
        xml_out_open(x, "w:Filter");
        xml_out_attr(x, "Dialect", s->dialect != NULL ? s->dialect : WINRM_EVENTQUERY);
        if (s->query != NULL)
            s->query(x, s->arg);
        else
            xml_out_text(x, s->filter);
        xml_out_close(x);
    }
    if (s->from != NULL && s->from->count > 0)
        bookmark(x, s->from);
    else if (s->earliest)
        xml_out_leaf(x, "w:Bookmark", WINRM_EARLIEST);
    xml_out_leaf(x, "w:SendBookmarks", NULL);
    xml_out_close(x);
}

/* The first element of that name below n, at any depth. */
static const struct xml_node *below(const struct xml_node *n, const char *ns, const char *name,
                                    unsigned depth)
{
    for (const struct xml_node *c = n != NULL && depth < 16 ? n->child : NULL; c != NULL;
         c = c->next) {
        const struct xml_node *found;

        if (strcmp(c->name, name) == 0 && strcmp(c->ns, ns) == 0)
            return c;
        found = below(c, ns, name, depth + 1);
        if (found != NULL)
            return found;
    }
    return NULL;
}

static int read_subscribed(const struct soap_answer *a, struct winrm_subscription *ret,
                           struct err *e)
{
    const struct xml_node *r = xml_child(a->body, SOAP_E, "SubscribeResponse"), *id;

    *ret = (struct winrm_subscription){0};
    if (r == NULL)
        return err_set(e, ERR_INVALID, 0, "an answer that is no SubscribeResponse");
    id = below(xml_child(r, SOAP_E, "SubscriptionManager"), SOAP_E, "Identifier", 0);
    if (!soap_take(ret->identifier, WINRM_CONTEXT, id != NULL ? id->text : "") ||
        !soap_take(ret->context, WINRM_CONTEXT, soap_text(r, SOAP_N, "EnumerationContext")))
        return err_set(e, ERR_INVALID, 0, "a subscription whose context is too long");
    if (ret->context[0] == '\0')
        return err_set(e, ERR_INVALID, 0, "a subscription without a context to pull from");
    return 0;
}

static void on_subscribed(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                          const struct err *e)
{
    struct asked mine = *(struct asked *)arg;
    struct winrm_subscription s;
    struct err why;

    if (e == NULL && read_subscribed(a, &s, &why) < 0)
        e = &why;
    mine.cb.subscribe(mine.arg, e == NULL ? &s : NULL, f, e);
}

int winrm_subscribe_start(struct winrm *w, const struct winrm_subscribe *s, winrm_subscribe_cb cb,
                          void *arg, struct winrm_call **ret_call, struct err *e)
{
    struct asked *mine = asked_new(arg, e);
    struct winrm_ask ask = {.resource = s->resource != NULL ? s->resource : WINRM_EVENTLOG,
                            .action = ACTION_SUBSCRIBE,
                            .options = s->options,
                            .option_count = s->option_count,
                            .body = subscribe_body,
                            .arg = s,
                            .operation_ms = s->operation_ms,
                            .repeat = WINRM_ONCE, /* one too many would count against us */
                            .owned = mine};

    if (mine == NULL)
        return -1;
    mine->cb.subscribe = cb;
    if (winrm_call_start(w, &ask, on_subscribed, mine, ret_call, e) < 0) {
        free(mine);
        return -1;
    }
    return 0;
}

/* --- pull
 * ----------------------------------------------------------------------------------------- */

static void pull_body(struct xml_out *x, const void *arg)
{
    const struct winrm_pull *p = arg;
    char max[16];

    xml_out_open(x, "n:Pull");
    xml_out_leaf(x, "n:EnumerationContext", p->context);
    (void)snprintf(max, sizeof(max), "%u", p->max != 0 ? p->max : (unsigned)PULL_MAX);
    xml_out_leaf(x, "n:MaxElements", max);
    xml_out_close(x);
}

/* In the header; a text instead of a list is the server's default, and no place. */
static void read_bookmark(const struct xml_node *header, struct winrm_bookmark *ret)
{
    const struct xml_node *b = header != NULL ? xml_child(header, SOAP_W, "Bookmark") : NULL;
    const struct xml_node *list = b != NULL ? xml_child(b, NULL, "BookmarkList") : NULL;

    ret->count = 0;
    for (const struct xml_node *n = list != NULL ? xml_child(list, NULL, "Bookmark") : NULL;
         n != NULL && ret->count < WINRM_BOOKMARKS; n = xml_again(n)) {
        const char *channel = xml_attr(n, "Channel"), *record = xml_attr(n, "RecordId");
        const char *current = xml_attr(n, "IsCurrent");
        struct winrm_place *at = &ret->at[ret->count];

        if (channel == NULL || record == NULL || strlen(channel) >= sizeof(at->channel) ||
            !text_to_u64(record, 0, UINT64_MAX, &at->record))
            continue;
        (void)snprintf(at->channel, sizeof(at->channel), "%s", channel);
        at->current = current != NULL && text_eq_nocase(current, "true");
        ret->count++;
    }
}

static void on_pulled(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                      const struct err *e)
{
    struct asked mine = *(struct asked *)arg;
    struct winrm_pulled p = {.context = ""};
    char context[WINRM_CONTEXT];
    const struct xml_node *r;
    struct err why;

    if (e == NULL) {
        r = xml_child(a->body, SOAP_N, "PullResponse");
        if (r == NULL) {
            (void)err_set(&why, ERR_INVALID, 0, "an answer that is no PullResponse");
            e = &why;
        } else if (!soap_take(context, sizeof(context),
                              soap_text(r, SOAP_N, "EnumerationContext"))) {
            (void)err_set(&why, ERR_INVALID, 0, "a PullResponse whose context is too long");
            e = &why;
        } else {
            p.context = context;
            p.items = xml_child(r, SOAP_N, "Items");
            p.ended = xml_child(r, SOAP_N, "EndOfSequence") != NULL;
            read_bookmark(a->header, &p.bookmark);
        }
    }
    mine.cb.pull(mine.arg, e == NULL ? &p : NULL, f, e);
}

int winrm_pull_start(struct winrm *w, const struct winrm_pull *p, winrm_pull_cb cb, void *arg,
                     struct winrm_call **ret_call, struct err *e)
{
    struct asked *mine = asked_new(arg, e);
    struct winrm_ask ask = {.resource = p->resource != NULL ? p->resource : WINRM_EVENTLOG,
                            .action = ACTION_PULL,
                            .options = p->options,
                            .option_count = p->option_count,
                            .body = pull_body,
                            .arg = p,
                            .operation_ms = p->operation_ms,
                            .repeat = WINRM_ONCE,
                            .owned = mine};

    if (mine == NULL)
        return -1;
    mine->cb.pull = cb;
    if (winrm_call_start(w, &ask, on_pulled, mine, ret_call, e) < 0) {
        free(mine);
        return -1;
    }
    return 0;
}

/* --- unsubscribe
 * ------------------------------------------------------------------------------------ */

static void unsubscribe_header(struct xml_out *x, const void *arg)
{
    xml_out_leaf(x, "e:Identifier", arg);
}

static void unsubscribe_body(struct xml_out *x, const void *arg)
{
    (void)arg;
    xml_out_leaf(x, "e:Unsubscribe", NULL);
}

static void on_done(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                    const struct err *e)
{
    struct asked mine = *(struct asked *)arg;

    (void)a;
    mine.cb.done(mine.arg, f, e);
}

int winrm_unsubscribe_start(struct winrm *w, const char *resource, const char *identifier,
                            winrm_done_cb cb, void *arg, struct winrm_call **ret_call,
                            struct err *e)
{
    struct asked *mine = asked_new(arg, e);
    struct winrm_ask ask = {.resource = resource != NULL ? resource : WINRM_EVENTLOG,
                            .action = ACTION_UNSUBSCRIBE,
                            .header = unsubscribe_header,
                            .body = unsubscribe_body,
                            .arg = identifier,
                            .operation_ms = END_MS,
                            .repeat = WINRM_SAFELY,
                            .owned = mine};

    if (mine == NULL)
        return -1;
    mine->cb.done = cb;
    if (winrm_call_start(w, &ask, on_done, mine, ret_call, e) < 0) {
        free(mine);
        return -1;
    }
    return 0;
}

/* --- identify
 * --------------------------------------------------------------------------------------- */

static void identify_body(struct xml_out *x, const void *arg)
{
    (void)arg;
    xml_out_leaf(x, "wid:Identify", NULL);
}

static void on_identified(void *arg, const struct soap_answer *a, const struct soap_fault *f,
                          const struct err *e)
{
    struct asked mine = *(struct asked *)arg;
    struct winrm_identity i = {0};
    const struct xml_node *r;
    struct err why;

    if (e == NULL) {
        r = xml_child(a->body, SOAP_WID, "IdentifyResponse");
        if (r == NULL) {
            (void)err_set(&why, ERR_INVALID, 0, "an answer that is no IdentifyResponse");
            e = &why;
        } else {
            soap_shown(i.vendor, sizeof(i.vendor), soap_text(r, SOAP_WID, "ProductVendor"));
            soap_shown(i.version, sizeof(i.version), soap_text(r, SOAP_WID, "ProductVersion"));
            soap_shown(i.protocol, sizeof(i.protocol), soap_text(r, SOAP_WID, "ProtocolVersion"));
        }
    }
    mine.cb.identify(mine.arg, e == NULL ? &i : NULL, f, e);
}

int winrm_identify_start(struct winrm *w, bool anonymous, winrm_identify_cb cb, void *arg,
                         struct winrm_call **ret_call, struct err *e)
{
    struct asked *mine = asked_new(arg, e);
    struct winrm_ask ask = {.body = identify_body,
                            .operation_ms = END_MS,
                            .repeat = WINRM_SAFELY,
                            .anonymous = anonymous,
                            .owned = mine};

    if (mine == NULL)
        return -1;
    mine->cb.identify = cb;
    if (winrm_call_start(w, &ask, on_identified, mine, ret_call, e) < 0) {
        free(mine);
        return -1;
    }
    return 0;
}
