'use strict';
const { ok, is, order, fault, violations, token, graph } = require('./harness');

const JSON_TYPE = { 'Content-Type': 'application/json' };
const send = (requests) => graph('POST', '/$batch', { requests });
const part = (r, id) => r.json.responses.find((x) => x.id === id);

module.exports = async () => {
  await order('POST', '/reset');
  await token({ anew: true });
  const users = await order(
    'POST',
    '/users',
    Array.from({ length: 25 }, (_, i) => ({ userPrincipalName: `b${i}@corp.example.com` })),
  );
  const patch = (n) => ({
    id: String(n),
    method: 'PATCH',
    url: `/users/${users[n].id}`,
    headers: JSON_TYPE,
    body: { accountEnabled: false },
  });
  let r = await send([
    patch(0),
    {
      id: 'x',
      method: 'POST',
      url: `/users/${users[0].id}/revokeSignInSessions`,
      headers: JSON_TYPE,
      body: {},
    },
    { id: 'y', method: 'GET', url: '/users/00000000-0000-4000-8000-000000000000' },
  ]);
  is(
    [r.status, part(r, '0').status, part(r, 'x').body.value, part(r, 'y').status],
    [200, 204, true, 404],
    '$batch: each part by itself',
  );
  ok(r.json.responses[0].id === 'y', '$batch: in another order');
  r = await send(Array.from({ length: 20 }, (_, i) => patch(i)));
  is(r.json.responses.filter((x) => x.status === 204).length, 20, '$batch: twenty');
  is(await violations(), [], '$batch: as described');
  ok(
    (await send(Array.from({ length: 21 }, (_, i) => patch(i)))).status === 400 &&
      (await violations()).length === 1,
    '$batch: not twenty-one',
  );
  ok(
    (await send([patch(1), patch(1)])).status === 400 && (await violations()).length === 1,
    '$batch: no id twice',
  );
  ok(
    (await send([{ ...patch(1), headers: undefined }])).status === 400 && (await violations()).length === 1,
    '$batch: a body needs headers',
  );
  r = await send([{ ...patch(1), headers: { Accept: 'x' } }]);
  ok(part(r, '1').status === 400 && (await violations()).length >= 1, '$batch: and Content-Type among them');
  ok(
    (await send([{ id: '1', method: 'GET', url: 'https://graph.example/v1.0/users' }])).status === 400 &&
      (await violations()).length === 1,
    '$batch: relative urls',
  );
  r = await send([{ ...patch(1), body: { accountEnabled: false, jobTitle: 'x' } }, patch(2)]);
  ok(
    part(r, '1').status === 400 && part(r, '2').status === 204 && (await violations()).length === 1,
    '$batch: parts are checked, too',
  );
  r = await send([
    { id: '1', method: 'GET', url: '/users/00000000-0000-4000-8000-000000000000' },
    { ...patch(3), dependsOn: ['1'] },
  ]);
  is(part(r, '3').status, 424, '$batch: what depends on a failure');
  await fault({ path: '\\$batch' }, { throttleParts: 2, partRetryAfter: '0.3' });
  r = await send([patch(4), patch(5), patch(6)]);
  is(
    [
      r.json.responses.filter((x) => x.status === 429).length,
      r.json.responses.find((x) => x.status === 429).headers['Retry-After'],
    ],
    [2, '0.3'],
    '$batch: some parts throttled',
  );
  await fault({ path: '\\$batch' }, { dropParts: 1 });
  is((await send([patch(7), patch(8)])).json.responses.length, 1, '$batch: a part missing in the answer');
  const ten = Array.from({ length: 10 }, (_, i) => patch(i));
  await fault({ path: '\\$batch' }, { dropParts: 0.25 });
  is((await send(ten)).json.responses.length, 7, '$batch: a share of the parts missing');
  await fault({ path: '\\$batch' }, { throttleParts: 0.01 });
  is(
    (await send(ten)).json.responses.filter((x) => x.status === 429).length,
    1,
    '$batch: a share throttled, one part at least',
  );
  await fault({ path: users[9].id, inBatch: true }, { status: 429 });
  r = await send([patch(9), patch(10)]);
  is([part(r, '9').status, part(r, '10').status], [429, 204], '$batch: a fault of one part');
  await fault({ path: users[9].id, inBatch: true }, { cut: 'headers', after: true });
  r = await send([patch(9), patch(10)]);
  is(
    [r.json.responses.length, (await order('GET', `/users/${users[9].id}`)).accountEnabled],
    [1, false],
    '$batch: it was done, but is not in the answer',
  );
  await fault({ path: '\\$batch' }, { status: 503 });
  is((await send([patch(1)])).status, 503, '$batch: nothing at all');
  const l = await order('GET', '/requests');
  ok(
    l.some((x) => x.batch && x.method === 'PATCH' && x.status === 204),
    '$batch: parts are on record',
  );
};
