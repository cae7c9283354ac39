#!/usr/bin/python3 -B
"""behaviours.py DIR N -- does the stand-in do what README.md says? TAP, numbered from N + 1."""
import base64
import hashlib
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time

from client import E, FLAGS, IDENTIFY, N, QUERY, Client, envelope

DIR, tap = sys.argv[1], int(sys.argv[2])
HERE = os.path.dirname(os.path.realpath(__file__))
HOST, CA = os.environ['WINRM_HOST'], os.environ['WINRM_CA']
HTTP, HTTPS = (int(os.environ[n].rpartition(':')[2].partition('/')[0]) for n in ('WINRM_HTTP', 'WINRM_HTTPS'))
EVENTQUERY = 'http://schemas.microsoft.com/win/2004/08/events/eventquery'
PULL_MODE = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/Pull'
EARLIEST = 'http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest'


def ok(good, name, *why):
    global tap
    tap += 1
    print(f'{"ok" if good else "not ok"} {tap} - {name}', flush=True)
    for w in () if good else why:
        print('#   ' + str(w).replace('\n', ' ')[:600])


def order(what):
    r = subprocess.run([HERE + '/../order', DIR, json.dumps(what)], capture_output=True, text=True, check=False)
    if r.returncode:
        raise RuntimeError(r.stderr)
    return json.loads(r.stdout) if r.stdout else None


def fresh():
    order({'reset': 1})


def connect(**how):
    c = Client(HOST, HTTP)
    assert c.login(**how) == 200
    return c


def refused(text):
    """The newest violation says so; and the list is emptied."""
    seen = order({'get': 'violations'})
    order({'clear': 'violations'})
    return bool(seen) and re.search(text, seen[-1]['why']) is not None


def code(answer):
    """HTTP status and innermost number of a fault."""
    found = re.findall(r'WSManFault Code="(\d+)"', answer[1])
    return answer[0], int(found[-1]) if found else 0


def subscribe(c, inner=None, options='', bookmark='', heart='PT0.3S', mode=PULL_MODE, query=QUERY, send='<w:SendBookmarks/>',
              action=E + '/Subscribe', **how):
    body = inner or (f'<e:Subscribe><e:Delivery Mode="{mode}"><w:Heartbeats>{heart}</w:Heartbeats><w:Locale xml:lang="en-US"/>'
                     '<p:DataLocale xml:lang="en-US"/><w:ContentEncoding>UTF-8</w:ContentEncoding></e:Delivery>'
                     f'<e:Expires>PT24H</e:Expires><w:Filter Dialect="{EVENTQUERY}">{query}</w:Filter>{bookmark}{send}</e:Subscribe>')
    header = f'<w:OptionSet>{options}</w:OptionSet>' if options else ''
    return c.call(envelope(c.url, action, body, header, **how))


def context(answer):
    return re.search('EnumerationContext>(.*?)<', answer[1])[1]


def pull(c, ctx, timeout=0.3, count=100, **how):
    return c.call(envelope(c.url, N + '/Pull', f'<n:Pull><n:EnumerationContext>{ctx}</n:EnumerationContext>'
                           f'<n:MaxElements>{count}</n:MaxElements></n:Pull>', timeout=timeout, **how))


def ids(answer):
    return [int(x) for x in re.findall(r'<EventID>(\d+)', answer[1])]


def mark(n, channel='Security'):
    return f'<w:Bookmark><BookmarkList><Bookmark Channel="{channel}" RecordId="{n}" IsCurrent="true"/></BookmarkList></w:Bookmark>'


def sealed_form():
    c = connect()
    for how in ({}, {'tab': '\t'}, {'charset': 'UTF-16'}):
        status, xml = c.call(IDENTIFY, **how)
        ok(status == 200 and 'OS: 10.0' in xml, f'a sealed Identify {how or ""}', status, xml)
    k = connect(scheme='Kerberos')
    status, xml = k.call(IDENTIFY)
    ok(status == 200 and 'OS: 10.0' in xml, 'the same with raw Kerberos', status, xml)
    ok(order({'get': 'violations'}) == [], 'none of that is a violation', order({'get': 'violations'}))

    def spoiled(name, why, change, status=400, **how):
        v = connect()
        kind, body = v.seal(IDENTIFY, **how)
        kind, body = change(kind, body) if change else (kind, body)
        try:
            got = v.post(body, kind)[0]
        except ConnectionError:
            got = 'closed'
        ok(got == status and refused(why), f'refused: {name}', got)
        v.close()

    spoiled('a token made by gss_wrap', 'RRC 0', None, wrap=True)
    spoiled('another Length', 'Length=', None, length=5)
    spoiled('another boundary', 'Content-Type', None, boundary='Other')
    spoiled('an empty line after the part headers', 'token of', lambda k, b: (k, b.replace(b'octet-stream\r\n', b'octet-stream\r\n\r\n')))
    spoiled('CRLF before the end', 'unsealing', lambda k, b: (k, b.replace(b'--Encrypted Boundary--', b'\r\n--Encrypted Boundary--')))
    spoiled('a TAB in one place only', 'TAB', lambda k, b: (k, b.replace(b'\r\nOriginal', b'\r\n\tOriginal')))
    spoiled('bare LF', 'not the form', lambda k, b: (k, b.replace(b'\r\nOriginal', b'\nOriginal')))
    spoiled('no end', 'ends with', lambda k, b: (k, b[:-4]))
    spoiled('a changed byte', 'unsealing', lambda k, b: (k, b[:-30] + bytes([b[-30] ^ 1]) + b[-29:]))
    spoiled('the other scheme\'s protocol', 'Content-Type', lambda k, b: (k.replace('SPNEGO', 'Kerberos'), b.replace(b'SPNEGO', b'Kerberos')))
    spoiled('CredSSP\'s form', 'Content-Type', lambda k, b: (k.replace('multipart/encrypted', 'multipart/x-multi-encrypted'), b))
    v = connect()
    v.seal(IDENTIFY)
    kind, body = v.seal(IDENTIFY)
    ok(v.post(body, kind)[0] == 400 and refused('unsealing'), 'refused: a message out of sequence')
    v = connect()
    kind, body = v.seal(IDENTIFY)
    first, again = v.post(body, kind)[0], v.post(body, kind)[0]
    ok((first, again) == (200, 400) and refused('unsealing'), 'refused: a message that was seen before')
    v = connect()
    kind, body = v.seal(IDENTIFY)
    other = Client(HOST, HTTP)
    status, headers, _ = other.post(body, kind)
    ok(status == 401 and [h[1] for h in headers if h[0] == 'www-authenticate'] == ['Negotiate', 'Kerberos'] and
       refused('without a login'), 'refused: sealed, on a connection without a login')


def logins():
    c = Client(HOST, HTTP)
    soap_type = 'Content-Type: application/soap+xml;charset=UTF-8'
    ok(c.post(b'')[0] == 401 and order({'get': 'violations'}) == [], 'an empty POST: 401, and no violation')
    ok(c.post(IDENTIFY.encode(), soap_type)[0] == 401 and refused('in clear'), 'refused: SOAP in clear')
    c = connect()
    ok(c.post(IDENTIFY.encode(), soap_type)[0] == 500 and refused('in clear'), 'refused: SOAP in clear after a login')
    c = Client(HOST, HTTP)
    status, _, body = c.post(IDENTIFY.encode(), soap_type, 'WSMANIDENTIFY: unauthenticated')
    ok(status == 200 and b'OS: 0.0.0' in body, 'Identify without a login tells no version', status, body)
    for drop, flag in (('sequence', 8), ('replay', 4), ('mutual', 2)):
        c = Client(HOST, HTTP)
        ok(c.login(flags=FLAGS & ~flag) == 401 and refused('flags|login'), f'refused: a login without {drop}')
    c = Client(HOST, HTTP)
    ok(c.login(flags=FLAGS | 0x1000) == 401 and refused('DCE_STYLE|login'), 'refused: DCE_STYLE')
    c = Client(HOST, HTTP)
    ok(c.post(b'', 'Authorization: Negotiate ' + base64.b64encode(b'NTLMSSP\0\1\0\0\0').decode())[0] == 401 and
       refused('neither'), 'refused: NTLM')
    ok(c.post(b'', 'Authorization: Basic YTpi')[0] == 401 and refused('not offered'), 'refused: Basic')
    for name, raw, status in (
            ('no Content-Length', b'POST /wsman HTTP/1.1\r\nHost: x\r\n\r\n', 411),
            ('chunks', b'POST /wsman HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 411),
            ('Expect', b'POST /wsman HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n', 400),
            ('GET', b'GET /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', 405),
            ('another path', b'POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n', 404),
            ('too large', b'POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n', 413)):
        c = Client(HOST, HTTP)
        ok(c.post(b'', raw=raw)[0] == status and refused('.'), f'refused: {name}: {status}')
    c = connect()
    order({'logout': 1})
    kind, body = c.seal(IDENTIFY)
    ok(c.post(body, kind)[0] == 401, 'a login can be forgotten')
    fresh()
    order({'set': {'idle_ms': 50}})
    c = connect()
    time.sleep(0.2)
    try:
        c.call(IDENTIFY)
        ok(False, 'an idle connection is closed')
    except (ConnectionError, BrokenPipeError):
        ok(True, 'an idle connection is closed')
    fresh()
    end = end_point()
    for cbt, binding, status in (('Relaxed', None, 200), ('Relaxed', end, 200), ('Relaxed', b'tls-server-end-point:x', 401), ('Strict', None, 401),
                                 ('Strict', end, 200), ('None', b'tls-server-end-point:x', 200)):
        order({'set': {'cbt': cbt}})
        c = Client(HOST, HTTPS, CA)
        got = c.login(binding=binding)
        good = got == status and (got == 401 or 'OS: 10' in c.call(IDENTIFY)[1])
        ok(good and (got == 200) != refused('binding'), f'channel binding {binding and ("right" if binding == end else "wrong")}, {cbt}: {status}', got)
    fresh()
    c = Client(HOST, HTTPS, CA, os.environ['WINRM_CLIENT'])
    mutual = 'Authorization: http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual'
    ok(c.post(IDENTIFY.encode(), soap_type, mutual)[0] == 401 and refused('mapping'), 'refused: a client certificate without a mapping')
    order({'set': {'certificate_users': {'svc-cordon@corp.example.com': 'svc-cordon@CORP.EXAMPLE.COM'}}})
    ok(c.post(IDENTIFY.encode(), soap_type, mutual)[0] == 200, 'a client certificate with one')
    fresh()


def end_point():
    with open(CA, encoding='ascii'):
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((HOST, HTTPS)))
    return b'tls-server-end-point:' + hashlib.sha256(der).digest()


def envelopes():
    c = connect()
    url, good = c.url, '<e:Unsubscribe/>'

    def fault(name, want, xml):
        got = code(c.call(xml))
        ok(got == (500, want) and refused('.'), f'fault {want}: {name}', got)

    act = E + '/Unsubscribe'
    for h in ('To', 'ReplyTo', 'Action', 'MessageID', 'ResourceURI'):
        xml = envelope(url, act, good, leave_out=(h,))
        fault(f'no {h}', 2150858769, xml)
    fault('a header that must be understood', 2150858768, envelope(url, act, good, '<x xmlns="urn:x" s:mustUnderstand="true"/>'))
    fault('ReplyTo elsewhere', 2150858767, envelope(url, act, good).replace('role/anonymous', 'role/other'))
    fault('MaxEnvelopeSize too small', 2150858878, envelope(url, act, good, size=4096))
    fault('another resource', 2150858811, envelope(url, act, good, resource='urn:other'))
    fault('Enumerate', 2150858753, envelope(url, N + '/Enumerate', '<n:Enumerate/>'))
    fault('Get', 2150858753, envelope(url, 'http://schemas.xmlsoap.org/ws/2004/09/transfer/Get', ''))
    fault('Renew', 2150858788, envelope(url, E + '/Renew', '<e:Renew/>'))
    fault('DOCTYPE', 2150858817, '<!DOCTYPE x>' + envelope(url, act, good))
    fault('no envelope', 2150858817, '<x/>')
    same = 'uuid:8F0C2D4E-0000-4000-8000-00000000000' + str(os.getpid() % 10)
    c.call(envelope(url, act, good, message_id=same))
    order({'clear': 'violations'})
    fault('MessageID again', 2150858767, envelope(url, act, good, message_id=same))
    status, xml = subscribe(c)
    ok(status == 200 and 'RelatesTo' in xml, 'the same connection still works', xml)


def subscriptions():
    order({'restart': {}})
    c = connect()
    pat = 'S-1-5-21-1-2-3-'
    delivery = f'<e:Delivery Mode="{PULL_MODE}"/>'
    flt = f'<w:Filter Dialect="{EVENTQUERY}">{QUERY}</w:Filter>'

    def fault(name, want, answer, blame=True):
        got = code(answer)
        ok(got == (500, want) and refused('.') == blame, f'fault {want}: {name}', got, answer[1])

    fault('another mode', 2150859007, subscribe(c, mode='http://schemas.xmlsoap.org/ws/2004/08/eventing/DeliveryModes/Push'))
    fault('elements out of order', 2150858817, subscribe(c, inner=f'<e:Subscribe>{flt}{delivery}</e:Subscribe>'))
    fault('no Delivery', 2150858817, subscribe(c, inner=f'<e:Subscribe>{flt}</e:Subscribe>'))
    fault('no Filter', 2150859015, subscribe(c, inner=f'<e:Subscribe>{delivery}</e:Subscribe>'))
    fault('QueryList in a namespace', 15008, subscribe(c, query=QUERY.replace('<QueryList', '<QueryList xmlns="urn:x"')))
    fault('a channel that is not there', 15007, subscribe(c, query=QUERY.replace("'Security'", "'Nothing'")))
    fault('a query that is none', 15001, subscribe(c, query=QUERY.replace('[System', '[System[')))
    fault('too many comparisons', 15001, subscribe(c, query="<QueryList><Query Id='0'><Select Path='Security'>*[System[" + ' or '.join(
        f'EventID={n}' for n in range(4700, 4730)) + ']]</Select></Query></QueryList>'))
    fault('an option unknown', 2150858809, subscribe(c, options='<w:Option Name="X">1</w:Option>'))
    fault('a bookmark in a namespace', 2150858808, subscribe(c, bookmark=mark(1).replace('<BookmarkList', '<BookmarkList xmlns="urn:x"')))
    fault('a heartbeat that is none', 2150858916, subscribe(c, heart='5'))
    order({'set': {'channel_readers': {'Security': ['nobody']}}})
    fault('the channel\'s ACL', 5, subscribe(c), blame=False)
    order({'set': {'channel_readers': {'Security': ['*']}, 'readers': ['nobody']}})
    fault('the plug-in\'s ACL', 5, subscribe(c), blame=False)
    fresh()
    subscribe(c, options='<w:Option Name="IgnoreChannelError">true</w:Option>')
    ok(refused('IgnoreChannelError'), 'IgnoreChannelError is a violation')
    fresh()
    order({'set': {'operations_per_user': 2}})
    both = subscribe(c), subscribe(c)
    fault('one subscription too many', 2150859240, subscribe(c), blame=False)
    fresh()

    a = subscribe(c)
    ident = re.search('Identifier>(.*?)<', a[1])[1]
    ok('PT0.000S' in a[1] and both, 'Expires is PT0.000S')
    quiet = pull(c, context(a))
    ok(quiet[0] == 200 and '<n:Items/>' in quiet[1] and 'Bookmark' not in quiet[1], 'quiet: an empty list, no bookmark', quiet)
    ok(context(quiet) != context(a), 'each answer has a context of its own')
    fault('a context used before', 2150858760, pull(c, context(a)))
    first = order({'add': [{'id': 4725, 'target': 'alice', 'target_sid': pat + '1'},
                           {'id': 4738, 'target_sid': pat + '1', 'old_uac': 512, 'new_uac': 66050},
                           {'id': 4738, 'target_sid': pat + '2', 'password_last_set': '%%1794'}]})[0]
    got = pull(c, context(quiet))
    ok(ids(got) == [4725, 4738, 4738] and f'RecordId="{first + 2}"' in got[1].partition('Body')[0], 'events, and a bookmark in the header', got)
    ok("OldUacValue'>0x10<" in got[1] and "NewUacValue'>0x211<" in got[1] and re.search(r'%%2080\s+%%2089', got[1]) is not None and '%%1794' in got[1],
       'account flags are SAM\'s, and their codes', got)
    after = c.call(envelope(c.url, E + '/Unsubscribe', '<e:Unsubscribe/>', f'<e:Identifier>{ident}</e:Identifier>'))
    ok(after[0] == 200 and order({'get': 'subscriptions'}) == [], 'Unsubscribe', after)
    got = pull(c, context(subscribe(c, bookmark=mark(first))))
    ok(ids(got) == [4738, 4738], 'from a bookmark', ids(got))
    got = pull(c, context(subscribe(c, bookmark=mark(first, 'ForwardedEvents'))))
    ok(ids(got)[:3] == [4725, 4738, 4738], 'a channel that the bookmark lacks comes from its beginning', ids(got))
    got = pull(c, context(subscribe(c, bookmark=f'<w:Bookmark>{EARLIEST}</w:Bookmark>')), count=1)
    ok(ids(got) == [4725], 'earliest, one a Pull', ids(got))
    got = pull(c, context(subscribe(c, options='<w:Option Name="ReadExistingEvents">true</w:Option>')))
    ok(len(ids(got)) == 3, 'ReadExistingEvents', ids(got))
    got = pull(c, context(subscribe(c, bookmark=mark(first - 1), send='')))
    ok('Bookmark' not in got[1], 'no SendBookmarks, no bookmark', got)
    text = QUERY.replace('<', '&lt;').replace('>', '&gt;')
    ok(subscribe(c, query=text)[0] == 200, 'a query as text')
    for condition, n in ((f"*[System[EventID=4738]][EventData[Data[@Name='TargetSid']='{pat}2']]", 1),
                         (f"*[System[(EventID=4725 or EventID=4738)] and EventData[Data[@Name='TargetSid']='{pat}1']]", 2),
                         ('*[System[TimeCreated[timediff(@SystemTime) &lt;= 86400000]]]', 3),
                         ("*[System[TimeCreated[@SystemTime>='2099-01-01T00:00:00.000Z']]]", 0),
                         ("*[System[Provider[@Name='Another'] or Level=4]]", 0), ('*', 3)):
        got = pull(c, context(subscribe(c, bookmark=f'<w:Bookmark>{EARLIEST}</w:Bookmark>', query=(
            f"<QueryList><Query Id='0'><Select Path='Security'>{condition}</Select></Query></QueryList>"))))
        ok(len(ids(got)) == n, f'{condition} finds {n}', ids(got))
    got = pull(c, context(subscribe(c, heart='PT9S')), timeout=0.1)
    ok(code(got) == (500, 2150858793), 'the long poll ends before the heartbeat: TimedOut', got)
    a = subscribe(c, heart='PT0.05S')
    time.sleep(0.1)
    fault('no Pull within the heartbeat', 2150858762, pull(c, context(a)))
    a = subscribe(c)
    order({'expire': {'code': 2150858907}})
    fault('expired by order', 2150858907, pull(c, context(a)), blame=False)
    order({'roll': {'keep': 1}})
    fault('the log has rolled over', 15011, subscribe(c, bookmark=mark(first)), blame=False)
    order({'restart': {}})
    fault('a bookmark ahead of the log', 15012, subscribe(c, bookmark=mark(first)), blame=False)
    fresh()
    a, d = subscribe(c, heart='PT5S'), connect()
    answers = []
    t = threading.Thread(target=lambda: answers.append(pull(c, context(a), timeout=5)))
    t.start()
    order({'wait': {'op': 'Pull'}})
    fault('a second Pull on the context', 2150858758, pull(d, context(a)))
    begun = time.monotonic()
    order({'add': [{'id': 4725}]})
    t.join()
    ok(ids(answers[0]) == [4725] and time.monotonic() - begun < 2, 'a waiting Pull returns with the first event', answers)
    fresh()


def misbehaviour():
    events = [{'id': 4725, 'target_sid': 'S-1-5-21-1-2-3-9'}, {'id': 4738, 'target_sid': 'S-1-5-21-1-2-3-9', 'old_uac': 512, 'new_uac': 514}]
    for name, do, good in (
            ('TAB', {'tab': True}, None), ('blank after the dashes', {'dashes': True, 'crlf': True}, None), ('header case', {'headerCase': True}, None),
            ('UTF-16', {'charset': 'UTF-16'}, None), ('UTF-16 with a BOM', {'charset': 'UTF-16', 'bom': True}, None),
            ('segments', {'segments': 7}, None),
            ('other prefixes', {'prefixes': True}, lambda x: '<wsen:PullResponse>' in x and 'xmlns:wsen=' in x),
            ('a default namespace', {'prefixes': {'n': ''}}, lambda x: '<PullResponse>' in x and 'BookmarkList xmlns=""' in x),
            ('order swapped', {'events': {'swap': True}}, lambda x: ids((0, x)) == [4738, 4725]),
            ('an event broken', {'events': {'broken': 'event'}}, lambda x: '<EventID>x</EventID>' in x),
            ('the envelope broken', {'events': {'broken': 'envelope'}}, lambda x: x.count('<System>') != x.count('</System>')),
            ('another RelatesTo', {'relatesTo': 'uuid:0'}, lambda x: 'RelatesTo>uuid:0<' in x),
            ('words replaced', {'replace': [['4725', '4726']]}, lambda x: ids((0, x)) == [4726, 4738])):
        c = connect()
        a = subscribe(c)
        order({'add': events})
        order({'fault': {'match': {'op': 'Pull'}, 'do': do}})
        got = pull(c, context(a))
        ok(got[0] == 200 and (good or (lambda x: ids((0, x)) == [4725, 4738]))(got[1]), f'on order: {name}', got)
        c.close()
        fresh()
    for name, do, wanted in (
            ('403', {'status': 403}, 403), ('503', {'status': 503}, 503), ('413', {'status': 413}, 413), ('access denied', {'fault': 5}, 500),
            ('closed without an answer', {'cut': 'before'}, 'closed'), ('cut amid the answer', {'cut': 'body'}, 'closed'),
            ('cut amid the headers', {'cut': 'headers'}, 'closed'), ('a changed byte', {'corrupt': True}, 'unsealed'),
            ('an answer out of sequence', {'gap': True}, 'unsealed'), ('an answer in clear', {'plain': True}, 200),
            ('another Length', {'wrongLength': 1}, 'unsealed')):
        c = connect()
        order({'fault': {'match': {'op': 'Identify'}, 'do': do}})
        try:
            got = c.call(IDENTIFY)[0]
        except ConnectionError:
            got = 'closed'
        except Exception as e:  # noqa: BLE001: what unsealing throws
            got = 'unsealed' if 'GSSError' in repr(type(e).__mro__) or isinstance(e, AssertionError) else e
        ok(got == wanted, f'on order: {name}', got)
        ok(order({'get': 'faults'}) == [] or order({'get': 'faults'})[0]['used'] == 1, 'and it was used')
        fresh()
    c = connect()
    c.sock.settimeout(0.3)
    order({'fault': {'match': {'op': 'Subscribe'}, 'do': {'hang': True}}})
    try:
        subscribe(c)
        ok(False, 'on order: hang')
    except TimeoutError:
        ok(True, 'on order: hang')
    fresh()
    c = connect()
    order({'set': {'duplicates': 1}})
    order({'add': events})
    last = order({'get': 'records'})[-1]['record']
    got = pull(c, context(subscribe(c, bookmark=mark(last))))
    ok(ids(got) == [4738], 'on order: a batch again after a new subscription', ids(got))
    fresh()
    order({'add': events * 250})
    got = pull(c, context(subscribe(c, bookmark=f'<w:Bookmark>{EARLIEST}</w:Bookmark>')), count=10000)
    ok(0 < len(ids(got)) < 500 and len(got[1]) <= 512000, 'an answer keeps within MaxEnvelopeSize', len(ids(got)), len(got[1]))
    order({'fault': {'match': {'op': 'Pull'}, 'do': {'events': {'oversize': True}}}})
    got = pull(c, context(subscribe(c, bookmark=f'<w:Bookmark>{EARLIEST}</w:Bookmark>')), count=500)
    ok(len(ids(got)) == 500, 'on order: 500 events in one answer', len(ids(got)))
    fresh()
    order({'add': [{'id': 4725, 'delay': 300}]})
    a, begun = subscribe(c, heart='PT5S', bookmark=mark(order({'get': 'records'})[-2]['record'])), time.monotonic()
    got = pull(c, context(a), timeout=5)
    ok(ids(got) == [4725] and time.monotonic() - begun > 0.1, 'an event that comes late', ids(got))
    for bad in ({'set': {'nothing': 1}}, {'fault': {'match': {'path': 'x'}, 'do': {'status': 500}}}, {'fault': {'do': {'statsu': 1}}}, {'add': [{'id': 1}]},
                {'nothing': 1}, {'clear': 'settings'}):
        try:
            order(bad)
            ok(False, f'refused: order {bad}')
        except RuntimeError:
            ok(True, f'refused: order {bad}')
    ok(order({'get': 'violations'}) == [], 'what is done on order is no violation', order({'get': 'violations'}))


fresh()
sealed_form()
fresh()
logins()
envelopes()
fresh()
subscriptions()
misbehaviour()
