// tests/standin/okta.js -- an Okta organisation; okta.md 3 to 8.
import { uuid } from './state.js'

const err = (status, code, words, headers = {}) => ({ status, headers, body: { errorCode: code, errorSummary: words, errorLink: code, errorId: 'oae' + uuid().slice(0, 12), errorCauses: [] } })

export class Okta {
  constructor() { Object.assign(this, { users: new Map(), logs: [], logDelay: 0 }) }
  add(p) {
    const u = { id: '00u' + uuid().replace(/-/g, '').slice(0, 17), status: 'ACTIVE', created: new Date().toISOString(), statusChanged: '2026-01-01T00:00:00.000Z', transitioningToStatus: null,
      lastLogin: null, lastUpdated: new Date().toISOString(), passwordChanged: null, profile: { login: 'x@corp.example.com', email: 'x@corp.example.com' }, credentials: { provider: { type: 'OKTA', name: 'OKTA' } }, ...p }
    this.users.set(u.id, u)
    return u
  }
  find(k) { return this.users.get(k) || [...this.users.values()].find((u) => u.profile.login.toLowerCase() === k.toLowerCase()) }
  log(type, u) { this.logs.push({ at: Date.now(), uuid: uuid(), published: new Date().toISOString(), eventType: type, displayMessage: type, outcome: { result: 'SUCCESS', reason: null }, actor: { id: '0oacordon', type: 'PublicClientApp', alternateId: 'cordon' }, target: [{ id: u.id, type: 'User', alternateId: u.profile.login, displayName: u.profile.login }], transaction: { id: uuid() } }) }
  handle(method, path, query, headers) {
    if (!/^(SSWS|Bearer) \S+/.test(headers.authorization || '')) return err(401, 'E0000011', 'Invalid token provided')
    const p = decodeURIComponent(path)
    let m
    if (p === '/api/v1/users') {
      const f = /^profile\.(login|email) eq "((?:[^"\\]|\\.)*)"$/.exec(query.get('filter') || '')
      if (!f) return err(400, 'E0000031', 'Invalid search criteria.')
      const v = f[2].replace(/\\(.)/g, '$1')
      return { status: 200, headers: {}, body: [...this.users.values()].filter((u) => u.profile[f[1]] === v) }
    }
    if (p === '/api/v1/logs') {
      const t = (/eventType eq "([^"]+)"/.exec(query.get('filter') || '') || [])[1], id = (/target\.id eq "([^"]+)"/.exec(query.get('filter') || '') || [])[1]
      return { status: 200, headers: {}, body: this.logs.filter((l) => Date.now() - l.at >= this.logDelay && (!t || l.eventType === t) && (!id || l.target[0].id === id) && (!query.get('since') || l.published >= query.get('since'))).map(({ at, ...l }) => l) }
    }
    if ((m = /^\/api\/v1\/users\/([^/]+)(?:\/(.+))?$/.exec(p))) {
      const u = this.find(m[1])
      if (!u) return err(404, 'E0000007', `Not found: Resource not found: ${m[1]} (User)`)
      if (!m[2]) return { status: 200, headers: {}, body: u }
      const to = (s, type) => { u.status = s; u.statusChanged = new Date().toISOString(); this.log(type, u); return { status: 200, headers: {}, body: {} } }
      if (m[2] === 'lifecycle/suspend') return u.status === 'ACTIVE' ? to('SUSPENDED', 'user.lifecycle.suspend') : err(400, 'E0000001', 'Api validation failed: suspendUser')
      if (m[2] === 'lifecycle/unsuspend') return u.status === 'SUSPENDED' ? to('ACTIVE', 'user.lifecycle.unsuspend') : err(400, 'E0000001', 'Api validation failed: unsuspendUser')
      if (m[2] === 'lifecycle/deactivate') return u.status !== 'DEPROVISIONED' ? to('DEPROVISIONED', 'user.lifecycle.deactivate') : err(400, 'E0000001', 'Api validation failed')
      if (m[2] === 'sessions' && method === 'DELETE') { u.sessionsCleared = new Date().toISOString(); this.log('user.session.clear', u); return { status: 204, headers: {}, body: undefined } }
    }
    return err(404, 'E0000022', 'The endpoint does not support the provided HTTP method')
  }
}
