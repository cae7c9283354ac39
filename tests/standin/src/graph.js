// graph.js -- Microsoft Graph, v1.0 and beta: token, permission, then the handler of the call.
'use strict';
const { Refusal } = require('./odata');
const { bearer } = require('./tokens');
const { NEEDS, allowed } = require('./permissions');
const users = require('./users');
const { batch } = require('./batch');

const HANDLERS = {
  ...users.handlers,
  ...require('./security').handlers,
  ...require('./sync').handlers,
  batch,
};

function error(ctx, status, code, message, headers = {}) {
  return {
    status,
    headers,
    body: {
      error: {
        code,
        message,
        innerError: {
          date: new Date().toISOString().slice(0, 19),
          'request-id': ctx.requestId,
          ...(ctx.headers['client-request-id']
            ? { 'client-request-id': ctx.headers['client-request-id'] }
            : {}),
        },
      },
    },
  };
}

function authorize(ctx) {
  if (ctx.batch) Object.assign(ctx, { token: ctx.batch.token, claims: ctx.batch.claims, by: ctx.batch.by });
  else bearer(ctx, ctx.service.audience);
}

function handle(ctx) {
  const needs = NEEDS[ctx.op];
  if (!needs) throw new Error(`permissions.js does not know ${ctx.op}`);
  if (!allowed(ctx.claims.roles, needs))
    throw new Refusal(
      403,
      'Authorization_RequestDenied',
      'Insufficient privileges to complete the operation.',
    );
  if (!HANDLERS[ctx.op]) throw new Refusal(501, 'NotImplemented', `the stand-in does not play ${ctx.op}`);
  return HANDLERS[ctx.op](ctx);
}

const explain = (ctx) => (/^updateUser/.test(ctx.op || '') ? users.explainUpdate(ctx) : null);

module.exports = { error, authorize, handle, explain, HANDLERS };
