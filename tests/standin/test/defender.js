'use strict';
const crypto = require('crypto');
const { env, ok, is, call, order, fault, violations, login, secret, code } = require('./harness');

const enc = encodeURIComponent;
const b64 = (o) => Buffer.from(JSON.stringify(o)).toString('base64url');
const SCRIPT = 'cordon-dc.ps1';
const SID = 'S-1-5-21-3623811015-3361044348-30300820-1613';
const NONCE = '0123456789abcdef';
const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });

let bearer;
async function newToken() {
  const r = await login({
    client_secret: secret,
    scope: 'https://api.securitycenter.microsoft.com/.default',
  });
  bearer = `Bearer ${r.json.access_token}`;
}
const api = (method, at, body, { headers = {}, auth = bearer } = {}) =>
  call(env.DEFENDER + at, {
    method,
    headers: {
      Authorization: auth,
      Accept: 'application/json',
      'Content-Type': 'application/json',
      ...headers,
    },
    body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
  });
const wanted = (o) => ({ v: 1, op: 'disable', sid: SID, expires: Date.now() + 60000, nonce: NONCE, ...o });
const start = (m, o = {}, args = `-Payload c1_${b64(wanted(o))}`) =>
  api('POST', `/api/machines/${m.id}/runliveresponse`, {
    Commands: [
      {
        type: 'RunScript',
        params: [
          { key: 'ScriptName', value: SCRIPT },
          { key: 'Args', value: args },
        ],
      },
    ],
    Comment: `cordon ${NONCE}: selftest`,
  });
const action = async (id) => (await api('GET', `/api/machineactions/${id}`)).json;
async function ended(id) {
  for (let i = 0; i < 200; i++) {
    const a = await action(id);
    if (!['Pending', 'InProgress'].includes(a.status)) return a;
    await sleep(20);
  }
  return action(id);
}
const link = (id) => api('GET', `/api/machineactions/${id}/GetLiveResponseResultDownloadLink(index=0)`);
// The service's JSON is none: raw line feeds, and a byte order mark before it.
const result = async (id) => {
  const r = await call((await link(id)).json.value);
  return JSON.parse(r.text.replace(/^\ufeff/, '').replace(/\r\n/g, '\\r\\n'));
};
const said = (out) => {
  const m = /^CORDON1 ([0-9a-f]{16}) (\{.*\})\r?$/m.exec(out.script_output);
  return m && { nonce: m[1], ...JSON.parse(m[2]) };
};

async function machines() {
  const [dc, old, two] = await order('POST', '/defender/machines', [
    { computerDnsName: 'dc1.corp.example.com', machineTags: ['Domain Controller'] },
    { id: 'a'.repeat(40), computerDnsName: 'dc1.corp.example.com', healthStatus: 'Inactive' },
    { computerDnsName: 'dc2.corp.example.com', machineTags: ["Bob's"] },
  ]);
  const find = async (f) => (await api('GET', `/api/machines?$filter=${enc(f)}`)).json.value;
  is(
    (await find("computerDnsName eq 'dc1.corp.example.com'")).map((m) => m.id),
    [dc.id, old.id],
    'Defender: a name that two have',
  );
  is((await find("computerDnsName eq 'DC1.corp.example.com'")).length, 0, 'Defender: filters mind the case');
  is(
    (await find("machineTags/any(tag: tag eq 'Bob''s')")).map((m) => m.id),
    [two.id],
    'Defender: by a tag',
  );
  is(
    code(await api('GET', `/api/machines?$filter=${enc("ipAddresses eq 'x'")}`)),
    'ODataError',
    'Defender: not every property can be filtered by',
  );
  is(
    (await api('GET', `/api/machines/${dc.id}`)).json.computerDnsName,
    'dc1.corp.example.com',
    'Defender: by id',
  );
  is(code(await api('GET', `/api/machines/${'b'.repeat(40)}`)), 'ResourceNotFound', 'Defender: no such id');
  const r = await api('GET', '/api/machines?$top=2');
  const next = r.json['@odata.nextLink'].replace(env.DEFENDER, '');
  is((await api('GET', next)).json.value.length, 1, 'Defender: pages');
  return [dc, two];
}

async function library() {
  const b = 'xboundaryx';
  const text = "Write-Output 'x'\r\n";
  const part = (head, body) => `--${b}\r\nContent-Disposition: form-data; ${head}\r\n\r\n${body}\r\n`;
  const put = (body) =>
    api('POST', '/api/libraryfiles', body, {
      headers: { 'Content-Type': `multipart/form-data; boundary=${b}` },
    });
  const file = (override) =>
    `${part('name="Description"', 'd')}${part('name="HasParameters"', 'true')}${part('name="OverrideIfExists"', String(override))}${part(`name="file"; filename="${SCRIPT}"\r\nContent-Type: application/octet-stream`, text)}--${b}--\r\n`;
  is((await put(file(false))).status, 200, 'library: a file');
  is(code(await put(file(false))), 'BadRequest', 'library: not over another');
  is((await put(file(true))).status, 200, 'library: but where that is asked for');
  const f = (await api('GET', '/api/libraryfiles')).json.value;
  is(
    [f.length, f[0].fileName, f[0].sha256, f[0].hasParameters],
    [1, SCRIPT, crypto.createHash('sha256').update(text).digest('hex'), true],
    'library: its hash',
  );
  is(await violations(), [], 'library: as described');
  await put(`${part('name="Description"', 'd')}`);
  await put(file(true).replace('OverrideIfExists', 'Frob'));
  is((await violations()).length, 2, 'library: what is no such form is noted');
  is((await api('DELETE', '/api/libraryfiles/frob.ps1')).status, 404, 'library: nothing to delete');
}

async function runs(dc, two) {
  const user = await order('POST', '/users', {
    kind: 'hybrid',
    sid: SID,
    userPrincipalName: 'anna@corp.example.com',
  });
  const enabled = async () => (await order('GET', `/users/${user.id}`)).ad.enabled;
  const set = (b) => order('PATCH', '/defender/settings', b);
  const there = (b) => order('PATCH', `/defender/machines/${dc.id}`, b);

  let r = await start(dc);
  const { id } = r.json;
  is([r.status, r.json.status, r.json.commands[0].commandStatus], [201, 'Pending', 'Created'], 'run: begun');
  is(code(await start(dc)), 'ActiveRequestAlreadyExists', 'run: one on a machine');
  is((await start(two, { op: 'probe' })).status, 201, 'run: but on another');
  is(
    (
      await api(
        'GET',
        `/api/machineactions?$filter=${enc(`machineId eq '${dc.id}' and type eq 'LiveResponse' and creationDateTimeUtc ge ${new Date(Date.now() - 864e5).toISOString()}`)}`,
      )
    ).json.value.map((a) => a.requestorComment),
    [`cordon ${NONCE}: selftest`],
    'run: it is listed',
  );
  let a = await ended(id);
  is(
    [a.status, a.commands[0].commandStatus, await enabled()],
    ['Succeeded', 'Completed', false],
    'run: it is done',
  );
  r = await call((await link(id)).json.value);
  ok(
    /\r\n/.test(r.text) && /\\u0000/.test(r.text) && r.text.startsWith('\ufeff'),
    'result: as the service writes it',
  );
  let out = await result(id);
  is(
    [out.exit_code, said(out).nonce, said(out).outcome, said(out).uac_before, said(out).uac_after],
    [0, NONCE, 'done', 512, 514],
    'result: the script says so',
  );
  out = await result((await ended((await start(dc)).json.id)).id);
  is(said(out).outcome, 'already', 'run: again');
  out = await result((await ended((await start(dc, { expires: Date.now() - 1 })).json.id)).id);
  is([said(out).outcome, said(out).code], ['refused', 'expired'], 'run: too late');
  is(await violations(), [], 'run: as described');

  // links
  const url = (await link(id)).json.value;
  is((await call(url, { headers: { Authorization: bearer } })).status, 400, 'store: no token goes there');
  ok((await violations())[0].problems[0].includes('token'), 'store: that is noted');
  is((await call(url.replace(/sig=.*/, 'sig=x'))).status, 403, 'store: nor a wrong signature');
  await set({ linkLife: 0 });
  is((await call((await link(id)).json.value)).status, 403, 'store: links end');
  await set({ linkLife: 1800, linkHost: 'evil.test' });
  ok((await link(id)).json.value.startsWith('https://evil.test/'), 'store: a link to another host');
  await set({ linkHost: '', outcome: 'noLink' });
  is((await link(id)).status, 404, 'store: no link');
  await set({ outcome: '' });

  // away, and cancelled
  await there({ offline: true });
  r = await start(dc);
  await sleep(150);
  is((await action(r.json.id)).status, 'Pending', 'offline: it waits');
  is(
    (await api('POST', `/api/machineactions/${r.json.id}/cancel`, { Comment: 'x' })).json.status,
    'Cancelled',
    'offline: cancelled',
  );
  is(
    (await api('POST', `/api/machineactions/${r.json.id}/cancel`, { Comment: 'x' })).status,
    400,
    'cancel: not what is over',
  );
  await order('POST', '/ad', { user: user.id, enabled: true });
  r = await start(dc);
  await there({ offline: false });
  a = await ended(r.json.id);
  is([a.status, await enabled()], ['Succeeded', false], 'offline: it fires when the machine is back');
  await order('POST', '/ad', { user: user.id, enabled: true });
  await set({ pendingMs: 0, runMs: 300 });
  r = await start(dc);
  await sleep(100);
  is((await action(r.json.id)).status, 'InProgress', 'run: in progress');
  await api('POST', `/api/machineactions/${r.json.id}/cancel`, { Comment: 'x' });
  await sleep(400);
  is([(await action(r.json.id)).status, await enabled()], ['Cancelled', false], 'cancel: what runs goes on');
  await set({ runMs: 10 });

  // refusals
  const not = async (how, want, name) => {
    const before = await order('GET', `/defender/machines/${dc.id}`);
    await there(how);
    is(code(await start(dc)), want, name);
    await there(Object.fromEntries(Object.keys(how).map((k) => [k, before[k]])));
  };
  await not({ busy: true }, 'ActiveRequestAlreadyExists', "refused: somebody's session");
  await not(
    { machineTags: ['Restricted security operations'] },
    'DisallowedOperation',
    'refused: restricted',
  );
  await not({ noGroup: true }, 'DisallowedOperation', 'refused: no remediation level');
  await not({ unsupported: 'os' }, 'OsPlatformNotSupported', 'refused: an old Windows');
  await not({ unsupported: 'client' }, 'ClientVersionNotSupported', 'refused: an old sensor');
  await set({ liveResponse: false });
  is(code(await start(dc)), 'DisabledFeature', 'refused: switched off');
  await set({ liveResponse: true });
  await order('PATCH', '/app', { defenderRoles: ['Machine.Read.All'] });
  await newToken();
  is(code(await start(dc)), 'Forbidden', 'refused: a permission is missing');
  await order('PATCH', '/app', {
    defenderRoles: ['Machine.Read.All', 'Machine.LiveResponse', 'Library.Manage'],
  });
  await newToken();
  is(await violations(), [], 'refused: all as described');
  await start(dc, {}, '-Payload c1_x; iex y');
  await start(dc, {}, '-Payload "x"');
  is((await violations()).length, 2, 'run: arguments that are more than base64url are noted');
  await ended((await api('GET', '/api/machineactions')).json.value.slice(-1)[0].id);

  // outcomes
  for (const [outcome, status, text] of [
    ['error', 'Failed', /^$/],
    ['hash', 'Failed', /^$/],
    ['noMarker', 'Succeeded', /^Transcript[^]*ps1|^Transcript/],
    ['wrongNonce', 'Succeeded', /CORDON1 ffffffffffffffff /],
    ['twice', 'Succeeded', /CORDON1 [^]*CORDON1 /],
    ['cutMarker', 'Succeeded', /CORDON1 /],
  ]) {
    await set({ outcome });
    a = await ended((await start(dc)).json.id);
    out = await result(a.id);
    ok(a.status === status && text.test(out.script_output), `outcome: ${outcome}`, [a.status, out]);
    if (outcome === 'noMarker') is(said(out), null, 'outcome: no line at all');
  }
  for (const [outcome, status] of [
    ['unsigned', 'Failed'],
    ['crash', 'Failed'],
    ['timeout', 'TimeOut'],
  ]) {
    await set({ outcome });
    a = await ended((await start(dc)).json.id);
    is([a.status, (await link(a.id)).status], [status, 404], `outcome: ${outcome}`);
  }
  await set({ outcome: '' });

  // faults, limits
  await fault({ service: 'defender', method: 'POST', path: 'runlive' }, { status: 500, after: true });
  r = await start(dc);
  is(
    [
      r.status,
      (await api('GET', `/api/machineactions?$filter=${enc("status eq 'Pending'")}`)).json.value.length >= 0,
    ],
    [500, true],
    'fault: an error, though it was taken',
  );
  is(code(await start(dc)), 'ActiveRequestAlreadyExists', 'fault: it was taken');
  await sleep(100);
  await fault({ service: 'defender', path: 'cancel' }, { stick: false });
  await there({ offline: true });
  r = await start(dc);
  await api('POST', `/api/machineactions/${r.json.id}/cancel`, { Comment: 'x' });
  is((await action(r.json.id)).status, 'Pending', 'fault: a cancel that did nothing');
  await set({ limits: true });
  const all = [];
  for (let i = 0; i < 11; i++) all.push(await start(dc));
  ok(
    all[10].status === 429 && Number(all[10].headers['retry-after']) > 50,
    'limits: ten starts a minute',
    all[10],
  );
  is((await api('GET', '/api/machines')).status, 200, 'limits: other calls are counted apart');
  is(await violations(), [], 'Defender: as described');
}

module.exports = async () => {
  await order('POST', '/reset');
  await newToken();
  const other = (await login({ client_secret: secret, scope: `${env.GRAPH}/.default` })).json.access_token;
  is(
    (await api('GET', '/api/machines', undefined, { auth: `Bearer ${other}` })).status,
    401,
    "Defender: a token of Graph's is none",
  );
  is(
    (await api('GET', '/api/machines', undefined, { auth: 'x' })).json.error.code,
    'Unauthorized',
    'Defender: no token',
  );
  const [dc, two] = await machines();
  await library();
  await runs(dc, two);
  await order('POST', '/reset');
};
