// harness.js -- TAP, and the services called as a client would.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const https = require('https');
const path = require('path');

const dir = process.argv[2];
const env = {};
for (const m of fs.readFileSync(path.join(dir, 'env'), 'utf8').matchAll(/^export STANDIN_(\w+)='(.*)'$/gm))
  env[m[1]] = m[2];
const ca = fs.readFileSync(env.CA);
let count = Number(process.argv[4]);
let bad = 0;

function ok(good, name, more) {
  count++;
  if (!good) bad++;
  process.stdout.write(`${good ? 'ok' : 'not ok'} ${count} - ${name}\n`);
  if (!good && more !== undefined)
    process.stdout.write(`${JSON.stringify(more, null, 1).replace(/^/gm, '#   ')}\n`);
}
const is = (got, want, name) => ok(JSON.stringify(got) === JSON.stringify(want), name, { got, want });

function parsed(status, headers, text) {
  let json;
  try {
    json = JSON.parse(text);
  } catch (e) {
    /* not JSON */
  }
  return { status, headers, text, json };
}
// One request over HTTP/1.1 (or plain http). Rejects where no whole answer came.
function call(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const req = (url.startsWith('https:') ? https : http).request(
      url,
      {
        method,
        headers: {
          ...headers,
          ...(body === undefined && method !== 'GET' && method !== 'DELETE' ? { 'Content-Length': 0 } : {}),
        },
        ca,
        agent: false,
      },
      (res) => {
        const parts = [];
        res.on('data', (c) => parts.push(c));
        res.on('error', fail);
        res.on('aborted', () => fail(new Error('aborted')));
        res.on('end', () =>
          res.complete
            ? done(parsed(res.statusCode, res.headers, Buffer.concat(parts).toString('utf8')))
            : fail(new Error('cut')),
        );
      },
    );
    req.on('error', fail);
    req.end(body);
  });
}
// Over HTTP/2.
function call2(url, { method = 'GET', headers = {}, body } = {}) {
  return new Promise((done, fail) => {
    const u = new URL(url);
    const s = http2.connect(u.origin, { ca });
    s.on('error', fail);
    const lower = Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toLowerCase(), v]));
    const req = s.request({ ':method': method, ':path': u.pathname + u.search, ...lower });
    const parts = [];
    let head;
    req.on('response', (h) => {
      head = h;
    });
    req.on('data', (c) => parts.push(c));
    req.on('error', (e) => {
      s.destroy();
      fail(e);
    });
    req.on('close', () => {
      s.destroy();
      if (req.rstCode || !head) fail(new Error('reset'));
      else done(parsed(head[':status'], head, Buffer.concat(parts).toString('utf8')));
    });
    req.end(body);
  });
}
const failed = (p) =>
  p.then(
    () => false,
    () => true,
  );

async function order(method, at, body) {
  const r = await call(env.ORDERS + at, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (r.status !== 200) throw new Error(`order ${method} ${at}: ${r.text}`);
  return r.json;
}
const fault = (match, d) => order('POST', '/faults', { match, do: d });
const violations = async () => {
  const l = await order('GET', '/violations');
  await order('DELETE', '/violations');
  return l;
};

const form = (o) => new URLSearchParams(o).toString();
const secret = fs.readFileSync(path.join(dir, 'secret'), 'utf8');
const tokenUrl = `${env.LOGIN}/${env.TENANT}/oauth2/v2.0/token`;
const login = (fields, { tenant = env.TENANT } = {}) =>
  call(`${env.LOGIN}/${tenant}/oauth2/v2.0/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    body: form({
      client_id: env.CLIENT_ID,
      scope: `${env.GRAPH}/.default`,
      grant_type: 'client_credentials',
      ...fields,
    }),
  });
let kept = null;
async function token({ anew } = {}) {
  if (!kept || anew) kept = (await login({ client_secret: secret })).json.access_token;
  return kept;
}
// Graph: at is behind the version.
async function graph(method, at, body, { headers = {}, version = 'v1.0', by = call } = {}) {
  return by(`${env.GRAPH}/${version}${at}`, {
    method,
    headers: {
      Authorization: `Bearer ${await token()}`,
      'client-request-id': crypto.randomUUID(),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}
const EVENTUAL = { headers: { ConsistencyLevel: 'eventual' } };
const q = (o) =>
  `?${Object.entries(o)
    .map(([k, v]) => `$${k}=${encodeURIComponent(v)}`)
    .join('&')}`;
function okta(method, at, body, { auth = 'SSWS standin-ssws-token', headers = {} } = {}) {
  return call(env.OKTA + at, {
    method,
    headers: {
      Authorization: auth,
      Accept: 'application/json',
      'Content-Type': 'application/json',
      'User-Agent': 'selftest',
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
}
const b64 = (x) => Buffer.from(x).toString('base64url');
function jwt(key, header, claims) {
  const data = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(claims))}`;
  const options = header.alg.startsWith('PS')
    ? { key, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    : header.alg.startsWith('ES')
      ? { key, dsaEncoding: 'ieee-p1363' }
      : { key };
  return `${data}.${b64(crypto.sign('sha256', Buffer.from(data), options))}`;
}
const code = (r) => r.json && r.json.error && r.json.error.code;

module.exports = {
  env,
  dir,
  ok,
  is,
  call,
  call2,
  failed,
  order,
  fault,
  violations,
  login,
  token,
  graph,
  okta,
  q,
  EVENTUAL,
  b64,
  jwt,
  code,
  secret,
  tokenUrl,
  form,
  counted: () => ({ count, bad }),
};
