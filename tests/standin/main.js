// tests/standin/main.js -- serve --dir DIR [--host ADDR] [--latency MS] | mirror DIR FILE
import fs from 'node:fs'
import http from 'node:http'
import { serve } from './server.js'

const [cmd, ...rest] = process.argv.slice(2)
const opt = (name) => { const i = rest.indexOf(`--${name}`); return i < 0 ? undefined : rest[i + 1] }
// objectGUID as AD stores it: the first three parts turned round.
const anchor = (guid) => { const h = guid.replace(/-/g, ''), b = Buffer.from(h, 'hex'); return Buffer.concat([b.subarray(0, 4).reverse(), b.subarray(4, 6).reverse(), b.subarray(6, 8).reverse(), b.subarray(8)]).toString('base64') }

if (cmd === 'serve' && opt('dir')) await serve({ dir: opt('dir'), host: opt('host'), latency: Number(opt('latency') || 0) })
else if (cmd === 'mirror' && rest.length === 2) {
  const orders = /STANDIN_ORDERS='([^']+)'/.exec(fs.readFileSync(`${rest[0]}/env`, 'utf8'))[1]
  const post = (path, o) => new Promise((done, fail) => { const r = http.request(`${orders}/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' } }, (res) => { let t = ''; res.on('data', (c) => { t += c }); res.on('end', () => done(JSON.parse(t))) }); r.on('error', fail); r.end(JSON.stringify(o)) })
  const map = {}
  for (const line of fs.readFileSync(rest[1], 'utf8').split('\n').filter(Boolean)) {
    const p = JSON.parse(line)
    const u = await post('users', { userPrincipalName: p.upn, displayName: p.sam, accountEnabled: p.enabled, adEnabled: p.enabled, onPremisesSyncEnabled: true, onPremisesImmutableId: anchor(p.guid), onPremisesSecurityIdentifier: p.sid,
      onPremisesDistinguishedName: p.dn, onPremisesSamAccountName: p.sam, onPremisesDomainName: 'corp.example.com', onPremisesUserPrincipalName: p.upn, onPremisesLastSyncDateTime: '2026-01-01T00:00:00Z' })
    map[p.sam] = u.id
  }
  console.log(JSON.stringify(map))
} else {
  console.error('usage: standin serve --dir DIR [--host ADDR] [--latency MS] | standin mirror DIR FILE')
  process.exit(2)
}
