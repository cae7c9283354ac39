"""WinRS: shells that "run" what a table says (winrm.md 6), and a sync server's two scripts.

{"script": {"match": {...}, "stdout", "stderr", "exit", ...}}; the newest rule that matches is taken.
Nothing is ever really run.
"""
import base64
import hashlib
import json
import re
import time
import uuid

import soap
from dc import Order, known
from soap import Fault, el, name

RSP = soap.NS['rsp']
STATE = RSP + '/CommandState/'
RULE = {'match', 'stdout', 'stderr', 'exit', 'delay', 'hang', 'chunks', 'times', 'progress', 'noExit'}
SHELL_MATCH = {'sha256', 'contains', 'command'}
LINE_MAX = 8191
NO_SHELL, NO_SHELLS, TOO_MANY = 2150858843, 2150859180, 2150859173
ADSYNC = {'module': True, 'denied': False, 'enabled': True, 'staging': False, 'suspended': False, 'busy': 0, 'running': False,
          'cycle_ms': 200, 'result': None, 'cycles': 0}
PROGRESS = ('#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><Obj S="progress" '
            'RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T></TN><MS><I64 N="SourceId">1</I64>'
            '<PR N="Record"><AV>Preparing modules for first use.</AV><AI>0</AI><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR>'
            '<SD> </SD></PR></MS></Obj></Objs>')


class Command:
    def __init__(self, shell, line, script):
        self.id, self.shell, self.line, self.script = str(uuid.uuid4()).upper(), shell, line, script
        self.streams, self.exit, self.ready = [], None, None      # [(name, bytes)]; ready None: never
        self.done = False


class Shell:
    def __init__(self, user):
        self.id, self.user = str(uuid.uuid4()).upper(), user
        self.commands = {}


class Shells:
    OPERATIONS = {'Create', 'Command', 'Receive', 'Signal', 'Delete'}

    def __init__(self, dc):
        self.dc = dc
        self.reset()

    def reset(self):
        self.shells, self.rules, self.ran = {}, [], []
        self.sync, self.sync_ends = dict(ADSYNC), 0.0

    # --- the steps ---

    def create(self, env, conn, _how):
        with self.dc.lock:
            s = self.dc.settings
            if not s['remote_shells']:
                raise Fault(NO_SHELLS, honest=True)
            if not self.dc.allows(s['shell_users'], conn.user):
                raise Fault(soap.DENIED, honest=True)
            if env.selectors():
                raise Fault(2150858813, 'selectors in Create')
            shell = env.element('rsp:Shell')
            streams = {c.tag: (c.text or '').split() for c in shell}
            if set(streams.get(name('rsp:OutputStreams'), ())) != {'stdout', 'stderr'}:
                raise Fault(soap.SCHEMA, f'OutputStreams {streams.get(name("rsp:OutputStreams"))}')
            if sum(1 for x in self.shells.values() if x.user == conn.user) >= s['shells_per_user']:
                raise Fault(TOO_MANY, honest=True)
            new = Shell(conn.user)
            self.shells[new.id] = new
            return [], [el('x:ResourceCreated', el('a:Address', env.text_of('a:To')), el('a:ReferenceParameters', el(
                'w:ResourceURI', env.resource), el('w:SelectorSet', el('w:Selector', new.id, Name='ShellId')))),
                el('rsp:Shell', el('rsp:ShellId', new.id), el('rsp:ResourceUri', env.resource), el('rsp:Owner', conn.user))]

    def shell_of(self, env, conn):
        wanted = env.selectors()
        shell = self.shells.get(wanted.get('shellid', '').upper())
        if set(wanted) != {'shellid'} or shell is None:
            raise Fault(NO_SHELL, f'selectors {wanted}')
        if shell.user != conn.user:
            raise Fault(soap.DENIED)
        return shell

    def command(self, env, conn, _how):
        with self.dc.lock:
            shell = self.shell_of(env, conn)
            line = env.element('rsp:CommandLine')
            parts = [line.findtext(name('rsp:Command'), ''), *(a.text or '' for a in line.findall(name('rsp:Arguments')))]
            text = ' '.join(p for p in parts if p)
            if not parts[0] or len(text) > LINE_MAX:
                raise Fault(soap.SCHEMA, f'a command line of {len(text)} characters')
            c = Command(shell, text, encoded(text))
            shell.commands[c.id] = c
            self.run(c)
            self.ran.append({'user': conn.user, 'line': text, 'script': c.script, 'shell': shell.id,
                             'sha256': hashlib.sha256((c.script or '').encode()).hexdigest()})
            self.dc.lock.notify_all()
            return [], [el('rsp:CommandResponse', el('rsp:CommandId', c.id))]

    def command_of(self, shell, wanted):
        c = shell.commands.get((wanted or '').upper())
        if c is None:
            raise Fault(2150858843, f'command {wanted}')
        return c

    def receive(self, env, conn, _how):
        with self.dc.lock:
            shell = self.shell_of(env, conn)
            desired = env.element('rsp:Receive').find(name('rsp:DesiredStream'))
            if desired is None or not set((desired.text or '').split()) <= {'stdout', 'stderr'}:
                raise Fault(soap.SCHEMA, 'DesiredStream')
            c = self.command_of(shell, desired.get('CommandId'))
            until = time.monotonic() + min(env.operation_s(), self.dc.settings['max_timeout_ms'] / 1000)
            while not c.done and (c.ready is None or time.monotonic() < c.ready):
                now = time.monotonic()
                if now >= until:
                    raise Fault(soap.TIMED_OUT, honest=True)
                self.dc.lock.wait(max(0.001, min(until, c.ready or until) - now))
                if shell.id not in self.shells:
                    raise Fault(NO_SHELL, honest=True)
            out, over = (c.streams, True) if len(c.streams) <= 1 else (c.streams[:1], False)
            c.streams, c.done = c.streams[len(out):], over
            body = [el('rsp:Stream', base64.b64encode(data).decode(), Name=n, CommandId=c.id) for n, data in out]
            if over:
                body += [el('rsp:Stream', Name=n, CommandId=c.id, End='true') for n in ('stdout', 'stderr')]
                body.append(el('rsp:CommandState', *([] if c.exit is None else [el('rsp:ExitCode', str(c.exit))]), CommandId=c.id, State=STATE + 'Done'))
            else:
                body.append(el('rsp:CommandState', CommandId=c.id, State=STATE + 'Running'))
            return [], [el('rsp:ReceiveResponse', *body)]

    def signal(self, env, conn, _how):
        with self.dc.lock:
            shell = self.shell_of(env, conn)
            signal = env.element('rsp:Signal')
            c = self.command_of(shell, signal.get('CommandId'))
            code = signal.findtext(name('rsp:Code'), '').rpartition('/')[2]
            if code not in ('terminate', 'ctrl_c', 'ctrl_break'):
                raise Fault(soap.SCHEMA, f'signal {code!r}')
            if not c.done:
                c.done, c.exit, c.streams = True, -1073741510, []
            if code == 'terminate':
                del shell.commands[c.id]
            self.dc.lock.notify_all()
            return [], [el('rsp:SignalResponse')]

    def delete(self, env, conn, _how):
        with self.dc.lock:
            shell = self.shell_of(env, conn)
            if len(env.body) != 0:
                raise Fault(soap.SCHEMA, 'a body in Delete')
            del self.shells[shell.id]
            self.dc.lock.notify_all()
            return [], []

    # --- what commands do ---

    def run(self, c):
        rule = self.rule_for(c)
        if rule is None:
            rule = self.built_in(c)
        out, err = rule.get('stdout', '').encode(), rule.get('stderr', '').encode()
        if rule.get('progress'):
            err = PROGRESS.encode() + err
        n = max(1, rule.get('chunks', 1))
        for stream, data in (('stderr', err), ('stdout', out)):
            size = max(1, -(-len(data) // n))
            c.streams += [(stream, data[i:i + size]) for i in range(0, len(data), size)]
        c.exit = None if rule.get('noExit') else rule.get('exit', 0)
        c.ready = None if rule.get('hang') else time.monotonic() + rule.get('delay', 0) / 1000

    def rule_for(self, c):
        for rule in reversed(self.rules):
            m = rule['match']
            if rule.get('times') and rule['used'] >= rule['times']:
                continue
            if 'sha256' in m and m['sha256'] != hashlib.sha256((c.script or '').encode()).hexdigest():
                continue
            if 'contains' in m and m['contains'] not in (c.script or ''):
                continue
            if 'command' in m and not re.search(m['command'], c.line):
                continue
            rule['used'] += 1
            return rule
        return None

    def built_in(self, c):
        if c.script and 'Get-ADSyncScheduler' in c.script:
            return {'stdout': json.dumps(self.adsync_answer('Start-ADSyncSyncCycle' in c.script), separators=(',', ':')) + '\r\n'}
        if c.line == 'hostname':
            return {'stdout': self.dc.host.partition('.')[0].upper() + '\r\n'}
        if c.line == 'whoami':
            return {'stdout': c.shell.user.partition('@')[0].lower() + '\r\n'}
        return {'stderr': f"'{c.line[:60]}' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n", 'exit': 1}

    # --- the sync server ---

    def adsync_answer(self, start):
        """What the sync scripts of cloud/sync_cycle.c print."""
        s, r = self.sync, {'cordon': 1, 'module': False, 'scheduler': None, 'running': None, 'result': None,
                           'errorType': None, 'error': None}
        if not s['module']:
            return {**r, 'errorType': 'System.IO.FileNotFoundException',
                    'error': "The specified module 'ADSync' was not loaded because no valid module file was found in any module directory."}
        r['module'] = True
        if s['denied']:
            return {**r, 'errorType': 'System.UnauthorizedAccessException', 'error': 'Access is denied.'}
        running = s['running'] or time.monotonic() < self.sync_ends
        r['scheduler'] = {'SyncCycleEnabled': s['enabled'], 'StagingModeEnabled': s['staging'],
                          'SchedulerSuspended': s['suspended'], 'SyncCycleInProgress': running}
        r['running'] = int(running)
        if not start or not s['enabled'] or s['staging'] or s['suspended']:
            return r
        if running:
            return {**r, 'errorType': 'System.InvalidOperationException',
                    'error': 'System.Management.Automation.CmdletInvocationException: Sync is already running. Cannot start a new run till this one completes.'}
        if s['busy'] > 0:
            s['busy'] -= 1
            return {**r, 'errorType': 'System.InvalidOperationException', 'error': 'Connector is busy.'}
        if s['result'] is not None:
            return {**r, 'result': s['result']}
        s['cycles'] += 1
        self.sync_ends = time.monotonic() + s['cycle_ms'] / 1000
        return {**r, 'result': 'Success'}

    def adsync(self, what):
        """Change how the sync server stands; answers with all of it."""
        known(what, ADSYNC, 'adsync')
        self.sync.update(what)
        if what.get('running') is False:
            self.sync_ends = 0.0
        return self.sync

    # --- orders ---

    def script(self, what):
        for rule in what if isinstance(what, list) else [what]:
            known(rule, RULE, 'script')
            known(rule.get('match', {}), SHELL_MATCH, 'match')
            if not rule.get('match'):
                raise Order('script: match what?')
            self.rules.append({**rule, 'used': 0})

    def lose(self, _):
        """{"lose": "shells"}: they are gone, as after a restart of the service."""
        self.shells.clear()
        self.dc.lock.notify_all()

    def orders(self):
        return {'script': self.script, 'adsync': self.adsync, 'lose': self.lose}

    def views(self):
        return {'commands': lambda: self.ran, 'adsync': lambda: self.sync, 'scripts': lambda: self.rules,
                'shells': lambda: [{'id': s.id, 'user': s.user, 'commands': list(s.commands)} for s in self.shells.values()]}


def encoded(line):
    """The script of a powershell -EncodedCommand, None for anything else."""
    m = re.match(r'powershell(?:\.exe)?\s.*-(?:EncodedCommand|enc|e)\s+([A-Za-z0-9+/=]+)\s*\Z', line, re.I)
    try:
        return base64.b64decode(m[1], validate=True).decode('utf-16-le') if m else None
    except ValueError:
        return None

