// state.js -- the tenant: users, groups, roles, our application, settings; and what is written to
// the audit log when something changes.
'use strict';
const crypto = require('crypto');

const uuid = () => crypto.randomUUID();
const isoSeconds = (ms = Date.now()) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const DAY = 86400000;

// Least permissions of the fact sheet, section 12.
const ROLES = [
  'User.Read.All',
  'User.EnableDisableAccount.All',
  'User.RevokeSessions.All',
  'RoleManagement.Read.Directory',
  'RoleEligibilitySchedule.Read.Directory',
  'AdministrativeUnit.Read.All',
  'GroupMember.Read.All',
  'AuditLog.Read.All',
  'IdentityRiskEvent.Read.All',
  'IdentityRiskyUser.Read.All',
  'IdentityRiskyUser.ReadWrite.All',
  'Application.Read.All',
  'Synchronization.Read.All',
  'Synchronization.ReadWrite.All',
  'ThreatHunting.Read.All',
  'SecurityIdentitiesAccount.Read.All',
  'SecurityIdentitiesActions.ReadWrite.All',
  'Organization.Read.All',
];

const DEFENDER_ROLES = ['Machine.LiveResponse', 'Machine.Read.All', 'Library.Manage'];

const ROLE = {
  globalAdmin: '62e90394-69f5-4237-9190-012177145e10',
  userAdmin: 'fe930be7-5e62-47db-91af-98c3a49a38b1',
  helpdesk: '729827e3-9c14-49f7-bb1b-9608f156bbb8',
  authAdmin: 'c4e39bd9-1100-46d3-8c65-fb160da0071f',
  privAuthAdmin: '7be44c8a-adaf-4e2a-84d6-ab2649e08a13',
  privRoleAdmin: 'e8611ab8-c189-46e8-94e1-60213ab1f814',
  directoryReaders: '88d8e3e3-8f55-4a1e-953a-9b9898b8876b',
};
const ROLE_NAMES = {
  [ROLE.globalAdmin]: ['Global Administrator', true],
  [ROLE.userAdmin]: ['User Administrator', true],
  [ROLE.helpdesk]: ['Helpdesk Administrator', true],
  [ROLE.authAdmin]: ['Authentication Administrator', true],
  [ROLE.privAuthAdmin]: ['Privileged Authentication Administrator', true],
  [ROLE.privRoleAdmin]: ['Privileged Role Administrator', true],
  [ROLE.directoryReaders]: ['Directory Readers', false],
};
// Held by a target, User Administrator is enough for us (5.1, first row).
const SMALL_ROLES = [ROLE.userAdmin, ROLE.helpdesk, ROLE.directoryReaders];

const SETTINGS = {
  pageSize: 0, // of collections; 0: the service's own
  tokenLife: 3599, // seconds
  managedLife: 0, // of a managed identity's; 0: as tokenLife
  refreshIn: 0, // seconds; 0: not told
  auditDelay: 0, // ms until a record can be read
  licence: 'P2', // P1, free: Identity Protection answers 403
  revokeNeedsRole: true, // 403 for administrators without a directory role
  syncedWritesRefused: false, // accountEnabled of a synchronised user: 400 "on-premises mastered"
  revokeAnswer: 200, // 204: without a body
  riskLimit: false, // Identity Protection's one request a second
  auditLimit: false, // five requests in ten seconds
  provisionLimit: false, // five in ten seconds
  riskDelay: 0, // ms of isProcessing after confirm, dismiss
  riskWithoutRecord: 'create', // confirmCompromised of a user that has none: create | ignore | 404
  castNeedsAdvanced: true,
  pssRefused: false, // 700027 for PS256
  clockOffset: 0, // seconds that the login's clock is ahead
  provisionKey: 'json', // plain: a type name instead of JSON
  provisionResult: '', // Failure, ...: instead of what came of it
  mdiSpelling: 'metadata', // documented: "provider": "ActiveDirectory", objects in "value"
  mdiActs: true, // whether the sensor does it
  huntingSpelling: 'lower', // upper: Schema's Name, Type
  partialError: false, // Log Analytics
  arcRealm: '', // instead of the key file's path; %s is that path, %f its name
  arcEcho: true, // the selector in the answer
  arcScheme: 'Basic',
  tenantSync: true, // organization: onPremisesSyncEnabled
  record: true, // requests
};

const USER_NULLS = [
  'createdDateTime',
  'externalUserState',
  'lastPasswordChangeDateTime',
  'mail',
  'onPremisesDistinguishedName',
  'onPremisesDomainName',
  'onPremisesImmutableId',
  'onPremisesLastSyncDateTime',
  'onPremisesSamAccountName',
  'onPremisesSecurityIdentifier',
  'onPremisesSyncEnabled',
  'onPremisesUserPrincipalName',
  'securityIdentifier',
  'givenName',
  'surname',
  'jobTitle',
  'mobilePhone',
  'officeLocation',
  'preferredLanguage',
];

class Tenant {
  constructor(file, dir) {
    this.file = file || {};
    this.dir = dir;
    this.reset();
  }

  reset() {
    const f = structuredClone(this.file);
    this.id = f.tenant || '11111111-2222-4333-8444-555555555555';
    this.domains = f.domains || ['corp.example.com'];
    this.settings = { ...SETTINGS, ...(f.settings || {}) };
    this.app = {
      clientId: f.clientId || '0a1b2c3d-0000-4000-8000-00000000c0de',
      secret: f.secret || 'standin~secret+with/odd&signs=%',
      roles: f.roles || [...ROLES],
      defenderRoles: f.defenderRoles || [...DEFENDER_ROLES], // in tokens for Defender
      wids: f.wids || [],
      objectId: f.objectId || '9a0d5e1c-2b7f-4c3e-8f64-7e1b2a3c4d5e',
      displayName: 'cordon',
      disabled: false,
      scopedUnits: [], // restricted units that it holds a role at
      certificates: [...(f.certificates || []), ...(this.ownCertificates || [])], // PEM
      federated: [...(f.federated || []), ...(this.ownFederated || [])], // {issuer, subject, audience, key: PEM}
      managedIds: f.managedIds || [], // client ids of user-assigned identities
    };
    this.generation = (this.generation || 0) + 1; // of names and keys
    this.users = new Map();
    this.byName = new Map(); // UPN -> id
    this.groups = f.groups || []; // {id, displayName, isAssignableToRole, members, owners}
    this.administrativeUnits = f.administrativeUnits || []; // {id, displayName, isMemberManagementRestricted, members}
    this.roleDefinitions = [
      ...Object.entries(ROLE_NAMES).map(([id, [displayName, isPrivileged]]) => ({
        id,
        templateId: id,
        displayName,
        description: displayName,
        isBuiltIn: true,
        isEnabled: true,
        isPrivileged,
        resourceScopes: ['/'],
        rolePermissions: [],
        version: '1',
      })),
      ...(f.roleDefinitions || []),
    ];
    this.roleAssignments = f.roleAssignments || []; // {id, principalId, roleDefinitionId, directoryScopeId}
    this.roleEligibility = f.roleEligibility || [];
    this.riskyUsers = f.riskyUsers || [];
    this.riskDetections = f.riskDetections || [];
    this.identities = f.identities || [];
    this.actions = []; // invokeAction's
    this.rows = f.rows || {}; // table -> rows
    this.audits = [];
    this.adOnly = []; // accounts of AD that are not in the tenant
    this.syncCycles = 0;
    this.servicePrincipals = f.servicePrincipals || this.domains.map((d, i) => this.cloudSync(d, i));
    this.tokens = new Map(); // access token -> claims
    this.seenIds = new Map(); // jti -> exp
    this.paced = {};
    this.challenge = null; // continuous access evaluation: what a new token must answer
    this.arcKeys = new Map();
    for (const u of f.users || []) this.addUser(u);
  }

  cloudSync(domain, i) {
    // one per AD domain (8.2)
    const hex = crypto.createHash('sha256').update(domain).digest('hex');
    const id = (n) =>
      `${hex.slice(n, n + 8)}-${hex.slice(n + 8, n + 12)}-4${hex.slice(n + 13, n + 16)}-8${hex.slice(n + 17, n + 20)}-${hex.slice(n + 20, n + 32)}`;
    return {
      id: id(0),
      appId: '1a4721b3-e57f-4451-ae87-ef078703ec94',
      applicationTemplateId: '1a4721b3-e57f-4451-ae87-ef078703ec94',
      displayName: domain,
      accountEnabled: true,
      servicePrincipalType: 'Application',
      jobs: [
        {
          id: `AD2AADPasswordHash.${hex.slice(0, 32)}.${id(16)}`,
          templateId: 'AD2AADPasswordHash',
          code: 'Active',
        },
        {
          id: `AD2AADProvisioning.${hex.slice(0, 32)}.${id(8)}`,
          templateId: 'AD2AADProvisioning',
          code: 'Active',
          ruleId: id(24),
          number: i,
        },
      ],
    };
  }

  // kind: cloud (default), hybrid, guest, moved. Any property of the service may be given, too.
  addUser(given) {
    const { kind, ad, isCloudManaged, sid, guid, ...props } = structuredClone(given);
    const id = props.id || uuid();
    const upn = props.userPrincipalName || `user-${id.slice(0, 8)}@${this.domains[0]}`;
    const past = isoSeconds(Date.now() - 30 * DAY);
    const p = {
      ...Object.fromEntries(USER_NULLS.map((k) => [k, null])),
      businessPhones: [],
      displayName: upn.split('@')[0],
      userType: kind === 'guest' ? 'Guest' : 'Member',
      accountEnabled: true,
      createdDateTime: past,
      lastPasswordChangeDateTime: past,
      signInSessionsValidFromDateTime: past,
      refreshTokensValidFromDateTime: past,
      securityIdentifier: `S-1-12-1-${[0, 1, 2, 3].map(() => crypto.randomBytes(4).readUInt32LE()).join('-')}`,
    };
    if (kind === 'guest') p.externalUserState = 'Accepted';
    if (kind === 'hybrid' || kind === 'moved') {
      const sam = props.onPremisesSamAccountName || upn.split('@')[0];
      Object.assign(p, {
        onPremisesSyncEnabled: kind === 'hybrid' ? true : null,
        onPremisesSecurityIdentifier:
          sid || `S-1-5-21-3623811015-3361044348-30300820-${1000 + this.users.size}`,
        onPremisesImmutableId: guidBytes(guid || uuid()).toString('base64'),
        onPremisesSamAccountName: sam,
        onPremisesDistinguishedName: `CN=${sam},OU=People,${this.domains[0]
          .split('.')
          .map((x) => `DC=${x}`)
          .join(',')}`,
        onPremisesDomainName: this.domains[0],
        onPremisesUserPrincipalName: upn,
        onPremisesLastSyncDateTime: isoSeconds(Date.now() - 600000),
      });
    }
    Object.assign(p, props, { id, userPrincipalName: upn });
    const u = {
      id,
      p,
      stale: null,
      isCloudManaged: isCloudManaged === undefined ? kind === 'moved' : isCloudManaged,
      ad:
        ad ||
        (p.onPremisesSecurityIdentifier
          ? { enabled: p.accountEnabled !== false, dn: p.onPremisesDistinguishedName }
          : null),
    };
    this.generation++;
    this.users.set(id, u);
    this.byName.set(upn.toLowerCase(), id);
    return u;
  }

  removeUser(u) {
    this.generation++;
    this.users.delete(u.id);
    this.byName.delete(u.p.userPrincipalName.toLowerCase());
  }

  // By id or UPN, as Graph does it.
  user(key) {
    return this.users.get(key.toLowerCase()) || this.users.get(this.byName.get(key.toLowerCase()));
  }

  // All with this value (case does not count): an index, made anew after a user came, went or was
  // given another name.
  having(property, value) {
    if (!this.indexes || this.indexes.of !== this.generation) this.indexes = { of: this.generation };
    if (!this.indexes[property]) {
      const m = (this.indexes[property] = new Map());
      for (const u of this.users.values()) {
        const k = String(u.p[property]).toLowerCase();
        if (m.has(k)) m.get(k).push(u);
        else m.set(k, [u]);
      }
    }
    return this.indexes[property].get(String(value).toLowerCase()) || [];
  }

  // By anything, for orders.
  anyUser(key) {
    const k = String(key).toLowerCase();
    return (
      this.user(k) ||
      [
        'onPremisesSecurityIdentifier',
        'onPremisesSamAccountName',
        'onPremisesDistinguishedName',
        'onPremisesImmutableId',
      ]
        .map((n) => this.having(n, k)[0])
        .find(Boolean)
    );
  }

  // What a reader sees: for a while, maybe, what was.
  seen(u) {
    let p = u.p;
    if (u.stale && u.stale.reads > 0) {
      u.stale.reads--;
      p = u.stale.p;
    }
    const restricted = this.restrictedUnits(u).length > 0;
    return {
      ...p,
      isManagementRestricted:
        u.p.isManagementRestricted !== undefined ? u.p.isManagementRestricted : restricted ? true : null,
    };
  }

  // The one way that a user changes. by: {app}, {sync}, {admin}. ctx: the request, or null.
  change(ctx, u, changes, activities, by) {
    const d = (ctx && ctx.fault) || {};
    if (d.stick !== false) {
      if (d.staleReads) u.stale = { p: { ...u.p }, reads: d.staleReads };
      const before = { ...u.p };
      Object.assign(u.p, changes);
      if (!ctx) this.generation++; // an order may change anything
      if (before.userPrincipalName !== u.p.userPrincipalName) {
        this.byName.delete(before.userPrincipalName.toLowerCase());
        this.byName.set(u.p.userPrincipalName.toLowerCase(), u.id);
      }
    }
    if (d.stick !== false || d.audit) for (const a of activities) this.audit(u, a, by, d.auditDelay);
  }

  audit(u, { name, modified }, by, delay = this.settings.auditDelay) {
    const initiatedBy = by.sync
      ? {
          app: null,
          user: {
            id: '0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d',
            displayName: 'On-Premises Directory Synchronization Service Account',
            userPrincipalName: `Sync_AADC01_4f2c@${this.domains[0]}`,
            ipAddress: null,
          },
        }
      : by.admin
        ? {
            app: null,
            user: {
              id: uuid(),
              displayName: by.admin,
              userPrincipalName: `${by.admin}@${this.domains[0]}`,
              ipAddress: '192.0.2.7',
            },
          }
        : {
            user: null,
            app: {
              appId: null,
              displayName: by.app.displayName,
              servicePrincipalId: by.app.objectId,
              servicePrincipalName: null,
            },
          };
    const id = uuid();
    this.audits.push({
      visibleAt: Date.now() + delay,
      record: {
        id: `Directory_${id}_${this.audits.length}`,
        category: 'UserManagement',
        correlationId: uuid(),
        result: 'success',
        resultReason: '',
        activityDisplayName: name,
        activityDateTime: new Date().toISOString().replace('Z', '1234Z'),
        loggedByService: 'Core Directory',
        operationType: 'Update',
        initiatedBy,
        targetResources: [
          {
            id: u.id,
            displayName: null,
            type: 'User',
            userPrincipalName: u.p.userPrincipalName,
            groupType: null,
            modifiedProperties: (modified || []).map(([displayName, o, n]) => ({
              displayName,
              oldValue: o === null ? null : JSON.stringify(o),
              newValue: JSON.stringify(n),
            })),
          },
        ],
        additionalDetails: [],
      },
    });
  }

  setEnabled(ctx, u, enabled, by) {
    const was = u.p.accountEnabled;
    const changes = { accountEnabled: enabled };
    if (by.sync) changes.onPremisesLastSyncDateTime = isoSeconds();
    this.change(
      ctx,
      u,
      changes,
      was === enabled
        ? [{ name: 'Update user', modified: [['Included Updated Properties', null, '']] }]
        : [
            { name: 'Update user', modified: [['Included Updated Properties', null, 'AccountEnabled']] },
            {
              name: enabled ? 'Enable account' : 'Disable account',
              modified: [['AccountEnabled', [was], [enabled]]],
            },
          ],
      by,
    );
  }

  revoke(ctx, u, by) {
    const old = u.p.signInSessionsValidFromDateTime;
    const now = isoSeconds();
    this.change(
      ctx,
      u,
      { signInSessionsValidFromDateTime: now, refreshTokensValidFromDateTime: now },
      [
        {
          name: 'Update StsRefreshTokenValidFrom Timestamp',
          modified: [['StsRefreshTokensValidFrom', [old], [now]]],
        },
      ],
      by,
    );
  }

  // --- who is privileged ---
  groupsOf(id) {
    // with nesting: [{group, direct}]
    const found = new Map();
    const walk = (m, direct) => {
      for (const g of this.groups) {
        if ((g.members || []).includes(m) && !found.has(g.id)) {
          found.set(g.id, { group: g, direct });
          walk(g.id, false);
        }
      }
    };
    walk(id, true);
    return [...found.values()];
  }

  assignmentsOf(id) {
    // direct, and through groups
    const who = [id, ...this.groupsOf(id).map((x) => x.group.id)];
    return this.roleAssignments.filter((a) => who.includes(a.principalId));
  }

  restrictedUnits(u) {
    return this.administrativeUnits.filter(
      (a) => a.isMemberManagementRestricted && (a.members || []).includes(u.id),
    );
  }

  // '' nothing; 'small': User Administrator is enough; 'great': Privileged Authentication Administrator
  rank(u) {
    const roles = this.assignmentsOf(u.id);
    const groups =
      this.groupsOf(u.id).some((x) => x.group.isAssignableToRole) ||
      this.groups.some((g) => g.isAssignableToRole && (g.owners || []).includes(u.id));
    if (groups || roles.some((r) => !SMALL_ROLES.includes(r.roleDefinitionId))) return 'great';
    return roles.length ? 'small' : '';
  }

  shown(u) {
    // for orders
    return { ...u.p, ad: u.ad, isCloudManaged: u.isCloudManaged, rank: this.rank(u) };
  }
}

// AD keeps the first three parts of a GUID little-endian.
function guidBytes(guid) {
  const h = Buffer.from(guid.replace(/[{}-]/g, ''), 'hex');
  if (h.length !== 16) throw new Error(`not a GUID: ${guid}`);
  return Buffer.concat([
    h.subarray(0, 4).reverse(),
    h.subarray(4, 6).reverse(),
    h.subarray(6, 8).reverse(),
    h.subarray(8),
  ]);
}

module.exports = { Tenant, ROLE, ROLES, SMALL_ROLES, uuid, isoSeconds, guidBytes };
