'use strict';
const {
  env,
  ok,
  is,
  call,
  call2,
  failed,
  order,
  fault,
  violations,
  token,
  graph,
  q,
  code,
} = require('./harness');

module.exports = async () => {
  await order('POST', '/reset');
  await token({ anew: true });
  const u = await order('POST', '/users', { userPrincipalName: 'f@corp.example.com' });
  const GET = { service: 'graph', method: 'GET' };
  const PATCH = { method: 'PATCH', path: '^/v1.0/users/' };
  const read = (o) => graph('GET', `/users/${u.id}${q({ select: 'id,accountEnabled' })}`, undefined, o);
  const patch = (accountEnabled, o) => graph('PATCH', `/users/${u.id}`, { accountEnabled }, o);
  const now = async () => (await order('GET', `/users/${u.id}`)).accountEnabled;

  for (const [retryAfter, re] of [
    ['1', /^1$/],
    ['0.3', /^0\.3$/],
    ['date:2', /GMT$/],
  ]) {
    await fault(GET, { status: 429, retryAfter });
    const r = await read();
    ok(
      r.status === 429 && re.test(r.headers['retry-after']) && code(r) === 'TooManyRequests',
      `429 with Retry-After ${retryAfter}`,
    );
  }
  await fault(GET, { status: 429 });
  ok(!('retry-after' in (await read()).headers), '429 without one');
  is((await read()).status, 200, 'a fault is used once, if nothing else is said');
  await fault({ ...GET, nth: 2, times: 2 }, { status: 500 });
  is(
    [(await read()).status, (await read()).status, (await read()).status, (await read()).status],
    [200, 500, 500, 200],
    'the second one, twice',
  );
  await fault(GET, { status: 401 });
  is(
    [(await read()).status, (await read()).status, (await token({ anew: true }), (await read()).status)],
    [401, 401, 200],
    '401: that token is over',
  );
  await fault(GET, { status: 401, kill: false });
  is([(await read()).status, (await read()).status], [401, 200], '401: or only that request');
  for (const [kind, re] of [
    ['permission', /^Insufficient/],
    ['privileged', /^Insufficient/],
    ['restricted', /restricted management/],
    ['licence', /premium/],
  ]) {
    await fault(PATCH, { kind });
    const r = await patch(false);
    ok(r.status === 403 && re.test(r.json.error.message), `403: ${kind}`);
  }
  for (const status of [500, 502, 503, 504]) {
    await fault(PATCH, { status });
    is([(await patch(false)).status, await now()], [status, true], `${status}: and nothing was done`);
  }
  await fault(PATCH, { status: 504, after: true });
  is([(await patch(false)).status, await now()], [504, false], '504: but it was done');
  await fault(PATCH, { delay: 300 });
  const start = Date.now();
  await patch(true);
  ok(Date.now() - start >= 290, 'delay');
  for (const [name, by] of [
    ['HTTP/1.1', call],
    ['HTTP/2', call2],
  ]) {
    await fault(PATCH, { cut: 'headers' });
    ok(
      (await failed(patch(false, { by }))) && (await now()) === true,
      `${name}: cut before the headers, nothing done`,
    );
    await fault(PATCH, { cut: 'headers', after: true });
    ok(
      (await failed(patch(false, { by }))) && (await now()) === false,
      `${name}: cut before the headers, but done`,
    );
    await fault(GET, { cut: 'body' });
    ok(await failed(read({ by })), `${name}: cut in the middle of the body`);
    await patch(true);
  }
  await fault(GET, { cut: 'stream' });
  ok(await failed(read({ by: call2 })), 'HTTP/2: one stream reset');
  for (const status of [200, 502]) {
    await fault(GET, { html: true, status });
    const r = await read();
    ok(
      r.status === status && /text\/html/.test(r.headers['content-type']) && r.json === undefined,
      `HTML with ${status}`,
    );
  }
  await fault(GET, { huge: 3000000 });
  ok((await read()).text.length > 3000000, 'a huge answer');
  await fault(GET, { deep: 2000 });
  ok((await read()).text.startsWith('{"a":{"a":{"a":'), 'a deep answer');
  await fault(GET, { set: { accountEnabled: 'false' } });
  is((await read()).json.accountEnabled, 'false', 'a wrong type');
  await fault(GET, { remove: ['accountEnabled'] });
  ok(!('accountEnabled' in (await read()).json), 'a member missing');
  await fault(GET, { duplicate: { accountEnabled: false } });
  is((await read()).text.match(/accountEnabled":/g).length, 2, 'a member twice');
  await fault(GET, { set: { id: '00000000-0000-4000-8000-000000000000' } });
  ok((await read()).json.id !== u.id, 'somebody else');
  await fault(GET, { raw: '{"id":', contentType: 'application/json' });
  ok((await read()).json === undefined, 'half an answer');
  await fault(GET, { body: [1, 2] });
  is((await read()).json, [1, 2], 'anything');
  await fault(PATCH, { stick: false });
  is([(await patch(false)).status, await now()], [204, true], 'an accepted change that does not stick');
  await fault(PATCH, { stick: false, audit: true });
  await patch(false);
  is(
    [await now(), (await order('GET', '/audits')).slice(-1)[0].activityDisplayName],
    [true, 'Disable account'],
    'and one that the audit log tells of all the same',
  );
  await fault(PATCH, { staleReads: 2 });
  await patch(false);
  is(
    [
      (await read()).json.accountEnabled,
      (await read()).json.accountEnabled,
      (await read()).json.accountEnabled,
    ],
    [true, true, false],
    'eventual consistency: twice what was',
  );
  await fault({ path: '/users\\?' }, { nextLink: 'https://evil.example/v1.0/users?$skiptoken=x' });
  is(
    (await graph('GET', `/users${q({ select: 'id' })}`)).json['@odata.nextLink'],
    'https://evil.example/v1.0/users?$skiptoken=x',
    'a link to another host',
  );
  const before = (await order('GET', `/users/${u.id}`)).signInSessionsValidFromDateTime;
  await fault({ path: 'revoke' }, { value: false });
  is(
    [
      (await graph('POST', `/users/${u.id}/revokeSignInSessions`)).json.value,
      (await order('GET', `/users/${u.id}`)).signInSessionsValidFromDateTime,
    ],
    [false, before],
    'revoke: value false, and nothing done',
  );
  ok(
    (await failed(order('POST', '/faults', { match: { verb: 'GET' }, do: { status: 500 } }))) &&
      (await failed(order('POST', '/faults', { match: {}, do: { state: 500 } }))),
    'a misspelt fault is no fault',
  );
  ok(await failed(order('PATCH', '/settings', { nope: 1 })), 'a misspelt setting is none');
  await order('PATCH', `/users/${u.id}`, { accountEnabled: true, by: 'mallory' });
  is(
    [await now(), (await order('GET', '/audits')).slice(-1)[0].activityDisplayName],
    [true, 'Enable account'],
    'somebody else enables it again',
  );
  is(await violations(), [], 'faults: none of this is held against the client');
  const l = await order('GET', '/requests');
  ok(
    l.length > 20 && l.every((x) => !/Bearer [^*]/.test(JSON.stringify(x.headers))) && l.some((x) => x.fault),
    'requests are on record, tokens are not',
  );
  await order('DELETE', '/requests');
  is(await order('GET', '/requests'), [], 'and forgotten by order');
  is(
    (await call(`${env.GRAPH}/v1.0/me`, { headers: { Authorization: `Bearer ${await token()}` } })).status,
    400,
    'a path that is not described',
  );
  ok((await violations()).length === 1, 'is a violation');
};
