"""Envelopes: read with every rule that Windows has for them, and written; faults.

What is read is refused by raising Fault; the caller keeps most of these as violations.
"""
import re
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

NS = {
    's': 'http://www.w3.org/2003/05/soap-envelope',
    'a': 'http://schemas.xmlsoap.org/ws/2004/08/addressing',
    'n': 'http://schemas.xmlsoap.org/ws/2004/09/enumeration',
    'e': 'http://schemas.xmlsoap.org/ws/2004/08/eventing',
    'w': 'http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd',
    'p': 'http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd',
    'x': 'http://schemas.xmlsoap.org/ws/2004/09/transfer',
    'rsp': 'http://schemas.microsoft.com/wbem/wsman/1/windows/shell',
    'f': 'http://schemas.microsoft.com/wbem/wsman/1/wsmanfault',
    'ev': 'http://schemas.microsoft.com/win/2004/08/events/event',
    'wid': 'http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd',
}
ANONYMOUS = NS['a'] + '/role/anonymous'
OTHER_PREFIXES = {'s': 'SOAP-ENV', 'a': 'wsa', 'n': 'wsen', 'e': 'wse', 'w': 'wsman', 'p': 'q1',
                  'x': 'wst', 'rsp': 'sh', 'f': 'g', 'wid': 'id'}


def name(qname):
    """'n:Pull' as ElementTree has it."""
    prefix, _, local = qname.rpartition(':')
    return f'{{{NS[prefix]}}}{local}' if prefix else local


class Fault(Exception):
    """What is answered instead. `honest`: no mistake of the client's, so no violation."""

    def __init__(self, code, why=None, subcode=None, outer=None, honest=False):
        known = FAULTS.get(code, ('w:InternalError', 'refused'))
        self.code, self.outer, self.honest = code, outer, honest
        self.subcode = subcode or known[0]
        self.why = why or known[1]
        super().__init__(f'{code}: {self.why}')


TIMED_OUT, DENIED = 2150858793, 5
BAD_QUERY, BAD_QUERY_XML, NO_CHANNEL, STALE = 15001, 15008, 15007, 15011
FAULTS = {
    TIMED_OUT: ('w:TimedOut', 'The WS-Management service cannot complete the operation within the time specified in OperationTimeout.'),
    DENIED: ('w:AccessDenied', 'Access is denied.'),
    BAD_QUERY: ('e:FilteringRequestedUnavailable', 'The specified query is invalid.'),
    BAD_QUERY_XML: ('e:FilteringRequestedUnavailable', 'The specified xml text was not well-formed.'),
    NO_CHANNEL: ('w:InternalError', 'The specified channel could not be found.'),
    STALE: ('w:InternalError', 'The query result is stale: the log was cleared or rolled over.'),
    15012: ('w:InternalError', 'The query result is at an invalid position.'),
    2150858753: ('a:ActionNotSupported', 'The action is not supported by the service.'),
    2150858758: ('w:Concurrency', 'A Pull is running on this context.'),
    2150858760: ('n:InvalidEnumerationContext', 'The subscription is closed.'),
    2150858762: ('n:InvalidEnumerationContext', 'The client has not called within the heartbeat.'),
    2150858767: ('a:InvalidMessageInformationHeader', 'A header is not valid.'),
    2150858768: ('s:MustUnderstand', 'A header that has to be understood is not.'),
    2150858769: ('a:MessageInformationHeaderRequired', 'A required header is missing.'),
    2150858783: ('e:UnsupportedExpirationType', 'The expiration is not valid.'),
    2150858788: ('e:UnableToRenew', 'The subscription could not be renewed.'),
    2150858808: ('w:InvalidBookmark', 'The bookmark is not valid.'),
    2150858809: ('w:InvalidOptions', 'Options are not accepted.'),
    2150858811: ('a:DestinationUnreachable', 'The resource URI is not known.'),
    2150858813: ('w:InvalidSelectors', 'The selectors are not valid for the resource.'),
    2150858815: ('w:QuotaLimit', 'A quota is exceeded.'),
    2150858817: ('w:SchemaValidationError', 'The SOAP XML does not match the schema definition.'),
    2150858823: ('w:EncodingLimit', 'The answer is larger than MaxEnvelopeSize.'),
    2150858843: ('w:InvalidSelectors', 'The request has selectors that are unexpected: the shell was not found on the server.'),
    2150858878: ('w:EncodingLimit', 'MaxEnvelopeSize is too small.'),
    2150858907: ('n:InvalidEnumerationContext', 'The subscription was closed by the remote host.'),
    2150858910: ('n:InvalidEnumerationContext', 'The event source has closed the subscription.'),
    2150858916: ('e:InvalidMessage', 'The heartbeat is not valid.'),
    2150859007: ('e:DeliveryModeRequestedUnavailable', 'The delivery mode is not supported.'),
    2150859015: ('e:FilteringRequestedUnavailable', 'The filter or its dialect is not accepted.'),
    2150859173: ('w:QuotaLimit', 'Too many shells of this user.'),
    2150859180: ('w:AccessDenied', 'Remote shells are not allowed.'),
    2150859240: ('w:QuotaLimit', 'Too many operations of this user on the plug-in.'),
    995: ('w:InternalError', 'The I/O operation has been aborted.'),
}
SCHEMA, NO_HEADER, BAD_HEADER = 2150858817, 2150858769, 2150858767


# --- durations -------------------------------------------------------------------------------

DURATION = re.compile(r'P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z')


def seconds(text):
    """Of an xs:duration without years and months; None if it is none."""
    m = DURATION.match((text or '').strip())
    if m is None or not any(m.groups()):
        return None
    d, h, mi, s = (float(g or 0) for g in m.groups())
    return ((d * 24 + h) * 60 + mi) * 60 + s


# --- reading ---------------------------------------------------------------------------------

def parse(text):
    if '<!DOCTYPE' in text or '<!ENTITY' in text:
        raise Fault(SCHEMA, 'a DOCTYPE')
    try:
        return ET.fromstring(text)
    except ET.ParseError as e:
        raise Fault(SCHEMA, f'not XML: {e}') from e


class Envelope:
    """One request. UNDERSTOOD: the headers we know, by how often they may occur."""

    UNDERSTOOD = {'a:To', 'a:ReplyTo', 'a:Action', 'a:MessageID', 'a:FaultTo', 'a:From',
                  'w:ResourceURI', 'w:SelectorSet', 'w:OptionSet', 'w:MaxEnvelopeSize', 'w:Locale',
                  'w:OperationTimeout', 'w:Bookmark', 'p:DataLocale', 'p:SessionId', 'e:Identifier'}
    NEEDED = ('a:To', 'a:Action', 'a:MessageID', 'a:ReplyTo', 'w:ResourceURI')

    def __init__(self, text):
        self.text = text
        self.root = parse(text)
        if self.root.tag != name('s:Envelope'):
            raise Fault(SCHEMA, f'{self.root.tag} is no SOAP 1.2 envelope')
        parts = [c.tag for c in self.root]
        if parts not in ([name('s:Header'), name('s:Body')], [name('s:Body')]):
            raise Fault(SCHEMA, f'in the envelope: {parts}')
        self.header = self.root.find(name('s:Header'))
        self.body = self.root.find(name('s:Body'))
        self.message_id = self.text_of('a:MessageID') or None

    @property
    def identify(self):
        return len(self.body) == 1 and self.body[0].tag == name('wid:Identify')

    def find(self, qname):
        return None if self.header is None else self.header.find(name(qname))

    def text_of(self, qname):
        e = self.find(qname)
        return '' if e is None or e.text is None else e.text.strip()

    @property
    def action(self):
        return self.text_of('a:Action')

    @property
    def resource(self):
        return self.text_of('w:ResourceURI')

    def operation_s(self, default=60.0):
        t = self.text_of('w:OperationTimeout')
        return seconds(t) if t else default

    def options(self):
        s = self.find('w:OptionSet')
        return {} if s is None else {o.get('Name', ''): (o.text or '').strip() for o in s}

    def selectors(self):
        s = self.find('w:SelectorSet')
        return {} if s is None else {o.get('Name', '').lower(): (o.text or '').strip() for o in s}

    def element(self, qname):
        """The only child of the body, which has to be this."""
        if [c.tag for c in self.body] != [name(qname)]:
            raise Fault(SCHEMA, f'in the body: {[c.tag for c in self.body]}, not {qname}')
        return self.body[0]

    def check(self):
        """Headers, as strict as Windows; a Fault for the first that is wrong."""
        if self.header is None:
            raise Fault(NO_HEADER, 'no Header')
        tags = [h.tag for h in self.header]
        understood = {name(n) for n in self.UNDERSTOOD}
        for h in self.header:
            must = h.get(name('s:mustUnderstand'), 'false')
            if must not in ('true', 'false', '1', '0'):
                raise Fault(SCHEMA, f'mustUnderstand="{must}"')
            if h.tag not in understood and must in ('true', '1'):
                raise Fault(2150858768, f'header {h.tag}')
        for n in self.NEEDED:
            if tags.count(name(n)) > 1:
                raise Fault(BAD_HEADER, f'{n} twice')
            if name(n) not in tags:
                raise Fault(NO_HEADER, f'no {n}')
        to = self.find('a:ReplyTo').findtext(name('a:Address'), '').strip()
        if to != ANONYMOUS:
            raise Fault(BAD_HEADER, f'ReplyTo {to!r} is not anonymous')
        if not re.match(r'https?://[^/]+/wsman\Z', self.text_of('a:To')):
            raise Fault(BAD_HEADER, f'To {self.text_of("a:To")!r}')
        if not re.match(r'(urn:)?uuid:[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z', self.message_id or ''):
            raise Fault(BAD_HEADER, f'MessageID {self.message_id!r}')
        size = self.text_of('w:MaxEnvelopeSize')
        if size and (not size.isdigit() or int(size) < 8192):
            raise Fault(2150858878, f'MaxEnvelopeSize {size}')
        if self.operation_s() is None:
            raise Fault(BAD_HEADER, f'OperationTimeout {self.text_of("w:OperationTimeout")!r}')
        for what, inner in (('w:OptionSet', 'w:Option'), ('w:SelectorSet', 'w:Selector')):
            for o in self.find(what) if self.find(what) is not None else ():
                if o.tag != name(inner) or not o.get('Name'):
                    raise Fault(SCHEMA, f'{o.tag} in {what}')

    def max_envelope(self):
        return int(self.text_of('w:MaxEnvelopeSize') or 512000)


# --- writing ---------------------------------------------------------------------------------

class Raw(str):
    """XML that is there already."""


def el(qname, *children, **attrs):
    """An element. Attributes `s_x` belong to namespace s, `xml_lang` to xml."""
    return (qname, attrs, children)


class Writer:
    def __init__(self, prefixes=None):
        self.map = {p: p for p in NS}
        self.map.update(OTHER_PREFIXES if prefixes is True else prefixes or {})
        self.used = {'s', 'a', 'w', 'p'}

    def q(self, qname):
        prefix, _, local = qname.rpartition(':')
        if not prefix:
            return local
        self.used.add(prefix)
        return f'{self.map[prefix]}:{local}' if self.map[prefix] else local

    def write(self, node):
        if isinstance(node, Raw):
            return str(node)
        if isinstance(node, str):
            return escape(node)
        qname, attrs, children = node
        tag = self.q(qname)
        out = [f'<{tag}']
        if ':' not in qname and '' in self.map.values():
            out.append(' xmlns=""')
        for k, v in attrs.items():
            if v is None:
                continue
            prefix, _, local = k.partition('_')
            out.append(f' {f"{self.map.get(prefix, prefix)}:{local}" if local else k}={quoteattr(str(v))}')
        inner = ''.join(self.write(c) for c in children)
        return ''.join(out) + (f'>{inner}</{tag}>' if inner else '/>')

    def qvalue(self, qname):
        """A QName as text."""
        return self.q(qname)

    def envelope(self, headers, body):
        h = self.write(el('s:Header', *headers)) if headers else ''
        b = self.write(el('s:Body', *body))
        xmlns = ''.join(f' xmlns{":" if self.map[p] else ""}{self.map[p]}="{NS[p]}"' for p in sorted(self.used))
        tag = self.q('s:Envelope')
        return f'<{tag} xml:lang="en-US"{xmlns}>{h}{b}</{tag}>'


def answer(w, action, relates_to, body, headers=()):
    return w.envelope([el('a:Action', action), el('a:MessageID', f'uuid:{str(uuid.uuid4()).upper()}'),
                       *([el('a:To', ANONYMOUS)]), *([el('a:RelatesTo', relates_to)] if relates_to else []),
                       *headers], body)


def fault_answer(w, fault, relates_to, machine):
    prefix = fault.subcode.partition(':')[0]
    action = {'a': NS['a'] + '/fault', 'n': NS['n'] + '/fault', 'e': NS['e'] + '/fault'}.get(
        prefix, 'http://schemas.dmtf.org/wbem/wsman/1/wsman/fault')
    sender = 's:Receiver' if prefix in ('w', 's') and fault.subcode in ('w:InternalError', 'w:TimedOut') else 's:Sender'
    message = [fault.why]
    code = fault.code
    if fault.outer:
        message = [el('f:ProviderFault', el('f:WSManFault', el('f:Message', fault.why), Code=code, Machine=machine),
                      provider='Event Forwarding Plugin', path='%systemroot%\\system32\\wevtfwd.dll')]
        code = fault.outer
    elif code == TIMED_OUT:
        message = [fault.why]
    detail = [el('f:WSManFault', el('f:Message', *message), Code=code, Machine=machine)] if code else []
    top = 's:MustUnderstand' if fault.subcode == 's:MustUnderstand' else sender
    sub = [] if top == fault.subcode else [el('s:Subcode', el('s:Value', w.qvalue(fault.subcode)))]
    return answer(w, action, relates_to, [el('s:Fault', el('s:Code', el('s:Value', w.qvalue(top)), *sub),
                                             el('s:Reason', el('s:Text', fault.why, xml_lang='en-US')),
                                             el('s:Detail', *detail))])
