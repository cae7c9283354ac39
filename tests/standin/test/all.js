// all.js DIR MAP COUNT -- all behaviours, one after the other.
'use strict';
const { counted, order } = require('./harness');

(async () => {
  for (const part of ['login', 'users', 'graph', 'batch', 'faults', 'okta', 'defender']) {
    process.stdout.write(`# ${part}\n`);
    await require(`./${part}`)();
    await order('DELETE', '/faults');
  }
  process.exit(counted().bad ? 1 : 0);
})().catch((e) => {
  process.stderr.write(`${e.stack}\n`);
  process.exit(2);
});
