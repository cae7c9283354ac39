/* cloud/queue_azure_inside.h -- inside cloud/queue_azure*.c, their tests and fuzzer: Azure Queue
 * Storage as strings, and what its answers mean. All of it is pure, but for struct azure itself. */
#ifndef CORDON_CLOUD_QUEUE_AZURE_INSIDE_H
#define CORDON_CLOUD_QUEUE_AZURE_INSIDE_H

#include "base/http.h"
#include "base/secret.h"
#include "base/text.h"
#include "cloud/queue_inside.h"

/* --- signing (queue_azure_sign.c) ------------------------------------------------------------ */

#define AZURE_VERSION "2021-12-02"
enum { AZURE_DATE = 32 };

/* RFC 1123, GMT: "Sat, 21 Nov 2026 02:19:53 GMT". */
void azure_date(int64_t ms, char ret_date[AZURE_DATE]);

struct azure_request {
    const char *method;
    const char *url;                   /* whole, percent-encoded; no parameter twice */
    const struct http_header *headers; /* all that is sent, but for Authorization */
    size_t header_count;
    size_t body_len;
};
/* Appends the string to sign of Shared Key. ERR_INTERNAL: the URL is none of ours. */
int azure_string_to_sign(const struct azure_request *r, const char *account, struct text *t,
                         struct err *e);
/* key: base64, with white space behind it. ERR_CONFIG. */
int azure_key(const struct secret *key, struct secret **ret_bytes, struct err *e);
/* The value of the Authorization header, "SharedKey ACCOUNT:SIGNATURE". */
int azure_shared_key(const struct azure_request *r, const char *account, struct secret *key,
                     struct secret **ret_authorization, struct err *e);
/* sas: with '?' in front or not, with white space behind. ERR_CONFIG, without a word of it. */
int azure_sas(const struct secret *sas, struct secret **ret_sas, struct err *e);

/* --- bodies (queue_azure_xml.c) -------------------------------------------------------------- */

enum { AZURE_TEXT_MAX = 64 * 1024, AZURE_RECEIPT_MAX = 1024, AZURE_BATCH = 15 };

/* The body of a put or an update: text escaped, and told how long that made it. ERR_TOOBIG: more
 * than the service takes; ERR_INVALID: a character that XML cannot carry. */
int azure_body(struct text *t, const char *text, struct err *e);

struct azure_message {
    char *id, *receipt; /* fit for a path and a query when escaped; receipt NULL in a peek */
    char *text;         /* as it is stored */
    unsigned deliveries;
    int64_t put_ms, visible_ms; /* by the server's clock; 0: not said */
};
struct azure_list {
    struct azure_message m[QUEUE_BATCH_MAX];
    size_t n;
};
void azure_list_done(struct azure_list *l);
/* ERR_INVALID, ERR_TOOBIG, ERR_NOMEM. */
int azure_list_read(const char *s, size_t n, bool peeked, struct azure_list *ret_list,
                    struct err *e);
bool azure_receipt_ok(const char *s);
/* The <Code> of an error's body; "" where there is none. */
void azure_error_code(const char *s, size_t n, char *buf, size_t size);

/* --- what an answer means (queue_azure_outcome.c) -------------------------------------------- */

enum azure_auth { AZURE_KEY, AZURE_SAS, AZURE_TOKEN };

struct azure_answer {
    long status;
    const char *code;       /* x-ms-error-code, or of the body; "" */
    const char *request_id; /* "" */
    int64_t date_ms;        /* the server's; 0 */
};
/* want: the status that means yes. e is set but with QUEUE_OK. No secret is ever in it. */
enum queue_end azure_outcome(const struct azure_answer *a, long want, enum azure_auth auth,
                             int64_t now_ms, struct err *e);
bool azure_queue_name_ok(const char *s);

#endif
