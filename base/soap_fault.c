/* base/soap_fault.c -- what a fault means for us; see soap.h. The numbers are MS-WSMV's and
 * Windows' error codes (winrm.md 3.3): the innermost decides, then the outer one, then the
 * subcode's name, which is all that other servers give. Texts are localised: shown, never
 * understood.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/soap_inside.h"

static const char blanks[] = " \t\r\n";

static const struct {
    uint32_t code;
    enum soap_fault_kind kind;
    const char *words;
} codes[] = {
    {2150858793U, SOAP_TIMED_OUT, "nothing new in time"},
    {5, SOAP_DENIED, "access denied"},
    {15001, SOAP_BAD_QUERY, "the event query is not valid"},
    {15008, SOAP_BAD_QUERY, "the event query is no XML that it takes"},
    {2150859015U, SOAP_BAD_QUERY, "the filter is no XML that it takes"},
    {15007, SOAP_NO_LOG, "there is no such log"},
    {15009, SOAP_NO_LOG, "a direct channel, which nobody can subscribe to"},
    {15010, SOAP_NO_LOG, "the log's configuration is broken"},
    {15036, SOAP_NO_LOG, "the log of the query cannot be opened"},
    {15011, SOAP_STALE, "the log was cleared or rolled over"},
    {15012, SOAP_STALE, "the place in the log is gone"},
    {2150858808U, SOAP_STALE, "the bookmark is not valid any more"},
    {2150858760U, SOAP_GONE, "the subscription was closed"},
    {2150858907U, SOAP_GONE, "the subscription was closed by the other side"},
    {2150858910U, SOAP_GONE, "the subscription was closed by the source"},
    {2150858762U, SOAP_GONE, "we did not ask within the heartbeat"},
    {2150858758U, SOAP_OUR_BUG, "a pull of this subscription is running already"},
    {2150858788U, SOAP_OUR_BUG, "a subscription to the event log cannot be renewed"},
    {2150858815U, SOAP_QUOTA, "a quota is used up"},
    {2150859174U, SOAP_QUOTA, "too many operations at once"},
    {2150859175U, SOAP_QUOTA, "too many operations of this user at once"},
    {2150859176U, SOAP_QUOTA, "too many operations of the system at once"},
    {2150859240U, SOAP_QUOTA, "too many operations of this user on the event log (15)"},
    {2150858823U, SOAP_TOO_BIG, "the answer is larger than an envelope may be"},
    {2150858824U, SOAP_TOO_BIG, "the request is larger than an envelope may be"},
    {2150858825U, SOAP_TOO_BIG, "an item is larger than an envelope may be"},
    {2150858790U, SOAP_TOO_BIG, "larger than an envelope may be"},
    {2150858878U, SOAP_OUR_BUG, "MaxEnvelopeSize is below the least allowed"},
    {2150858811U, SOAP_NO_RESOURCE,
     "there is no such resource: another server, or its plug-in is off"},
    {2150858813U, SOAP_NO_RESOURCE, "the selectors do not fit the resource"},
    {2150858753U, SOAP_NO_RESOURCE, "the resource does not know this action"},
    {2150858843U, SOAP_NO_SHELL, "the shell is gone"},
    {2150858809U, SOAP_OUR_BUG, "it does not take our options"},
    {2150858916U, SOAP_OUR_BUG, "it does not take our heartbeat"},
    {2150858783U, SOAP_OUR_BUG, "it does not take our expiry"},
    {2150859007U, SOAP_OUR_BUG, "it does not deliver in this way"},
    {2150858767U, SOAP_OUR_BUG, "an addressing header is not valid"},
    {2150858768U, SOAP_OUR_BUG, "a header is not understood"},
    {2150858769U, SOAP_OUR_BUG, "an addressing header is missing"},
    {2150859173U, SOAP_QUOTA, "too many shells of this user"},
    {2150859180U, SOAP_NO_SHELLS, "remote shells are not allowed"},
    {2150858883U, SOAP_STOPPING, "the plug-in did not answer"},
    {995, SOAP_STOPPING, "the service is stopping"},
    {1223, SOAP_STOPPING, "it was cancelled: the service is stopping"},
};

static const struct {
    const char *subcode;
    enum soap_fault_kind kind;
    const char *words;
} subcodes[] = {
    {"TimedOut", SOAP_TIMED_OUT, "nothing new in time"},
    {"AccessDenied", SOAP_DENIED, "access denied"},
    {"InvalidEnumerationContext", SOAP_GONE, "the subscription is over"},
    {"UnableToRenew", SOAP_OUR_BUG, "a subscription cannot be renewed"},
    {"FilteringRequestedUnavailable", SOAP_BAD_QUERY, "it takes no such filter"},
    {"FilterDialectRequestedUnavailable", SOAP_BAD_QUERY, "it takes no filter of that dialect"},
    {"CannotProcessFilter", SOAP_BAD_QUERY, "it does not understand the filter"},
    {"InvalidBookmark", SOAP_STALE, "the bookmark is not valid any more"},
    {"QuotaLimit", SOAP_QUOTA, "a quota is used up"},
    {"EncodingLimit", SOAP_TOO_BIG, "larger than an envelope may be"},
    {"DestinationUnreachable", SOAP_GONE, "there is no such resource or context"},
    {"InvalidSelectors", SOAP_NO_RESOURCE, "the selectors do not fit the resource"},
    {"ActionNotSupported", SOAP_NO_RESOURCE, "the resource does not know this action"},
    {"MustUnderstand", SOAP_OUR_BUG, "a header is not understood"},
    {"InvalidMessageInformationHeader", SOAP_OUR_BUG, "an addressing header is not valid"},
    {"MessageInformationHeaderRequired", SOAP_OUR_BUG, "an addressing header is missing"},
    {"SchemaValidationError", SOAP_OUR_BUG, "the request does not fit its schema"},
    {"InvalidOptions", SOAP_OUR_BUG, "it does not take our options"},
    {"InternalError", SOAP_STOPPING, "an error inside the server"},
};

static bool known(uint32_t code, struct soap_fault *f, const char **words)
{
    for (size_t i = 0; code != 0 && i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            f->kind = codes[i].kind;
            *words = codes[i].words;
            return true;
        }
    }
    return false;
}

struct seen {
    const char *text;
    unsigned code_depth, text_depth; /* 0: none yet */
};

/* Codes and texts below Detail: the outermost WSManFault is the first, the innermost the deepest,
 * wherever it stands. */
static void look(const struct xml_node *n, struct soap_fault *f, struct seen *s, unsigned depth)
{
    const char *v;
    uint64_t code;

    for (; n != NULL && depth < 16; n = n->next) {
        if (strcmp(n->name, "WSManFault") == 0 && strcmp(n->ns, SOAP_F) == 0) {
            v = xml_attr(n, "Code");
            if (v != NULL && text_to_u64(v, 1, UINT32_MAX, &code)) {
                if (f->outer == 0)
                    f->outer = (uint32_t)code;
                if (depth > s->code_depth) {
                    f->code = (uint32_t)code;
                    s->code_depth = depth;
                }
            }
            v = xml_attr(n, "Machine");
            if (v != NULL && f->machine[0] == '\0')
                soap_shown(f->machine, sizeof(f->machine), v);
        }
        v = n->text + strspn(n->text, blanks);
        if (strcmp(n->name, "Message") == 0 && *v != '\0' && depth > s->text_depth) {
            s->text = v;
            s->text_depth = depth;
        }
        look(n->child, f, s, depth + 1);
    }
}

/* The deepest Subcode's Value, "w:TimedOut", without its prefix and the blanks around; without a
 * subcode that of Code, where that says more than whose fault it is (s:MustUnderstand). */
static void subcode_of(const struct xml_node *fault, char *buf, size_t size)
{
    const struct xml_node *c = xml_child(fault, SOAP_S, "Code"), *deeper;
    const char *s = soap_text(c, SOAP_S, "Value"), *colon;
    char name[64];

    for (unsigned i = 0; c != NULL && i < 8; i++, c = deeper) {
        deeper = xml_child(c, SOAP_S, "Subcode");
        if (deeper != NULL)
            s = soap_text(deeper, SOAP_S, "Value");
    }
    s += strspn(s, blanks);
    colon = strchr(s, ':');
    if (colon != NULL)
        s = colon + 1;
    (void)snprintf(name, sizeof(name), "%.*s", (int)strcspn(s, blanks), s);
    if (strcmp(name, "Sender") == 0 || strcmp(name, "Receiver") == 0)
        name[0] = '\0';
    soap_shown(buf, size, name);
}

void soap_fault_read(const struct xml_node *fault, struct soap_fault *f)
{
    struct seen s = {soap_text(xml_child(fault, SOAP_S, "Reason"), SOAP_S, "Text"), 0, 0};
    const struct xml_node *detail = xml_child(fault, SOAP_S, "Detail");
    const char *words = NULL;
    char shown[TEXT_SHOWN];

    *f = (struct soap_fault){.kind = SOAP_OTHER};
    if (detail != NULL)
        look(detail->child, f, &s, 1);
    s.text += strspn(s.text, blanks);
    subcode_of(fault, f->subcode, sizeof(f->subcode));
    if (!known(f->code, f, &words) && !known(f->outer, f, &words)) {
        for (size_t i = 0; i < ARRAY_LEN(subcodes) && words == NULL; i++) {
            if (strcmp(subcodes[i].subcode, f->subcode) == 0) {
                f->kind = subcodes[i].kind;
                words = subcodes[i].words;
            }
        }
    }
    if (words != NULL)
        (void)snprintf(f->words, sizeof(f->words), "%s%s%s", words,
                       *s.text != '\0' ? "; it says: " : "",
                       *s.text != '\0' ? text_shown(shown, s.text) : "");
    else if (*s.text != '\0')
        soap_shown(f->words, sizeof(f->words), s.text);
    else if (f->subcode[0] != '\0')
        (void)snprintf(f->words, sizeof(f->words), "%s", f->subcode);
    else if (f->code != 0)
        (void)snprintf(f->words, sizeof(f->words), "fault %" PRIu32, f->code);
    else
        (void)snprintf(f->words, sizeof(f->words), "a fault without a code");
}

const char *soap_fault_word(enum soap_fault_kind k)
{
    static const char *const words[] = {
        [SOAP_NO_FAULT] = "none",     [SOAP_TIMED_OUT] = "timed-out",
        [SOAP_DENIED] = "denied",     [SOAP_BAD_QUERY] = "bad-query",
        [SOAP_NO_LOG] = "no-log",     [SOAP_STALE] = "stale",
        [SOAP_GONE] = "gone",         [SOAP_QUOTA] = "quota",
        [SOAP_TOO_BIG] = "too-big",   [SOAP_NO_RESOURCE] = "no-resource",
        [SOAP_NO_SHELL] = "no-shell", [SOAP_NO_SHELLS] = "no-shells",
        [SOAP_STOPPING] = "stopping", [SOAP_OUR_BUG] = "our-bug",
        [SOAP_OTHER] = "other",
    };

    return words[k];
}

int soap_fault_err(const struct soap_fault *f, const char *what, struct err *e)
{
    static const enum err_code codes_of[] = {
        [SOAP_NO_FAULT] = ERR_INTERNAL, [SOAP_TIMED_OUT] = ERR_TIMEOUT,
        [SOAP_DENIED] = ERR_DENIED,     [SOAP_BAD_QUERY] = ERR_INVALID,
        [SOAP_NO_LOG] = ERR_NOTFOUND,   [SOAP_STALE] = ERR_NOTFOUND,
        [SOAP_GONE] = ERR_NOTFOUND,     [SOAP_QUOTA] = ERR_BUSY,
        [SOAP_TOO_BIG] = ERR_TOOBIG,    [SOAP_NO_RESOURCE] = ERR_UNSUPPORTED,
        [SOAP_NO_SHELL] = ERR_NOTFOUND, [SOAP_NO_SHELLS] = ERR_REFUSED,
        [SOAP_STOPPING] = ERR_BUSY,     [SOAP_OUR_BUG] = ERR_INVALID,
        [SOAP_OTHER] = ERR_REFUSED,
    };

    return err_set(e, codes_of[f->kind], (int)f->code, "%s: %s", what, f->words);
}
