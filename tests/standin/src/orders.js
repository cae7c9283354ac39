// orders.js -- the port for tests: what there is, what it shall do, what was asked. Plain http.
'use strict';
const http = require('http');
const { cycle } = require('./sync');
const { importFromAd } = require('./okta');
const defender = require('./defender');
const { issue } = require('./tokens');
const { uuid } = require('./state');

const wrong = (words, status = 400) => Object.assign(new Error(words), { status });
const many = (b) => (Array.isArray(b) ? b : [b]);
const COLLECTIONS = [
  'groups',
  'administrativeUnits',
  'roleDefinitions',
  'roleAssignments',
  'roleEligibility',
  'riskyUsers',
  'riskDetections',
  'identities',
  'servicePrincipals',
];

// Settings that are not there are misspelt.
function set(target, changes) {
  for (const k of Object.keys(changes)) if (!(k in target)) throw wrong(`no such setting: ${k}`);
  Object.assign(target, changes);
  return target;
}

function routes(s) {
  const t = s.tenant;
  const aUser = (key) => {
    const u = t.anyUser(decodeURIComponent(key));
    if (!u) throw wrong(`no user ${key}`, 404);
    return u;
  };
  const oktaUser = (key) => {
    const u = s.okta.find(decodeURIComponent(key));
    if (!u) throw wrong(`no Okta user ${key}`, 404);
    return u;
  };
  const r = {
    ...defender.orders(s.defender, { set, wrong, many }),
    'GET /': () => ({
      tenant: t.id,
      users: t.users.size,
      oktaUsers: s.okta.users.size,
      requests: s.requests.length,
      violations: s.violations.length,
      faults: s.faults.list.length,
    }),
    'POST /reset': () => {
      t.reset();
      s.okta.reset();
      s.defender.reset();
      s.faults.list = [];
      s.requests.length = 0;
      s.violations.length = 0;
      return {};
    },
    'GET /settings': () => t.settings,
    'PATCH /settings': (b) => set(t.settings, b),
    'GET /app': () => ({ ...t.app, secret: '***' }),
    'PATCH /app': (b) => {
      set(t.app, b);
      return {};
    },
    'POST /tokens/expire': () => {
      for (const c of t.tokens.values()) c.dead = true;
      for (const c of s.okta.tokens.values()) c.dead = true;
      return {};
    },
    'POST /tokens': (b) => issue(t, (b && b.audience) || s.audiences.graph, { life: b && b.life }),
    'POST /challenge': () => {
      t.challenge = String(Math.floor(Date.now() / 1000));
      return { nbf: t.challenge };
    },
    'GET /users': () => [...t.users.values()].map((u) => t.shown(u)),
    'POST /users': (b) => {
      const l = many(b).map((u) => t.shown(t.addUser(u)));
      return Array.isArray(b) ? l : l[0];
    },
    'GET /users/*': (b, k) => t.shown(aUser(k)),
    'DELETE /users/*': (b, k) => {
      t.removeUser(aUser(k));
      return {};
    },
    // {accountEnabled, ..., by: "admin"|"sync"}: somebody else changes it, on the record or not
    'PATCH /users/*': (b, k) => {
      const u = aUser(k);
      const { by, ad, isCloudManaged, staleReads, ...props } = b;
      if (ad) u.ad = { ...u.ad, ...ad };
      if (isCloudManaged !== undefined) u.isCloudManaged = isCloudManaged;
      if (staleReads) u.stale = { p: { ...u.p }, reads: staleReads };
      const who = by === 'sync' ? { sync: true } : by ? { admin: by } : null;
      if (who && 'accountEnabled' in props) {
        t.setEnabled(null, u, props.accountEnabled, who);
        delete props.accountEnabled;
      }
      t.change(null, u, props, [], who);
      return t.shown(u);
    },
    'GET /audits': () =>
      t.audits.map((a) => ({ visibleAt: new Date(a.visibleAt).toISOString(), ...a.record })),
    'POST /audits': (b) => {
      for (const a of many(b)) t.audits.push({ visibleAt: Date.now(), record: { id: uuid(), ...a } });
      return {};
    },
    'DELETE /audits': () => {
      t.audits.length = 0;
      return {};
    },
    'GET /actions': () => t.actions,
    'GET /rows': () => t.rows,
    'POST /rows': (b) => {
      if (!b.table || !Array.isArray(b.rows)) throw wrong('{"table", "rows": [...]}');
      t.rows[b.table] = [...(t.rows[b.table] || []), ...b.rows];
      return {};
    },
    'DELETE /rows': () => {
      t.rows = {};
      return {};
    },
    // What the sync engine's DC shows: {user | dn, enabled}; an unknown dn is an account of AD only.
    'POST /ad': (b) => {
      for (const a of many(b)) {
        const u = t.anyUser(a.user || a.dn);
        if (u)
          u.ad = {
            ...u.ad,
            ...(a.enabled === undefined ? {} : { enabled: a.enabled }),
            ...(a.newDn ? { dn: a.newDn } : {}),
          };
        else if (a.dn)
          t.adOnly.push({
            kind: 'hybrid',
            onPremisesDistinguishedName: a.dn,
            accountEnabled: a.enabled !== false,
            userPrincipalName: a.upn,
            sid: a.sid,
          });
        else throw wrong(`no user ${a.user}`, 404);
      }
      return {};
    },
    'POST /sync': (b) => ({ changed: cycle(t, b && b.users) }),
    'PATCH /jobs': (b) => {
      const j = t.servicePrincipals
        .flatMap((x) => x.jobs || [])
        .filter((x) => x.id.startsWith('AD2AADProvisioning.'));
      for (const x of j) Object.assign(x, b);
      return j;
    },
    'GET /faults': () => s.faults.list.map(({ path, body, ...f }) => f),
    'POST /faults': (b) => {
      const l = many(b).map((f) => {
        const { path, body, ...x } = s.faults.add(f);
        return x;
      });
      return Array.isArray(b) ? l : l[0];
    },
    'DELETE /faults': () => {
      s.faults.list = [];
      return {};
    },
    'GET /requests': () => s.requests,
    'DELETE /requests': () => {
      s.requests.length = 0;
      return {};
    },
    'GET /violations': () => s.violations,
    'DELETE /violations': () => {
      s.violations.length = 0;
      return {};
    },
    'PATCH /latency': (b) => {
      s.latency = b.ms;
      return {};
    },
    'GET /okta/settings': () => s.okta.settings,
    'PATCH /okta/settings': (b) => set(s.okta.settings, b),
    'GET /okta/users': () => [...s.okta.users.values()],
    'POST /okta/users': (b) => {
      const l = many(b).map((u) => s.okta.addUser(u));
      return Array.isArray(b) ? l : l[0];
    },
    'GET /okta/users/*': (b, k) => oktaUser(k),
    'PATCH /okta/users/*': (b, k) => {
      const u = oktaUser(k);
      const { profile, ...rest } = b;
      Object.assign(u, rest);
      Object.assign(u.profile, profile || {});
      return u;
    },
    'DELETE /okta/users/*': (b, k) => {
      s.okta.users.delete(oktaUser(k).id);
      return {};
    },
    'GET /okta/logs': () => s.okta.logs.map((x) => x.record),
    'DELETE /okta/logs': () => {
      s.okta.logs.length = 0;
      return {};
    },
    'POST /okta/import': (b) => {
      importFromAd(s.okta, b.rule, b.users || []);
      return {};
    },
  };
  for (const c of COLLECTIONS) {
    r[`GET /${c}`] = () => t[c];
    r[`POST /${c}`] = (b) => {
      for (const x of many(b)) t[c].push({ id: uuid(), ...x });
      return t[c];
    };
    r[`PUT /${c}`] = (b) => {
      t[c] = many(b).map((x) => ({ id: uuid(), ...x }));
      return t[c];
    };
    r[`DELETE /${c}`] = () => {
      t[c] = [];
      return {};
    };
  }
  return r;
}

function serve(standin, { host }) {
  const table = routes(standin);
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (c) => parts.push(c));
    req.on('end', () => {
      let status = 200;
      let body;
      try {
        const text = Buffer.concat(parts).toString('utf8');
        const path = req.url.split('?')[0];
        const m = /^(\/(?:okta\/)?users|\/defender\/machines)\/(.+)$/.exec(path);
        const handler = m ? table[`${req.method} ${m[1]}/*`] : table[`${req.method} ${path}`];
        if (!handler) throw wrong(`no order ${req.method} ${path}`, 404);
        body = handler(text ? JSON.parse(text) : undefined, m && m[2]);
      } catch (e) {
        status = e.status || 400;
        body = { error: e.message };
      }
      const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
      res.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': bytes.length });
      res.end(bytes);
    });
  });
  standin.servers.push(server);
  server.on('connection', (c) => {
    standin.sessions.add(c);
    c.on('close', () => standin.sessions.delete(c));
    c.on('error', () => {});
  });
  return new Promise((done, fail) => {
    server.once('error', fail);
    server.listen({ port: 0, host }, () => done(server.address().port));
  });
}

module.exports = { serve };
