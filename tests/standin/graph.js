// tests/standin/graph.js -- Microsoft Graph, as much of it as cordon calls; entra-graph.md 3 to 10.
import { now, uuid } from './state.js'

export const error = (status, code, message, headers = {}) => ({ status, headers, body: { error: { code, message, innerError: { date: now(), 'request-id': uuid(), 'client-request-id': uuid() } } } })
const denied = (m) => error(403, 'Authorization_RequestDenied', m || 'Insufficient privileges to complete the operation.')
const missing = (id) => error(404, 'Request_ResourceNotFound', `Resource '${id}' does not exist or one of its queried reference-property objects are not present.`)
const json = (body, status = 200) => ({ status, headers: {}, body })
const page = (list, q, self) => {
  const top = Number(q.get('$top') || 100), at = Number(q.get('$skiptoken') || 0), value = list.slice(at, at + top)
  const body = { '@odata.context': 'https://graph.microsoft.com/v1.0/$metadata', value }
  if (at + top < list.length) { const u = new URL(self); u.searchParams.set('$skiptoken', String(at + top)); body['@odata.nextLink'] = u.href }
  if (q.get('$count') === 'true') body['@odata.count'] = list.length
  return json(body)
}
const select = (o, q) => {
  const names = (q.get('$select') || '').split(',').filter(Boolean)
  if (names.length === 0) return { id: o.id, displayName: o.displayName, userPrincipalName: o.userPrincipalName }
  return Object.fromEntries(Object.entries(o).filter(([k]) => names.includes(k) || k === 'id' || k.startsWith('@')))
}
// name eq 'value', joined by and; '' doubles a quote.
const filter = (text) => {
  const out = []
  for (const part of text.split(/\s+and\s+/)) {
    const m = /^([A-Za-z/]+)\s+(eq|ge|le)\s+(?:'((?:[^']|'')*)'|([0-9TZ:.+-]+|true|false|null))$/.exec(part)
    if (!m) return null
    out.push({ name: m[1], op: m[2], value: m[3] !== undefined ? m[3].replace(/''/g, "'") : m[4] })
  }
  return out
}
const eventual = ['onPremisesImmutableId', 'onPremisesSamAccountName']
const needs = [
  [/^POST .*\/(revokeSignInSessions|invalidateAllRefreshTokens)$/, ['User.RevokeSessions.All', 'User.ReadWrite.All']],
  [/^POST .*\/identityProtection\//, ['IdentityRiskyUser.ReadWrite.All']],
  [/^GET .*\/riskyUsers/, ['IdentityRiskyUser.Read.All', 'IdentityRiskyUser.ReadWrite.All']],
  [/^GET .*\/riskDetections/, ['IdentityRiskEvent.Read.All']],
  [/^POST .*\/invokeAction$/, ['SecurityIdentitiesActions.ReadWrite.All']],
  [/^GET .*\/identityAccounts/, ['SecurityIdentitiesAccount.Read.All']],
  [/^POST .*runHuntingQuery$/, ['ThreatHunting.Read.All']],
  [/^POST .*\/provisionOnDemand$/, ['Synchronization.ReadWrite.All']],
  [/^GET .*\/synchronization\//, ['Synchronization.Read.All', 'Synchronization.ReadWrite.All']],
  [/^GET .*\/servicePrincipals/, ['Application.Read.All']],
  [/^GET .*\/directoryAudits/, ['AuditLog.Read.All']],
  [/^GET .*\/roleEligibilitySchedule/, ['RoleEligibilitySchedule.Read.Directory', 'RoleManagement.Read.Directory']],
  [/^GET .*\/roleManagement\//, ['RoleManagement.Read.Directory']],
  [/^GET .*administrativeUnit/, ['AdministrativeUnit.Read.All']],
  [/^GET .*microsoft\.graph\.group/, ['GroupMember.Read.All']],
  [/^(GET|PATCH) /, ['User.Read.All']],
]

export class Graph {
  constructor(tenant) { this.t = tenant }

  // { status, headers, body }; a batch part goes the same way.
  handle(method, path, query, headers, body, self, roles) {
    const t = this.t, line = `${method} ${path}`
    const need = needs.find(([re]) => re.test(line))
    if (need && !need[1].some((r) => roles.includes(r))) return denied()
    if (/\/identityProtection\//.test(path) && t.riskLimit) {
      if (Date.now() - t.riskLast < 1000) return error(429, 'TooManyRequests', 'Too many requests')
      t.riskLast = Date.now()
    }
    const rest = decodeURIComponent(path.replace(/^\/(v1\.0|beta)/, ''))
    let m
    if (rest === '/users') return this.list(query, headers, self)
    if ((m = /^\/users\('(.+)'\)$/.exec(rest)) || (m = /^\/users\/([^/]+)$/.exec(rest))) {
      const u = t.find(m[1])
      if (!u) return missing(m[1])
      return method === 'GET' ? json({ '@odata.context': '#users/$entity', ...select(this.view(u), query) }) : this.patch(u, body, roles)
    }
    if ((m = /^\/users\/([^/]+)\/(.+)$/.exec(rest))) {
      const u = t.find(m[1])
      return u ? this.ofUser(u, m[2], query, headers, self, roles) : missing(m[1])
    }
    if (rest.startsWith('/roleManagement/directory/')) {
      const f = filter(query.get('$filter') || '')
      if (!f) return error(400, 'Request_BadRequest', 'a filter on principalId is mandatory')
      const list = /Eligib/.test(rest) ? t.eligible : t.assignments
      return page(list.filter((a) => a.principalId === f[0].value).map((a) => ({ id: a.id, principalId: a.principalId, roleDefinitionId: a.roleDefinitionId,
        ...(query.get('$expand') ? { roleDefinition: { id: a.roleDefinitionId, displayName: a.name } } : {}) })), query, self)
    }
    if (rest === '/identityProtection/riskyUsers') {
      const f = query.get('$filter') ? filter(query.get('$filter')) : []
      return page([...t.risky.values()].filter((r) => f.every((x) => String(r[x.name]) === x.value)), query, self)
    }
    if ((m = /^\/identityProtection\/riskyUsers\/(confirmCompromised|dismiss)$/.exec(rest))) {
      for (const id of body.userIds) {
        const u = t.users.get(id)
        if (!u) continue
        t.risky.set(id, { id, userPrincipalName: u.userPrincipalName, userDisplayName: u.displayName, isDeleted: false, isProcessing: false, riskLastUpdatedDateTime: now(),
          ...(m[1] === 'dismiss' ? { riskLevel: 'none', riskState: 'dismissed', riskDetail: 'adminDismissedAllRiskForUser' } : { riskLevel: 'high', riskState: 'confirmedCompromised', riskDetail: 'adminConfirmedUserCompromised' }) })
      }
      return { status: 204, headers: {}, body: undefined }
    }
    if ((m = /^\/identityProtection\/riskyUsers\/([^/]+)$/.exec(rest))) return t.risky.has(m[1]) ? json(t.risky.get(m[1])) : missing(m[1])
    if (rest === '/identityProtection/riskDetections') {
      const f = query.get('$filter') ? filter(query.get('$filter')) || [] : []
      return page(t.detections.filter((d) => f.every((x) => (x.op === 'eq' ? String(d[x.name]) === x.value : String(d[x.name]) >= x.value))), query, self)
    }
    if (rest === '/auditLogs/directoryAudits') {
      const id = (/t\/id eq '([^']+)'/.exec(query.get('$filter') || '') || [])[1], since = (/activityDateTime ge (\S+)/.exec(query.get('$filter') || '') || [])[1]
      return page(t.audits.filter((a) => Date.now() - a.at >= t.auditDelay && (!id || a.targetResources[0].id === id) && (!since || a.activityDateTime >= since)).map(({ at, ...a }) => a).reverse(), query, self)
    }
    if (rest === '/security/identities/identityAccounts') {
      const f = filter(query.get('$filter') || '') || []
      return page(t.identities.filter((i) => f.every((x) => i[x.name] === x.value)), query, self)
    }
    if ((m = /^\/security\/identities\/identityAccounts\/([^/]+)\/invokeAction$/.exec(rest))) {
      const i = t.identities.find((x) => x.id === m[1])
      if (!i) return missing(m[1])
      const a = i.accounts.find((x) => x.identifier === body.accountId)
      if (!a || !a.actions.includes(body.action)) return error(400, 'BadRequest', 'action not offered')
      i.invoked = [...(i.invoked || []), body]
      return json({ value: { accountId: body.accountId, action: body.action, identityProvider: body.identityProvider, correlationId: uuid() } })
    }
    if (rest === '/security/runHuntingQuery') {
      const sid = (/S-1-5-21[-0-9]+/.exec(body.Query || body.query || '') || [])[0]
      return json({ schema: [{ name: 'Timestamp', type: 'DateTime' }, { name: 'ActionType', type: 'String' }, { name: 'TargetSid', type: 'String' }, { name: 'DestinationDeviceName', type: 'String' }, { name: 'Actor', type: 'String' }],
        results: t.hunting.filter((r) => !sid || r.TargetSid === sid) })
    }
    if (rest === '/servicePrincipals') return page(t.jobs.map((j) => ({ id: j.sp, appId: uuid(), displayName: j.domain })), query, self)
    if ((m = /^\/servicePrincipals\/([^/]+)\/synchronization\/jobs(?:\/([^/]+)(?:\/(schema|provisionOnDemand))?)?$/.exec(rest))) return this.sync(m, body, query, self)
    return missing(rest)
  }
  // Eventual consistency: for the first reads after a change, what was.
  view(u) {
    if (u.stale && u.stale.reads > 0) { u.stale.reads--; return { ...u, ...u.stale.was } }
    return u
  }
  list(query, headers, self) {
    const text = query.get('$filter')
    if (!text) return page([...this.t.users.values()].map((u) => select(this.view(u), query)), query, self)
    const f = filter(text)
    if (!f || f.some((x) => x.op !== 'eq')) return error(400, 'Request_BadRequest', 'Invalid filter clause')
    if (f.some((x) => eventual.includes(x.name)) && !(headers.consistencylevel === 'eventual' && query.get('$count') === 'true'))
      return error(400, 'Request_UnsupportedQuery', 'Property requires ConsistencyLevel: eventual and $count=true')
    return page([...this.t.users.values()].filter((u) => f.every((x) => String(u[x.name]) === x.value)).map((u) => select(this.view(u), query)), query, self)
  }
  guarded(u) {
    if (u.isManagementRestricted) return denied('Insufficient privileges: the object is in a restricted management administrative unit.')
    if (u.memberOf.some((g) => g['@odata.type'] === '#microsoft.graph.directoryRole') && !this.t.ownRole) return denied()
    return null
  }
  patch(u, body, roles) {
    const t = this.t, names = Object.keys(body)
    if (names.some((n) => n !== 'accountEnabled' && n !== 'passwordProfile')) {
      return u.onPremisesSyncEnabled ? error(400, 'Request_BadRequest', 'Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.') : error(400, 'Request_BadRequest', 'property')
    }
    if (names.includes('accountEnabled') && !roles.includes('User.EnableDisableAccount.All')) return denied()
    if (names.includes('passwordProfile') && !(roles.includes('User-PasswordProfile.ReadWrite.All') && t.ownRole)) return denied()
    const g = this.guarded(u)
    if (g) return g
    if (t.readLag) u.stale = { reads: t.readLag, was: { accountEnabled: u.accountEnabled, signInSessionsValidFromDateTime: u.signInSessionsValidFromDateTime } }
    if ('accountEnabled' in body) {
      t.audit(body.accountEnabled ? 'Enable account' : 'Disable account', u, { AccountEnabled: [u.accountEnabled, body.accountEnabled] })
      u.accountEnabled = body.accountEnabled
    }
    if ('passwordProfile' in body) { u.passwordProfile = { ...body.passwordProfile, password: undefined }; if (body.passwordProfile.password) u.lastPasswordChangeDateTime = now(); t.audit('Reset password', u, {}) }
    return { status: 204, headers: {}, body: undefined }
  }
  ofUser(u, what, query, headers, self, roles) {
    const t = this.t
    if (what === 'revokeSignInSessions' || what === 'invalidateAllRefreshTokens') {
      const g = this.guarded(u)
      if (g) return g
      if (u.userType !== 'Guest') {
        if (t.readLag) u.stale = { reads: t.readLag, was: { accountEnabled: u.accountEnabled, signInSessionsValidFromDateTime: u.signInSessionsValidFromDateTime } }
        t.audit('Update StsRefreshTokenValidFrom Timestamp', u, { StsRefreshTokensValidFrom: [u.signInSessionsValidFromDateTime, now()] })
        u.signInSessionsValidFromDateTime = now()
      }
      return json({ '@odata.context': 'https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean', value: true })
    }
    if (what === 'transitiveMemberOf') return page(u.memberOf, query, self)
    if (what.includes('microsoft.graph.') && headers.consistencylevel !== 'eventual') return error(400, 'Request_UnsupportedQuery', 'ConsistencyLevel')
    if (what === 'transitiveMemberOf/microsoft.graph.group') return page(u.memberOf.filter((g) => g['@odata.type'] === '#microsoft.graph.group'), query, self)
    if (what === 'transitiveMemberOf/microsoft.graph.directoryRole') return page(u.memberOf.filter((g) => g['@odata.type'] === '#microsoft.graph.directoryRole'), query, self)
    if (what === 'memberOf/microsoft.graph.administrativeUnit') return page(u.memberOf.filter((g) => g['@odata.type'] === '#microsoft.graph.administrativeUnit'), query, self)
    return missing(what)
  }
  sync(m, body, query, self) {
    const t = this.t, j = t.jobs.find((x) => x.sp === m[1])
    if (!j) return missing(m[1])
    const job = { id: j.id, templateId: 'AD2AADProvisioning', schedule: { interval: 'PT40M', state: 'Active' }, status: { code: j.code || 'Active', lastExecution: { timeBegan: now(), timeEnded: now(), state: 'Succeeded' } } }
    if (!m[2]) return page([{ ...job, id: 'AD2AADPasswordHash.x.y', templateId: 'AD2AADPasswordHash' }, job], query, self)
    if (m[2] !== j.id) return missing(m[2])
    if (!m[3]) return json(job)
    if (m[3] === 'schema') return json({ id: j.id, version: '1', synchronizationRules: [{ id: j.rule, name: 'AD to Entra', priority: 1, sourceDirectoryName: 'Active Directory', targetDirectoryName: 'Azure Active Directory', objectMappings: [{ enabled: true, sourceObjectName: 'user', targetObjectName: 'User', name: 'u', flowTypes: 'Add,Update,Delete', attributeMappings: [] }] }] })
    const p = body.parameters[0]
    if (p.ruleId !== j.rule) return error(400, 'RequestParameterInvalid', 'rule not in job')
    const dn = p.subjects[0].objectId, u = [...t.users.values()].find((x) => (x.onPremisesDistinguishedName || '').toLowerCase() === dn.toLowerCase())
    if (j.fail) return json({ key: JSON.stringify({ result: 'Failure', details: { errorCode: 'AgentOffline', errorMessage: 'No agent is online' } }), value: '{}' })
    if (!u) return json({ key: JSON.stringify({ result: 'Failure', details: { errorCode: 'NotFound', errorMessage: 'object not found' } }), value: '{}' })
    // What the agent's DC shows: an order may say that it lags.
    const seen = u.adEnabled, changed = u.accountEnabled !== seen
    u.accountEnabled = seen
    u.onPremisesLastSyncDateTime = now()
    if (changed) t.audit(seen ? 'Enable account' : 'Disable account', u, { AccountEnabled: [!seen, seen] }, 'Sync')
    const steps = [{ name: 'EntryImport', type: 'import', status: 'Success', description: '', timestamp: now(), details: { accountDisabled: seen ? 'False' : 'True' } }]
    const cap = (b) => (b ? 'True' : 'False')
    return json({ key: JSON.stringify(changed ? { result: 'Success' } : { result: 'Skipped', details: { errorCode: 'RedundantExport', errorMessage: 'no change' } }),
      value: JSON.stringify({ action: 'Update', statusInfo: { status: 'Success' }, provisioningSteps: steps, targetIdentity: { id: u.id }, sourceIdentity: { id: dn },
        modifiedProperties: changed ? [{ displayName: 'AccountEnabled', oldValue: cap(!seen), newValue: cap(seen) }] : [] }) })
  }
}
