// odata.js -- $filter, $select, $orderby, paging of a collection, as Graph does them.
'use strict';
const { parse, holds, uses, FilterError } = require('./filter');

class Refusal extends Error {
  // a handler's way out: an error answer
  constructor(status, code, message, headers = {}) {
    super(message);
    Object.assign(this, { status, code, headers });
  }
}
const one = (ctx, name) => (ctx.query.get(name) || [])[0];
const advanced = (ctx) =>
  one(ctx, '$count') === 'true' && (ctx.headers.consistencylevel || '').toLowerCase() === 'eventual';
const needAdvanced = (ctx) => {
  if (!advanced(ctx)) {
    throw new Refusal(
      400,
      'Request_UnsupportedQuery',
      'Request with $filter, $count or a cast like this needs the header ConsistencyLevel: eventual and $count=true.',
    );
  }
};

// may: path -> list of operators; an operator with a trailing '+' needs the advanced mode.
function filtered(ctx, items, may, { mandatory } = {}) {
  const text = one(ctx, '$filter');
  if (text === undefined) {
    if (mandatory) throw new Refusal(400, 'Request_UnsupportedQuery', mandatory);
    return items;
  }
  let tree;
  try {
    tree = parse(text);
  } catch (e) {
    if (!(e instanceof FilterError)) throw e;
    throw new Refusal(400, 'Request_BadRequest', `Invalid filter clause: ${e.message}`);
  }
  for (const u of uses(tree)) {
    const ops = may[u.path];
    if (!ops)
      throw new Refusal(
        400,
        'Request_UnsupportedQuery',
        `Unsupported or invalid query filter clause specified for property '${u.path}'.`,
      );
    const nul = u.value === null ? 'null' : u.op;
    if (ops.includes(u.op) && (u.value !== null || ops.includes('null'))) continue;
    if (ops.includes(`${nul}+`) || ops.includes(`${u.op}+`)) {
      needAdvanced(ctx);
      continue;
    }
    throw new Refusal(
      400,
      'Request_UnsupportedQuery',
      `Unsupported operator ${u.op} for property '${u.path}'.`,
    );
  }
  return items.filter((x) => holds(tree, x));
}

function selected(ctx, o, { known, byDefault }) {
  const text = one(ctx, '$select');
  if (text === undefined)
    return byDefault
      ? Object.fromEntries(byDefault.map((k) => [k, o[k] === undefined ? null : o[k]]))
      : { ...o };
  const out = {};
  if (o['@odata.type'] !== undefined) out['@odata.type'] = o['@odata.type'];
  for (const k of text.split(',')) {
    const name = k.trim();
    const real = (known || Object.keys(o)).find((x) => x.toLowerCase() === name.toLowerCase());
    if (known && !real)
      throw new Refusal(400, 'Request_BadRequest', `Could not find a property named '${name}' on type.`);
    if (real) out[real] = o[real] === undefined ? null : o[real];
  }
  return out;
}

function ordered(ctx, items, may) {
  const text = one(ctx, '$orderby');
  if (text === undefined) return items;
  const m = /^([A-Za-z]+)(\s+(asc|desc))?$/.exec(text.trim());
  if (!m || !may.includes(m[1]))
    throw new Refusal(400, 'Request_UnsupportedQuery', `Unsupported $orderby: ${text}`);
  const sign = m[3] === 'desc' ? -1 : 1;
  return [...items].sort((a, b) => sign * String(a[m[1]]).localeCompare(String(b[m[1]])));
}

// One page, with its nextLink on the host that was asked.
function page(ctx, items, type, { max = 999, size = 100 } = {}) {
  const top = Math.min(Number(one(ctx, '$top') || ctx.tenant.settings.pageSize || size), max);
  const token = one(ctx, '$skiptoken');
  let from = 0;
  if (token !== undefined) {
    from = Number(Buffer.from(token, 'base64url').toString().replace('from:', ''));
    if (!Number.isInteger(from)) throw new Refusal(400, 'Request_BadRequest', 'Invalid $skiptoken.');
  }
  const body = { '@odata.context': `${ctx.root}/$metadata#${type}` };
  if (advanced(ctx)) body['@odata.count'] = items.length;
  if (from + top < items.length) {
    const q = [...ctx.query]
      .filter(([k]) => k !== '$skiptoken')
      .map(([k, v]) => `${k}=${encodeURIComponent(v[0])}`);
    q.push(`$skiptoken=${Buffer.from(`from:${from + top}`).toString('base64url')}`);
    body['@odata.nextLink'] = `${ctx.root}${ctx.path.replace(/^\/(v1\.0|beta)/, '')}?${q.join('&')}`;
  }
  body.value = items.slice(from, from + top);
  return body;
}

module.exports = { Refusal, one, advanced, needAdvanced, filtered, selected, ordered, page };
