/* eventlog/event_xml.c -- the Windows event as XML (MS-EVEN6 2.2.13, event.xsd); see event.h.
 *
 * Names are compared in the namespace of the Event element, which is Microsoft's or, in copies made
 * by other tools, none.
 */
#include <stdint.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/xml.h"
#include "eventlog/event_fill.h"

#define EVENT_NS "http://schemas.microsoft.com/win/2004/08/events/event"

static bool is_event(const struct xml_node *n)
{
    return strcmp(n->name, "Event") == 0 && (n->ns[0] == '\0' || strcmp(n->ns, EVENT_NS) == 0);
}

static const char *child_text(const struct xml_node *n, const char *ns, const char *name)
{
    const struct xml_node *c = xml_child(n, ns, name);

    return c == NULL ? "" : c->text;
}

static int read_system(struct evlog_fill *f, const struct xml_node *sys, const char *ns,
                       struct err *e)
{
    const struct xml_node *n;
    const char *s;
    uint64_t v;

    if (!evlog_number(child_text(sys, ns, "EventID"), UINT32_MAX, &v) || v == 0)
        return err_set(e, ERR_INVALID, 0, "an Event without an EventID");
    f->ev.id = (uint32_t)v;
    f->ev.has_record =
        evlog_number(child_text(sys, ns, "EventRecordID"), UINT64_MAX, &f->ev.record);
    f->ev.channel = child_text(sys, ns, "Channel");
    f->ev.computer = child_text(sys, ns, "Computer");
    evlog_fill_keywords(f, child_text(sys, ns, "Keywords"));
    if ((n = xml_child(sys, ns, "Provider")) != NULL && (s = xml_attr(n, "Name")) != NULL)
        f->ev.provider = s;
    if ((n = xml_child(sys, ns, "TimeCreated")) != NULL && (s = xml_attr(n, "SystemTime")) != NULL)
        evlog_fill_time(f, s, /* utc */ true);
    return 0;
}

static int read_event(const struct xml_node *event, struct evlog_fill *f, struct err *e)
{
    const char *ns = event->ns, *name;
    const struct xml_node *sys = xml_child(event, ns, "System");
    const struct xml_node *data = xml_child(event, ns, "EventData");

    evlog_fill_init(f, EVLOG_XML);
    if (sys == NULL)
        return err_set(e, ERR_INVALID, 0, "an Event without System");
    if (xml_again(sys) != NULL || (data != NULL && xml_again(data) != NULL))
        return err_set(e, ERR_INVALID, 0, "an Event with two System or EventData");
    if (read_system(f, sys, ns, e) < 0)
        return -1;
    for (const struct xml_node *d = data == NULL ? NULL : xml_child(data, ns, "Data"); d != NULL;
         d = xml_again(d))
        if ((name = xml_attr(d, "Name")) != NULL &&
            evlog_fill_data(f, name, d->text, /* fleeting */ false, e) < 0)
            return -1;
    return evlog_fill_end(f, e);
}

int evlog_parse_node(const struct xml_node *event, evlog_event_cb cb, void *arg, struct err *e)
{
    struct evlog_fill f;

    if (!is_event(event))
        return err_set(e, ERR_INVALID, 0, "an element that is no Event");
    if (read_event(event, &f, e) < 0)
        return -1;
    cb(arg, &f.ev);
    return 0;
}

int evlog_parse_xml(const char *s, size_t n, evlog_event_cb cb, void *arg, struct err *e)
{
    CLEANUP(xml_freep) struct xml_doc *doc = NULL;
    const struct xml_node *root;
    bool any = false;

    if (xml_parse(s, n, &doc, e) < 0)
        return -1;
    root = xml_root(doc);
    if (is_event(root))
        return evlog_parse_node(root, cb, arg, e);
    for (const struct xml_node *c = root->child; c != NULL; c = c->next) {
        if (!is_event(c))
            continue;
        if (evlog_parse_node(c, cb, arg, e) < 0)
            return -1;
        any = true;
    }
    return any ? 0 : err_set(e, ERR_INVALID, 0, "XML, but no Event in it");
}
