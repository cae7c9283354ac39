// tests/standin/faults.js -- orders to misbehave: a list, tried in order.
//
// {match: {service, method, path (regular expression), body (regular expression), nth, times}, do: {...}}
//   status, code, message, retryAfter   an answer of that status instead (after: true: after having acted)
//   claims       with status 401: a claims challenge
//   delay        milliseconds
//   cut          "head": no answer; "body": half of it
//   html         a page instead of JSON      huge, deep, junk, duplicate    JSON that no one should take
//   patch        members put over those of the (JSON) answer; null value: "-": taken away
//   stick        false: says that it did, and did not
//   nextLink     a nextLink in the answer
//   drop         in a $batch: no answer to this part
export class Faults {
  constructor(tenant) { this.t = tenant }
  pick(service, method, path, body) {
    for (const f of this.t.faults) {
      const m = f.match || {}
      if ((m.service && m.service !== service) || (m.method && m.method !== method) || (m.path && !new RegExp(m.path).test(path)) || (m.body && !new RegExp(m.body).test(JSON.stringify(body || '')))) continue
      f.seen = (f.seen || 0) + 1
      if (m.nth && f.seen < m.nth) continue
      if (m.times && f.used >= m.times) continue
      f.used = (f.used || 0) + 1
      return f.do
    }
    return null
  }
  // What the fault makes of an answer.
  bend(d, answer) {
    const a = { ...answer, headers: { ...answer.headers } }
    if (d.status) {
      a.status = d.status
      a.body = { error: { code: d.code || 'Fault', message: d.message || 'by order', innerError: {} }, ...(d.error ? { error: d.error, error_description: `AADSTS${d.aadsts || 0}: by order`, error_codes: [d.aadsts || 0] } : {}) }
      if (d.retryAfter) a.headers['Retry-After'] = d.retryAfter === 'date' ? new Date(Date.now() + 1500).toUTCString() : d.retryAfter
      if (d.claims) a.headers['WWW-Authenticate'] = `Bearer realm="", authorization_uri="https://login.test/", error="insufficient_claims", claims="${Buffer.from('{"access_token":{"nbf":{"essential":true,"value":"1"}}}').toString('base64')}"`
    }
    if (d.patch && a.body && typeof a.body === 'object') {
      a.body = { ...a.body }
      for (const [k, v] of Object.entries(d.patch)) { if (v === '-') delete a.body[k]; else a.body[k] = v }
    }
    if (d.nextLink && a.body) a.body = { ...a.body, '@odata.nextLink': d.nextLink }
    if (d.html) a.raw = '<html><body>Bad Gateway</body></html>'
    if (d.huge) a.raw = `{"value":"${'x'.repeat(d.huge)}"}`
    if (d.deep) a.raw = '['.repeat(d.deep) + ']'.repeat(d.deep)
    if (d.junk) a.raw = d.junk
    if (d.duplicate && a.body) a.raw = JSON.stringify(a.body).replace(/^\{/, `{${d.duplicate},`)
    return a
  }
}
