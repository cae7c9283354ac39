// tokens.js -- the login: client credentials by secret, certificate or federated token; and what
// the other services ask about a token shown to them.
'use strict';
const crypto = require('crypto');
const { Refusal } = require('./odata');
const { uuid } = require('./state');

// AADSTS number -> [error, status, words]
const AADSTS = {
  7000215: ['invalid_client', 401, 'Invalid client secret provided.'],
  7000222: ['invalid_client', 401, 'The provided client secret keys for app are expired.'],
  7000218: [
    'invalid_client',
    401,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  ],
  900144: ['invalid_request', 400, 'The request body must contain the following parameter.'],
  700016: ['unauthorized_client', 400, 'Application was not found in the directory.'],
  700011: ['unauthorized_client', 400, 'The application does not exist.'],
  7000112: ['unauthorized_client', 400, 'Application is disabled.'],
  700027: [
    'invalid_client',
    401,
    'The certificate with identifier used to sign the client assertion is not registered on application, or its signature is wrong.',
  ],
  50012: ['invalid_client', 401, 'Authentication failed.'],
  900384: ['invalid_request', 400, 'JWT token failed signature validation.'],
  700030: ['invalid_client', 401, 'Invalid certificate: subject name is not authorized.'],
  700024: ['invalid_client', 401, 'Client assertion is not within its valid time range.'],
  50013: ['invalid_grant', 400, 'Assertion failed time validation.'],
  500133: ['invalid_grant', 400, 'Assertion is not within its valid time range.'],
  700213: [
    'invalid_client',
    401,
    'No matching federated identity record found for presented assertion subject.',
  ],
  700211: [
    'invalid_client',
    401,
    'No matching federated identity record found for presented assertion issuer.',
  ],
  700212: [
    'invalid_client',
    401,
    'No matching federated identity record found for presented assertion audience.',
  ],
  90002: ['invalid_request', 400, 'Tenant not found.'],
  90038: ['invalid_request', 400, 'Tenant request is being referred to the national cloud.'],
  900382: ['invalid_request', 400, 'Confidential Client is not supported in Cross Cloud request.'],
  900432: ['invalid_request', 400, 'Confidential Client is not supported in Cross Cloud request.'],
  70011: ['invalid_scope', 400, 'The provided value for the input parameter scope is not valid.'],
  700022: ['invalid_request', 400, 'The provided value for scope is not valid.'],
  500011: ['invalid_resource', 400, 'The resource principal was not found in the tenant.'],
  650057: ['invalid_resource', 400, 'Invalid resource.'],
  530032: ['access_denied', 400, 'Blocked by security policy.'],
  53003: ['access_denied', 400, 'Access has been blocked by Conditional Access policies.'],
  90055: ['temporarily_unavailable', 429, 'Tenant is throttled.'],
  90006: ['temporarily_unavailable', 503, 'ExternalServerRetryableError.'],
  90012: ['temporarily_unavailable', 503, 'RequestTimeout.'],
  90024: ['temporarily_unavailable', 503, 'RequestBudgetExceededError.'],
  90033: ['temporarily_unavailable', 503, 'MsodsServiceUnavailable.'],
  90090: ['temporarily_unavailable', 503, 'GraphRetryableError.'],
};

function failure(n, { status, headers = {}, more = '' } = {}) {
  const [error, usual, words] = AADSTS[n] || ['invalid_request', 400, 'Unknown.'];
  const trace = uuid();
  const time = new Date().toISOString().replace('T', ' ').slice(0, 19) + 'Z';
  return {
    status: status || usual,
    headers,
    body: {
      error,
      error_description: `AADSTS${n}: ${words}${more} Trace ID: ${trace} Correlation ID: ${uuid()} Timestamp: ${time}`,
      error_codes: [n],
      timestamp: time,
      trace_id: trace,
      correlation_id: uuid(),
      error_uri: `https://login.microsoftonline.com/error?code=${n}`,
    },
  };
}
const fail = (n, more) => {
  throw Object.assign(new Error(`AADSTS${n}`), { answer: failure(n, { more }) });
};

// --- JWT ---
const b64 = (x) => Buffer.from(x).toString('base64url');
function decode(jwt) {
  const part = jwt.split('.');
  if (part.length !== 3 || part.some((p) => !/^[A-Za-z0-9_-]+$/.test(p))) return null;
  try {
    const [header, claims] = part
      .slice(0, 2)
      .map((p) => JSON.parse(Buffer.from(p, 'base64url').toString('utf8')));
    return {
      header,
      claims,
      data: Buffer.from(`${part[0]}.${part[1]}`),
      signature: Buffer.from(part[2], 'base64url'),
    };
  } catch (e) {
    return null;
  }
}
const HASH = { 256: 'sha256', 384: 'sha384', 512: 'sha512' };
function verifies(j, alg, key) {
  // key: KeyObject, JWK or PEM; alg is pinned to the key's type
  const k = key instanceof crypto.KeyObject ? key : crypto.createPublicKey(key);
  const m = /^(PS|RS|ES)(256|384|512)$/.exec(alg);
  if (!m || (m[1] === 'ES') !== (k.asymmetricKeyType === 'ec')) return false;
  const options =
    m[1] === 'PS'
      ? { key: k, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(m[2]) / 8 }
      : m[1] === 'ES'
        ? { key: k, dsaEncoding: 'ieee-p1363' }
        : { key: k };
  return crypto.verify(HASH[m[2]], j.data, options, j.signature);
}
function sign(key, header, claims) {
  // RS256
  const data = `${b64(JSON.stringify({ typ: 'JWT', alg: 'RS256', ...header }))}.${b64(JSON.stringify(claims))}`;
  return `${data}.${crypto.sign('sha256', Buffer.from(data), key).toString('base64url')}`;
}

const signer = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

// What every token for an audience looks like; kept, so that only ours are taken.
function issue(tenant, aud, { life = tenant.settings.tokenLife, cae = false, subject } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    aud,
    iss: `https://sts.windows.net/${tenant.id}/`,
    iat: now,
    nbf: now,
    exp: now + life,
    tid: tenant.id,
    appid: subject || tenant.app.clientId,
    oid: tenant.app.objectId,
    sub: tenant.app.objectId,
    idtyp: 'app',
    ver: '1.0',
    roles: [...(aud === tenant.defenderAudience ? tenant.app.defenderRoles : tenant.app.roles)],
    wids: [...tenant.app.wids, '0997a1d0-0d1d-4acb-b408-d5ca73121e90'],
    uti: b64(crypto.randomBytes(12)),
    ...(cae ? { xms_cc: ['cp1'] } : {}),
  };
  const token = sign(signer, { kid: 'standin' }, claims);
  tenant.tokens.set(token, claims);
  return { token, claims };
}

// --- the token endpoint ---
function assertion(ctx, tenant, f) {
  const j = decode(f.client_assertion);
  if (!j) fail(50012, ' The assertion is no JWT.');
  const now = Math.floor(Date.now() / 1000) + tenant.settings.clockOffset;
  const thumb = j.header['x5t#S256'] || j.header.x5t;
  if (!thumb) return federated(tenant, j, now);
  const cert = tenant.app.certificates
    .map((pem) => new crypto.X509Certificate(pem))
    .find(
      (c) =>
        (j.header['x5t#S256'] === undefined ||
          b64(crypto.createHash('sha256').update(c.raw).digest()) === j.header['x5t#S256']) &&
        (j.header.x5t === undefined ||
          b64(crypto.createHash('sha1').update(c.raw).digest()) === j.header.x5t),
    );
  if (!cert) fail(700027, ' Thumbprint unknown.');
  if (!['PS256', 'RS256'].includes(j.header.alg) || !verifies(j, j.header.alg, cert.publicKey))
    fail(700027, ' Signature wrong.');
  if (tenant.settings.pssRefused && j.header.alg === 'PS256') fail(700027, ' PS256 is not taken here.');
  const c = j.claims;
  if (c.iss !== f.client_id || c.sub !== f.client_id) fail(700027, ' iss or sub is not the client.');
  if (c.aud !== ctx.url) fail(700027, ` aud is not ${ctx.url}.`);
  if (![c.exp, c.nbf, c.iat].every(Number.isInteger)) fail(50012, ' Times are whole numbers.');
  if (c.exp <= now || c.nbf > now + 300 || c.exp > now + 900 || c.exp - c.nbf > 600)
    fail(700024, ` Current time: ${now}, nbf ${c.nbf}, exp ${c.exp}.`);
  once(ctx, tenant, c.jti);
}
function federated(tenant, j, now) {
  const c = j.claims;
  const known = tenant.app.federated;
  const f = known.find((x) => x.issuer === c.iss);
  if (!f) fail(700211);
  if (f.audience !== c.aud) fail(700212);
  if (f.subject !== c.sub) fail(700213);
  if (!verifies(j, j.header.alg, f.key)) fail(50012, ' Signature wrong.');
  if (!(c.exp > now)) fail(700024, ' expired.');
}
function once(ctx, tenant, jti) {
  if (typeof jti !== 'string' || jti.length < 8) fail(50012, ' jti missing.');
  if (tenant.seenIds.has(jti)) {
    ctx.violate(['assertion used twice']);
    fail(50012, ' jti used before.');
  }
  tenant.seenIds.set(jti, true);
}

function token(ctx) {
  const { tenant, form: f } = ctx;
  const named = ctx.params.tenant.toLowerCase();
  if (named !== tenant.id && !tenant.domains.includes(named)) fail(90002, ` '${named}'.`);
  if (f.client_id !== tenant.app.clientId) fail(700016);
  if (tenant.app.disabled) fail(7000112);
  const aud = ctx.service.resource(f.scope.replace(/\/\.default$/, ''));
  if (!aud) fail(500011, ` ${f.scope}`);
  if (f.client_secret !== undefined) {
    if (f.client_assertion !== undefined) ctx.violate(['client_secret and client_assertion']);
    if (f.client_secret !== tenant.app.secret) fail(7000215);
  } else assertion(ctx, tenant, f);
  let cae = false;
  if (f.claims !== undefined) {
    let wanted;
    try {
      wanted = JSON.parse(f.claims);
    } catch (e) {
      ctx.violate(['claims is no JSON']);
      fail(900144);
    }
    const cc = (wanted.access_token || {}).xms_cc;
    cae = Boolean(cc && (cc.values || []).includes('cp1'));
  }
  if (
    tenant.challenge &&
    (f.claims === undefined || !JSON.stringify(JSON.parse(f.claims)).includes(tenant.challenge))
  ) {
    // Sign-in goes well, but the token will be challenged again.
    ctx.note = 'the challenge was not answered';
  } else tenant.challenge = null;
  const { token: t, claims } = issue(tenant, aud, { cae });
  const body = {
    token_type: 'Bearer',
    expires_in: claims.exp - claims.iat,
    ext_expires_in: claims.exp - claims.iat,
  };
  if (tenant.settings.refreshIn) body.refresh_in = tenant.settings.refreshIn;
  body.access_token = t;
  return { status: 200, headers: { 'Cache-Control': 'no-store, no-cache' }, body };
}

// Who shows this token? Throws 401.
function bearer(ctx, audience) {
  const { tenant } = ctx;
  const m = /^Bearer ([A-Za-z0-9._~+/=-]+)$/.exec(ctx.headers.authorization || '');
  const refuse = (message) => {
    throw new Refusal(401, 'InvalidAuthenticationToken', message, {
      'WWW-Authenticate':
        'Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="invalid_token"',
    });
  };
  if (!m) refuse('Access token is empty.');
  const claims = tenant.tokens.get(m[1]);
  if (!claims) refuse('Access token validation failure. Invalid signature.');
  if (claims.aud !== audience) refuse('Access token validation failure. Invalid audience.');
  if (claims.dead || claims.exp * 1000 <= Date.now())
    refuse('Lifetime validation failed, the token is expired.');
  if (tenant.challenge) {
    claims.dead = true;
    throw new Refusal(
      401,
      'InvalidAuthenticationToken',
      'Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp',
      { 'WWW-Authenticate': challengeHeader(tenant) },
    );
  }
  ctx.token = m[1];
  ctx.claims = claims;
  ctx.by = { app: tenant.app };
}
function challengeHeader(tenant) {
  const claims = JSON.stringify({ access_token: { nbf: { essential: true, value: tenant.challenge } } });
  return `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`;
}

module.exports = { token, bearer, issue, sign, decode, verifies, failure, challengeHeader, AADSTS };
