// tests/standin/login.js -- tokens: the login service, IMDS, Azure Arc.
import crypto from 'node:crypto'
import fs from 'node:fs'
import { uuid } from './state.js'

const b64 = (o) => Buffer.from(typeof o === 'string' ? o : JSON.stringify(o)).toString('base64url')
export const sts = (status, err, number, words) => ({ status, headers: {}, body: { error: err, error_description: `AADSTS${number}: ${words}`, error_codes: [number], timestamp: new Date().toISOString(), trace_id: uuid(), correlation_id: uuid() } })

export class Login {
  constructor(tenant, dir) { Object.assign(this, { t: tenant, dir }) }
  issue(aud) {
    const t = this.t, exp = Math.floor(Date.now() / 1000) + t.tokenLife
    const token = [b64({ alg: 'RS256', typ: 'JWT' }), b64({ aud, exp, oid: t.principal, appid: t.clientId, roles: t.rolesGranted, wids: t.ownRole ? ['fe930be7-5e62-47db-91af-98c3a49a38b1'] : [] }), b64(uuid())].join('.')
    t.tokens.set(token, { aud, exp, roles: [...t.rolesGranted] })
    return token
  }
  roles(header) {
    const k = /^Bearer (.+)$/.exec(header || ''), s = k && this.t.tokens.get(k[1])
    return s && s.exp > Date.now() / 1000 && !s.dead ? s.roles : null
  }
  token(tenant, form, url) {
    const t = this.t
    if (tenant !== t.id) return sts(400, 'invalid_request', 90002, `Tenant '${tenant}' not found.`)
    if (form.get('client_id') !== t.clientId) return sts(400, 'unauthorized_client', 700016, 'Application not found in the directory.')
    if (form.get('grant_type') !== 'client_credentials') return sts(400, 'unsupported_grant_type', 70003, 'grant type')
    if (form.has('client_secret')) {
      if (form.get('client_secret') !== fs.readFileSync(`${this.dir}/secret`, 'utf8').trim()) return sts(401, 'invalid_client', 7000215, 'Invalid client secret provided.')
    } else if (form.has('client_assertion')) {
      const wrong = this.assertion(form.get('client_assertion'), url)
      if (wrong) return wrong
    } else return sts(401, 'invalid_client', 7000218, "The request body must contain 'client_assertion' or 'client_secret'.")
    const aud = form.get('scope').replace(/\/\.default$/, '')
    return { status: 200, headers: { 'Cache-Control': 'no-store' }, body: { token_type: 'Bearer', expires_in: t.tokenLife, ext_expires_in: t.tokenLife, access_token: this.issue(aud) } }
  }
  assertion(jwt, url) {
    const t = this.t, [h, c, s] = jwt.split('.')
    let head, claims
    try { head = JSON.parse(Buffer.from(h, 'base64url')); claims = JSON.parse(Buffer.from(c, 'base64url')) } catch { return sts(401, 'invalid_client', 50027, 'JWT token is invalid or malformed.') }
    const pem = fs.readFileSync(`${this.dir}/client.pem`, 'utf8'), cert = new crypto.X509Certificate(pem)
    const thumb = head.alg === 'PS256' ? head['x5t#S256'] === crypto.createHash('sha256').update(cert.raw).digest('base64url') : head.x5t === crypto.createHash('sha1').update(cert.raw).digest('base64url')
    if (!thumb || (t.noPss && head.alg === 'PS256')) return sts(401, 'invalid_client', 700027, 'The certificate with identifier used to sign the client assertion is not registered on application.')
    const key = head.alg === 'PS256' ? { key: cert.publicKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 } : cert.publicKey
    if (!crypto.verify('sha256', Buffer.from(`${h}.${c}`), key, Buffer.from(s, 'base64url'))) return sts(401, 'invalid_client', 50013, 'Assertion failed signature validation.')
    const n = Date.now() / 1000
    if (claims.aud !== url || claims.iss !== t.clientId || claims.sub !== t.clientId) return sts(401, 'invalid_client', 50027, 'audience')
    if (claims.exp < n || claims.exp > n + 660 || claims.nbf > n + 5) return sts(401, 'invalid_client', 700024, 'Client assertion is not within its valid time range.')
    if (t.jti.has(claims.jti)) return sts(401, 'invalid_client', 50027, 'jti used')
    t.jti.add(claims.jti)
    return null
  }
  imds(url, headers) {
    if (headers.metadata !== 'true') return { status: 400, headers: {}, body: { error: 'invalid_request', error_description: 'Required metadata header not specified' } }
    const exp = Math.floor(Date.now() / 1000) + this.t.tokenLife
    return { status: 200, headers: {}, body: { access_token: this.issue(url.searchParams.get('resource')), expires_in: String(this.t.tokenLife), expires_on: String(exp), not_before: '0', resource: url.searchParams.get('resource'), token_type: 'Bearer', refresh_token: '' } }
  }
  arc(url, headers) {
    if (headers.metadata !== 'true') return { status: 400, headers: {}, body: { error: 'invalid_request' } }
    const file = `${this.dir}/arc/one.key`
    if (!headers.authorization) {
      fs.mkdirSync(`${this.dir}/arc`, { recursive: true, mode: 0o700 })
      fs.writeFileSync(file, uuid(), { mode: 0o600 })
      return { status: 401, headers: { 'WWW-Authenticate': `Basic realm=${file}` }, body: {} }
    }
    if (headers.authorization !== `Basic ${fs.readFileSync(file, 'utf8')}`) return { status: 403, headers: {}, body: {} }
    return this.imds(url, headers)
  }
}
