/* base/soap.c -- writing an envelope; see soap.h. */
#include "base/soap.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/id.h"

#define ANONYMOUS "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous"
#define XSI "http://www.w3.org/2001/XMLSchema-instance"

void soap_message_id(char buf[SOAP_ID])
{
    char uuid[ID_UUID] = "00000000-0000-0000-0000-000000000000";
    struct err e;

    (void)id_uuid(uuid, &e); /* without randomness: a server refuses the second message */
    for (char *c = uuid; *c != '\0'; c++)
        *c = (char)toupper((unsigned char)*c);
    (void)snprintf(buf, SOAP_ID, "uuid:%s", uuid);
}

void soap_duration(uint64_t ms, char buf[32])
{
    (void)snprintf(buf, 32, "PT%" PRIu64 ".%03uS", ms / 1000, (unsigned)(ms % 1000));
}

static void must(struct xml_out *x, const char *name, const char *text)
{
    xml_out_open(x, name);
    xml_out_attr(x, "s:mustUnderstand", "true");
    xml_out_text(x, text);
    xml_out_close(x);
}

static void locale(struct xml_out *x, const char *name)
{
    xml_out_open(x, name);
    xml_out_attr(x, "xml:lang", "en-US");
    xml_out_attr(x, "s:mustUnderstand", "false");
    xml_out_close(x);
}

static void pairs(struct xml_out *x, const char *set, const char *one, const struct soap_pair *p,
                  size_t n)
{
    if (n == 0)
        return;
    xml_out_open(x, set);
    xml_out_attr(x, "xmlns:xsi", XSI);
    for (size_t i = 0; i < n; i++) {
        xml_out_open(x, one);
        xml_out_attr(x, "Name", p[i].name);
        xml_out_text(x, p[i].value);
        xml_out_close(x);
    }
    xml_out_close(x);
}

static void header(struct xml_out *x, const struct soap_request *r)
{
    char number[32];

    xml_out_leaf(x, "a:To", r->to);
    must(x, "w:ResourceURI", r->resource);
    xml_out_open(x, "a:ReplyTo");
    must(x, "a:Address", ANONYMOUS);
    xml_out_close(x);
    must(x, "a:Action", r->action);
    (void)snprintf(number, sizeof(number), "%zu",
                   r->max_envelope != 0 ? r->max_envelope : (size_t)SOAP_ENVELOPE);
    must(x, "w:MaxEnvelopeSize", number);
    xml_out_leaf(x, "a:MessageID", r->message_id);
    locale(x, "w:Locale");
    locale(x, "p:DataLocale");
    if (r->session_id != NULL) {
        xml_out_open(x, "p:SessionId");
        xml_out_attr(x, "s:mustUnderstand", "false");
        xml_out_text(x, r->session_id);
        xml_out_close(x);
    }
    soap_duration(r->operation_ms, number);
    xml_out_leaf(x, "w:OperationTimeout", number);
    pairs(x, "w:SelectorSet", "w:Selector", r->selectors, r->selector_count);
    pairs(x, "w:OptionSet", "w:Option", r->options, r->option_count);
    if (r->header != NULL)
        r->header(x, r->arg);
}

int soap_write(const struct soap_request *r, struct text *out, struct err *e)
{
    static const struct soap_pair spaces[] = {
        {"xmlns:s", SOAP_S}, {"xmlns:a", SOAP_A},     {"xmlns:n", SOAP_N},
        {"xmlns:e", SOAP_E}, {"xmlns:w", SOAP_W},     {"xmlns:p", SOAP_P},
        {"xmlns:x", SOAP_X}, {"xmlns:rsp", SOAP_RSP}, {"xmlns:wid", SOAP_WID},
    };
    struct xml_out x;

    xml_out_init(&x, out);
    xml_out_open(&x, "s:Envelope");
    for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
        xml_out_attr(&x, spaces[i].name, spaces[i].value);
    xml_out_open(&x, "s:Header");
    if (r->resource != NULL)
        header(&x, r);
    xml_out_close(&x);
    xml_out_open(&x, "s:Body");
    if (r->body != NULL)
        r->body(&x, r->arg);
    xml_out_close(&x);
    xml_out_close(&x);
    return xml_out_check(&x, "SOAP request", e);
}
