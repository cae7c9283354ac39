'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { env, dir, ok, is, call, order, fault, violations, okta, jwt, form } = require('./harness');

const enc = encodeURIComponent;
const now = () => Math.floor(Date.now() / 1000);
const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });

module.exports = async () => {
  await order('POST', '/reset');
  const [a, dead, ad, locked] = await order('POST', '/okta/users', [
    { login: 'anna@example.com', profile: { employeeNumber: '1234' } },
    { login: 'anna@example.com.old', email: 'anna@example.com', status: 'DEPROVISIONED' },
    { login: 'ad@example.com', provider: 'AD' },
    { login: 'locked@example.com', status: 'LOCKED_OUT' },
  ]);
  const st = async (u) => (await okta('GET', `/api/v1/users/${u.id}`)).json.status;
  const does = (u, verb, query = '') => okta('POST', `/api/v1/users/${u.id}/lifecycle/${verb}${query}`);

  let r = await okta('GET', `/api/v1/users/${enc('anna@example.com')}`);
  is(
    [r.json.id, r.json.status, r.json.credentials.provider.type],
    [a.id, 'ACTIVE', 'OKTA'],
    'Okta: by login',
  );
  ok(r.headers['x-rate-limit-reset'] && r.headers['x-okta-request-id'], 'Okta: limits and a request id');
  is(
    [(await okta('GET', '/api/v1/users/locked')).json.id, (await okta('GET', '/api/v1/users/anna')).status],
    [locked.id, 404],
    'Okta: by the short login, where there is one only',
  );
  r = await okta('GET', '/api/v1/users/nobody');
  is([r.status, r.json.errorCode], [404, 'E0000007'], 'Okta: nobody');
  is(
    (await okta('GET', `/api/v1/users?filter=${enc('profile.email eq "anna@example.com"')}`)).json.length,
    2,
    'Okta: a filter shows the deprovisioned, too',
  );
  is((await okta('GET', '/api/v1/users')).json.length, 3, 'Okta: the list does not');
  is(
    (await okta('GET', `/api/v1/users?filter=${enc('profile.login eq "ANNA@example.com"')}`)).json.length,
    0,
    'Okta: filters mind the case',
  );
  is(
    (await okta('GET', `/api/v1/users?search=${enc('profile.employeeNumber eq "1234"')}`)).json.length,
    1,
    'Okta: search by any attribute',
  );
  r = await okta('GET', '/api/v1/users?limit=2');
  const link = r.headers.link.match(/<([^>]+)>; rel="next"/);
  ok(link && (await okta('GET', link[1].replace(env.OKTA, ''))).json.length === 1, 'Okta: pages by Link');
  r = await okta('GET', '/api/v1/users/x', undefined, { auth: 'SSWS wrong' });
  is([r.status, r.json.errorCode], [401, 'E0000011'], 'Okta: another token');

  is([(await does(a, 'suspend')).status, await st(a)], [200, 'SUSPENDED'], 'suspend');
  r = await does(a, 'suspend');
  is([r.status, r.json.errorCode], [400, 'E0000001'], 'suspend: only what is active');
  is((await does(locked, 'suspend')).status, 400, 'suspend: not what is locked');
  is([(await does(locked, 'unlock')).status, await st(locked)], [200, 'ACTIVE'], 'unlock');
  is([(await does(a, 'unsuspend')).status, await st(a)], [200, 'ACTIVE'], 'unsuspend');
  is((await does(a, 'unsuspend')).status, 400, 'unsuspend: only what is suspended');
  is(
    [(await does(ad, 'deactivate', '?sendEmail=false')).status, await st(ad)],
    [200, 'DEPROVISIONED'],
    'deactivate',
  );
  is((await does(ad, 'suspend')).status, 400, 'deactivated: nothing to suspend');
  is(
    (await does(a, 'reactivate', '?sendEmail=false')).json.errorCode,
    'E0000038',
    'reactivate: not from here',
  );
  is([(await does(ad, 'activate', '?sendEmail=false')).status, await st(ad)], [200, 'ACTIVE'], 'activate');
  await order('PATCH', '/okta/settings', { asyncDelay: 300 });
  await okta('POST', `/api/v1/users/${ad.id}/lifecycle/deactivate?sendEmail=false`, undefined, {
    headers: { Prefer: 'respond-async' },
  });
  r = (await okta('GET', `/api/v1/users/${ad.id}`)).json;
  is([r.status, r.transitioningToStatus], ['ACTIVE', 'DEPROVISIONED'], 'respond-async: on its way');
  await sleep(400);
  is(await st(ad), 'DEPROVISIONED', 'respond-async: there');

  r = await okta('DELETE', `/api/v1/users/${a.id}/sessions?oauthTokens=true&forgetDevices=true`);
  const seen = await order('GET', `/okta/users/${a.id}`);
  is([r.status, seen.sessions, seen.oauthTokens], [204, 0, 0], 'sessions: ended, tokens too');
  is(
    (await okta('POST', '/oauth2/v1/global-token-revocation', { sub_id: { format: 'opaque', id: a.id } }))
      .status,
    403,
    'universal logout: without the licence',
  );
  await order('PATCH', '/okta/settings', { universalLogout: true });
  is(
    (await okta('POST', '/oauth2/v1/global-token-revocation', { sub_id: { format: 'opaque', id: a.id } }))
      .status,
    204,
    'universal logout: with it',
  );

  const logs = (type) =>
    okta(
      'GET',
      `/api/v1/logs?since=${enc(new Date(Date.now() - 60000).toISOString())}&filter=${enc(`eventType eq "${type}" and target.id eq "${a.id}"`)}&limit=10`,
    );
  r = await logs('user.lifecycle.suspend');
  is(
    [r.json.length, r.json[0].outcome.result, r.json[0].target.some((t) => t.id === a.id)],
    [1, 'SUCCESS', true],
    'log: the suspension',
  );
  is((await logs('user.session.clear')).json.length, 1, 'log: the sessions');
  await order('PATCH', '/okta/settings', { logDelay: 400 });
  await does(a, 'suspend');
  is((await logs('user.lifecycle.suspend')).json.length, 1, 'log: not at once');
  await sleep(500);
  is((await logs('user.lifecycle.suspend')).json.length, 2, 'log: but then');
  is(await violations(), [], 'Okta: as described');
  await okta('POST', `/api/v1/users/${a.id}/lifecycle/reset_password`);
  await okta('GET', '/api/v1/users?frob=1');
  await okta('GET', '/api/v1/groups');
  await okta('GET', `/api/v1/users/${a.id}`, undefined, { headers: { Accept: 'text/html' } });
  is((await violations()).length, 4, 'Okta: what is not described is noted');

  // service app
  const tokenUrl = `${env.OKTA}/oauth2/v1/token`;
  const claims = (o) => ({
    iss: env.OKTA_CLIENT_ID,
    sub: env.OKTA_CLIENT_ID,
    aud: tokenUrl,
    exp: now() + 300,
    iat: now(),
    jti: crypto.randomUUID(),
    ...o,
  });
  const get = (assertion, scope = 'okta.users.manage okta.users.read okta.logs.read') =>
    call(tokenUrl, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-www-form-urlencoded',
        Accept: 'application/json',
        'User-Agent': 'selftest',
      },
      body: form({
        grant_type: 'client_credentials',
        scope,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: assertion,
      }),
    });
  const rsa = fs.readFileSync(path.join(dir, 'okta.key'), 'utf8');
  const ec = fs.readFileSync(path.join(dir, 'okta-ec.key'), 'utf8');
  const RS = { alg: 'RS256', kid: 'standin-rsa' };
  r = await get(jwt(rsa, RS, claims()));
  is([r.status, r.json.token_type], [200, 'Bearer'], 'service app: RS256');
  const bearer = `Bearer ${r.json.access_token}`;
  is(
    (await get(jwt(ec, { alg: 'ES256', kid: 'standin-ec' }, claims()))).status,
    200,
    'service app: ES256, raw r and s',
  );
  is(
    (await okta('GET', `/api/v1/users/${a.id}`, undefined, { auth: bearer })).status,
    200,
    'service app: its token works',
  );
  is(await violations(), [], 'service app: as described');
  is(
    [
      (await get(jwt(rsa, { ...RS, kid: 'x' }, claims()))).json.error,
      (await get(jwt(rsa, RS, claims({ aud: 'x' })))).json.error,
      (await get(jwt(rsa, RS, claims({ exp: now() - 1 })))).json.error,
    ],
    ['invalid_client', 'invalid_client', 'invalid_client'],
    'service app: kid, aud, exp',
  );
  is(
    (await get(jwt(rsa, RS, claims()), 'okta.apps.manage')).json.error,
    'invalid_scope',
    'service app: a scope that it was not given',
  );
  const reader = (await get(jwt(rsa, RS, claims()), 'okta.users.read')).json.access_token;
  r = await okta('POST', `/api/v1/users/${a.id}/lifecycle/unsuspend`, undefined, {
    auth: `Bearer ${reader}`,
  });
  ok(
    r.status === 403 && /insufficient_scope/.test(r.headers['www-authenticate']),
    'service app: a scope too few',
  );
  await order('PATCH', '/okta/settings', { dpop: true });
  is((await get(jwt(rsa, RS, claims()))).json.error, 'invalid_dpop_proof', 'service app: DPoP demanded');
  await order('PATCH', '/okta/settings', { dpop: false, adminRole: false });
  is(
    (await okta('GET', `/api/v1/users/${a.id}`, undefined, { auth: bearer })).json.errorCode,
    'E0000006',
    'service app: without an admin role',
  );
  await order('PATCH', '/okta/settings', { adminRole: true });

  // faults
  await fault({ service: 'okta' }, { status: 429, resetIn: 2 });
  r = await okta('GET', `/api/v1/users/${a.id}`);
  is(
    [r.status, r.json.errorCode, Math.abs(Number(r.headers['x-rate-limit-reset']) - now() - 2) <= 1],
    [429, 'E0000047', true],
    'Okta: 429 with its own header',
  );
  await does(a, 'unsuspend');
  await fault({ service: 'okta', method: 'POST' }, { status: 500, after: true });
  is([(await does(a, 'suspend')).status, await st(a)], [500, 'SUSPENDED'], 'Okta: 500, but it was done');
  await does(a, 'unsuspend');
  await fault({ service: 'okta', method: 'POST' }, { stick: false });
  is(
    [(await does(a, 'suspend')).status, await st(a)],
    [200, 'ACTIVE'],
    'Okta: a suspension that does not stick',
  );
  await order('POST', '/okta/import', { rule: 'deactivate', users: [a.id] });
  is(await st(a), 'DEPROVISIONED', "Okta: AD's import deactivates");
  void dead;
};
