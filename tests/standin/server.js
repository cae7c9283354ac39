// tests/standin/server.js -- listens, validates, logs, misbehaves by order, answers.
import crypto from 'node:crypto'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import http2 from 'node:http2'
import path from 'node:path'
import { Description } from './openapi.js'
import { Faults } from './faults.js'
import { Graph, error } from './graph.js'
import { Login } from './login.js'
import { Okta } from './okta.js'
import { Orders } from './orders.js'
import { Tenant, uuid } from './state.js'

const here = path.dirname(new URL(import.meta.url).pathname)
const BODY_MAX = 8 * 1024 * 1024

function certificates(dir, host) {
  const run = (...a) => execFileSync('openssl', a, { cwd: dir, stdio: 'pipe' })
  run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=standin CA')
  run('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/CN=localhost')
  fs.writeFileSync(`${dir}/ext`, `subjectAltName=DNS:localhost,DNS:login.standin.test,DNS:graph.standin.test,DNS:okta.standin.test,IP:127.0.0.1${host === '127.0.0.1' ? '' : `,IP:${host}`}\n`)
  run('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'tls.pem', '-days', '2', '-extfile', 'ext')
  run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'client.key', '-out', 'client.crt', '-days', '2', '-subj', '/CN=cordon')
  fs.writeFileSync(`${dir}/client.pem`, fs.readFileSync(`${dir}/client.crt`, 'utf8') + fs.readFileSync(`${dir}/client.key`, 'utf8'), { mode: 0o600 })
  fs.writeFileSync(`${dir}/secret`, crypto.randomBytes(24).toString('base64url'), { mode: 0o600 })
  fs.writeFileSync(`${dir}/okta.token`, crypto.randomBytes(24).toString('base64url'), { mode: 0o600 })
}

export async function serve({ dir, host = '127.0.0.1', latency = 0 }) {
  certificates(dir, host)
  const tenant = new Tenant('11111111-2222-4333-8444-555555555555', '99999999-8888-4777-8666-555555555555')
  tenant.latency = latency
  const login = new Login(tenant, dir), graph = new Graph(tenant), okta = new Okta(), faults = new Faults(tenant), orders = new Orders(tenant, okta)
  const spec = { graph: new Description(`${here}/apis/graph.openapi.json`), okta: new Description(`${here}/apis/okta.openapi.json`) }
  const ports = {}
  const violate = (what) => tenant.violations.push(what)

  const part = (method, url, headers, body, roles) => {
    const u = new URL(url, 'https://x')
    const wrong = spec.graph.check(method, u.pathname, u.searchParams, headers, body)
    if (wrong.length) { violate(`${method} ${url}: ${wrong.join('; ')}`); return error(400, 'Request_BadRequest', wrong.join('; ')) }
    return graph.handle(method, u.pathname, u.searchParams, headers, body, u.href.replace('https://x', `https://${host}:${ports.graph}`), roles)
  }
  const batch = (version, body, roles) => {
    const ids = new Set(), responses = []
    if (body.requests.length < 1 || body.requests.length > 20) return error(400, 'BadRequest', 'Number of batch request steps exceeds the maximum value of 20.')
    for (const r of body.requests) {
      if (ids.has(r.id.toLowerCase())) return error(400, 'BadRequest', 'duplicate id')
      ids.add(r.id.toLowerCase())
      const headers = Object.fromEntries(Object.entries(r.headers || {}).map(([k, v]) => [k.toLowerCase(), v])), url = `/${version}${r.url}`
      if (r.body !== undefined && !headers['content-type']) { violate(`batch ${r.method} ${r.url}: a body without Content-Type`); responses.push({ id: r.id, ...error(400, 'BadRequest', 'Content-Type') }); continue }
      const d = faults.pick('graph', r.method, url, r.body)
      if (d && d.drop) continue
      const acts = !(d && (d.stick === false || (d.status && !d.after)))
      let a = acts ? part(r.method, url, headers, r.body, roles) : { status: 204, headers: {}, body: undefined }
      if (d) a = faults.bend(d, a)
      tenant.requests.push({ service: 'graph', method: r.method, url, batch: true, status: a.status })
      responses.push({ id: r.id, status: a.status, headers: { 'request-id': uuid(), ...a.headers }, body: a.body === undefined ? null : a.body })
    }
    return { status: 200, headers: {}, body: { responses: responses.sort(() => Math.random() - 0.5) } }
  }
  const answer = (service, method, u, headers, body, text) => {
    if (service === 'imds') return login.imds(u, headers)
    if (service === 'arc') return login.arc(u, headers)
    if (service === 'login') {
      const m = /^\/([^/]+)\/oauth2\/v2\.0\/token$/.exec(u.pathname)
      return m ? login.token(m[1], new URLSearchParams(text), `https://${headers[':authority'] || headers.host}${u.pathname}`) : error(404, 'NotFound', u.pathname)
    }
    if (service === 'okta') {
      if (u.pathname === '/oauth2/v1/token') return { status: 200, headers: {}, body: { token_type: 'Bearer', expires_in: 3600, access_token: uuid(), scope: 'okta.users.manage okta.users.read okta.logs.read' } }
      return okta.handle(method, u.pathname, u.searchParams, headers)
    }
    const roles = login.roles(headers.authorization)
    if (!roles) return error(401, 'InvalidAuthenticationToken', 'Access token has expired or is not yet valid.')
    if (service === 'loganalytics') {
      const sid = (/S-1-5-21[-0-9]+/.exec(body.query) || [])[0], rows = tenant.sentinel.filter((r) => !sid || r.TargetSid === sid)
      return { status: 200, headers: {}, body: { tables: [{ name: 'PrimaryResult', columns: ['TimeGenerated', 'Computer', 'EventID', 'SubjectUserName', 'TargetUserName', 'TargetSid'].map((name) => ({ name, type: 'string' })), rows: rows.map((r) => [r.TimeGenerated, r.Computer, r.EventID, r.SubjectUserName, r.TargetUserName, r.TargetSid]) }] } }
    }
    const b = /^\/(v1\.0|beta)\/\$batch$/.exec(u.pathname)
    if (b) return batch(b[1], body, roles)
    return graph.handle(method, u.pathname, u.searchParams, headers, body, `https://${host}:${ports.graph}${u.pathname}${u.search}`, roles)
  }

  const handler = (service) => async (req, res) => {
    const chunks = []
    let size = 0
    for await (const c of req) { size += c.length; if (size > BODY_MAX) { res.destroy(); return } chunks.push(c) }
    const text = Buffer.concat(chunks).toString('utf8'), u = new URL(req.url, 'https://x'), headers = req.headers, method = req.method
    const entry = { service, method, url: req.url, version: req.httpVersion, headers: { ...headers, authorization: headers.authorization ? '(hidden)' : undefined }, at: Date.now() }
    tenant.requests.push(entry)
    let body = text
    if (/json/.test(headers['content-type'] || '') && text !== '') { try { body = JSON.parse(text) } catch { body = text } }
    if (/urlencoded/.test(headers['content-type'] || '')) body = Object.fromEntries(new URLSearchParams(text))
    const doc = service === 'okta' ? spec.okta : spec.graph
    const wrong = service === 'arc' || (service === 'okta' && u.pathname === '/oauth2/v1/token') ? [] : doc.check(method, u.pathname, u.searchParams, headers, text === '' ? undefined : body)
    let a
    const d = faults.pick(service, method, u.pathname + u.search, body)
    if (d && d.delay) await new Promise((r) => setTimeout(r, d.delay))
    if (tenant.latency) await new Promise((r) => setTimeout(r, tenant.latency))
    if (wrong.length) { violate(`${service} ${method} ${req.url}: ${wrong.join('; ')}`); a = error(400, 'Request_BadRequest', wrong.join('; ')) } else if (d && (d.stick === false || (d.status && !d.after) || d.cut === 'head')) a = { status: method === 'PATCH' ? 204 : 200, headers: {}, body: method === 'PATCH' ? undefined : { value: true } }
    else a = answer(service, method, u, headers, body, text)
    if (d) a = faults.bend(d, a)
    entry.status = a.status
    const out = a.raw !== undefined ? a.raw : a.body === undefined ? '' : JSON.stringify(a.body)
    if (d && d.cut === 'head') { res.stream ? res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : res.destroy(); return }
    const head = { 'Content-Type': d && d.html ? 'text/html' : 'application/json', 'request-id': uuid(), Date: new Date().toUTCString(), ...a.headers }
    if (headers['client-request-id']) head['client-request-id'] = headers['client-request-id']
    if (out === '') delete head['Content-Type']
    if (d && d.cut === 'body') {
      res.writeHead(a.status === 204 ? 200 : a.status, { ...head, 'Content-Length': String(Buffer.byteLength(out) + 100) })
      res.write(out.slice(0, out.length / 2) || '{')
      setTimeout(() => (res.stream ? res.stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR) : res.destroy()), 20)
      return
    }
    res.writeHead(a.status, head)
    res.end(out)
  }
  const servers = []
  const listen = (server) => new Promise((done, fail) => { server.on('error', fail); server.listen(0, host, () => { servers.push(server); done(server.address().port) }) })
  const tls = { key: fs.readFileSync(`${dir}/tls.key`), cert: fs.readFileSync(`${dir}/tls.pem`), allowHTTP1: true, minVersion: 'TLSv1.2' }
  for (const s of ['login', 'graph', 'okta', 'loganalytics']) ports[s] = await listen(http2.createSecureServer(tls, handler(s)))
  for (const s of ['imds', 'arc']) ports[s] = await listen(http.createServer(handler(s)))
  ports.orders = await listen(http.createServer((req, res) => orders.handle(req, res)))

  const env = { CA: `${dir}/ca.pem`, TENANT: tenant.id, CLIENT_ID: tenant.clientId, LOGIN: `https://${host}:${ports.login}`, GRAPH: `https://${host}:${ports.graph}`, OKTA: `https://${host}:${ports.okta}`,
    LOGANALYTICS: `https://${host}:${ports.loganalytics}`, IMDS: `http://${host}:${ports.imds}`, ARC: `http://${host}:${ports.arc}`, ORDERS: `http://${host}:${ports.orders}` }
  fs.writeFileSync(`${dir}/env`, Object.entries(env).map(([k, v]) => `STANDIN_${k}='${v}'\n`).join(''))
  fs.writeFileSync(`${dir}/cordon.conf.part`, `[http]\nca_file = ${env.CA}\n[entra]\ntenant = ${tenant.id}\nclient_id = ${tenant.clientId}\nsecret_file = ${dir}/secret\nlogin_url = ${env.LOGIN}\ngraph_url = ${env.GRAPH}\nloganalytics_url = ${env.LOGANALYTICS}\nimds_url = ${env.IMDS}\n`, { mode: 0o600 })
  fs.writeFileSync(`${dir}/pid`, String(process.pid))
  fs.writeFileSync(`${dir}/ready.new`, ''); fs.renameSync(`${dir}/ready.new`, `${dir}/ready`)
  const end = () => { for (const s of servers) s.close(); setTimeout(() => process.exit(0), 50) }
  process.on('SIGTERM', end); process.on('SIGINT', end)
}
