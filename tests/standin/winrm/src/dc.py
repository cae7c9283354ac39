"""One Windows host: its settings, what was asked of it, what it was ordered to do wrong.

One lock guards all of it (dc.lock, a condition: whoever waits for events, orders or requests waits
on it). Code below that is given a `dc` runs with the lock held unless it says otherwise.
"""
import re
import threading
import time

SETTINGS = {
    # the service (winrm.md 1)
    'allow_unencrypted': False, 'cbt': 'Relaxed', 'schemes': ['Negotiate', 'Kerberos'],
    'max_envelope_kb': 500, 'max_timeout_ms': 60000, 'max_batch': 32000,
    'enumeration_timeout_ms': 60000, 'operations_per_user': 15, 'idle_ms': 120000,
    'persistent_auth': False, 'certificate_users': {}, 'filter_comparisons': 22,
    # who may what: account names (sAMAccountName), or "*"
    'readers': ['*'], 'channel_readers': {'Security': ['*'], 'ForwardedEvents': ['*']}, 'shell_users': ['*'],
    'remote_shells': True, 'shells_per_user': 30,
    # the log, and how it is read
    'event_delay_ms': 0, 'events_per_pull': 0, 'pull_fills': False, 'timed_out_ends': False, 'filter_forms': ['xml', 'text'],
    'duplicates': 0, 'forwarder': False, 'ahead_is_stale': True,
    # what the mirror writes
    'audit': True, 'forward': False, 'swap': False, 'dash': False, 'subject': None, 'computer': None, 'repeated': 'dash', 'without': [],
    # of every answer; the same words as a fault's `do`
    'manner': {},
}
MANNERS = {'tab', 'dashes', 'crlf', 'headerCase', 'wrongLength', 'noBoundary', 'spaces', 'charset', 'bom', 'prefixes',
           'segments', 'plain', 'corrupt', 'gap', 'relatesTo', 'replace', 'close', 'rawType', 'headers'}
DO = MANNERS | {'status', 'fault', 'delay', 'delayAfter', 'hang', 'cut', 'after', 'logout', 'forget', 'token', 'events'}
EVENTS_DO = {'swap', 'broken', 'repeat', 'end', 'noBookmark', 'oversize'}
MATCH = {'op', 'nth', 'times', 'user', 'body', 'conn'}
KEPT = 2000


class Order(Exception):
    """An order that cannot be carried out."""


def known(given, names, what):
    for k in given:
        if k not in names:
            raise Order(f'{what}: there is no {k!r}; known: {", ".join(sorted(names))}')


class DC:
    def __init__(self, host):
        self.host = host
        self.lock = threading.Condition()
        self.reset()

    def reset(self):
        self.settings = {k: (v.copy() if isinstance(v, (dict, list)) else v) for k, v in SETTINGS.items()}
        self.requests, self.violations, self.faults = [], [], []
        self.count = 0
        self.conns = getattr(self, 'conns', {})
        self.seen_ids = {}

    # --- settings ---

    def set(self, changes):
        known(changes, SETTINGS, 'settings')
        for k, v in changes.items():
            if v is not None and SETTINGS[k] is not None and not isinstance(v, type(SETTINGS[k])):
                raise Order(f'{k}: {type(SETTINGS[k]).__name__} wanted')
        if 'manner' in changes:
            known(changes['manner'], MANNERS, 'manner')
        if changes.get('cbt', 'None') not in ('None', 'Relaxed', 'Strict'):
            raise Order('cbt: None, Relaxed or Strict')
        self.settings.update(changes)

    def allows(self, names, user):
        account = (user or '').partition('@')[0].lower()
        return '*' in names or account in [n.lower() for n in names]

    # --- what was asked ---

    def request(self, **what):
        self.count += 1
        r = {'n': self.count, 'time': time.time(), **what}
        self.requests = self.requests[-KEPT:] + [r]
        self.lock.notify_all()
        return r

    def violation(self, why, **what):
        self.violations = self.violations[-KEPT:] + [{'why': why, **what}]
        self.lock.notify_all()

    def new_id(self, message_id):
        """False: it was used before."""
        if message_id in self.seen_ids:
            return False
        self.seen_ids[message_id] = True
        return True

    # --- what it does wrong ---

    def add_fault(self, fault):
        known(fault, {'match', 'do'}, 'fault')
        match, do = fault.get('match', {}), fault.get('do', {})
        known(match, MATCH, 'match')
        known(do, DO, 'do')
        known(do.get('events', {}), EVENTS_DO, 'events')
        if not do:
            raise Order('fault: nothing to do')
        self.faults.append({'match': match, 'do': do, 'seen': 0, 'used': 0})

    def fault_for(self, op, user=None, text='', conn=None):
        """What is to be done wrong now, {} if nothing."""
        for f in self.faults:
            m = f['match']
            ops = m.get('op')
            if ops is not None and op not in (ops if isinstance(ops, list) else ops.split('|')):
                continue
            if m.get('user') is not None and m['user'].lower() != (user or '').partition('@')[0].lower():
                continue
            if m.get('body') is not None and not re.search(m['body'], text, re.S):
                continue
            if m.get('conn') is not None and m['conn'] != conn:
                continue
            times = m.get('times', 1)
            if times and f['used'] >= times:
                continue
            f['seen'] += 1
            if f['seen'] < m.get('nth', 1):
                continue
            f['used'] += 1
            self.lock.notify_all()
            return f['do']
        return {}
