#!/usr/bin/python3
"""service_day.py BIN WORK STATE PID BATCHES -- a day's requests for a running service, through WORK/spool or, with
PUT in the environment (a command that takes them on stdin, a line each, as they are stored), through Azurite; CLEAR
takes the answers away after each batch, as those would who asked.

Each batch of 400 messages: 160 changes (disabled in one batch, enabled in the next), 120 accounts that are disabled
already, 40 that their signer may not ask for, 40 forged, 30 seen before, 10 held and then declined over the socket.
After each, when nothing is left, the process is looked at. Prints "WHAT;LIMIT;VALUE;OPERATOR" lines.
"""
import base64
import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import time

cordon, work, state, pid, batches = sys.argv[1] + '/cordon', sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
spool, azurite = work + '/spool', shlex.split(os.environ.get('PUT', ''))
names, sent = iter(range(10 ** 9)), 0


def signed(key, action, accounts):
    out = subprocess.run([cordon, 'submit', '--out', '-', '--key', f'{work}/{key}.pem', '--requester', 'soc@example.com',
                          '--domain', 'corp.example.com', action, *accounts], stdout=subprocess.PIPE, check=True)
    return out.stdout.decode().split()


def people(first, count):
    return ['u%05d' % n for n in range(first, first + count)]


def put(messages):
    global sent
    sent += len(messages)
    if azurite:
        lines = (base64.b64encode(json.dumps({'v': 1, 'request': m}).encode()) + b'\n' for m in messages)
        subprocess.run(azurite, input=b''.join(lines), stdout=subprocess.DEVNULL, check=True)
        return
    for m in messages:
        name = '01J9%022d' % next(names)
        with open(f'{spool}/tmp/{name}', 'w') as f:
            f.write(m)
        os.rename(f'{spool}/tmp/{name}', f'{spool}/new/{name}')


def ask(what):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(60)
    s.connect(state + '/control.sock')
    s.sendall(json.dumps(what).encode() + b'\n')
    out = b''
    while True:
        d = s.recv(65536)
        if not d:
            return out.decode()
        out += d


def status():
    return json.loads(ask({'do': 'status'}).splitlines()[0])


def until(what, words):
    for _ in range(1200):
        if what():
            return
        time.sleep(0.2)
    sys.exit(f'bench: {words}: {status()}')


def quiet():
    s = status()
    return s['taken'] + s['refused'] >= sent and s['in_flight'] == s['waiting'] == s['outbox'] == 0


def held():
    found = [json.loads(line) for line in ask({'do': 'pending'}).splitlines()]
    return [r['id'] for f in found for r in ([f] if 'id' in f else f.get('held', f.get('pending', [])))]


def look():
    words = dict(line.split(':', 1) for line in open(f'/proc/{pid}/status') if ':' in line)
    kb = {k: int(words[k].split()[0]) for k in ('VmRSS', 'RssAnon', 'Threads')}
    stat = open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()
    return {'rss': kb['VmRSS'], 'anon': kb['RssAnon'], 'threads': kb['Threads'], 'fds': len(os.listdir(f'/proc/{pid}/fd')),
            'cpu': int(stat[11]) + int(stat[12]), 'ledger': sum(os.path.getsize(f'{state}/{n}') for n in ('ledger.db', 'ledger.db-wal'))}


def batch(n, before):
    block = n // 2 % 4 * 160 + 1
    changes = signed('soar', 'disable' if n % 2 == 0 else 'enable', people(block, 160))
    good = changes + signed('soar', 'disable', people(1201, 120))
    rest = signed('soar', 'revoke', people(1, 40)) + [j[:-2] + ('A' if j[-2] != 'A' else 'Q') + j[-1] for j in signed('soar', 'disable', people(1401, 40))]
    rest += before[:30] + signed('soar', 'disable', ['vip1', 'vip2'] * 5)
    mixed = [(i / len(x), m) for x in (good, rest) for i, m in enumerate(x)]
    put([m for _, m in sorted(mixed)])
    until(lambda: quiet() and len(held()) == 10, 'a batch does not end')
    for i in held():
        ask({'do': 'decline', 'id': i, 'why': 'a bench'})
    until(lambda: quiet() and not held(), 'the declined do not end')
    if azurite:
        subprocess.run(shlex.split(os.environ['CLEAR']), check=True)
    return changes


seen, changes, began = [look()], [], time.time()
for n in range(batches):
    changes = batch(n, changes)
    seen.append(look())
    print('bench: batch', n + 1, seen[-1], file=sys.stderr)
took, end = time.time() - began, status()
quarter = max(1, batches // 4)
first, last = seen[1:1 + quarter], seen[-quarter:]


def more(what):
    return statistics.median(x[what] for x in last) - statistics.median(x[what] for x in first)


# What the brake has counted in a week it knows (80 bytes each). Here no brake stops anything; as shipped it
# lets 20 in 10 minutes through, which is 2,880 a day.
day = 'day, Azurite' if azurite else 'day, spool'
brake = (batches - quarter) * 280 * 80 / 1024
rows = [
    (f'{day}: {sent} messages: KB resident more in the last quarter than in the first', '', '%.0f' % more('rss'), ''),
    (f"  without the brake's week ({280 * batches} changes, 80 bytes each)", '512', '%.0f' % (more('rss') - brake), '<='),
    ('  MB resident at the most, after a batch', '', '%.1f' % (max(x['rss'] for x in seen) / 1024), ''),
    (f'{day}: open files more', '0', '%.0f' % more('fds'), '<='),
    (f'{day}: threads more', '0', '%.0f' % more('threads'), '<='),
    (f'{day}: requests in any list of the service when all are answered', '0',
     end['held'] + end['waiting'] + end['in_flight'] + end['outbox'], '<='),
    (f'{day}: bytes of ledger for each message', '', (seen[-1]['ledger'] - seen[0]['ledger']) // sent, ''),
    (f"{day}: messages a second ({end['taken']} taken, {end['refused']} refused, {end['answered']} answered)", '', '%.0f' % (sent / took), ''),
    ('  ms of processor time for each message', '', '%.2f' % ((seen[-1]['cpu'] - seen[0]['cpu']) * 10 / sent), ''),
]
for r in rows:
    print(';'.join(str(x) for x in r))
