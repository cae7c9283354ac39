"""The mirror: what Samba's audit log says was committed, as the events that Windows would write.

Which write gives which events is winrm.md 5.4. Samba names neither the target's SID nor what
userAccountControl was before a `replace`: both come from the directory, asked once at the start and
again for a DN that is not known; from then on the log itself is followed.
"""
import base64
import datetime
import json
import os
import re
import struct
import subprocess
import threading
import time

import events

POLL_S = 0.01
BOOKKEEPING = {'lastlogon', 'lastlogoff', 'logoncount', 'lastlogontimestamp', 'badpwdcount', 'badpasswordtime',
               'lockouttime', 'msds-revealedusers'}
NEVER = ('0', '9223372036854775807')


def sid_text(raw):
    n = raw[1]
    return 'S-%d-%d%s' % (raw[0], int.from_bytes(raw[2:8], 'big'), ''.join(f'-{x}' for x in struct.unpack(f'<{n}I', raw[8:8 + 4 * n])))


class File:
    """A log that is followed: whole lines, from now on."""

    def __init__(self, path):
        self.path, self.left, self.cut = path, b'', ''
        self.file = open(path, 'rb')            # noqa: SIM115: as long as we live
        self.at = self.file.seek(0, os.SEEK_END)

    def lines(self):
        """What has come; '' stands for a piece of a line that was cut at 4,095 bytes."""
        *lines, self.left = (self.left + self.file.read(1 << 20)).split(b'\n')
        for line in lines:
            text = line.decode(errors='replace')
            if text.endswith(' +>'):            # the rest follows, after two blanks
                self.cut += text[:-3].removeprefix('  ') if self.cut else text[:-3]
                continue
            if self.cut and not text.startswith('  {'):
                text, self.cut = self.cut + text.removeprefix('  '), ''
            yield text


class Mirror:
    """others: the logs of other DCs, of which only is learnt how accounts stand."""

    def __init__(self, dc, log, path, others, url):
        self.dc, self.log, self.url = dc, log, url
        self.people, self.names = {}, {}        # by DN in lower case; by SID
        self.pending = {}                       # transaction: what it did
        self.lock = threading.Lock()            # of the three above
        files = [File(p) for p in (path, *others)]
        self.files = files
        self.load()
        for f in files:
            threading.Thread(target=self.follow, args=(f, f is files[0]), daemon=True).start()

    # --- people ---

    def load(self):
        env = dict(os.environ)
        if env.get('LAB_ADMIN_CC'):
            env['KRB5CCNAME'] = env['LAB_ADMIN_CC']
        base = ','.join(f'DC={p}' for p in self.dc.host.split('.')[1:])
        out = subprocess.run(['ldapsearch', '-Q', '-Y', 'GSSAPI', '-N', '-LLL', '-o', 'ldif-wrap=no', '-E', 'pr=500/noprompt',
                              '-H', self.url, '-b', base, '(objectClass=user)', 'sAMAccountName', 'objectSid',
                              'userAccountControl', 'objectClass'],
                             env=env, check=True, capture_output=True).stdout.decode()
        for entry in out.split('\n\n'):
            one = {}
            for m in re.finditer(r'^([^:\n]+):(:?) (.*)$', entry, re.M):
                one.setdefault(m[1], []).append(base64.b64decode(m[3]) if m[2] else m[3].encode())
            if 'objectSid' not in one or 'userAccountControl' not in one:
                continue
            p = {'sid': sid_text(one['objectSid'][0]), 'sam': one['sAMAccountName'][0].decode(),
                 'uac': int(one['userAccountControl'][0]) & 0xffffffff, 'computer': b'computer' in one['objectClass']}
            self.people.setdefault(one['dn'][0].decode().lower(), p)
            self.names[p['sid']] = p['sam']

    def person(self, dn):
        if dn.lower() not in self.people:
            self.load()
        return self.people.get(dn.lower())

    # --- the file ---

    def settle(self):
        """Wait until what is in the files now has become events. Samba writes before it answers: so an
        order comes after the changes that were answered before it was given."""
        sizes, until = [os.stat(f.path).st_size for f in self.files], time.monotonic() + 5
        while any(f.at < size for f, size in zip(self.files, sizes)) and time.monotonic() < until:
            time.sleep(POLL_S / 2)

    def follow(self, f, own):
        while True:
            for text in f.lines():
                try:
                    with self.lock:
                        self.line(text, own)
                except (ValueError, KeyError, TypeError, subprocess.SubprocessError) as e:
                    with self.dc.lock:
                        self.dc.violation(f'mirror: {type(e).__name__}: {e}: {text[:200]!r}')
            f.at = f.file.tell()
            time.sleep(POLL_S)

    def line(self, text, own):
        if not any(w in text for w in ('"dsdbChange"', '"passwordChange"', '"dsdbTransaction"')):
            return
        line = json.loads(text)
        kind = line['type']
        body = line[kind]
        if kind == 'dsdbTransaction':
            did = self.pending.pop(body.get('transactionId'), [])
            if body['action'] == 'commit' and body.get('statusCode', 0) == 0 and did:
                self.committed(did, own)
        elif body['statusCode'] == 0:
            when = datetime.datetime.strptime(line['timestamp'], '%Y-%m-%dT%H:%M:%S.%f%z').timestamp()
            self.pending.setdefault(body['transactionId'], []).append((kind, when, body))
            if not body['transactionId'].strip('0-'):
                self.committed(self.pending.pop(body['transactionId']), own)

    # --- events ---

    def committed(self, did, own):
        s, made = self.dc.settings, []
        activity = events.activity()
        for kind, when, body in did:
            person = self.person(body['dn'])
            if person is None or person['computer']:
                continue
            by = body['userSid']
            common = {'target': person['sam'], 'target_sid': person['sid'], 'subject_sid': by, 'activity': activity,
                      'subject': self.names.get(by, self.dc.host.partition('.')[0].upper() + '$' if by == 'S-1-5-18' else '-'),
                      'logon_id': hex(int(body['sessionId'][:8], 16)), 'time': when, 'computer': s['computer']}
            common.update(s['subject'] or {})
            if kind == 'passwordChange':
                made.insert(0, {**common, 'id': body['eventId']})
            elif body['operation'] == 'Delete':
                made.append({**common, 'id': 4726})
                self.people.pop(body['dn'].lower(), None)
            elif body['operation'] == 'Modify':
                made += self.modified(person, {k.lower(): v.get('actions', []) for k, v in body['attributes'].items()}, common, when)
        made = [m for m in made if m['id'] not in s['without']]
        if s['swap']:
            made.reverse()
        if own and s['audit'] and made:
            with self.dc.lock:
                self.log.add(made)
                if s['forward']:
                    self.log.add([{**m, 'channel': 'ForwardedEvents'} for m in made])

    def modified(self, person, attributes, common, when):
        out, changed = [], {'id': 4738}
        lockout = self.value(attributes.get('lockouttime'))
        if lockout == '0':
            out.append({**common, 'id': 4767})
        elif set(attributes) <= BOOKKEEPING:
            return []
        repeated = False
        if 'useraccountcontrol' in attributes:
            told = self.value(attributes['useraccountcontrol'], 'delete')      # the cache misses what was replicated
            old = person['uac'] if told is None else int(told) & 0xffffffff
            new = int(self.value(attributes['useraccountcontrol'])) & 0xffffffff
            person['uac'] = new
            if (old ^ new) & 2:
                out.append({**common, 'id': 4725 if new & 2 else 4722})
            if events.sam_of(old) != events.sam_of(new):
                changed.update(old_uac=old, new_uac=new)
            else:
                repeated = set(attributes) == {'useraccountcontrol'}
        if 'unicodepwd' in attributes or 'cleartextpassword' in attributes:
            changed['password_last_set'] = events.local_text(when)
        if 'pwdlastset' in attributes:
            zero = self.value(attributes['pwdlastset']) == '0'
            changed['password_last_set'] = '%%1794' if zero else events.local_text(when)
        if 'accountexpires' in attributes:
            value = self.value(attributes['accountexpires'])
            changed['account_expires'] = '%%1794' if value in NEVER else events.local_text(int(value) / 1e7 - events.FILETIME_1601)
        if self.dc.settings['dash']:
            changed = {'id': 4738}
        if not (repeated and self.dc.settings['repeated'] == 'nothing'):
            out.append({**common, **changed})
        if 'samaccountname' in attributes:
            new_name = self.value(attributes['samaccountname'])
            out.append({**common, 'id': 4781, 'data': {'OldTargetUserName': person['sam'], 'NewTargetUserName': new_name}})
            person['sam'] = new_name
        return out

    @staticmethod
    def value(actions, *kinds):
        """The last value of such actions: what was put there."""
        values = [v.get('value') for a in actions or () if a['action'] in (kinds or ('add', 'replace')) for v in a.get('values', ())]
        return values[-1] if values else None
