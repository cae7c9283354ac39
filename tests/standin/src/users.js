// users.js -- Graph's users: read, find, disable, revoke; and who is a member of what.
'use strict';
const { Refusal, filtered, selected, page, needAdvanced, one } = require('./odata');
const { ROLE, isoSeconds } = require('./state');
const { WRITE_ENABLED, WRITE_PASSWORD, allowed } = require('./permissions');

const PROPERTIES = [
  'id',
  'accountEnabled',
  'businessPhones',
  'createdDateTime',
  'displayName',
  'externalUserState',
  'givenName',
  'isManagementRestricted',
  'jobTitle',
  'lastPasswordChangeDateTime',
  'mail',
  'mobilePhone',
  'officeLocation',
  'onPremisesDistinguishedName',
  'onPremisesDomainName',
  'onPremisesImmutableId',
  'onPremisesLastSyncDateTime',
  'onPremisesSamAccountName',
  'onPremisesSecurityIdentifier',
  'onPremisesSyncEnabled',
  'onPremisesUserPrincipalName',
  'preferredLanguage',
  'securityIdentifier',
  'signInSessionsValidFromDateTime',
  'surname',
  'userPrincipalName',
  'userType',
];
const BY_DEFAULT = [
  'businessPhones',
  'displayName',
  'givenName',
  'jobTitle',
  'mail',
  'mobilePhone',
  'officeLocation',
  'preferredLanguage',
  'surname',
  'userPrincipalName',
  'id',
];
const FILTERS = {
  id: ['eq', 'in', 'ne+', 'not+'],
  userPrincipalName: ['eq', 'in', 'startswith', 'ge', 'le', 'ne+', 'not+', 'endswith+'],
  mail: ['eq', 'in', 'startswith', 'ge', 'le', 'ne+', 'not+', 'endswith+', 'null+'],
  displayName: ['eq', 'in', 'startswith', 'ge', 'le', 'ne+', 'not+'],
  accountEnabled: ['eq', 'in', 'ne+', 'not+'],
  userType: ['eq', 'in', 'ne+', 'not+'],
  onPremisesSecurityIdentifier: ['eq', 'in', 'ne+', 'not+', 'null+'],
  onPremisesSyncEnabled: ['eq', 'in', 'ne+', 'not+', 'null+'],
  onPremisesImmutableId: ['eq+', 'in+', 'ne+', 'not+', 'null+'],
  onPremisesSamAccountName: ['eq+', 'in+', 'startswith+', 'ne+', 'not+', 'null+'],
};
const ON_PREM =
  'Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.';
const DENIED = 'Insufficient privileges to complete the operation.';

function target(ctx) {
  const key =
    ctx.params['user-id'] !== undefined ? ctx.params['user-id'] : ctx.params['user-key'].replace(/''/g, "'");
  if (ctx.params['user-id'] !== undefined && key.startsWith('$'))
    throw new Refusal(400, 'Request_BadRequest', 'Resource not found for the segment.');
  const u = ctx.tenant.user(key);
  if (!u)
    throw new Refusal(
      404,
      'Request_ResourceNotFound',
      `Resource '${key}' does not exist or one of its queried reference-property objects are not present.`,
    );
  return u;
}
const known = (ctx) =>
  ctx.version === 'beta' ? [...PROPERTIES, 'refreshTokensValidFromDateTime'] : PROPERTIES;

function getUser(ctx) {
  const u = target(ctx);
  const o = selected(ctx, ctx.tenant.seen(u), { known: known(ctx), byDefault: BY_DEFAULT });
  const what = one(ctx, '$select');
  return {
    status: 200,
    body: { '@odata.context': `${ctx.root}/$metadata#users${what ? `(${what})` : ''}/$entity`, ...o },
  };
}

function listUsers(ctx) {
  const plain =
    /^(id|userPrincipalName|onPremisesSecurityIdentifier|onPremisesImmutableId|onPremisesSamAccountName) eq '([^']+)'$/.exec(
      one(ctx, '$filter') || '',
    );
  const all = plain ? ctx.tenant.having(plain[1], plain[2]) : [...ctx.tenant.users.values()];
  const l = filtered(
    ctx,
    all.map((u) => ({ ...u.p, u })),
    FILTERS,
  ).map((x) => selected(ctx, ctx.tenant.seen(x.u), { known: known(ctx), byDefault: BY_DEFAULT }));
  return { status: 200, body: page(ctx, l, 'users') };
}

// May our application change this user? (5.1)
function mayChange(ctx, u) {
  const { tenant, claims } = ctx;
  const units = tenant.restrictedUnits(u);
  if (
    (units.length && !units.every((a) => tenant.app.scopedUnits.includes(a.id))) ||
    (u.p.isManagementRestricted && !units.length)
  ) {
    throw new Refusal(
      403,
      'Authorization_RequestDenied',
      `${DENIED} Target object is a member of a restricted management administrative unit and can only be modified by administrators scoped to that administrative unit.`,
    );
  }
  const has = (...r) => r.some((x) => claims.wids.includes(x));
  const rank = tenant.rank(u);
  if (
    (rank === 'great' && !has(ROLE.privAuthAdmin, ROLE.globalAdmin)) ||
    (rank === 'small' && !has(ROLE.userAdmin, ROLE.privAuthAdmin, ROLE.globalAdmin))
  ) {
    throw new Refusal(403, 'Authorization_RequestDenied', DENIED);
  }
}

// A role of the whole tenant is in the token; one of an administrative unit is not.
function maySetPasswords(ctx, u) {
  const enough = [ROLE.userAdmin, ROLE.privAuthAdmin, ROLE.globalAdmin];
  const unit = (scope) => ctx.tenant.administrativeUnits.find((a) => scope === `/administrativeUnits/${a.id}`);
  return (
    ctx.claims.wids.some((w) => enough.includes(w)) ||
    ctx.tenant
      .assignmentsOf(ctx.claims.oid)
      .filter((a) => enough.includes(a.roleDefinitionId) && unit(a.directoryScopeId))
      .some((a) => (unit(a.directoryScopeId).members || []).includes(u.id))
  );
}

function updateUser(ctx) {
  const u = target(ctx);
  const { json, tenant, claims } = ctx;
  const has = (needs) => {
    if (!allowed(claims.roles, needs)) throw new Refusal(403, 'Authorization_RequestDenied', DENIED);
  };
  if ('accountEnabled' in json) has(WRITE_ENABLED);
  if ('passwordProfile' in json) {
    has(WRITE_PASSWORD);
    if (!maySetPasswords(ctx, u)) throw new Refusal(403, 'Authorization_RequestDenied', DENIED);
    if (u.p.onPremisesSyncEnabled === true) throw new Refusal(400, 'Request_BadRequest', ON_PREM);
  }
  mayChange(ctx, u);
  if ('accountEnabled' in json) {
    if (u.p.onPremisesSyncEnabled === true && tenant.settings.syncedWritesRefused)
      throw new Refusal(400, 'Request_BadRequest', ON_PREM);
    tenant.setEnabled(ctx, u, json.accountEnabled, ctx.by);
  }
  if ('passwordProfile' in json) {
    const now = isoSeconds();
    const set = json.passwordProfile.password !== undefined;
    tenant.change(
      ctx,
      u,
      set ? { lastPasswordChangeDateTime: now, signInSessionsValidFromDateTime: now } : {},
      [
        {
          name: 'Update PasswordProfile',
          modified: [
            ['ForceChangePassword', [false], [Boolean(json.passwordProfile.forceChangePasswordNextSignIn)]],
          ],
        },
        ...(set ? [{ name: 'Reset password', modified: [] }] : []),
      ],
      ctx.by,
    );
    u.passwordProfile = { ...json.passwordProfile, password: set ? '***' : undefined };
  }
  return { status: 204 };
}

// What the service says where the description already says no: another property in the PATCH.
function explainUpdate(ctx) {
  if (!ctx.json || typeof ctx.json !== 'object' || !ctx.params) return null;
  const u = ctx.tenant.user(ctx.params['user-id'] || ctx.params['user-key'] || '');
  const synced = u && u.p.onPremisesSyncEnabled === true;
  if (synced && Object.keys(ctx.json).some((k) => PROPERTIES.includes(k) && k !== 'accountEnabled'))
    return ['Request_BadRequest', ON_PREM];
  return null;
}

function revokeSignInSessions(ctx) {
  const u = target(ctx);
  if (ctx.tenant.settings.revokeNeedsRole || ctx.tenant.restrictedUnits(u).length) mayChange(ctx, u);
  if (u.p.userType !== 'Guest') ctx.tenant.revoke(ctx, u, ctx.by);
  if (ctx.tenant.settings.revokeAnswer === 204) return { status: 204 };
  return { status: 200, body: { '@odata.context': `${ctx.root}/$metadata#Edm.Boolean`, value: true } };
}
function invalidateAllRefreshTokens(ctx) {
  const r = revokeSignInSessions(ctx);
  return r;
}

function onPremisesSyncBehavior(ctx) {
  const u = target(ctx);
  return {
    status: 200,
    body: {
      '@odata.context': `${ctx.root}/$metadata#onPremisesSyncBehavior`,
      id: u.id,
      isCloudManaged: u.isCloudManaged,
    },
  };
}

// --- memberships ---
const full = (ctx) =>
  ctx.claims.roles.some((r) => ['Directory.Read.All', 'Directory.ReadWrite.All'].includes(r));
const asGroup = (g) => ({
  '@odata.type': '#microsoft.graph.group',
  id: g.id,
  displayName: g.displayName || null,
  isAssignableToRole: g.isAssignableToRole === undefined ? null : g.isAssignableToRole,
  isManagementRestricted: g.isManagementRestricted === undefined ? null : g.isManagementRestricted,
  securityEnabled: true,
  onPremisesSyncEnabled: g.onPremisesSyncEnabled || null,
});
const asUnit = (a) => ({
  '@odata.type': '#microsoft.graph.administrativeUnit',
  id: a.id,
  displayName: a.displayName || null,
  description: null,
  isMemberManagementRestricted: Boolean(a.isMemberManagementRestricted),
  membershipType: null,
  visibility: null,
});
function asRole(tenant, id) {
  const d = tenant.roleDefinitions.find((r) => r.id === id) || { id, displayName: id };
  return {
    '@odata.type': '#microsoft.graph.directoryRole',
    id: `d${id.slice(1)}`,
    deletedDateTime: null,
    description: d.displayName,
    displayName: d.displayName,
    roleTemplateId: d.templateId || id,
  };
}
function activeRoles(tenant, u) {
  // units' roles are no members of the directory's role
  const ids = tenant
    .assignmentsOf(u.id)
    .filter((a) => (a.directoryScopeId || '/') === '/')
    .map((a) => a.roleDefinitionId);
  return [...new Set(ids)].map((id) => asRole(tenant, id));
}
const unitsOf = (tenant, u) =>
  tenant.administrativeUnits.filter((a) => (a.members || []).includes(u.id)).map(asUnit);
const finish = (ctx, l, type) => ({
  status: 200,
  body: page(
    ctx,
    l.map((o) => selected(ctx, o, {})),
    type,
  ),
});
const cast = (ctx) => {
  if (ctx.tenant.settings.castNeedsAdvanced) needAdvanced(ctx);
};

function transitiveMemberOf(ctx) {
  const u = target(ctx);
  let l = [
    ...ctx.tenant.groupsOf(u.id).map((x) => asGroup(x.group)),
    ...activeRoles(ctx.tenant, u),
    ...unitsOf(ctx.tenant, u),
  ];
  const can = (o) =>
    full(ctx) ||
    (o['@odata.type'].endsWith('group') &&
      ctx.claims.roles.some((r) => ['GroupMember.Read.All', 'Group.Read.All'].includes(r))) ||
    (o['@odata.type'].endsWith('directoryRole') &&
      ctx.claims.roles.includes('RoleManagement.Read.Directory')) ||
    (o['@odata.type'].endsWith('administrativeUnit') &&
      ctx.claims.roles.includes('AdministrativeUnit.Read.All'));
  l = l.map((o) =>
    can(o)
      ? o
      : Object.fromEntries(
          Object.entries(o).map(([k, v]) => [k, k === 'id' || k === '@odata.type' ? v : null]),
        ),
  );
  l = filtered(ctx, l, { displayName: ['eq+', 'startswith+'], id: ['eq+', 'in+'] });
  return finish(ctx, l, 'directoryObjects');
}
function transitiveDirectoryRoles(ctx) {
  const u = target(ctx);
  cast(ctx);
  return finish(ctx, activeRoles(ctx.tenant, u), 'directoryRoles');
}
function transitiveGroups(ctx) {
  const u = target(ctx);
  cast(ctx);
  return finish(
    ctx,
    ctx.tenant.groupsOf(u.id).map((x) => asGroup(x.group)),
    'groups',
  );
}
function administrativeUnits(ctx) {
  const u = target(ctx);
  cast(ctx);
  return finish(ctx, unitsOf(ctx.tenant, u), 'administrativeUnits');
}

// --- groups and their owners ---
const EXPANDED = 20; // so many of a relation does an $expand show, without a word of the rest
const asOwner = (id) => ({ '@odata.type': '#microsoft.graph.user', id });
function listGroups(ctx) {
  const expand = one(ctx, '$expand');
  if (expand !== undefined && expand !== 'owners($select=id)')
    throw new Refusal(400, 'Request_BadRequest', 'Unsupported $expand.');
  const l = filtered(
    ctx,
    ctx.tenant.groups.map((g) => ({ ...asGroup(g), g })),
    { id: ['eq', 'in'], displayName: ['eq', 'startswith'], isAssignableToRole: ['eq', 'ne+', 'not+'] },
  ).map(({ g, ...o }) => ({
    ...selected(ctx, o, {}),
    ...(expand ? { owners: (g.owners || []).slice(0, EXPANDED).map(asOwner) } : {}),
  }));
  return { status: 200, body: page(ctx, l, 'groups') };
}
function listGroupOwners(ctx) {
  const g = ctx.tenant.groups.find((x) => x.id === ctx.params['group-id']);
  if (!g) throw new Refusal(404, 'Request_ResourceNotFound', 'Resource does not exist.');
  return finish(ctx, (g.owners || []).map(asOwner), 'directoryObjects');
}

// --- role management ---
const MANDATORY = 'The filter on principalId or roleDefinitionId is mandatory.';
const definition = (ctx, a) => ctx.tenant.roleDefinitions.find((r) => r.id === a.roleDefinitionId) || null;
const asDefinition = (ctx, d) => {
  const { isPrivileged, ...v1 } = d;
  return ctx.version === 'beta' ? d : v1;
};
function asAssignment(ctx, a) {
  const o = {
    id: a.id || `${a.principalId}-${a.roleDefinitionId}`,
    principalId: a.principalId,
    roleDefinitionId: a.roleDefinitionId,
    directoryScopeId: a.directoryScopeId || '/',
    appScopeId: null,
    principalOrganizationId: ctx.tenant.id,
    condition: null,
  };
  if (one(ctx, '$expand') === 'roleDefinition')
    o.roleDefinition = definition(ctx, a) && asDefinition(ctx, definition(ctx, a));
  else if (one(ctx, '$expand') !== undefined)
    throw new Refusal(400, 'Request_BadRequest', 'Unsupported $expand.');
  return o;
}
function roleAssignments(ctx) {
  const l = filtered(
    ctx,
    ctx.tenant.roleAssignments,
    { principalId: ['eq', 'in'], roleDefinitionId: ['eq', 'in'] },
    { mandatory: MANDATORY },
  );
  return finish(
    ctx,
    l.map((a) => asAssignment(ctx, a)),
    'roleManagement/directory/roleAssignments',
  );
}
function transitiveRoleAssignments(ctx) {
  needAdvanced(ctx);
  const m = /^principalId eq '([^']+)'$/.exec(one(ctx, '$filter'));
  if (!m) throw new Refusal(400, 'Request_UnsupportedQuery', MANDATORY);
  return finish(
    ctx,
    ctx.tenant.assignmentsOf(m[1]).map((a) => asAssignment(ctx, a)),
    'roleManagement/directory/transitiveRoleAssignments',
  );
}
function roleEligibility(ctx) {
  const l = filtered(ctx, ctx.tenant.roleEligibility, {
    principalId: ['eq', 'in'],
    roleDefinitionId: ['eq', 'in'],
  });
  return finish(
    ctx,
    l.map((a) => ({
      ...asAssignment(ctx, a),
      startDateTime: a.startDateTime || isoSeconds(0),
      endDateTime: a.endDateTime || null,
      memberType: 'Direct',
      roleEligibilityScheduleId: `s-${a.principalId}`,
    })),
    'roleManagement/directory/roleEligibilityScheduleInstances',
  );
}
function roleDefinitions(ctx) {
  const may = { id: ['eq', 'in'], displayName: ['eq'], isBuiltIn: ['eq'], templateId: ['eq', 'in'] };
  if (ctx.version === 'beta') may.isPrivileged = ['eq'];
  const l = filtered(ctx, ctx.tenant.roleDefinitions, may);
  return finish(
    ctx,
    l.map((d) => asDefinition(ctx, d)),
    'roleManagement/directory/roleDefinitions',
  );
}

module.exports = {
  explainUpdate,
  handlers: {
    getUser,
    getUserByKey: getUser,
    listUsers,
    updateUser,
    updateUserByKey: updateUser,
    revokeSignInSessions,
    invalidateAllRefreshTokens,
    onPremisesSyncBehavior,
    transitiveMemberOf,
    transitiveDirectoryRoles,
    transitiveGroups,
    administrativeUnits,
    listGroups,
    listGroupOwners,
    roleAssignments,
    transitiveRoleAssignments,
    roleEligibility,
    roleDefinitions,
  },
};
