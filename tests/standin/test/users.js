'use strict';
const fs = require('fs');
const { ok, is, call2, order, fault, violations, token, graph, q, EVENTUAL, code } = require('./harness');

const map = JSON.parse(fs.readFileSync(process.argv[3], 'utf8'));
const SELECT =
  'id,accountEnabled,onPremisesSecurityIdentifier,onPremisesImmutableId,onPremisesSyncEnabled,signInSessionsValidFromDateTime,isManagementRestricted';
const ENABLED = { accountEnabled: false };

module.exports = async () => {
  const id = map.alice.id;
  let r = await graph('GET', `/users/${id}${q({ select: SELECT })}`);
  is(
    Object.keys(r.json)
      .filter((k) => k[0] !== '@')
      .join(),
    SELECT,
    'read: exactly what $select asks for',
  );
  is(
    [r.json.onPremisesImmutableId, r.json.onPremisesSecurityIdentifier, r.json.onPremisesSyncEnabled],
    [Buffer.from('33221100554477668899aabbccddeeff', 'hex').toString('base64'), 'S-1-5-21-1-2-3-1104', true],
    'mirror: the GUID as AD stores its bytes, the SID, synchronised',
  );
  is(
    (await graph('GET', `/users/${map.bob.id}${q({ select: 'accountEnabled' })}`)).json.accountEnabled,
    false,
    'mirror: a disabled one',
  );
  ok(
    !('accountEnabled' in (await graph('GET', `/users/${id}`)).json),
    'read: without $select not all is told',
  );
  r = await graph('GET', `/users/${id}`, undefined, { by: call2 });
  is(r.status, 200, 'read: over HTTP/2, too');
  ok(r.headers['request-id'] && r.headers['client-request-id'], 'read: request-id, and ours comes back');
  r = await graph('GET', '/users/00000000-0000-4000-8000-000000000000');
  is([r.status, code(r)], [404, 'Request_ResourceNotFound'], 'read: nobody');
  await order('POST', '/users', [
    { kind: 'guest', userPrincipalName: 'a_partner.example#EXT#@corp.example.com' },
    { userPrincipalName: "o'brien@corp.example.com" },
    { userPrincipalName: '$ops@corp.example.com' },
  ]);
  is(
    (await graph('GET', '/users/a_partner.example%23EXT%23@corp.example.com')).status,
    200,
    'read: a guest by UPN',
  );
  is(
    (await graph('GET', "/users('o''brien@corp.example.com')")).status,
    200,
    'read: by key, a quote doubled',
  );
  is(await violations(), [], 'read: as described');
  is(
    (await graph('GET', '/users/$ops@corp.example.com')).status,
    400,
    'read: a UPN that begins with $ is no segment',
  );
  is((await graph('GET', "/users('%24ops@corp.example.com')")).status, 200, 'read: but a key');
  await violations();
  is((await graph('GET', `/users/${id}${q({ select: 'nonsense' })}`)).status, 400, 'read: no such property');

  // find
  const find = (filter, more = {}, o) =>
    graph('GET', `/users${q({ filter, select: 'id', ...more })}`, undefined, o);
  is(
    (await find("onPremisesSecurityIdentifier eq 'S-1-5-21-1-2-3-1104'")).json.value,
    [{ id }],
    'find: by SID',
  );
  r = await find("onPremisesImmutableId eq 'MyIRAFVEd2aImaq7zN3u/w=='");
  is(
    [r.status, code(r)],
    [400, 'Request_UnsupportedQuery'],
    'find: the immutable id needs the advanced mode',
  );
  is(
    (await find("onPremisesImmutableId eq 'MyIRAFVEd2aImaq7zN3u/w=='", { count: 'true' }, EVENTUAL)).json
      .value,
    [{ id }],
    'find: and is found with it',
  );
  is(
    (
      await find(
        "onPremisesSamAccountName eq 'alice' and accountEnabled eq true",
        { count: 'true' },
        EVENTUAL,
      )
    ).json.value.length,
    1,
    'find: and, booleans',
  );
  is(
    (await find("userPrincipalName eq 'o''brien@corp.example.com' or mail eq 'x'")).json.value.length,
    1,
    'find: or, quotes',
  );
  is((await find("onPremisesSecurityIdentifier eq 'S-1-5-21-9'")).json.value, [], 'find: nobody');
  is((await find("onPremisesDomainName eq 'corp.example.com'")).status, 400, 'find: not by everything');
  is((await find('accountEnabled eq')).status, 400, 'find: a filter that is none');
  r = await graph('GET', `/users${q({ top: 2, select: 'id' })}`);
  const all = [...r.json.value];
  ok(r.json['@odata.nextLink'] && r.json.value.length === 2, 'paging: two and a link');
  while (r.json['@odata.nextLink']) {
    r = await graph('GET', r.json['@odata.nextLink'].split('/v1.0')[1]);
    all.push(...r.json.value);
  }
  is(
    new Set(all.map((u) => u.id)).size,
    (await order('GET', '/users')).length,
    'paging: the links lead to all',
  );
  is(await violations(), [], 'find: as described');

  // disable, enable
  r = await graph('PATCH', `/users/${id}`, ENABLED);
  is(
    [r.status, r.text, (await order('GET', `/users/${id}`)).accountEnabled],
    [204, '', false],
    'disable: 204, and so it is',
  );
  is((await graph('PATCH', `/users/${id}`, ENABLED)).status, 204, 'disable: once more is the same');
  r = await graph('PATCH', `/users/${id}`, { accountEnabled: true, displayName: 'x' });
  ok(
    r.status === 400 && /on-premises mastered/.test(r.json.error.message),
    'disable: with a property of AD, nothing',
  );
  ok(
    (await violations()).length === 1 && (await order('GET', `/users/${id}`)).accountEnabled === false,
    'disable: which is against the description, and did not happen',
  );
  r = await graph('PATCH', `/users/${id}`, { accountEnabled: 'false' });
  ok(r.status === 400 && (await violations()).length === 1, 'disable: not as text');
  await order('PATCH', '/settings', { syncedWritesRefused: true });
  ok(
    /on-premises mastered/.test(
      (await graph('PATCH', `/users/${id}`, { accountEnabled: true })).json.error.message,
    ),
    'disable: a tenant that takes no writes to synchronised users',
  );
  await order('PATCH', '/settings', { syncedWritesRefused: false });

  // revoke
  const before = (await order('GET', `/users/${id}`)).signInSessionsValidFromDateTime;
  r = await graph('POST', `/users/${id}/revokeSignInSessions`);
  const after = (await order('GET', `/users/${id}`)).signInSessionsValidFromDateTime;
  ok(r.status === 200 && r.json.value === true && after > before, 'revoke: the time moves');
  await order('PATCH', '/settings', { revokeAnswer: 204 });
  is((await graph('POST', `/users/${id}/revokeSignInSessions`)).status, 204, 'revoke: 204 by order');
  await order('PATCH', '/settings', { revokeAnswer: 200 });
  const guest = '/users/a_partner.example%23EXT%23@corp.example.com';
  const was = (await order('GET', '/users/a_partner.example%23EXT%23@corp.example.com'))
    .signInSessionsValidFromDateTime;
  r = await graph('POST', `${guest}/revokeSignInSessions`);
  is(
    [
      r.json.value,
      (await order('GET', '/users/a_partner.example%23EXT%23@corp.example.com'))
        .signInSessionsValidFromDateTime,
    ],
    [true, was],
    'revoke: guests are told yes, and nothing happens',
  );
  is(
    (await graph('POST', `/users/${id}/invalidateAllRefreshTokens`, undefined, { version: 'beta' })).status,
    200,
    'revoke: the other way, in beta',
  );
  is(await violations(), [], 'revoke: as described');
  is(
    (await graph('POST', `/users/${id}/invalidateAllRefreshTokens`)).status,
    400,
    'revoke: which v1.0 has not',
  );
  await violations();

  // what it costs
  await order('PATCH', '/app', { roles: ['User.Read.All'] });
  await token({ anew: true });
  r = await graph('PATCH', `/users/${id}`, ENABLED);
  is([r.status, code(r)], [403, 'Authorization_RequestDenied'], 'permission: none to disable');
  is(
    [
      (await graph('POST', `/users/${id}/revokeSignInSessions`)).status,
      (await graph('GET', `/users/${id}`)).status,
    ],
    [403, 200],
    'permission: none to revoke; reading is another',
  );
  is((await graph('GET', '/auditLogs/directoryAudits')).status, 403, 'permission: nor for the audit log');
  await order('PATCH', '/app', {
    roles: [
      'User.Read.All',
      'User.EnableDisableAccount.All',
      'User.RevokeSessions.All',
      'User-PasswordProfile.ReadWrite.All',
      'RoleManagement.Read.Directory',
      'GroupMember.Read.All',
      'AdministrativeUnit.Read.All',
      'RoleEligibilitySchedule.Read.Directory',
    ],
  });
  await token({ anew: true });

  // who is privileged
  const [ga, small, grouped, owner, restricted, au] = await order(
    'POST',
    '/users',
    ['ga', 'small', 'grouped', 'owner', 'restricted', 'auadmin'].map((n) => ({
      userPrincipalName: `${n}@corp.example.com`,
    })),
  );
  const GA = '62e90394-69f5-4237-9190-012177145e10';
  const HELPDESK = '729827e3-9c14-49f7-bb1b-9608f156bbb8';
  const PAA = '7be44c8a-adaf-4e2a-84d6-ab2649e08a13';
  const UA = 'fe930be7-5e62-47db-91af-98c3a49a38b1';
  const [g] = (
    await order('POST', '/groups', {
      displayName: 'Tier0',
      isAssignableToRole: true,
      members: [],
      owners: [owner.id],
    })
  ).slice(-1);
  await order('POST', '/groups', {
    displayName: 'Nested',
    members: [grouped.id],
    id: 'c2b5a4d3-7e6f-4a0b-9c1d-2e3f4a5b6c7d',
  });
  g.members = ['c2b5a4d3-7e6f-4a0b-9c1d-2e3f4a5b6c7d'];
  await order('PUT', '/groups', [...(await order('GET', '/groups')).filter((x) => x.id !== g.id), g]);
  await order('POST', '/roleAssignments', [
    { principalId: ga.id, roleDefinitionId: GA },
    { principalId: small.id, roleDefinitionId: HELPDESK },
    { principalId: g.id, roleDefinitionId: GA },
    { principalId: au.id, roleDefinitionId: UA, directoryScopeId: '/administrativeUnits/x' },
  ]);
  await order('POST', '/administrativeUnits', {
    id: 'aaaaaaaa-0000-4000-8000-000000000001',
    displayName: 'VIP',
    isMemberManagementRestricted: true,
    members: [restricted.id],
  });
  await order('POST', '/roleEligibility', { principalId: id, roleDefinitionId: GA });
  for (const [name, u] of [
    ['a Global Administrator', ga],
    ['a Helpdesk Administrator', small],
    ['a member of a role-assignable group', grouped],
    ['its owner', owner],
  ]) {
    r = await graph('PATCH', `/users/${u.id}`, ENABLED);
    is([r.status, code(r)], [403, 'Authorization_RequestDenied'], `administrators: ${name} is out of reach`);
  }
  is(
    (await graph('POST', `/users/${ga.id}/revokeSignInSessions`)).status,
    403,
    'administrators: revoke, too',
  );
  await order('PATCH', '/app', { wids: [UA] });
  await token({ anew: true });
  is(
    [
      (await graph('PATCH', `/users/${small.id}`, ENABLED)).status,
      (await graph('PATCH', `/users/${ga.id}`, ENABLED)).status,
    ],
    [204, 403],
    'administrators: User Administrator reaches the small ones',
  );
  r = await graph('PATCH', `/users/${id}`, { passwordProfile: { forceChangePasswordNextSignIn: true } });
  ok(r.status === 400 && /on-premises mastered/.test(r.json.error.message), "password: not of AD's users");
  is(
    (
      await graph('PATCH', `/users/${small.id}`, {
        passwordProfile: { forceChangePasswordNextSignIn: true, password: 'Xx1!xxxxxxxxxxx' },
      })
    ).status,
    204,
    "password: of the cloud's own",
  );
  await order('PATCH', '/app', { wids: [] });
  await token({ anew: true });
  const [near] = await order('POST', '/users', [{ userPrincipalName: 'near@corp.example.com' }]);
  const must = { passwordProfile: { forceChangePasswordNextSignIn: true } };
  const before1 = await order('GET', '/roleAssignments');
  await order('POST', '/administrativeUnits', {
    id: 'aaaaaaaa-0000-4000-8000-000000000002',
    displayName: 'Branch',
    members: [near.id],
  });
  await order('POST', '/roleAssignments', {
    principalId: (await order('GET', '/app')).objectId,
    roleDefinitionId: UA,
    directoryScopeId: '/administrativeUnits/aaaaaaaa-0000-4000-8000-000000000002',
  });
  is(
    [
      (await graph('PATCH', `/users/${near.id}`, must)).status,
      (await graph('PATCH', `/users/${owner.id}`, must)).status,
    ],
    [204, 403],
    'password: by a role at a unit, for its members',
  );
  await order('PUT', '/roleAssignments', before1);
  ok(
    !JSON.stringify(await order('GET', '/requests')).includes('Xx1!xxxxxxxxxxx'),
    'password: never on record',
  );
  await order('PATCH', '/app', { wids: [PAA] });
  await token({ anew: true });
  is(
    (await graph('PATCH', `/users/${ga.id}`, ENABLED)).status,
    204,
    'administrators: Privileged Authentication Administrator reaches all',
  );
  r = await graph('PATCH', `/users/${restricted.id}`, ENABLED);
  ok(
    r.status === 403 && /restricted management/.test(r.json.error.message),
    'restricted unit: no role of the tenant helps',
  );
  is(
    (await graph('GET', `/users/${restricted.id}${q({ select: 'isManagementRestricted' })}`)).json
      .isManagementRestricted,
    true,
    'restricted unit: and it shows',
  );
  await order('PATCH', '/app', { scopedUnits: ['aaaaaaaa-0000-4000-8000-000000000001'] });
  is(
    (await graph('PATCH', `/users/${restricted.id}`, ENABLED)).status,
    204,
    'restricted unit: a role at the unit does',
  );

  // finding it out
  const kinds = (x) =>
    x.json.value
      .map((o) => o['@odata.type'].replace('#microsoft.graph.', ''))
      .sort()
      .join();
  is(
    kinds(await graph('GET', `/users/${grouped.id}/transitiveMemberOf`)),
    'directoryRole,group,group',
    'roles: through nested groups',
  );
  r = await graph('GET', `/users/${grouped.id}/transitiveMemberOf/microsoft.graph.directoryRole`);
  is([r.status, code(r)], [400, 'Request_UnsupportedQuery'], 'roles: the cast needs the advanced mode');
  r = await graph(
    'GET',
    `/users/${grouped.id}/transitiveMemberOf/microsoft.graph.directoryRole${q({ count: 'true' })}`,
    undefined,
    EVENTUAL,
  );
  is([r.json.value[0].roleTemplateId, r.json['@odata.count']], [GA, 1], 'roles: by cast');
  r = await graph(
    'GET',
    `/users/${grouped.id}/transitiveMemberOf/microsoft.graph.group${q({ count: 'true', select: 'id,displayName,isAssignableToRole' })}`,
    undefined,
    EVENTUAL,
  );
  ok(
    r.json.value.some((x) => x.isAssignableToRole === true),
    'groups: role-assignable',
  );
  const owned = () =>
    graph(
      'GET',
      `/groups${q({ filter: 'isAssignableToRole eq true', select: 'id,displayName,isAssignableToRole', expand: 'owners($select=id)' })}`,
    );
  r = await owned();
  is(
    r.json.value.map((x) => [x.displayName, x.owners.map((o) => o.id)]),
    [['Tier0', [owner.id]]],
    'owners: of the role-assignable groups, and of no other',
  );
  const crowd = Array.from({ length: 25 }, (_, i) => `bbbbbbbb-0000-4000-8000-0000000000${10 + i}`);
  const others = (await order('GET', '/groups')).filter((x) => x.id !== g.id);
  await order('PUT', '/groups', [...others, { ...g, owners: crowd }]);
  is((await owned()).json.value[0].owners.length, 20, 'owners: an $expand shows twenty');
  is(
    (await graph('GET', `/groups/${g.id}/owners${q({ select: 'id' })}`)).json.value.length,
    25,
    'owners: their own list shows all',
  );
  is(await violations(), [], 'owners: as described');
  r = await graph(
    'GET',
    `/users/${restricted.id}/memberOf/microsoft.graph.administrativeUnit${q({ count: 'true', select: 'id,displayName,isMemberManagementRestricted' })}`,
    undefined,
    EVENTUAL,
  );
  is(r.json.value[0].isMemberManagementRestricted, true, 'units: restricted');
  r = await graph(
    'GET',
    `/roleManagement/directory/roleAssignments${q({ filter: `principalId eq '${ga.id}'`, expand: 'roleDefinition' })}`,
  );
  is(
    r.json.value[0].roleDefinition.displayName,
    'Global Administrator',
    'assignments: direct ones, with the definition',
  );
  is(
    [
      kinds(await graph('GET', `/users/${au.id}/transitiveMemberOf`)),
      (
        await graph(
          'GET',
          `/roleManagement/directory/roleAssignments${q({ filter: `principalId eq '${au.id}'` })}`,
        )
      ).json.value.length,
    ],
    ['', 1],
    "assignments: one of a unit is no member of the directory's role",
  );
  r = await graph(
    'GET',
    `/roleManagement/directory/transitiveRoleAssignments${q({ count: 'true', filter: `principalId eq '${grouped.id}'` })}`,
    undefined,
    { ...EVENTUAL, version: 'beta' },
  );
  is(r.json.value.length, 1, 'assignments: transitive ones in beta');
  is(
    (
      await graph(
        'GET',
        `/roleManagement/directory/roleEligibilityScheduleInstances${q({ filter: `principalId eq '${id}'` })}`,
      )
    ).json.value.length,
    1,
    'assignments: eligible ones',
  );
  r = await graph(
    'GET',
    `/roleManagement/directory/roleDefinitions${q({ filter: 'isPrivileged eq true' })}`,
    undefined,
    { version: 'beta' },
  );
  ok(
    r.json.value.length > 3 &&
      (
        await graph(
          'GET',
          `/roleManagement/directory/roleDefinitions${q({ filter: 'isPrivileged eq true' })}`,
        )
      ).status === 400,
    'definitions: isPrivileged is in beta only',
  );
  is(await violations(), [], 'roles: as described');
  is(
    (await graph('GET', '/roleManagement/directory/roleAssignments')).status,
    400,
    'assignments: the filter is mandatory',
  );
  await violations();
  await order('PATCH', '/app', { roles: ['User.Read.All'] });
  await token({ anew: true });
  ok(
    (await graph('GET', `/users/${grouped.id}/transitiveMemberOf`)).json.value.every(
      (o) => o.displayName === null && o.id,
    ),
    'roles: without more permissions only ids',
  );
  is(
    (await graph('GET', `/users/${id}/onPremisesSyncBehavior`)).status,
    403,
    'source of authority: a permission of its own',
  );
  await order('PATCH', '/app', {
    wids: [],
    scopedUnits: [],
    roles: ['User-OnPremisesSyncBehavior.ReadWrite.All', 'User.Read.All'],
  });
  await token({ anew: true });
  const moved = await order('POST', '/users', { kind: 'moved', userPrincipalName: 'moved@corp.example.com' });
  is(
    [
      (await graph('GET', `/users/${moved.id}/onPremisesSyncBehavior`)).json.isCloudManaged,
      moved.onPremisesSyncEnabled,
      Boolean(moved.onPremisesSecurityIdentifier),
    ],
    [true, null, true],
    'source of authority: moved to the cloud',
  );
};
