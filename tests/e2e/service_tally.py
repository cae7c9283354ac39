#!/usr/bin/python3
"""service_tally.py -- after the service was killed many times: was anything lost, doubled, or untrue?

Reads what was asked for (the lines of cordon submit --json), the ledger (cordon audit export), the
answers (the result directory, and each copy on the result queue), and the directory's own word: its
audit log and its state, and the tenant's. Says what it found; exits 1 where something is wrong.

  requests   each in the ledger once, with one verdict, one answer, and that delivered
  answers    each copy the same, byte for byte; count and head of the ledger in it are true
  effects    each account changed by its own request only, and once; a reset is two changes, and one
             more for each run that was killed between the two
  verdicts   what is said to be done is so in AD and in the tenant; what was declined is untouched
  queues     nothing left, nothing among the poisoned
"""
import argparse
import base64
import collections
import json
import os
import ssl
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as xml

WATCHED = ('userAccountControl', 'unicodePwd', 'pwdLastSet', 'lockoutTime', 'accountExpires')
# action: changes of (userAccountControl, unicodePwd, pwdLastSet), wanted at the end of it
CHANGES = {'disable': (1, 0, 0), 'contain': (1, 2, 0), 'enable': (1, 0, 0),
           'expire-password': (0, 0, 1), 'reset-password': (0, 2, 0)}
DISABLED = {'disable': True, 'contain': True, 'enable': False, 'expire-password': False, 'reset-password': False}

wrong = []


def check(good, *words):
    if not good:
        wrong.append(' '.join(str(w) for w in words))


def lines(path):
    with open(path, encoding='utf-8', errors='replace') as f:
        for line in f:
            if line.startswith('{'):
                yield json.loads(line)


def body_of(jws):
    part = jws.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


# --- the queues -----------------------------------------------------------------------------------

class Azure:
    """What is on a queue of Azurite; taken from it for good, as by whoever reads answers."""

    def __init__(self, folder):
        env = dict(l.strip().split('=', 1) for l in open(folder + '/env'))
        self.url, self.account = env['AZURITE_URL'], env['AZURITE_ACCOUNT']
        self.key, ca = env['AZURITE_KEY'].strip("'"), env['AZURITE_CA'].strip("'")
        self.context = ssl.create_default_context(cafile=ca)
        self.context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        self.tool = os.path.dirname(os.path.abspath(__file__)) + '/../azurite/secrets.py'

    def ask(self, method, queue, path):
        sas = subprocess.run(['/usr/bin/python3', self.tool, 'sas', self.key, self.account, queue, 'rup'],
                             stdout=subprocess.PIPE, check=True).stdout.decode()
        url = '%s/%s%s%s%s' % (self.url, queue, path, '&' if '?' in path else '?', sas)
        with urllib.request.urlopen(urllib.request.Request(url, method=method), context=self.context, timeout=60) as r:
            return r.read(), r.headers

    def depth(self, queue):
        return int(self.ask('GET', queue, '?comp=metadata')[1]['x-ms-approximate-messages-count'])

    def drain(self, queue):
        while True:
            found = xml.fromstring(self.ask('GET', queue, '/messages?numofmessages=32&visibilitytimeout=3600')[0])
            if len(found) == 0:
                return
            for m in found:
                yield m.findtext('MessageText')


def text_of(message):
    """The JWS, whether it lies there as it is, in base64, or in an envelope."""
    if message.count('.') == 2 and '{' not in message:
        return message
    if not message.startswith('{'):
        message = base64.b64decode(message).decode()
    return text_of(json.loads(message)['request']) if message.startswith('{') else message


# --- what each says -------------------------------------------------------------------------------

class Ledger:
    def __init__(self, path):
        self.requests, self.results = collections.defaultdict(list), collections.defaultdict(list)
        self.delivered = collections.Counter()
        self.verdicts, self.intents = collections.defaultdict(list), collections.Counter()
        self.decided, self.held, self.case = {}, set(), {}
        self.hashes, self.starts = {0: '0' * 64}, 0
        for r in lines(path):
            body, kind = r['body'], r['kind']
            self.hashes[r['seq']] = r['hash']
            if kind == 'request':
                self.requests[body['request']].append(r)
                self.case[body['request']] = r['case']
            elif kind == 'result':
                self.results[body['request']].append(body['jws'])
            elif kind == 'delivered':
                self.delivered[body['request']] += 1
            elif kind == 'held':
                self.held.add(body['request'])
            elif kind == 'decision':
                self.decided[body['request']] = body['approve']
            elif kind == 'verdict' and body['verdict'] != 'held':
                self.verdicts[r['case']].append(body)
            elif kind == 'intent':
                self.intents[r['case'], body['step']] += 1
            elif kind == 'service' and body['what'] == 'started':
                self.starts += 1


def audit(path, skip):
    """{account: {attribute: changes}}, by AD's own log."""
    out = collections.defaultdict(collections.Counter)
    for n, line in enumerate(open(path, encoding='utf-8', errors='replace')):
        try:
            c = json.loads(line).get('dsdbChange') if n >= skip else None
        except ValueError:
            continue
        if not c or c['operation'] != 'Modify' or c['statusCode'] != 0 or ',OU=People,' not in c['dn']:
            continue
        for a in WATCHED:
            out[c['dn'].split(',')[0][3:]][a] += a in c.get('attributes', {})
    return out


def people(path):
    """{account: {attribute: value}}, of an LDIF."""
    out, entry = {}, {}
    for line in open(path, encoding='utf-8', errors='replace').read().split('\n') + ['']:
        if line == '':
            if 'sAMAccountName' in entry:
                out[entry['sAMAccountName']] = entry
            entry = {}
        elif ': ' in line and ':: ' not in line:
            name, value = line.split(': ', 1)
            entry[name] = value
    return out


# --- the tally ------------------------------------------------------------------------------------

def of_effects(who, q, final, led, seen, ran):
    """Was it changed as often as was asked for?"""
    case = led.case.get(q['id'])
    uac, reset, expire = CHANGES[q['action']] if final == 'done' or final == 'unconfirmed' else (0, 0, 0)
    halves = max(0, led.intents[case, 'reset-password'] - 1)
    check(seen['userAccountControl'] == uac, who, 'userAccountControl was changed', seen['userAccountControl'], 'times, not', uac)
    check(seen['pwdLastSet'] == expire, who, 'pwdLastSet was changed', seen['pwdLastSet'], 'times, not', expire)
    check(reset <= seen['unicodePwd'] <= reset + halves, who, 'the password was set', seen['unicodePwd'], 'times, not',
          reset, 'and at most', halves, 'more')
    ran['halves'] += seen['unicodePwd'] - reset


def of_verdict(who, q, v, led, ad, entra):
    """Is it so?"""
    final, approve = v['verdict'], led.decided.get(q['id'])
    if approve is False:
        check(final == 'refused' and v['rule'] == 'declined', who, 'was declined, and its verdict is', final, v['rule'])
    else:
        check(final in ('done', 'unconfirmed'), who, 'its verdict is', final, v['rule'], v['detail'])
        check(v['proof'] in ('read-back', 'logged', 'everywhere'), who, 'its proof is', v['proof'])
    if final not in ('done', 'unconfirmed'):
        return
    off = bool(int(ad['userAccountControl']) & 2)
    check(off == DISABLED[q['action']], who, 'AD has userAccountControl', ad['userAccountControl'])
    check(q['action'] != 'expire-password' or ad['pwdLastSet'] == '0', who, 'AD has pwdLastSet', ad['pwdLastSet'])
    check(q['action'] not in ('disable', 'contain', 'enable') or entra['accountEnabled'] is not off, who,
          'the tenant has accountEnabled', entra['accountEnabled'])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('manifest', 'ledger', 'results', 'audit', 'people'):
        p.add_argument('--' + name, required=True)
    p.add_argument('--entra')
    p.add_argument('--skip', type=int, default=0, help='lines of the audit log that were there before')
    p.add_argument('--azure', help="Azurite's folder")
    p.add_argument('--queues', nargs=2, metavar=('REQUESTS', 'ANSWERS'))
    o = p.parse_args()

    asked = list(lines(o.manifest))
    led, log, ad = Ledger(o.ledger), audit(o.audit, o.skip), people(o.people)
    entra = {u['userPrincipalName'].split('@')[0]: u for u in json.load(open(o.entra))} if o.entra else {}
    copies, ran, said = collections.defaultdict(list), collections.Counter(), collections.Counter()

    for name in os.listdir(o.results):
        check(name.endswith('.jws'), 'the result directory has', name)
        copies[name[:-4]].append(open('%s/%s' % (o.results, name)).read())
    on_queue = 0
    if o.azure:
        azure = Azure(o.azure)
        for text in map(text_of, azure.drain(o.queues[1])):
            copies[body_of(text)['request']].append(text)
            on_queue += 1
        for queue in (o.queues[0], o.queues[0] + '-poison'):
            check(azure.depth(queue) == 0, queue, 'has still', azure.depth(queue))

    for q in asked:
        who = '%s %s %s:' % (q['id'], q['action'], q['account'])
        verdicts = led.verdicts[led.case.get(q['id'])]
        check(len(led.requests[q['id']]) == 1, who, 'taken', len(led.requests[q['id']]), 'times')
        check(len(verdicts) == 1, who, len(verdicts), 'verdicts')
        check(len(led.results[q['id']]) == 1, who, len(led.results[q['id']]), 'answers on record')
        check(led.delivered[q['id']] == 1, who, 'delivered', led.delivered[q['id']], 'times, by the ledger')
        check(len(set(copies[q['id']] + led.results[q['id']])) == 1, who, 'its', len(copies[q['id']]), 'copies differ')
        check(len(copies[q['id']]) >= (2 if o.azure else 1), who, 'only', len(copies[q['id']]), 'copies')
        if len(verdicts) != 1 or not copies[q['id']]:
            continue
        answer = body_of(copies[q['id']][0])
        check(answer['verdict'] == verdicts[0], who, 'the answer has another verdict than the ledger')
        check(led.hashes.get(answer['ledger']['count']) == answer['ledger']['head'], who, 'count and head are not of this ledger')
        said[verdicts[0]['verdict']] += 1
        of_effects(who, q, verdicts[0]['verdict'], led, log[q['account']], ran)
        of_verdict(who, q, verdicts[0], led, ad[q['account']], entra.get(q['account'], {'accountEnabled': None}))

    ids, names = [q['id'] for q in asked], {q['account'] for q in asked}
    check(len(set(ids)) == len(ids) and len(names) == len(asked), 'asked twice for one of them')
    for i in set(led.requests) | set(copies):
        check(i in ids, i, 'was never asked for')
    for name, seen in log.items():
        check(name in names or not sum(seen.values()), name, 'was changed, and nobody asked for that:', dict(seen))

    print('%d requests: %s; %d held, %d declined' % (len(asked), ', '.join('%d %s' % (n, w) for w, n in said.most_common()),
                                                    len(led.held), list(led.decided.values()).count(False)))
    print('%d starts; %d records; %d copies of answers on the queue' % (led.starts, len(led.hashes) - 1, on_queue))
    print('effects begun more than once: %d; resets that were cut in half: %d' %
          (sum(n > 1 for n in led.intents.values()), ran['halves']))
    for w in wrong[:50]:
        print('WRONG', w)
    if wrong:
        print(len(wrong), 'things are wrong')
    return 1 if wrong else 0


sys.exit(main())
