/* cloud/queue_azure_outcome.c -- what an answer of the queue service means: one table of its codes
 * (azure-queue-storage.md 5 and 6), then the status. Pure. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/stamp.h"
#include "cloud/queue_azure_inside.h"

enum {
    SKEW_MS = 5 * 60 * 1000, /* the service refuses 15 min; less is worth a word already */
};

static const struct {
    const char *code;
    enum queue_end end;
    enum err_code err;
    const char *words;
} codes[] = {
    {"PopReceiptMismatch", QUEUE_LOST, ERR_CONFLICT, "another one has it now"},
    {"MessageNotFound", QUEUE_GONE, ERR_NOTFOUND, "there is no such message any more"},
    {"QueueNotFound", QUEUE_FATAL, ERR_CONFIG, "there is no such queue: it must be made first"},
    {"ResourceNotFound", QUEUE_FATAL, ERR_CONFIG, "there is no such account"},
    {"QueueBeingDeleted", QUEUE_RETRY, ERR_BUSY, "the queue is being deleted"},
    {"QueueDisabled", QUEUE_RETRY, ERR_BUSY, "the queue is disabled"},
    {"ServerBusy", QUEUE_RETRY, ERR_BUSY, "the service is busy"},
    {"InternalError", QUEUE_RETRY, ERR_BUSY, "the service failed"},
    {"OperationTimedOut", QUEUE_RETRY, ERR_BUSY, "the service ran out of time"},
    {"NoAuthenticationInformation", QUEUE_AUTH, ERR_AUTH, "it wants to know who we are"},
    {"InvalidAuthenticationInfo", QUEUE_AUTH, ERR_AUTH, NULL}, /* see say_failed */
    {"AuthenticationFailed", QUEUE_AUTH, ERR_AUTH, NULL},
    {"KeyBasedAuthenticationNotPermitted", QUEUE_AUTH, ERR_DENIED,
     "the account takes no shared keys: use a token"},
    {"AuthorizationPermissionMismatch", QUEUE_AUTH, ERR_DENIED,
     "a right is missing: process and update on the queue, add on the dead-letter queue"},
    {"AuthorizationProtocolMismatch", QUEUE_AUTH, ERR_DENIED, "the SAS is good for https only"},
    {"AuthorizationFailure", QUEUE_AUTH, ERR_DENIED, "the account's firewall or rights say no"},
    {"RequestBodyTooLarge", QUEUE_FATAL, ERR_TOOBIG, "the message is too big"},
    {"MessageTooLarge", QUEUE_FATAL, ERR_TOOBIG, "the message is too big"},
};

/* What AuthenticationFailed may mean, for each way to say who we are. Its details hold signatures:
 * they are not repeated. */
static const char *failed_words(enum azure_auth auth)
{
    switch (auth) {
    case AZURE_KEY:
        return "the key or the account's name is wrong";
    case AZURE_SAS:
        return "the SAS is wrong, for another queue, or its time is over";
    case AZURE_TOKEN:
        return "the token is for another tenant or service";
    }
    return "";
}

static void say(const struct azure_answer *a, enum err_code code, const char *words, struct err *e)
{
    char shown[TEXT_SHOWN], shown_id[TEXT_SHOWN];

    (void)err_set(e, code, (int)a->status, "Azure: %s (%ld%s%s%s%s)", words, a->status,
                  a->code[0] != '\0' ? " " : "", text_shown(shown, a->code),
                  a->request_id[0] != '\0' ? ", request-id " : "",
                  text_shown(shown_id, a->request_id));
}

static void say_failed(const struct azure_answer *a, enum azure_auth auth, int64_t now_ms,
                       struct err *e)
{
    int64_t ahead = a->date_ms != 0 ? now_ms - a->date_ms : 0;
    char words[200], age[STAMP_TEXT];

    if (ahead > -SKEW_MS && ahead < SKEW_MS) {
        say(a, ERR_AUTH, failed_words(auth), e);
        return;
    }
    (void)snprintf(words, sizeof(words),
                   "our clock is %s %s the service's, which refuses 15 min: set it right",
                   stamp_age(age, ahead < 0 ? -ahead : ahead), ahead < 0 ? "behind" : "ahead of");
    say(a, ERR_AUTH, words, e);
}

/* Without a code that we know. */
static enum queue_end by_status(const struct azure_answer *a, struct err *e)
{
    long s = a->status;

    if (s == 401 || s == 403) {
        say(a, s == 401 ? ERR_AUTH : ERR_DENIED, "it says no to who we are", e);
        return QUEUE_AUTH;
    }
    if (s == 408 || s == 429 || s >= 500) {
        say(a, ERR_BUSY, "not now", e);
        return QUEUE_RETRY;
    }
    if (s >= 200 && s < 300) {
        say(a, ERR_UNPROVEN, "an answer that is not the queue service's", e);
        return QUEUE_RETRY;
    }
    say(a,
        s == 413   ? ERR_TOOBIG
        : s == 409 ? ERR_CONFLICT
                   : ERR_REFUSED,
        s == 413              ? "the message is too big"
        : s >= 300 && s < 400 ? "it sends us elsewhere: no queue service answers there"
        : s == 404            ? "there is nothing like that at this address"
                              : "it refuses the request",
        e);
    return QUEUE_FATAL;
}

enum queue_end azure_outcome(const struct azure_answer *a, long want, enum azure_auth auth,
                             int64_t now_ms, struct err *e)
{
    if (a->status == want)
        return QUEUE_OK;
    if (a->status >= 400) {
        for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
            if (strcmp(a->code, codes[i].code) != 0)
                continue;
            if (codes[i].words != NULL)
                say(a, codes[i].err, codes[i].words, e);
            else
                say_failed(a, auth, now_ms, e);
            return codes[i].end;
        }
    }
    return by_status(a, e);
}

/* 3 to 63 of a-z 0-9 -, no two hyphens together and none at an end. */
bool azure_queue_name_ok(const char *s)
{
    size_t n = strlen(s);

    return n >= 3 && n <= 63 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
           s[0] != '-' && s[n - 1] != '-' && strstr(s, "--") == NULL;
}
