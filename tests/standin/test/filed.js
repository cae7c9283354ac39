// filed.js DIR -- what a stand-in from a file knows, and how long it takes.
'use strict';
const { env, call, order } = require('./harness');

(async () => {
  const users = await order('GET', '/users');
  const start = Date.now();
  await call(`${env.IMDS}/`);
  const slow = Date.now() - start >= 190;
  const known =
    env.TENANT.startsWith('3333') &&
    users[0].userPrincipalName === 'filed@corp.example.com' &&
    (await order('GET', '/okta/users')).length === 1;
  process.exit(slow && known ? 0 : 1);
})();
