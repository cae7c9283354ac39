'use strict'
// schema.js DIR CORDON RESULTS KEY PUB -- do the schemas in DIR and the program mean the same? TAP.
// Requests: each document is judged by the schema, signed, and judged by the program.
const crypto = require('crypto')
const fs = require('fs')
const { spawnSync } = require('child_process')
const Ajv = require('../standin/node_modules/ajv/dist/2020')
const formats = require('../standin/node_modules/ajv-formats')

const [dir, cordon, results, keyFile, pubFile] = process.argv.slice(2)
let n = 0
let failed = 0
const ok = (good, name, why) => {
  n++
  if (good) return console.log(`ok ${n} - ${name}`)
  failed++
  console.log(`not ok ${n} - ${name}`)
  if (why !== undefined) console.log(`# ${String(why).trim().replace(/\n/g, '\n# ')}`)
}

const compile = (file) => {
  const ajv = new Ajv({ strict: true, strictRequired: false, strictTypes: false, allErrors: true })
  formats(ajv)
  return ajv.compile(JSON.parse(fs.readFileSync(`${dir}/${file}`, 'utf8')))
}
const request = compile('request.schema.json')
const result = compile('result.schema.json')
const event = compile('event.schema.json')

// --- requests ---------------------------------------------------------------------------
const key = crypto.createPrivateKey(fs.readFileSync(keyFile))
const base64url = (x) => Buffer.from(x).toString('base64url')
const sign = (text) => {
  const m = base64url(JSON.stringify({ alg: 'EdDSA', typ: 'cordon-request.v1+jwt' })) + '.' + base64url(text)
  return m + '.' + base64url(crypto.sign(null, Buffer.from(m), key))
}
// What the program says of each.
const judge = (documents) => documents.map((d) => {
  const p = spawnSync(cordon, ['verify', '--json', '--key', pubFile, '-'], { input: sign(JSON.stringify(d)), encoding: 'utf8' })
  return { taken: p.status === 0, said: p.stdout + p.stderr, status: p.status }
})

const least = {
  id: '01KAM6V4QZ5Y8S3T9W2X7R1B0C',
  action: 'disable',
  account: 'alice',
  requester: 'soc@example.com',
  issued: '2026-11-21T09:14:03Z',
  expires: '2026-11-21T09:24:03Z',
  audience: 'corp.example.com'
}
const without = (name) => { const d = { ...least }; delete d[name]; return d }
const actions = ['disable', 'enable', 'expire-password', 'reset-password', 'contain', 'revoke', 'mark-compromised', 'dismiss-risk',
  'disableAccount', 'enableAccount', 'forcePasswordReset', 'revokeAllSessions', 'requireUserToSignInAgain', 'markUserAsCompromised',
  'Disable', 'delete', 'disable ', '', 'isolate']
const flags = ['clear-never-expires', 'must-change', 'mfa', 'audit', 'steps']
const documents = [
  least,
  [], null, 'x', 7, {},
  ...Object.keys(least).map(without),
  ...Object.keys(least).flatMap((k) => [null, 7, '', [], {}, true].map((v) => ({ ...least, [k]: v }))),
  { ...least, more: 1 }, { ...least, Action: 'disable' }, { ...least, options: { privileged: true } },
  // every action with every scope, and with every option
  ...actions.flatMap((action) => ['both', 'on-prem', 'cloud', 'all', '', null].map((scope) => ({ ...least, action, scope }))),
  ...actions.flatMap((action) => flags.map((f) => ({ ...least, action, options: { [f]: true } }))),
  ...actions.map((action) => ({ ...least, action, options: { 'must-change': true, 'clear-never-expires': true } })),
  ...flags.flatMap((f) => [false, null, 1, 'true'].map((v) => ({ ...least, options: { [f]: v } }))),
  ...['okta', 'Okta', '', 'ping', null, true].map((idp) => ({ ...least, options: { idp } })),
  ...[null, [], 'x', {}].map((options) => ({ ...least, options })),
  ...['reason', 'ticket'].flatMap((k) => ['', 'x', null, 7, 'x'.repeat(128), 'x'.repeat(129), 'x'.repeat(500), 'x'.repeat(501)]
    .map((v) => ({ ...least, [k]: v }))),
  { ...least, reason: 'a\nb\u202e' }, { ...least, ticket: 'a\nb' }, { ...least, requester: 'a\tb' },
  ...['x'.repeat(256), 'x'.repeat(257)].flatMap((v) => [{ ...least, account: v }, { ...least, requester: v }]),
  ...['svc-*', 'WS1$', 'CORP\\alice', 'a@b', 'S-1-5-21-1-2-3-1104', '3f2a5e10-0000-4000-8000-000000000001', 'J\u00fcrgen', 'a b', '\u4e2d',
    'CN=A\\, B,DC=corp,DC=example,DC=com', ' a', 'a ', '\u00a0a', 'a\u0007b', 'a\u0085b'].map((account) => ({ ...least, account })),
  ...['01kam6v4qz5y8s3t9w2x7r1b0c', '7ZZZZZZZZZZZZZZZZZZZZZZZZZ', '8ZZZZZZZZZZZZZZZZZZZZZZZZZ', '01KAM6V4QZ5Y8S3T9W2X7R1B0U',
    '01KAM6V4QZ5Y8S3T9W2X7R1B0', '0f8fad5b-d9cb-469f-a165-70867728950e', '0F8FAD5B-D9CB-469F-A165-70867728950E',
    '0f8fad5bd9cb469fa16570867728950e', '{0f8fad5b-d9cb-469f-a165-70867728950e}', '0f8fad5b-d9cb-469f-a165-70867728950g'].map((id) => ({ ...least, id })),
  ...['2026-11-21T09:24:03.5Z', '2026-11-21T10:24:03+01:00', '2026-11-21T10:24:03+0100', '2026-11-21T10:24:03+01', '2026-11-21 09:24:03Z',
    '2026-11-21T09:24:03', '2026-11-21t09:24:03Z', '2026-11-21T09:24:03z', '2026-11-21T09:24:03,5Z', '2026-11-21T09:24:03.Z', '2026-11-31T09:24:03Z',
    '2027-02-29T09:24:03Z', '2028-02-29T09:24:03Z', '2026-11-21T24:00:00Z', '2026-11-21T09:60:00Z', '2026-11-21T09:24Z',
    '2026-11-21T09:24:03.1234567891Z', '20261121T092403Z', 'tomorrow'].map((expires) => ({ ...least, expires })),
  ...['a', 'A.B', 'a_b.c', 'a-b.c', '-a.b', 'a-.b', 'a..b', '.a', 'a.', 'a b', '10.0.0.1', '::1', '\u00e4.de', 'x'.repeat(63) + '.y',
    'x'.repeat(64) + '.y', ('x'.repeat(60) + '.').repeat(4) + 'y'.repeat(9), ('x'.repeat(60) + '.').repeat(4) + 'y'.repeat(10)].map((audience) => ({ ...least, audience }))
]
const said = judge(documents)
let taken = 0
const apart = documents.filter((d, i) => {
  taken += said[i].taken ? 1 : 0
  return request(d) !== said[i].taken
}).map((d) => JSON.stringify(d) + ' schema: ' + (request(d) ? 'good' : JSON.stringify(request.errors[0].message)) + ' program: ' + said[documents.indexOf(d)].said)
ok(apart.length === 0, `schema and program agree on ${documents.length} requests`, apart.slice(0, 10).join('\n'))
ok(taken > 50 && documents.length - taken > 100, 'of which many are good, and many are not', `${taken} good`)
ok(said.every((s) => s.status === 0 || s.status === 12), 'a refusal is exit code 12')

// What the program has to know beyond the schema; these are refused, and the schema lets them pass.
const beyond = [
  { ...least, expires: least.issued },
  { ...least, account: 'ali\u200bce' },
  { ...least, account: 'Ju\u0308rgen' },
  { ...least, requester: 'so\u202ec' },
  { ...least, account: 'CN=a,DC=other,DC=example,DC=com' }
]
ok(beyond.every((d) => request(d)) && judge(beyond).every((s) => s.status === 12), 'and what a schema cannot say, the program refuses')

// What the program writes.
const own = spawnSync(cordon, ['submit', 'expire-password', 'alice', 'CN=Doe\\, J\u00fcrgen,DC=corp,DC=example,DC=com', '--key', keyFile, '--domain', 'corp.example.com',
  '--reason', 'a "b" \u202e', '--ticket', 'INC-1', '--clear-never-expires', '--mfa', '--audit', '--idp', 'okta', '--steps', '--on-prem', '--out', '-'], { encoding: 'utf8' })
const payloads = own.stdout.trim().split('\n').map((jws) => JSON.parse(Buffer.from(jws.split('.')[1], 'base64url')))
ok(own.status === 0 && payloads.length === 2 && payloads.every((p) => request(p)), 'what cordon submit signs is by the schema', own.stderr + JSON.stringify(request.errors))

// --- results ----------------------------------------------------------------------------
const lines = spawnSync(results, { encoding: 'utf8' }).stdout.trim().split('\n').map((l) => JSON.parse(l))
const made = lines.filter((l) => !l.event)
const bad = made.filter((r) => !result(r))
ok(made.length > 10 && bad.length === 0, `${made.length} answers, as the program writes them, are by the schema`,
  bad.map((r) => JSON.stringify(r) + (result(r), JSON.stringify(result.errors))).join('\n'))
ok(new Set(made.map((r) => r.outcome)).size === 12 && made.some((r) => r.steps) && made.some((r) => r.steps_left_out), 'all outcomes, with steps and without')
const goodOne = made.find((r) => r.outcome === 'good' && r.steps)
const expired = made.find((r) => r.outcome === 'expired')
const wrong = [
  ...['request', 'digest', 'signer', 'agent', 'time', 'outcome', 'detail', 'verdict'].map((k) => { const r = { ...goodOne }; delete r[k]; return r }),
  { ...goodOne, outcome: 'perfect' }, { ...goodOne, digest: 'AB' }, { ...goodOne, time: 'now' }, { ...goodOne, steps_left_out: 3 },
  { ...goodOne, ledger: { count: 1 } }, { ...goodOne, verdict: { ...goodOne.verdict, verdict: 'contained' } },
  { ...goodOne, verdict: { ...goodOne.verdict, proof: 'sure' } }, { ...goodOne, steps: [{ ...goodOne.steps[0], state: 'ok' }] },
  { ...expired, verdict: goodOne.verdict }, { ...expired, steps: goodOne.steps }
]
ok(wrong.every((r) => !result(r)), 'and those that were spoilt are not', wrong.filter((r) => result(r)).map((r) => JSON.stringify(r)).join('\n'))
ok(result({ ...goodOne, later: 1 }), 'there may be more members later')

// --- events -----------------------------------------------------------------------------
const events = lines.filter((l) => l.event)
ok(events.length === 2 && events.every((x) => event(x)), 'events, as the program writes them, are by the schema', JSON.stringify(event.errors))
ok(Object.keys(events[0]).every((k) => { const x = { ...events[0] }; delete x[k]; return !event(x) }), 'each member must be there')

console.log(`1..${n}`)
process.exit(failed === 0 ? 0 : 1)
