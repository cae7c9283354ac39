'use strict';
const fs = require('fs');
const {
  env,
  ok,
  is,
  call,
  order,
  fault,
  violations,
  login,
  token,
  graph,
  q,
  code,
  secret,
} = require('./harness');

const map = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });

module.exports = async () => {
  await order('POST', '/reset');
  const users = await order('POST', '/users', [
    {
      kind: 'hybrid',
      id: map.alice.id,
      userPrincipalName: 'alice@corp.example.com',
      sid: 'S-1-5-21-1-2-3-1104',
      guid: '00112233-4455-6677-8899-aabbccddeeff',
      onPremisesDistinguishedName: 'CN=Novák\\, Anna,OU=People,DC=corp,DC=example,DC=com',
    },
    { userPrincipalName: 'cloud@corp.example.com' },
  ]);
  const [alice, cloud] = users;
  await token({ anew: true });

  // audit log
  const mine = q({
    filter: `activityDateTime ge 2020-01-01T00:00:00Z and targetResources/any(t:t/id eq '${alice.id}')`,
    orderby: 'activityDateTime desc',
    top: 50,
  });
  await order('PATCH', '/settings', { auditDelay: 400 });
  await graph('PATCH', `/users/${alice.id}`, { accountEnabled: false });
  await graph('POST', `/users/${alice.id}/revokeSignInSessions`);
  is((await graph('GET', `/auditLogs/directoryAudits${mine}`)).json.value, [], 'audit: not at once');
  await sleep(500);
  let r = await graph('GET', `/auditLogs/directoryAudits${mine}`);
  is(
    r.json.value.map((a) => a.activityDisplayName).sort(),
    ['Disable account', 'Update StsRefreshTokenValidFrom Timestamp', 'Update user'],
    'audit: but then',
  );
  const rec = r.json.value.find((a) => a.activityDisplayName === 'Disable account');
  is(
    [rec.targetResources[0].modifiedProperties[0], rec.initiatedBy.app.servicePrincipalId],
    [
      { displayName: 'AccountEnabled', oldValue: '[true]', newValue: '[false]' },
      '9a0d5e1c-2b7f-4c3e-8f64-7e1b2a3c4d5e',
    ],
    'audit: JSON in strings, and by whom',
  );
  await order('PATCH', '/settings', { auditDelay: 0, auditLimit: true });
  let last;
  for (let i = 0; i < 6; i++) last = await graph('GET', `/auditLogs/directoryAudits${mine}`);
  is(last.status, 429, 'audit: five in ten seconds, where it is switched on');
  await order('PATCH', '/settings', { auditLimit: false });

  // sync
  await order('POST', '/ad', { user: 'alice', enabled: true });
  is((await order('POST', '/sync')).changed, [alice.id], 'sync: AD still says enabled: it comes back');
  r = await graph(
    'GET',
    `/auditLogs/directoryAudits${q({ filter: "activityDisplayName eq 'Enable account'" })}`,
  );
  ok(
    /^Sync_/.test(r.json.value[0].initiatedBy.user.userPrincipalName),
    'sync: and the sync account is to blame',
  );
  r = await graph(
    'GET',
    `/servicePrincipals${q({ filter: "applicationTemplateId eq '1a4721b3-e57f-4451-ae87-ef078703ec94'", select: 'id,appId,displayName' })}`,
  );
  is(r.json.value[0].displayName, 'corp.example.com', 'cloud sync: one service principal for the domain');
  const sp = r.json.value[0].id;
  r = await graph('GET', `/servicePrincipals/${sp}/synchronization/jobs`);
  const job = r.json.value.find((j) => j.id.startsWith('AD2AADProvisioning.'));
  is(job.status.code, 'Active', 'cloud sync: its job');
  r = await graph('GET', `/servicePrincipals/${sp}/synchronization/jobs/${job.id}/schema`);
  const rule = r.json.synchronizationRules.find((x) =>
    x.objectMappings.some((m) => m.enabled && m.sourceObjectName === 'user'),
  );
  const push = (dn, ruleId = rule.id) =>
    graph('POST', `/servicePrincipals/${sp}/synchronization/jobs/${job.id}/provisionOnDemand`, {
      parameters: [{ ruleId, subjects: [{ objectId: dn, objectTypeName: 'user' }] }],
    });
  const dn = alice.onPremisesDistinguishedName;
  await order('POST', '/ad', { user: alice.id, enabled: false });
  r = await push(dn);
  is(
    [
      JSON.parse(r.json.key).result,
      JSON.parse(r.json.value).modifiedProperties,
      JSON.parse(r.json.value).targetIdentity.id,
    ],
    ['Success', [{ displayName: 'AccountEnabled', oldValue: 'True', newValue: 'False' }], alice.id],
    'cloud sync: a push carries the disable',
  );
  r = await push(dn);
  is(
    [JSON.parse(r.json.key).result, JSON.parse(r.json.key).details.errorCode],
    ['Skipped', 'RedundantExport'],
    'cloud sync: again there is nothing to do',
  );
  await order('POST', '/ad', { user: alice.id, enabled: true });
  r = await push(dn);
  is(
    [
      JSON.parse(r.json.value).provisioningSteps[0].details.accountDisabled,
      (await order('GET', '/users/alice')).accountEnabled,
    ],
    ['False', true],
    'cloud sync: an old DC gives the account back',
  );
  is(
    code(await push(dn, '00000000-0000-4000-8000-000000000000')),
    'RequestParameterInvalid',
    'cloud sync: a rule that is not there',
  );
  is(
    JSON.parse((await push('CN=nobody,DC=corp')).json.key).result,
    'Failure',
    'cloud sync: nobody of that name',
  );
  await order('PATCH', '/settings', { provisionKey: 'plain' });
  ok(!(await push(dn)).json.key.startsWith('{'), 'cloud sync: the key as a plain name');
  await order('PATCH', '/jobs', { code: 'Quarantine', reason: 'TooManyDeletes' });
  r = await graph('GET', `/servicePrincipals/${sp}/synchronization/jobs/${job.id}`);
  is(
    [r.json.status.code, r.json.status.quarantine.reason],
    ['Quarantine', 'TooManyDeletes'],
    'cloud sync: in quarantine',
  );
  is(
    (await graph('POST', `/servicePrincipals/${sp}/synchronization/jobs/${job.id}/start`)).status,
    204,
    'cloud sync: start',
  );
  is(
    (await graph('GET', `/organization${q({ select: 'id,onPremisesSyncEnabled' })}`)).json.value[0]
      .onPremisesSyncEnabled,
    true,
    'organization: synchronised',
  );
  is(await violations(), [], 'sync: as described');
  await order('PATCH', '/settings', { provisionLimit: true });
  let status = 0;
  for (let i = 0; i < 6; i++) status = (await push(dn)).status;
  is(status, 429, 'cloud sync: five in ten seconds, where it is switched on');

  // Identity Protection
  is((await graph('GET', `/identityProtection/riskyUsers/${alice.id}`)).status, 404, 'risk: no record');
  await order('PATCH', '/settings', { riskDelay: 300 });
  is(
    (await graph('POST', '/identityProtection/riskyUsers/confirmCompromised', { userIds: [alice.id] }))
      .status,
    204,
    'risk: confirmed',
  );
  r = await graph('GET', `/identityProtection/riskyUsers/${alice.id}`);
  is([r.json.isProcessing, r.json.riskState], [true, 'none'], 'risk: in the making');
  await sleep(400);
  r = await graph('GET', `/identityProtection/riskyUsers/${alice.id}`);
  is(
    [r.json.isProcessing, r.json.riskState, r.json.riskLevel],
    [false, 'confirmedCompromised', 'high'],
    'risk: and done',
  );
  is(
    (await graph('GET', `/identityProtection/riskyUsers${q({ filter: "riskLevel eq 'high'" })}`)).json.value
      .length,
    1,
    'risk: in the list',
  );
  await order('PATCH', '/settings', { riskDelay: 0 });
  await graph('POST', '/identityProtection/riskyUsers/dismiss', { userIds: [alice.id] });
  is(
    (await graph('GET', `/identityProtection/riskyUsers/${alice.id}`)).json.riskState,
    'dismissed',
    'risk: dismissed',
  );
  await order('POST', '/riskDetections', {
    userId: alice.id,
    detectedDateTime: new Date().toISOString(),
    riskEventType: 'anomalousToken',
    riskDetail: 'microsoftRevokedSessions',
    riskLevel: 'high',
    riskState: 'atRisk',
  });
  const detections = `/identityProtection/riskDetections${q({ filter: `userId eq '${alice.id}' and detectedDateTime ge 2020-01-01T00:00:00Z`, top: 50 })}`;
  is(
    (await graph('GET', detections)).json.value[0].riskDetail,
    'unknownFutureValue',
    'risk: newer words only for those who ask',
  );
  is(
    (await graph('GET', detections, undefined, { headers: { Prefer: 'include-unknown-enum-members' } })).json
      .value[0].riskDetail,
    'microsoftRevokedSessions',
    'risk: then they are told',
  );
  is(await violations(), [], 'risk: as described');
  r = await graph('POST', '/identityProtection/riskyUsers/confirmCompromised', {
    userIds: Array.from(
      { length: 61 },
      (_, i) => `00000000-0000-4000-8000-0000000000${String(i).padStart(2, '0')}`,
    ),
  });
  ok(r.status === 400 && (await violations()).length === 1, 'risk: at most 60');
  await order('PATCH', '/settings', { riskLimit: true });
  const two = [
    await graph('GET', '/identityProtection/riskyUsers'),
    await graph('GET', '/identityProtection/riskyUsers'),
  ];
  ok(
    two[1].status === 429 && !two[1].headers['retry-after'],
    'risk: one a second, where it is switched on, and no Retry-After',
  );
  await order('PATCH', '/settings', { riskLimit: false, licence: 'free' });
  is(
    code(await graph('GET', '/identityProtection/riskyUsers')),
    'Authentication_RequestFromNonPremiumTenantOrB2CTenant',
    'risk: without a licence',
  );

  // Defender for Identity
  r = await graph(
    'GET',
    `/security/identities/identityAccounts${q({ filter: "onPremisesSecurityIdentifier eq 'S-1-5-21-1-2-3-1104'" })}`,
  );
  const identity = r.json.value[0];
  is(
    identity.accounts[0],
    {
      identityProvider: 'activeDirectory',
      identifier: '00112233-4455-6677-8899-aabbccddeeff',
      actions: ['disable', 'forcePasswordReset'],
    },
    'defender: the account and what it offers',
  );
  const act = (o) =>
    graph('POST', `/security/identities/identityAccounts/${identity.id}/invokeAction`, {
      accountId: identity.accounts[0].identifier,
      action: 'disable',
      identityProvider: 'activeDirectory',
      ...o,
    });
  is((await act({ action: 'revokeAllSessions' })).status, 400, 'defender: what it does not offer');
  is(
    [
      (await act({})).json.action,
      (await order('GET', '/users/alice')).ad.enabled,
      (await order('GET', '/users/alice')).accountEnabled,
    ],
    ['disable', false, true],
    'defender: it acts in AD, not here',
  );
  await order('PATCH', '/settings', { mdiSpelling: 'documented' });
  r = await graph('GET', `/security/identities/identityAccounts/${identity.id}`);
  is(r.json.value.accounts[0].provider, 'ActiveDirectory', 'defender: spelled as documented');
  is(await violations(), [], 'defender: as described');
  is(
    (await act({ identityProvider: undefined, provider: 'activeDirectory' })).status,
    400,
    'defender: `provider` is not described',
  );
  await violations();

  // hunting, Log Analytics
  await order('POST', '/rows', {
    table: 'IdentityDirectoryEvents',
    rows: [
      {
        Timestamp: new Date().toISOString(),
        ActionType: 'Account disabled',
        TargetSid: 'S-1-5-21-1-2-3-1104',
        AccountName: 'svc',
      },
      { Timestamp: '2020-01-01T00:00:00Z', ActionType: 'Account disabled', TargetSid: 'S-1-5-21-1-2-3-1104' },
      { Timestamp: new Date().toISOString(), ActionType: 'Account disabled', TargetSid: 'S-1-5-21-1-2-3-9' },
    ],
  });
  r = await graph('POST', '/security/runHuntingQuery', {
    Query:
      "IdentityDirectoryEvents | where Timestamp > ago(1h) | where ActionType in ('Account disabled','Account enabled') | extend TargetSid=tostring(AdditionalFields.TargetAccountSid) | where TargetSid == 'S-1-5-21-1-2-3-1104' | project Timestamp, ActionType, TargetSid, AccountName",
    Timespan: 'PT1H',
  });
  is(
    [r.json.schema.map((c) => c.name), r.json.results.length, r.json.results[0].AccountName],
    [['Timestamp', 'ActionType', 'TargetSid', 'AccountName'], 1, 'svc'],
    'hunting: the rows of this SID and time',
  );
  await order('PATCH', '/settings', { huntingSpelling: 'upper' });
  r = await graph('POST', '/security/runHuntingQuery', { Query: 'IdentityDirectoryEvents | take 1' });
  ok(r.json.Schema[0].Name && r.json.Results.length === 1, 'hunting: the other spelling');
  await order('POST', '/rows', {
    table: 'SecurityEvent',
    rows: [
      {
        TimeGenerated: new Date().toISOString(),
        EventID: 4725,
        TargetSid: 'S-1-5-21-1-2-3-1104',
        Computer: 'dc1',
      },
      {
        TimeGenerated: new Date().toISOString(),
        EventID: 4624,
        TargetSid: 'S-1-5-21-1-2-3-1104',
        Computer: 'dc1',
      },
    ],
  });
  const la = (await login({ client_secret: secret, scope: `${env.LOGANALYTICS}/.default` })).json
    .access_token;
  const ask = (auth) =>
    call(`${env.LOGANALYTICS}/v1/workspaces/00000000-0000-4000-8000-00000000000a/query`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${auth}` },
      body: JSON.stringify({
        query:
          "SecurityEvent | where EventID in (4725, 4722) | where TargetSid == 'S-1-5-21-1-2-3-1104' | project TimeGenerated, Computer, EventID",
        timespan: 'PT1H',
      }),
    });
  r = await ask(la);
  is(
    [r.json.tables[0].rows.length, r.json.tables[0].rows[0][2], r.json.tables[0].columns[2].name],
    [1, 4725, 'EventID'],
    'Log Analytics: rows by position',
  );
  is((await ask(await token())).status, 401, "Log Analytics: Graph's token is not for it");
  await order('PATCH', '/settings', { partialError: true });
  is((await ask(la)).json.error.code, 'PartialError', 'Log Analytics: 200 and half of it');
  is(await violations(), [], 'hunting: as described');
  void cloud;
  void fault;
};
