// tests/standin/orders.js -- what a test tells the stand-in, and asks it; plain HTTP on loopback.
//
//   GET requests|violations, DELETE requests     what was asked; what was not as described
//   POST faults, DELETE faults                   see faults.js
//   POST users, GET|PATCH users/UPN              any properties; adEnabled: what the sync agent's DC shows
//   POST settings                                latency, riskLimit, tokenLife, auditDelay, readLag, ownRole, rolesGranted, noPss
//   POST sync                                    one cycle: every synchronised user gets its adEnabled
//   POST jobs|risky|detections|identities|assignments|eligible|hunting|sentinel     put one in
//   POST okta/users, GET okta/users/LOGIN
//   POST tokens/refuse                           all tokens are refused from now on
import { now, uuid } from './state.js'

export class Orders {
  constructor(tenant, okta) { Object.assign(this, { t: tenant, okta }) }
  async handle(req, res) {
    let text = ''
    for await (const c of req) text += c
    const say = (o, status = 200) => { res.writeHead(status, { 'Content-Type': 'application/json' }); res.end(JSON.stringify(o)) }
    try {
      const b = text === '' ? {} : JSON.parse(text), t = this.t, p = decodeURIComponent(new URL(req.url, 'http://x').pathname.slice(1)), m = req.method
      if (p === 'requests' && m === 'GET') return say(t.requests)
      if (p === 'requests') { t.requests.length = 0; return say({}) }
      if (p === 'violations') return say(t.violations)
      if (p === 'faults' && m === 'POST') { t.faults.push(b); return say({}) }
      if (p === 'faults') { t.faults.length = 0; return say({}) }
      if (p === 'settings') { Object.assign(t, b); return say({}) }
      if (p === 'users' && m === 'POST') return say(t.addUser(b))
      if (p.startsWith('users/')) {
        const u = t.find(p.slice(6))
        if (!u) return say({ error: 'no such user' }, 404)
        if (m === 'PATCH') Object.assign(u, b)
        return say(u)
      }
      if (p === 'sync') { for (const u of t.users.values()) if (u.onPremisesSyncEnabled) { u.accountEnabled = u.adEnabled; u.onPremisesLastSyncDateTime = now() } return say({}) }
      if (p === 'tokens/refuse') { for (const s of t.tokens.values()) s.dead = true; return say({}) }
      if (p === 'risky') { t.risky.set(b.id, b); return say({}) }
      if (p === 'okta/users' && m === 'POST') return say(this.okta.add(b))
      if (p.startsWith('okta/users/')) return say(this.okta.find(p.slice(11)) || {})
      if (['jobs', 'detections', 'identities', 'assignments', 'eligible', 'hunting', 'sentinel'].includes(p)) { t[p].push({ id: uuid(), ...b }); return say({}) }
      return say({ error: 'no such order' }, 404)
    } catch (e) { return say({ error: String(e) }, 400) }
  }
}
