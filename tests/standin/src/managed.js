// managed.js -- managed identity: IMDS of an Azure VM, and Azure Arc with its key file.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');
const { issue } = require('./tokens');

const error = (status, code, words, headers = {}) => ({
  status,
  headers,
  body: { error: code, error_description: words },
});

function answer(ctx, echo) {
  const { tenant } = ctx;
  const one = (n) => (ctx.query.get(n) || [])[0];
  const selectors = ['client_id', 'object_id', 'msi_res_id'].filter((n) => ctx.query.has(n));
  if (selectors.length > 1) {
    ctx.violate(['more than one identity selected']);
    return error(400, 'invalid_request', 'Multiple identity selectors');
  }
  const aud = ctx.service.resource(one('resource'));
  if (!aud)
    return error(
      400,
      'invalid_resource',
      `AADSTS500011: The resource principal named ${one('resource')} was not found`,
    );
  const id = one('client_id');
  if (id !== undefined && !tenant.app.managedIds.includes(id) && ctx.service.name === 'imds') {
    return error(400, 'invalid_request', 'Identity not found');
  }
  const { token, claims } = issue(tenant, aud, {
    life: tenant.settings.managedLife || tenant.settings.tokenLife,
    subject: id,
  });
  const body = {
    access_token: token,
    refresh_token: '',
    expires_in: String(claims.exp - claims.iat),
    expires_on: String(claims.exp),
    not_before: String(claims.nbf),
    resource: one('resource'),
    token_type: 'Bearer',
  };
  if (echo && selectors.length) body[selectors[0]] = one(selectors[0]);
  return { status: 200, headers: {}, body };
}

function imds(ctx) {
  return answer(ctx, true);
}

// 401 names a file that only root and a group may read; its content opens the second request.
function arc(ctx) {
  const { tenant } = ctx;
  const given = /^Basic (.*)$/.exec(ctx.headers.authorization || '');
  if (given) {
    const until = tenant.arcKeys.get(given[1]);
    if (until === undefined || until < Date.now()) return error(401, 'unauthorized', 'key unknown or old');
    tenant.arcKeys.delete(given[1]);
    return answer(ctx, tenant.settings.arcEcho);
  }
  const dir = path.join(tenant.dir, 'tokens');
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = path.join(dir, `${crypto.randomUUID()}.key`);
  const key = crypto.randomBytes(32).toString('hex');
  fs.writeFileSync(file, key, { mode: 0o600 });
  tenant.arcKeys.set(key, Date.now() + 60000);
  const realm = (tenant.settings.arcRealm || '%s').replace('%s', file).replace('%f', path.basename(file));
  return error(401, 'unauthorized', 'challenge', {
    'WWW-Authenticate': `${tenant.settings.arcScheme} realm=${realm}`,
  });
}

module.exports = { imds, arc };
