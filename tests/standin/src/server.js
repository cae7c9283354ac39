// server.js -- one listener for each service; a request from its bytes to its answer and back, and
// the records of both.
'use strict';
const crypto = require('crypto');
const http = require('http');
const http2 = require('http2');
const { Refusal } = require('./odata');
const { refusal, twist } = require('./faults');

const MAX_BODY = 4 << 20;
const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });
const SECRET_HEADERS = ['authorization', 'proxy-authorization', 'cookie'];
const SECRET_MEMBERS = /^(client_secret|client_assertion|password|newPassword|access_token|refresh_token)$/;

function blank(o) {
  if (Array.isArray(o)) return o.map(blank);
  if (o === null || typeof o !== 'object') return o;
  return Object.fromEntries(
    Object.entries(o).map(([k, v]) => [k, SECRET_MEMBERS.test(k) ? '***' : blank(v)]),
  );
}
function shownHeaders(h) {
  return Object.fromEntries(
    Object.entries(h)
      .filter(([k]) => !k.startsWith(':') || k === ':authority')
      .map(([k, v]) => [k, SECRET_HEADERS.includes(k) ? `${String(v).split(' ')[0]} ***` : v]),
  );
}

// A service: {name, description, prefix, error, authorize, handle, explain, tolerates, ...}
class Standin {
  constructor({ tenant, okta, defender, faults, latency }) {
    Object.assign(this, {
      tenant,
      okta,
      defender,
      faults,
      latency,
      requests: [],
      violations: [],
      count: 0,
      servers: [],
      sessions: new Set(),
    });
  }

  forget() {
    this.requests.length = 0;
  }

  context(service, { method, target, headers, body, version, batch, http: httpVersion, authority }) {
    const cut = target.indexOf('?');
    const path = cut < 0 ? target : target.slice(0, cut);
    const query = new Map();
    if (cut >= 0) {
      for (const part of target.slice(cut + 1).split('&')) {
        if (!part) continue;
        const eq = part.indexOf('=');
        const dec = (s) => {
          try {
            return decodeURIComponent(s.replace(/\+/g, ' '));
          } catch (e) {
            return s;
          }
        };
        const k = dec(eq < 0 ? part : part.slice(0, eq));
        query.set(k, [...(query.get(k) || []), eq < 0 ? '' : dec(part.slice(eq + 1))]);
      }
    }
    const m = /^\/(v1\.0|beta)(\/|$)/.exec(path);
    const ctx = {
      n: ++this.count,
      standin: this,
      tenant: this.tenant,
      okta: this.okta,
      defender: this.defender,
      service,
      method,
      path,
      query,
      headers,
      body,
      batch,
      http: httpVersion,
      authority,
      version: version || (m && m[1]),
      requestId: crypto.randomUUID(),
      url: `${service.scheme}://${authority}${path}`,
      fault: null,
    };
    try {
      ctx.target = decodeURIComponent(target);
    } catch (e) {
      ctx.target = target;
    }
    ctx.raw = target;
    ctx.root = `${service.scheme}://${authority}${ctx.version ? `/${ctx.version}` : ''}`;
    ctx.violate = (problems) => {
      this.violations.push({
        n: ctx.n,
        service: service.name,
        method,
        url: target,
        problems,
        body: this.bodyShown(ctx),
      });
    };
    return ctx;
  }

  bodyShown(ctx) {
    const text = ctx.body.toString('utf8');
    if (!text) return undefined;
    if (ctx.json !== undefined) return blank(ctx.json);
    if (ctx.form !== undefined) return blank(ctx.form);
    try {
      return blank(JSON.parse(text));
    } catch (e) {
      /* not JSON */
    }
    if (/(^|&)(client_secret|client_assertion)=/.test(text))
      return text.replace(/(client_secret|client_assertion)=[^&]*/g, '$1=***');
    return text.slice(0, 2000);
  }

  // What is answered; never throws. {status, headers, body | raw, cut}
  async answer(ctx) {
    const entry = {
      n: ctx.n,
      time: new Date().toISOString(),
      service: ctx.service.name,
      method: ctx.method,
      url: ctx.raw,
      http: ctx.http,
      headers: shownHeaders(ctx.headers),
      ...(ctx.batch ? { batch: ctx.batch.n } : {}),
    };
    if (this.tenant.settings.record && this.requests.length < 500000) this.requests.push(entry);
    let r;
    try {
      r = await this.act(ctx, entry);
    } catch (e) {
      if (e.answer) r = e.answer;
      else if (e instanceof Refusal) r = ctx.service.error(ctx, e.status, e.code, e.message, e.headers);
      else {
        ctx.violate([`the stand-in itself failed: ${e.stack}`]);
        r = ctx.service.error(ctx, 500, 'StandinFailed', String(e.message));
      }
    }
    entry.op = ctx.op;
    entry.body = this.bodyShown(ctx);
    entry.status = r.cut ? `${r.status} cut` : r.status;
    if (ctx.note) entry.note = ctx.note;
    r.headers = { ...ctx.service.headers(ctx), ...r.headers };
    return r;
  }

  async act(ctx, entry) {
    const { service } = ctx;
    const problems = service.prefix.test(ctx.path)
      ? service.description.check(ctx)
      : [`${ctx.path} is not a path of ${service.name}`];
    if (ctx.tooBig) problems.push('the body is too big');
    if (service.headerRules) problems.push(...service.headerRules(ctx));
    if (problems.length) {
      if (!(service.tolerates && service.tolerates(ctx, problems))) ctx.violate(problems);
      const [code, words] = (service.explain && service.explain(ctx)) || [];
      return service.error(ctx, 400, code || 'Request_BadRequest', words || problems.join('; '));
    }
    const f = this.faults.pick(ctx);
    if (!f) return this.serve(ctx);
    entry.fault = f.name || f.id;
    const d = f.do;
    ctx.fault = d.value === false && d.stick === undefined ? { ...d, stick: false } : d;
    if (d.delay) await sleep(d.delay);
    if (d.challenge || (d.status === 401 && d.kill !== false))
      try {
        service.authorize(ctx);
      } catch (e) {
        /* refused anyway */
      }
    const wholly = refusal(ctx, d);
    let r;
    if (wholly || (d.cut === 'headers' && !d.after)) {
      if (d.after) await this.served(ctx); // it has acted, and says something else
      r = twist(ctx, { ...d, value: undefined }, wholly || { status: 0, headers: {} });
    } else r = twist(ctx, d, await this.served(ctx));
    if (d.delayAfter) await sleep(d.delayAfter);
    return r;
  }

  async serve(ctx) {
    ctx.service.authorize(ctx);
    return ctx.service.handle(ctx);
  }

  async served(ctx) {
    // so that a fault may change an error answer, too
    try {
      return await this.serve(ctx);
    } catch (e) {
      if (e instanceof Refusal) return ctx.service.error(ctx, e.status, e.code, e.message, e.headers);
      if (e.answer) return e.answer;
      throw e;
    }
  }

  listen(service, { tls, host }) {
    const handler = (req, res) => this.request(service, req, res);
    const server = tls
      ? http2.createSecureServer({ ...tls, allowHTTP1: true, minVersion: 'TLSv1.2' }, handler)
      : http.createServer(handler);
    server.on('session', (s) => {
      this.sessions.add(s);
      s.on('close', () => this.sessions.delete(s));
      s.on('error', () => {});
    });
    for (const kind of ['connection', 'secureConnection']) {
      server.on(kind, (s) => {
        this.sessions.add(s);
        s.on('close', () => this.sessions.delete(s));
        s.on('error', () => {});
      });
    }
    server.on('clientError', (e, s) => s.destroy());
    server.on('sessionError', () => {});
    this.servers.push(server);
    return new Promise((done, fail) => {
      server.once('error', fail);
      server.listen({ port: 0, host }, () => {
        service.port = server.address().port;
        done(service.port);
      });
    });
  }

  request(service, req, res) {
    const parts = [];
    let size = 0;
    req.on('data', (c) => {
      size += c.length;
      if (size <= MAX_BODY) parts.push(c);
    });
    req.on('error', () => {});
    res.on('error', () => {});
    req.on('end', async () => {
      const ctx = this.context(service, {
        method: req.method,
        target: req.url,
        headers: req.headers,
        body: Buffer.concat(parts),
        http: req.httpVersion.replace('2.0', '2'),
        authority: req.headers[':authority'] || req.headers.host || `127.0.0.1:${service.port}`,
      });
      if (size > MAX_BODY) ctx.tooBig = true;
      if (this.latency) await sleep(this.latency);
      const r = await this.answer(ctx);
      try {
        this.write(req, res, r);
      } catch (e) {
        ctx.violate([`writing the answer: ${e.message}`]);
      }
    });
  }

  write(req, res, r) {
    const socket = () =>
      res.stream ? res.stream.session && res.stream.session.destroy() : req.socket.destroy();
    if (r.cut === 'headers') {
      socket();
      return;
    }
    if (r.cut === 'stream') {
      if (res.stream) res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
      else socket();
      return;
    }
    const text = r.raw !== undefined ? r.raw : r.body === undefined ? '' : JSON.stringify(r.body);
    const bytes = Buffer.isBuffer(text) ? text : Buffer.from(text, 'utf8');
    const headers = { ...r.headers };
    if (bytes.length && headers['Content-Type'] === undefined)
      headers['Content-Type'] = 'application/json; charset=utf-8';
    if (r.status !== 204) headers['Content-Length'] = bytes.length;
    res.writeHead(r.status, headers);
    if (r.cut === 'body') {
      res.write(bytes.subarray(0, Math.max(1, bytes.length >> 1)));
      setTimeout(() => {
        if (res.stream) res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
        else socket();
      }, 30);
      return;
    }
    res.end(r.status === 204 ? undefined : bytes);
  }

  close() {
    for (const s of this.sessions) s.destroy();
    for (const s of this.servers) s.close();
  }
}

module.exports = { Standin };
