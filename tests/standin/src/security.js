// security.js -- Graph's Identity Protection, Defender for Identity, audit log and hunting.
'use strict';
const { Refusal, filtered, selected, ordered, page, one } = require('./odata');
const { uuid, isoSeconds } = require('./state');
const { answerQuery } = require('./kql');

// A window of requests for the whole tenant; 429 where it is full.
function paced(ctx, name, count, ms, headers) {
  const now = Date.now();
  const l = (ctx.tenant.paced[name] || []).filter((t) => t > now - ms);
  ctx.tenant.paced[name] = l;
  if (l.length >= count) throw new Refusal(429, 'TooManyRequests', 'Too many requests.', headers);
  l.push(now);
}
function risk(ctx) {
  if (ctx.tenant.settings.licence !== 'P2') {
    throw new Refusal(
      403,
      'Authentication_RequestFromNonPremiumTenantOrB2CTenant',
      "Neither tenant is B2C or tenant doesn't have premium license",
    );
  }
  if (ctx.tenant.settings.riskLimit) paced(ctx, 'risk', 1, 1000, {});
}

const RISKY = [
  'id',
  'isDeleted',
  'isProcessing',
  'riskDetail',
  'riskLastUpdatedDateTime',
  'riskLevel',
  'riskState',
  'userDisplayName',
  'userPrincipalName',
];
const NEWER = [
  'm365DAdminDismissedDetection',
  'adminConfirmedServicePrincipalCompromised',
  'adminDismissedAllRiskForServicePrincipal',
  'userChangedPasswordOnPremises',
  'adminDismissedRiskForSignIn',
  'adminConfirmedAccountSafe',
  'microsoftRevokedSessions',
];
function riskyRecord(tenant, id) {
  const u = tenant.user(id);
  return {
    id,
    isDeleted: false,
    isProcessing: false,
    riskDetail: 'none',
    riskLastUpdatedDateTime: isoSeconds(),
    riskLevel: 'none',
    riskState: 'none',
    userDisplayName: u ? u.p.displayName : null,
    userPrincipalName: u ? u.p.userPrincipalName : null,
  };
}
function enums(ctx, o) {
  // members behind the sentinel only for those who ask for them
  const all = /include-unknown-enum-members/i.test(ctx.headers.prefer || '');
  return !all && NEWER.includes(o.riskDetail) ? { ...o, riskDetail: 'unknownFutureValue' } : o;
}
function settled(tenant) {
  // what was taken on is done now
  for (const r of tenant.riskyUsers)
    if (r.due && r.due.at <= Date.now()) {
      Object.assign(r, r.due.then, { isProcessing: false });
      delete r.due;
    }
  return tenant.riskyUsers;
}
const shownRisk = (ctx, r) =>
  enums(
    ctx,
    selected(
      ctx,
      {
        ...riskyRecord(ctx.tenant, r.id),
        ...Object.fromEntries(Object.entries(r).filter(([k]) => k !== 'due')),
      },
      { known: RISKY },
    ),
  );

function listRiskyUsers(ctx) {
  risk(ctx);
  let l = filtered(ctx, settled(ctx.tenant), {
    riskLevel: ['eq', 'in'],
    riskState: ['eq', 'in'],
    riskDetail: ['eq'],
    id: ['eq', 'in'],
    userPrincipalName: ['eq', 'startswith'],
    riskLastUpdatedDateTime: ['ge', 'le', 'gt', 'lt'],
    isDeleted: ['eq'],
    isProcessing: ['eq'],
  });
  l = ordered(ctx, l, ['riskLastUpdatedDateTime']);
  return {
    status: 200,
    body: page(
      ctx,
      l.map((r) => shownRisk(ctx, r)),
      'identityProtection/riskyUsers',
      { max: 500, size: 20 },
    ),
  };
}
function getRiskyUser(ctx) {
  risk(ctx);
  const r = settled(ctx.tenant).find((x) => x.id === ctx.params['risky-user-id'].toLowerCase());
  if (!r)
    throw new Refusal(
      404,
      'Request_ResourceNotFound',
      `Resource '${ctx.params['risky-user-id']}' does not exist.`,
    );
  return {
    status: 200,
    body: {
      '@odata.context': `${ctx.root}/$metadata#identityProtection/riskyUsers/$entity`,
      ...shownRisk(ctx, r),
    },
  };
}
function judge(then) {
  return (ctx) => {
    risk(ctx);
    const { tenant } = ctx;
    for (const id of ctx.json.userIds) {
      if (!tenant.user(id))
        throw new Refusal(404, 'Request_ResourceNotFound', `User '${id}' does not exist.`);
      let r = settled(tenant).find((x) => x.id === id.toLowerCase());
      if (!r) {
        if (tenant.settings.riskWithoutRecord === '404')
          throw new Refusal(404, 'Request_ResourceNotFound', 'No risk record.');
        if (tenant.settings.riskWithoutRecord === 'ignore') continue;
        r = riskyRecord(tenant, id.toLowerCase());
        if (!ctx.fault || ctx.fault.stick !== false) tenant.riskyUsers.push(r);
      }
      if (ctx.fault && ctx.fault.stick === false) continue;
      r.due = {
        at: Date.now() + tenant.settings.riskDelay,
        then: { ...then, riskLastUpdatedDateTime: isoSeconds() },
      };
      r.isProcessing = tenant.settings.riskDelay > 0;
    }
    return { status: 204 };
  };
}
function listRiskDetections(ctx) {
  risk(ctx);
  let l = filtered(ctx, ctx.tenant.riskDetections, {
    userId: ['eq', 'in'],
    id: ['eq'],
    detectedDateTime: ['ge', 'le', 'gt', 'lt'],
    lastUpdatedDateTime: ['ge', 'le'],
    riskLevel: ['eq'],
    riskState: ['eq'],
    riskEventType: ['eq'],
    userPrincipalName: ['eq'],
  });
  l = ordered(ctx, l, ['detectedDateTime', 'lastUpdatedDateTime']);
  return {
    status: 200,
    body: page(
      ctx,
      l.map((r) => enums(ctx, selected(ctx, { id: uuid(), ...r }, {}))),
      'identityProtection/riskDetections',
      { max: 500, size: 20 },
    ),
  };
}

// --- Defender for Identity ---
const GUID_OF = (b64) => {
  const b = Buffer.from(b64 || '', 'base64');
  return b.length === 16
    ? [
        b.subarray(0, 4).reverse(),
        b.subarray(4, 6).reverse(),
        b.subarray(6, 8).reverse(),
        b.subarray(8, 10),
        b.subarray(10),
      ]
        .map((x) => x.toString('hex'))
        .join('-')
    : '';
};
function identities(tenant) {
  // those given, and one for each user of AD
  const given = tenant.identities;
  const made = [...tenant.users.values()]
    .filter(
      (u) =>
        u.p.onPremisesSecurityIdentifier &&
        !given.some((g) => g.onPremisesSecurityIdentifier === u.p.onPremisesSecurityIdentifier),
    )
    .map((u) => ({
      '@odata.type': '#microsoft.graph.security.user',
      id: `b7e1c9a4${u.id.slice(8)}`,
      displayName: u.p.displayName,
      domain: u.p.onPremisesDomainName,
      onPremisesSecurityIdentifier: u.p.onPremisesSecurityIdentifier,
      cloudSecurityIdentifier: u.p.securityIdentifier,
      isEnabled: Boolean(u.ad && u.ad.enabled),
      emailAddress: u.p.mail,
      userPrincipalName: u.p.userPrincipalName,
      accounts: [
        {
          identityProvider: 'activeDirectory',
          identifier: GUID_OF(Buffer.from(u.p.onPremisesImmutableId || '', 'base64').toString('base64')),
          actions: [u.ad && u.ad.enabled ? 'disable' : 'enable', 'forcePasswordReset'],
        },
        { identityProvider: 'entraID', identifier: u.id, actions: [] },
      ],
    }));
  return [...given, ...made];
}
function spelled(ctx, i) {
  if (ctx.tenant.settings.mdiSpelling !== 'documented') return i;
  return {
    ...i,
    accounts: i.accounts.map(({ identityProvider, ...a }) => ({
      provider:
        identityProvider === 'entraID'
          ? 'EntraID'
          : identityProvider[0].toUpperCase() + identityProvider.slice(1),
      ...a,
    })),
  };
}
function listIdentityAccounts(ctx) {
  const l = filtered(ctx, identities(ctx.tenant), {
    onPremisesSecurityIdentifier: ['eq'],
    cloudSecurityIdentifier: ['eq'],
    id: ['eq'],
    userPrincipalName: ['eq'],
    displayName: ['eq'],
    domain: ['eq'],
  });
  return {
    status: 200,
    body: page(
      ctx,
      l.map((i) => selected(ctx, spelled(ctx, i), {})),
      'security/identities/identityAccounts',
    ),
  };
}
function identity(ctx) {
  const i = identities(ctx.tenant).find(
    (x) => x.id.toLowerCase() === ctx.params['identity-id'].toLowerCase(),
  );
  if (!i) throw new Refusal(404, 'NotFound', `Identity ${ctx.params['identity-id']} was not found.`);
  return i;
}
const wrapped = (ctx, o) =>
  ctx.tenant.settings.mdiSpelling === 'documented'
    ? { value: o }
    : { '@odata.context': `${ctx.root}/$metadata#security/identities/identityAccounts/$entity`, ...o };
function getIdentityAccount(ctx) {
  return { status: 200, body: wrapped(ctx, selected(ctx, spelled(ctx, identity(ctx)), {})) };
}
function invokeAction(ctx) {
  const i = identity(ctx);
  const { accountId, action, identityProvider } = ctx.json;
  const a = i.accounts.find((x) => x.identifier === accountId && x.identityProvider === identityProvider);
  if (!a) throw new Refusal(400, 'BadRequest', 'No such account of this identity.');
  if (!a.actions.includes(action))
    throw new Refusal(400, 'BadRequest', `Action ${action} is not supported for this account.`);
  const correlationId = uuid();
  ctx.tenant.actions.push({ identity: i.id, ...ctx.json, correlationId });
  const u = [...ctx.tenant.users.values()].find(
    (x) => x.p.onPremisesSecurityIdentifier === i.onPremisesSecurityIdentifier,
  );
  if (
    ctx.tenant.settings.mdiActs &&
    u &&
    u.ad &&
    identityProvider === 'activeDirectory' &&
    ['disable', 'enable'].includes(action) &&
    !(ctx.fault && ctx.fault.stick === false)
  )
    u.ad.enabled = action === 'enable';
  return {
    status: 200,
    body:
      ctx.tenant.settings.mdiSpelling === 'documented'
        ? { value: { accountId, action, provider: identityProvider, correlationId } }
        : {
            '@odata.context': `${ctx.root}/$metadata#microsoft.graph.security.invokeActionResult`,
            accountId,
            action,
            identityProvider,
            correlationId,
          },
  };
}

// --- audit log, hunting ---
function listDirectoryAudits(ctx) {
  if (ctx.tenant.settings.auditLimit) paced(ctx, 'audit', 5, 10000, { 'Retry-After': '10' });
  const now = Date.now();
  // With many records, those of one user are not looked for by the filter alone.
  const whose = /targetResources\/any\((\w+):\1\/id eq '([0-9a-f-]{36})'\)/i.exec(one(ctx, '$filter') || '');
  const about = (r) => (r.targetResources || []).some((t) => t.id === whose[2].toLowerCase());
  const only = whose && !/\b(or|not)\b/.test(one(ctx, '$filter'));
  let l = ctx.tenant.audits
    .filter((a) => a.visibleAt <= now && (!only || about(a.record)))
    .map((a) => a.record);
  l = filtered(ctx, l, {
    activityDateTime: ['eq', 'ge', 'le', 'gt', 'lt'],
    activityDisplayName: ['eq', 'startswith'],
    correlationId: ['eq'],
    id: ['eq'],
    loggedByService: ['eq'],
    'initiatedBy/user/id': ['eq'],
    'initiatedBy/user/userPrincipalName': ['eq'],
    'initiatedBy/app/appId': ['eq'],
    'initiatedBy/app/displayName': ['eq'],
    'targetResources/id': ['eq'],
    'targetResources/displayName': ['eq'],
  });
  l = ordered(ctx, one(ctx, '$orderby') ? l : [...l].reverse(), ['activityDateTime']);
  return {
    status: 200,
    body: page(
      ctx,
      l.map((r) => selected(ctx, r, {})),
      'auditLogs/directoryAudits',
    ),
  };
}
function runHuntingQuery(ctx) {
  if (!('Query' in ctx.json)) ctx.violate(['hunting: the documented spelling is Query']);
  const { columns, rows } = answerQuery(ctx.tenant, ctx.json.Query || ctx.json.query);
  const upper = ctx.tenant.settings.huntingSpelling === 'upper';
  return {
    status: 200,
    body: {
      '@odata.context': `${ctx.root}/$metadata#microsoft.graph.security.huntingQueryResults`,
      [upper ? 'Schema' : 'schema']: columns.map((c) =>
        upper ? { Name: c, Type: 'String' } : { name: c, type: 'String' },
      ),
      [upper ? 'Results' : 'results']: rows,
    },
  };
}

module.exports = {
  paced,
  identities,
  handlers: {
    listRiskyUsers,
    getRiskyUser,
    listRiskDetections,
    riskyUsers_confirmCompromised: judge({
      riskLevel: 'high',
      riskState: 'confirmedCompromised',
      riskDetail: 'adminConfirmedUserCompromised',
    }),
    riskyUsers_dismiss: judge({
      riskLevel: 'none',
      riskState: 'dismissed',
      riskDetail: 'adminDismissedAllRiskForUser',
    }),
    listIdentityAccounts,
    getIdentityAccount,
    invokeAction,
    listDirectoryAudits,
    runHuntingQuery,
  },
};
