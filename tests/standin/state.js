// tests/standin/state.js -- the tenant: who is there, and what was done.
import crypto from 'node:crypto'

export const uuid = () => crypto.randomUUID()
export const now = () => new Date(Math.floor(Date.now() / 1000) * 1000).toISOString().replace('.000Z', 'Z')

export class Tenant {
  constructor(id, clientId) {
    Object.assign(this, { id, clientId, users: new Map(), groups: new Map(), roles: [], assignments: [], eligible: [], units: [],
      risky: new Map(), detections: [], audits: [], identities: [], jobs: [], hunting: [], sentinel: [],
      requests: [], violations: [], faults: [], tokens: new Map(), jti: new Set(), principal: uuid(),
      latency: 0, riskLimit: false, riskLast: 0, tokenLife: 3599, auditDelay: 0,
      rolesGranted: ['User.Read.All', 'User.EnableDisableAccount.All', 'User.RevokeSessions.All', 'User-PasswordProfile.ReadWrite.All',
        'RoleManagement.Read.Directory', 'GroupMember.Read.All', 'AdministrativeUnit.Read.All', 'AuditLog.Read.All',
        'IdentityRiskyUser.ReadWrite.All', 'IdentityRiskEvent.Read.All', 'Application.Read.All', 'Synchronization.ReadWrite.All',
        'ThreatHunting.Read.All', 'SecurityIdentitiesAccount.Read.All', 'SecurityIdentitiesActions.ReadWrite.All'] })
  }
  addUser(p) {
    const u = { id: uuid(), userPrincipalName: `${uuid().slice(0, 8)}@corp.example.com`, displayName: 'Someone', accountEnabled: true, userType: 'Member',
      mail: null, onPremisesSyncEnabled: null, onPremisesImmutableId: null, onPremisesSecurityIdentifier: null, onPremisesDistinguishedName: null,
      onPremisesSamAccountName: null, onPremisesDomainName: null, onPremisesUserPrincipalName: null, onPremisesLastSyncDateTime: null,
      signInSessionsValidFromDateTime: '2026-01-01T00:00:00Z', lastPasswordChangeDateTime: '2026-01-01T00:00:00Z', isManagementRestricted: null,
      memberOf: [], adEnabled: true, ...p }
    this.users.set(u.id, u)
    return u
  }
  find(key) {
    const k = key.toLowerCase()
    return this.users.get(k) || [...this.users.values()].find((u) => u.userPrincipalName.toLowerCase() === k)
  }
  audit(name, user, changes, who) {
    this.audits.push({ at: Date.now(), id: uuid(), activityDateTime: new Date().toISOString(), activityDisplayName: name, category: 'UserManagement',
      loggedByService: 'Core Directory', result: 'success', initiatedBy: { app: { appId: null, displayName: who || 'cordon', servicePrincipalId: this.principal } },
      targetResources: [{ id: user.id, type: 'User', userPrincipalName: user.userPrincipalName, displayName: user.displayName,
        modifiedProperties: Object.entries(changes).map(([displayName, [o, n]]) => ({ displayName, oldValue: JSON.stringify([o]), newValue: JSON.stringify([n]) })) }] })
  }
}
