'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const {
  env,
  dir,
  ok,
  is,
  call,
  order,
  fault,
  violations,
  login,
  token,
  graph,
  b64,
  jwt,
  secret,
  tokenUrl,
  code,
} = require('./harness');

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
const now = () => Math.floor(Date.now() / 1000);
const claims = (t) => JSON.parse(Buffer.from(t.split('.')[1], 'base64url').toString());
const aadsts = (r) => r.json && r.json.error_codes && r.json.error_codes[0];

module.exports = async () => {
  let r = await login({ client_secret: secret });
  is(
    [r.status, r.json.token_type, r.json.expires_in],
    [200, 'Bearer', 3599],
    'login: a client secret gets a token',
  );
  const c = claims(r.json.access_token);
  ok(
    c.roles.includes('User.Read.All') && c.oid && c.wids && c.exp > now(),
    'login: the token tells roles, wids, oid, exp',
  );
  r = await login({ client_secret: 'wrong' });
  is([r.status, r.json.error, aadsts(r)], [401, 'invalid_client', 7000215], 'login: a wrong secret does not');
  r = await login({ client_secret: secret }, { tenant: '22222222-2222-4333-8444-555555555555' });
  is(aadsts(r), 90002, 'login: another tenant is not here');
  r = await login({ client_secret: secret, client_id: '22222222-2222-4333-8444-555555555555' });
  is(aadsts(r), 700016, 'login: another application is not here');
  r = await login({ client_secret: secret, scope: 'https://elsewhere.example/.default' });
  is(aadsts(r), 500011, 'login: nor another resource');
  is(await violations(), [], 'login: none of this is against the description');
  r = await login({ client_secret: secret, frobnicate: '1' });
  ok(
    r.status === 400 && /frobnicate/.test(JSON.stringify(await violations())),
    'login: a member that is not described is',
  );
  r = await login({});
  ok(r.status === 400 && (await violations()).length === 1, 'login: neither secret nor assertion is');

  // certificate
  const pem = fs.readFileSync(path.join(dir, 'client.pem'), 'utf8');
  const der = new crypto.X509Certificate(pem).raw;
  const thumb = (h) => b64(crypto.createHash(h).update(der).digest());
  const good = () => ({
    aud: tokenUrl,
    iss: env.CLIENT_ID,
    sub: env.CLIENT_ID,
    jti: crypto.randomUUID(),
    nbf: now(),
    iat: now(),
    exp: now() + 600,
  });
  const PS = { alg: 'PS256', typ: 'JWT', 'x5t#S256': thumb('sha256') };
  const by = (assertion) => login({ client_assertion_type: JWT_BEARER, client_assertion: assertion });
  const used = jwt(pem, PS, good());
  is((await by(used)).status, 200, 'certificate: PS256');
  is(
    (await by(jwt(pem, { alg: 'RS256', typ: 'JWT', x5t: thumb('sha1') }, good()))).status,
    200,
    'certificate: RS256',
  );
  is(await violations(), [], 'certificate: as described');
  r = await by(used);
  ok(
    r.status === 401 && /twice/.test(JSON.stringify(await violations())),
    'certificate: an assertion used twice is refused, and noted',
  );
  const swap = (f, v) => ({ ...good(), [f]: v });
  is(
    aadsts(await by(jwt(pem, PS, swap('aud', 'https://login.example/')))),
    700027,
    'certificate: aud is the URL posted to',
  );
  is(aadsts(await by(jwt(pem, PS, swap('exp', now() - 1)))), 700024, 'certificate: its time is over');
  is(aadsts(await by(jwt(pem, PS, swap('exp', now() + 3600)))), 700024, 'certificate: it lives too long');
  const other = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  is(aadsts(await by(jwt(other, PS, good()))), 700027, 'certificate: signed by another key');
  is(
    aadsts(await by(jwt(pem, { ...PS, 'x5t#S256': thumb('sha512') }, good()))),
    700027,
    'certificate: another thumbprint',
  );
  await order('PATCH', '/settings', { pssRefused: true });
  is(
    [
      aadsts(await by(jwt(pem, PS, good()))),
      (await by(jwt(pem, { alg: 'RS256', typ: 'JWT', x5t: thumb('sha1') }, good()))).status,
    ],
    [700027, 200],
    'certificate: PS256 refused by order, RS256 taken',
  );
  await order('PATCH', '/settings', { pssRefused: false, clockOffset: 7200 });
  is(aadsts(await by(jwt(pem, PS, good()))), 700024, "certificate: the login's clock is ahead by order");
  await order('PATCH', '/settings', { clockOffset: 0 });

  // federated
  const fed = fs.readFileSync(path.join(dir, 'federated.jwt'), 'utf8');
  is((await by(fed)).status, 200, 'federated: the issued token');
  is((await by(fed)).status, 200, 'federated: again, since it is the same until it changes');
  const twist = (f, v) =>
    `${fed.split('.')[0]}.${b64(JSON.stringify({ ...claims(fed), [f]: v }))}.${fed.split('.')[2]}`;
  is(
    [
      aadsts(await by(twist('sub', 'x'))),
      aadsts(await by(twist('iss', 'x'))),
      aadsts(await by(twist('aud', 'x'))),
      aadsts(await by(twist('iat', 1))),
    ],
    [700213, 700211, 700212, 50012],
    'federated: subject, issuer, audience, signature',
  );
  await violations();

  await fault({ service: 'login' }, { aadsts: 7000222 });
  is(aadsts(await login({ client_secret: secret })), 7000222, 'login: any AADSTS number by order');
  await fault({ service: 'login' }, { status: 503, retryAfter: '2' });
  r = await login({ client_secret: secret });
  is(
    [r.status, r.json.error, r.headers['retry-after']],
    [503, 'temporarily_unavailable', '2'],
    'login: 503 by order',
  );

  // tokens at Graph
  r = await call(`${env.GRAPH}/v1.0/users/alice@corp.example.com`, {});
  is([r.status, code(r)], [401, 'InvalidAuthenticationToken'], 'Graph: no token');
  const la = (await login({ client_secret: secret, scope: `${env.LOGANALYTICS}/.default` })).json
    .access_token;
  r = await call(`${env.GRAPH}/v1.0/users/alice@corp.example.com`, {
    headers: { Authorization: `Bearer ${la}` },
  });
  is(r.status, 401, 'Graph: a token for another service');
  const short = await order('POST', '/tokens', { life: 0 });
  r = await call(`${env.GRAPH}/v1.0/users/alice@corp.example.com`, {
    headers: { Authorization: `Bearer ${short.token}` },
  });
  is([r.status, code(r)], [401, 'InvalidAuthenticationToken'], 'Graph: an expired token');
  await token();
  await order('POST', '/tokens/expire');
  is(
    [
      (await graph('GET', '/users/alice@corp.example.com')).status,
      (await token({ anew: true }), (await graph('GET', '/users/alice@corp.example.com')).status),
    ],
    [401, 200],
    'Graph: all tokens end by order, a new one works',
  );

  // continuous access evaluation
  await fault({ service: 'graph' }, { challenge: true });
  r = await graph('GET', '/users/alice@corp.example.com');
  const m = /error="insufficient_claims".*claims="([^"]+)"/.exec(r.headers['www-authenticate'] || '');
  ok(r.status === 401 && m, 'challenge: 401 with claims');
  await token({ anew: true });
  is(
    (await graph('GET', '/users/alice@corp.example.com')).status,
    401,
    'challenge: a token got without the claims is challenged again',
  );
  const wanted = JSON.parse(Buffer.from(m[1], 'base64').toString());
  wanted.access_token.xms_cc = { values: ['cp1'] };
  r = await login({ client_secret: secret, claims: JSON.stringify(wanted) });
  ok(JSON.stringify(claims(r.json.access_token).xms_cc) === '["cp1"]', 'challenge: claims are heard');
  await token({ anew: true });
  is((await graph('GET', '/users/alice@corp.example.com')).status, 200, 'challenge: answered, all is well');
  is(await violations(), [], 'tokens: nothing against the description');

  // managed identity
  const where = `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(env.GRAPH)}`;
  const META = { headers: { Metadata: 'true' } };
  r = await call(env.IMDS + where, META);
  ok(
    r.status === 200 &&
      typeof r.json.expires_in === 'string' &&
      claims(r.json.access_token).aud === env.GRAPH,
    'IMDS: a token, numbers as strings',
  );
  is((await call(env.IMDS + where)).status, 400, 'IMDS: 400 without the header');
  is(await violations(), [], 'IMDS: which is a way to ask whether it is there');
  is(
    (await call(`${env.IMDS}${where}&client_id=22222222-2222-4333-8444-555555555555`, META)).status,
    400,
    'IMDS: an identity that is not assigned',
  );
  await fault({ service: 'imds' }, { status: 410 });
  is((await call(env.IMDS + where, META)).status, 410, 'IMDS: 410 by order');
  const arc = env.ARC + where.replace('2018-02-01', '2020-06-01');
  r = await call(arc, META);
  const file = /^Basic realm=(.*)$/.exec(r.headers['www-authenticate'] || '');
  ok(
    r.status === 401 && file && path.dirname(file[1]) === env.ARC_TOKENS && file[1].endsWith('.key'),
    'Arc: 401 names a key file',
  );
  const key = fs.readFileSync(file[1], 'utf8');
  r = await call(`${arc}&client_id=22222222-2222-4333-8444-555555555555`, {
    headers: { ...META.headers, Authorization: `Basic ${key}` },
  });
  is(
    [r.status, r.json.client_id],
    [200, '22222222-2222-4333-8444-555555555555'],
    'Arc: its content opens, the selector comes back',
  );
  is(
    (await call(arc, { headers: { ...META.headers, Authorization: `Basic ${key}` } })).status,
    401,
    'Arc: only once',
  );
  await order('PATCH', '/settings', { arcRealm: '/etc/shadow' });
  is(
    (await call(arc, META)).headers['www-authenticate'],
    'Basic realm=/etc/shadow',
    'Arc: any path by order',
  );
  await order('PATCH', '/settings', { arcRealm: '' });
  is(await violations(), [], 'managed identity: nothing against the description');
};
