// main.js -- the command line: serve, mirror.
'use strict';
const fs = require('fs');
const http = require('http');
const net = require('net');
const path = require('path');
const { Description } = require('./openapi');
const { Tenant } = require('./state');
const { Org } = require('./okta');
const { Defender } = require('./defender');
const { Faults } = require('./faults');
const { Standin } = require('./server');
const tokens = require('./tokens');
const managed = require('./managed');
const graph = require('./graph');
const okta = require('./okta');
const defender = require('./defender');
const orders = require('./orders');
const certs = require('./certs');
const { logAnalytics } = require('./kql');

const USAGE = `usage: standin serve --dir DIR [--tenant-file FILE] [--host ADDR] [--latency MS]
                     [--defender-run PROGRAM]
       standin mirror DIR FILE   (JSON lines {"sam","sid","guid","upn","dn","enabled"}; - is stdin)
`;

function options(args, known) {
  const o = { rest: [] };
  for (let i = 0; i < args.length; i++) {
    const k = /^--(.*)$/.exec(args[i]);
    if (!k) {
      o.rest.push(args[i]);
      continue;
    }
    if (!known.includes(k[1]) || args[i + 1] === undefined) {
      process.stderr.write(USAGE);
      process.exit(64);
    }
    o[k[1]] = args[++i];
  }
  return o;
}

function services(s, description) {
  const none = () => ({});
  const simple = (status, code, words) => ({
    status,
    headers: {},
    body: { error: { code, message: words } },
  });
  const requestIds = (ctx) => ({
    'request-id': ctx.requestId,
    ...(ctx.headers['client-request-id'] ? { 'client-request-id': ctx.headers['client-request-id'] } : {}),
    'x-ms-ags-diagnostic': '{"ServerInfo":{"DataCenter":"Stand-in"}}',
  });
  const aadError = (ctx, status, code, words, headers = {}) => ({
    status,
    headers,
    body: {
      error: status === 429 || status >= 500 ? 'temporarily_unavailable' : 'invalid_request',
      error_description: `AADSTS900144: ${words}`,
      error_codes: [900144],
      timestamp: new Date().toISOString(),
      trace_id: ctx.requestId,
      correlation_id: ctx.requestId,
    },
  });
  const resource = (root) => s.resources.get(root.replace(/\/$/, ''));
  const list = {
    login: {
      scheme: 'https',
      description: description.graph,
      prefix: /^\/[^/]+\/oauth2\/v2\.0\/token$/,
      error: aadError,
      authorize: none,
      handle: tokens.token,
      resource,
      headers: (ctx) => ({ 'x-ms-request-id': ctx.requestId }),
    },
    graph: {
      scheme: 'https',
      description: description.graph,
      prefix: /^\/(v1\.0|beta)\//,
      headers: requestIds,
      ...graph,
      inner: innerRequest,
    },
    loganalytics: {
      scheme: 'https',
      description: description.graph,
      prefix: /^\/v1\/workspaces\//,
      headers: requestIds,
      handle: logAnalytics,
      error: (ctx, status, code, words, headers = {}) => ({ ...simple(status, code, words), headers }),
      authorize: (ctx) => tokens.bearer(ctx, ctx.service.audience),
    },
    okta: {
      scheme: 'https',
      description: description.okta,
      prefix: /^\/(api|oauth2)\/v1\//,
      headers: (ctx) => ({
        'X-Okta-Request-Id': ctx.requestId,
        'X-Rate-Limit-Limit': '600',
        'X-Rate-Limit-Remaining': '599',
        'X-Rate-Limit-Reset': String(Math.floor(Date.now() / 1000) + 60),
      }),
      ...okta,
    },
    defender: {
      scheme: 'https',
      description: description.defender,
      prefix: /^\/api\//,
      headers: (ctx) => ({ 'request-id': ctx.requestId }),
      error: defender.error,
      authorize: defender.authorize,
      handle: defender.handle,
    },
    store: {
      scheme: 'https',
      description: description.defender,
      prefix: /^\/investigation-actions-data\//,
      ...defender.blob,
    },
  };
  for (const name of ['imds', 'arc']) {
    list[name] = {
      scheme: 'http',
      description: description.graph,
      prefix: /^\/metadata\/identity\/oauth2\/token$/,
      headers: none,
      authorize: none,
      handle: managed[name],
      resource,
      error: (ctx, status, code, words, headers = {}) => ({
        status,
        headers,
        body: { error: 'invalid_request', error_description: words },
      }),
      // Asked without the header, it says by 400 that it is there.
      tolerates: (ctx, problems) =>
        problems.length === 1 && problems[0] === 'header parameter missing: Metadata',
    };
  }
  for (const [name, x] of Object.entries(list)) x.name = name;
  return list;
}

// A part of a $batch as a request of its own. `this` is the service.
function innerRequest(ctx, r) {
  const headers = Object.fromEntries(Object.entries(r.headers || {}).map(([k, v]) => [k.toLowerCase(), v]));
  const body = r.body === undefined ? Buffer.alloc(0) : Buffer.from(JSON.stringify(r.body));
  const target = `/${ctx.version}${r.url.startsWith('/') ? '' : '/'}${r.url}`;
  const inner = ctx.standin.context(ctx.service, {
    method: r.method,
    target,
    headers,
    body: r.body !== undefined && JSON.stringify(r.body) === '{}' ? Buffer.alloc(0) : body,
    version: ctx.version,
    batch: ctx,
    http: 'batch',
    authority: ctx.authority,
  });
  if (r.body !== undefined && !headers['content-type'])
    inner.violate(['$batch: a body needs the header Content-Type']);
  if (/^\/?(v1\.0|beta)\//.test(r.url)) inner.violate(['$batch: the url is relative to the version root']);
  if (r.url.includes('$batch')) inner.violate(['$batch within $batch']);
  return ctx.standin.answer(inner);
}

function write(dir, name, text, mode = 0o644) {
  // whole or not at all
  const tmp = path.join(dir, `.${name}.tmp`);
  fs.writeFileSync(tmp, text, { mode });
  fs.renameSync(tmp, path.join(dir, name));
}

async function serve(args) {
  const o = options(args, ['dir', 'tenant-file', 'host', 'latency', 'defender-run']);
  if (!o.dir || o.rest.length) {
    process.stderr.write(USAGE);
    process.exit(64);
  }
  const dir = path.resolve(o.dir);
  fs.mkdirSync(dir, { recursive: true, mode: 0o755 });
  for (const f of ['ready', 'env', 'pid']) fs.rmSync(path.join(dir, f), { force: true });
  const host = o.host || '127.0.0.1';
  const keys = certs.make(dir, host);
  const file = o['tenant-file'] ? JSON.parse(fs.readFileSync(o['tenant-file'], 'utf8')) : {};

  const tenant = new Tenant(file, dir);
  const issuer = 'https://issuer.standin.test/';
  tenant.ownCertificates = [keys.client];
  tenant.ownFederated = [
    {
      issuer,
      subject: 'system:serviceaccount:cordon',
      audience: 'api://AzureADTokenExchange',
      key: keys.federated.publicKey,
    },
  ];
  tenant.reset();
  const org = new Org(file.okta);
  org.ownKeys = keys.oktaKeys;
  org.reset();
  const mde = new Defender(file.defender, tenant);
  if (o['defender-run']) mde.program = path.resolve(o['defender-run']);
  const s = new Standin({
    tenant,
    okta: org,
    defender: mde,
    faults: new Faults(),
    latency: Number(o.latency || 0),
  });
  const description = {
    graph: new Description('graph'),
    okta: new Description('okta'),
    defender: new Description('defender'),
  };
  s.resources = new Map();
  const list = services(s, description);
  s.services = list;
  const tls = { key: keys.key, cert: keys.cert };
  for (const [name, x] of Object.entries(list)) {
    await s.listen(x, {
      tls: x.scheme === 'https' ? tls : null,
      host: x.scheme === 'https' ? host : '127.0.0.1',
    });
  }
  const ordersPort = await orders.serve(s, { host: '127.0.0.1' });

  // A token is for a service, by whichever of its names that is asked for.
  const shownHost = ['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost'].includes(host)
    ? 'localhost'
    : net.isIPv6(host)
      ? `[${host}]`
      : host;
  const url = (name) =>
    `${list[name].scheme}://${list[name].scheme === 'http' ? '127.0.0.1' : shownHost}:${list[name].port}`;
  s.audiences = {};
  for (const name of ['graph', 'loganalytics', 'defender']) {
    list[name].audience = s.audiences[name] = url(name);
    for (const h of [...certs.NAMES, '127.0.0.1', '[::1]', shownHost])
      s.resources.set(`https://${h}:${list[name].port}`, list[name].audience);
  }
  s.resources.set('https://graph.microsoft.com', list.graph.audience);
  s.resources.set('https://api.loganalytics.io', list.loganalytics.audience);
  s.resources.set('https://storage.azure.com', 'https://storage.azure.com');

  s.resources.set('https://api.securitycenter.microsoft.com', list.defender.audience);
  tenant.defenderAudience = list.defender.audience;
  s.blobHost = url('store').replace('https://', '');

  const now = Math.floor(Date.now() / 1000);
  const secret = (name, text) => write(dir, name, text, 0o600);
  secret('secret', tenant.app.secret);
  secret(
    'federated.jwt',
    tokens.sign(
      keys.federated.privateKey,
      { kid: 'issuer' },
      {
        iss: issuer,
        sub: 'system:serviceaccount:cordon',
        aud: 'api://AzureADTokenExchange',
        iat: now,
        nbf: now,
        exp: now + 86400,
      },
    ),
  );
  secret('okta.token', org.ssws[0]);
  const conf = [
    '[http]',
    `ca_file = ${dir}/ca.pem`,
    '',
    '[entra]',
    `tenant = ${tenant.id}`,
    `client_id = ${tenant.app.clientId}`,
    `secret_file = ${dir}/secret`,
    `login_url = ${url('login')}`,
    `graph_url = ${url('graph')}`,
    `loganalytics_url = ${url('loganalytics')}`,
    `imds_url = ${url('imds')}`,
    '',
    '[okta]',
    `url = ${url('okta')}`,
    `key_file = ${dir}/okta.key`,
    `client_id = ${org.clientId}`,
    'key_id = standin-rsa',
    '',
  ];
  write(dir, 'cordon.conf.part', `${conf.join('\n')}`);
  const env = {
    STANDIN_DIR: dir,
    STANDIN_CA: `${dir}/ca.pem`,
    STANDIN_LOGIN: url('login'),
    STANDIN_GRAPH: url('graph'),
    STANDIN_OKTA: url('okta'),
    STANDIN_LOGANALYTICS: url('loganalytics'),
    STANDIN_DEFENDER: url('defender'),
    STANDIN_STORE: s.blobHost,
    STANDIN_IMDS: url('imds'),
    STANDIN_ARC: url('arc'),
    STANDIN_ARC_TOKENS: `${dir}/tokens`,
    STANDIN_ORDERS: `http://127.0.0.1:${ordersPort}`,
    STANDIN_TENANT: tenant.id,
    STANDIN_CLIENT_ID: tenant.app.clientId,
    STANDIN_OKTA_CLIENT_ID: org.clientId,
    STANDIN_OKTA_KEY_ID: 'standin-rsa',
    STANDIN_PID: String(process.pid),
  };
  write(
    dir,
    'env',
    Object.entries(env)
      .map(([k, v]) => `export ${k}='${v.replace(/'/g, "'\\''")}'\n`)
      .join(''),
  );
  write(dir, 'pid', `${process.pid}\n`);
  write(dir, 'ready', 'ready\n');
  const end = () => {
    s.close();
    for (const f of ['ready', 'pid']) fs.rmSync(path.join(dir, f), { force: true });
    process.exit(0);
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
}

function order(base, method, at, body) {
  return new Promise((done, fail) => {
    const req = http.request(
      `${base}${at}`,
      { method, headers: { 'Content-Type': 'application/json' } },
      (res) => {
        const parts = [];
        res.on('data', (c) => parts.push(c));
        res.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          if (res.statusCode !== 200) fail(new Error(text.trim()));
          else done(JSON.parse(text));
        });
      },
    );
    req.on('error', fail);
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

// People of a real directory as synchronised users. Prints {"sam": {"id", "upn"}} on one line.
async function mirror(args) {
  const o = options(args, []);
  if (o.rest.length !== 2) {
    process.stderr.write(USAGE);
    process.exit(64);
  }
  const env = fs.readFileSync(path.join(o.rest[0], 'env'), 'utf8');
  const base = /STANDIN_ORDERS='([^']*)'/.exec(env)[1];
  const text = fs.readFileSync(o.rest[1] === '-' ? 0 : o.rest[1], 'utf8');
  const users = text
    .split('\n')
    .filter((l) => l.trim())
    .map((l) => {
      const p = JSON.parse(l);
      for (const k of ['sam', 'sid', 'guid', 'dn'])
        if (typeof p[k] !== 'string') throw new Error(`mirror: ${k} is missing: ${l}`);
      const domain = p.dn
        .split(/,(?=DC=)/i)
        .filter((x) => /^DC=/i.test(x))
        .map((x) => x.slice(3))
        .join('.');
      const upn = p.upn || `${p.sam.replace(/[^A-Za-z0-9._-]/g, '_')}@${domain}`;
      return {
        kind: 'hybrid',
        sid: p.sid,
        guid: p.guid,
        userPrincipalName: upn,
        displayName: p.displayName || p.sam,
        mail: p.mail || null,
        accountEnabled: p.enabled !== false,
        onPremisesSamAccountName: p.sam,
        onPremisesDistinguishedName: p.dn,
        onPremisesDomainName: domain,
        onPremisesUserPrincipalName: p.upn || null,
        ...(p.immutableId ? { onPremisesImmutableId: p.immutableId } : {}),
        ad: { enabled: p.enabled !== false, dn: p.dn },
      };
    });
  const made = users.length ? await order(base, 'POST', '/users', users) : [];
  process.stdout.write(
    `${JSON.stringify(Object.fromEntries(made.map((u) => [u.onPremisesSamAccountName, { id: u.id, upn: u.userPrincipalName }])))}\n`,
  );
}

const [command, ...args] = process.argv.slice(2);
const run = { serve, mirror }[command];
if (!run) {
  process.stderr.write(USAGE);
  process.exit(64);
}
run(args).catch((e) => {
  process.stderr.write(`standin: ${e.message}\n`);
  process.exit(1);
});
