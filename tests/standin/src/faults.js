// faults.js -- misbehaviour by order. A list tried in order; README.md has what may be asked for.
//
// `refusal` is an answer instead of (or, with after, behind) the act; `twist` changes a true answer.
'use strict';
const { challengeHeader, failure } = require('./tokens');

const SERVICES = ['login', 'graph', 'imds', 'arc', 'okta', 'loganalytics', 'defender', 'store'];
const MATCH = ['service', 'method', 'path', 'body', 'nth', 'times', 'inBatch', 'version'];
const DO = [
  'status',
  'after',
  'retryAfter',
  'code',
  'message',
  'kind',
  'challenge',
  'kill',
  'aadsts',
  'delay',
  'delayAfter',
  'cut',
  'html',
  'body',
  'raw',
  'contentType',
  'headers',
  'set',
  'remove',
  'duplicate',
  'huge',
  'deep',
  'stick',
  'audit',
  'auditDelay',
  'staleReads',
  'nextLink',
  'value',
  'dropParts',
  'throttleParts',
  'partRetryAfter',
  'inOrder',
  'resetIn',
];
const KINDS = {
  permission: ['Authorization_RequestDenied', 'Insufficient privileges to complete the operation.'],
  privileged: ['Authorization_RequestDenied', 'Insufficient privileges to complete the operation.'],
  restricted: [
    'Authorization_RequestDenied',
    'Insufficient privileges to complete the operation. Target object is a member of a restricted management administrative unit and can only be modified by administrators scoped to that administrative unit.',
  ],
  licence: [
    'Authentication_RequestFromNonPremiumTenantOrB2CTenant',
    "Neither tenant is B2C or tenant doesn't have premium license",
  ],
  onPrem: [
    'Request_BadRequest',
    'Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.',
  ],
};
const CODES = {
  400: 'Request_BadRequest',
  401: 'InvalidAuthenticationToken',
  403: 'Authorization_RequestDenied',
  404: 'Request_ResourceNotFound',
  409: 'Directory_ConcurrencyViolation',
  412: 'PreconditionFailed',
  423: 'Locked',
  429: 'TooManyRequests',
  500: 'InternalServerError',
  502: 'BadGateway',
  503: 'ServiceUnavailable',
  504: 'GatewayTimeout',
  509: 'BandwidthLimitExceeded',
};

class Faults {
  constructor() {
    this.list = [];
  }

  add(f) {
    // throws words where it is not understood: a misspelt fault would be a test that cannot fail
    const match = f.match || {};
    const d = f.do || {};
    for (const k of Object.keys(f))
      if (!['match', 'do', 'name'].includes(k)) throw new Error(`fault: no such member: ${k}`);
    for (const k of Object.keys(match)) if (!MATCH.includes(k)) throw new Error(`fault: match has no ${k}`);
    for (const k of Object.keys(d)) if (!DO.includes(k)) throw new Error(`fault: do has no ${k}`);
    if (!f.do || !Object.keys(d).length) throw new Error('fault: do what?');
    if (match.service && !SERVICES.includes(match.service))
      throw new Error(`fault: no service ${match.service}`);
    if (d.kind && !KINDS[d.kind]) throw new Error(`fault: no kind ${d.kind}`);
    if (d.cut && !['headers', 'body', 'stream'].includes(d.cut))
      throw new Error(`fault: cut is headers, body or stream`);
    for (const k of ['dropParts', 'throttleParts']) {
      const v = d[k];
      if (v !== undefined && v !== true && !Array.isArray(v) && !(typeof v === 'number' && v > 0)) {
        throw new Error(`fault: ${k} is true, a list of ids, a count, or a share below 1`);
      }
    }
    const fault = {
      id: this.list.length + 1,
      name: f.name,
      match,
      do: d,
      seen: 0,
      used: 0,
      path: match.path && new RegExp(match.path),
      body: match.body && new RegExp(match.body),
    };
    this.list.push(fault);
    return fault;
  }

  pick(ctx) {
    for (const f of this.list) {
      const m = f.match;
      if (
        (m.service && m.service !== ctx.service.name) ||
        (m.method && m.method.toUpperCase() !== ctx.method) ||
        (m.version && m.version !== ctx.version) ||
        (m.inBatch !== undefined && m.inBatch !== Boolean(ctx.batch)) ||
        (f.path && !f.path.test(ctx.target)) ||
        (f.body && !f.body.test(ctx.body.toString('utf8')))
      )
        continue;
      f.seen++;
      const times = m.times === undefined ? 1 : m.times; // 0: always
      if (f.seen < (m.nth || 1) || (times > 0 && f.used >= times)) continue;
      f.used++;
      return f;
    }
    return null;
  }
}

function retryAfter(v) {
  if (v === undefined || v === null) return {};
  const m = /^date:(-?[0-9]+)$/.exec(String(v));
  return { 'Retry-After': m ? new Date(Date.now() + Number(m[1]) * 1000).toUTCString() : String(v) };
}

const HTML =
  "<!DOCTYPE html>\r\n<html><head><title>Our services aren't available right now</title></head><body><h2>We're working to restore all services as soon as possible.</h2></body></html>";

// The whole answer that a fault names, or null where it only changes one.
function refusal(ctx, d) {
  if (d.aadsts) {
    return failure(d.aadsts, { status: d.status, headers: { ...retryAfter(d.retryAfter), ...d.headers } });
  }
  if (d.html !== undefined)
    return {
      status: d.status || 200,
      headers: { 'Content-Type': 'text/html; charset=utf-8', ...retryAfter(d.retryAfter), ...d.headers },
      raw: typeof d.html === 'string' ? d.html : HTML,
    };
  if (d.challenge) {
    const { tenant } = ctx;
    tenant.challenge = String(Math.floor(Date.now() / 1000));
    if (ctx.token) {
      const c = tenant.tokens.get(ctx.token);
      if (c) c.dead = true;
    }
    const r = ctx.service.error(
      ctx,
      401,
      'InvalidAuthenticationToken',
      'Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp',
    );
    r.headers = { ...r.headers, 'WWW-Authenticate': challengeHeader(tenant), ...d.headers };
    return r;
  }
  if (!d.status && !d.kind) return null;
  const [code, message] = d.kind ? KINDS[d.kind] : [CODES[d.status] || '', ''];
  const status = d.status || (d.kind === 'onPrem' ? 400 : 403);
  if (status === 401 && d.kill !== false && ctx.token) {
    const c = ctx.tenant.tokens.get(ctx.token);
    if (c) c.dead = true;
  }
  if (status < 300 && !d.kind && (d.body !== undefined || d.raw !== undefined))
    return { status, headers: { ...d.headers }, body: undefined };
  const r = ctx.service.error(
    ctx,
    status,
    d.code === undefined ? code : d.code,
    d.message === undefined ? message || 'By order.' : d.message,
  );
  r.headers = { ...r.headers, ...retryAfter(d.retryAfter), ...d.headers };
  if (d.resetIn !== undefined)
    r.headers['X-Rate-Limit-Reset'] = String(Math.floor(Date.now() / 1000) + d.resetIn);
  return r;
}

function place(o, path) {
  // [holder, key]
  const keys = path.split('.');
  let at = o;
  for (const k of keys.slice(0, -1)) {
    if (at[k] === undefined || at[k] === null) at[k] = {};
    at = at[k];
  }
  return [at, keys[keys.length - 1]];
}

// d after the act: what the answer becomes.
function twist(ctx, d, r) {
  if (d.body !== undefined)
    r = { ...r, status: r.status === 204 ? 200 : r.status, body: d.body, raw: undefined };
  if (d.value !== undefined) r = { ...r, status: 200, body: { ...(r.body || {}), value: d.value } };
  if (d.set || d.remove || d.nextLink) {
    const body = structuredClone(r.body === undefined ? {} : r.body);
    for (const [path, v] of Object.entries(d.set || {})) {
      const [o, k] = place(body, path);
      o[k] = v;
    }
    for (const path of d.remove || []) {
      const [o, k] = place(body, path);
      if (Array.isArray(o)) o.splice(Number(k), 1);
      else delete o[k];
    }
    if (d.nextLink) body['@odata.nextLink'] = d.nextLink;
    if (d.nextLink && ctx.service.name === 'okta')
      r = { ...r, headers: { ...r.headers, Link: `<${d.nextLink}>; rel="next"` } };
    r = { ...r, body: ctx.service.name === 'okta' && d.nextLink ? r.body : body };
  }
  if (d.duplicate) {
    // {member: value}: once more, at the end
    const text = JSON.stringify(r.body || {});
    const extra = Object.entries(d.duplicate)
      .map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`)
      .join(',');
    r = { ...r, raw: text === '{}' ? `{${extra}}` : `${text.slice(0, -1)},${extra}}`, body: undefined };
  }
  if (d.huge)
    r = {
      ...r,
      status: r.status === 204 ? 200 : r.status,
      raw: `${JSON.stringify(r.body || {}).slice(0, -1)}${Object.keys(r.body || {}).length ? ',' : ''}"padding":"${'x'.repeat(d.huge)}"}`,
      body: undefined,
    };
  if (d.deep)
    r = {
      ...r,
      status: r.status === 204 ? 200 : r.status,
      raw: `${'{"a":'.repeat(d.deep)}1${'}'.repeat(d.deep)}`,
      body: undefined,
    };
  if (d.raw !== undefined)
    r = { ...r, status: r.status === 204 ? 200 : r.status, raw: d.raw, body: undefined };
  if (d.headers) r = { ...r, headers: { ...r.headers, ...d.headers } };
  if (d.contentType) r = { ...r, headers: { ...r.headers, 'Content-Type': d.contentType } };
  if (d.cut) r = { ...r, cut: d.cut };
  return r;
}

module.exports = { Faults, refusal, twist };
