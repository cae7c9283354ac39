// dcscript.js -- what runs "on the domain controller": a program of the test's (--defender-run), or
// a stand-in for the script that changes what AD shows of the tenant's users.
//
// The program gets {"action", "machine": {"id", "name"}, "script": {"name", "sha256"}, "args",
// "order"} on stdin (order: the decoded payload, or null), and what it writes is the script's output.
'use strict';
const { spawn } = require('child_process');

const TRANSCRIPT =
  'Transcript started, output file is C:\\ProgramData\\Microsoft\\Windows Defender Advanced Threat Protection\\Temp\\PSScriptOutputs\\PSScript_Transcript.txt\r\n';
const MAX_OUTPUT = 4 << 20;

function orderOf(args) {
  const m = /^-Payload c1_([A-Za-z0-9_-]+)$/.exec(args || '');
  try {
    return JSON.parse(Buffer.from(m[1], 'base64url').toString('utf8'));
  } catch (e) {
    return null;
  }
}

// As installer/defender/cordon-dc.ps1 writes it.
function marker(nonce, said) {
  const all = {
    v: 1,
    version: '1',
    op: '',
    outcome: 'refused',
    code: '',
    detail: '',
    sid: '',
    uac_before: null,
    uac_after: null,
    pwd_before: '',
    pwd_after: '',
    usn: null,
    log: 'not-asked',
    events: [],
    computer: '',
    lang: 'FullLanguage',
    time: Date.now(),
    ...said,
  };
  return `CORDON1 ${nonce} ${JSON.stringify(all)}\r\n`;
}

// No more than the least of it: time, and enabled or not.
function played(defender, a, order) {
  const o = order || {};
  const nonce = /^[0-9a-f]{16}$/.test(o.nonce) ? o.nonce : '0'.repeat(16);
  const said = { op: o.op || '', sid: o.sid || '', computer: a.computerDnsName || '' };
  const say = (more) => marker(nonce, { ...said, ...more });
  if (!order) return say({ code: 'payload' });
  if (!(o.expires > Date.now())) return say({ code: 'expired' });
  if (o.op === 'probe') return say({ outcome: 'done', code: 'probe' });
  if (o.op !== 'disable' && o.op !== 'enable') return say({ code: 'payload' });
  const u = defender.tenant.anyUser(o.sid);
  if (!u || !u.ad) return say({ outcome: 'failed', code: 'ldap-32' });
  const uac = (on) => (on ? 512 : 514);
  const want = o.op === 'enable';
  const pwd = { pwd_before: '133765432101234567' };
  const before = { uac_before: uac(u.ad.enabled), ...pwd };
  if (u.ad.enabled === want) return say({ ...before, outcome: 'already' });
  u.ad.enabled = want;
  return say({
    ...before,
    uac_after: uac(want),
    pwd_after: pwd.pwd_before,
    usn: 12345,
    outcome: 'done',
    log: 'seen',
    events: [{ id: want ? 4722 : 4725, record: 175714 }],
  });
}

function program(path, input) {
  return new Promise((done) => {
    const p = spawn(path, [], { stdio: ['pipe', 'pipe', 'pipe'] });
    const parts = { stdout: [], stderr: [] };
    let size = 0;
    for (const k of Object.keys(parts))
      p[k].on('data', (b) => {
        size += b.length;
        if (size <= MAX_OUTPUT) parts[k].push(b);
      });
    const text = (k) => Buffer.concat(parts[k]).toString('utf8');
    p.on('error', (e) => done({ exit_code: 1, script_output: '', script_errors: e.message }));
    p.on('close', (code, signal) =>
      done({
        exit_code: code === null ? 1 : code,
        script_output: text('stdout').replace(/\r?\n/g, '\r\n'),
        script_errors: signal ? `ended by ${signal}` : text('stderr'),
      }),
    );
    p.stdin.on('error', () => {});
    p.stdin.end(JSON.stringify(input));
  });
}

// What the order about outcomes makes of the line.
function spoil(text, outcome) {
  const line = /^CORDON1 ([0-9a-f]+) .*\r\n/m;
  if (outcome === 'noMarker') return text.replace(line, '');
  if (outcome === 'wrongNonce') return text.replace(/^CORDON1 [0-9a-f]+ /m, `CORDON1 ${'f'.repeat(16)} `);
  if (outcome === 'twice') return text.replace(line, (l) => l + l);
  if (outcome === 'cutMarker') return text.replace(line, (l) => l.slice(0, -10));
  return text;
}

async function run(defender, a, c) {
  const param = (key) => (c.command.params.find((p) => p.key === key) || {}).value;
  const file = defender.library.get(String(param('ScriptName')).toLowerCase());
  const order = orderOf(param('Args'));
  const out = defender.program
    ? await program(defender.program, {
        action: a.id,
        machine: { id: a.machineId, name: a.computerDnsName },
        script: file && { name: file.fileName, sha256: file.sha256 },
        args: param('Args'),
        order,
      })
    : { exit_code: 0, script_output: played(defender, a, order), script_errors: '' };
  out.script_output = `${TRANSCRIPT}${spoil(out.script_output, defender.settings.outcome)}\u0000\u0000`;
  return out;
}

module.exports = { run, marker };
