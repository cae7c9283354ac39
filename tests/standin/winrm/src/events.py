"""Security events, made from the real ones in tests/data/events: only who, whom, when, where, the
account flags and their codes are put in. Written as they come over the wire: one line, single quotes.
"""
import datetime
import os
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

DATA = os.path.join(os.path.dirname(os.path.realpath(__file__)), '../../../data/events')
NS = '{http://schemas.microsoft.com/win/2004/08/events/event}'
# Of each id one in which nothing but people are named.
SAMPLES = {4722: '4722-local-guest-enabled', 4723: '4723-change', 4724: '4724-reset-pair', 4725: '4725-dc',
           4726: '4726-deleted', 4738: '4738-dacl-only-nothing-shown', 4767: '4767-dc', 4781: '4781-rename-pair'}
LIKE = {4740: 4767}     # has the same fields
# SAM bit number -> userAccountControl (MS-SAMR 2.2.1.12 beside MS-ADTS 2.2.16).
UAC = (0x2, 0x8, 0x20, 0x100, 0x200, 0x20000, 0x800, 0x1000, 0x2000, 0x10000, 0x10, 0x80, 0x40000, 0x80000, 0x100000,
       0x200000, 0x400000, 0x800000, 0x1000000, 0x2000000, 0x4000000)
FILETIME_1601 = 11644473600
FIELDS = {'id', 'target', 'target_sid', 'target_domain', 'subject', 'subject_sid', 'subject_domain', 'logon_id', 'old_uac',
          'new_uac', 'old_sam', 'new_sam', 'password_last_set', 'account_expires', 'time', 'computer', 'channel', 'failure',
          'data', 'provider', 'activity', 'xml', 'delay', 'record'}


def sam_of(uac):
    return sum(1 << n for n, bit in enumerate(UAC) if int(uac) & bit)


def codes(old, new):
    """UserAccountControl of a 4738: a code each changed bit, as Windows parts them."""
    out = [f'%%{(2080 if new >> n & 1 else 2048) + n}' for n in range(22) if (old ^ new) >> n & 1]
    return ''.join(f'\r\n\t\t{c}' for c in out) or '-'


def local_text(seconds):
    """A time as the DC's locale writes it."""
    t = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return f'{t.month}/{t.day}/{t.year} {t.hour % 12 or 12}:{t:%M:%S} {"AM" if t.hour < 12 else "PM"}'


def system_time(seconds):
    t = datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)
    return f'{t:%Y-%m-%dT%H:%M:%S}.{int(seconds % 1 * 1e7):07d}Z'


def sample(event_id):
    with open(f'{DATA}/{SAMPLES[LIKE.get(event_id, event_id)]}.xml', encoding='utf-8') as f:
        return ET.fromstring(f.read())


def build(what, host, record, now):
    """The Event element. what: see FIELDS."""
    e = sample(what['id'])
    sys = e.find(NS + 'System')
    sys.find(NS + 'EventID').text = str(what['id'])
    sys.find(NS + 'EventRecordID').text = str(record)
    sys.find(NS + 'TimeCreated').set('SystemTime', what['time'] if isinstance(what.get('time'), str) else system_time(what.get('time', now)))
    sys.find(NS + 'Computer').text = what.get('computer') or host
    sys.find(NS + 'Channel').text = 'Security'      # also where it was forwarded to another log
    sys.find(NS + 'Keywords').text = '0x8010000000000000' if what.get('failure') else '0x8020000000000000'
    sys.find(NS + 'Provider').set('Guid', '{54849625-5478-4994-a5ba-3e3b0328c30d}')
    if what.get('provider'):
        sys.find(NS + 'Provider').set('Name', what['provider'])
    correlation = sys.find(NS + 'Correlation')
    correlation.attrib.clear()
    if what.get('activity'):
        correlation.set('ActivityID', what['activity'])
    domain = what.get('target_domain', host.split('.')[1].upper() if '.' in host else 'CORP')
    data = {'TargetUserName': what.get('target', '-'), 'TargetDomainName': domain, 'TargetSid': what.get('target_sid', 'S-1-0-0'),
            'SubjectUserSid': what.get('subject_sid', 'S-1-0-0'), 'SubjectUserName': what.get('subject', '-'),
            'SubjectDomainName': what.get('subject_domain', domain), 'SubjectLogonId': what.get('logon_id', '0x1e3b7'),
            'OldTargetUserName': what.get('target', '-')}
    if what['id'] == 4738:
        old = what.get('old_sam', sam_of(what['old_uac']) if 'old_uac' in what else None)
        new = what.get('new_sam', sam_of(what['new_uac']) if 'new_uac' in what else None)
        if old is not None and new is not None:
            data.update(OldUacValue=hex(old), NewUacValue=hex(new), UserAccountControl=codes(old, new))
        if 'password_last_set' in what:
            text = what['password_last_set']
            data['PasswordLastSet'] = local_text(now) if text == 'now' else text
        if 'account_expires' in what:
            data['AccountExpires'] = what['account_expires']
    data.update(what.get('data', {}))
    for d in e.find(NS + 'EventData'):
        if d.get('Name') in data:
            d.text = str(data[d.get('Name')])
    return e


def forwarder(host, now):
    """The synthetic event that may come first (winrm.md 4.3)."""
    return (f"<Event xmlns='{NS[1:-1]}'><System><Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>"
            f"<TimeCreated SystemTime='{system_time(now)}'/><Computer>{host}</Computer></System>"
            "<SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>")


def wire(e, top=True):
    """One line, single quotes, xmlns on Event."""
    tag = e.tag.rpartition('}')[2]
    attrs = ''.join(" %s='%s'" % (k, escape(v, {"'": '&apos;'})) for k, v in e.attrib.items())
    ns = f" xmlns='{NS[1:-1]}'" if top else ''
    text = escape(e.text or '') if len(e) == 0 else ''
    inner = text + ''.join(wire(c, False) for c in e)
    return f'<{tag}{ns}{attrs}>{inner}</{tag}>' if inner else f'<{tag}{ns}{attrs}/>'


def activity():
    return '{' + str(uuid.uuid4()).upper() + '}'
