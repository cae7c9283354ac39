/* base/soap.h -- WS-Management envelopes: written, read, and their faults in words.
 *
 * SOAP 1.2, WS-Addressing 2004/08, DSP0226 (WS-Management 1.x) as Windows speaks it (MS-WSMV).
 * Answers are read in UTF-8 and UTF-16, by namespace and local name, never by prefix. Pure: no
 * network, no clock.
 */
#ifndef CORDON_BASE_SOAP_H
#define CORDON_BASE_SOAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "base/xml.h"
#include "base/xml_out.h"

/* Namespaces, and the prefixes that soap_write declares for them. */
#define SOAP_S "http://www.w3.org/2003/05/soap-envelope"                   /* s */
#define SOAP_A "http://schemas.xmlsoap.org/ws/2004/08/addressing"          /* a */
#define SOAP_N "http://schemas.xmlsoap.org/ws/2004/09/enumeration"         /* n */
#define SOAP_E "http://schemas.xmlsoap.org/ws/2004/08/eventing"            /* e */
#define SOAP_W "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"            /* w */
#define SOAP_P "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd"       /* p */
#define SOAP_X "http://schemas.xmlsoap.org/ws/2004/09/transfer"            /* x */
#define SOAP_RSP "http://schemas.microsoft.com/wbem/wsman/1/windows/shell" /* rsp */
#define SOAP_F "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"      /* f; only read */
#define SOAP_WID "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd" /* wid */

enum {
    SOAP_MAX_ANSWER = 2 * 1024 * 1024, /* bytes of one answer, as received */
    SOAP_ENVELOPE = 512000,            /* our MaxEnvelopeSize: Windows' default of 500 KB */
    SOAP_ID = 48,                      /* "uuid:8F0C...", NUL included */
};

struct soap_pair {
    const char *name, *value;
};

struct soap_request {
    const char *to;       /* "http://dc1.corp.example.com:5985/wsman" */
    const char *resource; /* ResourceURI; NULL: an Identify, which has no header at all */
    const char *action;
    const char *message_id; /* "uuid:..." */
    const char *session_id; /* "uuid:..."; NULL: none */
    uint64_t operation_ms;  /* OperationTimeout */
    size_t max_envelope;    /* 0: SOAP_ENVELOPE */
    const struct soap_pair *selectors, *options;
    size_t selector_count, option_count;
    /* More header blocks, and what stands in the body; NULL: nothing. */
    void (*header)(struct xml_out *x, const void *arg);
    void (*body)(struct xml_out *x, const void *arg);
    const void *arg; /* for both */
};

/* Append the envelope, UTF-8, one line. ERR_INVALID (a value that XML can not carry), ERR_TOOBIG.
 */
int soap_write(const struct soap_request *r, struct text *out, struct err *e);
void soap_message_id(char buf[SOAP_ID]); /* a new "uuid:UPPER-CASE-GUID" */
/* "PT5.000S" */
void soap_duration(uint64_t ms, char buf[32]);

/* What a fault means for us, by its number (winrm.md 3.3), else by its symbolic subcode. */
enum soap_fault_kind {
    SOAP_NO_FAULT = 0,
    SOAP_TIMED_OUT, /* nothing new in time: ask again */
    SOAP_DENIED,
    SOAP_BAD_QUERY,   /* event query or filter not understood: 15001, 15008, 2150859015 */
    SOAP_NO_LOG,      /* 15007, 15009, 15010, 15036 */
    SOAP_STALE,       /* 15011, 15012, bad bookmark: the place in the log is gone */
    SOAP_GONE,        /* the subscription or context is over: subscribe again */
    SOAP_QUOTA,       /* too many operations, shells, subscriptions */
    SOAP_TOO_BIG,     /* envelope limits */
    SOAP_NO_RESOURCE, /* resource, selector or action unknown: plug-in off, another server */
    SOAP_NO_SHELL,    /* the shell is gone */
    SOAP_NO_SHELLS,   /* remote shells are not allowed */
    SOAP_STOPPING,    /* aborted, service stopping, plug-in failed: connect again */
    SOAP_OUR_BUG,     /* it says that our request is wrong */
    SOAP_OTHER,
};
struct soap_fault {
    enum soap_fault_kind kind;
    uint32_t code;     /* the innermost WSManFault Code; 0: none */
    uint32_t outer;    /* the outermost; 0: none */
    char subcode[64];  /* local name, "TimedOut"; "" */
    char machine[128]; /* shown text; "" */
    char words[256];   /* what it means and, shown safely, what the server said */
};
const char *soap_fault_word(enum soap_fault_kind k); /* "timed-out", "denied" ... */
/* ERR_TIMEOUT for TIMED_OUT, ERR_DENIED, ERR_INVALID for BAD_QUERY and OUR_BUG, ERR_NOTFOUND for
 * NO_LOG, STALE, GONE, NO_SHELL, ERR_BUSY for QUOTA and STOPPING, ERR_TOOBIG, ERR_UNSUPPORTED,
 * ERR_REFUSED. Always -1. */
int soap_fault_err(const struct soap_fault *f, const char *what, struct err *e);

struct soap_answer {
    struct xml_doc *doc;                  /* soap_answer_done frees it */
    const struct xml_node *header, *body; /* of the envelope; header NULL where there is none */
    const char *action, *relates_to;      /* "" where there is none; in `doc` */
    struct soap_fault fault;              /* kind SOAP_NO_FAULT: none */
};
/* Read an answer. `content_type`: the header as received; its charset has to be none, UTF-8 or
 * UTF-16 (LE, BE); NULL: none. The bytes' own BOM is stripped, bytes that contradict the charset
 * are refused. `message_id`: what RelatesTo has to repeat; NULL: not looked at (Identify). A fault
 * is no error. Errors: ERR_INVALID (not XML, no envelope, another answer's), ERR_TOOBIG, ERR_NOMEM;
 * on an error there is nothing to free. */
int soap_read(const void *s, size_t n, const char *content_type, const char *message_id,
              struct soap_answer *ret, struct err *e);
void soap_answer_done(struct soap_answer *a);

/* Text of the child; "" where there is none. */
const char *soap_text(const struct xml_node *n, const char *ns, const char *name);

#endif
