// okta.js -- an Okta organisation: its users, their status, sessions and the System Log.
'use strict';
const crypto = require('crypto');
const { Refusal, one } = require('./odata');
const { parse, holds, uses, FilterError } = require('./filter');
const { decode, verifies } = require('./tokens');

const id20 = (prefix) =>
  prefix +
  crypto
    .randomBytes(32)
    .toString('base64')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, 17);
const iso = (ms = Date.now()) => new Date(ms).toISOString();
const STATUSES = [
  'STAGED',
  'PROVISIONED',
  'ACTIVE',
  'RECOVERY',
  'PASSWORD_EXPIRED',
  'LOCKED_OUT',
  'SUSPENDED',
  'DEPROVISIONED',
];
const SETTINGS = {
  tokenLife: 3600,
  scopes: ['okta.users.read', 'okta.users.manage', 'okta.logs.read'], // granted to the app
  adminRole: true, // false: 403 E0000006 for all management calls
  dpop: false, // the app demands DPoP: no token
  logDelay: 0, // ms until an event can be read
  universalLogout: false, // the licence for it
  scopeErrorJson: true, // false: the 403 of a missing scope has no JSON
  pageSize: 0,
  asyncDelay: 0, // ms of transitioningToStatus with Prefer: respond-async
  suspendEndsSessions: false,
  identityEngine: true, // forgetDevices is true by default
};

class Org {
  constructor(file) {
    this.file = file || {};
    this.reset();
  }

  reset() {
    const f = structuredClone(this.file);
    this.settings = { ...SETTINGS, ...(f.settings || {}) };
    this.clientId = f.clientId || '0oa1b2c3d4e5f6g7h8i9';
    this.keys = { ...(f.keys || {}), ...(this.ownKeys || {}) }; // kid -> PEM (public)
    this.ssws = f.ssws || ['standin-ssws-token'];
    this.tokens = new Map();
    this.seenIds = new Set();
    this.users = new Map();
    this.logs = [];
    for (const u of f.users || []) this.addUser(u);
  }

  addUser(given) {
    const { login, email, provider, ...rest } = structuredClone(given);
    const name = login || (rest.profile || {}).login || `user${this.users.size}@example.com`;
    if (rest.status && !STATUSES.includes(rest.status)) rest.oddStatus = true;
    const u = {
      id: rest.id || id20('00u'),
      status: 'ACTIVE',
      created: iso(0),
      activated: iso(0),
      statusChanged: iso(Date.now() - 864e5),
      lastLogin: iso(Date.now() - 36e5),
      lastUpdated: iso(Date.now() - 864e5),
      passwordChanged: iso(Date.now() - 864e6),
      type: { id: 'otyfnjfba4ye7pgjB0g4' },
      transitioningToStatus: null,
      sessions: 2,
      oauthTokens: 1,
      ...rest,
      profile: {
        firstName: 'Some',
        lastName: 'Body',
        mobilePhone: null,
        secondEmail: null,
        login: name,
        email: email || name,
        ...(rest.profile || {}),
      },
      credentials: rest.credentials || {
        provider:
          provider === 'AD'
            ? { type: 'ACTIVE_DIRECTORY', name: 'corp.example.com' }
            : { type: 'OKTA', name: 'OKTA' },
      },
    };
    this.users.set(u.id, u);
    return u;
  }

  find(key) {
    // id, login, or an unambiguous short login
    const u = this.users.get(key);
    if (u) return u;
    const k = key.toLowerCase();
    const l = [...this.users.values()].filter((x) => x.profile.login.toLowerCase() === k);
    if (l.length) return l[0];
    const short = [...this.users.values()].filter((x) => x.profile.login.toLowerCase().split('@')[0] === k);
    return short.length === 1 ? short[0] : undefined;
  }

  event(ctx, u, eventType, displayMessage, actor) {
    this.logs.push({
      visibleAt: Date.now() + ((ctx && ctx.fault && ctx.fault.auditDelay) || this.settings.logDelay),
      record: {
        uuid: crypto.randomUUID(),
        published: iso(),
        eventType,
        version: '0',
        severity: 'INFO',
        displayMessage,
        outcome: { result: 'SUCCESS', reason: null },
        actor: actor ||
          (ctx && ctx.actor) || {
            id: '00uadmin000000000000',
            type: 'User',
            alternateId: 'admin@example.com',
            displayName: 'Admin',
          },
        target: [
          {
            id: u.id,
            type: 'User',
            alternateId: u.profile.login,
            displayName: `${u.profile.firstName} ${u.profile.lastName}`,
            detailEntry: null,
          },
          {
            id: 'rulx',
            type: 'Rule',
            alternateId: 'unknown',
            displayName: 'by chance first or last',
            detailEntry: null,
          },
        ].sort(() => (this.logs.length % 2 ? 1 : -1)),
        transaction: { type: 'WEB', id: crypto.randomBytes(12).toString('hex'), detail: {} },
        legacyEventType: null,
        debugContext: { debugData: {} },
        client: {
          userAgent: null,
          zone: 'null',
          device: null,
          id: null,
          ipAddress: '192.0.2.1',
          geographicalContext: null,
        },
        request: { ipChain: [] },
      },
    });
  }

  // The one way that a status changes. ctx: the request, or null.
  become(ctx, u, status, eventType, words, more = {}) {
    const d = (ctx && ctx.fault) || {};
    if (d.stick !== false) {
      if (d.staleReads) u.stale = { o: { ...u, stale: undefined }, reads: d.staleReads };
      Object.assign(
        u,
        { status, statusChanged: iso(), lastUpdated: iso(), transitioningToStatus: null },
        more,
      );
    }
    if (d.stick !== false || d.audit) this.event(ctx, u, eventType, words);
  }

  seen(u) {
    let o = u;
    if (u.due && u.due.at <= Date.now()) {
      const d = u.due;
      delete u.due;
      this.become(null, u, d.status, d.event, d.words);
    }
    if (u.stale && u.stale.reads > 0) {
      u.stale.reads--;
      o = u.stale.o;
    }
    const { sessions, oauthTokens, devices, stale, due, oddStatus, ...shown } = o;
    return shown;
  }
}

// --- answers ---
const SUMMARIES = {
  E0000001: 'Api validation failed',
  E0000003: 'The request body was not well-formed.',
  E0000004: 'Authentication failed',
  E0000006: 'You do not have permission to perform the requested action',
  E0000007: 'Not found: Resource not found',
  E0000009: 'Internal Server Error',
  E0000011: 'Invalid token provided',
  E0000015: 'You do not have permission to access the feature you are requesting',
  E0000022: 'The endpoint does not support the provided HTTP method',
  E0000028: 'The request is missing a required parameter.',
  E0000038: "This operation is not allowed in the user's current status.",
  E0000047: 'API call exceeded rate limit due to too many requests.',
};
const BY_STATUS = { 400: 'E0000003', 401: 'E0000011', 403: 'E0000006', 404: 'E0000007', 429: 'E0000047' };
function error(ctx, status, code, message, headers = {}) {
  if (/^\/oauth2\/v1\/token/.test(ctx.path)) {
    const e =
      { 401: 'invalid_client', 403: 'access_denied', 429: 'too_many_requests' }[status] ||
      (status >= 500 ? 'server_error' : 'invalid_request');
    return {
      status,
      headers,
      body: { error: /^E|^[A-Z]/.test(code || 'E') ? e : code, error_description: message },
    };
  }
  const c = /^E[0-9]{7}$/.test(code || '') ? code : BY_STATUS[status] || 'E0000009';
  const h =
    status === 429
      ? {
          'X-Rate-Limit-Limit': '600',
          'X-Rate-Limit-Remaining': '0',
          'X-Rate-Limit-Reset': String(Math.floor(Date.now() / 1000) + 1),
        }
      : {};
  return {
    status,
    headers: { ...h, ...headers },
    body: {
      errorCode: c,
      errorSummary: SUMMARIES[c] || message,
      errorLink: c,
      errorId: id20('oae'),
      errorCauses: message && message !== SUMMARIES[c] ? [{ errorSummary: message }] : [],
    },
  };
}
const refuse = (status, code, message) => {
  throw new Refusal(status, code, message || SUMMARIES[code] || '');
};

function authorize(ctx) {
  if (ctx.op === 'token') return;
  const { okta } = ctx;
  const m = /^(SSWS|Bearer) (\S+)$/.exec(ctx.headers.authorization || '');
  if (!m) refuse(401, 'E0000011');
  if (m[1] === 'SSWS') {
    if (!okta.ssws.includes(m[2])) refuse(401, 'E0000011');
    ctx.actor = {
      id: '00uadmin000000000000',
      type: 'User',
      alternateId: 'admin@example.com',
      displayName: 'Admin',
    };
  } else {
    const t = okta.tokens.get(m[2]);
    ctx.token = m[2];
    if (!t || t.dead || t.exp <= Date.now()) refuse(401, 'E0000011');
    const need = ctx.route.op.security.flatMap((s) => s.oauth2 || []);
    const missing = need.filter(
      (s) => !t.scopes.includes(s) && !(s === 'okta.users.read' && t.scopes.includes('okta.users.manage')),
    );
    if (missing.length) {
      const r = error(
        ctx,
        403,
        'E0000006',
        'The access token provided does not contain the required scopes.',
      );
      r.headers['WWW-Authenticate'] =
        `Bearer authorization_uri="http://x/oauth2/v1/authorize", realm="http://x", scope="${missing.join(' ')}", error="insufficient_scope", error_description="The access token provided does not contain the required scopes.", resource="${ctx.path}"`;
      if (!okta.settings.scopeErrorJson) {
        delete r.body;
        r.raw = '';
      }
      throw Object.assign(new Error('scope'), { answer: r });
    }
    ctx.actor = {
      id: okta.clientId,
      type: 'PublicClientApp',
      alternateId: okta.clientId,
      displayName: 'cordon',
    };
  }
  if (!okta.settings.adminRole) refuse(403, 'E0000006');
}

function token(ctx) {
  const { okta, form: f } = ctx;
  const fail = (status, code, words) => {
    throw Object.assign(new Error(words), {
      answer: { status, headers: {}, body: { error: code, error_description: words } },
    });
  };
  const j = decode(f.client_assertion);
  if (!j) fail(401, 'invalid_client', 'The client_assertion is no JWT.');
  const key = okta.keys[j.header.kid];
  if (!key) fail(401, 'invalid_client', 'The kid is unknown.');
  if (!/^(RS|ES)/.test(j.header.alg) || !verifies(j, j.header.alg, key))
    fail(401, 'invalid_client', 'The client_assertion signature is invalid.');
  const c = j.claims;
  const now = Date.now() / 1000;
  if (c.iss !== okta.clientId || c.sub !== okta.clientId)
    fail(401, 'invalid_client', "'iss' or 'sub' is wrong.");
  if (c.aud !== ctx.url)
    fail(
      401,
      'invalid_client',
      'The audience claim for client_assertion must be the endpoint invoked for the request.',
    );
  if (!Number.isInteger(c.exp) || c.exp <= now || c.exp > now + 3660)
    fail(
      401,
      'invalid_client',
      'The client_assertion token has an expiration too far into the future or is over.',
    );
  if (typeof c.jti !== 'string' || okta.seenIds.has(c.jti)) {
    if (c.jti) ctx.violate(['assertion used twice']);
    fail(401, 'invalid_client', 'The client_assertion token must have a new jti.');
  }
  okta.seenIds.add(c.jti);
  if (okta.settings.dpop) fail(400, 'invalid_dpop_proof', 'The DPoP proof JWT header is missing.');
  const scopes = f.scope.split(' ').filter(Boolean);
  const bad = scopes.filter((s) => !okta.settings.scopes.includes(s));
  if (bad.length)
    fail(
      400,
      'invalid_scope',
      `One or more scopes are not configured for the authorization server resource: ${bad.join(' ')}`,
    );
  const text = `${Buffer.from('{"kid":"standin","alg":"RS256"}').toString('base64url')}.${Buffer.from(JSON.stringify({ ver: 1, cid: okta.clientId, scp: scopes, exp: Math.floor(now) + okta.settings.tokenLife })).toString('base64url')}.${crypto.randomBytes(64).toString('base64url')}`;
  okta.tokens.set(text, { scopes, exp: Date.now() + okta.settings.tokenLife * 1000 });
  return {
    status: 200,
    headers: { 'Cache-Control': 'no-cache, no-store' },
    body: {
      token_type: 'Bearer',
      expires_in: okta.settings.tokenLife,
      access_token: text,
      scope: scopes.join(' '),
    },
  };
}

// --- users ---
function user(ctx) {
  let key = ctx.params.id !== undefined ? ctx.params.id : ctx.params.userId;
  if (key === 'me') {
    // whose API token it is; a service app is nobody
    if (ctx.actor.type !== 'User') refuse(404, 'E0000007', 'Not found: Resource not found: me (User)');
    key = ctx.actor.id;
    if (!ctx.okta.users.has(key)) ctx.okta.addUser({ id: key, login: ctx.actor.alternateId });
  }
  const u = ctx.okta.find(key);
  if (!u) refuse(404, 'E0000007', `Not found: Resource not found: ${key} (User)`);
  return u;
}
function links(ctx, o) {
  const at = (verb) => ({ href: `${ctx.root}/api/v1/users/${o.id}/lifecycle/${verb}`, method: 'POST' });
  const l = { self: { href: `${ctx.root}/api/v1/users/${o.id}` } };
  if (o.status === 'ACTIVE')
    Object.assign(l, { suspend: at('suspend'), expirePassword: at('expire_password') });
  if (o.status === 'SUSPENDED') l.unsuspend = at('unsuspend');
  if (o.status === 'LOCKED_OUT') l.unlock = at('unlock');
  if (o.status !== 'DEPROVISIONED') l.deactivate = at('deactivate');
  return l;
}
function getUser(ctx) {
  if (/omitCredentials/.test(ctx.headers['content-type'] || ''))
    ctx.violate(['okta-response=omitCredentials: credentials.provider is needed']);
  const o = ctx.okta.seen(user(ctx));
  return { status: 200, body: { ...o, _links: links(ctx, o) } };
}
function scim(ctx, text, may, sensitive, items) {
  let tree;
  try {
    tree = parse(text, 'scim');
  } catch (e) {
    if (!(e instanceof FilterError)) throw e;
    throw new Refusal(400, 'E0000031', `Invalid search criteria: ${e.message}`);
  }
  for (const u of uses(tree))
    if (may && !may(u)) refuse(400, 'E0000031', `Invalid search criteria: ${u.path} ${u.op}`);
  return items.filter((x) => holds(tree, x, sensitive));
}
const FILTERABLE = [
  'status',
  'id',
  'profile.login',
  'profile.email',
  'profile.firstName',
  'profile.lastName',
  'lastUpdated',
];
function paged(ctx, items, max, size) {
  const limit = Math.min(Number(one(ctx, 'limit') || ctx.okta.settings.pageSize || size), max);
  const from =
    one(ctx, 'after') === undefined ? 0 : Number(Buffer.from(one(ctx, 'after'), 'base64url').toString());
  if (!Number.isInteger(from)) refuse(400, 'E0000001', 'after');
  const headers = {};
  const here = [...ctx.query]
    .filter(([k]) => k !== 'after')
    .map(([k, v]) => `${k}=${encodeURIComponent(v[0])}`);
  const url = (extra) => `<${ctx.root}${ctx.path}?${[...extra, ...here].join('&')}>`;
  headers.Link = [`${url([])}; rel="self"`];
  if (from + limit < items.length)
    headers.Link.push(
      `${url([`after=${Buffer.from(String(from + limit)).toString('base64url')}`])}; rel="next"`,
    );
  return { status: 200, headers, body: items.slice(from, from + limit) };
}
function listUsers(ctx) {
  let l = [...ctx.okta.users.values()];
  const filter = one(ctx, 'filter');
  const search = one(ctx, 'search');
  if (one(ctx, 'q') !== undefined) ctx.violate(['q is a prefix match']);
  if (filter === undefined && search === undefined) l = l.filter((u) => u.status !== 'DEPROVISIONED');
  if (filter !== undefined)
    l = scim(
      ctx,
      filter,
      (u) => FILTERABLE.includes(u.path) && (u.op === 'eq' || u.path === 'lastUpdated'),
      true,
      l,
    );
  if (search !== undefined) l = scim(ctx, search, null, false, l);
  return paged(
    ctx,
    l.map((u) => ctx.okta.seen(u)),
    200,
    one(ctx, 'q') === undefined ? 200 : 10,
  );
}

const wrong = (u, verb) => refuse(400, 'E0000001', `Cannot ${verb} a user with status ${u.status}`);
function lifecycle(from, to, event, words, { verb, answer, check } = {}) {
  return (ctx) => {
    const u = user(ctx);
    if (from && !from.includes(u.status)) wrong(u, verb);
    if (check) check(ctx, u);
    if (ctx.op === 'suspendUser' && ctx.okta.settings.suspendEndsSessions) u.sessions = 0;
    const status = typeof to === 'function' ? to(u) : to;
    if (
      ctx.op === 'deactivateUser' &&
      (ctx.headers.prefer || '') === 'respond-async' &&
      ctx.okta.settings.asyncDelay
    ) {
      Object.assign(u, {
        transitioningToStatus: status,
        due: { at: Date.now() + ctx.okta.settings.asyncDelay, status, event, words },
      });
    } else ctx.okta.become(ctx, u, status, event, words);
    return { status: 200, body: answer ? answer(ctx, u) : ctx.n % 2 ? {} : undefined };
  };
}
function revokeUserSessions(ctx) {
  const u = user(ctx);
  const d = ctx.fault || {};
  if (d.stick !== false) {
    u.sessions = 0;
    if (one(ctx, 'oauthTokens') === 'true') u.oauthTokens = 0;
    if (one(ctx, 'forgetDevices') === 'true') u.devices = 0;
    u.sessionsCleared = undefined;
  }
  if (d.stick !== false || d.audit) ctx.okta.event(ctx, u, 'user.session.clear', 'Clear user session');
  return { status: 204 };
}
function globalTokenRevocation(ctx) {
  if (!ctx.okta.settings.universalLogout) refuse(403, 'E0000015');
  const u = ctx.okta.find((ctx.json.sub_id || {}).id || '');
  if (!u) refuse(400, 'E0000001', 'sub_id');
  Object.assign(u, { sessions: 0, oauthTokens: 0 });
  ctx.okta.event(ctx, u, 'user.authentication.universal_logout', 'Universal logout');
  return { status: 204 };
}
function listLogEvents(ctx) {
  const now = Date.now();
  let l = ctx.okta.logs.filter((x) => x.visibleAt <= now).map((x) => x.record);
  const until = one(ctx, 'until') ? Date.parse(one(ctx, 'until')) : now;
  const since = one(ctx, 'since') ? Date.parse(one(ctx, 'since')) : until - 7 * 864e5;
  if (Number.isNaN(until) || Number.isNaN(since)) refuse(400, 'E0000001', 'since, until');
  l = l.filter((r) => Date.parse(r.published) >= since && Date.parse(r.published) <= until);
  if (one(ctx, 'filter') !== undefined) {
    if (/[[\]]/.test(one(ctx, 'filter'))) refuse(400, 'E0000031', 'Invalid search criteria.');
    l = scim(ctx, one(ctx, 'filter'), null, false, l);
  }
  if (one(ctx, 'sortOrder') === 'DESCENDING') l.reverse();
  return paged(ctx, l, 1000, 100);
}

const HANDLERS = {
  token,
  getUser,
  listUsers,
  revokeUserSessions,
  globalTokenRevocation,
  listLogEvents,
  suspendUser: lifecycle(['ACTIVE'], 'SUSPENDED', 'user.lifecycle.suspend', 'Suspend Okta user', {
    verb: 'suspend',
  }),
  unsuspendUser: lifecycle(['SUSPENDED'], 'ACTIVE', 'user.lifecycle.unsuspend', 'Unsuspend Okta user', {
    verb: 'unsuspend',
  }),
  deactivateUser: lifecycle(
    STATUSES.filter((s) => s !== 'DEPROVISIONED'),
    'DEPROVISIONED',
    'user.lifecycle.deactivate',
    'Deactivate Okta user',
    { verb: 'deactivate' },
  ),
  activateUser: lifecycle(
    ['STAGED', 'DEPROVISIONED'],
    'ACTIVE',
    'user.lifecycle.activate',
    'Activate Okta user',
    {
      verb: 'activate',
      answer: () => ({ activationUrl: 'https://example.com/welcome/x', activationToken: 'x' }),
    },
  ),
  reactivateUser: lifecycle(null, 'PROVISIONED', 'user.lifecycle.reactivate', 'Reactivate Okta user', {
    check: (ctx, u) => {
      if (!['PROVISIONED', 'RECOVERY'].includes(u.status)) refuse(403, 'E0000038');
    },
    answer: () => ({ activationUrl: 'https://example.com/welcome/x', activationToken: 'x' }),
  }),
  unlockUser: lifecycle(['LOCKED_OUT'], 'ACTIVE', 'user.account.unlock', 'Unlock user account', {
    verb: 'unlock',
    check: (ctx, u) => {
      if (u.credentials.provider.type !== 'OKTA') refuse(400, 'E0000001', 'directory-sourced');
    },
  }),
  expirePassword: lifecycle(
    null,
    'PASSWORD_EXPIRED',
    'user.account.expire_password',
    'Expire user password',
    { answer: (ctx, u) => ctx.okta.seen(u) },
  ),
  expirePasswordWithTempPassword: lifecycle(
    null,
    'PASSWORD_EXPIRED',
    'user.account.expire_password',
    'Expire user password',
    { answer: () => ({ tempPassword: 'F46gy7X4' }) },
  ),
  resetPassword: lifecycle(null, 'RECOVERY', 'user.account.reset_password', 'Reset user password', {
    answer: (ctx) =>
      one(ctx, 'sendEmail') === 'false' ? { resetPasswordUrl: 'https://example.com/reset/x' } : {},
  }),
};
function handle(ctx) {
  if (!HANDLERS[ctx.op]) throw new Refusal(501, 'E0000009', `the stand-in does not play ${ctx.op}`);
  return HANDLERS[ctx.op](ctx);
}

// What the fact sheet says of every management call (section 1).
function headerRules(ctx) {
  const p = [];
  if (!/application\/json/.test(ctx.headers.accept || '')) p.push('Accept: application/json is needed');
  if (ctx.method === 'POST' && !ctx.headers['content-type'])
    p.push('Content-Type is needed, on a POST without a body, too');
  if (!ctx.headers['user-agent']) p.push('User-Agent is needed');
  return p;
}

// AD's import, by order: what the integration does with users whose account was disabled there.
function importFromAd(org, rule, who) {
  const to = {
    suspend: ['SUSPENDED', 'user.lifecycle.suspend'],
    deactivate: ['DEPROVISIONED', 'user.lifecycle.deactivate'],
    reactivate: ['ACTIVE', 'user.lifecycle.unsuspend'],
    nothing: null,
  }[rule];
  if (to === undefined) throw new Error('rule: nothing, suspend, deactivate, reactivate');
  if (!to) return;
  for (const k of who) {
    const u = org.find(k);
    if (u) org.become(null, u, to[0], to[1], 'by import');
  }
}

module.exports = { Org, STATUSES, error, authorize, handle, headerRules, importFromAd };
