// sync.js -- from AD to the tenant: cloud sync's jobs and its push of one user, and a whole cycle by
// order. What AD shows to the sync engine is kept with each user (`ad`), settable by orders.
'use strict';
const { Refusal, filtered, selected, page } = require('./odata');
const { uuid } = require('./state');
const { paced } = require('./security');

const SP = ['id', 'accountEnabled', 'appId', 'applicationTemplateId', 'displayName', 'servicePrincipalType'];
const BY_SYNC = { sync: true };

function listServicePrincipals(ctx) {
  const l = filtered(ctx, ctx.tenant.servicePrincipals, {
    applicationTemplateId: ['eq', 'in'],
    appId: ['eq', 'in'],
    displayName: ['eq', 'startswith'],
    id: ['eq', 'in'],
  });
  return {
    status: 200,
    body: page(
      ctx,
      l.map((s) => selected(ctx, s, { known: SP, byDefault: SP })),
      'servicePrincipals',
    ),
  };
}
function principal(ctx) {
  const sp = ctx.tenant.servicePrincipals.find((s) => s.id === ctx.params['service-principal-id']);
  if (!sp) throw new Refusal(404, 'Request_ResourceNotFound', 'No such service principal.');
  return sp;
}
function job(ctx) {
  const j = (principal(ctx).jobs || []).find((x) => x.id === ctx.params['job-id']);
  if (!j) throw new Refusal(404, 'Request_ResourceNotFound', 'No such job.');
  return j;
}
function shown(j) {
  const at = new Date().toISOString();
  return {
    id: j.id,
    templateId: j.templateId,
    schedule: { expiration: null, interval: 'PT40M', state: j.code === 'Paused' ? 'Paused' : 'Active' },
    status: {
      code: j.code,
      countSuccessiveCompleteFailures: 0,
      escrowsPruned: false,
      lastExecution: { timeBegan: at, timeEnded: at, state: j.lastState || 'Succeeded' },
      quarantine:
        j.code === 'Quarantine'
          ? {
              currentBegan: at,
              nextAttempt: at,
              reason: j.reason || 'EncounteredQuarantineException',
              seriesBegan: at,
              seriesCount: 1,
            }
          : null,
      progress: [],
      synchronizedEntryCountByType: [],
      troubleshootingUrl: null,
    },
    synchronizationJobSettings: [],
  };
}
const listJobs = (ctx) => ({
  status: 200,
  body: page(ctx, (principal(ctx).jobs || []).map(shown), 'servicePrincipals/synchronization/jobs'),
});
const getJob = (ctx) => ({
  status: 200,
  body: {
    '@odata.context': `${ctx.root}/$metadata#servicePrincipals/synchronization/jobs/$entity`,
    ...shown(job(ctx)),
  },
});
function getSchema(ctx) {
  const j = job(ctx);
  const mapping = (source, enabled) => ({
    enabled,
    flowTypes: 'Add, Update, Delete',
    metadata: [],
    name: `Provision ${source}`,
    sourceObjectName: source,
    targetObjectName: source === 'user' ? 'User' : source,
    attributeMappings: [],
  });
  const rules = [
    {
      id: uuid(),
      name: 'contacts',
      priority: 2,
      editable: true,
      sourceDirectoryName: 'Active Directory',
      targetDirectoryName: 'Azure Active Directory',
      objectMappings: [mapping('contact', true), mapping('user', false)],
      metadata: [],
    },
    {
      id: j.ruleId || uuid(),
      name: 'AD2AADProvisioning',
      priority: 1,
      editable: true,
      sourceDirectoryName: 'Active Directory',
      targetDirectoryName: 'Azure Active Directory',
      objectMappings: [mapping('user', true), mapping('group', true)],
      metadata: [],
    },
  ];
  return {
    status: 200,
    body: {
      '@odata.context': `${ctx.root}/$metadata#schema`,
      id: `${j.id}.schema`,
      version: '1',
      synchronizationRules: rules,
    },
  };
}

// One user to the tenant. Returns {action, result, modified, u, from}
function push(ctx, tenant, dn) {
  const u = tenant.having('onPremisesDistinguishedName', dn).find((x) => x.ad);
  if (!u) {
    const a = tenant.adOnly.find((x) => x.onPremisesDistinguishedName.toLowerCase() === dn.toLowerCase());
    if (!a) return { result: 'Failure', errorCode: 'EntryNotFound', words: 'The entry could not be found.' };
    const made = tenant.addUser(a); // scoping filters are not applied
    return {
      result: 'Success',
      action: 'Create',
      modified: [['AccountEnabled', undefined, made.p.accountEnabled]],
      u: made,
    };
  }
  if (u.p.onPremisesSyncEnabled !== true)
    return {
      result: 'Skipped',
      errorCode: 'NotEffectivelyEntitled',
      words: 'The source of authority is the cloud.',
      u,
    };
  if (u.p.accountEnabled === u.ad.enabled)
    return {
      result: 'Skipped',
      errorCode: 'RedundantExport',
      words: 'The state of the user in both the source and target systems already match.',
      action: 'Other',
      u,
    };
  const was = u.p.accountEnabled;
  tenant.setEnabled(ctx, u, u.ad.enabled, BY_SYNC);
  return { result: 'Success', action: 'Update', modified: [['AccountEnabled', was, u.ad.enabled]], u };
}

const word = (b) => (b === undefined ? undefined : b ? 'True' : 'False');
function provisionOnDemand(ctx) {
  const { tenant } = ctx;
  if (tenant.settings.provisionLimit) paced(ctx, 'provision', 5, 10000, { 'Retry-After': '5' });
  const j = job(ctx);
  const p = ctx.json.parameters[0];
  if (p.ruleId !== j.ruleId)
    throw new Refusal(400, 'RequestParameterInvalid', `The rule ${p.ruleId} is not in the job.`);
  const subject = p.subjects[0];
  if (subject.objectTypeName !== 'user')
    throw new Refusal(400, 'RequestParameterInvalid', 'objectTypeName is user here.');
  const r = tenant.settings.provisionResult
    ? {
        result: tenant.settings.provisionResult,
        errorCode: 'Ordered',
        words: 'So it was ordered.',
        u: tenant.anyUser(subject.objectId),
      }
    : push(ctx, tenant, subject.objectId);
  const at = new Date().toISOString();
  const enabled = r.u && r.u.ad ? r.u.ad.enabled : undefined;
  const steps = !r.u
    ? []
    : [
        {
          name: 'EntryImportUpdate',
          type: 'Import',
          status: 'Success',
          description: `Received user '${r.u.p.userPrincipalName}' change of type (Update) from Active Directory`,
          timestamp: at,
          details: {
            distinguishedName: subject.objectId,
            accountDisabled: word(!enabled),
            userAccountControl: enabled ? '512' : '514',
          },
        },
        {
          name: 'EntryExportUpdate',
          type: 'Export',
          status: r.result,
          description: '',
          timestamp: at,
          details: {},
        },
      ];
  const value = {
    provisioningSteps: steps,
    modifiedProperties: (r.modified || []).map(([displayName, o, n]) => ({
      displayName,
      ...(o === undefined ? {} : { oldValue: word(o) }),
      newValue: word(n),
    })),
    action: r.action || 'Other',
    changeId: uuid(),
    startTime: at,
    endTime: at,
    reportableIdentifier: r.u ? r.u.p.userPrincipalName : subject.objectId,
    sourceIdentity: { id: subject.objectId, type: 'user' },
    sourceSystem: { name: 'Active Directory' },
    statusInfo: { status: r.result },
    targetIdentity: { id: r.u ? r.u.id : '', type: 'User' },
    targetSystem: { name: 'Azure Active Directory' },
  };
  const key =
    tenant.settings.provisionKey === 'plain'
      ? 'Microsoft.Identity.Health.CPP.Common.DataContracts.SyncFabric.StatusInfo'
      : JSON.stringify({
          result: r.result,
          details: r.errorCode ? { errorCode: r.errorCode, errorMessage: r.words } : {},
        });
  return {
    status: 200,
    body: {
      '@odata.context':
        'https://syncfabric.windowsazure.com/api/$metadata#microsoft.synchronization.stringKeyStringValuePair',
      key,
      value: JSON.stringify(value),
    },
  };
}
function startJob(ctx) {
  const j = job(ctx);
  j.code = 'Active';
  return { status: 204 };
}
function restartJob(ctx) {
  const scope = (ctx.json.criteria || {}).resetScope || '';
  if (/ForceDeletes|Full/.test(scope)) ctx.violate([`restart with ${scope}`]);
  job(ctx).code = 'Active';
  return { status: 204 };
}
const listOrganization = (ctx) => ({
  status: 200,
  body: page(
    ctx,
    [
      selected(
        ctx,
        {
          id: ctx.tenant.id,
          displayName: 'Corp',
          onPremisesSyncEnabled: ctx.tenant.settings.tenantSync,
          onPremisesLastSyncDateTime: new Date().toISOString(),
        },
        {},
      ),
    ],
    'organization',
  ),
});

// A cycle of Connect or cloud sync over all users, by order: AD wins.
function cycle(tenant, keys) {
  tenant.syncCycles++;
  const changed = [];
  const users = keys ? keys.map((k) => tenant.anyUser(k)).filter(Boolean) : [...tenant.users.values()];
  for (const u of users) {
    if (!u.ad || u.p.onPremisesSyncEnabled !== true || u.p.accountEnabled === u.ad.enabled) continue;
    tenant.setEnabled(null, u, u.ad.enabled, BY_SYNC);
    changed.push(u.id);
  }
  return changed;
}

module.exports = {
  cycle,
  handlers: {
    listServicePrincipals,
    listJobs,
    getJob,
    getSchema,
    provisionOnDemand,
    startJob,
    restartJob,
    listOrganization,
  },
};
