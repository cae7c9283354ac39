// certs.js -- a throw-away authority, the servers' certificate, our application's certificate and
// keys, by openssl(1), in a directory of the test's own.
'use strict';
const { execFileSync } = require('child_process');
const crypto = require('crypto');
const fs = require('fs');
const net = require('net');
const path = require('path');

const NAMES = [
  'localhost',
  'login.standin.test',
  'graph.standin.test',
  'okta.standin.test',
  'loganalytics.standin.test',
  'defender.standin.test',
  'store.standin.test',
];

function openssl(dir, ...args) {
  execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'] });
}

function make(dir, host) {
  const names = [...NAMES.map((n) => `DNS:${n}`), 'IP:127.0.0.1', 'IP:::1'];
  if (host && !['127.0.0.1', '::1', '0.0.0.0', '::', 'localhost'].includes(host))
    names.push(net.isIP(host) ? `IP:${host}` : `DNS:${host}`);
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-sha256'];
  openssl(
    dir,
    'req',
    '-x509',
    ...ec,
    '-days',
    '2',
    '-subj',
    '/CN=stand-in authority',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
    '-addext',
    'basicConstraints=critical,CA:TRUE',
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
  );
  openssl(dir, 'req', '-new', ...ec, '-subj', '/CN=stand-in', '-keyout', 'server.key', '-out', 'server.csr');
  fs.writeFileSync(
    path.join(dir, 'server.ext'),
    `subjectAltName=${names.join(',')}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n`,
  );
  openssl(
    dir,
    'x509',
    '-req',
    '-in',
    'server.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-sha256',
    '-extfile',
    'server.ext',
    '-out',
    'server.pem',
  );
  // The application's certificate (private_key_jwt).
  openssl(
    dir,
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-sha256',
    '-days',
    '2',
    '-subj',
    '/CN=cordon',
    '-keyout',
    'client.key',
    '-out',
    'client.crt',
  );
  const read = (f) => fs.readFileSync(path.join(dir, f), 'utf8');
  const secret = (f, text) => fs.writeFileSync(path.join(dir, f), text, { mode: 0o600 });
  secret('client.pem', read('client.crt') + read('client.key'));
  for (const f of ['ca.key', 'server.key', 'client.key']) fs.chmodSync(path.join(dir, f), 0o600);
  const pair = (type, options) =>
    crypto.generateKeyPairSync(type, {
      ...options,
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
  const okta = pair('rsa', { modulusLength: 2048 });
  const oktaEc = pair('ec', { namedCurve: 'P-256' });
  const federated = pair('rsa', { modulusLength: 2048 });
  secret('okta.key', okta.privateKey);
  secret('okta-ec.key', oktaEc.privateKey);
  return {
    ca: read('ca.pem'),
    key: read('server.key'),
    cert: read('server.pem'),
    client: read('client.crt'),
    oktaKeys: { 'standin-rsa': okta.publicKey, 'standin-ec': oktaEc.publicKey },
    federated,
  };
}

module.exports = { make, NAMES };
